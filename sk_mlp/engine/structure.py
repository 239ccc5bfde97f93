"""Keys that are equal for Keras objects of which one may replace the other in a compiled program.

A program holds whatever was no input when it was traced: activation functions, constants, the values that a function
has closed over. A configuration holds only some of that, so the keys are made from attributes and code themselves.
Values of a model's variables are inputs of a program, and so are dropout rates: they do not count.
"""

import contextlib
import functools
import inspect
import json
import sys
import types
import warnings
from collections.abc import Collection, Hashable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mlp._keras.inner import Functional
from sk_mlp._network.build import layers_of, weights_of
from sk_mlp._tables.selection import Inputs

# Attributes of Keras' layers that no program computes with as they are: some it has as numbers, of others only what has
# been made of them.
NOT_IN_PROGRAMS = {
    keras.layers.Dropout: {"rate", "seed"},
    keras.layers.Discretization: {"summary"},
    keras.layers.Normalization: {"input_mean", "input_variance", "_build_input_shape"},
}
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)
NAMESPACES = (type, types.ModuleType)
_MISSING = object()
CONSTANTS = (*PLAIN, list, tuple, dict, set, frozenset, np.ndarray, tf.Tensor, tf.Variable, keras.Variable)


def structure_of(value: Any) -> Hashable:
    """The key of a loss, a metric, an optimizer's class, a function or a plain value."""
    return _Structure(inputs=value.variables if isinstance(value, keras.metrics.Metric) else ()).of(value)


def structure_of_model(model: keras.Model) -> Hashable:
    """The key of a built model: its graph or the code of its class, and what its layers hold besides variables."""
    layers = [model, *layers_of(model)]
    numbers = {id(layer): number for number, layer in enumerate(layers)}
    structure = _Structure(numbers, weights_of(model))
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
    """One walk through an object.

    Parameters
    ----------
    numbers : mapping of int to int, or None
        Numbers of the layers of the model in hand, by their ids.
    inputs : collection of keras.Variable
        Variables whose values are inputs of a program. It holds all others itself.
    """

    def __init__(self, numbers: Mapping[int, int] | None = None, inputs: Collection[keras.Variable] = ()):
        self._numbers = numbers or {}
        self._inputs = {id(variable) for variable in inputs}
        self._done: dict[int, tuple[Any, Hashable]] = {}  # with the objects, so that no id is given to another one
        self._known: dict[tuple, Any] = {}  # what functions find under names of their code

    def of(self, value: Any) -> Hashable:
        if isinstance(value, PLAIN):
            return type(value), repr(value)
        if isinstance(value, keras.Variable):
            is_input = id(value) in self._inputs
            return ("variable", tuple(value.shape), value.dtype, value.trainable) if is_input else value._value.ref()
        if isinstance(value, tf.Variable):
            return value.ref()
        if isinstance(value, tf.Tensor) and value.dtype in (tf.resource, tf.variant):
            return value.ref()  # of a lookup table, say
        if isinstance(value, (np.ndarray, tf.Tensor)):
            array = np.asarray(value)
            return "array", array.shape, array.dtype.str, array.tobytes() if array.dtype != object else repr(array)
        if isinstance(value, (types.ModuleType, types.BuiltinFunctionType, np.ufunc)):
            return value
        if id(value) in self._numbers:
            return "layer", self._numbers[id(value)]
        if id(value) not in self._done:
            self._done[id(value)] = value, "itself"  # for an object that holds itself
            self._done[id(value)] = value, self._of_new(value)
        return self._done[id(value)][1]

    def _of_new(self, value: Any) -> Hashable:
        if isinstance(value, type):
            return value, self._of_code(value)
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
        return self.of(cls), self.of(attributes)

    def _of_code(self, cls: type) -> Hashable:
        """Methods and constants of a user's class: names that methods use may have changed their meaning."""
        own = [c for c in cls.__mro__ if not _is_fixed(str(c.__module__))]
        held = [(name, _function_in(item)) for c in own for name, item in vars(c).items()]
        return tuple(
            (name, self.of(item))
            for name, item in held
            if isinstance(item, types.FunctionType) or (isinstance(item, CONSTANTS) and not name.startswith("__"))
        )

    def _of_function(self, function: types.FunctionType) -> Hashable:
        if _is_keras(function):
            return function
        names = names_in(function.__code__)
        cells = [cell.cell_contents for cell in function.__closure__ or () if is_filled(cell)]
        known = {name: function.__globals__[name] for name in sorted(names & set(function.__globals__))}
        return (
            function.__code__,
            tuple(self._of_known(item, names) if isinstance(item, NAMESPACES) else self.of(item) for item in cells),
            self.of(function.__defaults__),
            self.of(function.__kwdefaults__),
            tuple((name, self._of_known(item, names)) for name, item in known.items()),
        )

    def _of_known(self, value: Any, names: set[str]) -> Hashable:
        """What a function finds under a name of its code; of a class, module or object what it has under these names.

        Things of installed packages are taken never to change.
        """
        if isinstance(value, (*CONSTANTS, functools.partial)):
            return self.of(value)
        if _is_fixed(value.__name__ if isinstance(value, types.ModuleType) else str(getattr(value, "__module__", ""))):
            return _itself(value)
        if isinstance(value, (types.FunctionType, types.MethodType)):
            return self.of(value)
        key = id(value), frozenset(names)
        if key in self._known:
            return _itself(value)
        self._known[key] = value
        if any(_is_computed(value, name) for name in names):  # from whatever the object holds
            return self._of_object(value)
        found = []
        for name in sorted(names):
            with contextlib.suppress(Exception):  # there is none
                found.append((name, self._of_known(getattr(value, name), names)))
        return _itself(value), *found


def _is_computed(value: Any, name: str) -> bool:
    """Whether an object's class computes an attribute, rather than that the object or the class holds it."""
    cls = type(value)
    if isinstance(value, NAMESPACES):
        return False
    if cls.__getattribute__ is not object.__getattribute__:
        return True
    held = inspect.getattr_static(value, name, _MISSING)
    return hasattr(cls, "__getattr__") if held is _MISSING else isinstance(held, (property, functools.cached_property))


def _itself(value: Any) -> Hashable:
    """The object as its own key; if it has no hash, a key that equals no other."""
    try:
        hash(value)
    except Exception:  # of a user's object; some have a __hash__ that raises
        return object()
    return value


def _is_keras(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0] in ("keras", "tensorflow", "builtins", "abc", "sk_mlp")


@functools.cache
def _is_fixed(module: str) -> bool:
    """Whether a module is Python's own or of an installed package, and so taken never to change."""
    package, file = module.partition(".")[0], getattr(sys.modules.get(module), "__file__", None)
    is_installed = file is not None and not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)
    return is_installed or package in sys.stdlib_module_names or package == "sk_mlp"


def _function_in(item: Any) -> Any:
    """The function of a property, class method or static method; anything else as it is."""
    return item.fget if isinstance(item, property) else getattr(item, "__func__", item)


def is_filled(cell: types.CellType) -> bool:
    """Whether a cell of a function's closure has its value by now."""
    try:
        cell.cell_contents  # noqa: B018 (an empty cell raises)
    except ValueError:
        return False
    return True


def names_in(code: types.CodeType) -> set[str]:
    """Names that a function's code and the functions within it look up."""
    nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*(names_in(constant) for constant in nested))


def structure_of_user_model(model: keras.Model, columns: Inputs) -> Hashable:
    """Equal for models of one structure, with the same columns in each input."""
    return structure_of_model(model), repr(columns)
