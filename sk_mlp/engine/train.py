"""The training loop: from epoch to epoch, with runs that enter and leave a population."""

import time
from collections.abc import Callable, Iterator

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
    slots: dict[int, Run] = {}
    changed: set[int] = set()  # whose state has been kept since they came
    kept = None
    idle_seconds, is_compiled = 0.0, False
    while True:
        entering = {}
        for m in range(population.n_slots):
            if m not in slots and (run := next(waiting, None)):
                entering[m] = run
        if entering:
            population.admit(entering)
            slots |= entering
            changed -= set(entering)
        if not slots:
            return
        if bridge and entering:
            bridge.call(population, "on_train_begin")
        if kept is None:
            kept = population.states

        if bridge:
            bridge.call(population, "on_epoch_begin", slots[0].epoch)
        rates = {m: bridge.learning_rate if bridge else run.member.learning_rate for m, run in slots.items()}
        steps = {m: step_rates(run.member, run.epoch, population.batch_size, rates[m]) for m, run in slots.items()}
        started = time.perf_counter()
        logs = population.run_epoch({m: run.epoch for m, run in slots.items()}, steps)
        if is_compiled:  # the first epoch's time is mostly that of compiling
            idle_seconds += (time.perf_counter() - started) * (1 - len(slots) / population.n_slots)
        is_compiled = True

        improved = np.ones(population.n_slots, bool)
        for m, run in slots.items():
            figures = {name: float(values[m]) for name, values in logs.items()}
            improved[m] = run.update({**figures, "learning_rate": float(steps[m][-1])})
        if bridge:
            bridge.call(population, "on_epoch_end", slots[0].epoch - 1, slots[0].latest)
            if bridge.stop:
                slots[0].stop()
        if report:
            for run in slots.values():
                report(run)
        if improved.any():
            kept = population.select(improved, kept)
            changed |= {m for m in slots if improved[m]}

        idle = idle_seconds > idle_limit
        leaving = [m for m, run in slots.items() if run.is_done or idle]
        if bridge and leaving and bridge.call(population, "on_train_end"):
            kept, changed = population.states, {0}  # a callback has restored weights of its own choice
            if bridge.restored_epoch is not None:
                slots[0].keep_epoch(bridge.restored_epoch)
        for m in leaving:
            run = slots.pop(m)
            state = None if run.stopped_by else population.extract(population.states, m)
            run.leave(state, population.extract(kept, m) if m in changed else None)
            if ended and run.is_done:
                ended(run)
