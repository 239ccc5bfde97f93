"""The fits of a search, candidates times folds: prepared one by one, trained together."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from sk_mlp._deferred import Collector, DeferredFit, TransformerCache, deferred_fits
from sk_mlp._spec import Trained
from sk_mlp.engine.cohort import Cohort, train_cohorts
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.run import Run

Arguments = tuple[list, dict[str, Any]]  # of a call of `fit`


@dataclass(eq=False)
class Fit:
    """An estimator to be fitted on the training rows of a fold.

    Attributes
    ----------
    estimator : estimator
        Unfitted; fitted in the end, unless there is an error.
    params : mapping
        What the candidate sets.
    split : int
        Number of the fold.
    error : Exception or None
        What `fit` has raised.
    seconds : float
        Its share of the time.
    deferred : list of DeferredFit
        The multilayer perceptrons in it, until they are trained.
    """

    estimator: BaseEstimator
    params: Mapping[str, Any]
    split: int
    error: Exception | None = None
    seconds: float = 0.0
    deferred: list[DeferredFit] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time that is spent within the context, and keep what is raised."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:  # of a user's data, parameters or code: it belongs to this fit alone
            self.error = error
        finally:
            self.seconds += time.perf_counter() - began


def fit_all(
    fits: list[Fit],
    X: Any,
    y: Any,
    train: list[NDArray],
    fit_params: Mapping[str, Any],
    n_jobs: int | None = None,
    report: Callable[[Run], None] | None = None,
) -> list[Fit]:
    """Fit estimators, in populations where that can be.

    A fit whose loss does not stay finite has an error, unlike `fit` itself, which warns and keeps earlier weights.

    Parameters
    ----------
    fits : list of Fit
    X, y
        All rows.
    train : list of ndarray of int
        Numbers of each fold's training rows.
    fit_params : mapping
        Further arguments of `fit`, for all rows.
    n_jobs : int or None
        Processes, as in joblib.
    report : callable (run) or None
        Called after every epoch of a run, in this process.

    Returns
    -------
    list of Fit
        In the order of ``fits``: the same, or their copies from other processes.

    Warns
    -----
    UserWarning
        If some have to be trained one by one.
    """
    data: dict[int, Arguments] = {}  # one object for all candidates, so that they can share transformers and rows
    for split, rows in enumerate(train):
        parts = [part for part in _safe_split(fits[0].estimator, X, y, rows) if part is not None]
        data[split] = parts, _check_method_params(X, fit_params, indices=rows)
    n_jobs = min(joblib.effective_n_jobs(n_jobs), len(fits))
    if n_jobs < 2:
        fitted, alone = _fit_here(fits, data, None, report)
    else:
        # Neighbours in this order have most in common: the structure first, which costs a compilation, then the rows.
        order = sorted(range(len(fits)), key=lambda i: (_structure(fits[i].params), fits[i].split))
        shares = [[fits[i] for i in numbers] for numbers in np.array_split(order, n_jobs)]
        n_threads = max(1, joblib.cpu_count() // n_jobs)
        results = Parallel(n_jobs=n_jobs)(
            delayed(_fit_here)(share, {fit.split: data[fit.split] for fit in share}, n_threads) for share in shares
        )
        by_number = dict(zip(order, (fit for share, _ in results for fit in share), strict=True))
        fitted, alone = [by_number[i] for i in range(len(fits))], sum((counts for _, counts in results), Counter())
    for reason, n in alone.items():
        warnings.warn(f"{n} fits are trained one by one, which takes longer, because of {reason}.", stacklevel=6)
    return fitted


def _structure(params: Mapping[str, Any]) -> str:
    """What a candidate sets, without numbers that are data of a program."""
    return repr(sorted((name, repr(value)) for name, value in params.items() if not isinstance(value, float)))


def _fit_here(
    fits: list[Fit],
    data: dict[int, Arguments],
    n_threads: int | None = None,
    report: Callable[[Run], None] | None = None,
) -> tuple[list[Fit], Counter]:
    """Fit in this process.

    Returns
    -------
    fits : list of Fit
    alone : Counter
        How many had to be trained one by one, by the reason.
    """
    alone = _prepare(fits, data)
    groups: dict[Hashable, list[tuple[Fit, DeferredFit, Run]]] = {}
    for fit in fits:
        for deferred in fit.deferred:
            task = deferred.task
            reason = _why_alone(deferred)
            if reason:
                alone.append((fit, reason, deferred))
            else:
                key = (task.recipe.key, task.recipe.batch_size, task.recipe.shuffle, tuple(task.member.hyper))
                groups.setdefault(key, []).append((fit, deferred, task.run()))
        fit.deferred = []

    cohorts = [Cohort(group[0][1].task.recipe, [run for *_, run in group]) for group in groups.values()]
    began = time.perf_counter()
    train_cohorts(cohorts, report=report, n_threads=n_threads)
    seconds = time.perf_counter() - began
    n_rows = max(sum(run.n_rows for cohort in cohorts for run in cohort.runs), 1)
    for cohort, group in zip(cohorts, groups.values(), strict=True):
        for fit, deferred, run in group:
            if cohort.parts is None or cohort.error:
                alone.append((fit, str(cohort.error), deferred))
            else:
                fit.seconds += seconds * run.n_rows / n_rows
                _finish(fit, deferred, run.outcome(cohort.parts))
    for fit, _, rest in alone:
        with fit.timed():
            if isinstance(rest, DeferredFit):
                _finish(fit, rest, rest.worker._run(rest.task))
            else:
                rest()
    return fits, Counter(reason for _, reason, _ in alone)


def _prepare(fits: list[Fit], data: dict[int, Arguments]) -> list[tuple[Fit, str, Any]]:
    """Call each estimator's `fit`, which ends where training would begin; and tell what must be done one by one."""
    collector, transformers = Collector(), TransformerCache()
    alone: list[tuple[Fit, str, Any]] = []
    for fit in fits:
        arguments, params = data[fit.split]
        call = partial(fit.estimator.fit, *arguments, **params)
        with fit.timed(), transformers.serve(fit.estimator), deferred_fits(collector):
            try:
                call()
            except NotFittedError:
                alone.append((fit, f"{type(fit.estimator).__name__}, which wants predictions while it is fitted", call))
                collector.fits.clear()
        fit.deferred, collector.fits = collector.fits, []
    return alone


def _why_alone(deferred: DeferredFit) -> str | None:
    if deferred.worker.engine == "keras":
        return "engine='keras'"
    return "callbacks" if deferred.worker.callbacks is not None else why_not_compilable(deferred.task.recipe, [])


def _finish(fit: Fit, deferred: DeferredFit, trained: Trained) -> None:
    with fit.timed():
        if trained.stopped_by == "non-finite":
            raise FloatingPointError(deferred.worker._divergence(deferred.task, trained))
        deferred.finish(trained)
