"""The training loop: from epoch to epoch, with runs that enter and leave a population."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sk_mlp.engine.keras_callbacks import CallbackBridge
from sk_mlp.engine.population import Population, step_rates
from sk_mlp.engine.run import Run


def train(
    population: Population,
    waiting: Iterator[Run],
    bridge: CallbackBridge | None = None,
    report: Callable[[Run], None] | None = None,
    idle_limit: float = np.inf,
    ended: Callable[[Run], None] | None = None,
) -> None:
    """Train runs until each has stopped, or has come to where it pauses.

    A run that has ended makes room for the next one, so that a population of few members serves any number of runs.
    When none is left, the population computes for empty slots too.

    Parameters
    ----------
    population : Population
        Without members.
    waiting : iterator of Run
        Read as members of the population become free.
    bridge : CallbackBridge or None
        Only for a population of one, and one run.
    report : callable (run) or None
        Called after every epoch of a run. It may set ``stopped_by``.
    idle_limit : float, default=inf
        Seconds spent on empty slots after which the last runs pause wherever they are.
    ended : callable (run) or None
        Called when a run is done, with its states.
    """
    loop = _Loop(population, bridge)
    while loop.admit(waiting):
        loop.run_epoch()
        if report:
            for run in loop.slots.values():
                report(run)
        loop.keep_improved()
        for run in loop.release(loop.idle_seconds > idle_limit):
            if ended and run.is_done:
                ended(run)


class _Loop:
    """Runs in the slots of a population.

    Attributes
    ----------
    slots : dict of int to Run
        Those in training.
    idle_seconds : float
        Spent on empty slots.
    """

    def __init__(self, population: Population, bridge: CallbackBridge | None):
        self.population, self.bridge = population, bridge
        self.slots: dict[int, Run] = {}
        self.idle_seconds, self._is_compiled = 0.0, False
        self._improved = np.ones(population.n_slots, bool)  # in the last epoch
        self._kept: Any = None  # of each slot the state to keep, as `Population.select` has it
        self._changed: set[int] = set()  # slots whose state has been kept since their runs came

    def admit(self, waiting: Iterator[Run]) -> bool:
        """Let runs that wait take the free slots, and say whether any run is in training then."""
        population = self.population
        entering = {}
        for m in range(population.n_slots):
            if m not in self.slots and (run := next(waiting, None)):
                entering[m] = run
        if entering:
            population.admit(entering)
            self.slots |= entering
            self._changed -= set(entering)
            if self.bridge:
                self.bridge.call(population, "on_train_begin")
        if self.slots and self._kept is None:
            self._kept = population.states
        return bool(self.slots)

    def run_epoch(self) -> None:
        """Train all runs for an epoch, and let them and the callbacks know its figures."""
        population, bridge, slots = self.population, self.bridge, self.slots
        if bridge:
            bridge.call(population, "on_epoch_begin", slots[0].epoch)
        rates = {m: bridge.learning_rate if bridge else run.member.learning_rate for m, run in slots.items()}
        steps = {m: step_rates(run.member, run.epoch, population.batch_size, rates[m]) for m, run in slots.items()}
        started = time.perf_counter()
        logs = population.run_epoch({m: run.epoch for m, run in slots.items()}, steps)
        if self._is_compiled:  # the first epoch's time is mostly that of compiling
            self.idle_seconds += (time.perf_counter() - started) * (1 - len(slots) / population.n_slots)
        self._is_compiled = True
        self._improved[:] = True
        for m, run in slots.items():
            figures = {name: float(values[m]) for name, values in logs.items()}
            self._improved[m] = run.update({**figures, "learning_rate": float(steps[m][-1])})
        if bridge:
            bridge.call(population, "on_epoch_end", slots[0].epoch - 1, slots[0].latest)
            if bridge.stop:
                slots[0].stop()

    def keep_improved(self) -> None:
        """Keep the states of the runs that the epoch has improved."""
        if self._improved.any():
            self._kept = self.population.select(self._improved, self._kept)
            self._changed |= {m for m in self.slots if self._improved[m]}

    def release(self, everyone: bool) -> list[Run]:
        """Let runs that are done leave, or all of them, with their states."""
        population, bridge = self.population, self.bridge
        leaving = [m for m, run in self.slots.items() if run.is_done or everyone]
        if bridge and leaving and bridge.call(population, "on_train_end"):
            self._kept, self._changed = population.states, {0}  # a callback has restored weights of its own choice
            if bridge.restored_epoch is not None:
                self.slots[0].keep_epoch(bridge.restored_epoch)
        for m in leaving:
            run = self.slots[m]
            state = None if run.stopped_by else population.extract(population.states, m)
            run.leave(state, population.extract(self._kept, m) if m in self._changed else None)
        return [self.slots.pop(m) for m in leaving]
