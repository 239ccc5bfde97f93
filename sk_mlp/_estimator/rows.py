"""The rows of a fit: X, y and weights, checked; what follows from y; and which of them train and are held out."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from sk_mlp._estimator.checks import row_counts, rows_with_weight, without_zero_total
from sk_mlp._estimator.hold_out import column_of_groups, splits_of_members
from sk_mlp._estimator.split import member_seeds
from sk_mlp._network.spec import Fitted
from sk_mlp._tables.selection import Matrix
from sk_mlp._targets.kinds import Targets


@dataclass(frozen=True)
class GivenRows:
    """The arguments of `fit` that are rows, as the user passed them.

    Attributes
    ----------
    X, y, sample_weight
    held_out : tuple
        X_val, y_val, sample_weight_val.
    X_unlabeled, groups
    """

    X: Any
    y: Any
    sample_weight: Any = None
    held_out: tuple = (None, None, None)
    X_unlabeled: Any = None
    groups: Any = None


@dataclass(frozen=True, eq=False)
class FitRows:
    """What a fit knows of its rows.

    Attributes
    ----------
    raw
        X as the user passed it.
    parts : list of matrix
        X as numbers, and then the held-out rows that the user gives, if any.
    y, weights, counts : ndarray of shape (n_rows, ...)
        Of all these rows. A row counts as many rows as its weight says, if weights are whole numbers.
    targets : ClassTargets or RegressionTargets
    seeds : list of int
        Of the members.
    splits : list of (ndarray of int, ndarray of int)
        Numbers of each member's rows: those that train, and those that are held out.
    X_unlabeled : matrix or None
    """

    raw: Any
    parts: list[Matrix]
    y: NDArray
    weights: NDArray
    counts: NDArray
    targets: Targets
    seeds: list[int]
    splits: list[tuple[NDArray, NDArray]]
    X_unlabeled: Any

    @property
    def X(self) -> Matrix:
        """The rows that may train."""
        return self.parts[0]

    @property
    def are_held_out_by_user(self) -> bool:
        """Whether the user says which rows are held out."""
        return len(self.parts) > 1

    @property
    def has_held_out(self) -> bool:
        """Whether there are such rows."""
        return len(self.splits[0][1]) > 0

    @cached_property
    def training(self) -> NDArray:
        """Numbers of the rows on which some member trains."""
        trained_on = np.zeros(len(self.y), bool)
        for part, _ in self.splits:
            trained_on[part] = True
        return np.flatnonzero(trained_on)

    @property
    def n_train(self) -> int:
        """How many rows train, of the member that has most."""
        return max(len(train) for train, _ in self.splits)


def rows_of_fit(
    estimator: Any, given: GivenRows, previous: Fitted | None, classes: Any, stop_early: bool, share: float | None
) -> FitRows:
    """Check the rows of a fit and split them.

    Parameters
    ----------
    estimator : estimator
        The copy that the fit works on, with the values that hold for it. It learns X's columns.
    given : GivenRows
    previous : Fitted or None
        What to go on from.
    classes : array-like or None
        All labels that may come.
    stop_early : bool
    share : float or None
        Of the rows to hold out, whether or not the fit stops early; None for the estimator's own, if it does.

    Raises
    ------
    ValueError
        If something is not valid.
    """
    X, y = estimator._check_X_y(given.X, given.y, previous is None, given.sample_weight)
    weights = _check_sample_weight(given.sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    estimator._data_meta = data_meta(given.X, X, y)
    targets, y = estimator._learn_targets(given.X, X, y, classes, previous.targets if previous else None)
    as_given, kept = (given.X, y, column_of_groups(given.groups, len(y))), np.flatnonzero(weights)
    X, y, own_weights = rows_with_weight(X, y, without_zero_total(weights, "sample_weight"))
    of_classes = estimator._class_weights(targets, y, own_weights)
    weights = without_zero_total(own_weights * of_classes, "sample_weight")
    counts = row_counts(own_weights, of_classes)[weights > 0]
    own_weights, kept = own_weights[weights > 0], kept[weights > 0]
    X, y, weights = rows_with_weight(X, y, weights)
    held_out = estimator._check_held_out(given.held_out, targets, y, own_weights)
    unlabeled = None if given.X_unlabeled is None else estimator._check_unlabeled(given.X_unlabeled)

    seed = int(check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max))
    seeds, n_rows, parts = member_seeds(seed, int(estimator.ensemble_size)), X.shape[0], [X]
    every_row, none = np.arange(n_rows, dtype=np.int32), np.arange(0, dtype=np.int32)
    splits = [(every_row, none)] * len(seeds)
    fraction = float(estimator.validation_fraction) if share is None else share
    if held_out is not None:
        X_val = held_out[0].toarray() if issparse(held_out[0]) and not issparse(X) else held_out[0]  # X decides
        parts.append(X_val)
        y, weights, counts = map(np.concatenate, zip((y, weights, counts), held_out[1:], strict=True))
        splits = [(every_row, np.arange(n_rows, len(y), dtype=np.int32))] * len(seeds)
    elif fraction and (stop_early or share):
        strata = estimator._strata(targets, y)
        splits = splits_of_members(estimator.hold_out, fraction, seeds, strata, kept, as_given)
    return FitRows(given.X, parts, y, weights, counts, targets, seeds, splits, unlabeled)


def data_meta(raw: Any, X: Any, y: NDArray) -> dict[str, Any]:
    """What a builder is told of the data, by scikeras' names."""
    dtype = getattr(raw, "dtype", X.dtype)
    return {"X_shape_": X.shape, "X_dtype_": dtype, "y_dtype_": y.dtype, "y_ndim_": y.ndim, "n_outputs_expected_": 1}
