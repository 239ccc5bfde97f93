"""What the user has told Keras in ``model.compile``."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import keras

STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics")  # of a model, which Keras' `fit` calls


def own_step(model: keras.Model | None) -> str:
    """Name of a method of the user's own that Keras' `fit` would call; "" if there is none."""
    methods = {name: getattr(model, name, None) for name in STEPS}
    own = [name for name, method in methods.items() if method and not str(method.__module__).startswith("keras.")]
    return own[0] if own else ""


@dataclass(frozen=True, eq=False)
class Compiled:
    """Arguments of ``model.compile``, for a model of one output.

    Attributes
    ----------
    optimizer : keras.optimizers.Optimizer
    loss : str, callable, keras.losses.Loss or None
    loss_weight : float
    metrics, weighted_metrics : list
        As the user has given them.
    """

    optimizer: keras.optimizers.Optimizer
    loss: Any
    loss_weight: float
    metrics: list
    weighted_metrics: list


def compiled_by_user(model: keras.Model) -> Compiled | None:
    """What a model has been compiled with; None if it has not.

    Raises
    ------
    ValueError
        If its loss_weights are no numbers.
    """
    if model is None or not model.compiled:
        return None
    metrics = model._compile_metrics
    weights = flat(getattr(model._compile_loss, "_user_loss_weights", None))
    if weights and isinstance(weights[0], str):  # the third argument of Keras 2 was metrics
        raise ValueError(
            f"A 'model' must be compiled with loss_weights that are numbers. Got {weights}; if these are metrics, "
            f"compile with metrics={weights}."
        )
    losses = flat(model.loss)
    return Compiled(
        # Under mixed precision, Keras wraps the optimizer in another one.
        optimizer=getattr(model.optimizer, "inner_optimizer", model.optimizer),
        loss=losses[0] if losses else None,
        loss_weight=float(weights[0]) if weights else 1.0,
        metrics=flat(getattr(metrics, "_user_metrics", None)),
        weighted_metrics=flat(getattr(metrics, "_user_weighted_metrics", None)),
    )


def flat(value: Any) -> list:
    """All items of lists and dicts within each other, as Keras takes them for several outputs."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        value = list(value.values())
    return [item for part in value for item in flat(part)] if isinstance(value, (list, tuple)) else [value]


def compile_like(model: keras.Model, other: keras.Model, loss: Any = None, metrics: Collection = ()) -> None:
    """Compile a model in the same way as another one of the same structure, with metrics of its own.

    It gets an optimizer of its own too, unless both share their variables.

    Parameters
    ----------
    model, other : keras.Model
    loss : loss or None
        In place of the other's, if given.
    metrics : collection
        Further ones.
    """
    told = compiled_by_user(other)
    if told is None:
        return
    shares = {id(v) for v in other.trainable_variables} <= {id(v) for v in model.trainable_variables}
    own = Compiled(
        optimizer=told.optimizer if shares else type(told.optimizer).from_config(told.optimizer.get_config()),
        loss=told.loss if loss is None else loss,
        loss_weight=told.loss_weight,
        metrics=[another(metric) for metric in (*told.metrics, *metrics)],
        weighted_metrics=[another(metric) for metric in told.weighted_metrics],
    )
    compile_as(model, own)


def compile_as(model: keras.Model, told: Compiled) -> None:
    """Compile a model with these objects themselves."""
    model.compile(
        optimizer=told.optimizer,
        loss=told.loss,
        loss_weights=None if told.loss_weight == 1 else told.loss_weight,
        metrics=told.metrics or None,
        weighted_metrics=told.weighted_metrics or None,
    )


def ready_to_save(model: keras.Model) -> None:
    """Make the optimizer's variables, and take the optimizers of models within this one away: loading would warn."""
    model.optimizer.build(model.trainable_variables)
    for part in model._flatten_layers(include_self=False):
        if isinstance(part, keras.Model) and part.compiled:
            part.compiled, part.optimizer, part._compile_config = False, None, None


def another(metric: Any) -> Any:
    """A new metric like this one, if it is an object with a state."""
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric
