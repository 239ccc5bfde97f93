"""The rows of a fit: X, y and weights, checked; what follows from y; which rows train and which are held out."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from sk_mlp._estimator.checks import (
    checked_numbers,
    checked_weights,
    checked_X_y,
    learned_table,
    row_counts,
    rows_with_weight,
    times_class_weights,
)
from sk_mlp._estimator.given import GivenRows
from sk_mlp._estimator.hold_out import column_of_groups, splits_of_members
from sk_mlp._estimator.settings import Settings
from sk_mlp._estimator.split import member_seeds
from sk_mlp._network.design import AskedLoss, paths_of
from sk_mlp._network.spec import Fitted
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.table import Table
from sk_mlp._targets.base import Targets

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP


@dataclass(frozen=True, eq=False)
class FitRows:
    """The rows of a fit, and what is known of them.

    Attributes
    ----------
    parts : list of matrix
        X as numbers, and then the held-out rows that the user gives, if any.
    table : Table
        Of X's columns.
    paths : dict
        Numbers of the columns that the user names for paths or inputs of the network, by the parameter's name.
    y, weights, counts : ndarray of shape (n_rows, ...)
        Of all these rows. A row counts as many rows as its weight says, if weights are whole numbers.
    targets : Targets
    meta : dict
        What the function that builds a user's model is told of the data.
    seeds : list of int
        Of the members.
    splits : list of (ndarray of int, ndarray of int)
        Numbers of each member's rows: those that train, and those that are held out.
    X_unlabeled : matrix or None
    """

    parts: list[Matrix]
    table: Table
    paths: dict[str, Any]
    y: NDArray
    weights: NDArray
    counts: NDArray
    targets: Targets
    meta: dict[str, Any]
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
        """How many rows the member with most of them trains on."""
        return max(len(train) for train, _ in self.splits)


@dataclass(frozen=True, eq=False)
class Weighed:
    """Rows of positive weight.

    Attributes
    ----------
    X, y, weights
    counts : ndarray of shape (n_rows,)
        How often each row occurs.
    own_weights : ndarray of shape (n_rows,)
        Without those of classes.
    kept : ndarray of int
        The rows' numbers among those that were given.
    """

    X: Matrix
    y: NDArray
    weights: NDArray
    counts: NDArray
    own_weights: NDArray
    kept: NDArray


def rows_of_fit(settings: Settings, given: GivenRows, estimator: "BaseKerasMLP", previous: Fitted | None) -> FitRows:
    """Check the rows of a fit and split them.

    Parameters
    ----------
    settings : Settings
    given : GivenRows
    estimator : estimator
        For scikit-learn's checks, as in `checks`.
    previous : Fitted or None
        What to go on from.

    Raises
    ------
    ValueError
        If something is not valid.
    """
    if previous is None:
        X, y, table = learned_table(estimator, given.X, given.y, settings, given.sample_weight)
    else:
        table = replace(previous.table, allows_missing=previous.table.allows_missing and settings.allows_missing)
        X, y = checked_X_y(estimator, given.X, given.y, table, settings.owner._y_checks)
    own_weights = checked_weights(given.sample_weight, X)
    meta = data_meta(given.X, X, y) | {"n_features_in_": X.shape[1]}
    asked = AskedLoss(settings, given.X, X, meta)
    targets, y = settings.learn_targets(y, given.classes, previous.targets if previous else None, asked)
    as_given = given.X, y, column_of_groups(given.groups, len(y))
    rows = weighed(settings, targets, X, y, own_weights)
    as_X = replace(table, is_dense=not issparse(X))  # X decides what held-out rows become
    held_out = held_out_of(settings, given.held_out, estimator, as_X, targets, rows)
    unlabeled = None if given.X_unlabeled is None else unlabeled_of(settings, given.X_unlabeled, estimator, table)

    seed = int(check_random_state(settings.random_state).randint(np.iinfo(np.int32).max))
    seeds, n_rows = member_seeds(seed, settings.ensemble_size), rows.X.shape[0]
    every_row, none = np.arange(n_rows, dtype=np.int32), np.arange(0, dtype=np.int32)
    splits, parts = [(every_row, none)] * len(seeds), [rows.X]
    y, weights, counts = rows.y, rows.weights, rows.counts
    share = settings.held_out_share
    fraction = settings.validation_fraction if share is None else share
    if held_out is not None:
        parts.append(held_out.X)
        y, weights, counts = (
            np.concatenate(pair) for pair in ((y, held_out.y), (weights, held_out.weights), (counts, held_out.counts))
        )
        splits = [(every_row, np.arange(n_rows, len(y), dtype=np.int32))] * len(seeds)
    elif fraction and (settings.stops_early or share):
        splits = splits_of_members(settings.hold_out, fraction, seeds, targets.strata(y), rows.kept, as_given)
    paths = paths_of(settings, given.X, table)
    return FitRows(parts, table, paths, y, weights, counts, targets, meta, seeds, splits, unlabeled)


def weighed(settings: Settings, targets: Targets, X: Matrix, y: NDArray, own_weights: NDArray) -> Weighed:
    """The rows of positive weight: a row's own weight times that of its class."""
    kept = np.flatnonzero(own_weights)
    X, y, own_weights = rows_with_weight(X, y, times_class_weights(own_weights, 1.0, "sample_weight"))
    of_classes = targets.class_weights(settings.class_weight, y, own_weights)
    weights = times_class_weights(own_weights, of_classes, "sample_weight")
    counts = row_counts(own_weights, of_classes)
    if not weights.all():
        counts, own_weights, kept = (array[weights > 0] for array in (counts, own_weights, kept))
    return Weighed(*rows_with_weight(X, y, weights), counts, own_weights, kept)


