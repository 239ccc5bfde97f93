"""Pickles and copies Keras objects with an estimator, also objects of classes that are not registered with Keras."""

import copy
import functools
import io
from dataclasses import replace
from types import FunctionType
from typing import Any

import keras

from sk_mlp._keras.inner import saving_lib
from sk_mlp._network.build import layers_of
from sk_mlp._network.compiled import Compiled, compile_as, compiled_by_user
from sk_mlp._network.spec import Fitted

KINDS = (keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer)
TELLING = (bool, int, float, str, FunctionType)  # attributes of a metric that its copy must have too


def carried(value: Any) -> Any:
    """A value as `pickle` and `copy.deepcopy` can take it; itself, unless it holds Keras objects.

    Keras pickles, and so copies, objects of classes that it knows. Here a user's own classes go along, and need not be
    registered by ``keras.saving.register_keras_serializable``.

    Parameters
    ----------
    value : any
        Keras objects are found in lists, tuples, dicts and partials.
    """
    parts = _with_each(value, _Again)
    return value if parts is value else Carried(value, parts)


def uncarried(value: Any) -> Any:
    """The value that `carried` was given: `copy.copy` keeps its wrapper, pickles have removed it already."""
    return value.value if isinstance(value, Carried) else value


def copied(value: Any) -> Any:
    """A deep copy of a value that may hold Keras objects."""
    return copy.deepcopy(carried(value))


def candidate(params: dict[str, Any]) -> dict[str, Any]:
    """A candidate's values for scikit-learn to copy; themselves, unless they hold Keras objects."""
    return params if carried(params) is params else _Candidate(params)


class _Candidate(dict):
    """Parameters that hold Keras objects: `copy.deepcopy` and `pickle` make others of these, too."""

    def __deepcopy__(self, memo):
        return {name: copy.deepcopy(carried(value), memo) for name, value in self.items()}

    def __reduce__(self):
        return _Candidate, ({name: carried(value) for name, value in self.items()},)


class Carried:
    """A value that holds Keras objects: a pickle or a deep copy of this is another such value."""

    def __init__(self, value: Any, parts: Any):
        self.value, self._parts = value, parts

    def __reduce__(self):
        return _itself, (self._parts,)


class _Again:
    """A Keras object: a pickle or a deep copy of this is another such object."""

    def __init__(self, value: Any):
        self._value = value

    def __reduce__(self):
        value = self._value
        if isinstance(value, keras.Model):
            buffer, told = io.BytesIO(), compiled_by_user(value)
            saving_lib._save_model_to_fileobj(value, buffer, "h5")
            parts = _with_each(list(vars(told).values()), _Again) if told else None
            return _model, (buffer.getvalue(), parts, unknown_to_keras(value))
        if isinstance(value, (keras.losses.Loss, keras.callbacks.Callback)):  # which hold no variables
            return _with_attributes, (type(value), _with_each(dict(vars(value)), _Again))
        config, unknown = value.get_config(), unknown_to_keras(value)
        if isinstance(value, keras.metrics.Metric) and not _is_told(value, config, unknown):
            raise TypeError(
                f"The metric {value.name!r} cannot be copied or pickled: get_config() of {type(value).__name__} does "
                "not hold all that its objects are made with. Let it return every argument of the constructor."
            )
        return _of_config, (type(value), _with_each(config, _Again), unknown)


def _with_each(value: Any, of: type) -> Any:
    """The value with each Keras object in it wrapped; itself, if there is none."""
    if isinstance(value, KINDS):
        return of(value)
    if isinstance(value, keras.callbacks.Callback):
        held = vars(value)
        return value if _with_each(held, of) is held else of(value)
    if type(value) in (list, tuple):
        items = [_with_each(item, of) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else type(value)(items)
    if type(value) is dict:
        values = list(value.values())
        items = _with_each(values, of)
        return value if items is values else dict(zip(value, items, strict=True))
    if type(value) is functools.partial:
        parts = value.args, value.keywords
        args, keywords = others = _with_each(parts, of)
        return value if others is parts else functools.partial(value.func, *args, **keywords)
    if isinstance(value, Fitted):
        make = _with_each(value.make_model, of)
        return value if make is value.make_model else replace(value, make_model=make)
    return value


def unknown_to_keras(value: Any) -> dict[str, Any]:
    """Classes and functions that an object's configuration names but Keras does not know, by these names."""
    parts = [value]
    if isinstance(value, keras.Model):
        parts += layers_of(value)
        if told := compiled_by_user(value):
            parts += [item for item in (told.optimizer, told.loss, *told.metrics) if hasattr(item, "get_config")]
    held = [item for part in parts for item in vars(part).values()]
    objects = [item for item in (*parts, *held) if hasattr(item, "get_config") or isinstance(item, FunctionType)]
    named = [item if isinstance(item, FunctionType) else type(item) for item in objects]
    return {
        keras.saving.get_registered_name(item): item
        for item in named
        if item.__module__.partition(".")[0] != "keras" and not _is_nameless(item)
    }


def _is_nameless(item: Any) -> bool:
    """Whether a function has no name by which a pickle could find it; for some, Keras keeps the code."""
    return isinstance(item, FunctionType) and "<" in item.__qualname__


def _is_told(metric: keras.metrics.Metric, config: dict[str, Any], unknown: dict[str, Any]) -> bool:
    """Whether a metric's configuration is enough to make another one like it."""
    if type(metric).__module__.startswith("keras."):
        return True
    try:
        return _telling(_of_config(type(metric), config, unknown)) == _telling(metric)
    except Exception:  # a user's class may raise anything
        return False


def _telling(metric: keras.metrics.Metric) -> dict[str, Any]:
    """The attributes of a user's metric, besides its variables and name."""
    public = {name: item for name, item in vars(metric).items() if not name.startswith("_") and name != "name"}
    return {name: item for name, item in public.items() if isinstance(item, TELLING)}


def _itself(value: Any) -> Any:
    return value


def _model(saved: bytes, told: list | None, unknown: dict[str, Any]) -> keras.Model:
    with keras.saving.custom_object_scope(unknown):
        model = saving_lib.load_model(io.BytesIO(saved), compile=False, safe_mode=False)
    if told:
        compile_as(model, Compiled(*told))
    return model


def _with_attributes(cls: Any, attributes: dict[str, Any]) -> Any:
    made = cls.__new__(cls)
    vars(made).update(attributes)
    return made


def _of_config(cls: Any, config: dict[str, Any], unknown: dict[str, Any]) -> Any:
    with keras.saving.custom_object_scope(unknown):
        return cls.from_config(config)
