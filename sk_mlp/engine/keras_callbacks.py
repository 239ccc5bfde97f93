"""Keras callbacks of epochs for whichever engine trains."""

import keras
import numpy as np

from sk_mlp.engine.population import Population
from sk_mlp.engine.recipe import Parts

# Callbacks of Keras that look at a model's learning rate and ``stop_training`` alone.
RATE_ONLY = (keras.callbacks.CSVLogger, keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


def need_no_network(callbacks: list[keras.callbacks.Callback]) -> bool:
    """Whether these callbacks can do with a model that has no weights."""
    return all(type(callback) in RATE_ONLY for callback in callbacks)


def _hears(callback: keras.callbacks.Callback, event: str) -> bool:
    method = getattr(callback, event)
    return getattr(method, "__func__", None) is not getattr(keras.callbacks.Callback, event)


class Rate:
    """The part of a Keras model and its optimizer that such callbacks look at."""

    def __init__(self, learning_rate: float):
        self.learning_rate, self.stop_training = learning_rate, False
        self.optimizer = self


class CallbackBridge:
    """Keras callbacks of a fit, with a Keras model that shows them the state of member 0.

    What a callback does to the model (learning rate, weights, ``stop_training``) takes effect on the member. Where the
    weights are averaged, callbacks see the averages; training goes on from what they set, as weights and as averages.

    Parameters
    ----------
    callbacks : list of keras.callbacks.Callback
    parts : Parts or None
        Of a stock optimizer; its variables are those of ``model``. None if that has no weights.
    model : keras.Model or Rate
        What callbacks get as their ``model``, compiled.
    epochs, n_steps : int
        What they get as ``params``.
    learning_rate : float
        The rate before the schedule, which callbacks read and set.

    Attributes
    ----------
    stop : bool
        Whether a callback has asked to stop.
    """

    def __init__(
        self,
        callbacks: list[keras.callbacks.Callback],
        parts: Parts | None,
        model: keras.Model | Rate,
        epochs: int,
        n_steps: int,
        learning_rate: float,
    ):
        self._parts, self._model = parts, model
        model.stop_training = False
        self.stop = False
        self._callbacks = callbacks
        self.learning_rate = learning_rate
        self._list = keras.callbacks.CallbackList(callbacks, model=model, epochs=epochs, steps=n_steps, verbose=0)

    def call(self, population: Population, event: str, *arguments) -> bool:
        """Send an event to the callbacks.

        Returns
        -------
        changed : bool
            Whether a callback has changed the member's state.
        """
        is_heard = any(_hears(callback, event) for callback in self._callbacks)
        if self._parts is None or not is_heard:
            getattr(self._list, event)(*arguments)
            self.stop |= bool(self._model.stop_training)
            if self._parts is None:
                self.learning_rate = float(self._model.optimizer.learning_rate)
            return False
        before = population.extract(population.states, 0)
        layout = self._parts.layout
        raw = layout.unpack(before)
        shown = [*layout.weights(before), *raw[layout.n_weights :]]
        self._parts.write(layout.pack(shown))
        self._parts.optimizer.learning_rate = self.learning_rate
        getattr(self._list, event)(*arguments)
        self.stop |= bool(self._model.stop_training)  # noted at once: Keras' fit resets it
        learning_rate = float(self._parts.optimizer.learning_rate)
        if learning_rate != np.float32(self.learning_rate):
            self.learning_rate = learning_rate
        arrays = layout.unpack(self._parts.read())
        for i, average in enumerate(layout.averages):
            if np.array_equal(arrays[i], shown[i], equal_nan=True):
                arrays[i] = raw[i]
            else:
                arrays[average] = arrays[i]
        after = layout.pack(arrays)
        _, slot = layout.places[self._parts.index(self._parts.optimizer._learning_rate)]
        after.floats[slot] = before.floats[slot]
        if after.equals(before):
            if layout.averages:
                self._parts.write(before)  # the parts may be the population's own
            return False
        population.replace(0, after)
        return True

    @property
    def restored_epoch(self) -> int | None:
        """Number of the epoch whose weights an EarlyStopping callback has restored."""
        stoppers = (callback for callback in self._callbacks if isinstance(callback, keras.callbacks.EarlyStopping))
        return next((stopper.best_epoch for stopper in stoppers if stopper.restore_best_weights), None)