def held_out_of(
    settings: Settings, held_out: tuple, estimator: "BaseKerasMLP", table: Table, targets: Targets, training: Weighed
) -> Weighed | None:
    """The rows that the user holds out."""
    X, y, sample_weight = held_out
    if X is None and y is None:
        if sample_weight is not None:
            raise ValueError("sample_weight_val needs X_val and y_val. Got None for both.")
        return None
    if X is None or y is None:
        missing = "X_val" if X is None else "y_val"
        raise ValueError(f"X_val and y_val must be given together. Got {missing}=None.")
    try:  # scikit-learn's messages speak of X, y and sample_weight
        X, y = checked_X_y(estimator, X, y, table, settings.owner._y_checks)
        y = targets.check(y, "y_val")
        given = checked_weights(sample_weight, X)
        together = np.concatenate([training.y, y])
        of_classes = targets.class_weights(settings.class_weight, together, training.own_weights)
        of_classes = of_classes[len(training.y) :] if isinstance(of_classes, np.ndarray) else of_classes
        weights = times_class_weights(given, of_classes, "sample_weight_val")
        kept = weights > 0
        counts = row_counts(given, of_classes)[kept]
        return Weighed(*rows_with_weight(X, y, weights), counts, given[kept], np.flatnonzero(kept))
    except ValueError as error:
        raise ValueError(f"The held-out rows (X_val, y_val, sample_weight_val) are not valid: {error}") from error


def unlabeled_of(settings: Settings, X_unlabeled: Any, estimator: "BaseKerasMLP", table: Table) -> Matrix:
    """Rows for pretraining."""
    if settings.pretrain is None:
        raise ValueError("X_unlabeled is for pretrain='autoencoder'. Got pretrain=None.")
    try:
        return checked_numbers(estimator, X_unlabeled, table)
    except ValueError as error:
        raise ValueError(f"X_unlabeled is not valid: {error}") from error


def data_meta(raw: Any, X: Any, y: NDArray) -> dict[str, Any]:
    """What a builder is told of the data, under scikeras' names."""
    dtype = getattr(raw, "dtype", X.dtype)
    return {"X_shape_": X.shape, "X_dtype_": dtype, "y_dtype_": y.dtype, "y_ndim_": y.ndim, "n_outputs_expected_": 1}
