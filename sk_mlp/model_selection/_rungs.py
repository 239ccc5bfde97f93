"""When candidates are compared, and how many there are. Plain numpy."""

from collections.abc import Mapping
from math import floor, log
from typing import Any

import numpy as np
from numpy.typing import NDArray


def divided(n: int, published: NDArray) -> NDArray:
    """n candidates in about these proportions, one for each bracket first; of the rest, largest remainders decide."""
    if n < len(published):
        raise ValueError(
            f"The 'n_candidates' parameter must be at least the number of brackets, {len(published)}. Got {n}."
        )
    others = published - (len(published) > 1)
    quotas = (n - len(published)) * others / others.sum()
    numbers = 1 + np.floor(quotas).astype(int)
    numbers[np.argsort(np.floor(quotas) - quotas, kind="stable")[: n - numbers.sum()]] += 1
    return numbers


def rungs(max_epochs: int, factor: float, min_epochs: int, n_candidates: float = np.inf) -> list[int]:
    """Epochs at which candidates are compared: the last one, and earlier ones by the factor, as long as it pays."""
    most = max(0, floor(log(max_epochs / min(min_epochs, max_epochs), factor) + 1e-9))
    if np.isfinite(n_candidates):
        most = min(most, floor(log(n_candidates, factor) + 1e-9))
    return [round(max_epochs / factor**halvings) for halvings in range(most, -1, -1)]


def refuse_epochs(spaces: Mapping[str, Any] | list[Mapping[str, Any]]) -> None:
    """Raise an error where candidates would set the epochs of their networks."""
    for space in [spaces] if isinstance(spaces, Mapping) else spaces:
        for name, values in space.items():
            *before, last = name.split("__")
            if last == "epochs" and before[-1:] != ["pretrain"]:
                raise ValueError(
                    f"param_distributions must not name {name!r}: the estimator's own epochs are shared out among the "
                    f"candidates. Got {values!r}."
                )


def refuse_epochs_in_fit(fit_params: Mapping[str, Any]) -> None:
    """Raise an error where `fit` is told the epochs."""
    for name, value in fit_params.items():
        if name.split("__")[-1] == "epochs":
            raise ValueError(
                f"{name} must not be given to fit: the rungs of this search own the epochs. Got {value!r}; set the "
                "estimator's parameter epochs, which the last candidates get."
            )
