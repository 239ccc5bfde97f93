"""Reads a finished search's results: which score counts, which rows belong to a candidate, how values are spaced."""

from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sk_mlp.model_selection._coarse_to_fine import Range, to_range

DECADE = 10.0  # values that span a smaller factor are not drawn on a logarithmic axis


def results_of(search: Any) -> Mapping[str, Any]:
    """``cv_results_`` of a finished search.

    Raises
    ------
    TypeError
        If it is no search.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if isinstance(search, type) or not hasattr(search, "fit") or not hasattr(search, "refit"):
        raise TypeError(
            "The 'search' parameter must be a search of sk_mlp.model_selection or of scikit-learn. "
            f"Got {search!r} instead."
        )
    check_is_fitted(search, "cv_results_")
    return search.cv_results_


def metric_of(search: Any, metric: str | None) -> str:
    """The metric's name in ``mean_test_...``; a metric of None is the one that ``refit`` names.

    Raises
    ------
    ValueError
        If there is no such metric.
    """
    names = [name.removeprefix("mean_test_") for name in search.cv_results_ if name.startswith("mean_test_")]
    wanted = search.refit if metric is None else metric
    if isinstance(wanted, str) and wanted in names:
        return wanted
    if metric is not None:
        known = ", ".join(map(repr, names))
        raise ValueError(f"The 'metric' parameter must be one of {known}. Got {metric!r} instead.")
    return names[0]


def resources_of(search: Any) -> tuple[NDArray | None, str]:
    """What each row's candidate had got of the resource by then, None where all get the same; and its name."""
    results = search.cv_results_
    if "n_epochs" in results:
        return np.asarray(results["n_epochs"]), "epochs"
    if "n_resources" in results:
        return np.asarray(results["n_resources"]), str(search.resource).removeprefix("n_")
    return None, "epochs"


def params_of(search: Any) -> list[dict[str, Any]]:
    """Hyperparameters of each row, without the one that a halving search sets itself."""
    own = getattr(search, "resource", None)
    return [{name: value for name, value in row.items() if name != own} for row in search.cv_results_["params"]]


def candidates_of(search: Any) -> list[list[int]]:
    """The rows of each candidate; in a halving search it has one for each rung."""
    results, params = search.cv_results_, params_of(search)
    if "iter" not in results:
        return [[row] for row in range(len(params))]
    brackets = results.get("bracket", np.zeros(len(params), int))
    rows: dict[tuple, list[int]] = {}
    n_equal: Counter = Counter()
    for row, (bracket, rung) in enumerate(zip(brackets, results["iter"], strict=True)):
        words = tuple(sorted((name, repr(value)) for name, value in params[row].items()))
        n_equal[bracket, rung, words] += 1  # two candidates may have drawn the same
        rows.setdefault((bracket, words, n_equal[bracket, rung, words]), []).append(row)
    return list(rows.values())


def is_number(value: Any) -> bool:
    """Whether a value is a number that an axis can show."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and bool(np.isfinite(float(value)))


def range_of(name: str, search: Any) -> Range | None:
    """The range that a hyperparameter was drawn from, if its distribution has a scale."""
    space = getattr(search, "param_distributions", None) or {}
    for part in space if isinstance(space, list | tuple) else [space]:
        try:
            found = to_range(name, part[name])
        except (KeyError, ValueError):
            continue
        if isinstance(found, Range):
            return found
    return None


def scale_of(name: str, values: Sequence[Any], search: Any) -> str:
    """How a hyperparameter's values are spaced: "log", "linear", "log from 1", of 1 - value, or "categories"."""
    if not values or not all(is_number(value) for value in values):
        return "categories"
    found = range_of(name, search)
    if found is not None:
        return "linear" if found.scale != "log" else "log from 1" if found.complement else "log"
    return "log" if _grows_by_factors(np.unique(np.asarray(values, float))) else "linear"


def _grows_by_factors(numbers: NDArray) -> bool:
    """Whether the steps between sorted values vary less as ratios than as differences."""
    if len(numbers) < 2 or numbers[0] <= 0 or numbers[-1] < DECADE * numbers[0]:
        return False
    return _variation(np.diff(np.log(numbers))) <= _variation(np.diff(numbers))


def _variation(steps: NDArray) -> float:
    return float(np.std(steps) / np.mean(steps))
