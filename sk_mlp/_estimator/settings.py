"""What holds for a fit: parameters left at "auto", those that a model of the user's own brings, Keras' words in `fit`.

A fit works on a copy of the estimator. Here that copy is given the values that hold, so that nobody asks again.
"""

import copy
import inspect
from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any

import keras
import numpy as np

from sk_mlp._estimator.fit_words import FitWords
from sk_mlp._keras.resolve import resolve_optimizer, routed_to
from sk_mlp._network.builder_arguments import OF_COMPILE, OF_THE_BUILT_IN, OWNABLE, arguments_of, chosen, name_of
from sk_mlp._network.compiled import Compiled, flat

Schedule = keras.optimizers.schedules.LearningRateSchedule

# Attributes that only the copy that a fit works on has.
OF_A_FIT = ("_routed", "_words", "_told", "_arguments", "_data_meta", "_policy")
RATES = ("learning_rate", "weight_decay")
# "auto" with the built-in network, of both estimators.
BUILT_IN = {
    "activation": "mish",
    "batch_norm": False,
    "skip_connection": False,
    "aux_output": False,
    "optimizer": "adam",
    "weight_decay": 0.02,
    "lr_schedule": "cosine",
    "ensemble_size": 8,
}
# "auto" with a model of the user's own: as Keras' `fit` would train it.
WITH_A_MODEL = {
    "optimizer": "adam",
    "lr_schedule": None,
    "batch_size": 32,
    "epochs": 100,
    "patience": 10,
    "ensemble_size": 1,
    "normalize_y": False,
    "input_scaling": None,
}


def settle(estimator: Any, words: FitWords) -> None:
    """Give an estimator that is about to be fitted the values that hold for this fit.

    Raises
    ------
    ValueError, TypeError
        For names and values that no fit can do with.
    """
    vars(estimator).update(words.parameters)
    model, estimator._words, estimator._told = estimator.model, words, estimator._names_set()
    if hasattr(estimator, "_keras_build_fn"):
        raise TypeError(
            f"{type(estimator).__name__} has a method _keras_build_fn, as subclasses of scikeras' wrappers do, "
            "which is not called here. Pass a function, or a method of another object, as 'model'."
        )
    estimator._validate_names()
    owned = arguments_of(model)
    estimator._check_values({name for name in estimator._own_values() if name not in owned or name not in OWNABLE})
    if model is not None:
        # A value of PLAIN_MLP gives way to one that is for the builder alone.
        own = {
            name: value
            for name, value in ((name, getattr(estimator, name)) for name in estimator._told)
            if f"model__{name}" not in estimator._routed or not _asks_for_nothing(name, value)
        }
        vars(estimator).update(
            {name: value for name, value in estimator._in_place().items() if name not in estimator._told}
        )
        estimator._arguments = chosen(model, estimator._routed, own)
        refuse_what_is_built_in(own, model)
    for name, value in (estimator._built_in_defaults if model is None else WITH_A_MODEL).items():
        if is_auto(getattr(estimator, name, None)) and name not in RATES:
            setattr(estimator, name, value)
    if model is None:
        settle_optimizer(estimator, estimator._told)


def refuse_what_is_built_in(own: Mapping[str, Any], model: Any) -> None:
    """Raise an error for parameters that shape the built-in network, beside a model that does not take them."""
    known = arguments_of(model)
    for name in OF_THE_BUILT_IN:
        if name in own and name not in known and not _asks_for_nothing(name, own[name]):
            takes = f"takes {list(known)}" if known else "takes no arguments"
            raise ValueError(
                f"{name}={own[name]!r} applies only to the built-in network. Got model={name_of(model)} besides, which "
                f"{takes}; set {name} back to its default."
            )


def _asks_for_nothing(name: str, value: Any) -> bool:
    return any(_same(value, nothing) for nothing in OF_THE_BUILT_IN.get(name, ()))


def _same(value: Any, other: Any) -> bool:
    return value is other or (type(value) in (str, int, float, bool) and value == other)


def is_auto(value: Any) -> bool:
    """Whether a parameter has been left at "auto"."""
    return isinstance(value, str) and value == "auto"


