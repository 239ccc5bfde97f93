"""Trains members by the engine that the parameters ask for, or else by the one that can."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import keras

from sk_mlp._estimator.progress import Report, fit_progress
from sk_mlp._estimator.task import Task
from sk_mlp._keras.callbacks import callbacks_of
from sk_mlp._network.export import in_units
from sk_mlp._network.spec import Member, Trained
from sk_mlp.engine.cohort import Cohort, train_cohorts
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.keras_callbacks import CallbackBridge, Rate, need_no_network
from sk_mlp.engine.keras_population import KerasPopulation
from sk_mlp.engine.population import CompiledPopulation, DeviceRows, Population
from sk_mlp.engine.recipe import Parts
from sk_mlp.engine.run import Run
from sk_mlp.engine.train import train
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.losses import losses_of_outputs


class Watcher(Protocol):
    """Follows the epochs of a fit, and may stop it."""

    def begin_member(self, run: Run) -> None:
        """Be told of a run that is about to begin, and let it stop where another one has been stopped."""

    def end_epoch(self, population: Population, run: Run) -> None:
        """Be told of an epoch of this run."""


def run_task(task: Task, tasks: Watcher | None = None) -> list[Trained]:
    """Train a task's members.

    Parameters
    ----------
    task : Task
    tasks : Watcher or None
        Such as the tasks of scikit-learn's callbacks.

    Raises
    ------
    NotCompilableError
        If ``engine="compiled"`` cannot.
    """
    settings, remark = task.settings, ""
    if settings.engine != "keras":
        reason = why_not_compilable(task.recipe, fresh_callbacks(task))
        if not reason:
            try:
                return _run_compiled(task, tasks)
            except NotCompilableError as error:
                if settings.engine == "compiled":
                    raise
                reason = str(error)
        if settings.engine == "compiled":
            raise NotCompilableError(f"engine='compiled' cannot train this: {reason}")
        remark = f"engine='keras', because {reason}"
    return _run_in_turn(task, tasks, partial(_keras_population, task), remark)


def _run_compiled(task: Task, tasks: Watcher | None) -> list[Trained]:
    """Train members by compiled programs, an ensemble's in threads unless somebody follows each member."""
    if len(task.members) == 1 or task.has_callbacks or tasks:
        data = DeviceRows(task.recipe, list(task.members))
        return _run_in_turn(task, tasks, partial(_compiled_population, task, data))
    cohort = Cohort(task.recipe, task.runs())
    # Programs of several members differ in the last bits, and when they end is a matter of time.
    cohort.n_slots = 1
    with fit_progress(task.settings.owner.__name__, task.settings.verbose, cohort.runs) as report:
        train_cohorts([cohort], report=report)
        if cohort.error:
            raise cohort.error
    return [run.outcome() for run in cohort.runs]


# A population for one member, and the parts that show its network to Keras callbacks, or None.
MakePopulation = Callable[[Member, list], tuple[Population, Parts | None]]


def _compiled_population(task: Task, data: DeviceRows, member: Member, callbacks: list) -> tuple[Population, None]:
    return CompiledPopulation(task.recipe, data, member.hyper, 1), None


def _keras_population(task: Task, member: Member, callbacks: list) -> tuple[Population, Parts]:
    parts = Parts(task.recipe)
    return KerasPopulation(parts, task.recipe, member, callbacks), parts


def _run_in_turn(task: Task, tasks: Watcher | None, make: MakePopulation, remark: str = "") -> list[Trained]:
    """Train members one after the other, with callbacks."""
    runs = task.runs()
    with fit_progress(task.settings.owner.__name__, task.settings.verbose, runs, remark) as report:
        for run in runs:
            callbacks = fresh_callbacks(task)
            population, parts = make(run.member, callbacks)
            bridge = _bridge(task, run.member, parts, callbacks) if callbacks else None
            if tasks:
                tasks.begin_member(run)
            train(population, iter([run]), bridge, partial(_end_epoch, report, tasks, population))
    return [run.outcome() for run in runs]


def _end_epoch(report: Report, tasks: Watcher | None, population: Population, run: Run) -> None:
    report(run)
    if tasks:
        tasks.end_epoch(population, run)


def fresh_callbacks(task: Task) -> list[keras.callbacks.Callback]:
    """Copies of the Keras callbacks to call, for one run alone."""
    return callbacks_of(task.settings, list(task.figures), task.recipe.make_metrics()).called


def _bridge(task: Task, member: Member, parts: Parts | None, callbacks: list) -> CallbackBridge:
    recipe = task.recipe
    steps = -(-len(member.train) // recipe.batch_size)
    if parts is None and need_no_network(callbacks):
        rate = member.learning_rate
        return CallbackBridge(callbacks, None, Rate(rate), member.epochs, steps, rate)
    parts = parts or Parts(recipe)
    model = in_units(parts.model, task.targets, task.shift)
    if getattr(model, "optimizer", None) is not parts.optimizer:  # whose rate callbacks set
        model.compile(parts.optimizer, **losses_of_outputs(recipe.loss, member.hyper.get("aux_loss_weight")))
    return CallbackBridge(callbacks, parts, model, member.epochs, steps, member.learning_rate)
