"""Tables with columns of several types to matrices of numbers. Plain numpy; frames by narwhals."""

from collections.abc import Iterable
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._features import column_numbers

# Codes of a categorical column's values that are none of its categories.
MISSING, UNKNOWN = -1, -2

Categories = dict[int, tuple[Any, ...]]  # of each categorical column, by number, in the order of their codes


def frame_of(X: Any) -> nw.DataFrame | None:
    """X as a frame, if it is one."""
    frame = nw.from_native(X, eager_only=True, pass_through=True) if hasattr(X, "columns") else None
    return frame if isinstance(frame, nw.DataFrame) else None


def categorical_columns(X: Any, categorical_features: Any) -> tuple[int, ...]:
    """Numbers of the columns that hold categories.

    Parameters
    ----------
    X : array-like or frame of shape (n_samples, n_features)
        As the user passes it.
    categorical_features : "auto", None, or columns as in `column_numbers`
        "auto" for those of a frame that are categories, strings or truth values.

    Raises
    ------
    ValueError
        If there is no such column, and for a frame with a column of dates or the like.
    """
    if issparse(X):
        if names_columns(categorical_features):
            raise ValueError(
                f"categorical_features={categorical_features!r} needs a dense X. Got a sparse matrix; set "
                "categorical_features='auto' or call toarray()."
            )
        return ()
    frame = frame_of(X)
    if _is_auto(categorical_features):
        columns = frame.iter_columns() if frame is not None else ()
        return tuple(number for number, column in enumerate(columns) if _is_categorical(column))
    chosen = () if _is_none(categorical_features) else column_numbers(X, categorical_features, "categorical_features")
    for number, column in enumerate(frame.iter_columns() if frame is not None else ()):
        if number not in chosen and _is_categorical(column) and column.dtype == nw.String:
            raise ValueError(
                "Columns of X must hold numbers, or be among categorical_features. Got strings in the column "
                f"{column.name!r} and categorical_features={categorical_features!r}."
            )
    return tuple(sorted(chosen))


def names_columns(categorical_features: Any) -> bool:
    """Whether the user says which columns are categories."""
    return not _is_auto(categorical_features) and not _is_none(categorical_features)


def _is_auto(columns: Any) -> bool:
    return isinstance(columns, str) and columns == "auto"


def _is_none(columns: Any) -> bool:
    """Whether no column is named: None, an empty list, or a mask of nothing."""
    if not isinstance(columns, (list, tuple, np.ndarray)):
        return columns is None
    return not len(columns) or (np.asarray(columns).dtype == bool and not np.any(columns))


def _is_categorical(column: nw.Series) -> bool:
    dtype = column.dtype
    if dtype.is_temporal() or dtype.is_nested():
        raise ValueError(
            f"Columns of X must hold numbers or categories. Got the column {column.name!r} of dtype {dtype}; turn it "
            "into numbers first."
        )
    if getattr(column.to_native(), "dtype", None) == np.dtype(object):  # pandas' own; narwhals reads some rows only
        values = column.drop_nulls().to_list()
        return not values or any(isinstance(value, (str, bool)) for value in values)
    return dtype in (nw.Boolean, nw.Categorical, nw.Enum, nw.String)


def learn_categories(X: Any, columns: Iterable[int], sample_weight: Any = None) -> Categories:
    """The values that occur in these columns in rows of other weights than 0, sorted, the missing ones left out.

    Raises
    ------
    ValueError
        For a value that cannot be a category.
    """
    found = {}
    weightless = np.asarray(sample_weight) == 0
    for number in columns:
        values, missing = _column(X, number)
        if np.shape(weightless) == missing.shape:  # else the check of the weights will say what is wrong
            missing = missing | weightless
        try:
            occurring = {value for value, is_missing in zip(values, missing, strict=True) if not is_missing}
        except TypeError as error:
            raise ValueError(f"Column {number} of X must hold strings, numbers or bools. Got {error}.") from error
        try:
            found[number] = tuple(sorted(occurring))
        except TypeError:  # strings beside numbers
            found[number] = tuple(sorted(occurring, key=lambda value: (type(value).__name__, value)))
    return found


def to_numbers(X: Any, categories: Categories) -> NDArray:
    """A table as a matrix: numbers as they are, nan where they are missing; categories by their codes.

    Parameters
    ----------
    X : array-like or frame of shape (n_samples, n_features)
    categories : dict
        As `learn_categories` returns it.

    Returns
    -------
    ndarray of shape (n_samples, n_features), float64
        Categories are numbered from 0; `MISSING` and `UNKNOWN` stand for what is none.

    Raises
    ------
    ValueError
        If another column does not hold numbers.
    """
    n_rows, n_columns = X.shape if hasattr(X, "shape") else np.asarray(X, dtype=object).shape
    numbers = np.empty((n_rows, n_columns))
    for j in range(n_columns):
        if j in categories:
            values, missing = _column(X, j)
            codes = {value: code for code, value in enumerate(categories[j])}
            numbers[:, j] = [codes.get(value, UNKNOWN) for value in values]
            numbers[missing, j] = MISSING
        else:
            numbers[:, j] = _number_column(X, j)
    return numbers


def _column(X: Any, number: int) -> tuple[list, NDArray]:
    """Values of a column, and which of them are missing."""
    frame = frame_of(X)
    if frame is not None:
        column = frame[:, number]
        values, missing = column.to_list(), column.is_null().to_numpy().astype(bool)
    else:
        values = np.asarray(X, dtype=None if hasattr(X, "dtype") else object)[:, number].tolist()
        missing = np.zeros(len(values), bool)
    for i in np.flatnonzero(~missing):
        missing[i] = values[i] is None or _is_nan(values[i])
    return values, missing


def _is_nan(value: Any) -> bool:
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA is not even that
        return True


def _number_column(X: Any, number: int) -> NDArray:
    frame = frame_of(X)
    try:
        if frame is None:
            values = np.asarray(X, dtype=None if hasattr(X, "dtype") else object)[:, number]
        elif frame[:, number].dtype.is_temporal() or frame[:, number].to_native().dtype == complex:
            raise ValueError(f"dtype {frame[:, number].to_native().dtype}")
        else:
            values = frame[:, number].cast(nw.Float64).to_numpy()
        if values.dtype.kind == "c":
            raise ValueError("complex numbers")
        return values.astype(np.float64)
    except Exception as error:  # each library of frames has its own
        raise ValueError(
            f"Column {number} of X must hold numbers, or be one of categorical_features. Got {error}."
        ) from error
