"""A parameter's value in words: the same in another process, and different for another value."""

import functools
import hashlib
import re
import types
from collections.abc import Mapping
from typing import Any

import joblib
import keras
import narwhals as nw
import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp.engine.structure import is_filled, names_in

GENERATORS = (np.random.RandomState, np.random.Generator)
CONSTANTS = (bool, int, float, complex, str, bytes, type(None))


def digest(value: Any) -> str:
    """A hash of `described`."""
    return hashlib.sha256(described(value).encode()).hexdigest()


def described(value: Any, within: tuple[int, ...] = ()) -> str:
    """A value in words: all that it holds, and the code of functions. ``within`` are the ids of what holds it.

    `repr` leaves out parts of long lists and of many objects, and pickles contain counters and caches besides.
    """
    if isinstance(value, CONSTANTS):
        return repr(value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, GENERATORS):
        return joblib.hash(value)
    if nw.dependencies.is_pandas_dataframe(value) or nw.dependencies.is_pandas_series(value):
        return _of_pandas(value)
    if hasattr(value, "__array__"):
        return f"{type(value).__name__} {joblib.hash(np.asarray(value))}"
    if id(value) in within:
        return "itself"
    of = functools.partial(described, within=(*within, id(value)))
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{of(key)}: {of(item)}' for key, item in value.items()))}}}"
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [of(item) for item in value]
        items = sorted(items) if isinstance(value, (set, frozenset)) else items
        return f"{type(value).__name__}({', '.join(items)})"
    if issparse(value):  # its flags are set when somebody reads them
        rows = value.tocsr()
        return f"{value.format} {rows.shape} {[joblib.hash(a) for a in (rows.data, rows.indices, rows.indptr)]}"
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, types.CodeType):
        return f"{value.co_code.hex()} {value.co_names} {of(value.co_consts)}"
    if isinstance(value, types.FunctionType):
        known = {name: value.__globals__.get(name) for name in names_in(value.__code__)}
        used = {name: item for name, item in known.items() if _is_of_user(item, value.__module__)}
        cells = [cell.cell_contents for cell in value.__closure__ or () if is_filled(cell)]
        parts = value.__code__, value.__defaults__, value.__kwdefaults__, cells, used
        return f"{value.__module__}.{value.__qualname__} {of(parts)}"
    if isinstance(value, types.MethodType):
        return f"{of(value.__self__)}.{of(value.__func__)}"
    if isinstance(value, functools.partial):
        return f"partial {of((value.func, value.args, value.keywords))}"
    return f"{of(type(value))} {_held(value, of)}"


def _of_pandas(value: Any) -> str:
    """What a frame or a series of pandas' holds. How it lies in memory changes when somebody looks at it."""
    import pandas as pd

    def words(column: Any) -> tuple:
        try:
            content = pd.util.hash_pandas_object(column, index=False).to_numpy()
        except TypeError:  # of lists and the like
            content = column.to_numpy()
        return column.name, str(column.dtype), joblib.hash(content)

    columns = [value.iloc[:, number] for number in range(value.shape[1])] if value.ndim > 1 else [value]
    return f"{type(value).__name__} {[words(column) for column in columns]}"


def _is_of_user(value: Any, module: str) -> bool:
    """Whether the value of a global name belongs to a function of this module: constants, and functions beside it."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, CONSTANTS) for item in value)
    return isinstance(value, CONSTANTS) or (isinstance(value, types.FunctionType) and value.__module__ == module)


def _held(value: Any, of: functools.partial) -> str:
    """An object's content."""
    if hasattr(value, "get_config") and not isinstance(value, keras.losses.Loss):  # their configurations lack arguments
        return of(_without_names(value.get_config()))
    if isinstance(value, FrozenEstimator):
        return of(_fitted(value))
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        source = params.pop("init_from", None) if isinstance(value, BaseKerasMLP) else None
        return of((params, None if source is None else _fitted(source)))
    if hasattr(value, "dist") and hasattr(value, "kwds"):  # scipy's, with the process's random state in them
        return of((value.dist.name, value.args, value.kwds))
    if hasattr(value, "__dict__"):
        return of(_without_names(vars(value)))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _fitted(estimator: Any) -> Any:
    """What an estimator has learned: as a parameter it is kept as it is, and not cloned."""
    estimator = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    fitted = getattr(estimator, "_fitted", None) if isinstance(estimator, BaseKerasMLP) else None
    if fitted is None:
        return estimator.__getstate__()
    return fitted.spec, [fitted.weights(m) for m in range(len(fitted.states))]  # not the names of Keras' variables


def _without_names(config: Any) -> Any:
    """A configuration without names, in which Keras counts objects."""
    if isinstance(config, dict):
        return {key: _without_names(item) for key, item in config.items() if key != "name"}
    return [_without_names(item) for item in config] if isinstance(config, (list, tuple)) else config
