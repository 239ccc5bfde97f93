"""What the compiled engine cannot run, known before it tries."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sk_mlp._keras.seeds import seeded
from sk_mlp._network.build import weights_of
from sk_mlp._network.compiled import own_step
from sk_mlp._network.mapped_layers import Batch, dropout_layers, engine_layers
from sk_mlp._network.spec import Blueprint
from sk_mlp._tables.selection import Inputs, Matrix, dense, to_inputs
from sk_mlp.engine.last_used import LastUsed
from sk_mlp.engine.recipe import Recipe, has_data
from sk_mlp.engine.step import take_columns
from sk_mlp.layers import ColumnEncoding

BATCH_EVENTS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
# Keras' own callbacks with methods for batches that do nothing while this holds.
WITHOUT_BATCHES = {
    keras.callbacks.BackupAndRestore: lambda callback: callback.save_freq == "epoch",
    keras.callbacks.ModelCheckpoint: lambda callback: callback.save_freq == "epoch",
    keras.callbacks.TensorBoard: lambda callback: callback.update_freq == "epoch" and not callback._stop_batch,
}
# Keras' optimizers that only apply their rule in `fit`; others keep two sets of weights or look at whole matrices.
RULES = {
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Nadam",
    "RMSprop",
    "SGD",
}
# Settings of an optimizer that make Keras' `fit` do more than apply the rule.
OUTSIDE_THE_RULE = ("ema_overwrite_frequency", "gradient_accumulation_steps", "loss_scale_factor")


def wants_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback acts at batches or evaluations: the compiled engine sends no events of these."""
    for cls, is_quiet in WITHOUT_BATCHES.items():
        if type(callback) is cls:
            return not is_quiet(callback)
    methods = {event: getattr(callback, event) for event in BATCH_EVENTS}
    return any(
        getattr(method, "__func__", None) is not getattr(keras.callbacks.Callback, event)
        for event, method in methods.items()
    )


def why_not_compilable(recipe: Recipe, callbacks: list[keras.callbacks.Callback]) -> str | None:
    """The reason why a fit needs Keras' own `fit`, or None."""
    for callback in callbacks:
        if wants_batches(callback):
            return f"the callback {type(callback).__name__} wants to be called at every batch"
    if recipe.of_whole_batches:
        return f"{recipe.of_whole_batches} needs whole batches, while the last one is filled up with other rows"
    if name := own_step(recipe.blueprint.sample):
        return f"the model's own {name} needs Keras' fit"
    optimizer = recipe.optimizer_class
    if has_data(optimizer) and optimizer.__name__ not in RULES:
        return f"the optimizer {optimizer.__name__} needs Keras' fit"
    for name in OUTSIDE_THE_RULE:
        if recipe.optimizer_config.get(name):
            return f"optimizer__{name}={recipe.optimizer_config[name]!r} needs Keras' fit"
    if recipe.loss.reduction not in ("sum_over_batch_size", "mean"):
        return f"the loss's reduction {recipe.loss.reduction!r} needs Keras' fit"
    return None


MIXING: LastUsed[tuple[bool, bool]] = LastUsed(size=32)  # of models, by their structures


def mixes_rows(blueprint: Blueprint, X: Matrix) -> tuple[bool, bool]:
    """Whether what a user's model puts out for a row, or its state, depends on the rows beside it.

    Batch normalization does not count, which the engine runs in its own way.

    Returns
    -------
    in_training, in_prediction : bool
    """
    model, columns = blueprint.sample, blueprint.columns
    return MIXING.get(
        blueprint.structure,
        lambda: (_mixes_rows(model, columns, dense(X[:100]), True), _mixes_rows(model, columns, dense(X[:100]), False)),
    )


def _mixes_rows(model: keras.Model, columns: Inputs, rows: NDArray, training: bool) -> bool:
    first, other = rows[0], rows[np.abs(rows - rows[0]).sum(axis=1).argmax()]
    try:
        one, two = (_called(model, columns, np.stack([first, other, last]), training) for last in (first, other))
    except Exception:  # of a user's code: training will tell
        return False
    return not all(np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in zip(one, two, strict=True))


def _called(model: keras.Model, columns: Inputs, batch: NDArray, training: bool) -> list[NDArray]:
    """Output for all rows but the last, which only fills the batch up, and the model's state after that."""
    real = tf.constant([True] * (len(batch) - 1) + [False])
    rates = {number: tf.constant(layer.rate, tf.float32) for number, layer in enumerate(dropout_layers(model))}
    arguments = {"training": training} if model._call_has_training_arg else {}
    with (
        seeded(0),
        engine_layers(model, Batch(real, tf.constant(0), rates)),
        keras.StatelessScope(collect_losses=True) as scope,
    ):
        for layer in model.layers:
            if isinstance(layer, ColumnEncoding):  # which has not learned the columns yet
                layer.scale.assign(tf.ones_like(layer.scale))
        (output,) = keras.tree.flatten(model(to_inputs(tf.constant(batch), columns, take_columns), **arguments))
        state = [scope.get_current_value(variable) for variable in weights_of(model)]
    return [np.asarray(output)[:-1], *(np.asarray(value) for value in state if value is not None)]  # that have changed
