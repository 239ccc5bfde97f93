"""The columns of any X, one by one: names, kinds and values. Plain numpy; frames by narwhals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

SECOND = np.timedelta64(1, "s")
# Types that scikit-learn's own check turns into numbers, in frames that are not of pandas.
PLAIN = {"Boolean", "Float32", "Float64", *(f"{sign}{n}" for sign in ("Int", "UInt") for n in (8, 16, 32, 64))}


def as_table(X: Any) -> Any:
    """X with its rows and columns: a matrix or frame as it is, anything else as an array.

    Raises
    ------
    ValueError
        If it is something else.
    TypeError
        If it is a matrix of numpy.
    """
    if isinstance(X, np.matrix):
        raise TypeError("np.matrix is not supported. Please convert to a numpy array with np.asarray.")
    if type(X).__name__ == "RecordBatch" and hasattr(X, "__arrow_c_stream__"):  # pyarrow's, a table of one piece
        X = nw.from_arrow(X, backend="pyarrow").to_native()
    if isinstance(X, (list, tuple)):
        if X and all(len(getattr(part, "shape", ())) == 2 for part in X):  # as Keras takes several inputs
            raise ValueError(
                f"X must be one table. Got {len(X)} tables; join their columns, and say by input_columns which of them "
                "each input of a 'model' takes."
            )
        table = _as_array(X)
    elif is_masked(X):
        table = _in_microseconds(np.ma.getdata(X)).astype(object)
        table[np.ma.getmaskarray(X)] = None
    elif isinstance(X, np.ndarray) or issparse(X):
        table = X
    elif nw.dependencies.is_pandas_dataframe(X) or nw.dependencies.is_into_dataframe(X):
        return X
    elif isinstance(nw.from_native(X, pass_through=True), nw.LazyFrame):
        raise ValueError(f"X must be in memory. Got a {type(X).__module__.split('.')[0]} LazyFrame; call collect().")
    else:
        table = X if hasattr(X, "shape") else _as_array(X)
    if len(table.shape) > 2:
        n = len(table.shape)
        raise ValueError(
            f"Expected 2D array, got {n}D array instead. Found array with dim {n}, while dim <= 2 is required. Pass "
            "X.reshape(len(X), -1); a 'model' may begin with a Reshape layer."
        )
    if len(table.shape) < 2 and not issparse(table):
        if isinstance(table, np.ndarray) and any(isinstance(row, Mapping) for row in table.ravel()[:1].tolist()):
            raise ValueError("X must be an array, a frame or a sparse matrix. Got dicts; make a frame of them.")
        found = f"{len(table.shape)}D array" if table.shape else "scalar array"
        raise ValueError(  # as scikit-learn says it
            f"Expected 2D array, got {found} instead:\narray={table}.\nReshape your data either using "
            "array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) if it contains a single "
            "sample."
        )
    return table


def is_masked(array: Any) -> bool:
    """Whether this is an array of which some values are masked; numpy asks anything that has a ``_mask``."""
    return isinstance(array, np.ma.MaskedArray) and bool(np.ma.is_masked(array))


def _in_microseconds(array: NDArray) -> NDArray:
    """Dates and durations in the finest unit that Python's objects have; others as they are."""
    return array.astype(f"{array.dtype.kind}8[us]") if array.dtype.kind in "Mm" else array


def _as_array(X: Any) -> NDArray:
    try:
        array = np.asarray(X)
        if array.dtype.kind in "biufcMm":
            return array
    except (ValueError, TypeError):
        pass
    return np.asarray(X, dtype=object)  # so that numbers beside strings remain numbers


def frame_of(X: Any) -> nw.DataFrame | None:
    """X as a frame, if it is one."""
    is_frame = not isinstance(X, np.ndarray) and nw.dependencies.is_into_dataframe(X)
    return nw.from_native(X, eager_only=True) if is_frame else None


def is_plain(X: Any) -> bool:
    """Whether X has only numbers, which scikit-learn's own check turns into a matrix at once."""
    if isinstance(X, np.ndarray):
        of_numbers = X.dtype.kind == "O" and _are_numbers(_types(X.ravel(order="K")) - {bool, np.bool_})
        return X.dtype.kind in "biufc" or of_numbers
    if nw.dependencies.is_pandas_dataframe(X):
        return all(_is_plain_dtype(dtype) for dtype in X.dtypes)
    if nw.dependencies.is_polars_dataframe(X):
        return PLAIN.issuperset(map(str, X.dtypes))
    frame = frame_of(X)
    return frame is None or PLAIN.issuperset(map(str, frame.schema.values()))


