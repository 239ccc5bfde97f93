"""scikit-learn's searches, whose candidates and folds are trained together."""

import copy
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params

from sk_mlp._estimator.messages import counted
from sk_mlp._estimator.progress import say
from sk_mlp._estimator.sklearn_callbacks import (
    ForOriginal,
    context_argument,
    learned_attributes,
    subtask,
    training_task,
)
from sk_mlp._keras.copies import candidate
from sk_mlp.model_selection._checkpoint import Checkpoint, identity, refuse_chance
from sk_mlp.model_selection._fits import fit_all
from sk_mlp.model_selection._fitted_clones import FittedClones, FixedSplits
from sk_mlp.model_selection._folds import Fit, Folds

CHECKPOINT_DIR = {"checkpoint_dir": [str, os.PathLike, None]}


class PopulationSearch(BaseSearchCV):
    """Trains all candidates and folds of one of scikit-learn's searches together. Abstract."""

    estimator: Any
    n_jobs: int | None
    verbose: int
    cv: Any
    checkpoint_dir: str | os.PathLike | None
    _clones: FittedClones
    _data: tuple
    _checkpoint: Checkpoint | None
    _sequential: ExitStack

    def fit(self, X: Any, y: ArrayLike | None = None, **params: Any) -> Self:
        """Run fit with all sets of parameters.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Rows to train and score on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        **params : dict of str -> object
            Passed on as in scikit-learn: to the estimator's `fit`, or by metadata routing.

        Returns
        -------
        BaseSearchCV
            The search itself.
        """
        self._validate_params()
        data = indexable(X, y)
        routed = self._get_routed_params_for_fit(_check_method_params(X, params=params))
        # scikit-learn's search runs on a copy, whose estimator hands out fitted clones. Parameters of this one stay.
        search: Any = copy.copy(self)
        search._clones, search._data = FittedClones(self.estimator), (*data, routed, self.n_jobs)
        search._checkpoint = None
        if callbacks := getattr(self, "_skl_callbacks", []):
            search.set_callbacks(*(ForOriginal(callback, search, self) for callback in callbacks))
        search.estimator, search.n_jobs = search._clones.estimator, 1
        search.cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))  # once: it may be an iterator
        before = learned_attributes(self)
        try:
            # joblib's Dask backend ignores n_jobs=1: it would send scikit-learn's tasks, which only score what is
            # fitted, and all rows with them. Their Parallel object keeps the backend in whose context it is made.
            with ExitStack() as search._sequential:
                search._sequential.enter_context(joblib.parallel_config(backend="sequential"))
                super(PopulationSearch, search).fit(X, y, **params)
        except BaseException:
            for name in learned_attributes(self):  # that callbacks have been shown
                delattr(self, name)
            self.__dict__.update(before)
            raise
        finally:
            search._clones.close()
        self.__dict__.update(learned_attributes(search))
        return self

    def _run_search(self, evaluate_candidates, callback_ctx=None):
        self._sequential.close()  # by now it is made; what follows belongs in the caller's context
        self._search(evaluate_candidates, callback_ctx)

    def _search(self, evaluate_candidates: Callable, callback_ctx: Any) -> None:
        with subtask(callback_ctx, self, "train-and-search", max_subtasks=2) as context:
            super()._run_search(partial(self._evaluate, evaluate_candidates), **context_argument(context))

    def _evaluate(
        self,
        evaluate_candidates: Callable,
        candidate_params: Iterable[dict],
        cv=None,
        more_results=None,
        callback_ctx=None,
    ):
        """Train the candidates, as a task beside the context's, and let scikit-learn's search score them."""
        X, y, routed, n_jobs = self._data
        candidates = [candidate(params) for params in candidate_params]
        splits = self._splits(cv)
        fits = self._fits(candidates, splits)
        self._announce(len(candidates), len(splits))
        data = Folds(self.estimator, X, y, [train for train, _ in splits], routed.estimator.fit)
        context = context_argument(callback_ctx)
        watch = partial(training_task, callback_ctx.parent, self) if context else None
        self._clones.hand_out(fit_all(fits, data, n_jobs, self.verbose, self._kept(fits, splits), watch))
        with self._announced():
            return evaluate_candidates(candidates, cv=FixedSplits(splits), more_results=more_results, **context)

    def _announce(self, n_candidates: int, n_folds: int) -> None:
        """Say what will be fitted, as scikit-learn's search does."""
        if self.verbose:
            of_each = f"{counted(n_folds, 'fold')} for each of {counted(n_candidates, 'candidate')}"
            say(f"Fitting {of_each}, totalling {counted(n_candidates * n_folds, 'fit')}")

    @contextmanager
    def _announced(self) -> Iterator[None]:
        """Within the context, keep scikit-learn's search from saying again what has been fitted."""
        verbose, self.verbose = self.verbose, 0
        try:
            yield
        finally:
            self.verbose = verbose

    def _splits(self, cv=None) -> list[tuple[NDArray, NDArray]]:
        X, y, routed, _ = self._data
        splits = (cv or self.cv).split(X, y, **routed.splitter.split)
        return [(np.asarray(train), np.asarray(test)) for train, test in splits]

    def _fits(self, candidates: list[dict], splits: list) -> list[Fit]:
        """The fits of scikit-learn's search, in its order."""
        return [
            Fit(self._clones.clone_with(params), params, split, self._clones.next_number())
            for params in candidates
            for split in range(len(splits))
        ]

    def _kept(self, fits: list[Fit], splits: list) -> Checkpoint | None:
        """The checkpoint that keeps runs, or None."""
        if self.checkpoint_dir is not None and self._checkpoint is None:
            refuse_chance(self, fits)
            X, y, routed, _ = self._data
            self._checkpoint = Checkpoint(self.checkpoint_dir, identity(self, X, y, dict(routed.estimator.fit), splits))
        return self._checkpoint

    def _ranking(self, results: dict[str, Any]) -> NDArray:
        """Mean test scores of all candidates, by the metric that decides."""
        names = [name for name in results if name.startswith("mean_test_")]
        decisive = f"mean_test_{self.refit}"
        return results[decisive if decisive in names else names[0]]

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        for result, seconds in zip(out, self._clones.seconds, strict=True):
            result["fit_time"] = seconds
        return super()._format_results(candidate_params, n_splits, out, more_results)


