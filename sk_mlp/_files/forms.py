"""How values of each type are kept in JSON, and how they are made again."""

import base64
import datetime
import decimal
import fractions
import functools
import inspect
import uuid
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp.exceptions import ModelFileError

BUILTIN_TYPES = {kind.__name__: kind for kind in (bool, bytes, complex, float, int, object, str)}
NUMPY_TYPES = ("number", "integer", "floating", "signedinteger", "unsignedinteger", "inexact", "generic", "bool_")
LONGEST = 2**22  # of a range in a file: as many columns as a network may have; some code makes a list of a range
MOST_ALIKE = 100  # values of one hash, of which a dict looks at all before it adds another
BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


class NotKept(Exception):
    """A value that a file cannot hold."""


@dataclass(frozen=True)
class Form:
    """How values of a type are kept.

    Attributes
    ----------
    name : str
        In files.
    holds : callable
        Whether a value is of the type.
    write : callable (value, Any, Writer.of) -> what JSON holds
    read : callable (what JSON holds, Reader) -> value
    """

    name: str
    holds: Callable[[Any], bool]
    write: Callable[[Any, Any, Callable], Any]
    read: Callable[[Any, Any], Any]


def _exactly(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind


def _by_text(kind: type, write: Callable = str, read: Callable | None = None) -> Form:
    """The form of a type whose values have a text from which they can be made again."""
    return Form(kind.__name__, _exactly(kind), lambda value, *_: write(value), lambda text, _: (read or kind)(text))


def check_hashes(values: Iterable) -> None:
    """Raise where so many values have the same hash that a dict of them would take hours.

    Raises
    ------
    ModelFileError
    """
    if max(Counter(map(hash, values)).values(), default=0) > MOST_ALIKE:
        raise ModelFileError("It holds too many values of the same hash.")


def _sequence(kind: type) -> Form:
    def write(value: Any, _: Any, of: Callable) -> list:
        items = value if kind is tuple else sorted(value, key=lambda item: (type(item).__name__, repr(item)))
        return [of(item) for item in items]

    def read(inner: Any, reader: Any) -> Any:
        items = [reader.of(item) for item in inner]
        if kind is not tuple:
            check_hashes(items)
        return kind(items)

    return Form(kind.__name__, _exactly(kind), write, read)


def _write_dict(value: dict, _: Any, of: Callable) -> Any:
    return [[of(key), of(item)] for key, item in value.items()]


def _read_dict(pairs: Any, reader: Any) -> dict:
    items = [(reader.of(key), reader.of(item)) for key, item in pairs]
    check_hashes(key for key, _ in items)
    return dict(items)


def _write_array(value: NDArray, writer: Any, of: Callable) -> Any:
    if value.dtype.hasobject or value.dtype.kind not in "biufcUSMm":
        if value.dtype.kind != "O":
            raise NotKept(f"an array of dtype {value.dtype} cannot be kept")
        return {"shape": list(value.shape), "objects": [of(item) for item in value.ravel().tolist()]}
    writer.arrays.append(value)
    return len(writer.arrays) - 1


def _read_array(inner: Any, reader: Any) -> NDArray:
    if type(inner) is int:
        return reader.arrays[inner]
    items = [reader.of(item) for item in inner["objects"]]
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(inner["shape"])


def _write_scalar(value: np.generic, *_: Any) -> Any:
    return [value.dtype.str, base64.b64encode(value.tobytes()).decode()]


def _read_scalar(inner: Any, _: Any) -> Any:
    text, data = inner
    dtype = np.dtype(text)
    if dtype.hasobject or dtype.kind not in "biufcUSMm":
        raise ModelFileError(f"It holds a number of dtype {text[:80]!r}.")
    return np.frombuffer(base64.b64decode(data), dtype)[0]


def _write_datetime(value: datetime.datetime, *_: Any) -> list:
    zone = value.tzinfo.key if isinstance(value.tzinfo, zoneinfo.ZoneInfo) else None
    return [(value.replace(tzinfo=None) if zone else value).isoformat(), zone, value.fold]


def _read_datetime(inner: Any, _: Any) -> datetime.datetime:
    text, zone, fold = inner
    value = datetime.datetime.fromisoformat(text).replace(fold=fold)
    return value.replace(tzinfo=zoneinfo.ZoneInfo(zone)) if zone else value


def _write_partial(value: functools.partial, _: Any, of: Callable) -> list:
    return [of(value.func), [of(item) for item in value.args], of(dict(value.keywords))]


def _read_partial(inner: Any, reader: Any) -> functools.partial:
    function, arguments, keywords = inner
    if type(function) is not dict or function.keys() != {"named"}:
        raise ModelFileError("It holds a function that is not given by its name.")
    return functools.partial(reader.of(function), *map(reader.of, arguments), **reader.of(keywords))


def _read_range(inner: Any, _: Any) -> range:
    found = range(*inner)
    if len(found) > LONGEST:
        raise ModelFileError(f"It holds a range of {len(found)} numbers.")
    return found


def _read_fraction(text: str, _: Any) -> fractions.Fraction:
    return fractions.Fraction(*map(int, text.split("/")))  # of "1e999999999", Fraction itself would make a number


def _write_random_state(value: np.random.RandomState, _: Any, of: Callable) -> Any:
    return of(value.get_state(legacy=False))


def _read_random_state(inner: Any, reader: Any) -> np.random.RandomState:
    state = reader.of(inner)
    generator = np.random.RandomState()
    generator.set_state(state)
    return generator


def _read_generator(inner: Any, reader: Any) -> np.random.Generator:
    state = reader.of(inner)
    if state["bit_generator"] not in BIT_GENERATORS:
        raise ModelFileError("It holds a random generator of an unknown kind.")
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)


