"""What users name, pass as a class or as an object: to fresh Keras optimizers, losses, metrics and callbacks."""

import contextlib
import copy
import functools
import inspect
import os
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import keras
import numpy as np
from keras.src.utils.naming import to_snake_case

from sk_mlp._compat import route_params, unflatten_params
from sk_mlp._messages import unknown_name
from sk_mlp.engine.structure import structure_of
from sk_mlp.losses import Quantile


def _classes(module: Any, base: type) -> dict[str, Any]:
    """A Keras module's classes that can be made without arguments, by name."""
    found = {name: cls for name, cls in vars(module).items() if inspect.isclass(cls) and issubclass(cls, base)}
    return {
        name: cls
        for name, cls in found.items()
        if cls is not base
        and all(
            p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            for p in inspect.signature(cls).parameters.values()
        )
    }


OPTIMIZERS = {name.lower(): cls for name, cls in _classes(keras.optimizers, keras.optimizers.Optimizer).items()}
LOSSES = {to_snake_case(name): cls for name, cls in _classes(keras.losses, keras.losses.Loss).items()}
LOSSES["quantile"] = Quantile
METRICS = [to_snake_case(name) for name in _classes(keras.metrics, keras.metrics.Metric)]
# Names that Keras resolves by the model's output, which is known here by the layout of y.
ACCURACIES = {
    "binary": keras.metrics.BinaryAccuracy,
    "sparse": keras.metrics.SparseCategoricalAccuracy,
    "one-hot": keras.metrics.CategoricalAccuracy,
}
CROSSENTROPIES = {
    "binary": keras.metrics.BinaryCrossentropy,
    "sparse": keras.metrics.SparseCategoricalCrossentropy,
    "one-hot": keras.metrics.CategoricalCrossentropy,
}


def plain(value: Any) -> Any:
    """A numpy scalar, as searches draw them, to the Python number that Keras wants."""
    return value.item() if isinstance(value, np.generic) else value


def routed_to(params: Mapping[str, Any], destination: str) -> dict[str, Any]:
    """The parameters named ``destination__...``, without that prefix."""
    return {name: plain(value) for name, value in route_params(params, destination, pass_filter=set()).items()}


