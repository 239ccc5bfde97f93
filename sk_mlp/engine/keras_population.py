"""A member trained by Keras' own `fit`: the oracle in tests, and the way out for what cannot be compiled."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sk_mlp._network.layout import State
from sk_mlp._network.mapped_layers import Batch, dropout_layers, engine_layers
from sk_mlp._network.names import dropout_rate, n_columns_of
from sk_mlp._network.spec import Member, Rows
from sk_mlp._tables.selection import dense, to_inputs
from sk_mlp.engine.population import Population, epoch_order, evaluation_rows
from sk_mlp.engine.program import EVALUATION_BATCH
from sk_mlp.engine.recipe import Parts, Recipe
from sk_mlp.engine.run import Run
from sk_mlp.engine.step import losses_as_trained, row_losses, smoothed
from sk_mlp.losses import keras_name, losses_of_outputs


class KerasPopulation(Population):
    """One member trained by Keras `fit` and `evaluate`, an epoch a call.

    Parameters
    ----------
    parts : Parts
        Of a stock optimizer.
    recipe : Recipe
    member : Member
        The only one that it can have.
    batch_callbacks : list of keras.callbacks.Callback
        Called for every batch; their epoch methods are the training loop's to call.
    """

    def __init__(
        self,
        parts: Parts,
        recipe: Recipe,
        member: Member,
        batch_callbacks: list[keras.callbacks.Callback],
    ):
        self.n_slots = 1
        self.parts, self._recipe = parts, recipe
        self.batch_size = recipe.batch_size
        self._callbacks = batch_callbacks
        rows = member.rows
        parts.optimizer.weight_decay = member.hyper["weight_decay"] or None
        standardised = rows.y_mean.any() or (rows.y_scale != 1).any()
        metrics = [InUnits(metric, rows) for metric in parts.metrics] if standardised else parts.metrics
        loss = as_trained(recipe.loss, member.hyper, rows.y.shape[1])
        several = recipe.blueprint.n_heads > 1
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
        if parts.weighs_norm:
            weigh_norm(parts.model)
        # Callbacks may save this model. It must load without this package, where nothing gives y the metrics' layouts.
        as_given = losses_of_outputs(recipe.loss, member.hyper.get("aux_loss_weight"))
        parts.model._compile_config.config.update({**as_given, "metrics": None, "weighted_metrics": None})

    @property
    def states(self) -> State:  # type: ignore[override]
        return self.parts.read()

    def admit(self, runs: dict[int, Run]) -> None:
        run = runs[0]
        self._run = run
        start = self.parts.start(run.member, run.state)
        run.enter(self.parts.layout, start)
        self.parts.write(start)

    def run_epoch(self, epochs: dict[int, int], rates: dict[int, NDArray]) -> dict[str, NDArray]:
        member, epoch = self._run.member, epochs[0]
        model = self.parts.model
        for number, layer in enumerate(dropout_layers(model)):
            rate = self._run.hyper[dropout_rate(number)]
            if layer.rate != rate:
                layer.rate, model.train_function = rate, None  # which is traced with the rate as a constant
        order = epoch_order(member, epoch, self._recipe.shuffle)
        callbacks = [StepRates(rates[0]), *(BatchEventsOnly(callback) for callback in self._callbacks)]
        if epoch < member.frozen_epochs:
            averages = self.parts.layout.averages
            frozen = [*self.parts.frozen, *(averages[i] for i in self.parts.frozen if i < len(averages))]
            callbacks.append(Freeze([self.parts.variables[i] for i in frozen]))
        raw = RawWeightsKeeper(model)
        history = model.fit(
            Batches(self._recipe, member.rows, order, self.batch_size),
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, raw],
        )
        logs = {self._names.get(name, name): values[0] for name, values in history.history.items()}
        figures = model.evaluate(
            Batches(self._recipe, member.rows, evaluation_rows(member), EVALUATION_BATCH),
            verbose=0,
            callbacks=[BatchEventsOnly(callback) for callback in self._callbacks] if len(member.validation) else [],
            return_dict=True,
        )
        raw.restore()
        logs |= {f"val_{self._names.get(name, name)}": value for name, value in figures.items()}
        return {name: np.array([value], np.float64) for name, value in logs.items()}

    def select(self, improved: NDArray, kept: State) -> State:
        return self.states if improved[0] else kept

    def extract(self, states: State, m: int) -> State:
        return states

    def replace(self, m: int, state: State) -> None:
        self.parts.write(state)


def weigh_norm(model: keras.Model) -> None:
    """Weigh rows in batch normalization, in Keras' own training steps."""
    step = type(model).train_step

    def train_step(data: tuple) -> dict:
        share = tf.nest.flatten(data[2])[0]
        with engine_layers(model, Batch(share, None, {}), [keras.layers.BatchNormalization]):
            return step(model, data)

    model.train_step = train_step