def _pandas(name: str, write: Callable, read: Callable[[Any, Any, Any], Any]) -> Form:
    """The form of a pandas type; pandas is imported if there is a value of it."""

    def holds(value: Any) -> bool:
        return type(value).__name__ == name and type(value).__module__.partition(".")[0] == "pandas"

    def read_it(inner: Any, reader: Any) -> Any:
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise ModelFileError("It has categories of pandas' types: pip install pandas.") from error
        return read(pandas, inner, reader)

    return Form(f"pandas.{name}", holds, write, read_it)


def _is_scikit_learns(value: Any) -> bool:
    """Whether it is a splitter or a column selector: their arguments are all that they hold."""
    module = type(value).__module__
    if module.startswith("sklearn.model_selection."):
        return hasattr(value, "split")
    return module.startswith("sklearn.compose.") and type(value).__name__ == "make_column_selector"


def _write_scikit_learns(value: Any, _: Any, of: Callable) -> Any:
    names = [p.name for p in inspect.signature(type(value)).parameters.values()]
    if not all(hasattr(value, name) for name in names):
        raise NotKept(f"a {kind_of(value)} cannot be kept")
    return [type(value).__name__, of({name: getattr(value, name) for name in names})]


def _read_scikit_learns(inner: Any, reader: Any) -> Any:
    name, arguments = inner
    module = import_module("sklearn.compose" if name == "make_column_selector" else "sklearn.model_selection")
    cls = getattr(module, name, None)
    if not isinstance(cls, type) or not (hasattr(cls, "get_n_splits") or name == "make_column_selector"):
        raise ModelFileError(f"It holds a {str(name)[:80]}, which is no splitter of scikit-learn.")
    return cls(**reader.of(arguments))


FORMS = [
    _sequence(tuple),
    Form("dict", _exactly(dict), _write_dict, _read_dict),
    Form("array", lambda value: type(value) in (np.ndarray, np.memmap), _write_array, _read_array),
    Form("float", _exactly(float), lambda value, *_: repr(value), lambda text, _: float(text)),
    Form("numpy", lambda value: isinstance(value, np.generic) and value.dtype.kind != "V", _write_scalar, _read_scalar),
    Form("dtype", lambda value: isinstance(value, np.dtype), lambda v, *_: v.str, lambda text, _: np.dtype(text)),
    Form("bytes", _exactly(bytes), lambda v, *_: base64.b64encode(v).decode(), lambda v, _: base64.b64decode(v)),
    Form("complex", _exactly(complex), lambda value, *_: repr(value), lambda text, _: complex(text)),
    Form("datetime", _exactly(datetime.datetime), _write_datetime, _read_datetime),
    _by_text(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    _by_text(datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    Form(
        "timedelta",
        _exactly(datetime.timedelta),
        lambda value, *_: [value.days, value.seconds, value.microseconds],
        lambda inner, _: datetime.timedelta(*inner),
    ),
    _by_text(decimal.Decimal),
    Form("Fraction", _exactly(fractions.Fraction), lambda value, *_: str(value), _read_fraction),
    _by_text(uuid.UUID),
    _sequence(set),
    _sequence(frozenset),
    Form(
        "slice", _exactly(slice), lambda v, _, of: [of(v.start), of(v.stop), of(v.step)], lambda v, r: slice(*r.of(v))
    ),
    Form("range", _exactly(range), lambda v, *_: [v.start, v.stop, v.step], _read_range),
    Form(
        "type",
        lambda value: isinstance(value, type) and BUILTIN_TYPES.get(value.__name__) is value,
        lambda value, *_: value.__name__,
        lambda name, _: BUILTIN_TYPES[name],
    ),
    Form(
        "numpy_type",
        lambda value: isinstance(value, type) and issubclass(value, np.generic),
        lambda value, *_: value.__name__ if value.__name__ in NUMPY_TYPES else np.dtype(value).str,
        lambda name, _: getattr(np, name) if name in NUMPY_TYPES else np.dtype(name).type,
    ),
    Form("partial", _exactly(functools.partial), _write_partial, _read_partial),
    Form("RandomState", _exactly(np.random.RandomState), _write_random_state, _read_random_state),
    Form("Generator", _exactly(np.random.Generator), lambda v, _, of: of(v.bit_generator.state), _read_generator),
    _pandas(
        "Timestamp",
        lambda v, _, of: [of(v.to_pydatetime(warn=False)), v.nanosecond, v.unit],
        lambda pd, v, reader: (pd.Timestamp(reader.of(v[0])) + pd.Timedelta(v[1], "ns")).as_unit(v[2]),
    ),
    _pandas("Timedelta", lambda v, *_: [v.value, v.unit], lambda pd, v, _: pd.Timedelta(v[0], "ns").as_unit(v[1])),
    _pandas("Period", lambda v, *_: [v.ordinal, v.freqstr], lambda pd, v, _: pd.Period(ordinal=v[0], freq=v[1])),
    _pandas(
        "Interval",
        lambda v, _, of: [of(v.left), of(v.right), v.closed],
        lambda pd, v, reader: pd.Interval(reader.of(v[0]), reader.of(v[1]), v[2]),
    ),
    Form("sklearn", _is_scikit_learns, _write_scikit_learns, _read_scikit_learns),
]
READERS = {form.name: form.read for form in FORMS}


def kind_of(value: Any) -> str:
    """The full name of a value's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
