"""Keras objects and users' own models: kept by their configurations, which are checked before use.

Keras' own safe mode has had holes, so a configuration may name nothing but Keras' layers, losses and the like, this
package's, and what the caller gives. Layers that hold code or read files are refused.
"""

import copy
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

import sk_mlp.layers
import sk_mlp.losses
from sk_mlp._files.forms import NotKept, kind_of
from sk_mlp._files.values import Reader, Writer, missing
from sk_mlp._keras.copies import carried, unknown_to_keras
from sk_mlp._keras.inner import global_state
from sk_mlp._keras.policy import build_under
from sk_mlp._network.build import give_statistics, statistics_of, weights_of
from sk_mlp._network.compiled import Compiled, compiled_by_user
from sk_mlp._network.spec import Fitted
from sk_mlp.engine.structure import structure_of, structure_of_model
from sk_mlp.exceptions import ModelFileError

KINDS = (
    keras.Initializer,
    keras.Operation,  # layers and models are operations
    keras.constraints.Constraint,
    keras.dtype_policies.DTypePolicy,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.random.SeedGenerator,
    keras.regularizers.Regularizer,
)
# Layers that hold code or read files.
REFUSED = ("FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper")
LARGEST = {"num_thresholds": 10**5, "num_classes": 2**12}  # arguments of metrics by which their memory grows
WAITING = "uninitialized_variables"  # under which Keras keeps, for this thread, those that have no memory yet
PLAIN = {"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}
# Modules of functions that may be named, and callbacks that touch nothing but the training.
OF_FUNCTIONS = ("activations", "losses", "metrics", "ops", "nn")
CALLBACKS = ("EarlyStopping", "LearningRateScheduler", "ReduceLROnPlateau", "SwapEMAWeights", "TerminateOnNaN")
OWN = {name: getattr(module, name) for module in (sk_mlp.layers, sk_mlp.losses) for name in module.__all__}


@dataclass(frozen=True, eq=False)
class ModelOfConfig:
    """Makes a model, with new weights, from what is kept of another one.

    Attributes
    ----------
    config : dict
        What `keras.saving.serialize_keras_object` has returned.
    policy : str
        Name of Keras' dtype policy to make it under.
    compiled : Compiled or None
        What the model was compiled with.
    statistics : list of ndarray
        That its layers of normalization have learned.
    custom_objects : dict of str to any
        The user's functions and classes by name.
    """

    config: dict[str, Any]
    policy: str
    compiled: Compiled | None
    statistics: list[NDArray] = field(default_factory=list)
    custom_objects: dict[str, Any] = field(default_factory=dict)

    def __call__(self) -> keras.Model:
        """The model."""
        with keras.saving.CustomObjectScope(self.custom_objects):  # of this thread
            return build_under(self.policy, self._compiled)

    def __reduce__(self) -> tuple:
        """For pickles and deep copies: Keras need not know the classes of what the model was compiled with."""
        told = None if self.compiled is None else list(vars(self.compiled).values())
        return _maker, (self.config, self.policy, carried(told), self.statistics, self.custom_objects)

    def without_compiling(self) -> keras.Model:
        """The model, under the policy of this thread."""
        model = of_config(self.config, self.custom_objects)
        give_statistics(model, self.statistics)
        return model

    def _compiled(self) -> keras.Model:
        model = self.without_compiling()
        told = self.compiled
        if told is not None:
            model.compile(
                optimizer=_again(told.optimizer),
                loss=_again(told.loss),
                loss_weights=None if told.loss_weight == 1 else told.loss_weight,
                metrics=[_again(metric) for metric in told.metrics] or None,
                weighted_metrics=[_again(metric) for metric in told.weighted_metrics] or None,
            )
        return model


def _maker(config: dict[str, Any], policy: str, told: list | None, *others: Any) -> ModelOfConfig:
    return ModelOfConfig(config, policy, None if told is None else Compiled(*told), *others)


def _again(value: Any) -> Any:
    """Another object like a Keras object that has a state of its own."""
    has_state = isinstance(value, (keras.optimizers.Optimizer, keras.metrics.Metric))
    return type(value).from_config(value.get_config()) if has_state else value


def model_of_config(model: keras.Model, writer: Writer) -> ModelOfConfig:
    """What to keep of a model, without its weights.

    Raises
    ------
    NotKept
        If it cannot be made again from its configuration.
    """
    if isinstance(model, keras.Sequential) and not model.built:
        raise NotKept("a model without weights has no shapes yet: let it begin with keras.Input, or pass a function")
    try:
        config = keras.saving.serialize_keras_object(model)
    except Exception as error:  # a user's layer may raise anything
        raise NotKept(f"its configuration cannot be made: {error}") from error
    config.pop("compile_config", None)
    known = unknown_to_keras(model)
    names = names_needed(config)
    for name in names:
        writer.name(name, known.get(name))
    custom = {name: known[name] for name in names if name in known}
    policy, statistics = model.dtype_policy.name, statistics_of(model)
    maker = ModelOfConfig(_plain(config), policy, compiled_by_user(model), statistics, custom)
    try:
        again = build_under(policy, maker.without_compiling)
        same = structure_of_model(again) == structure_of_model(model) and [
            (tuple(v.shape), v.dtype) for v in weights_of(again)
        ] == [(tuple(v.shape), v.dtype) for v in weights_of(model)]
    except Exception as error:
        raise NotKept(f"it cannot be made again from its configuration: {error}") from error
    if not same:
        raise NotKept("what is made from its configuration is another model")
    return maker


def check_model(fitted: Fitted) -> None:
    """See that the kept model has the weights that were learned, before memory is taken for as many as it says.

    Raises
    ------
    ModelFileError
        If it has others.
    """
    maker, layout = fitted.make_model, fitted.layout
    if not isinstance(maker, ModelOfConfig):
        raise ModelFileError("It is damaged: it has no network.")
    checked_model(maker, list(layout.shapes[: layout.n_weights]))


def checked_model(maker: ModelOfConfig, shapes: list[tuple[int, ...]]) -> keras.Model:
    """The model, whose weights have these shapes: that is seen before memory is taken for them.

    Raises
    ------
    ModelFileError
        If they have others.
    """
    before = global_state.get_global_attribute(WAITING)
    global_state.set_global_attribute(WAITING, [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = build_under(maker.policy, partial(of_config, maker.config, maker.custom_objects))
            found = [tuple(variable.shape) for variable in weights_of(model)]
    except Exception:
        if not names_needed(maker.config):
            raise
        found = shapes  # a layer of the user's may need its variables at once
    finally:
        global_state.set_global_attribute(WAITING, before)
    if found != shapes:
        raise ModelFileError("It is damaged: the layers of its network have other sizes than the weights.")
    return maker()


def _plain(config: Any) -> Any:
    """A configuration with the types that JSON has, as Keras' own files have it."""
    if isinstance(config, Mapping):
        return {str(key): _plain(item) for key, item in config.items()}
    if isinstance(config, (list, tuple)):
        return [_plain(item) for item in config]
    if isinstance(config, np.generic):
        return config.item()
    return config


def of_config(config: Any, custom_objects: Mapping[str, Any]) -> Any:
    """The object that a configuration describes, which may not name anything unknown.

    Raises
    ------
    ModelFileError
        For a configuration that may do more than describe a model.
    """
    needed = names_needed(config)
    if absent := [name for name in needed if name not in custom_objects]:
        raise ModelFileError(missing(absent))
    # A copy: Keras takes parts out of the configurations of graphs.
    return keras.saving.deserialize_keras_object(copy.deepcopy(config), {**OWN, **custom_objects}, safe_mode=True)


def names_needed(config: Any) -> list[str]:
    """Names of the user's classes and functions in a configuration of Keras'.

    Raises
    ------
    ModelFileError
        For what may do more than describe a model.
    """
    if isinstance(config, list):
        return list(dict.fromkeys(name for item in config for name in names_needed(item)))
    if not isinstance(config, dict):
        return []
    own: list[str] = []
    name = config.get("class_name")
    if isinstance(name, str) and name not in PLAIN:
        own = _name_needed(config, name)
    return list(dict.fromkeys([*own, *(name for item in config.values() for name in names_needed(item))]))


def _name_needed(config: dict, name: str) -> list[str]:
    """The name of a user's own object that a configuration describes, or None."""
    module, registered = config.get("module"), config.get("registered_name")
    is_registered = isinstance(registered, str) and ">" in registered
    if name == "function":
        function = config.get("config")
        if not isinstance(function, str):
            raise ModelFileError("It holds a function without a name.")
        return [] if _is_function_of_keras(module, function) else [str(registered) if is_registered else function]
    if not isinstance(module, str):
        module = ""
    if registered in (f"sk_mlp>{name}",) and name in OWN:
        return []
    if module.partition(".")[0] == "keras" or name.startswith("__"):
        cls = _class_of_keras(module, name)
        told = config.get("config") or {}
        reads_file = isinstance(told.get("vocabulary"), str)
        is_large = any(isinstance(told.get(key), (int, float)) and told[key] > most for key, most in LARGEST.items())
        if cls is None or cls.__name__ in REFUSED or reads_file or is_large or registered not in (None, name):
            raise ModelFileError(f"It holds {module[:80]}.{name[:80]} in a model, which is refused.")
        return []
    return [str(registered) if is_registered else name]


def _is_function_of_keras(module: Any, name: str) -> bool:
    if not isinstance(module, str) or (module != "builtins" and module.partition(".")[0] != "keras"):
        return False
    modules = ["activations", "losses", "metrics"] if module == "builtins" else [module.removeprefix("keras.")]
    owners = [getattr(keras, part, None) for part in modules if part in OF_FUNCTIONS]
    if any(isinstance(getattr(owner, name, None), types.FunctionType) for owner in owners):
        return True
    if module != "builtins":
        raise ModelFileError(f"It holds the function {module[:80]}.{name[:80]} in a model, which is refused.")
    return False


def _class_of_keras(module: str, name: str) -> type | None:
    """A class of Keras' that a configuration may name."""
    if module.startswith("keras.src."):
        found = getattr(sys.modules.get(module), name, None)
    else:
        found = keras
        for part in [*module.split(".")[1:], name]:
            found = vars(found).get(part) if isinstance(found, types.ModuleType) else None
    return found if isinstance(found, type) and issubclass(found, KINDS) else None


# Objects that are parameters


def written(value: Any, writer: Writer, of: Callable) -> Any:
    """What a file holds for a Keras object, class or function."""
    if isinstance(value, ModelOfConfig):
        for name in names_needed(value.config):
            writer.name(name, value.custom_objects.get(name))
        return {"keras_maker": [value.config, value.policy, of(value.compiled), of(value.statistics)]}
    if isinstance(value, (type, types.FunctionType)):
        return {"keras_name": public_name(value)}
    if isinstance(value, keras.Model):
        maker = model_of_config(value, writer)
        weights = [np.asarray(v) for v in weights_of(value)]
        return {"keras_model": [of(maker), of(weights)]}
    if isinstance(value, keras.callbacks.Callback):
        raise NotKept(
            f"a {kind_of(value)} has no configuration: use its class, whose arguments are parameters of the estimator "
            "(callbacks=keras.callbacks.EarlyStopping, callbacks__patience=3), or set it to None"
        )
    if isinstance(value, keras.DTypePolicy):
        return {"keras": _plain(keras.saving.serialize_keras_object(value))}
    if not hasattr(value, "get_config"):
        raise NotKept(f"a {kind_of(value)} has no configuration")
    config = _plain(keras.saving.serialize_keras_object(value))
    # Keras leaves the arguments of some losses out of their configurations.
    lost = {k: v for k, v in getattr(value, "_fn_kwargs", {}).items() if k not in config["config"]}
    if lost and isinstance(value, keras.losses.Loss):
        config["config"] |= _plain(lost)
    known = unknown_to_keras(value)
    for name in names_needed(config):
        writer.name(name, known.get(name))
    try:
        again = of_config(_unbuilt(config), known)
        same = _is_same(again, value)
    except Exception as error:
        raise NotKept(f"a {kind_of(value)} cannot be made again from its configuration: {error}") from error
    if not same:
        raise NotKept(f"a {kind_of(value)} is another one when it is made again from its configuration")
    return {"keras": config}


def _unbuilt(config: Any) -> Any:
    """A configuration whose layers have no weights yet, which might take any memory.

    Raises
    ------
    ModelFileError
        If there is a model of Keras' in it.
    """
    if isinstance(config, list):
        return [_unbuilt(item) for item in config]
    if not isinstance(config, dict):
        return config
    cls = _class_of_keras(str(config.get("module")), str(config.get("class_name")))
    if cls is not None and issubclass(cls, keras.Model):
        raise ModelFileError("It holds a model within a parameter, which is refused.")
    return {key: _unbuilt(item) for key, item in config.items() if key != "build_config"}


def _is_same(one: Any, other: Any) -> bool:
    """Whether two Keras objects are the same but for names: configurations do not always hold all of a loss."""
    if isinstance(one, (keras.losses.Loss, keras.metrics.Metric)):
        return structure_of(one) == structure_of(other)
    return type(one) is type(other) and _plain(one.get_config()) == _plain(other.get_config())


def public_name(value: Any) -> str:
    """The name by which Keras' users know a class or function.

    Raises
    ------
    NotKept
        If that may do more than describe a model.
    """
    if value in OWN.values():
        return f"sk_mlp.{value.__name__}"
    for part in ("activations", "callbacks", "losses", "metrics", "optimizers", "optimizers.schedules", "ops"):
        if _of_name(f"keras.{part}.{value.__name__}") is value:
            return f"keras.{part}.{value.__name__}"
    raise NotKept(f"{value.__module__}.{value.__qualname__} cannot be kept")


def _of_name(name: Any) -> Any:
    """A class or function of Keras by its name; None if no file may name it."""
    first, _, rest = str(name).partition(".")
    if first == "sk_mlp":
        return OWN.get(rest)
    module, _, last = rest.rpartition(".")
    if first != "keras":
        return None
    if module == "callbacks":
        return getattr(keras.callbacks, last) if last in CALLBACKS else None
    cls = _class_of_keras(f"keras.{module}", last)
    if cls is not None and last not in REFUSED:
        return cls
    owner = getattr(keras, module, None) if module in OF_FUNCTIONS else None
    found = getattr(owner, last, None)
    return found if isinstance(found, types.FunctionType) else None


def read(form: str, inner: Any, reader: Reader) -> Any:
    """The value that `written` has written."""
    if form == "keras_maker":
        config, policy, compiled, statistics = inner if len(inner) > 3 else (*inner, [])
        names_needed(config)
        told = reader.of(compiled), reader.of(statistics)
        return ModelOfConfig(config, str(policy), *told, dict(reader.custom_objects))
    if form == "keras_name":
        found = _of_name(inner)
        if found is None:
            raise ModelFileError(f"It holds {str(inner)[:80]!r}, which is refused.")
        return found
    if form == "keras":
        return of_config(_unbuilt(inner), reader.custom_objects)
    maker, weights = (reader.of(part) for part in inner)
    model = checked_model(maker, [array.shape for array in weights])
    for variable, array in zip(weights_of(model), weights, strict=True):
        variable.assign(array)
    give_statistics(model, statistics_of(model))
    return model
