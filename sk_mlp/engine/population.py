"""Members in training, by the compiled program or by Keras `fit`: one interface, the same rows in the same order."""

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._features import Matrix, dense, to_inputs
from sk_mlp._spec import Member, Rows, State
from sk_mlp.engine.program import EVALUATION_BATCH, PROGRAMS, padded_size
from sk_mlp.engine.recipe import Parts, Recipe
from sk_mlp.engine.step import row_losses, smoothed
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.losses import losses_of_outputs


def epoch_order(member: Member, epoch: int, shuffle: bool) -> NDArray:
    """The member's training rows in the order of this epoch, which follows from its seed alone."""
    if not shuffle:
        return member.train
    return np.random.default_rng([member.seed, epoch]).permutation(member.train)


def step_rates(member: Member, epoch: int, batch_size: int, learning_rate: float) -> NDArray:
    """Learning rate of each step of an epoch."""
    n_steps = -(-len(member.train) // batch_size)
    return learning_rate * member.schedule.factors(epoch + np.arange(n_steps) / n_steps)


def evaluation_rows(member: Member) -> NDArray:
    """The rows on which a member is evaluated after each epoch: held-out ones, or else some of its training rows.

    Their loss tells whether the weights are still finite, for the training loss is that of the weights before.
    """
    return member.validation if len(member.validation) else member.train[:EVALUATION_BATCH]


class Population(ABC):
    """Members of one structure that train side by side.

    Attributes
    ----------
    members : list of Member
    parts : Parts
    batch_size : int
    states
        The members' present states, whatever form they have; for `select` and `extract` only.
    """

    members: list[Member]
    parts: Parts
    batch_size: int
    states: Any

    @abstractmethod
    def run_epoch(self, epoch: int, learning_rates: NDArray) -> dict[str, NDArray]:
        """Train every member for one epoch.

        Returns
        -------
        logs : dict of str to ndarray of shape (n_members,)
            ``loss`` and metrics over the training rows; those over `evaluation_rows` with ``val_`` before the name.
        """

    @abstractmethod
    def select(self, improved: NDArray, kept):
        """The present states where ``improved``, (n_members,) bool, else the kept ones."""

    @abstractmethod
    def extract(self, kept, m: int) -> State:
        """State of member m."""

    @abstractmethod
    def replace(self, m: int, state: State) -> None:
        """Set the present state of member m."""


class CompiledPopulation(Population):
    """Members trained by one compiled program."""

    def __init__(
        self, recipe: Recipe, rows: Rows, members: list[Member], states: list[State | None], record: bool = False
    ):
        self.members = members
        self._shuffle = recipe.shuffle
        names = self._hyper_names = (*members[0].hyper, *(["frozen"] if recipe.frozen else []))
        self._program = PROGRAMS.get(recipe, names, len(members), record)
        parts = self.parts = self._program.parts
        started = [parts.start(member, state) for member, state in zip(members, states, strict=True)]
        arrays = zip(*(parts.layout.unpack(state) for state in started), strict=True)
        self.states = [tf.constant(np.stack(members_arrays)) for members_arrays in arrays]
        n_rows = padded_size(rows.X.shape[0])
        self._seeds = tf.constant([member.seed for member in members], tf.int32)
        self._X = [tf.constant(array) for array in program_matrix(rows.X, n_rows)]
        self._data = (
            tf.constant(_padded(rows.y, n_rows)),
            tf.constant(np.stack([_padded(member.weights, n_rows) for member in members])),
            tf.constant(np.stack([rows.y_mean, rows.y_scale]).astype(np.float32)),
        )
        self.batch_size = recipe.batch_size
        self._steps = max(-(-len(member.train) // self.batch_size) for member in members)
        self._padded_train = (
            -(-padded_size(max(len(member.train) for member in members)) // self.batch_size) * self.batch_size
        )
        evaluated = [evaluation_rows(member) for member in members]
        most = max(len(numbers) for numbers in evaluated)
        padded = -(-padded_size(most) // EVALUATION_BATCH) * EVALUATION_BATCH
        validation = np.stack([_padded(numbers, padded) for numbers in evaluated])
        self._sizes = np.array([[len(m.train), len(v)] for m, v in zip(members, evaluated, strict=True)], np.int32)
        self._validation = (
            tf.constant(validation.reshape(len(members), -1, EVALUATION_BATCH).astype(np.int32)),
            tf.constant(-(-most // EVALUATION_BATCH)),
        )

    def run_epoch(self, epoch: int, learning_rates: NDArray) -> dict[str, NDArray]:
        train = np.zeros((len(self.members), self._padded_train), np.int32)
        for numbers, member in zip(train, self.members, strict=True):
            numbers[: len(member.train)] = epoch_order(member, epoch, self._shuffle)
        rates = np.zeros((len(self.members), self._padded_train // self.batch_size), np.float32)
        for row, member, learning_rate in zip(rates, self.members, learning_rates, strict=True):
            steps = step_rates(member, epoch, self.batch_size, learning_rate)
            row[: len(steps)] = steps
        batches = train.reshape(len(self.members), -1, self.batch_size)
        logs = self._call(epoch, batches, rates, self._steps, self._sizes)
        return dict(zip(self._program.log_names, logs.T.astype(np.float64), strict=True))

    def sweep(self, learning_rates: NDArray) -> NDArray:
        """Take one step at each of these rates, over as many epochs as that needs.

        The population must have been made with ``record``.

        Parameters
        ----------
        learning_rates : ndarray of shape (n_steps,)

        Returns
        -------
        losses : ndarray of shape (n_members, n_steps)
            Of each step's batch, before the step.
        """
        n_steps = len(learning_rates)
        n_rows = n_steps * self.batch_size
        orders = []
        for member in self.members:
            n_epochs = -(-n_rows // len(member.train))
            order = np.concatenate([epoch_order(member, epoch, self._shuffle) for epoch in range(n_epochs)])
            orders.append(order[:n_rows].reshape(n_steps, self.batch_size))
        rates = np.broadcast_to(learning_rates.astype(np.float32), (len(self.members), n_steps))
        sizes = np.full((len(self.members), 2), n_rows, np.int32)
        return self._call(0, np.stack(orders), rates, n_steps, sizes)

    def _call(self, epoch: int, batches: NDArray, rates: NDArray, n_steps: int, sizes: NDArray) -> NDArray:
        try:
            self.states, logs = self._program(
                self.states,
                tf.constant(self._hyper(epoch)),
                self._seeds,
                *self._data,
                tf.constant(batches),
                tf.constant(rates),
                tf.constant(n_steps),
                *self._validation,
                tf.constant(sizes),
                *self._X,
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            raise NotCompilableError(f"XLA does not compile the training step: {error.message}") from error
        return logs.numpy()

    def _hyper(self, epoch: int) -> NDArray:
        """Every member's numbers in this epoch: (n_members, n_hyper), float32."""
        tables = [member.hyper | {"frozen": epoch < member.frozen_epochs} for member in self.members]
        return np.array([[table[name] for name in self._hyper_names] for table in tables], np.float32)

    def select(self, improved: NDArray, kept):
        if improved.all():
            return self.states
        return [
            tf.where(tf.reshape(improved, (-1,) + (1,) * (new.shape.rank - 1)), new, old)
            for new, old in zip(self.states, kept, strict=True)
        ]

    def extract(self, kept, m: int) -> State:
        return self.parts.layout.pack([tensor.numpy()[m] for tensor in kept])

    def replace(self, m: int, state: State) -> None:
        self.states = [
            tf.tensor_scatter_nd_update(old, [[m]], [new])
            for old, new in zip(self.states, self.parts.layout.unpack(state), strict=True)
        ]


def _padded(array: NDArray, n: int, value: float = 0) -> NDArray:
    """The array with rows of ``value`` appended, n rows in all."""
    padded = np.empty((n, *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    padded[len(array) :] = value
    return padded


def program_matrix(X: Matrix, n_rows: int) -> list[NDArray]:
    """X, padded to n_rows rows, as the arrays that a program takes."""
    if not issparse(X):
        return [_padded(X, n_rows)]
    n_entries = padded_size(max(X.nnz, 1))
    begins = _padded(X.indptr, n_rows + 1, X.nnz)
    columns = X.indices.astype(np.int32)
    return [_padded(X.data, n_entries), _padded(columns, n_entries), begins, np.zeros(X.shape[1], np.float32)]


class KerasPopulation(Population):
    """One member trained by Keras `fit` and `evaluate`, an epoch a call.

    Parameters
    ----------
    parts : Parts
        Of a stock optimizer.
    batch_callbacks : list of keras.callbacks.Callback
        Called for every batch; their epoch methods are the training loop's to call.
    """

    def __init__(
        self,
        parts: Parts,
        recipe: Recipe,
        rows: Rows,
        member: Member,
        state: State | None,
        batch_callbacks: list[keras.callbacks.Callback],
    ):
        self.members = [member]
        self.parts, self._recipe, self._rows = parts, recipe, rows
        self.batch_size = recipe.batch_size
        self._callbacks = batch_callbacks
        parts.write(parts.start(member, state))
        parts.optimizer.weight_decay = member.hyper["weight_decay"] or None
        standardised = rows.y_mean.any() or (rows.y_scale != 1).any()
        metrics = [InUnits(metric, rows) for metric in parts.metrics] if standardised else parts.metrics
        loss = with_smoothing(recipe.loss, member.hyper)
        several = recipe.n_heads > 1
        self._names: dict[str, str] = {}
        if several:  # Keras puts the output before a metric's name, and takes the mean of the losses of batches
            self._names = {f"output_{metric.name}": metric.name for metric in parts.metrics}
            self._names |= {"output_row_loss": "output_loss", "aux_output_row_loss": "aux_output_loss"}
        parts.model.compile(
            parts.optimizer,
            **losses_of_outputs(loss, member.hyper.get("aux_loss_weight")),
            metrics=[metrics, []] if several else metrics,
            weighted_metrics=[[mean_row_loss(loss)], [mean_row_loss(loss)]] if several else None,
            jit_compile=False,
        )

    @property
    def states(self) -> State:  # type: ignore[override]
        return self.parts.read()

    def run_epoch(self, epoch: int, learning_rates: NDArray) -> dict[str, NDArray]:
        (member,) = self.members
        model = self.parts.model
        rates = step_rates(member, epoch, self._recipe.batch_size, learning_rates[0])
        order = epoch_order(member, epoch, self._recipe.shuffle)
        callbacks = [StepRates(rates), *(BatchEventsOnly(callback) for callback in self._callbacks)]
        if epoch < member.frozen_epochs:
            callbacks.append(Freeze([self.parts.variables[i] for i in self.parts.frozen]))
        history = model.fit(
            Batches(self._recipe, self._rows, member, order, self._recipe.batch_size),
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
        logs = {self._names.get(name, name): values[0] for name, values in history.history.items()}
        figures = model.evaluate(
            Batches(self._recipe, self._rows, member, evaluation_rows(member), EVALUATION_BATCH),
            verbose=0,
            callbacks=[BatchEventsOnly(callback) for callback in self._callbacks] if len(member.validation) else [],
            return_dict=True,
        )
        logs |= {f"val_{self._names.get(name, name)}": value for name, value in figures.items()}
        return {name: np.array([value], np.float64) for name, value in logs.items()}

    def select(self, improved: NDArray, kept: State) -> State:
        return self.states if improved[0] else kept

    def extract(self, kept: State, m: int) -> State:
        return kept

    def replace(self, m: int, state: State) -> None:
        self.parts.write(state)


def mean_row_loss(loss: keras.losses.Loss) -> keras.metrics.Metric:
    """The weighted mean of the rows' losses, for weights whose mean is 1."""
    return keras.metrics.MeanMetricWrapper(lambda y, output: row_losses(loss, y, output), name="row_loss")


class Batches(keras.utils.PyDataset):
    """Some of a member's rows, in the given order, as Keras' fit takes them.

    Parameters
    ----------
    numbers : ndarray of int
    """

    def __init__(self, recipe: Recipe, rows: Rows, member: Member, numbers: NDArray, batch_size: int):
        super().__init__()
        self._recipe, self._rows, self._weights = recipe, rows, member.weights
        self._numbers, self._batch_size = numbers, batch_size

    def __len__(self):
        return -(-len(self._numbers) // self._batch_size)

    def __getitem__(self, batch):
        numbers = self._numbers[batch * self._batch_size : (batch + 1) * self._batch_size]
        x = to_inputs(dense(self._rows.X[numbers]), self._recipe.columns, lambda x, columns: x[:, list(columns)])
        y, weights = self._rows.y[numbers], self._weights[numbers]
        n_heads = self._recipe.n_heads
        return (x, y, weights) if n_heads == 1 else (x, (y,) * n_heads, (weights,) * n_heads)


class Freeze(keras.callbacks.Callback):
    """Set variables back to what they were after each step."""

    def __init__(self, variables: list[keras.Variable]):
        super().__init__()
        self._variables = variables
        self._values = [variable.numpy() for variable in variables]

    def on_train_batch_end(self, batch, logs=None):
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)


class InUnits(keras.metrics.Metric):
    """A metric of y and predictions in y's units, for a network that is trained on standardised y.

    Parameters
    ----------
    metric : keras.metrics.Metric
    rows : Rows
        Tells mean and scale.
    """

    def __init__(self, metric: keras.metrics.Metric, rows: Rows):
        super().__init__(name=metric.name)
        self.metric = metric
        self._mean, self._scale = rows.y_mean.astype(np.float32), rows.y_scale.astype(np.float32)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.metric.update_state(
            y_true * self._scale + self._mean, y_pred * self._scale + self._mean, sample_weight=sample_weight
        )

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()


class StepRates(keras.callbacks.Callback):
    """Set the learning rate before each step."""

    def __init__(self, rates: NDArray):
        super().__init__()
        self._rates = rates

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self._rates[batch]


def with_smoothing(loss: keras.losses.Loss, hyper: dict[str, float]) -> keras.losses.Loss:
    """The loss of smoothed labels, by the loss's own argument if it has one."""
    if "label_smoothing" not in hyper:
        return loss
    config = loss.get_config()
    if "label_smoothing" in config:
        return type(loss).from_config({**config, "label_smoothing": hyper["label_smoothing"]})
    return Smoothed(loss, hyper["label_smoothing"])


class Smoothed(keras.losses.Loss):
    """A loss of smoothed labels."""

    def __init__(self, loss: keras.losses.Loss, share: float):
        super().__init__(name=loss.name)
        self._loss, self._share = loss, tf.constant(share, tf.float32)

    def call(self, y_true, y_pred):
        return self._loss.call(smoothed(y_true, {"label_smoothing": self._share}), y_pred)


class BatchEventsOnly(keras.callbacks.Callback):
    """Pass on the events of batches and evaluations to a callback, whose epoch events somebody else sends."""

    def __init__(self, callback: keras.callbacks.Callback):
        super().__init__()
        self._callback = callback
        self.on_train_batch_begin = callback.on_train_batch_begin
        self.on_test_begin = callback.on_test_begin
        self.on_test_end = callback.on_test_end
        self.on_test_batch_begin = callback.on_test_batch_begin
        self.on_test_batch_end = callback.on_test_batch_end

    def on_train_batch_end(self, batch, logs=None):
        self._callback.on_train_batch_end(batch, logs)
        if self._callback.model.stop_training:  # its model may be ours with a layer more
            self.model.stop_training = True
