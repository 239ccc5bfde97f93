"""One member's training step and its evaluation on one batch: written for one model, mapped over many."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from sk_mlp._network.mapped_layers import Batch, engine_layers, scramble
from sk_mlp._network.names import Y_MEAN, Y_SCALE, dropout_rates, n_columns_of, of_column
from sk_mlp._tables.selection import to_inputs
from sk_mlp.engine.recipe import OPTIMIZER_DATA, Parts
from sk_mlp.engine.variable_groups import Grouping
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.losses import keras_name


def forward(parts: Parts, weights: list, x: tf.Tensor, training: bool) -> tuple[list[tf.Tensor], list, tf.Tensor]:
    """Run the model with the given weights.

    Returns
    -------
    outputs : list of Tensor of shape (batch, width), float32
        The main one, and the auxiliary one if there is one; Keras too takes losses of float32, whatever the policy.
    non_trainable : list of Tensor
        New values, as batch normalization moves its statistics.
    penalty : Tensor of shape ()
        Sum of the losses that layers add (regularizers).
    """
    model = parts.model
    variables = parts.variables[: parts.n_weights]
    arguments = {"training": training} if model._call_has_training_arg else {}
    with keras.StatelessScope(state_mapping=zip(variables, weights, strict=True), collect_losses=True) as scope:
        trained = [scope.get_current_value(v) for v in variables[: parts.n_trainable]]
        outputs = model(to_inputs(x, parts.columns, take_columns), **arguments)
        if scope.losses:  # of regularizers of activities, or add_loss: they would see the rows that fill up a batch
            raise NotCompilableError("a layer adds a loss of the batch, which needs Keras' fit")
        if any(scope.get_current_value(v) is not w for v, w in zip(variables, trained, strict=False)):
            raise NotCompilableError("a layer sets weights that are trained, which needs Keras' fit")
        _refuse_mask(outputs, "the output")
        penalty = tf.add_n([tf.cast(tf.reduce_sum(loss), tf.float32) for loss in model.losses] or [tf.zeros(())])
    outputs = [tf.cast(output, tf.float32) for output in (outputs if parts.n_heads > 1 else [outputs])]
    return outputs, [scope.get_current_value(v) for v in variables[parts.n_trainable :]], penalty


def row_losses(loss: keras.losses.Loss, y: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Loss of each row, shape (batch,), in the output's precision."""
    losses = loss.call(y, output if goes_with(loss, output) else tf.identity(output))
    _refuse_mask(losses, "the loss")
    return tf.reduce_mean(tf.reshape(losses, (tf.shape(y)[0], -1)), axis=1)


def _refuse_mask(tensor: tf.Tensor, what: str) -> None:
    if getattr(tensor, "_keras_mask", None) is not None:
        raise NotCompilableError(f"{what} leaves out some rows by a mask, which needs Keras' fit")


def goes_with(loss: keras.losses.Loss, output: tf.Tensor) -> bool:
    """Whether Keras may look up an output's logits: a binary cross-entropy would take a softmax's for a sigmoid's."""
    operation = getattr(getattr(output, "op", None), "type", "")
    return operation != "Softmax" or not keras_name(loss).startswith("binary_")


def losses_as_trained(loss: keras.losses.Loss, y: tf.Tensor, output: tf.Tensor, hyper: dict) -> tf.Tensor:
    """Loss of each row. Where it depends on y's units, y and the output are in the user's units.

    A ``gradient_scale`` makes the gradient larger, and leaves the loss as it is.
    """
    n_columns = n_columns_of(hyper)
    if not n_columns:
        return row_losses(loss, y, output)
    mean, scale = (tf.stack([hyper[of_column(name, i)] for i in range(n_columns)]) for name in (Y_MEAN, Y_SCALE))
    losses = row_losses(loss, y * scale + mean, tf.cast(output, y.dtype) * scale + mean)
    if "gradient_scale" not in hyper:
        return losses
    return losses + (hyper["gradient_scale"] - 1.0) * (losses - tf.stop_gradient(losses))


