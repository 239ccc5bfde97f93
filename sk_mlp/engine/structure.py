"""Keys that are equal for Keras objects of which one may replace the other in a compiled program.

A program holds whatever was no input when it was traced: activation functions, constants, the values that a function
has closed over. A configuration holds only some of that, so the keys are made from attributes and code themselves.
Values of variables are inputs of a program, and so are dropout rates: they do not count.
"""

import functools
import json
import types
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mlp._keras.inner import Functional
from sk_mlp._network.build import layers_of
from sk_mlp._tables.selection import Inputs

# Attributes of Keras' layers that no program computes with as they are: some it has as numbers, of others only what has
# been made of them.
NOT_IN_PROGRAMS = {
    keras.layers.Dropout: {"rate", "seed"},
    keras.layers.Discretization: {"summary"},
    keras.layers.Normalization: {"input_mean", "input_variance", "_build_input_shape"},
}
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)


def structure_of(value: Any) -> Hashable:
    """The key of a loss, a metric, a function or a plain value."""
    return _Structure().of(value)


def structure_of_model(model: keras.Model) -> Hashable:
    """The key of a built model: its graph or the code of its class, and what its layers hold besides variables."""
    layers = [model, *layers_of(model)]
    numbers = {id(layer): number for number, layer in enumerate(layers)}
    structure = _Structure(numbers)
    return _graph(model, layers), tuple(structure.of_layer(layer) for layer in layers)


def _graph(model: keras.Model, layers: list[keras.layers.Layer]) -> Hashable:
    """How the layers of a Sequential or functional model are joined: its configuration, with numbers for names."""
    if not isinstance(model, (keras.Sequential, Functional)):
        return ""
    try:
        with warnings.catch_warnings():  # nothing is saved, which might fail
            warnings.simplefilter("ignore")
            config = model.get_config()
    except Exception:  # some layer cannot be saved: then the model equals no other
        return object()
    operations = [operation for layer in layers if isinstance(layer, Functional) for operation in layer.operations]
    named = dict.fromkeys(thing.name for thing in (*layers, *operations))
    numbers = {name: f"#{number}" for number, name in enumerate(named)}
    config = _numbered(_without_rates(config), numbers)
    return json.dumps(config, sort_keys=True, default=lambda value: type(value).__name__)


def _numbered(config: Any, numbers: Mapping[str, str]) -> Any:
    """A configuration with numbers for names, where it has names: "name", and an output as name and two numbers."""
    if isinstance(config, dict):
        of_names = {"name": numbers.get(config["name"], config["name"])} if isinstance(config.get("name"), str) else {}
        return {key: _numbered(value, numbers) for key, value in config.items()} | of_names
    if isinstance(config, (list, tuple)):
        is_output = [type(item) for item in config] == [str, int, int]
        items = [_numbered(item, numbers) for item in config]
        return [numbers.get(items[0], items[0]), *items[1:]] if is_output else items
    return config


def _without_rates(config: Any) -> Any:
    if isinstance(config, dict):
        dropped = ("rate", "seed") if config.get("class_name") == "Dropout" else ()
        return {
            key: {k: v for k, v in value.items() if k not in dropped}
            if key == "config" and dropped
            else _without_rates(value)
            for key, value in config.items()
            if not key.endswith("_initializer")
        }
    return [_without_rates(item) for item in config] if isinstance(config, (list, tuple)) else config


