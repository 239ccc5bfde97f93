"""Searches that give many candidates few epochs, and few candidates many."""

import itertools
from collections.abc import Iterator
from functools import partial
from math import floor, log
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ParameterSampler
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from sk_mlp._estimator.sklearn_callbacks import context_argument, subtask, training_task
from sk_mlp._keras.copies import candidate
from sk_mlp.model_selection._fits import Session, warn_of
from sk_mlp.model_selection._fitted_clones import FixedSplits
from sk_mlp.model_selection._folds import Folds
from sk_mlp.model_selection._population import CHECKPOINT_DIR, PopulationSearch
from sk_mlp.model_selection._rungs import (
    Bracket,
    check_spaces,
    divided,
    planned,
    refuse_epochs_in_fit,
    rungs,
    share_epochs,
)


class Rungs(PopulationSearch, BaseSearchCV):
    """Successive halving of candidates, with epochs as the resource. Abstract."""

    _parameter_constraints: dict = {
        **BaseSearchCV._parameter_constraints,
        "param_distributions": [dict, list],
        "factor": [Interval(Real, 1, None, closed="neither")],
        "min_epochs": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        **CHECKPOINT_DIR,
    }

    def _brackets(self) -> Iterator[Bracket]:
        """The brackets for which there should be candidates."""
        raise NotImplementedError

    def _search(self, evaluate_candidates, callback_ctx):
        check_spaces(self.param_distributions)
        X, y, routed, _ = self._data
        refuse_epochs_in_fit(routed.estimator.fit)
        splits = self._splits()
        data = Folds(self.estimator, X, y, [train for train, _ in splits], routed.estimator.fit)
        self.max_epochs_ = self._most_epochs(data, splits[:1])
        self.n_candidates_, self.n_epochs_ = [], []
        rng = check_random_state(self.random_state)
        space, wanted = self.param_distributions, list(self._brackets())
        plan = planned(wanted, space, self.max_epochs_, self.factor, self.min_epochs)
        brackets = [([*map(candidate, ParameterSampler(space, n, random_state=rng))], rungs) for n, rungs in plan]
        fits = [[self._fits([params], splits) for params in candidates] for candidates, _ in brackets]
        together = [fit for bracket in fits for of_candidate in bracket for fit in of_candidate]
        for fit in together:
            share_epochs(fit.estimator, self.estimator, self.max_epochs_)
        kept = self._kept(together, splits)
        session = Session(together, data, self._share(brackets), kept)  # all brackets share programs
        survivors = [np.arange(len(candidates)) for candidates, _ in brackets]
        n_rungs = max(len(rungs) for _, rungs in brackets)
        with subtask(callback_ctx, self, "search", max_subtasks=n_rungs) as search:
            for iteration in range(n_rungs):
                # All brackets end together, so that runs side by side have about as many epochs to go.
                rung_of = {b: iteration - n_rungs + len(rungs) for b, (_, rungs) in enumerate(brackets)}
                present = {b: rung for b, rung in rung_of.items() if rung >= 0}
                with subtask(search, self, "halving-iteration", max_subtasks=2) as context:
                    chosen = {b: [fit for number in survivors[b] for fit in fits[b][number]] for b in present}
                    for b, rung in present.items():
                        epochs = brackets[b][1][rung]
                        session.pause(chosen[b], before=np.inf if epochs >= self.max_epochs_ else epochs)
                    watch = partial(training_task, context, self)
                    side_by_side = list(itertools.chain.from_iterable(chosen.values()))
                    self._announce(len(side_by_side) // len(splits), len(splits))
                    session.advance(side_by_side, verbose=self.verbose, watch=watch)
                    # All are scored at once: scikit-learn ends a search where all fits of one call have failed.
                    self._clones.hand_out(side_by_side)
                    scored = [(b, number) for b in present for number in survivors[b]]
                    more = {
                        "bracket": [b for b, _ in scored],
                        "iter": [present[b] for b, _ in scored],
                        "n_epochs": [brackets[b][1][present[b]] for b, _ in scored],
                    }
                    candidates = [brackets[b][0][number] for b, number in scored]
                    scores = self._scores(evaluate_candidates, candidates, splits, more, context)
                    for b, rung in present.items():
                        n = len(survivors[b])
                        self.n_candidates_.append(n)
                        self.n_epochs_.append(brackets[b][1][rung])
                        survivors[b] = survivors[b][_best(scores[:n], max(1, floor(n / self.factor)))]
                        scores = scores[n:]
        warn_of(session.alone, ", to the last epoch at their first rung")

    def _most_epochs(self, data: Folds, splits: list) -> int:
        """How many epochs the estimator's network may have; or a candidate's, if only candidates can be fitted."""
        for params in [{}, *ParameterSampler(self.param_distributions, 1, random_state=0)]:
            fits = self._fits([candidate(params)], splits)
            if epochs := Session(fits, data).most_epochs:
                return epochs
        raise ValueError(
            "The estimator must have a KerasMLPClassifier or KerasMLPRegressor that can be fitted: the candidates "
            f"share its epochs. Got {self.estimator!r}."
        ) from fits[0].error

    def _scores(self, evaluate_candidates, candidates: list[dict], splits: list, more: dict[str, list], context: Any):
        """Let scikit-learn's search score fitted candidates."""
        n_fits = len(candidates) * len(splits)
        with subtask(context, self, "candidates", max_subtasks=n_fits, sequential_subtasks=False) as task:
            cv = FixedSplits(splits)
            with self._announced():
                results = evaluate_candidates(candidates, cv=cv, more_results=more, **context_argument(task))
        return self._ranking(results)[-len(candidates) :]

    def _share(self, brackets: list[tuple[list, list[int]]]) -> float:
        """The share of epochs that is run, of all that the candidates would have to their ends."""
        in_all = sum(len(candidates) for candidates, _ in brackets) * self.max_epochs_
        shrinking = self.factor ** -np.arange(max(len(rungs) for _, rungs in brackets), dtype=float)
        n_run = (len(candidates) * np.diff([0, *rungs]) @ shrinking[: len(rungs)] for candidates, rungs in brackets)
        return float(sum(n_run)) / in_all

    @staticmethod
    def _select_best_index(refit, refit_metric, results):
        if callable(refit):
            return BaseSearchCV._select_best_index(refit, refit_metric, results)
        to_the_end = np.flatnonzero(results["n_epochs"] == results["n_epochs"].max())
        return to_the_end[results[f"rank_test_{refit_metric}"][to_the_end].argmin()]


def _best(scores: NDArray, n: int) -> NDArray:
    """Numbers of the n best scores, in ascending order; nan is worst."""
    return np.sort(np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")[:n])


class PopulationHalvingSearchCV(Rungs):
    """Random search by successive halving: the best part of the candidates goes on to more epochs.

    All candidates train for few epochs, the best third of them three times as long, and so on (Jamieson and Talwalkar
    2016, arXiv 1502.07943). The survivors go on from their weights, optimizer state and schedule: no epoch is run
    twice. Candidates and folds train together, as in `PopulationRandomizedSearchCV`.

    Parameters
    ----------
    estimator : estimator
        A KerasMLPClassifier or KerasMLPRegressor, alone or within a Pipeline or another meta-estimator. Its ``epochs``
        are what the last candidates get. With ``epochs="auto"``, the number that it takes in the first fold.
    param_distributions : dict or list of dict
        Distributions or lists to draw from, by the name of the parameter. Epochs must not be among them.
    n_candidates : int, default=27
        All there are, with a warning, where lists of values hold fewer; rungs are planned for as many as there are.
    factor : float, default=3
        By which candidates become fewer, and epochs more, from rung to rung.
    min_epochs : int, default=1
        Of the first rung, at least; at most the epochs of the estimator.
    scoring : str, callable, list, tuple or dict, default=None
        Candidates are ranked by the metric that ``refit`` names, if there are several.
    n_jobs : int, default=None
        Without effect: all train in this process, by a thread for each core.
    refit : bool, str or callable, default=True
        Whether, and by which metric, to fit the best candidate on all rows, as ``best_estimator_``.
    cv : int, cross-validation generator or iterable, default=None
        Candidates are all trained on the same splits; None for 5 folds.
    verbose : int, default=0
        From 1 on, a bar shows networks, the best monitored figure so far and structures. From 2 on, scikit-learn's
        lines of fits follow, with times of scoring alone.
    error_score : "raise" or number, default=nan
        Score of a fit that fails. A fit fails if its loss was not finite after any epoch, for example.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has scores on the training rows too.
    random_state : int, RandomState instance or None, default=None
        Seed for drawing candidates.
    checkpoint_dir : str or path-like, default=None
        As in `PopulationGridSearchCV`.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        A row for each candidate of each rung: ``iter`` is the rung, ``n_epochs`` the epochs until then. A candidate
        ended where it appears last.
    max_epochs_ : int
    n_candidates_, n_epochs_ : list of int
        Of each rung.
    best_estimator_, best_score_, best_params_, best_index_
        As in scikit-learn, among the candidates of the last rung.

    See Also
    --------
    HyperbandSearchCV : Several brackets of successive halving.
    PopulationRandomizedSearchCV : Trains every candidate to the end.

    Notes
    -----
    What cannot be in one program with others (see `PopulationGridSearchCV`) is trained alone, to the last epoch at its
    first rung, and a warning says so. There it is compared with candidates that have had fewer epochs.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier
    >>> from sk_mlp.model_selection import PopulationHalvingSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = KerasMLPClassifier(**PLAIN_MLP | {"epochs": 36}, n_neurons=10, random_state=0)
    >>> space = {"learning_rate": loguniform(1e-4, 1e-1)}
    >>> search = PopulationHalvingSearchCV(estimator, space, n_candidates=9, cv=2, random_state=0).fit(X, y)
    >>> search.n_candidates_, search.n_epochs_
    ([9, 3, 1], [4, 12, 36])
    """

    _parameter_constraints: dict = {
        **Rungs._parameter_constraints,
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_candidates=27,
        factor=3,
        min_epochs=1,
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
        self.n_candidates = n_candidates
        self.factor = factor
        self.min_epochs = min_epochs
        self.random_state = random_state
        self.checkpoint_dir = checkpoint_dir

    def _brackets(self):
        yield Bracket(self.n_candidates, floor(log(self.n_candidates, self.factor) + 1e-9))


class HyperbandSearchCV(Rungs):
    """Random search by Hyperband: several brackets of successive halving, from many short fits to few long ones.

    Successive halving must trust scores after few epochs; how far one can is not known beforehand, so each bracket
    trusts them to another degree (Li et al. 2018, JMLR 18, arXiv 1603.06560). Candidates and folds train together, as
    in `PopulationRandomizedSearchCV`, and survivors go on from where they are.

    Parameters
    ----------
    estimator : estimator
        A KerasMLPClassifier or KerasMLPRegressor, alone or within a Pipeline or another meta-estimator. Its ``epochs``
        are what the last candidates get. With ``epochs="auto"``, the number that it takes in the first fold.
    param_distributions : dict or list of dict
        Distributions or lists to draw from, by the name of the parameter. Epochs must not be among them.
    n_candidates : int, default=None
        Of all brackets together. None for the paper's, which follow from the epochs: with ``epochs=81``, brackets of
        81, 34, 15, 8 and 5 candidates, 143 in all. Another number is divided among the brackets in about these
        proportions: 81 candidates as 45, 19, 9, 5 and 3. Where lists of values hold fewer than a bracket wants, it
        takes all, and has rungs for as many; of brackets that would be the same, there is one.
    n_brackets : int, default=None
        How many brackets, those with the most candidates and the shortest fits first; None for all. The later ones take
        most of the time, and help where scores after few epochs mislead.
    factor : float, default=3
        By which candidates become fewer, and epochs more, from rung to rung.
    min_epochs : int, default=1
        Of any rung, at least; at most the epochs of the estimator.
    scoring : str, callable, list, tuple or dict, default=None
        Candidates are ranked by the metric that ``refit`` names, if there are several.
    n_jobs : int, default=None
        Without effect: all train in this process, by a thread for each core.
    refit : bool, str or callable, default=True
        Whether, and by which metric, to fit the best candidate on all rows, as ``best_estimator_``.
    cv : int, cross-validation generator or iterable, default=None
        Candidates are all trained on the same splits; None for 5 folds.
    verbose : int, default=0
        From 1 on, a bar shows networks, the best monitored figure so far and structures. From 2 on, scikit-learn's
        lines of fits follow, with times of scoring alone.
    error_score : "raise" or number, default=nan
        Score of a fit that fails. A fit fails if its loss was not finite after any epoch, for example.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has scores on the training rows too.
    random_state : int, RandomState instance or None, default=None
        Seed for drawing candidates.
    checkpoint_dir : str or path-like, default=None
        As in `PopulationGridSearchCV`.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        A row for each candidate of each rung: ``bracket``, ``iter`` for the rung, ``n_epochs`` for the epochs until
        then. A candidate ended where it appears last in its bracket.
    max_epochs_ : int
    n_candidates_, n_epochs_ : list of int
        Of each rung of each bracket, in the order of ``cv_results_``, which is that of training.
    best_estimator_, best_score_, best_params_, best_index_
        As in scikit-learn, among the candidates that have come to the last epoch.

    See Also
    --------
    PopulationHalvingSearchCV : A single bracket. Its notes hold here too.
    PopulationRandomizedSearchCV : Trains every candidate to the end.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier
    >>> from sk_mlp.model_selection import HyperbandSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = KerasMLPClassifier(**PLAIN_MLP | {"epochs": 9}, n_neurons=10, random_state=0)
    >>> search = HyperbandSearchCV(estimator, {"learning_rate": loguniform(1e-4, 1e-1)}, cv=2, random_state=0)
    >>> search.fit(X, y).n_candidates_
    [9, 3, 5, 1, 1, 3]
    """

    _parameter_constraints: dict = {
        **Rungs._parameter_constraints,
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "n_brackets": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_candidates=None,
        n_brackets=None,
        factor=3,
        min_epochs=1,
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
        self.n_candidates = n_candidates
        self.n_brackets = n_brackets
        self.factor = factor
        self.min_epochs = min_epochs
        self.random_state = random_state
        self.checkpoint_dir = checkpoint_dir

    def _brackets(self):
        most = len(rungs(self.max_epochs_, self.factor, self.min_epochs)) - 1
        if self.n_brackets is not None and self.n_brackets > most + 1:
            raise ValueError(
                f"The 'n_brackets' parameter must be at most {most + 1}, with max_epochs_={self.max_epochs_}, "
                f"factor={self.factor} and min_epochs={self.min_epochs}. Got {self.n_brackets}."
            )
        halvings = np.arange(most, -1, -1)[: self.n_brackets]
        published = np.ceil((most + 1) / (halvings + 1) * self.factor**halvings).astype(int)
        n_candidates = published if self.n_candidates is None else divided(self.n_candidates, published)
        for n, times in zip(n_candidates.tolist(), halvings.tolist(), strict=True):
            yield Bracket(n, times)
