"""An epoch of a whole population, training and validation, as one XLA program; and the cache of such programs."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import tensorflow as tf

from sk_mlp.engine.recipe import Parts, Recipe, loss_names
from sk_mlp.engine.step import evaluation_step, metric_results, train_step, update_metrics
from sk_mlp.engine.variable_groups import Grouping
from sk_mlp.exceptions import NotCompilableError

N_DATA = 12  # arguments of a program before X
EVALUATION_BATCH = 256  # rows; one size for all, since it is part of a program's structure


class Program:
    """The compiled epoch of ``n_members`` members of one structure.

    Traced once. XLA compiles it anew for other numbers of rows, which are padded to few sizes (`padded_size`).

    Parameters
    ----------
    recipe : Recipe
    hyper_names : tuple of str
        Order of the columns of ``hyper``.
    n_members : int
    record : bool
        Whether it returns the loss of every step instead of the epoch's figures.
    uneven : bool
        Whether some members have fewer batches in an epoch than others, and have to wait for those.
    """

    jit_compile = True  # tests of other things than the programs do without

    def __init__(
        self, recipe: Recipe, hyper_names: tuple[str, ...], n_members: int, record: bool = False, uneven: bool = False
    ):
        self.record, self.uneven = record, uneven
        self.parts = Parts(recipe)
        self.grouping = Grouping(recipe, self.parts)
        self.hyper_names = hyper_names
        self.n_members = n_members
        self.log_names = [*self.parts.log_names, *(f"val_{name}" for name in self.parts.log_names)]
        self._run: Any = None  # tf.types.experimental.ConcreteFunction
        self._lock = threading.Lock()

    def __call__(self, values: list[tf.Tensor], *data: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Train for one epoch.

        Parameters
        ----------
        values : list of Tensor of shape (M, ...)
            The members' variables, as ``grouping.join`` makes them.
        hyper : Tensor of shape (M, n_hyper)
        seeds : Tensor of shape (M,), int32
        y : Tensor of shape (N, n_columns)
        weights : Tensor of shape (N,)
        units : Tensor of shape (M, 2, n_columns)
            Mean and scale of y.
        begins : Tensor of shape (M, 2), int32
            Where a member's rows begin in X, and where they begin in y and weights.
        train : Tensor of shape (M, S, batch_size), int32
            Row numbers of each batch, from where the member's rows begin; its last batch is padded.
        rates : Tensor of shape (M, S)
            Learning rate of each step.
        n_steps : Tensor of shape (), int32
            Batches to run, at most S.
        validation : Tensor of shape (M, V, evaluation batch), int32
        n_validation_steps : Tensor of shape (), int32
        sizes : Tensor of shape (M, 2), int32
            How many of the numbers in ``train`` and in ``validation`` are rows, the others being padding.
        *X : Tensor of shape (N, n_features), float32 or uint8
            For sparse X four: values and column numbers, (n_nonzeros,), where each row begins, (N + 1,), and an array
            of shape (n_features,) for its shape alone.

        Returns
        -------
        values : list of Tensor
            New ones.
        logs : Tensor of shape (M, n_logs)
            In the order of ``log_names``; with ``record`` the steps' losses, (M, S).
        """
        with self._lock:
            if self._run is None:
                self._run = self._trace([*data, *values])
        # Not self._run(...): checking the arguments' types once more would take it a millisecond.
        logs, *values = self._run.inference_fn.call_flat(*data, *values, *self._run.captured_inputs)
        return values, logs

    def _trace(self, arguments: list[tf.Tensor]) -> Any:
        signature = [tf.TensorSpec(argument.shape, argument.dtype) for argument in arguments]
        n_matrices = 3 if self.parts.row_nonzeros else 1  # with as many rows as X has rows or entries
        row_axes = [(2, 0), (3, 0), (6, 1), (7, 1), (9, 1)]  # y, weights, train, rates, validation
        for i, rows_axis in row_axes + [(N_DATA + j, 0) for j in range(n_matrices)]:
            shape = [None if axis == rows_axis else size for axis, size in enumerate(signature[i].shape)]
            signature[i] = tf.TensorSpec(shape, signature[i].dtype)
        epoch = tf.function(self._epoch, jit_compile=self.jit_compile, autograph=False)
        try:
            return epoch.get_concrete_function(*signature)
        except Exception as error:  # tracing runs code of the model, loss and optimizer: anything may come out of it
            raise NotCompilableError(f"the training step cannot be compiled: {error}") from error

    def _epoch(
        self,
        hyper,
        seeds,
        y,
        weights,
        units,
        begins,
        train,
        rates,
        n_steps,
        validation,
        n_validation_steps,
        sizes,
        *others,
    ):
        parts, grouping, lift, single = self.parts, self.grouping, self._lift, self.n_members == 1
        X, values = others[: -len(grouping.sources)], list(others[-len(grouping.sources) :])
        if single:  # the step itself rather than its map over an axis of 1: less to trace and compile, faster kernels
            members = (hyper, seeds, units, begins, train, rates, validation, sizes, *values)
            hyper, seeds, units, begins, train, rates, validation, sizes, *values = (
                tf.squeeze(tensor, 0) for tensor in members
            )

        def rows(numbers, n, begins):
            real = tf.range(numbers.shape[0]) < n
            begin, y_begin = tf.unstack(begins)
            x = gathered(X, numbers + begin, parts.row_nonzeros)
            numbers += y_begin
            weight = tf.where(real, tf.gather(weights, numbers), 0.0)
            return x, tf.gather(y, numbers), weight, real, tf.cast(n, tf.float32)

        def batch_of(table, i, size):  # its numbers, and how many of them are rows
            numbers, n = tf.gather(table, i, axis=-2), tf.unstack(sizes, axis=-1)[size]
            return numbers, tf.clip_by_value(n - i * numbers.shape[-1], 0, numbers.shape[-1])

        def named(hyper):
            return dict(zip(self.hyper_names, tf.unstack(hyper), strict=True))

        def step(values, metrics, total, hyper, rate, seed, units, begins, numbers, n):
            batch = rows(numbers, n, begins)
            values, output, losses = train_step(parts, grouping, values, named(hyper), rate, seed, batch, self.uneven)
            metrics = update_metrics(parts, metrics, batch[1], output, batch[3], units)
            return values, metrics, total + losses

        def evaluate(metrics, total, values, hyper, units, begins, numbers, n):
            batch = rows(numbers, n, begins)
            output, losses = evaluation_step(parts, grouping, values, named(hyper), batch)
            metrics = update_metrics(parts, metrics, batch[1], output, batch[3], units)
            return metrics, total + losses

        def figures(metrics, total, val_metrics, val_total, sizes):
            n, val_n = tf.unstack(tf.cast(sizes, tf.float32))
            averages = [*tf.unstack(total / n), *metric_results(parts, metrics)]
            return tf.stack([*averages, *tf.unstack(val_total / val_n), *metric_results(parts, val_metrics)])

        zero = tf.zeros_like(seeds, tf.float32)
        zeros = tf.stack([zero] * len(loss_names(parts.n_heads)), axis=-1)
        start = tf.nest.map_structure(tf.constant, parts.metric_start)
        if not single:
            start = tf.nest.map_structure(lambda t: tf.broadcast_to(t, (self.n_members, *t.shape)), start)

        def recording_body(i, values, curve):
            numbers, n = batch_of(train, i, 0)
            member = (hyper, tf.gather(rates, i, axis=-1), seeds, units, begins)
            values, _, losses = lift(step)(values, start, zeros, *member, numbers, n)
            now = losses[..., 0] / tf.cast(n, tf.float32)
            return i + 1, values, tf.tensor_scatter_nd_update(curve, [[i]], [now])

        if self.record:
            curve = tf.zeros_like(tf.transpose(rates))
            _, values, curve = tf.while_loop(lambda i, *_: i < n_steps, recording_body, (tf.constant(0), values, curve))
            return self._results(tf.transpose(curve), values)

        def train_body(i, values, metrics, total):
            batch = batch_of(train, i, 0)
            rate = tf.gather(rates, i, axis=-1)
            return i + 1, *lift(step)(values, metrics, total, hyper, rate, seeds, units, begins, *batch)

        begin = (tf.constant(0), values, start, zeros)
        _, values, *trained = tf.while_loop(lambda i, *_: i < n_steps, train_body, begin)

        def evaluation_body(i, metrics, total):
            batch = batch_of(validation, i, 1)
            return i + 1, *lift(evaluate)(metrics, total, values, hyper, units, begins, *batch)

        _, *evaluated = tf.while_loop(
            lambda i, *_: i < n_validation_steps, evaluation_body, (tf.constant(0), start, zeros)
        )
        return self._results(lift(figures)(*trained, *evaluated, sizes), values)

    def _results(self, logs: tf.Tensor, values: list[tf.Tensor]) -> list[tf.Tensor]:
        results = [logs, *values]
        return [tf.expand_dims(tensor, 0) for tensor in results] if self.n_members == 1 else results

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


def padded_size(n: int) -> int:
    """The number of rows to which n rows are padded: powers of two up to 4096, then steps of at most an eighth.

    Padding costs memory only: the program runs over the batches that hold real rows.
    """
    power = 1 << max(6, (n - 1).bit_length())
    if power <= 4096:
        return power
    step = power // 16
    return -(-n // step) * step


class ProgramCache:
    """The programs used last, by structure.

    Parameters
    ----------
    size : int
        How many to keep.
    """

    def __init__(self, size: int):
        self.size = size
        self._programs: OrderedDict[Hashable, Program] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, recipe: Recipe, *kind: Any) -> Program:
        """The program for this structure, made if need be; ``kind`` as in `Program`."""
        key = (recipe.key, *kind)
        with self._lock:
            if key not in self._programs:
                self._programs[key] = Program(recipe, *kind)
            self._programs.move_to_end(key)
            while len(self._programs) > self.size:
                self._programs.popitem(last=False)
            return self._programs[key]

    def clear(self) -> None:
        """Keep none."""
        with self._lock:
            self._programs.clear()


PROGRAMS = ProgramCache(size=32)
