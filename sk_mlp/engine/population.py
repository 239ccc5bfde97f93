"""Members that one compiled program trains, and the interface of all ways to train members."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._network.layout import State, StateLayout
from sk_mlp._network.spec import Member
from sk_mlp._tables.selection import Matrix, stacked
from sk_mlp.engine.padded_widths import corner, in_corner, narrowed
from sk_mlp.engine.program import EVALUATION_BATCH, PROGRAMS, padded_size, program_for
from sk_mlp.engine.recipe import Parts, Recipe
from sk_mlp.engine.run import Run
from sk_mlp.exceptions import NotCompilableError


def permutation(seed: int, epoch: int, n: int) -> NDArray:
    """An order of n rows."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def epoch_order(member: Member, epoch: int, shuffle: bool, permuted: Callable = permutation) -> NDArray:
    """The member's training rows in the order of this epoch, which follows from its seed alone."""
    return member.train[permuted(member.seed, epoch, len(member.train))] if shuffle else member.train


def step_rates(member: Member, epoch: int, batch_size: int, learning_rate: float) -> NDArray:
    """Learning rate of each step of an epoch."""
    n_steps = -(-len(member.train) // batch_size)
    return learning_rate * member.schedule.factors(epoch + np.arange(n_steps) / n_steps)


def evaluation_rows(member: Member) -> NDArray:
    """The rows on which a member is evaluated after each epoch: held-out ones, or else some of its training rows.

    Their loss tells whether the weights are still finite, for the training loss is that of the weights before.
    """
    return member.validation if len(member.validation) else member.train[:EVALUATION_BATCH]


def fill_row(table_row: NDArray, numbers: NDArray) -> None:
    """Write row numbers into a row of a table, and repeat the last of them up to its end.

    What is repeated is padding, of weight 0. But 0 times nan is nan: so padding must be a row that counts in the same
    batch anyway. A row that the member does not use must not change its results, whatever it holds.
    """
    table_row[: len(numbers)] = numbers
    table_row[len(numbers) :] = numbers[-1]


class Population(ABC):
    """Members of one structure that train side by side.

    Attributes
    ----------
    n_slots : int
        How many members it can have.
    parts : Parts
    batch_size : int
    states
        The members' present states, whatever form they have; for `select` and `extract` only.
    """

    n_slots: int
    parts: Parts
    batch_size: int
    states: Any

    @abstractmethod
    def admit(self, runs: dict[int, Run]) -> None:
        """Let these runs' members take these slots, and go on from the runs' states."""

    @abstractmethod
    def run_epoch(self, epochs: dict[int, int], rates: dict[int, NDArray]) -> dict[str, NDArray]:
        """Train some members for one epoch.

        Parameters
        ----------
        epochs : dict of int to int
            Number of the epoch, by slot: of all slots that have a member.
        rates : dict of int to ndarray
            Learning rate of each step, by slot.

        Returns
        -------
        logs : dict of str to ndarray of shape (n_slots,)
            ``loss`` and metrics over the training rows; those over `evaluation_rows` with ``val_`` before the name.
        """

    @abstractmethod
    def select(self, improved: NDArray, kept):
        """The present states where ``improved``, (n_slots,) bool, else the kept ones."""

    @abstractmethod
    def extract(self, states, m: int) -> State:
        """State of the member in slot m, of ``states`` or of what `select` has returned."""

    @abstractmethod
    def replace(self, m: int, state: State) -> None:
        """Set the present state of the member in slot m."""


class DeviceRows:
    """The rows of all members that train by one compiled program, as its tensors.

    Parameters
    ----------
    recipe : Recipe
    members : list of Member

    Attributes
    ----------
    X : list of Tensor
    y, weights : Tensor
    begins : dict of int to tuple of int
        For the id of each `Rows`, where its X begins in ``X``, and where its y and weights begin in ``y``, ``weights``.
    n_train, n_validation : int
        Width of a table of row numbers that holds any member's, whole batches.
    uneven : bool
        Whether some members have fewer batches in an epoch than others.
    parts : dict of Hashable to Parts
        Of the members' networks, by the key of their recipes: made by the first population that needs them.
    """

    def __init__(self, recipe: Recipe, members: list[Member]):
        self.parts: dict[Hashable, Parts] = {}
        self._rows = list({id(member.rows): member.rows for member in members}.values())  # kept: so ids remain theirs
        matrices = list({id(rows.X): rows.X for rows in self._rows}.values())
        x_begins = dict(zip(map(id, matrices), _begins(matrices), strict=True))
        y_begins = _begins([rows.y for rows in self._rows])
        self.begins = {id(rows): (x_begins[id(rows.X)], y) for rows, y in zip(self._rows, y_begins, strict=True)}
        n_rows = padded_size(sum(matrix.shape[0] for matrix in matrices))
        self.X = [_tensor(array) for array in program_matrix(matrices, n_rows)]
        n_rows = padded_size(sum(len(rows.y) for rows in self._rows))
        self.y = _tensor(_padded([rows.y for rows in self._rows], n_rows))
        self.weights = _tensor(_padded([rows.weights for rows in self._rows], n_rows))
        self.uneven = len({-(-n // recipe.batch_size) for m in members for n in (len(m.train), m.most_rows)}) > 1
        self.n_train = _whole_batches(max(member.most_rows for member in members), recipe.batch_size)
        self.n_validation = _whole_batches(max(len(evaluation_rows(member)) for member in members), EVALUATION_BATCH)


def _begins(arrays: list) -> list[int]:
    return np.cumsum([0, *(array.shape[0] for array in arrays)])[:-1].tolist()


def _whole_batches(n_rows: int, batch_size: int) -> int:
    return -(-padded_size(n_rows) // batch_size) * batch_size


class CompiledPopulation(Population):
    """Members trained by one compiled program.

    Parameters
    ----------
    recipe : Recipe
    data : DeviceRows
        Of all members that may come.
    hyper_names : iterable of str
        What members have in ``hyper``.
    n_slots : int
    record : bool
        For `sweep`.
    """

    states: list[tf.Tensor]

    def __init__(
        self, recipe: Recipe, data: DeviceRows, hyper_names: Iterable[str], n_slots: int, record: bool = False
    ):
        self.n_slots, self.batch_size = n_slots, recipe.batch_size
        self._shuffle, self._data = recipe.shuffle, data
        self._hyper_names = (*hyper_names, *(["frozen"] if recipe.frozen else []))
        self._program = program_for(PROGRAMS, recipe, self._hyper_names, n_slots, record, n_slots > 1 and data.uneven)
        self.parts = self._program.parts
        self._runs: dict[int, Run] = {}
        self._layouts: dict[int, StateLayout] = {}
        data.parts.setdefault(recipe.key, self.parts)
        self._seeds = np.zeros(n_slots, np.int32)
        self._begins = np.zeros((n_slots, 2), np.int32)
        self._units = np.ones((n_slots, 2, data.y.shape[1]), np.float32)
        self._validation = np.zeros((n_slots, data.n_validation), np.int32)

    def admit(self, runs: dict[int, Run]) -> None:
        started: dict[int, State] = {}
        for m, run in runs.items():
            member, rows = run.member, run.member.rows
            if run.layout and run.state:  # it has been in a population before
                started[m], layout = run.state, run.layout
            else:
                parts = self._parts_of(run.recipe)
                started[m], layout = parts.start(member, run.state), parts.layout
            run.enter(layout, started[m])
            self._runs[m], self._layouts[m] = run, layout
            self._seeds[m], self._begins[m] = member.seed, self._data.begins[id(rows)]
            with np.errstate(over="ignore"):  # metrics of numbers that float32 does not hold are infinite
                self._units[m] = rows.y_mean, rows.y_scale
            evaluated = evaluation_rows(member)
            fill_row(self._validation[m], evaluated)
        validation = self._validation.reshape(self.n_slots, -1, EVALUATION_BATCH)
        self._of_members = [tf.constant(array) for array in (self._seeds, self._units, self._begins, validation)]
        if len(runs) == self.n_slots or not hasattr(self, "states"):
            arrays = {m: self._arrays(m, state) for m, state in started.items()}
            any_arrays = next(iter(arrays.values()))
            states = [arrays.get(m, any_arrays) for m in range(self.n_slots)]
            self.states = [tf.constant(np.stack(arrays)) for arrays in zip(*states, strict=True)]
        else:
            for m, state in started.items():
                self.replace(m, state)

    def _parts_of(self, recipe: Recipe) -> Parts:
        if recipe.key not in self._data.parts:  # of a narrower network
            self._data.parts[recipe.key] = narrowed(self.parts, recipe)
        return self._data.parts[recipe.key]

    def run_epoch(self, epochs: dict[int, int], rates: dict[int, NDArray]) -> dict[str, NDArray]:
        numbers = np.zeros((self.n_slots, self._data.n_train), np.int32)
        table = np.zeros((self.n_slots, self._data.n_train // self.batch_size), np.float32)
        sizes = np.zeros((self.n_slots, 2), np.int32)
        permuted = cache(permutation)  # a search's candidates often have the same seed
        for m, epoch in epochs.items():
            member = self._runs[m].member
            fill_row(numbers[m], epoch_order(member, epoch, self._shuffle, permuted))
            table[m, : len(rates[m])] = rates[m]
            sizes[m] = len(member.train), len(evaluation_rows(member))
        batches = numbers.reshape(self.n_slots, -1, self.batch_size)
        logs = self._call(epochs, batches, table, max(map(len, rates.values())), sizes)
        return dict(zip(self._program.log_names, logs.T.astype(np.float64), strict=True))

    def sweep(self, learning_rates: NDArray) -> NDArray:
        """Let the member in slot 0 take one step at each of these rates, over as many epochs as that needs.

        The population must have been made with ``record``.

        Parameters
        ----------
        learning_rates : ndarray of shape (n_steps,)

        Returns
        -------
        losses : ndarray of shape (n_steps,)
            Of each step's batch, before the step.
        """
        member, n_steps = self._runs[0].member, len(learning_rates)
        n_rows = n_steps * self.batch_size
        n_epochs = -(-n_rows // len(member.train))
        order = np.concatenate([epoch_order(member, epoch, self._shuffle) for epoch in range(n_epochs)])
        batches = order[:n_rows].reshape(1, n_steps, self.batch_size)
        rates = learning_rates.astype(np.float32)[None]
        return self._call({0: 0}, batches, rates, n_steps, np.full((1, 2), n_rows, np.int32))[0]

    def _call(self, epochs: dict[int, int], batches: NDArray, rates: NDArray, n_steps: int, sizes: NDArray) -> NDArray:
        n_validation_steps = -(-int(sizes[:, 1].max()) // EVALUATION_BATCH)
        data, (seeds, units, begins, validation) = self._data, self._of_members
        try:
            self.states, logs = self._program(
                self.states,
                tf.constant(self._hyper(epochs)),
                seeds,
                data.y,
                data.weights,
                units,
                begins,
                tf.constant(batches),
                tf.constant(rates),
                tf.constant(n_steps),
                validation,
                tf.constant(n_validation_steps),
                tf.constant(sizes),
                *data.X,
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.InternalError) as error:
            raise NotCompilableError(f"XLA does not compile the training step: {error.message}") from error
        return logs.numpy()

    def _hyper(self, epochs: dict[int, int]) -> NDArray:
        """Every member's numbers in this epoch: (n_slots, n_hyper), float32."""
        frozen = {m: {"frozen": epoch < self._runs[m].member.frozen_epochs} for m, epoch in epochs.items()}
        tables = {m: self._runs[m].hyper | frozen[m] for m in epochs}
        any_table = next(iter(tables.values()))  # for slots without a member
        rows = [tables.get(m, any_table) for m in range(self.n_slots)]
        return np.array([[row[name] for name in self._hyper_names] for row in rows], np.float32)

    def select(self, improved: NDArray, kept):
        if improved.all():
            return self.states
        return [
            tf.where(tf.reshape(improved, (-1,) + (1,) * (new.shape.rank - 1)), new, old)
            for new, old in zip(self.states, kept, strict=True)
        ]

    def extract(self, states, m: int) -> State:
        arrays, layout = self._program.grouping.split([tensor.numpy()[m] for tensor in states]), self._layouts[m]
        return layout.pack([corner(array, shape) for array, shape in zip(arrays, layout.shapes, strict=True)])

    def replace(self, m: int, state: State) -> None:
        self.states = [
            tf.tensor_scatter_nd_update(old, [[m]], [new])
            for old, new in zip(self.states, self._arrays(m, state), strict=True)
        ]

    def _arrays(self, m: int, state: State) -> list[NDArray]:
        arrays = zip(self._layouts[m].unpack(state), self.parts.layout.shapes, strict=True)
        return self._program.grouping.join([in_corner(array, shape) for array, shape in arrays])


ALIGNMENT = 64  # bytes, of TensorFlow's buffers


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    """An empty array that lies so that TensorFlow can take its memory."""
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = np.empty(n_bytes + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + n_bytes].view(dtype).reshape(shape)


def _tensor(array: NDArray) -> tf.Tensor:
    """An array that nobody changes any more as a tensor; in the same memory where possible, as `tf.constant` copies."""
    if array.ctypes.data % ALIGNMENT or not array.size:
        return tf.constant(array)
    return tf.identity(tf.experimental.dlpack.from_dlpack(array.__dlpack__()))  # which goes to the GPU if there is one


def _padded(blocks: list[NDArray], n: int, value: float = 0) -> NDArray:
    """The arrays, one below the other, and rows of ``value``, n rows in all."""
    padded = _aligned((n, *blocks[0].shape[1:]), blocks[0].dtype)
    end = 0
    for block in blocks:
        padded[end : end + len(block)] = block
        end += len(block)
    padded[end:] = value
    return padded


def program_matrix(matrices: list[Matrix], n_rows: int) -> list[NDArray]:
    """Matrices, one below the other and padded to n_rows rows, as the arrays that a program takes."""
    if not issparse(matrices[0]):
        return [_padded(matrices, n_rows)]
    X = stacked(matrices)
    n_entries = padded_size(max(X.nnz, 1))
    begins = _padded([X.indptr], n_rows + 1, X.nnz)
    columns = X.indices.astype(np.int32)
    return [_padded([X.data], n_entries), _padded([columns], n_entries), begins, np.zeros(X.shape[1], np.float32)]
