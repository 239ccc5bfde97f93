"""Learning rate, its schedule and weight decay: from parameters, from the optimizer or from its arguments."""

import inspect
from collections.abc import Collection
from numbers import Real
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from sk_mlp._keras.resolve import resolve_optimizer

if TYPE_CHECKING:
    from sk_mlp._estimator.settings import Settings

Schedule = keras.optimizers.schedules.LearningRateSchedule
RATES = ("learning_rate", "weight_decay")


def settled_rates(settings: "Settings", told: Collection[str]) -> dict[str, Any]:
    """The learning rate, schedule and decay that hold, by the parameters' names.

    Parameters
    ----------
    settings : Settings
    told : collection of str
        Which parameters are meant for the optimizer, rather than for the function that builds the model.

    Raises
    ------
    ValueError
        If one is said in two ways that differ.
    """
    found = {name: _settled(settings, name, told) for name in RATES}
    schedule = found["learning_rate"]
    if not isinstance(schedule, Schedule):
        return found
    if "lr_schedule" in settings.told and settings.lr_schedule is not None:
        raise ValueError(
            f"lr_schedule={settings.lr_schedule!r} must not be set where the learning rate is a schedule itself. "
            f"Got {type(schedule).__name__}."
        )
    return found | {"lr_schedule": schedule, "learning_rate": float(schedule(0)) or 1.0}


def _settled(settings: "Settings", name: str, told: Collection[str]) -> Any:
    """The learning rate, a schedule of it, or the decay that holds."""
    optimizer, routed = settings.optimizer, settings.routed["optimizer"]
    said = {name: getattr(settings, name)} if name in told else {}
    said |= {f"optimizer__{name}": routed[name]} if name in routed else {}
    if len(said) == 2 and not _close(*said.values()):
        raise ValueError(f"{name} and optimizer__{name} are the same and must not differ. Got {list(said.values())}.")
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        value = next(iter(said.values()), None)
        return _default_of(settings, name) if value is None else value
    value = _number_of(optimizer, name)
    for parameter, other in said.items():
        if not _close(value, other):
            raise ValueError(
                f"The {parameter!r} parameter must be that of optimizer={type(optimizer).__name__}, {value!r}. "
                f"Got {other!r} instead."
            )
    return value


def _number_of(optimizer: keras.optimizers.Optimizer, name: str) -> Any:
    """Rate, or its schedule, or decay of an optimizer."""
    if name == "weight_decay":
        return float(optimizer.weight_decay or 0.0)
    rate = optimizer._learning_rate
    if "learning_rate" not in optimizer.get_config():
        raise ValueError(
            "The 'optimizer' parameter must be an optimizer with a learning rate of its own. Got "
            f"{type(optimizer).__name__} instead; give the one that it holds."
        )
    # Keras keeps it as float32: 0.003 rather than 0.003000000026.
    return rate if isinstance(rate, Schedule) else float(str(np.float32(optimizer.get_config()["learning_rate"])))


def _default_of(settings: "Settings", name: str) -> float:
    """The built-in network's default; with a user's model, Keras' own for this optimizer."""
    if settings.model is None:
        return settings.owner._built_in_defaults[name]
    parameters = inspect.signature(resolve_optimizer(settings.optimizer, {})[0]).parameters
    default = parameters[name].default if name in parameters else None
    return float(default) if isinstance(default, (int, float)) else {"learning_rate": 1e-3, "weight_decay": 0.0}[name]


def _close(value: Any, other: Any) -> bool:
    if isinstance(value, Real) and isinstance(other, Real):
        return bool(np.isclose(float(value), float(other), rtol=1e-6, atol=0))
    return value is other
