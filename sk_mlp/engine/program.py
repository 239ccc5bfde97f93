"""An epoch of a whole population as one XLA program, and the programs used last."""

import threading
from functools import partial
from typing import Any

import tensorflow as tf

from sk_mlp.engine.epoch import Data, Epoch
from sk_mlp.engine.last_used import LastUsed
from sk_mlp.engine.recipe import Parts, Recipe
from sk_mlp.engine.variable_groups import Grouping
from sk_mlp.exceptions import NotCompilableError

N_DATA = len(Data._fields) - 1  # arguments of a program before X
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

    jit_compile = True  # false in tests that are not about the programs

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
        # Not self._run(...), which would check the arguments' types once more: a millisecond.
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

    def _epoch(self, *arguments: tf.Tensor) -> list[tf.Tensor]:
        n_variables = len(self.grouping.sources)
        data = Data._make((*arguments[:N_DATA], arguments[N_DATA:-n_variables]))
        values = list(arguments[-n_variables:])
        if self.n_members == 1:
            data, values = data.of_one_member(), [tf.squeeze(value, 0) for value in values]
        epoch = Epoch(self.parts, self.grouping, self.hyper_names, self.n_members, self.uneven, data)
        logs, values = epoch.record(values) if self.record else epoch.run(values)
        results = [logs, *values]
        return [tf.expand_dims(tensor, 0) for tensor in results] if self.n_members == 1 else results


def padded_size(n: int) -> int:
    """The number of rows to which n rows are padded: powers of two up to 4096, then steps of at most an eighth.

    Padding costs memory only: the program runs over the batches that hold real rows.
    """
    power = 1 << max(6, (n - 1).bit_length())
    if power <= 4096:
        return power
    step = power // 16
    return -(-n // step) * step


PROGRAMS: LastUsed[Program] = LastUsed(size=32)


def program_for(programs: LastUsed[Program], recipe: Recipe, *kind: Any) -> Program:
    """The program that these hold for the recipe's structure, made if need be; ``kind`` as in `Program`."""
    return programs.get((recipe.key, *kind), partial(Program, recipe, *kind))
