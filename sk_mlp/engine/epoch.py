"""An epoch of a whole population, training and evaluation, as the graph that a program compiles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from sk_mlp.engine.recipe import Parts, loss_names
from sk_mlp.engine.step import evaluation_step, metric_results, train_step, update_metrics
from sk_mlp.engine.variable_groups import Grouping

OF_MEMBERS = ("hyper", "seeds", "units", "begins", "train", "rates", "validation", "sizes")  # the others are shared


class Data(NamedTuple):
    """What a program is given besides the members' variables, in the order of its arguments: see `Program.__call__`."""

    hyper: tf.Tensor
    seeds: tf.Tensor
    y: tf.Tensor
    weights: tf.Tensor
    units: tf.Tensor
    begins: tf.Tensor
    train: tf.Tensor
    rates: tf.Tensor
    n_steps: tf.Tensor
    validation: tf.Tensor
    n_validation_steps: tf.Tensor
    sizes: tf.Tensor
    X: tuple[tf.Tensor, ...]

    def of_one_member(self) -> "Data":
        """Without the member axis."""
        return self._replace(**{name: tf.squeeze(getattr(self, name), 0) for name in OF_MEMBERS})


@dataclass(frozen=True, eq=False)
class Epoch:
    """Loops over batches, and within them what each member does with a batch.

    Methods whose names end in ``_member`` are written for the tensors of one member; `_lift` maps them over all.

    Attributes
    ----------
    parts : Parts
    grouping : Grouping
    hyper_names : tuple of str
        Order of the columns of ``data.hyper``.
    n_members : int
    uneven : bool
        As in `Program`.
    data : Data
        Of one member without the member axis: the step itself rather than its map over an axis of 1 is less to trace
        and compile, and has faster kernels. So are values and results.
    """

    parts: Parts
    grouping: Grouping
    hyper_names: tuple[str, ...]
    n_members: int
    uneven: bool
    data: Data

    def run(self, values: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Train on all batches, then evaluate: the epoch's figures, (M, n_logs), and the new values."""
        start = self._start()
        values, *trained = self._train(values, *start)
        evaluated = self._evaluate(values, *start)
        return self._lift(self._figures_of_member)(*trained, *evaluated, self.data.sizes), values

    def record(self, values: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Train on all batches: the loss of each step, (M, S), and the new values."""
        data, (metrics, zeros) = self.data, self._start()

        def body(i, values, curve):
            numbers, n = self._batch(data.train, i, 0)
            member = (data.hyper, tf.gather(data.rates, i, axis=-1), data.seeds, data.units, data.begins)
            values, _, losses = self._lift(self._step_of_member)(values, metrics, zeros, *member, numbers, n)
            now = losses[..., 0] / tf.cast(n, tf.float32)
            return i + 1, values, tf.tensor_scatter_nd_update(curve, [[i]], [now])

        curve = tf.zeros_like(tf.transpose(data.rates))
        _, values, curve = tf.while_loop(lambda i, *_: i < data.n_steps, body, (tf.constant(0), values, curve))
        return tf.transpose(curve), values

    def _train(
        self, values: list[tf.Tensor], metrics: list, zeros: tf.Tensor
    ) -> tuple[list[tf.Tensor], list, tf.Tensor]:
        data = self.data

        def body(i, values, metrics, total):
            batch = self._batch(data.train, i, 0)
            member = (data.hyper, tf.gather(data.rates, i, axis=-1), data.seeds, data.units, data.begins)
            return i + 1, *self._lift(self._step_of_member)(values, metrics, total, *member, *batch)

        begin = (tf.constant(0), values, metrics, zeros)
        return tf.while_loop(lambda i, *_: i < data.n_steps, body, begin)[1:]

    def _evaluate(self, values: list[tf.Tensor], metrics: list, zeros: tf.Tensor) -> tuple[list, tf.Tensor]:
        data = self.data

        def body(i, metrics, total):
            batch = self._batch(data.validation, i, 1)
            member = (values, data.hyper, data.units, data.begins)
            return i + 1, *self._lift(self._evaluate_member)(metrics, total, *member, *batch)

        begin = (tf.constant(0), metrics, zeros)
        return tf.while_loop(lambda i, *_: i < data.n_validation_steps, body, begin)[1:]

    def _start(self) -> tuple[list, tf.Tensor]:
        """Metrics before the first batch, and sums of losses that are zero."""
        zero = tf.zeros_like(self.data.seeds, tf.float32)
        zeros = tf.stack([zero] * len(loss_names(self.parts.n_heads)), axis=-1)
        metrics = tf.nest.map_structure(tf.constant, self.parts.metric_start)
        if self.n_members > 1:
            metrics = tf.nest.map_structure(lambda t: tf.broadcast_to(t, (self.n_members, *t.shape)), metrics)
        return metrics, zeros

    def _batch(self, table: tf.Tensor, i: tf.Tensor, which: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Row numbers of batch i of a table, and how many of them are rows; ``which`` column of ``sizes`` tells."""
        numbers, n = tf.gather(table, i, axis=-2), tf.unstack(self.data.sizes, axis=-1)[which]
        return numbers, tf.clip_by_value(n - i * numbers.shape[-1], 0, numbers.shape[-1])

    def _step_of_member(self, values, metrics, total, hyper, rate, seed, units, begins, numbers, n):
        batch = self._rows_of_member(numbers, n, begins)
        hyper = self._named(hyper)
        values, output, losses = train_step(self.parts, self.grouping, values, hyper, rate, seed, batch, self.uneven)
        metrics = update_metrics(self.parts, metrics, batch[1], output, batch[3], units)
        return values, metrics, total + losses

    def _evaluate_member(self, metrics, total, values, hyper, units, begins, numbers, n):
        batch = self._rows_of_member(numbers, n, begins)
        output, losses = evaluation_step(self.parts, self.grouping, values, self._named(hyper), batch)
        metrics = update_metrics(self.parts, metrics, batch[1], output, batch[3], units)
        return metrics, total + losses

    def _rows_of_member(self, numbers, n, begins):
        """A batch as `train_step` takes it."""
        data = self.data
        real = tf.range(numbers.shape[0]) < n
        begin, y_begin = tf.unstack(begins)
        x = gathered(data.X, numbers + begin, self.parts.row_nonzeros)
        numbers += y_begin
        weight = tf.where(real, tf.gather(data.weights, numbers), 0.0)
        return x, tf.gather(data.y, numbers), weight, real, tf.cast(n, tf.float32)

    def _figures_of_member(self, metrics, total, val_metrics, val_total, sizes):
        n, val_n = tf.unstack(tf.cast(sizes, tf.float32))
        averages = [*tf.unstack(total / n), *metric_results(self.parts, metrics)]
        return tf.stack([*averages, *tf.unstack(val_total / val_n), *metric_results(self.parts, val_metrics)])

    def _named(self, hyper: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(self.hyper_names, tf.unstack(hyper), strict=True))

    def _lift(self, function: Callable) -> Callable:
        """A function of one member's tensors to one of tensors with a leading member axis."""
        if self.n_members == 1:
            return function
        return lambda *arguments: tf.vectorized_map(
            lambda tensors: function(*tensors), arguments, fallback_to_while_loop=False
        )


def gathered(X: tuple, rows: tf.Tensor, row_nonzeros: int) -> tf.Tensor:
    """Some rows of X as a dense float32 batch.

    Parameters
    ----------
    X : tuple of Tensor
        As in `Program.__call__`.
    rows : Tensor of shape (batch,), int32
    row_nonzeros : int
        No row of a sparse X has more entries; 0 for a dense X.

    Returns
    -------
    Tensor of shape (batch, n_features)
    """
    if not row_nonzeros:
        return tf.cast(tf.gather(X[0], rows), tf.float32)
    values, columns, begins, features = X
    begin, end = tf.gather(begins, rows), tf.gather(begins, rows + 1)
    entry = begin[:, None] + tf.range(row_nonzeros, dtype=begin.dtype)
    exists = entry < end[:, None]
    entry = tf.where(exists, entry, 0)
    value = tf.where(exists, tf.cast(tf.gather(values, entry), tf.float32), 0.0)
    cell = tf.range(rows.shape[0], dtype=tf.int32)[:, None] * features.shape[0] + tf.gather(columns, entry)
    size = rows.shape[0] * features.shape[0]
    cells = tf.math.unsorted_segment_sum(tf.reshape(value, (-1,)), tf.reshape(cell, (-1,)), size)
    return tf.reshape(cells, (rows.shape[0], features.shape[0]))
