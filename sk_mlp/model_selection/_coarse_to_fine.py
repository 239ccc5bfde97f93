"""Rounds of random search, each around the best of the rounds before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from sk_mlp._estimator.sklearn_callbacks import context_argument, subtask
from sk_mlp.model_selection._distributions import OneMinus
from sk_mlp.model_selection._fitted_clones import FixedSplits
from sk_mlp.model_selection._population import CHECKPOINT_DIR, PopulationSearch


@dataclass(frozen=True)
class Range:
    """An interval to draw from, evenly on its scale.

    Attributes
    ----------
    low, high : float
        Both may be drawn.
    scale : {"linear", "log", "integer"}
    complement : bool
        Whether 1 - x is the value, for x in the interval.
    """

    low: float
    high: float
    scale: str
    complement: bool = False

    def draw(self, rng: np.random.RandomState) -> float | int:
        """A value."""
        if self.scale == "integer":
            number = int(rng.randint(int(self.low), int(self.high) + 1))
            return 1 - number if self.complement else number
        if self.scale == "linear":
            x = rng.uniform(self.low, self.high)
        else:
            x = np.exp(rng.uniform(np.log(self.low), np.log(self.high)))
        return float(1 - x if self.complement else np.clip(x, self.low, self.high))

    def shrunk(self, best: Any, share: float, scores: dict[str, float]) -> "Range":
        """A part of the interval around the best value, of this share, moved so that it stays within."""
        position, back = (np.log, np.exp) if self.scale == "log" else (float, float)
        low, high = position(self.low), position(self.high)
        center = min(max(position(1 - best if self.complement else best), low), high)
        width = share * (high - low)
        begin = min(max(center - width / 2, low), high - width)
        if self.scale == "integer":
            begin = round(begin)
            return replace(self, low=begin, high=min(begin + max(1, round(width)), self.high))
        return replace(self, low=float(back(begin)), high=float(back(begin + width)))

    @property
    def shown(self) -> tuple[float, float]:
        """The least and the largest value."""
        return (1 - self.high, 1 - self.low) if self.complement else (self.low, self.high)


@dataclass(frozen=True)
class Values:
    """Values to draw from."""

    values: tuple

    def draw(self, rng: np.random.RandomState) -> Any:
        """A value."""
        return self.values[rng.randint(len(self.values))]

    def shrunk(self, best: Any, share: float, scores: dict[str, float]) -> "Values":
        """A part of the values, of this share: those nearest to the best if they are numbers, else the best scored."""
        n = max(1, ceil(share * len(self.values)))
        if all(isinstance(value, Real) and not isinstance(value, bool) for value in self.values):
            ordered = sorted(self.values)
            begin = min(max(ordered.index(best) - n // 2, 0), len(ordered) - n)
            return Values(tuple(ordered[begin : begin + n]))
        ranked = sorted(self.values, key=lambda value: -scores.get(repr(value), -np.inf))
        return Values(tuple(value for value in self.values if any(value is kept for kept in ranked[:n])))

    @property
    def shown(self) -> list:
        """The values."""
        return list(self.values)


def to_range(name: str, distribution: Any, complement: bool = False) -> Range | Values:
    """The range of a distribution.

    Raises
    ------
    ValueError
        If it has none that could shrink.
    """
    if isinstance(distribution, OneMinus):
        return to_range(name, distribution.distribution, not complement)
    if isinstance(distribution, Sequence | np.ndarray) and not isinstance(distribution, str) and len(distribution):
        return Values(tuple(value.item() if isinstance(value, np.generic) else value for value in distribution))
    kind = getattr(getattr(distribution, "dist", None), "name", None)
    scale = {"loguniform": "log", "reciprocal": "log", "uniform": "linear", "randint": "integer"}.get(kind or "")
    if scale is None:
        raise ValueError(
            f"param_distributions[{name!r}] must be a list of values, or loguniform, uniform or randint of "
            f"scipy.stats, or one_minus of them. Got {distribution!r}."
        )
    low, high = map(int if scale == "integer" else float, distribution.support())
    return Range(low, high, scale, complement)


class CoarseToFineSearchCV(PopulationSearch, BaseSearchCV):
    """Random search in rounds: after each, the ranges shrink around the best candidate so far.

    Candidates and folds of a round train together, as in `PopulationRandomizedSearchCV`.

    Parameters
    ----------
    estimator : estimator
        A KerasMLPClassifier or KerasMLPRegressor, alone or within a Pipeline or another meta-estimator.
    param_distributions : dict
        By the name of the parameter, a list of values or ``loguniform``, ``uniform`` or ``randint`` of scipy.stats, or
        `one_minus` of them.
    n_iter : int, default=10
        Candidates of each round.
    n_rounds : int, default=3
        Number of rounds.
    share : float, default=0.5
        How much of each range is left after a round: of its logarithm for ``loguniform``; of a list of numbers, those
        next to the best; of a list of other values, those with the best scores so far.
    scoring : str, callable, list, tuple or dict, default=None
        Candidates are ranked by the metric that ``refit`` names, if there are several.
    n_jobs : int, default=None
        As in `PopulationRandomizedSearchCV`.
    refit : bool, str or callable, default=True
        Whether, and by which metric, to fit the best candidate on all rows, as ``best_estimator_``.
    cv : int, cross-validation generator or iterable, default=None
        Its splits are the same in all rounds.
    verbose : int, default=0
        From 1 on, a bar shows networks, the best monitored figure so far and structures, while this process
        trains (with ``n_jobs`` from 2 on, others do). From 2 on, scikit-learn's lines of fits follow, with times of
        scoring alone.
    error_score : "raise" or number, default=nan
        As in `PopulationRandomizedSearchCV`.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has scores on the training rows too.
    random_state : int, RandomState instance or None, default=None
        Seed for drawing candidates.
    checkpoint_dir : str or path-like, default=None
        As in `PopulationGridSearchCV`.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        All rounds' candidates; ``round`` is the number of theirs.
    ranges_ : list of dict
        For each round and parameter, from where to where it was drawn, (low, high), or the list of values.
    best_estimator_, best_score_, best_params_, best_index_
        As in scikit-learn.

    See Also
    --------
    PopulationRandomizedSearchCV : A single round.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier
    >>> from sk_mlp.model_selection import CoarseToFineSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = KerasMLPClassifier(**PLAIN_MLP | {"epochs": 10}, n_neurons=10, random_state=0)
    >>> space = {"learning_rate": loguniform(1e-4, 1.0)}
    >>> search = CoarseToFineSearchCV(estimator, space, n_iter=4, n_rounds=2, cv=2, random_state=0).fit(X, y)
    >>> for ranges in search.ranges_:
    ...     low, high = ranges["learning_rate"]
    ...     print(round(high / low))
    10000
    100
    """

    _parameter_constraints: dict = {
        **BaseSearchCV._parameter_constraints,
        "param_distributions": [dict],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "share": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        **CHECKPOINT_DIR,
    }

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=10,
        n_rounds=3,
        share=0.5,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        error_score=np.nan,
        return_train_score=False,
        random_state=None,
        checkpoint_dir=None,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.n_rounds = n_rounds
        self.share = share
        self.random_state = random_state
        self.checkpoint_dir = checkpoint_dir

    def _search(self, evaluate_candidates, callback_ctx):
        with subtask(callback_ctx, self, "search", max_subtasks=self.n_rounds) as search:
            self._run_rounds(evaluate_candidates, search)

    def _run_rounds(self, evaluate_candidates, search):
        ranges = {name: to_range(name, given) for name, given in self.param_distributions.items()}
        splits, rng = self._splits(), check_random_state(self.random_state)
        parallel = {"max_subtasks": self.n_iter * len(splits), "sequential_subtasks": False}
        self.ranges_ = []
        for round_number in range(self.n_rounds):
            self.ranges_.append({name: found.shown for name, found in ranges.items()})
            candidates = [{name: found.draw(rng) for name, found in ranges.items()} for _ in range(self.n_iter)]
            more = {"round": [round_number] * self.n_iter}
            with (
                subtask(search, self, "round", max_subtasks=2) as in_round,
                subtask(in_round, self, "candidates", **parallel) as context,
            ):
                cv = FixedSplits(splits)
                results = self._evaluate(evaluate_candidates, candidates, cv, more, **context_argument(context))
            scores, drawn = self._ranking(results), results["params"]
            if np.isnan(scores).all():
                continue
            best = drawn[int(np.nanargmax(scores))]
            for name, found in ranges.items():
                by_value: dict[str, float] = {}
                for candidate, score in zip(drawn, np.nan_to_num(scores, nan=-np.inf), strict=True):
                    value = repr(candidate[name])
                    by_value[value] = max(score, by_value.get(value, -np.inf))
                ranges[name] = found.shrunk(best[name], self.share, by_value)
