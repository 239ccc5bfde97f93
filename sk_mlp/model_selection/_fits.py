"""The fits of a search, candidates times folds: prepared one by one, trained together."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from sk_mlp._deferred import Collector, DeferredFit, TransformerCache, deferred_fits
from sk_mlp._spec import Trained
from sk_mlp.engine.cohort import Cohort, train_cohorts
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.run import Run


@dataclass(eq=False)
class Fit:
    """An estimator to be fitted on the training rows of a fold.

    Attributes
    ----------
    estimator : estimator
        Unfitted; fitted in the end, unless there is an error.
    split : int
        Number of the fold.
    error : Exception or None
        What `fit` has raised.
    seconds : float
        Its share of the time.
    deferred : list of DeferredFit
        The multilayer perceptrons in it.
    """

    estimator: BaseEstimator
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
    report: Callable[[Run], None] | None = None,
) -> None:
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
    report : callable (run) or None
        Called after every epoch of a run.

    Warns
    -----
    UserWarning
        If some have to be trained one by one.
    """
    alone = _prepare(fits, X, y, train, fit_params)
    groups: dict[Hashable, list[tuple[Fit, DeferredFit, Run]]] = {}
    for fit in fits:
        for deferred in fit.deferred:
            recipe, callbacks = deferred.task.recipe, deferred.worker.callbacks
            reason = "engine='keras'" if deferred.worker.engine == "keras" else why_not_compilable(recipe, [])
            if reason or callbacks is not None:
                alone.append((fit, reason or "callbacks", deferred))
                continue
            key = (recipe.key, recipe.batch_size, recipe.shuffle, tuple(deferred.task.member.hyper))
            groups.setdefault(key, []).append((fit, deferred, deferred.task.run()))

    cohorts = [Cohort(group[0][1].task.recipe, [run for *_, run in group]) for group in groups.values()]
    began = time.perf_counter()
    train_cohorts(cohorts, report=report)
    seconds = time.perf_counter() - began
    n_steps = max(sum(_n_steps(run) for cohort in cohorts for run in cohort.runs), 1)
    for cohort, group in zip(cohorts, groups.values(), strict=True):
        for fit, deferred, run in group:
            if cohort.error or not cohort.parts:
                alone.append((fit, str(cohort.error), deferred))
            else:
                fit.seconds += seconds * _n_steps(run) / n_steps
                _finish(fit, deferred, run.outcome(cohort.parts))

    for reason, n in Counter(reason for _, reason, _ in alone).items():
        warnings.warn(f"{n} fits are trained one by one, which takes longer, because of {reason}.", stacklevel=6)
    for fit, _, deferred in alone:
        with fit.timed():
            if isinstance(deferred, DeferredFit):
                _finish(fit, deferred, deferred.worker._run(deferred.task))
            else:
                deferred()


def _prepare(fits: list[Fit], X: Any, y: Any, train: list[NDArray], fit_params: Mapping[str, Any]) -> list:
    """Call each estimator's `fit`, which ends where training would begin; and tell what must be done one by one."""
    collector, transformers = Collector(), TransformerCache()
    data: dict[int, tuple[list, dict]] = {}  # one object for all candidates, so that they share transformers and rows
    alone = []
    for fit in fits:
        if fit.split not in data:
            rows = train[fit.split]
            parts = [part for part in _safe_split(fit.estimator, X, y, rows) if part is not None]
            data[fit.split] = parts, _check_method_params(X, fit_params, indices=rows)
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


def _n_steps(run: Run) -> int:
    return len(run.member.train) * run.epoch


def _finish(fit: Fit, deferred: DeferredFit, trained: Trained) -> None:
    with fit.timed():
        if trained.stopped_by == "non-finite":
            raise FloatingPointError(deferred.worker._divergence(deferred.task, trained))
        deferred.finish(trained)