def resolve_optimizer(params: Mapping[str, Any]) -> tuple[type, dict[str, Any]]:
    """Class and configuration of the optimizer that the ``optimizer`` parameters describe.

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
    optimizer: Any = params["optimizer"]
    routed = {k: v for k, v in routed_to(params, "optimizer").items() if k not in ("learning_rate", "weight_decay")}
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
    return type(optimizer), _without_data(optimizer.get_config())


def _optimizer_arguments(optimizer_class: type, routed: dict[str, Any]) -> dict[str, Any]:
    items = tuple(sorted(routed.items()))
    try:
        hash(items)
    except TypeError:  # such as a list of layers' names
        return _completed_arguments.__wrapped__(optimizer_class, items)
    return _completed_arguments(optimizer_class, items)


@functools.lru_cache(maxsize=64)  # making an optimizer, to see its arguments checked and completed, costs some 3 ms
def _completed_arguments(optimizer_class: type, routed: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    try:
        return _without_data(optimizer_class(**dict(routed)).get_config())
    except (TypeError, ValueError) as error:
        raise ValueError(f"The optimizer's arguments {dict(routed)} are not valid: {error}") from error


def _without_data(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in ("name", "learning_rate", "weight_decay")}


class FunctionLoss(keras.losses.Loss):
    """Loss by a function of (y_true, y_pred) that returns a number a row."""

    def __init__(self, function):
        name = getattr(function, "__name__", "")
        super().__init__(name=name if name.isidentifier() else "loss")  # Keras makes a name scope of it
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


def resolve_loss(params: Mapping[str, Any], default: str, focal: str = "") -> keras.losses.Loss:
    """A fresh Keras loss from the ``loss`` parameters, or of the default's name; ``focal`` is what "focal" stands for.

    Raises
    ------
    ValueError
        For an unknown name or argument.
    """
    loss, routed = default if params["loss"] is None else params["loss"], routed_to(params, "loss")
    if isinstance(loss, str) and loss.startswith("quantile:"):
        loss, routed = Quantile, {"quantile": _number(loss.removeprefix("quantile:")), **routed}
    if isinstance(loss, str):
        names = [focal if loss == "focal" else "", loss.lower(), to_snake_case(loss)]
        with contextlib.suppress(ValueError):  # aliases such as "mse"
            names.append(keras.losses.get(loss.lower()).__name__)
        known = [name for name in names if name in LOSSES]
        if not known:
            raise unknown_name("loss", loss, [*LOSSES, "mse", "mae", "quantile:0.5", *(["focal"] if focal else [])])
        loss = LOSSES[known[0]]
    if inspect.isclass(loss) and issubclass(loss, keras.losses.Loss):
        try:
            return loss(**routed)
        except (TypeError, ValueError) as error:
            raise ValueError(f"The loss's arguments {routed} are not valid: {error}") from error
    if routed:
        raise ValueError(f"loss={loss!r} takes no further arguments. Got {routed}; pass a name or a class instead.")
    return loss if isinstance(loss, keras.losses.Loss) else FunctionLoss(loss)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"The 'loss' parameter must be of the form 'quantile:0.9'. Got 'quantile:{text}'.") from None


def is_of_logits(loss: keras.losses.Loss) -> bool:
    """Whether a loss expects numbers before the sigmoid or softmax."""
    return bool(getattr(loss, "from_logits", False) or getattr(loss, "_fn_kwargs", {}).get("from_logits", False))


def target_layout(loss: keras.losses.Loss, width: int, kind: str) -> str:
    """How y is laid out for a loss: "binary" (0/1 columns), "sparse" (class numbers) or "one-hot"."""
    if kind == "multilabel" or width == 1:
        return "binary"
    return "sparse" if "sparse" in to_snake_case(type(loss).__name__) + "_" + str(loss.name) else "one-hot"


def is_of_classes(loss: keras.losses.Loss) -> bool:
    """Whether a loss is one of Keras' that compare the outputs of all classes, of which one is right."""
    function = loss.function if isinstance(loss, FunctionLoss) else getattr(loss, "fn", None)
    return function in (
        keras.losses.categorical_crossentropy,
        keras.losses.categorical_focal_crossentropy,
        keras.losses.sparse_categorical_crossentropy,
    )


def resolve_metrics(params: Mapping[str, Any], layout: str | None) -> list[keras.metrics.Metric]:
    """Fresh Keras metrics from the ``metrics`` parameters.

    Parameters
    ----------
    params : mapping
    layout : {"binary", "sparse", "one-hot"} or None
        How y is laid out, which decides what "accuracy" means; None for regression.
    """
    metrics = params["metrics"]
    if metrics is None:
        return []
    if isinstance(metrics, Mapping):
        metrics = list(metrics.values())
    metrics = list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]
    metrics = [_metric_class(metric, layout) if isinstance(metric, str) else metric for metric in metrics]
    resolved = []
    for metric in unflatten_params(metrics, routed_to(params, "metrics")):
        if isinstance(metric, keras.metrics.Metric):
            resolved.append(_fresh(metric))
        elif callable(metric):
            resolved.append(keras.metrics.MeanMetricWrapper(metric, name=getattr(metric, "__name__", "metric")))
        else:
            raise ValueError(f"The 'metrics' parameter must hold names, Keras metrics or functions. Got {metric!r}.")
    names = [metric.name for metric in resolved]
    if len(set(names)) < len(names) or "loss" in names:
        raise ValueError(f"The 'metrics' parameter must hold metrics of different names, none 'loss'. Got {names}.")
    return resolved


def _fresh(metric: keras.metrics.Metric) -> keras.metrics.Metric:
    """Another metric like this one; itself, where its class cannot tell how it was made."""
    try:
        other = type(metric).from_config(metric.get_config())
        return other if structure_of(other) == structure_of(metric) else metric
    except Exception:  # whatever a user's class does
        return metric