def take_columns(x: tf.Tensor, numbers: tuple[int, ...]) -> tf.Tensor:
    """Some columns of a batch."""
    return tf.gather(x, np.array(numbers, np.int32), axis=1)


def summed_losses(parts: Parts, y: tf.Tensor, outputs: list[tf.Tensor], weight: tf.Tensor, hyper: dict) -> tf.Tensor:
    """Sums of weight x loss over a batch: (1,), or (3,) for the whole, the main output's and the auxiliary one's."""
    losses = [losses_as_trained(parts.loss, y, output, hyper) for output in outputs]
    sums = [tf.reduce_sum(loss * tf.cast(weight, loss.dtype)) for loss in losses]
    if len(sums) == 1:
        return tf.stack(sums)
    share = hyper["aux_loss_weight"]
    return tf.stack([(1.0 - share) * sums[0] + share * sums[1], *sums])


def update_metrics(
    parts: Parts, values: list, y: tf.Tensor, output: tf.Tensor, real: tf.Tensor, units: tf.Tensor
) -> list:
    """State of the metrics, a list a metric, after a batch; in y's units, padding left out."""
    if y.dtype.is_floating:
        output = tf.cast(output, y.dtype)
        y, output = y * units[1] + units[0], output * units[1] + units[0]
    weight = tf.cast(real, tf.float32)
    return [
        metric.stateless_update_state(value, y, output, sample_weight=weight)
        for metric, value in zip(parts.metrics, values, strict=True)
    ]


def metric_results(parts: Parts, values: list) -> list[tf.Tensor]:
    """Value of each metric, scalars."""
    results = []
    for metric, value in zip(parts.metrics, values, strict=True):
        with keras.StatelessScope(state_mapping=zip(metric.variables, value, strict=True)):
            results.append(keras.ops.cast(metric.result(), "float32"))  # a bare variable too is read in the scope
    return results


class TracedNumber:
    """A number of an optimizer as data: a scalar tensor with ``1 - x`` known to full precision, and never zero.

    Parameters
    ----------
    value, complement : Tensor of shape (), float32
        x and 1 - x.
    """

    def __init__(self, value: tf.Tensor, complement: tf.Tensor):
        self.value, self.complement = value, complement
        self.dtype, self.shape = value.dtype, value.shape

    def __tf_tensor__(self, dtype=None, name=None) -> tf.Tensor:
        return self.value

    def __rsub__(self, other):
        return self.complement if other == 1 else other - self.value

    def __mul__(self, other):
        return self.value * other

    __rmul__ = __mul__

    def __rtruediv__(self, other):
        return other / self.value

    __hash__ = None  # type: ignore[assignment]

    def __ne__(self, other) -> bool:  # optimizers ask whether momentum != 0, or > 0: that is structure, not data
        return True

    def __gt__(self, other) -> bool:
        return True


@contextmanager
def numbers_as_data(optimizer: keras.optimizers.Optimizer, hyper: dict[str, tf.Tensor]) -> Iterator[None]:
    """Let the optimizer calculate with traced numbers within the context."""
    traced = {name: TracedNumber(hyper[name], hyper[f"1 - {name}"]) for name in OPTIMIZER_DATA if name in hyper}
    traced["weight_decay"] = hyper["weight_decay"]
    before = {name: getattr(optimizer, name) for name in traced}
    vars(optimizer).update(traced)
    try:
        yield
    finally:
        vars(optimizer).update(before)


