"""Fits that are only prepared when `fit` is called, and run later, many at once.

The protocol: within `deferred_fits(collector)`, `fit` prepares a `Task`, sets the attributes that data alone decides,
and hands the task to the collector. Until its task has run, an estimator raises `PredictionsWanted` for anything else.
Whoever has opened the context runs the tasks, as `sk_mlp._estimator.training.trained` does, or the runs of many tasks
together; and calls `DeferredFit.finish` with what `learned_of` makes of the outcome. That may be done again after more
epochs. The estimator is fitted then, as if `fit` had just returned.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sk_mlp._network.spec import Member, Rows
from sk_mlp._tables.numbers import NARROW, in_float32
from sk_mlp._tables.selection import Matrix

if TYPE_CHECKING:
    from sk_mlp._estimator.task import Task


@dataclass(eq=False)
class DeferredFit:
    """A fit that has been prepared.

    Attributes
    ----------
    estimator : KerasMLPClassifier or KerasMLPRegressor
        Whose `fit` was called.
    task : Task
    """

    estimator: Any
    task: "Task"

    def finish(self, learned: dict[str, Any]) -> None:
        """Make the estimator fitted, with the attributes that `learned_of` returns; what a subclass has set remains."""
        vars(self.estimator).update(learned)


@dataclass(eq=False)
class Collector:
    """Collects the fits that are prepared within `deferred_fits`.

    Fits share their data: equal arrays are kept once.

    Attributes
    ----------
    fits : list of DeferredFit
    shares : bool
        Whether an X is as it was when it comes again. Some transformers write into it.
    """

    shares: bool = True
    fits: list[DeferredFit] = field(default_factory=list)
    _input: Any = None
    _converted: dict[tuple, tuple[Any, Matrix]] = field(default_factory=dict)
    _fold: tuple[NDArray, NDArray, NDArray] | None = None
    _matrices: dict[Any, Any] = field(default_factory=dict)
    _rows: dict[tuple, Rows] = field(default_factory=dict)
    _numbers: dict[str, NDArray] = field(default_factory=dict)

    @contextmanager
    def fold(self, X: Any, whole: Any, numbers: NDArray | None) -> Iterator[None]:
        """Within the context, take X for the rows of ``whole`` with these numbers; None for a matrix of its own."""
        if isinstance(whole, np.ndarray) and numbers is not None:
            numbers = np.arange(len(whole), dtype=np.int32)[numbers]  # which may be negative, or a mask
            if len(np.unique(numbers)) == len(numbers):  # a row that comes twice may have two weights
                self._fold = X, whole, numbers
        try:
            yield
        finally:
            self._fold = None
            self._input = None
            self._converted = {key: pair for key, pair in self._converted.items() if pair[0] is whole}

    def input(self, X: Any) -> Any:
        """X of a fit, or a copy of it where the fit would keep it and others may write into it."""
        is_converted = isinstance(X, np.ndarray) and X.dtype not in NARROW
        self._input = X if self.shares or is_converted else copy.deepcopy(X)
        return self._input

    def in_float32(self, parts: Sequence[Matrix], shift: NDArray | None, names: Iterable = ()) -> Matrix:
        """As `sk_mlp._tables.numbers.in_float32`, but the same array is converted only once."""
        if self.shares and len(parts) == 1 and parts[0] is self._input:
            return self._float32(parts[0], shift, names)
        return in_float32(parts, shift, names)

    def _float32(self, X: Matrix, shift: NDArray | None, names: Iterable = (), checks: bool = True) -> Matrix:
        key = id(X), None if shift is None else shift.tobytes()
        if key not in self._converted:  # X is kept, so that its id remains its own
            self._converted[key] = X, in_float32([X], shift, names, checks)
        return self._converted[key][1]

    def defer(self, estimator: Any, task: "Task") -> None:
        """Keep a fit that has been prepared."""
        members = list(task.members)
        if self._fold:
            X, whole, numbers = self._fold
            of_fold = self._converted.get((id(X), None if task.shift is None else task.shift.tobytes()), (X, X))[1]
            if members[0].rows.X is of_fold:  # rather than what a pipeline has made of it
                # Nobody trains on the other rows, so it does not matter what they hold.
                members = _in_whole(members, self._float32(whole, task.shift, checks=False), numbers)
        members = [self._with_shared(member) for member in members]
        self.fits.append(DeferredFit(estimator, replace(task, members=tuple(members))))

    def has(self, estimator: Any) -> bool:
        """Whether the estimator's fit has been deferred."""
        return any(fit.estimator is estimator for fit in self.fits)

    def _with_shared(self, member: Member) -> Member:
        train, validation = (
            self._numbers.setdefault(joblib.hash(numbers), numbers) for numbers in (member.train, member.validation)
        )
        return replace(member, rows=self._shared(member.rows), train=train, validation=validation)

    def _shared(self, rows: Rows) -> Rows:
        """Equal rows that are here already, or these."""
        X = self._matrices.get(id(rows.X))
        if X is None:
            X = self._matrices.setdefault(joblib.hash(rows.X), rows.X)
            self._matrices[id(X)] = X
        key = id(X), joblib.hash((rows.y, rows.weights, rows.y_mean, rows.y_scale))
        return self._rows.setdefault(key, replace(rows, X=X))