def as_array(X: Any) -> Any:
    """A pandas frame of numbers as an array, in half of scikit-learn's time; anything else as it is."""
    # pandas turns truth values beside numbers into objects; scikit-learn turns sparse columns into a sparse matrix.
    is_pandas = nw.dependencies.is_pandas_dataframe(X)
    simple = is_pandas and all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in X.dtypes)
    return X.to_numpy() if simple else X


def _is_plain_dtype(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.isnative


@dataclass(frozen=True, eq=False)
class Column:
    """One column.

    Attributes
    ----------
    name : str, or int where columns have none
    data : ndarray of shape (n_rows,) or nw.Series
        A series where an array would not tell the same: strings, categories, null beside numbers, time zones.
    """

    name: Any
    data: Any

    def __str__(self) -> str:
        return f"Column {self.name!r} of X"

    @property
    def zone(self) -> str | None:
        """Time zone, if the column's type has one."""
        return getattr(self.data.dtype, "time_zone", None)

    def kind(self) -> str:
        """What the column holds: "number", "date" or "category".

        Raises
        ------
        ValueError
            If the column holds something else.
        """
        if isinstance(self.data, np.ndarray):
            kind = self.data.dtype.kind
            return _kind_of_objects(self.data) if kind == "O" else {"M": "date", "b": "category"}.get(kind, "number")
        dtype = self.data.dtype
        if self.zone:
            return "date"
        if dtype in (nw.Boolean, nw.Categorical, nw.Enum, nw.String, nw.Binary):
            return "category"
        if dtype.is_numeric():
            return "number"
        raise ValueError(
            f"Columns of X must hold numbers, categories or dates. Got the column {self.name!r} of dtype {dtype}; turn "
            "it into numbers first."
        )

    def holds_text(self) -> bool:
        """Whether some values are strings."""
        if isinstance(self.data, np.ndarray):
            return any(issubclass(kind, (str, bytes)) for kind in _present(self.data)[2])
        return self.data.dtype in (nw.String, nw.Binary)

    def holds_truths(self) -> bool:
        """Whether all values that are not missing are truth values, which are numbers as well, 0 and 1."""
        if isinstance(self.data, np.ndarray):
            types = _present(self.data)[2] if self.data.dtype.kind == "O" else {self.data.dtype.type}
            return bool(types) and types <= {bool, np.bool_}
        return self.data.dtype == nw.Boolean

    def values(self) -> tuple[list, NDArray]:
        """The values, and which of them are missing."""
        if isinstance(self.data, np.ndarray):
            values = _in_microseconds(self.data).tolist()
            if any(issubclass(kind, np.generic) for kind in set(map(type, values))):
                values = [_as_python(value) for value in values]
            missing = np.zeros(len(values), bool)
        else:
            values, missing = self.data.to_list(), self.data.is_null().to_numpy().astype(bool)
        missing[~missing] = _are_missing([value for value, gone in zip(values, missing, strict=True) if not gone])
        return values, missing

    def numbered_values(self) -> tuple[list, NDArray, NDArray]:
        """The values, which of them are missing, and each row's number among them; pandas' categories come once."""
        native = None if isinstance(self.data, np.ndarray) else self.data.to_native()
        if nw.dependencies.is_pandas_series(native) and type(native.dtype).__name__ == "CategoricalDtype":
            values = [*native.dtype.categories.tolist(), None]
            is_last = np.arange(1 - len(values), 1) == 0
            return values, is_last, np.asarray(native.array.codes)  # the code of a missing one is -1: the last
        values, missing = self.values()
        return values, missing, np.arange(len(values))

    def numbers(self) -> NDArray:
        """Numbers, or durations in seconds, float64, nan where they are missing.

        Raises
        ------
        ValueError
            If these are none.
        """
        try:
            if isinstance(self.data, np.ndarray):
                return _floats(self.data)
            if self.zone or self.data.dtype.is_nested():
                raise ValueError(f"{'dates' if self.zone else 'others'}, of dtype {self.data.dtype}")
            # A cast of arrow's refuses whole numbers that float64 rounds.
            is_whole = self.data.dtype.is_integer() and self.data.dtype not in (nw.Int128, nw.UInt128)
            return (self.data if is_whole else self.data.cast(nw.Float64)).to_numpy().astype(np.float64)
        except Exception as error:  # each library of frames has its own
            # scikit-learn raises a TypeError for such objects in an array, and checks that others do.
            wrong = TypeError if isinstance(error, TypeError) and isinstance(self.name, int) else ValueError
            got = str(error).rstrip(".")
            raise wrong(f"{self} must hold numbers, or be one of categorical_features. Got {got}.") from error


def columns_of(X: Any) -> Iterator[Column]:
    """The columns of a frame or an array of two dimensions."""
    frame = frame_of(X)
    if frame is None:
        array = np.asarray(X)
        columns = np.ascontiguousarray(array.T) if array.dtype.kind == "O" else array.T  # objects are read one by one
        yield from (Column(number, column) for number, column in enumerate(columns))
    else:
        yield from (Column(series.name, _as_data(series)) for series in frame.iter_columns())


def names_of(X: Any) -> list:
    """Names of the columns, their numbers where they have none."""
    frame = frame_of(X)
    return list(range(X.shape[1])) if frame is None else list(frame.columns)


def _as_data(series: nw.Series) -> Any:
    native, dtype = series.to_native(), series.dtype
    if isinstance(getattr(native, "dtype", None), np.dtype):
        return native.to_numpy()
    zone = getattr(dtype, "time_zone", None)
    if dtype in (nw.Object, nw.Unknown) or (dtype.is_temporal() and zone is None):
        return series.to_numpy()
    if zone is not None and type(getattr(native, "dtype", None)).__name__ == "ArrowDtype":  # pandas < 3: at Greenwich
        return nw.from_native(native.astype(f"datetime64[us, {zone}]"), series_only=True)
    return series


def _as_python(value: Any) -> Any:
    """A numpy scalar as Python's own type: some numpy types cannot be compared with decimals, say."""
    is_numpy = isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64))
    return value.item() if is_numpy else value