def mean_row_loss(loss: keras.losses.Loss) -> keras.metrics.Metric:
    """The weighted mean of the rows' losses, for weights whose mean is 1."""
    return keras.metrics.MeanMetricWrapper(lambda y, output: row_losses(loss, y, output), name="row_loss")


class Batches(keras.utils.PyDataset):
    """Some rows, in the given order, as Keras' fit takes them.

    Parameters
    ----------
    numbers : ndarray of int
    """

    def __init__(self, recipe: Recipe, rows: Rows, numbers: NDArray, batch_size: int):
        super().__init__()
        self._recipe, self._rows = recipe, rows
        self._numbers, self._batch_size = numbers, batch_size

    def __len__(self):
        return -(-len(self._numbers) // self._batch_size)

    def __getitem__(self, batch):
        numbers = self._numbers[batch * self._batch_size : (batch + 1) * self._batch_size]
        blueprint = self._recipe.blueprint
        x = to_inputs(dense(self._rows.X[numbers]), blueprint.columns, lambda x, columns: x[:, list(columns)])
        y, weights = self._rows.y[numbers], self._rows.weights[numbers]
        n_heads = blueprint.n_heads
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


class RawWeightsKeeper(keras.callbacks.Callback):
    """Keeps the weights, which Keras replaces by their averages at the end of `fit` where it takes any."""

    def __init__(self, network: keras.Model):
        super().__init__()
        self._network = network

    def on_epoch_end(self, epoch, logs=None):
        self._values = [variable.numpy() for variable in self._network.trainable_variables]

    def restore(self) -> None:
        """Set them back."""
        for variable, value in zip(self._network.trainable_variables, self._values, strict=True):
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


def as_trained(loss: keras.losses.Loss, hyper: dict[str, float], n_columns: int) -> keras.losses.Loss:
    """What `losses_as_trained` computes, as a Keras loss: the given one itself where that is the same."""
    is_binary = n_columns > 1 and keras_name(loss).startswith("binary_")
    if "label_smoothing" not in hyper and not n_columns_of(hyper) and not is_binary:
        return loss
    config = loss.get_config() if "label_smoothing" in hyper else {}
    if "label_smoothing" in config and not is_binary:
        return type(loss).from_config({**config, "label_smoothing": hyper["label_smoothing"]})
    return AsTrained(loss, hyper)


class AsTrained(keras.losses.Loss):
    """A loss of smoothed labels, or of y in the user's units, as `losses_as_trained` computes it."""

    def __init__(self, loss: keras.losses.Loss, hyper: dict[str, float]):
        super().__init__(name=loss.name)
        self._loss, self._hyper = loss, {name: tf.constant(value, tf.float32) for name, value in hyper.items()}

    def call(self, y_true, y_pred):
        return losses_as_trained(self._loss, smoothed(y_true, self._hyper), y_pred, self._hyper)


class BatchEventsOnly(keras.callbacks.Callback):
    """Pass events of batches and evaluations on to a callback. Its events of epochs come from elsewhere."""

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
        if self._callback.model.stop_training:  # its model may be this one with another layer
            self.model.stop_training = True