def _in_whole(members: list[Member], whole: NDArray, numbers: NDArray) -> list[Member]:
    """Members that have all rows of X, of which theirs are those with these numbers."""
    y = np.zeros((len(whole), *members[0].rows.y.shape[1:]), members[0].rows.y.dtype)
    y[numbers] = members[0].rows.y

    def in_whole(member: Member) -> Member:
        weights = np.zeros(len(whole), np.float32)
        weights[numbers] = member.rows.weights
        rows = replace(member.rows, X=whole, y=y, weights=weights)
        return replace(member, rows=rows, train=numbers[member.train], validation=numbers[member.validation])

    return [in_whole(member) for member in members]


class PredictionsWanted(BaseException):
    """Raised by an estimator whose fit has been deferred. Not an Exception: scikit-learn's searches catch those."""


_collector: ContextVar[Collector | None] = ContextVar("collector", default=None)


def present_collector() -> Collector | None:
    """The collector of this context, or None where fits are not deferred."""
    return _collector.get()


@contextmanager
def deferred_fits(collector: Collector | None) -> Iterator[None]:
    """Within the context, let `fit` only prepare its task for the collector; None for fits as usual."""
    token = _collector.set(collector)
    try:
        yield
    finally:
        _collector.reset(token)


class TransformerCache:
    """A ``memory`` of Pipelines that keeps fitted transformers for other pipelines.

    Objects X and y are told apart by identity, and kept.
    """

    def __init__(self) -> None:
        self._results: dict[tuple, tuple[Any, tuple]] = {}

    @contextmanager
    def serve(self, pipeline: Pipeline | None) -> Iterator[None]:
        """Within the context, be the memory of a Pipeline that has none."""
        if pipeline is not None:
            pipeline.memory = self
        try:
            yield
        finally:
            if pipeline is not None:
                pipeline.memory = None

    def cache(self, function: Any, ignore: Any = ()) -> Any:
        """The function, which fits and transforms, with its results kept."""

        def cached(transformer: Any, X: NDArray, y: Any, **arguments: Any) -> tuple:
            settings = {k: v for k, v in arguments.items() if k not in (ignore or ())}
            try:
                key = (joblib.hash((transformer, settings)), id(X), id(y))
            except Exception:  # whatever it is that pickling a user's transformer raises: it is fitted each time
                return function(transformer, copy.deepcopy(X), y, **arguments)
            if key not in self._results:  # a copy of X, for a transformer with copy=False writes into it
                self._results[key] = function(transformer, copy.deepcopy(X), y, **arguments), (X, y)
            return self._results[key][0]

        return cached