def _is_missing(value: Any) -> bool:
    """Whether a value is None, nan, or another library's word for it."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA cannot be compared at all
        return True
    except (ValueError, ArithmeticError):  # an array or the like; a signaling nan
        return False


def _are_missing(values: list) -> NDArray:
    if {str, bytes, int, bool}.issuperset(map(type, values)):
        return np.zeros(len(values), bool)
    return np.fromiter(map(_is_missing, values), bool, len(values))


def has_missing_objects(y: Any) -> bool:
    """Whether y holds objects or dates of which some are missing; scikit-learn itself checks numbers."""
    if y is None or issparse(y):
        return False
    if is_masked(y):
        return True
    try:
        array = np.asarray(y)
        if array.dtype.kind in "US" and not hasattr(y, "dtype"):  # a list, whose nan has become a string
            array = np.asarray(y, dtype=object)
    except ValueError:  # scikit-learn says what is wrong with it
        return False
    return array.dtype.kind in "OMm" and bool(_are_missing(array.ravel().tolist()).any())


def _present(values: NDArray) -> tuple[NDArray, NDArray, set[type]]:
    """Which objects are not missing, these, and their types."""
    known = ~_are_missing(values.tolist())
    return known, values[known], _types(values[known])


def is_date(kind: type) -> bool:
    """Whether objects of a type are dates; those of pandas.Period begin with one."""
    return issubclass(kind, (date, np.datetime64)) or hasattr(kind, "to_timestamp")


def _types(values: NDArray) -> set[type]:
    return set(map(type, values.tolist()))


def _are_numbers(types: set[type]) -> bool:
    """Whether numpy turns objects of these types into floats, and missing ones into nan."""
    others = types - {float, int, Decimal, NoneType}
    return all(issubclass(kind, np.number) and not issubclass(kind, np.timedelta64) for kind in others)


def _kind_of_objects(values: NDArray) -> str:
    types = _types(values)
    if any(issubclass(kind, (str, bytes, bool, np.bool_)) for kind in types):
        return "category"
    if _are_numbers(types):
        has_whole = any(issubclass(kind, (int, np.integer)) for kind in types)  # which are never missing
        return "number" if has_whole or not np.isnan(values.astype(np.float64)).all() else "category"
    *_, types = _present(values)
    if not types:
        return "category"
    return "date" if all(map(is_date, types)) else "number"


def _floats(values: NDArray) -> NDArray:
    if values.dtype.kind == "M":
        raise ValueError(f"dates, of dtype {values.dtype}")
    if values.dtype.kind == "m":
        return values / SECOND
    if values.dtype.kind == "c":
        raise ValueError("complex numbers")
    if values.dtype.kind != "O" or _are_numbers(_types(values)):
        return values.astype(np.float64)
    known, present, types = _present(values)
    if any(map(is_date, types)):
        raise ValueError(f"dates, of type {', '.join(sorted(kind.__name__ for kind in types))}")
    lasting = [issubclass(kind, (timedelta, np.timedelta64, time)) for kind in types]
    if any(lasting) and all(lasting):
        present = np.array([_seconds(value) for value in present])
    elif any(lasting):
        raise ValueError("durations beside others")
    numbers = np.full(len(values), np.nan)
    numbers[known] = present.astype(np.float64)
    return numbers


def _seconds(value: Any) -> float:
    if isinstance(value, time):
        value = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
    return value / (SECOND if isinstance(value, np.timedelta64) else timedelta(seconds=1))
