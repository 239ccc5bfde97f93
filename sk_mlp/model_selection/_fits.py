"""The fits of a search, for each candidate and fold: prepared one by one, trained together."""

import copy
import pickle
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp._estimator.deferred import Collector, DeferredFit, PredictionsWanted, TransformerCache, deferred_fits
from sk_mlp._estimator.fitted import fitted_of, learned_of
from sk_mlp._estimator.messages import counted
from sk_mlp._estimator.mlflow import unlogged_fits
from sk_mlp._estimator.training import trained
from sk_mlp._network.spec import Member
from sk_mlp.engine.cohort import cohorts_of, train_cohorts
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.run import Run
from sk_mlp.model_selection._checkpoint import Checkpoint
from sk_mlp.model_selection._folds import Arguments, Fit, Folds
from sk_mlp.model_selection._identity import described, digest
from sk_mlp.model_selection._progress import progress

Watch = Callable[[list[Run]], AbstractContextManager[Callable[[Run], None]]]


def warn_of(alone: Counter, remark: str = "") -> None:
    """Warn of fits that are trained one by one."""
    for reason, n in alone.items():
        are_trained = f"{counted(n, 'fit')} {'is' if n == 1 else 'are'} trained one by one{remark}"
        warnings.warn(f"{are_trained}, which takes longer, because of {reason}.", stacklevel=7)


