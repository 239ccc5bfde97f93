"""scikit-learn's searches, whose candidates and folds are trained together."""

import copy
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params

from sk_mlp.model_selection._fits import Fit, fit_all


class Stage:
    """Between a search of scikit-learn's and its estimator: hands out fitted clones.

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
        self._original = estimator
        self._queue: deque[Fit] | None = None
        self.seconds: list[float] = []
        self.estimator = copy.copy(estimator)
        vars(self.estimator)["__sklearn_clone__"] = self._clone

    def clone_with(self, params: dict[str, Any]) -> BaseEstimator:
        """A real clone of the original with these parameters."""
        return clone(self._original).set_params(**clone(params, safe=False))

    def hand_out(self, fits: list[Fit]) -> None:
        """Let the next clones be these."""
        self._queue = deque(fits)
        self.seconds += [fit.seconds for fit in fits]

    def _clone(self) -> BaseEstimator:
        if self._queue is None:  # nothing has been fitted yet: the search makes its base for other clones
            return self.estimator
        if not self._queue:  # all have been scored: the search refits
            return clone(self._original)
        fit = self._queue.popleft()
        estimator = fit.estimator

        def finish(*arguments, **params):
            del vars(estimator)["fit"], vars(estimator)["set_params"]
            if fit.error is not None:
                raise fit.error
            return estimator

        vars(estimator).update(fit=finish, set_params=lambda **params: estimator)
        return estimator


class PopulationSearch(BaseSearchCV):
    """What the population searches add to scikit-learn's. Abstract."""

    _stage: Stage
    _data: tuple

    def fit(self, X, y=None, **params):
        """Run fit with all sets of parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **params : dict of str -> object
            As of the search's namesake in scikit-learn.

        Returns
        -------
        self
        """
        self._validate_params()
        data = indexable(X, y)
        routed = self._get_routed_params_for_fit(_check_method_params(X, params=params))
        before = self.estimator, self.n_jobs
        self._stage, self._data = Stage(self.estimator), (*data, routed, self.n_jobs)
        self.estimator, self.n_jobs = self._stage.estimator, 1
        try:
            return super().fit(X, y, **params)
        finally:
            self.estimator, self.n_jobs = before
            del self._stage, self._data

    def _run_search(self, evaluate_candidates, callback_ctx=None):
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}  # scikit-learn has it from 1.9 on
        super()._run_search(partial(self._evaluate, evaluate_candidates), **context)

    def _evaluate(
        self, evaluate_candidates: Callable, candidate_params: Iterable[dict], cv=None, more_results=None, **context
    ):
        X, y, routed, n_jobs = self._data
        candidates = list(candidate_params)
        splits = list((cv or self._checked_cv_orig).split(X, y, **routed.splitter.split))
        fits = [Fit(self._stage.clone_with(params), params, i) for params in candidates for i in range(len(splits))]
        fits = fit_all(fits, X, y, [train for train, _ in splits], routed.estimator.fit, n_jobs)
        self._stage.hand_out(fits)
        return evaluate_candidates(candidates, cv=check_cv(splits), more_results=more_results, **context)

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        for result, seconds in zip(out, self._stage.seconds, strict=True):
            result["fit_time"] = seconds
        return super()._format_results(candidate_params, n_splits, out, more_results)


class PopulationGridSearchCV(PopulationSearch, GridSearchCV):
    """Search over a grid."""


class PopulationRandomizedSearchCV(PopulationSearch, RandomizedSearchCV):
    """Random search."""
