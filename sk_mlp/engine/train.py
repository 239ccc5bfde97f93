"""The training loop: epochs, callbacks, when to stop, and which epoch's weights to keep."""

from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import NDArray

from sk_mlp._spec import Member, Trained
from sk_mlp.engine.population import Population, step_rates
from sk_mlp.engine.recipe import Parts

# Nothing is left to improve within float32's resolution of 1 from the best: 0 for what is to fall (a loss; sign 1), and
# minus 1 for what is to rise (a share of rows; sign -1).
RESOLUTION = float(np.finfo(np.float32).eps)
IDEAL = {1: 0.0, -1: -1.0}


class StopRule:
    """When each member stops and which of its epochs is kept.

    With ``patience``, the epoch of the best monitored figure is kept; otherwise the last one. A member whose loss or
    weights are no longer finite stops and keeps what it had.

    Attributes
    ----------
    best_epoch : ndarray of shape (n_members,), int
        The kept epoch, -1 before the first.
    stopped_by : list of str or None
        None while the member trains.
    """

    def __init__(self, members: list[Member], first_epoch: int = 0):
        self._patience = np.array([np.inf if m.patience is None else m.patience for m in members])
        self._min_delta = np.array([m.min_delta for m in members])
        self._ideal = [IDEAL[m.sign] for m in members]
        self._epochs = np.array([m.epochs for m in members])
        self._best = np.full(len(members), np.inf)
        self._watched = np.array([m.patience is not None for m in members])
        self._monitors = [(m.monitor, m.sign) for m in members]
        self.best_epoch = np.full(len(members), first_epoch - 1)
        self.stopped_by: list[str | None] = [None] * len(members)

    @property
    def training(self) -> NDArray:
        """Which members still train: (n_members,) bool."""
        return np.array([reason is None for reason in self.stopped_by])

    def update(self, epoch: int, logs: dict[str, NDArray]) -> NDArray:
        """Take in an epoch's figures.

        Returns
        -------
        improved : ndarray of shape (n_members,), bool
            Whose present state is the one to keep.
        """
        watched = np.array([sign * logs[name][m] for m, (name, sign) in enumerate(self._monitors)])
        finite = np.isfinite(logs["loss"]) & np.isfinite(logs["val_loss"])
        better = ~self._watched | (watched < self._best - self._min_delta)
        improved = self.training & finite & better
        self._best[improved] = watched[improved]
        self.best_epoch[improved] = epoch
        waited = epoch - self.best_epoch
        for m in np.flatnonzero(self.training):
            if not finite[m]:
                self.stopped_by[m] = "non-finite"
            elif self._watched[m] and abs(watched[m] - self._ideal[m]) <= RESOLUTION:  # some losses go below zero
                self.stopped_by[m] = "perfect"
            elif self._watched[m] and waited[m] >= self._patience[m]:
                self.stopped_by[m] = "patience"
            elif epoch + 1 >= self._epochs[m]:
                self.stopped_by[m] = "epochs"
        return improved

    def stop_all(self) -> None:
        """Stop every member that still trains, as a callback asked."""
        self.stopped_by = [reason or "callback" for reason in self.stopped_by]


class CallbackBridge:
    """Keras callbacks of a fit, with a Keras model that shows them the state of member 0.

    What a callback does to the model (learning rate, weights, ``stop_training``) takes effect on the member.

    Parameters
    ----------
    callbacks : list of keras.callbacks.Callback
    parts : Parts
        Of a stock optimizer; its variables are those of ``model``.
    model : keras.Model
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
        parts: Parts,
        model: keras.Model,
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
        before = population.extract(population.states, 0)
        self._parts.write(before)
        self._parts.optimizer.learning_rate = self.learning_rate
        getattr(self._list, event)(*arguments)
        self.stop |= bool(self._model.stop_training)  # noted at once: Keras' fit resets it
        learning_rate = float(self._parts.optimizer.learning_rate)
        if learning_rate != np.float32(self.learning_rate):
            self.learning_rate = learning_rate
        after = self._parts.read()
        slot = self._parts.layout.slices[self._parts.index(self._parts.optimizer._learning_rate)]
        after.floats[slot] = before.floats[slot]
        if after.equals(before):
            return False
        population.replace(0, after)
        return True

    @property
    def restored_epoch(self) -> int | None:
        """Number of the epoch whose weights an EarlyStopping callback has restored."""
        stoppers = (callback for callback in self._callbacks if isinstance(callback, keras.callbacks.EarlyStopping))
        return next((stopper.best_epoch for stopper in stoppers if stopper.restore_best_weights), None)


def train(
    population: Population,
    bridge: CallbackBridge | None = None,
    report: Callable[[int, dict[str, float]], None] | None = None,
    first_epoch: int = 0,
) -> list[Trained]:
    """Train a population until each of its members has stopped.

    Parameters
    ----------
    population : Population
    bridge : CallbackBridge or None
        Only for a population of one.
    report : callable (epoch, logs of member 0) or None
        Called after every epoch.
    first_epoch : int
        Number of the first epoch to run.

    Returns
    -------
    list of Trained, one a member
    """
    members = population.members
    rule = StopRule(members, first_epoch)
    rates = np.array([member.learning_rate for member in members])
    histories: list[dict[str, list[float]]] = [{} for _ in members]
    kept = population.states
    if bridge:
        bridge.call(population, "on_train_begin")
    for epoch in range(first_epoch, max(member.epochs for member in members)):
        if bridge:
            bridge.call(population, "on_epoch_begin", epoch)
            rates[:] = bridge.learning_rate
        logs = population.run_epoch(epoch, rates)
        steps = [step_rates(m, epoch, population.batch_size, rate) for m, rate in zip(members, rates, strict=True)]
        reached = np.array([rates_of_steps[-1] for rates_of_steps in steps])
        was_training = rule.training
        improved = rule.update(epoch, logs)
        for m in np.flatnonzero(was_training):
            members[m].schedule.observe(members[m].sign * float(logs[members[m].monitor][m]))
            for name, values in {**logs, "learning_rate": reached}.items():
                if len(members[m].validation) or not name.startswith("val_"):
                    histories[m].setdefault(name, []).append(float(values[m]))
        latest = {name: values[-1] for name, values in histories[0].items()}
        if report:
            report(epoch, latest)
        if bridge:
            bridge.call(population, "on_epoch_end", epoch, latest)
            rates[:] = bridge.learning_rate
            if bridge.stop:
                rule.stop_all()
        if improved.any():
            kept = population.select(improved, kept)
        if not rule.training.any():
            break
    if bridge and bridge.call(population, "on_train_end"):  # a callback has restored weights of its own choice
        kept = population.states
        if bridge.restored_epoch is not None:
            rule.best_epoch[0] = bridge.restored_epoch
    return [
        Trained(
            state=population.extract(kept, m),
            history=histories[m],
            best_epoch=int(rule.best_epoch[m]),
            stopped_by=rule.stopped_by[m] or "epochs",
            layout=population.parts.layout,
            n_weights=population.parts.n_weights,
        )
        for m in range(len(members))
    ]
