"""Members in training, by the engine that the parameters ask for, or that can."""

from typing import Any

import keras

from sk_mlp._estimator.progress import Report, fit_progress
from sk_mlp._estimator.sklearn_callbacks import FitTasks
from sk_mlp._estimator.task import Task
from sk_mlp._keras.callbacks import callbacks_of, directed
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


def run_task(estimator: Any, task: Task, tasks: FitTasks | None) -> list[Trained]:
    """Train a task's members.

    Parameters
    ----------
    estimator : estimator
        The copy that the fit works on.
    task : Task
    tasks : FitTasks or None
        Of scikit-learn's callbacks.

    Raises
    ------
    NotCompilableError
        If ``engine="compiled"`` cannot.
    """
    recipe, runs = task.recipe, task.runs()
    reason = None if estimator.engine == "keras" else why_not_compilable(recipe, fresh_callbacks(estimator, task))
    if reason and estimator.engine == "compiled":
        raise NotCompilableError(f"engine='compiled' cannot train this: {reason}")
    name = type(estimator).__name__
    if estimator.engine != "keras" and not reason:
        try:
            with fit_progress(name, estimator.verbose, runs) as report:
                _run_compiled(estimator, task, runs, tasks, report)
            return [run.outcome() for run in runs]
        except NotCompilableError as error:
            if estimator.engine == "compiled":
                raise
            reason, runs = str(error), task.runs()
    remark = f"engine='keras', because {reason}" if reason else ""
    with fit_progress(name, estimator.verbose, runs, remark) as report:
        for run in runs:
            callbacks, parts = fresh_callbacks(estimator, task), Parts(recipe)
            population = KerasPopulation(parts, recipe, run.member, callbacks)
            bridge = _bridge(estimator, task, run.member, parts, callbacks) if callbacks else None
            _train_one(population, run, bridge, tasks, report)
    return [run.outcome() for run in runs]


def _run_compiled(estimator: Any, task: Task, runs: list[Run], tasks: FitTasks | None, report: Report) -> None:
    if len(runs) > 1 and not task.has_callbacks and not tasks:
        cohort = Cohort(task.recipe, runs)
        cohort.n_slots = 1  # programs of several members differ in the last bits, and time decides when they end
        train_cohorts([cohort], report=report)
        if cohort.error:
            raise cohort.error
        return
    data = DeviceRows(task.recipe, [run.member for run in runs])
    for run in runs:
        callbacks = fresh_callbacks(estimator, task)
        bridge = _bridge(estimator, task, run.member, None, callbacks) if callbacks else None
        population = CompiledPopulation(task.recipe, data, run.member.hyper, 1)
        _train_one(population, run, bridge, tasks, report)


def _train_one(
    population: Population, run: Run, bridge: CallbackBridge | None, tasks: FitTasks | None, report: Report
) -> None:
    """Train a member; its epochs are tasks of scikit-learn's callbacks."""

    def end_epoch(run: Run) -> None:
        report(run)
        if tasks:
            tasks.end_epoch(population, run)

    if tasks:
        tasks.begin_member(run)
    train(population, iter([run]), bridge, end_epoch)


def fresh_callbacks(estimator: Any, task: Task) -> list[keras.callbacks.Callback]:
    """Copies of the Keras callbacks to call, of one run's own."""
    return directed(callbacks_of(estimator), list(task.figures), task.recipe.make_metrics())


def _bridge(estimator: Any, task: Task, member: Member, parts: Parts | None, callbacks: list) -> CallbackBridge:
    recipe = task.recipe
    steps = -(-len(member.train) // recipe.batch_size)
    if parts is None and need_no_network(callbacks):
        rate = member.learning_rate
        return CallbackBridge(callbacks, None, Rate(rate), member.epochs, steps, rate)
    parts = parts or Parts(recipe)
    model = estimator._in_units(parts.model, task.targets, task.shift)
    if getattr(model, "optimizer", None) is not parts.optimizer:  # whose rate callbacks set
        model.compile(parts.optimizer, **losses_of_outputs(recipe.loss, member.hyper.get("aux_loss_weight")))
    return CallbackBridge(callbacks, parts, model, member.epochs, steps, member.learning_rate)
