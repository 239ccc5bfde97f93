"""When candidates are compared, and how many there are."""

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import ParameterSampler

from sk_mlp.model_selection._folds import networks_of


def divided(n: int, published: NDArray) -> NDArray:
    """n candidates in about these proportions: one for each bracket first, the rest by largest remainders."""
    if n < len(published):
        raise ValueError(
            f"The 'n_candidates' parameter must be at least the number of brackets, {len(published)}. Got {n}."
        )
    others = published - int(len(published) > 1)
    quotas = (n - len(published)) * others / others.sum()
    numbers = 1 + np.floor(quotas).astype(int)
    numbers[np.argsort(np.floor(quotas) - quotas, kind="stable")[: n - numbers.sum()]] += 1
    return numbers


def rungs(max_epochs: int, factor: float, min_epochs: int, n_candidates: float = np.inf) -> list[int]:
    """Epochs at which candidates are compared: the last one, and earlier ones, each by the factor less."""
    if min_epochs > max_epochs:
        raise ValueError(
            f"The 'min_epochs' parameter must be at most the epochs of the estimator, {max_epochs}. Got {min_epochs}."
        )
    most = max(0, floor(log(max_epochs / min_epochs, factor) + 1e-9))
    if np.isfinite(n_candidates):
        most = min(most, floor(log(n_candidates, factor) + 1e-9))
    return [round(max_epochs / factor**halvings) for halvings in range(most, -1, -1)]


@dataclass(frozen=True)
class Bracket:
    """Candidates that are compared with each other, from rung to rung.

    Attributes
    ----------
    n_candidates : int
    times : float
        How often their number may be divided by the factor.
    """

    n_candidates: int
    times: float


def planned(
    brackets: list[Bracket], spaces: Any, max_epochs: int, factor: float, min_epochs: int
) -> list[tuple[int, list[int]]]:
    """Candidates and rungs of brackets, as far as there are candidates: lists may hold fewer than wanted.

    Brackets that would train all candidates on the same rungs again are left out.

    Warns
    -----
    UserWarning
        If there are fewer.
    """
    size, wanted = len(ParameterSampler(spaces, sys.maxsize)), max(bracket.n_candidates for bracket in brackets)
    if size < wanted:
        warnings.warn(
            f"The total space of parameters {size} is smaller than the number of candidates {wanted}. All are tried; "
            "for exhaustive searches of whole fits, use PopulationGridSearchCV.",
            stacklevel=7,
        )
    plan: list[tuple[int, list[int]]] = []
    for bracket in brackets:
        n = min(bracket.n_candidates, size)
        most = floor(log(n, factor) + 1e-9) if n < bracket.n_candidates else np.inf
        one = n, rungs(max_epochs, factor, min_epochs, factor ** min(bracket.times, most))
        if n < size or one not in plan:
            plan.append(one)
    return plan


def check_spaces(spaces: Mapping[str, Any] | list[Mapping[str, Any]]) -> None:
    """Raise an error where there are no candidates, or they would set the epochs of their networks."""
    if isinstance(spaces, list) and not spaces:
        raise ValueError("The 'param_distributions' parameter must be a dict or a list of them. Got [] instead.")
    for space in [spaces] if isinstance(spaces, Mapping) else spaces:
        for name, values in space.items():
            *before, last = name.split("__")
            if last == "epochs" and before[-1:] != ["pretrain"]:
                raise ValueError(
                    f"param_distributions must not name {name!r}: the candidates share the estimator's own epochs. "
                    f"Got {values!r}."
                )


def share_epochs(candidate: BaseEstimator, estimator: BaseEstimator, epochs: int) -> None:
    """Give a candidate's networks these epochs where theirs are "auto", which differs between folds and batch sizes.

    Raises
    ------
    ValueError
        If a network has a number that is neither this one nor that of the search's estimator.
    """
    own = {name: mlp.epochs for name, mlp in networks_of(estimator).items()}
    for name, mlp in networks_of(candidate).items():
        if mlp.epochs == "auto":
            mlp.epochs = epochs  # which a subclass may lack as a parameter
        elif mlp.epochs not in (epochs, own.get(name)):
            raise ValueError(
                f"The epochs of {name!r} must be those of the search's estimator, {epochs}, which all candidates "
                f"share. Got a candidate with epochs={mlp.epochs!r}."
            )


def refuse_epochs_in_fit(fit_params: Mapping[str, Any]) -> None:
    """Raise an error where `fit` is told the epochs."""
    for name, value in fit_params.items():
        if name.split("__")[-1] == "epochs":
            raise ValueError(
                f"{name} must not be given to fit: this search sets them from rung to rung. Got {value!r}; set the "
                "estimator's parameter epochs, which the last candidates get."
            )