def _metric_class(name: str, layout: str | None) -> Any:
    by_layout = {"accuracy": ACCURACIES, "acc": ACCURACIES, "crossentropy": CROSSENTROPIES, "ce": CROSSENTROPIES}
    if name in by_layout and layout is not None:
        return by_layout[name][layout](name=name)
    found: Any
    try:
        found = keras.metrics.get(name)
    except ValueError:
        raise unknown_name("metrics", name, METRICS) from None
    if isinstance(found, type):
        return found(name=name)  # type: ignore[call-arg]
    if isinstance(found, keras.metrics.Metric):
        return type(found).from_config({**found.get_config(), "name": name})
    return keras.metrics.MeanMetricWrapper(found, name=name)


# In a metric's name, where the metric does not say itself which way it goes. There are scores that are to fall.
RISING = re.compile("accuracy|auc|f1|iou(?!s)|precision|(?<!erro)r2|recall|score|sensitivity|similarity|specificity")
FALLING = re.compile("brier|crps|deviance|distance|divergence|entropy|error|loss|pinball")
SKILL = re.compile("(?<![a-z])d2|skill")  # against a constant prediction, whatever they measure


def sign_of(monitor: str, metrics: list[keras.metrics.Metric], names: list[str]) -> int:
    """1 if the monitored figure is to fall, -1 if it is to rise.

    Raises
    ------
    ValueError
        If there is no figure of this name.
    """
    if monitor not in names:
        raise unknown_name("monitor", monitor, names)
    name = monitor.removeprefix("val_")
    direction = {metric.name: getattr(metric, "_direction", None) for metric in metrics}.get(name)
    return -1 if direction == "up" or (direction is None and _rises(name)) else 1


def _rises(name: str) -> bool:
    name = name.lower()
    return bool(SKILL.search(name) or (RISING.search(name) and not FALLING.search(name)))


def ideal_of(monitor: str, sign: int, scaled: bool) -> float | None:
    """The least that the monitored figure, times its sign, can be; None where nobody knows.

    Parameters
    ----------
    monitor : str
    sign : int
        As `sign_of` returns it.
    scaled : bool
        Whether 1 is a large loss: not where the loss has the units of a regression's y.
    """
    name = monitor.removeprefix("val_")
    if sign == -1:
        return -1.0 if _rises(name) else None
    return 0.0 if scaled and name.endswith("loss") else None


def resolve_callbacks(params: Mapping[str, Any]) -> list[keras.callbacks.Callback]:
    """The fit's own callbacks: classes are made with their routed arguments, objects are deep copies.

    Raises
    ------
    TypeError
        If something among them is no callback.
    """
    callbacks = unflatten_params(params["callbacks"] or [], routed_to(params, "callbacks"))
    if isinstance(callbacks, Mapping):
        callbacks = list(callbacks.values())
    flat: list[Any] = []
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        flat.extend(callback if isinstance(callback, (list, tuple)) else [callback])
    for callback in flat:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                f"The 'callbacks' parameter must hold Keras callbacks or their classes. Got {callback!r} instead."
            )
    copies = [copy.deepcopy(callback) for callback in flat]
    for callback in copies:
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = _folder_of_this_fit(callback.log_dir)
    return copies


def _folder_of_this_fit(log_dir: str) -> str:
    """A new folder, so that the curves of several fits, as of a search's candidates, lie side by side."""
    return os.path.join(log_dir, f"fit-{datetime.now():%Y%m%d-%H%M%S-%f}-{os.getpid()}")


def direct_monitors(
    callbacks: list[keras.callbacks.Callback], names: list[str], metrics: list[keras.metrics.Metric]
) -> None:
    """Tell callbacks with ``mode="auto"`` which way the figure goes that they watch: no metric of the model's tells it.

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
            )
        if getattr(callback, "mode", None) == "auto":
            callback.mode = "min" if sign_of(monitor, metrics, names) == 1 else "max"