def train_step(
    parts: Parts,
    grouping: Grouping,
    values: list,
    hyper: dict,
    learning_rate: tf.Tensor,
    seed: tf.Tensor,
    batch: tuple,
    may_be_empty: bool,
) -> tuple[list, tf.Tensor, tf.Tensor]:
    """One optimizer step of one member.

    The loss is the sum over the batch's real rows of weight x loss, divided by their number, plus penalties: what Keras
    computes from a batch without padding.

    Parameters
    ----------
    parts : Parts
    grouping : Grouping
    values : list of Tensor
        The member's variables, as ``grouping.join`` makes them.
    hyper : dict of str to Tensor of shape ()
        Weight decay, label smoothing, weight of the auxiliary loss, dropout rates, optimizer's numbers.
    learning_rate : Tensor of shape ()
    seed : Tensor of shape (), int32
    batch : (x, y, weight, real, n)
        Tensors with ``batch_size`` rows; ``real`` is False for padding; their number without padding, float32.
    may_be_empty : bool
        Whether a batch that is all padding is to change nothing: it costs a seventh of a small network's step.

    Returns
    -------
    values : list of Tensor
    output : Tensor of shape (batch, width)
    losses : Tensor of shape (1,) or (3,)
        Times the number of real rows, as in `summed_losses`.
    """
    x, y, weight, real, n = batch
    y = smoothed(y, hyper)
    optimizer = grouping.optimizer
    groups, rest = values[: grouping.n_groups], values[grouping.n_groups : grouping.n_weights]
    slots = values[grouping.n_weights :]
    slots[grouping.index(optimizer._learning_rate) - grouping.n_weights] = learning_rate
    iteration = values[grouping.index(optimizer._iterations)]
    rates = dropout_rates(hyper)
    noise = scramble(seed + scramble(tf.cast(iteration, tf.int32))) if rates else None
    share = weight if parts.weighs_norm else real
    with (
        engine_layers(parts.model, Batch(share, noise, rates)),
        tf.GradientTape(watch_accessed_variables=False) as tape,
    ):
        tape.watch(groups)
        outputs, new_rest, penalty = forward(parts, grouping.weights([*groups, *rest]), x, training=True)
        sums = summed_losses(parts, y, outputs, weight, hyper)
        loss = sums[0] / tf.cast(tf.maximum(n, 1.0), sums.dtype) + tf.cast(penalty, sums.dtype)
    gradients = tape.gradient(loss, groups)
    with numbers_as_data(optimizer, hyper):
        new_groups, new_slots = optimizer.stateless_apply(slots, gradients, groups)
    new = [*new_groups, *new_rest, *new_slots]
    for frozen in parts.frozen:
        i = grouping.sources.index([frozen])
        for j in {i, *grouping.averages[i : i + 1]}:  # variables that no optimizer trains have no average
            new[j] = tf.where(hyper["frozen"] > 0, values[j], new[j])
    if may_be_empty:
        new = [tf.where(n > 0, a, b) for a, b in zip(new, values, strict=True)]
    return new, outputs[0], with_penalty(sums, penalty, n)


def with_penalty(sums: tf.Tensor, penalty: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
    """Summed losses, the whole one with the penalty times the number of rows, float32."""
    return tf.cast(sums, tf.float32) + penalty * n * np.eye(1, sums.shape[0], dtype=np.float32)[0]


def smoothed(y: tf.Tensor, hyper: dict[str, tf.Tensor]) -> tf.Tensor:
    """Labels with a share of the weight spread evenly, where asked for (Szegedy et al. 2016, arXiv 1512.00567)."""
    if "label_smoothing" not in hyper:
        return y
    return y * (1 - hyper["label_smoothing"]) + hyper["smoothed_label"]


def evaluation_step(
    parts: Parts, grouping: Grouping, values: list, hyper: dict, batch: tuple
) -> tuple[tf.Tensor, tf.Tensor]:
    """Output (batch, width) and losses, times the number of real rows, of one member on one batch."""
    x, y, weight, _, n = batch
    outputs, _, penalty = forward(parts, grouping.weights_to_predict(values), x, training=False)
    sums = summed_losses(parts, smoothed(y, hyper), outputs, weight, hyper)
    return outputs[0], with_penalty(sums, penalty, n)