def fit_all(
    fits: list[Fit],
    data: Folds,
    n_jobs: int | None = None,
    verbose: int = 0,
    checkpoint: Checkpoint | None = None,
    watch: Watch | None = None,
) -> list[Fit]:
    """Fit estimators, in populations where possible.

    Parameters
    ----------
    fits : list of Fit
    data : Folds
    n_jobs : int or None
        Processes, as in joblib.
    verbose : int
        Whether to show the progress of this process.
    checkpoint : Checkpoint or None
        To keep runs in, and to go on from.
    watch : callable (runs) -> context manager of a callable (run), or None
        Followed while this process trains; what the context manager gives is called after every epoch of a run.

    Returns
    -------
    list of Fit
        In the order of ``fits``: the same, or their copies from other processes.

    Warns
    -----
    UserWarning
        If some have to be trained one by one.
    """
    n_jobs = min(joblib.effective_n_jobs(n_jobs), len(fits))
    if n_jobs < 2:
        session = Session(fits, data, checkpoint=checkpoint)
        session.advance(fits, verbose=verbose, watch=watch)
        fitted, alone = fits, session.alone
    else:
        # Neighbours in this order share most: first the structure, which takes a compilation, then the rows.
        order = sorted(range(len(fits)), key=lambda i: (_structure(fits[i].params), fits[i].split))
        shares = [[fits[i] for i in numbers] for numbers in np.array_split(order, n_jobs)]
        n_threads = max(1, joblib.cpu_count() // n_jobs)
        # Arrays go within a list and a dict: joblib's Dask backend would put an array that is an argument itself into
        # the memory of a worker, and lose it with that worker. Like this, a lost share is just sent again.
        results = Parallel(n_jobs=n_jobs)(
            delayed(_fit_here)(
                share, {split: data[split] for split in {fit.split for fit in share}}, n_threads, checkpoint
            )
            for share in shares
        )
        by_number = dict(zip(order, (fit for share, _ in results for fit in share), strict=True))
        fitted, alone = [by_number[i] for i in range(len(fits))], sum((counts for _, counts in results), Counter())
    warn_of(alone)
    return fitted


def _structure(params: Mapping[str, Any]) -> str:
    """A candidate's parameters in words, without numbers that are data of a program."""
    return repr(sorted((name, repr(value)) for name, value in params.items() if not isinstance(value, float)))


def _fit_here(
    fits: list[Fit], data: Mapping[int, Arguments], n_threads: int, checkpoint: Checkpoint | None
) -> tuple[list[Fit], Counter]:
    """Fit in this process, and count the fits that are trained one by one, by the reason."""
    session = Session(fits, data, checkpoint=checkpoint)
    session.advance(fits, n_threads=n_threads)
    for fit in fits:
        try:
            pickle.loads(pickle.dumps(fit.error))
        except Exception:  # a user's exception that cannot be sent back to the process that has asked
            fit.error = RuntimeError("".join(traceback.format_exception(fit.error)))
    return fits, session.alone


class Session:
    """Fits that are trained in this process, at once or in stages.

    Parameters
    ----------
    fits : list of Fit
        Each estimator's `fit` is called here, and ends where training would begin.
    data : Folds, or dict of int to (arguments, keyword arguments)
        Arguments of `fit` for each fold.
    share : float, default=1
        Of the epochs that they may have, expected to be run.
    checkpoint : Checkpoint or None

    Attributes
    ----------
    alone : Counter
        How many are trained one by one, by the reason.
    most_epochs : int
        That a network may have; 0 if none has been prepared.
    """

    def __init__(
        self,
        fits: list[Fit],
        data: Mapping[int, Arguments],
        share: float = 1.0,
        checkpoint: Checkpoint | None = None,
    ):
        self.alone: Counter = Counter()
        self.most_epochs = 0
        self._checkpoint = checkpoint
        self._hashes: dict[tuple, str] = {}  # of rows
        self._rest: dict[Fit, list[Callable[[], None]]] = {fit: [] for fit in fits}  # fits to be trained one by one
        self._runs: dict[Fit, list[tuple[DeferredFit, list[Run]]]] = {fit: [] for fit in fits}
        collector = Collector()
        for split in dict.fromkeys(fit.split for fit in fits):
            shared = data[split]
            whole = (data.X, data.train[split]) if isinstance(data, Folds) else (None, None)
            own = partial(data.__getitem__, split) if isinstance(data, Folds) else partial(copy.deepcopy, shared)
            with collector.fold(shared[0][0], *whole):
                self._prepare([fit for fit in fits if fit.split == split], shared, own, collector)
        self._cohorts = cohorts_of([run for fit in fits for run in self._runs_of(fit)], share)

    def _runs_of(self, fit: Fit) -> list[Run]:
        return [run for _, runs in self._runs[fit] for run in runs]

    def _prepare(self, fits: list[Fit], shared: Arguments, own: Callable[[], Arguments], collector: Collector) -> None:
        """Call `fit` of estimators with the same arguments, or with copies if they may write into them."""
        transformers = TransformerCache()
        for fit in fits:
            pipeline = _pipeline_to_serve(fit.estimator)
            collector.shares = pipeline is not None or _leaves_data_alone(fit.estimator)
            wants_predictions = False
            with fit.timed(), transformers.serve(pipeline), deferred_fits(collector):
                try:
                    _call_fit(fit.estimator, shared if collector.shares else own())
                except (PredictionsWanted, AttributeError):  # for an attribute that only the end of a fit sets
                    if not collector.fits:
                        raise
                    wants_predictions = True
            members = [member for deferred in collector.fits for member in deferred.task.members]
            self.most_epochs = max([self.most_epochs, *(member.epochs for member in members)])
            if wants_predictions:
                reason = f"{type(fit.estimator).__name__}, which wants predictions while it is fitted"
                self._alone(fit, reason, partial(_fit_with, own, fit))
            else:
                for deferred in collector.fits:
                    self._sort_in(fit, deferred)
            collector.fits.clear()

    def pause(self, fits: list[Fit], before: float) -> None:
        """Let fits pause before this epoch."""
        for fit in fits:
            for run in self._runs_of(fit):
                run.pause_before(before)

    def _sort_in(self, fit: Fit, deferred: DeferredFit) -> None:
        if reason := why_not_compilable(deferred.task.recipe, []):
            self._alone(fit, reason, partial(_train_alone, deferred))
        elif deferred.task.settings.engine == "keras":
            self._alone(fit, "engine='keras'", partial(_train_alone, deferred))
        elif deferred.task.has_callbacks:
            self._alone(fit, "callbacks", partial(_train_alone, deferred))
        elif deferred.task.hook_arguments:
            self._alone(fit, "scikit-learn's callbacks", partial(_train_alone, deferred))
        else:
            self._runs[fit].append((deferred, deferred.task.runs()))

    def _alone(self, fit: Fit, reason: str, call: Callable[[], None]) -> None:
        self.alone[reason] += 1
        self._rest[fit].append(call)

    def advance(
        self,
        fits: list[Fit],
        n_threads: int | None = None,
        verbose: int = 0,
        watch: Watch | None = None,
    ) -> None:
        """Train some of the fits until they have stopped or pause; their estimators are fitted up to there."""
        before = {run: run.n_rows for fit in fits for run in self._runs_of(fit)}
        ended = self._kept(fits, self._checkpoint) if self._checkpoint else None
        restored = {run: run.n_rows for run in before}
        began = time.perf_counter()
        with ExitStack() as stack:
            watches: list[Watch] = [partial(progress, n_structures=len(self._cohorts))] if verbose else []
            watches += [watch] if watch else []
            reports = [stack.enter_context(begin(list(before))) for begin in watches if before]
            report = partial(_tell, reports) if reports else None
            train_cohorts(self._cohorts, set(before), report, ended, n_threads)
        per_row = (time.perf_counter() - began) / max(sum(run.n_rows - n for run, n in restored.items()), 1)
        errors = {run: _first_line(cohort.error) for cohort in self._cohorts if cohort.error for run in cohort.runs}
        for fit in fits:
            for deferred, runs in list(self._runs[fit]):
                fit.seconds += per_row * sum(run.n_rows - restored[run] for run in runs)
                if runs[0] in errors:
                    self._runs[fit].remove((deferred, runs))
                    self._alone(fit, errors[runs[0]], partial(_train_alone, deferred))
                elif any(before[run] < run.n_rows for run in runs):
                    with fit.timed():
                        fitted = fitted_of(deferred.task, [run.outcome() for run in runs])
                        deferred.finish(learned_of(deferred.task, fitted))
            with fit.timed():
                while self._rest[fit]:
                    with unlogged_fits():
                        self._rest[fit].pop(0)()

    def _kept(self, fits: list[Fit], checkpoint: Checkpoint) -> Callable[[Run], None]:
        """Bring runs to where they were kept, and return a function that keeps one."""
        names = {}
        for fit in fits:
            candidate = described((dict(fit.params), fit.split))
            members = (member for deferred, _ in self._runs[fit] for member in deferred.task.members)
            for n, (member, run) in enumerate(zip(members, self._runs_of(fit), strict=True)):
                names[run] = f"{fit.number}-{n}-{run.until}", digest((candidate, member.seed, self._rows_of(member)))
                checkpoint.restore(run, *names[run])
        return lambda run: checkpoint.save(run, *names[run])

    def _rows_of(self, member: Member) -> str:
        """A hash of the rows that a member trains on and holds out. Many members share them."""
        rows, parts = member.rows, (member.train, member.validation)
        key = (id(rows), *map(id, parts))
        if key not in self._hashes:
            self._hashes[key] = digest([(rows.X[part], rows.y[part]) for part in parts])
        return self._hashes[key]


def _pipeline_to_serve(estimator: BaseEstimator) -> Pipeline | None:
    """The estimator, if it is a Pipeline of transformers and one of our estimators, without a memory of its own."""
    if not isinstance(estimator, Pipeline) or estimator.memory is not None or not estimator.steps:
        return None
    return estimator if _leaves_data_alone(estimator.steps[-1][-1]) else None


def _leaves_data_alone(estimator: BaseEstimator) -> bool:
    """Whether an estimator is of this package, with its own `fit`: others may write into X."""
    return isinstance(estimator, BaseKerasMLP) and type(estimator).fit is BaseKerasMLP.fit


def _fit_with(own: Callable[[], Arguments], fit: Fit) -> None:
    _call_fit(fit.estimator, own())


def _call_fit(estimator: BaseEstimator, arguments: Arguments) -> None:
    parts, params = arguments
    estimator.fit(*parts, **params)


def _tell(reports: list[Callable[[Run], None]], run: Run) -> None:
    for report in reports:
        report(run)


def _first_line(error: Exception | None) -> str:
    return str(error).partition("\n")[0] or repr(error)


def _train_alone(deferred: DeferredFit) -> None:
    deferred.finish(trained(deferred.task))
