"""Turns a finished search into a study of Optuna, for Optuna's pictures and importances."""

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from sk_mlp.model_selection._results import (
    candidates_of,
    metric_of,
    params_of,
    resources_of,
    results_of,
    scale_of,
)

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution


def to_optuna_study(search: Any, metric: str | None = None) -> "Study":
    """Make a study of Optuna's from a finished search.

    `optuna.visualization`, `optuna.visualization.matplotlib` and `optuna.importance` take it. Each candidate is a
    trial, whose value is its mean score. Of a halving search, a candidate that was stopped before the last epoch is a
    pruned trial with an intermediate value for each rung.

    Parameters
    ----------
    search : estimator
        A fitted search of this package or of scikit-learn.
    metric : str or None, default=None
        Which score, of a search with several metrics; None for the one that ``refit`` names.

    Returns
    -------
    optuna.study.Study
        In memory. It is to be maximized, as scores are.

    Raises
    ------
    ImportError
        If optuna is not installed.
    TypeError
        If ``search`` is no search.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If there is no such ``metric``.

    See Also
    --------
    sk_mlp.inspection.SearchDisplay : Pictures by matplotlib.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier
    >>> from sk_mlp.model_selection import PopulationRandomizedSearchCV, to_optuna_study
    >>> X, y = load_iris(return_X_y=True)
    >>> space = {"learning_rate": loguniform(1e-4, 1e-1)}
    >>> mlp = KerasMLPClassifier(**PLAIN_MLP | {"epochs": 5}, random_state=0)
    >>> search = PopulationRandomizedSearchCV(mlp, space, n_iter=4, cv=2, random_state=0).fit(X, y)
    >>> study = to_optuna_study(search)
    >>> len(study.trials), bool(study.best_value == search.best_score_)
    (4, True)
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "to_optuna_study requires optuna. Install it with the extra 'searchers': pip install 'sk_mlp[searchers]'"
        ) from error
    results = results_of(search)
    scores, params = results[f"mean_test_{metric_of(search, metric)}"], params_of(search)
    resources, _ = resources_of(search)
    names = dict.fromkeys(name for row in params for name in row)
    spaces = {name: _distribution(name, [row[name] for row in params if name in row], search) for name in names}
    study, states = optuna.create_study(direction="maximize"), optuna.trial.TrialState
    for rows in candidates_of(search):
        last = rows[-1]
        has_failed = not np.isfinite(scores[last])
        is_whole = resources is None or resources[last] == resources.max()
        rungs = {} if resources is None else {int(resources[row]): float(scores[row]) for row in rows}
        trial = optuna.trial.create_trial(
            state=states.FAIL if has_failed else states.COMPLETE if is_whole else states.PRUNED,
            value=None if has_failed else float(scores[last]),
            params={name: _plain(value) for name, value in params[last].items()},
            distributions={name: spaces[name] for name in params[last]},
            intermediate_values={step: score for step, score in rungs.items() if np.isfinite(score)},
            user_attrs={"mean_fit_time": float(np.sum(results["mean_fit_time"][rows]))},
        )
        study.add_trial(trial)
    return study


def _distribution(name: str, values: list[Any], search: Any) -> "BaseDistribution":
    """The distribution of a hyperparameter, as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    scale = scale_of(name, values, search)
    if scale == "categories":
        return CategoricalDistribution(list(dict.fromkeys(_plain(value) for value in values)))
    kind = IntDistribution if all(isinstance(value, Integral) for value in values) else FloatDistribution
    plain = [_plain(value) for value in values]
    return kind(min(plain), max(plain), log=scale == "log")


def _plain(value: Any) -> Any:
    """A value if Optuna can store it, else in words."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