def take_over(estimator: Any, compiled: Compiled | None, has_weights: bool) -> None:
    """Let what the user's model has been compiled with hold, and what the estimator is told besides.

    Parameters
    ----------
    estimator : estimator
        On which `settle` has been called.
    compiled : Compiled or None
    has_weights : bool
        Whether rows have weights.

    Raises
    ------
    ValueError
        If both say different things.
    """
    owned = arguments_of(estimator.model)
    told = {name for name in OF_COMPILE if name in estimator._told and name not in owned}
    if compiled is None:
        estimator._check_values(OF_COMPILE)
        settle_optimizer(estimator, told)
        return
    if "optimizer" in told:
        cls = resolve_optimizer({"optimizer": estimator.optimizer})[0]
        if cls is not type(compiled.optimizer):
            raise _against("optimizer", estimator.optimizer, type(compiled.optimizer).__name__)
    config = compiled.optimizer.get_config()
    for name, value in routed_to(estimator._routed, "optimizer").items():
        if name not in RATES and not (name in config and _same(value, config[name])):
            raise _against(f"optimizer__{name}", value, f"{name}={config.get(name)!r}")
    estimator.optimizer = compiled.optimizer
    settle_optimizer(estimator, told)
    estimator._routed = {k: v for k, v in estimator._routed.items() if not k.startswith("optimizer__")}
    if "loss" not in told:
        if loss := routed_to(estimator._routed, "loss"):
            raise _against("loss__...", loss, repr(compiled.loss))
        estimator.loss = compiled.loss
    if compiled.weighted_metrics and has_weights:
        raise ValueError(
            "Metrics are computed without weights, so a model must not be compiled with weighted_metrics where rows "
            f"have weights. Got {compiled.weighted_metrics}; use metrics."
        )
    own = [*compiled.metrics, *compiled.weighted_metrics]
    estimator.metrics = [*own, *told_besides(estimator, compiled)[1]] or None


def told_besides(estimator: Any, compiled: Compiled) -> tuple[Any, list]:
    """What an estimator is told besides what its model is compiled with: a loss in its place, or None, and metrics."""
    told = estimator._names_set() - arguments_of(estimator.model).keys()
    metrics = flat(estimator.metrics) if "metrics" in told else []
    own = [*compiled.metrics, *compiled.weighted_metrics]
    others = [metric for metric in metrics if not any(metric is o or _same(metric, o) for o in own)]
    return (estimator.loss if "loss" in told else None), others


def settle_optimizer(estimator: Any, told: Collection[str]) -> None:
    """Set the learning rate, its schedule and the weight decay to what holds, wherever the user has said it.

    Parameters
    ----------
    estimator : estimator
    told : collection of str
        Which of its parameters are meant for the optimizer, rather than for the function that builds the model.

    Raises
    ------
    ValueError
        If they are said in two ways that differ.
    """
    optimizer, routed = estimator.optimizer, routed_to(estimator._routed, "optimizer")
    for name in RATES:
        said = {name: getattr(estimator, name)} if name in told else {}
        said |= {f"optimizer__{name}": routed[name]} if name in routed else {}
        if len(said) == 2 and not _close(*said.values()):
            raise ValueError(
                f"{name} and optimizer__{name} are the same and must not differ. Got {list(said.values())}."
            )
        if isinstance(optimizer, keras.optimizers.Optimizer):
            value = _number_of(optimizer, name)
            for parameter, other in said.items():
                if not _close(value, other):
                    raise ValueError(
                        f"The {parameter!r} parameter must be that of optimizer={type(optimizer).__name__}, {value!r}. "
                        f"Got {other!r} instead."
                    )
        else:
            value = next(iter(said.values()), None)
            value = _default_of(estimator, name) if value is None else value
        setattr(estimator, name, value)
    estimator._routed = {k: v for k, v in estimator._routed.items() if k.removeprefix("optimizer__") not in RATES}
    schedule = estimator.learning_rate
    if isinstance(schedule, Schedule):
        if "lr_schedule" in estimator._told and estimator.lr_schedule is not None:
            raise ValueError(
                f"lr_schedule={estimator.lr_schedule!r} must not be set where the learning rate is a schedule itself. "
                f"Got {type(schedule).__name__}."
            )
        estimator.lr_schedule, estimator.learning_rate = schedule, float(schedule(0)) or 1.0
    estimator._check_values(RATES)


def settled_values(estimator: Any) -> dict[str, Any]:
    """Its parameters, with rates and decay that hold for a model that is not compiled."""
    settled = copy.copy(estimator)
    settle_optimizer(settled, settled._told)
    return settled._values()


def _number_of(optimizer: keras.optimizers.Optimizer, name: str) -> Any:
    """Rate, or its schedule, or decay of an optimizer."""
    if name == "weight_decay":
        return float(optimizer.weight_decay or 0.0)
    rate = optimizer._learning_rate
    # Keras keeps it as float32: 0.003 rather than 0.003000000026.
    return rate if isinstance(rate, Schedule) else float(str(np.float32(optimizer.get_config()["learning_rate"])))


def _default_of(estimator: Any, name: str) -> float:
    """That of the built-in network; with a model, Keras' own for this optimizer."""
    if estimator.model is None:
        return estimator._built_in_defaults[name]
    parameters = inspect.signature(resolve_optimizer({"optimizer": estimator.optimizer})[0]).parameters
    default = parameters[name].default if name in parameters else None
    return float(default) if isinstance(default, (int, float)) else {"learning_rate": 1e-3, "weight_decay": 0.0}[name]


def _close(value: Any, other: Any) -> bool:
    if isinstance(value, Real) and isinstance(other, Real):
        return bool(np.isclose(float(value), float(other), rtol=1e-6, atol=0))
    return value is other


def _against(name: str, value: Any, theirs: str) -> ValueError:
    return ValueError(
        f"{name}={value!r} must not contradict what the model has been compiled with, {theirs}. Set it back to its "
        "default, or let the function that builds the model have it as an argument."
    )
