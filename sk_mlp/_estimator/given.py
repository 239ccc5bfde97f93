"""The arguments of `fit` that are rows."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GivenRows:
    """Rows, as the user passed them.

    Attributes
    ----------
    X, y, sample_weight
    held_out : tuple
        X_val, y_val, sample_weight_val.
    X_unlabeled, groups
    classes : array-like or None
        All labels that may come.
    """

    X: Any
    y: Any
    sample_weight: Any = None
    held_out: tuple = (None, None, None)
    X_unlabeled: Any = None
    groups: Any = None
    classes: Any = None