class PopulationGridSearchCV(PopulationSearch, GridSearchCV):
    """GridSearchCV of scikit-learn, with all candidates and folds trained together.

    Swapping the import is the whole change: parameters, results and errors are scikit-learn's own. Networks that differ
    in their numbers or widths only share one compiled program, small ones step side by side in it, and each core
    trains. Scores are those of scikit-learn's search with the same estimator, but for rounding.

    Parameters
    ----------
    estimator : estimator
        A KerasMLPClassifier or KerasMLPRegressor, alone or within a Pipeline or another meta-estimator.
    param_grid : dict or list of dict
        Values to try, by the name of the parameter.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; several metrics too.
    n_jobs : int, default=None
        Processes, each of which trains a share of the fits by threads of its own; None for this one, with a thread for
        each core, unless in a `joblib.parallel_config` context.
    refit : bool, str or callable, default=True
        Whether, and by which metric, to fit the best candidate on all rows, as ``best_estimator_``.
    cv : int, cross-validation generator or iterable, default=None
        Candidates are all trained on the same splits; None for 5 folds.
    verbose : int, default=0
        From 1 on, a bar shows networks, the best monitored figure so far and structures, while this process
        trains (with ``n_jobs`` from 2 on, others do). From 2 on, scikit-learn's lines of fits follow, with times of
        scoring alone.
    pre_dispatch : int or str, default="2*n_jobs"
        Without effect: every process gets one share.
    error_score : "raise" or number, default=nan
        Score of a fit that fails. A fit fails if its loss was not finite after any epoch, for example.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has scores on the training rows too.
    checkpoint_dir : str or path-like, default=None
        A folder in which networks are kept as they are done. After an interruption the same call goes on from there, so
        every ``random_state`` must be set, also that of the network. A folder is for one search of one X and y: within
        ``cross_val_score``, the second fold would be refused. What is trained one by one is not kept, nor the refit.
        The files hold no code.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        ``mean_fit_time`` is a fit's share of the time for all.
    best_estimator_ : estimator
    best_score_ : float
    best_params_ : dict
    best_index_ : int
    scorer_ : callable or dict
    n_splits_ : int
    refit_time_ : float
    multimetric_ : bool
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Fits one candidate after the other.

    Notes
    -----
    What cannot be in one program with others is trained one by one, with a warning: ``engine="keras"``, estimators
    with callbacks, and whatever the compiled engine leaves to Keras.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier
    >>> from sk_mlp.model_selection import PopulationGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = KerasMLPClassifier(**PLAIN_MLP, n_neurons=10, random_state=0)
    >>> estimator = make_pipeline(StandardScaler(), mlp)
    >>> grid = {"kerasmlpclassifier__learning_rate": [1e-4, 1e-2]}
    >>> search = PopulationGridSearchCV(estimator, grid, cv=2).fit(X, y)
    >>> search.best_params_
    {'kerasmlpclassifier__learning_rate': 0.01}
    """

    _parameter_constraints: dict = {**GridSearchCV._parameter_constraints, **CHECKPOINT_DIR}

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
        checkpoint_dir=None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.checkpoint_dir = checkpoint_dir


