"""The tasks that scikit-learn's callbacks see, those of ``set_callbacks``; Keras' callbacks go by `engine.bridge`.

A fit is a task, and so is each of its epochs.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from sk_mlp._compat import callback_management_context
from sk_mlp._plan import Task
from sk_mlp.engine.population import Population
from sk_mlp.engine.run import Run


def hook_arguments(estimator: Any, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """What the hooks of all tasks of a fit get; nothing if the estimator has no callbacks."""
    if not getattr(estimator, "_skl_callbacks", None):
        return {}
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"estimator": estimator, "X": X, "y": y, "metadata": metadata}


class FitTasks:
    """The task that a fit is, and those of its epochs.

    Parameters
    ----------
    worker : estimator
        What the hooks get as the estimator: the copy that the fit works on, fitted when the last task ends.
    task : Task
        With ``hook_arguments``.
    """

    def __init__(self, worker: Any, task: Task):
        self._worker, self._task = worker, task
        self._fit = worker._init_callback_context(max_subtasks=task.member.epochs - task.first_epoch)
        self._fit.call_on_fit_task_begin(**task.hook_arguments)
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._task.hook_arguments)

    def end_epoch(self, population: Population, run: Run) -> None:
        """End the task of the run's last epoch; stop the run if a hook asks for it, else begin the next task."""
        # Weights that are not finite make no estimator: the fit is going to keep earlier ones.
        fitted = None if run.stopped_by == "non-finite" else partial(self._attributes, population, run)
        if self._epoch.call_on_fit_task_end(**self._task.hook_arguments, reconstruction_attributes=fitted):
            run.stopped_by = run.stopped_by or "callback"
        if not run.stopped_by:
            self._begin_epoch()

    def _attributes(self, population: Population, run: Run) -> dict[str, Any]:
        """Attributes of an estimator with the present weights."""
        state = population.extract(population.states, 0)
        present = replace(run.outcome(), state=state, best_epoch=run.epoch - 1)
        fitted = copy.copy(self._worker)
        fitted._finish(self._task, present)
        return vars(fitted)

    def end(self) -> None:
        """End the fit's task."""
        self._fit.call_on_fit_task_end(**self._task.hook_arguments, reconstruction_attributes={})


@contextmanager
def fit_tasks(worker: Any, task: Task) -> Iterator[FitTasks | None]:
    """Train and finish the worker within the context; None if it has no callbacks."""
    if not task.hook_arguments:
        yield None
        return
    with callback_management_context(worker):  # which tears callbacks down, whatever happens
        tasks = FitTasks(worker, task)
        yield tasks
        tasks.end()