@functools.cache
def _bookkeeping() -> dict[type, set[str]]:
    """Attributes that Keras itself keeps in each model, layer and metric."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse", metrics=["mse"])
    metric = keras.metrics.Metric()
    of_layers = {*vars(keras.layers.Layer()), *(name for name in vars(model.layers[0]) if name.startswith("_"))}
    return {
        keras.Model: {*vars(model), *vars(keras.Model()), *of_layers},
        keras.layers.Layer: of_layers,
        keras.metrics.Metric: set(vars(metric)),
    }


class _Structure:
    """One walk through an object. ``numbers`` tells the number of each layer of the model in hand."""

    def __init__(self, numbers: Mapping[int, int] | None = None):
        self._numbers = numbers or {}
        self._done: dict[int, tuple[Any, Hashable]] = {}  # with the objects, so that no id is given to another one

    def of(self, value: Any) -> Hashable:
        if isinstance(value, PLAIN):
            return type(value), repr(value)
        if isinstance(value, keras.Variable):
            return "variable", tuple(value.shape), value.dtype, value.trainable
        if isinstance(value, tf.Variable):  # not Keras', so the program holds the variable itself
            return value.ref()
        if isinstance(value, (np.ndarray, tf.Tensor)):
            array = np.asarray(value)
            return "array", array.shape, array.dtype.str, array.tobytes() if array.dtype != object else repr(array)
        if isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType, np.ufunc)):
            return value
        if id(value) in self._numbers:
            return "layer", self._numbers[id(value)]
        if id(value) not in self._done:
            self._done[id(value)] = value, "itself"  # for an object that holds itself
            self._done[id(value)] = value, self._of_new(value)
        return self._done[id(value)][1]

    def _of_new(self, value: Any) -> Hashable:
        if isinstance(value, Mapping):
            return "mapping", *((repr(key), self.of(value[key])) for key in sorted(value, key=repr))
        if isinstance(value, (list, tuple, set, frozenset)):
            items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
            # Keras has a list of its own for what layers hold.
            return "list" if isinstance(value, list) else type(value).__name__, *(self.of(item) for item in items)
        if isinstance(value, functools.partial):
            return "partial", self.of(value.func), self.of(value.args), self.of(value.keywords)
        if isinstance(value, types.MethodType):
            return "method", self.of(value.__self__), self.of(value.__func__)
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, keras.layers.Layer):
            return self.of_layer(value)
        if hasattr(value, "__dict__"):
            return self._of_object(value)
        return _itself(value)

    def of_layer(self, layer: keras.layers.Layer) -> Hashable:
        """Class, policy and attributes of a layer."""
        stock_container = type(layer) in (keras.Sequential, keras.Model, Functional)
        weights = tuple((tuple(v.shape), v.dtype, v.trainable) for v in layer.weights)
        own = type(layer) if stock_container else self._of_object(layer)
        return own, layer.dtype_policy.name, layer.trainable, self.of(layer.activity_regularizer), weights

    def _of_object(self, value: Any) -> Hashable:
        cls = type(value)
        if isinstance(value, keras.random.SeedGenerator):
            return cls.__name__
        kept_by_keras = next((names for base, names in _bookkeeping().items() if isinstance(value, base)), set())
        named_by_keras = _is_keras(cls) or isinstance(value, (keras.losses.Loss, keras.metrics.Metric))
        without = kept_by_keras | ({"name"} if named_by_keras else set())
        without = without | NOT_IN_PROGRAMS.get(cls, set())
        attributes = {
            name: item
            for name, item in vars(value).items()
            if name not in without and not name.endswith("_initializer")
        }
        return cls, self._of_code(cls), self.of(attributes)

    def _of_code(self, cls: type) -> Hashable:
        """The methods of a class that is not Keras' own: names that they use may have changed their meaning."""
        functions = [f for c in cls.__mro__ if not _is_keras(c) for f in vars(c).values()]
        return tuple(self.of(f) for f in functions if isinstance(f, types.FunctionType))

    def _of_function(self, function: types.FunctionType) -> Hashable:
        if _is_keras(function):
            return function
        cells = [cell.cell_contents for cell in function.__closure__ or () if is_filled(cell)]
        names = {name: function.__globals__[name] for name in _names(function.__code__) & set(function.__globals__)}
        known = {name: self._of_global(item, function) for name, item in names.items()}
        return (
            function.__code__,
            self.of(cells),
            self.of(function.__defaults__),
            self.of(function.__kwdefaults__),
            tuple(sorted(known.items(), key=lambda pair: pair[0])),
        )

    def _of_global(self, value: Any, user: types.FunctionType) -> Hashable:
        """What a function finds under a global name; things of other modules are taken never to change."""
        if isinstance(value, types.FunctionType):
            return self.of(value) if value.__globals__ is user.__globals__ else value
        if isinstance(value, (*PLAIN, list, tuple, dict, set, np.ndarray, tf.Tensor, tf.Variable)):
            return self.of(value)
        return _itself(value)


def _itself(value: Any) -> Hashable:
    """The object as its own key; if it has no hash, a key that equals no other."""
    try:
        hash(value)
    except Exception:  # of a user's object; some have a __hash__ that raises
        return object()
    return value


def _is_keras(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0] in ("keras", "tensorflow", "builtins", "abc", "sk_mlp")


def is_filled(cell: types.CellType) -> bool:
    """Whether a cell of a function's closure has its value by now."""
    try:
        cell.cell_contents  # noqa: B018 (an empty cell raises)
    except ValueError:
        return False
    return True


def _names(code: types.CodeType) -> set[str]:
    """Names that a function's code and the functions within it look up."""
    nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*(_names(constant) for constant in nested))


def structure_of_user_model(model: keras.Model, columns: Inputs) -> Hashable:
    """Equal for models of one structure, with the same columns in each input."""
    return structure_of_model(model), repr(columns)
