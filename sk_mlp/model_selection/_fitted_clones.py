"""Fitted clones for scikit-learn's searches to score, on folds that are known."""

import copy
from collections import deque
from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from sk_mlp._estimator.sklearn_callbacks import announce_fit
from sk_mlp.model_selection._folds import Fit


class FittedClones:
    """Hands out fitted clones, as the estimator of one of scikit-learn's searches.

    scikit-learn's search clones its estimator for every candidate and fold, sets the candidate's parameters, fits and
    scores. Here the clones come from a queue, are fitted already, and have the parameters: all else, from splits and
    scorers to errors and metadata, is scikit-learn's own code.

    Parameters
    ----------
    estimator : estimator

    Attributes
    ----------
    estimator : estimator
        A copy, which `sklearn.base.clone` takes clones from here for.
    seconds : list of float
        What the fits took, in their order.
    """

    def __init__(self, estimator: BaseEstimator):
        clone(estimator)  # raises scikit-learn's error for a class, or what else it cannot clone
        self._original = estimator
        self._queue: deque[Fit] | None = None
        self.seconds: list[float] = []
        self._n_fits = 0
        self.estimator = copy.copy(estimator)
        vars(self.estimator)["__sklearn_clone__"] = self._clone

    def close(self) -> None:
        """Let the copy be cloned in the usual way from now on: the search's scorer keeps it."""
        del vars(self.estimator)["__sklearn_clone__"]

    def next_number(self) -> int:
        """The number of the next fit."""
        self._n_fits += 1
        return self._n_fits - 1

    def clone_with(self, params: dict[str, Any]) -> BaseEstimator:
        """A real clone of the original with these parameters."""
        return clone(self._original).set_params(**clone(params, safe=False))

    def hand_out(self, fits: list[Fit]) -> None:
        """Let the next clones be these."""
        self._queue = deque(fits)
        for fit in fits:
            self.seconds.append(fit.seconds)
            fit.seconds = 0.0  # it may train on, and be handed out again

    def _clone(self) -> BaseEstimator:
        if self._queue is None:  # nothing has been fitted yet: the search makes the estimator that it clones later
            return self.estimator
        if not self._queue:  # all have been scored: the search refits
            return clone(self._original)
        fit = self._queue.popleft()
        estimator = fit.estimator
        own_callbacks = getattr(estimator, "_skl_callbacks", [])

        def finish(X, y=None, **params):
            del vars(estimator)["fit"], vars(estimator)["set_params"]
            if fit.error is not None:
                raise fit.error
            announce_fit(estimator, X, y, params.get("sample_weight"), own_callbacks)
            return estimator

        vars(estimator).update(fit=finish, set_params=lambda **params: estimator)
        return estimator


class FixedSplits:
    """A splitter that returns the same folds, whatever its arguments.

    Parameters
    ----------
    splits : list of (ndarray, ndarray)
    """

    def __init__(self, splits: list[tuple[NDArray, NDArray]]):
        self._splits = splits

    def split(self, *_, **__):
        return iter(self._splits)

    def get_n_splits(self, *_, **__):
        return len(self._splits)
