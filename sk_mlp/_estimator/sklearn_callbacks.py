"""The tasks that scikit-learn's callbacks (``set_callbacks``) see.

Keras' callbacks are in `engine.keras_callbacks`.

A fit is a task, and so is each of its epochs. A search's training is a task beside those of scikit-learn's search.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from sk_mlp._estimator.fitted import fitted_of, learned_of
from sk_mlp._estimator.running import run_task
from sk_mlp._estimator.sklearn_versions import callback_management_context
from sk_mlp._estimator.task import Task
from sk_mlp._network.spec import Fitted
from sk_mlp.engine.population import Population
from sk_mlp.engine.run import Run

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP


def hook_arguments(estimator: "BaseKerasMLP", X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Arguments of all hooks in a fit; none if the estimator has no callbacks."""
    if not getattr(estimator, "_skl_callbacks", None):
        return {}
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"estimator": estimator, "X": X, "y": y, "metadata": metadata}


class FitTasks:
    """The task of a fit and the tasks of its epochs; in an ensemble, epochs of one member after the other.

    Parameters
    ----------
    task : Task
        With ``hook_arguments``. What the hooks get as the estimator is a copy, fitted when the last task ends.
    """

    def __init__(self, task: Task):
        self._task, self._estimator = task, task.hook_arguments["estimator"]
        self._stopped_at: int | None = None
        n_epochs = sum(member.epochs - task.first_epoch for member in task.members)
        self._fit = self._estimator._init_callback_context(max_subtasks=n_epochs)
        self._fit.call_on_fit_task_begin(**task.hook_arguments)

    def begin_member(self, run: Run) -> None:
        """Begin a member's first task; let it stop where a hook has stopped the members before."""
        if self._stopped_at is not None:
            run.end_with(self._stopped_at)
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._task.hook_arguments)

    def end_epoch(self, population: Population, run: Run) -> None:
        """End the task of the run's last epoch; stop the run if a hook asks for it, else begin the next task."""
        # An estimator is not shown with weights that are not finite: the fit will keep earlier ones.
        fitted = None if run.stopped_by == "non-finite" else partial(self._attributes, population, run)
        if self._epoch.call_on_fit_task_end(**self._task.hook_arguments, reconstruction_attributes=fitted):
            run.stop()
            self._stopped_at = run.epoch
        if not run.stopped_by:
            self._begin_epoch()

    def _attributes(self, population: Population, run: Run) -> dict[str, Any]:
        """Attributes of an estimator with the present weights."""
        state = population.extract(population.states, 0)
        present = replace(run.outcome(), state=state, best_epoch=run.epoch - 1)
        return vars(self._estimator) | learned_of(self._task, fitted_of(self._task, [present]))

    def end(self, fitted: Fitted) -> None:
        """End the fit's task."""
        vars(self._estimator).update(learned_of(self._task, fitted))
        self._fit.call_on_fit_task_end(**self._task.hook_arguments, reconstruction_attributes={})


def run_with_callbacks(task: Task) -> Fitted:
    """Train a task's members, within the tasks that scikit-learn's callbacks see."""
    if not task.hook_arguments:
        return fitted_of(task, run_task(task))
    with callback_management_context(task.hook_arguments["estimator"]):  # tears callbacks down, whatever happens
        tasks = FitTasks(task)
        fitted = fitted_of(task, run_task(task, tasks))
        tasks.end(fitted)
        return fitted


def announce_fit(estimator: Any, X: Any, y: Any, sample_weight: Any, own: list) -> None:
    """Show the task of a fit that is over to the callbacks that a search has propagated to its estimator.

    The estimator's own callbacks have seen it when it was trained.
    """
    propagated = [callback for callback in getattr(estimator, "_skl_callbacks", []) if callback not in own]
    if propagated:
        arguments = hook_arguments(estimator.set_callbacks(*propagated), X, y, sample_weight)
        with callback_management_context(estimator):
            context = estimator._init_callback_context().call_on_fit_task_begin(**arguments)
            context.call_on_fit_task_end(**arguments, reconstruction_attributes={})


class ForOriginal:
    """A callback of an estimator that is fitted on a copy: where the copy calls a hook, the hook gets the original.

    The hook keeps its signature, by which scikit-learn knows what to call it with. What is pickled is the callback
    alone: nobody calls it for the copy in another process.

    Parameters
    ----------
    callback : FitCallback
    copy : estimator
    original : estimator
        Has learned what the copy has when a hook is called.
    """

    def __init__(self, callback: Any, copy: Any, original: Any):
        self._callback, self._copy, self._original = callback, copy, original
        for name in ("setup", "on_fit_task_begin", "on_fit_task_end", "teardown"):
            setattr(self, name, self._for_original(getattr(callback, name)))
        if hasattr(callback, "max_propagation_depth"):  # only callbacks that are propagated have it
            self.max_propagation_depth = callback.max_propagation_depth

    def _for_original(self, hook: Callable) -> Callable:
        @wraps(hook)
        def called(estimator, context, **arguments):
            if estimator is self._copy:
                vars(self._original).update(learned_attributes(self._copy))
                estimator = self._original
            return hook(estimator=estimator, context=context, **arguments)

        return called

    def __reduce__(self):
        return _itself, (self._callback,)


def _itself(callback: Any) -> Any:
    return callback


def learned_attributes(estimator: Any) -> dict[str, Any]:
    """Attributes that end in an underscore, as those that a fit has set."""
    return {name: value for name, value in vars(estimator).items() if name.endswith("_")}


def context_argument(context: Any) -> dict[str, Any]:
    """The context as an argument for scikit-learn's searches; no argument before scikit-learn 1.9."""
    return {} if context is None else {"callback_ctx": context}


@contextmanager
def subtask(context: Any, search: Any, name: str, **settings: Any) -> Iterator[Any]:
    """A task of a search, below another one; None if that is None, as before scikit-learn 1.9."""
    if context is None:
        yield None
        return
    task = context.subcontext(task_name=name, **settings).call_on_fit_task_begin(estimator=search)
    yield task
    task.call_on_fit_task_end(estimator=search)


@contextmanager
def training_task(context: Any, search: Any, runs: list[Run]) -> Iterator[Callable[[Run], None]]:
    """The task of training a population, with a subtask for each epoch.

    Runs are in different epochs at a time: such a subtask ends when they have come through that share of all epochs
    that they may have.

    Parameters
    ----------
    context : CallbackContext or None
        Of the task that it belongs to.
    search : estimator
    runs : list of Run

    Yields
    ------
    report : callable (run) -> None
        To be called after every epoch of a run.
    """
    left = {run: run.epochs_left for run in runs}
    n_in_all, n_epochs, n_done, n_ended = sum(left.values()), max(left.values()), 0, 0
    with subtask(context, search, "train", max_subtasks=n_epochs) as training, ExitStack() as epoch:

        def report(run: Run) -> None:
            nonlocal n_done, n_ended
            before, left[run] = left[run], run.epochs_left
            n_done += before - left[run]
            while n_ended < n_done * n_epochs // n_in_all:
                epoch.close()
                n_ended += 1
                if n_ended < n_epochs:
                    epoch.enter_context(subtask(training, search, "epoch"))

        if n_epochs:
            epoch.enter_context(subtask(training, search, "epoch"))
        yield report
