"""Fresh Keras optimizers and callbacks from names, classes and objects that users pass."""

import functools
import inspect
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import keras

from sk_mlp._estimator.messages import did_you_mean, unknown_name
from sk_mlp._keras.copies import copied
from sk_mlp._keras.inner import BaseOptimizer
from sk_mlp._keras.metrics import sign_of
from sk_mlp._keras.routing import (
    arguments_of,
    checked_arguments,
    classes_without_arguments,
    leaves_of,
    made,
    routed_arguments,
)
from sk_mlp.engine.recipe import needed_rate

OPTIMIZERS = {
    name.lower(): cls for name, cls in classes_without_arguments(keras.optimizers, keras.optimizers.Optimizer).items()
}


def resolve_optimizer(optimizer: Any, arguments: Mapping[str, Any]) -> tuple[type, dict[str, Any]]:
    """Class and configuration of the optimizer that the ``optimizer`` parameter and its arguments describe.

    Parameters
    ----------
    optimizer : str, type or keras.optimizers.Optimizer
    arguments : mapping
        Named ``optimizer__...`` by the user. Rate and decay are no part of the configuration.

    Returns
    -------
    optimizer_class : type
    config : dict
        Arguments other than ``learning_rate`` and ``weight_decay``.

    Raises
    ------
    ValueError
        For an unknown name or argument.
    """
    routed = {name: value for name, value in arguments.items() if name not in ("learning_rate", "weight_decay")}
    if isinstance(optimizer, str):
        if optimizer.lower() not in OPTIMIZERS:
            raise unknown_name("optimizer", optimizer, list(OPTIMIZERS))
        optimizer = OPTIMIZERS[optimizer.lower()]
    if inspect.isclass(optimizer):
        if not issubclass(optimizer, keras.optimizers.Optimizer):
            raise ValueError(f"The 'optimizer' parameter must be a Keras optimizer. Got {optimizer!r} instead.")
        cls: Any = optimizer
        return cls, dict(_optimizer_arguments(cls, routed))
    if routed:
        raise ValueError(
            f"optimizer={optimizer!r} is an object, which takes no further arguments. Got {routed}; pass a name or a "
            "class instead."
        )
    return type(optimizer), _without_data(type(optimizer), optimizer.get_config())


def _optimizer_arguments(optimizer_class: type, routed: dict[str, Any]) -> dict[str, Any]:
    items = tuple(sorted(checked_arguments("optimizer", optimizer_class, routed).items()))
    try:
        hash(items)
    except TypeError:  # a list of layers' names, for example
        return _completed_arguments.__wrapped__(optimizer_class, items)
    return _completed_arguments(optimizer_class, items)


@functools.lru_cache(maxsize=64)  # making an optimizer, to see its arguments checked and completed, costs some 3 ms
def _completed_arguments(optimizer_class: type, routed: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    try:
        optimizer = optimizer_class(**dict(routed), **needed_rate(optimizer_class))
        return _without_data(optimizer_class, optimizer.get_config())
    except (TypeError, ValueError) as error:
        raise ValueError(f"The optimizer's arguments {dict(routed)} are not valid: {error}") from error


def _without_data(optimizer_class: type, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without rate and decay, and without defaults that a user's constructor does not take."""
    own = {name: value for name, value in config.items() if name not in ("name", "learning_rate", "weight_decay")}
    known, takes_any = arguments_of(optimizer_class)
    of_base = inspect.signature(BaseOptimizer.__init__).parameters
    idle = {name for name, value in own.items() if name in of_base and value == of_base[name].default}
    return {name: value for name, value in own.items() if takes_any or name in known or name not in idle}


def resolve_callbacks(callbacks: Any, arguments: Mapping[str, Any]) -> list[keras.callbacks.Callback]:
    """The fit's own callbacks: classes are made with their arguments, objects are deep copies.

    Raises
    ------
    TypeError
        If something among them is no callback.
    """
    given = list(leaves_of([] if callbacks is None else callbacks))
    routed = routed_arguments("callbacks", given, arguments)
    flat = [
        made("callbacks", item, arguments) if inspect.isclass(item) else item
        for (_, item), arguments in zip(given, routed, strict=True)
    ]
    for callback in flat:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                f"The 'callbacks' parameter must hold Keras callbacks or their classes. Got {callback!r} instead."
            )
    copies = [copied(callback) for callback in flat]
    for callback in copies:
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = _folder_of_this_fit(callback.log_dir)
    return copies


def _folder_of_this_fit(log_dir: str) -> str:
    """A new folder, so that the curves of several fits lie side by side, for example of a search's candidates."""
    return os.path.join(log_dir, f"fit-{datetime.now():%Y%m%d-%H%M%S-%f}-{os.getpid()}")


def hint_at_figure(monitor: str, names: list[str]) -> str:
    """What to say where there is no figure of the monitored name: the nearest one, or that no rows are held out."""
    if monitor.startswith("val_") and not any(name.startswith("val_") for name in names):
        return " No rows are held out; pass validation_data or validation_split to fit."
    return did_you_mean(monitor, names)


def direct_monitors(
    callbacks: list[keras.callbacks.Callback], names: list[str], metrics: list[keras.metrics.Metric]
) -> None:
    """Tell callbacks with ``mode="auto"`` which way their figure goes: they find no metric of the model that says it.

    Raises
    ------
    ValueError
        Where Keras would only warn: for a callback that watches a figure which is not among ``names``.
    """
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        idle = isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_best_only
        if not isinstance(monitor, str) or idle:
            continue
        if monitor not in names:
            raise ValueError(
                f"The callback {type(callback).__name__} must monitor one of {sorted(names)}. Got {monitor!r} instead."
                f"{hint_at_figure(monitor, names)}"
            )
        if getattr(callback, "mode", None) == "auto":
            callback.mode = "min" if sign_of(monitor, metrics, names) == 1 else "max"