class PopulationRandomizedSearchCV(PopulationSearch, RandomizedSearchCV):
    """RandomizedSearchCV of scikit-learn, with all candidates and folds trained together.

    Swapping the import is the whole change: parameters, results and errors are scikit-learn's own. Networks that differ
    in their numbers or widths only share one compiled program, small ones step side by side in it, and each core
    trains. Scores are those of scikit-learn's search with the same estimator, but for rounding.

    Parameters
    ----------
    estimator : estimator
        A KerasMLPClassifier or KerasMLPRegressor, alone or within a Pipeline or another meta-estimator.
    param_distributions : dict or list of dict
        Distributions or lists to draw from, by the name of the parameter.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; several metrics too.
    n_jobs : int, default=None
        Processes, each of which trains a share of the fits by threads of its own; None for this one, with a thread for
        each core, unless in a `joblib.parallel_config` context.
    refit : bool, str or callable, default=True
        Whether, and by which metric, to fit the best candidate on all rows, as ``best_estimator_``.
    cv : int, cross-validation generator or iterable, default=None
        Candidates are all trained on the same splits; None for 5 folds.
    verbose : int, default=0
        From 1 on, a bar shows networks, the best monitored figure so far and structures, while this process
        trains (with ``n_jobs`` from 2 on, others do). From 2 on, scikit-learn's lines of fits follow, with times of
        scoring alone.
    pre_dispatch : int or str, default="2*n_jobs"
        Without effect: every process gets one share.
    random_state : int, RandomState instance or None, default=None
        Seed for drawing candidates.
    error_score : "raise" or number, default=nan
        Score of a fit that fails. A fit fails if its loss was not finite after any epoch, for example.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has scores on the training rows too.
    checkpoint_dir : str or path-like, default=None
        As in `PopulationGridSearchCV`.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        ``mean_fit_time`` is a fit's share of the time for all.
    best_estimator_ : estimator
    best_score_ : float
    best_params_ : dict
    best_index_ : int
    scorer_ : callable or dict
    n_splits_ : int
    refit_time_ : float
    multimetric_ : bool
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    sklearn.model_selection.RandomizedSearchCV : Fits one candidate after the other.
    PopulationGridSearchCV : Its notes hold here too.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier
    >>> from sk_mlp.model_selection import PopulationRandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = KerasMLPClassifier(**PLAIN_MLP, n_neurons=10, random_state=0)
    >>> space = {"learning_rate": loguniform(1e-3, 1e-1), "weight_decay": loguniform(1e-5, 1e-2)}
    >>> search = PopulationRandomizedSearchCV(estimator, space, n_iter=4, cv=2, random_state=0).fit(X, y)
    >>> print(search.best_score_ > 0.8)
    True
    """

    _parameter_constraints: dict = {**RandomizedSearchCV._parameter_constraints, **CHECKPOINT_DIR}

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=10,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        checkpoint_dir=None,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.checkpoint_dir = checkpoint_dir
