"""Checks values against annotated types."""

import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np


def matches(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, its items too.

    Parameters
    ----------
    value : object
    hint : type, or what `typing` makes of types
        Of None, plain types, classes, arrays, tuples, lists, dicts, callables and unions of them.
    """
    hint = getattr(hint, "__value__", hint)  # of an alias, as NumPy's NDArray is from 2.5 on
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, arg) for arg in args)
    if origin is tuple:
        if type(value) is not tuple:
            return False
        if args[-1] is Ellipsis:
            return all(matches(item, args[0]) for item in value)
        return len(value) == len(args) and all(map(matches, value, args))
    if origin is list:
        return type(value) is list and all(matches(item, args[0]) for item in value)
    if origin is dict:
        return type(value) is dict and all(matches(k, args[0]) and matches(v, args[1]) for k, v in value.items())
    if origin is Callable:
        return callable(value)
    kind = np.ndarray if origin is np.ndarray else type(None) if hint is None else hint
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
