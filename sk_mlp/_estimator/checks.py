"""Checks of X, y and weights as the user gives them.

scikit-learn's `validate_data` needs an estimator: its name, its tags, and a place to set names of columns. In a fit
that is a copy, so that a fit that fails changes nothing.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import _check_y, check_array, check_consistent_length, validate_data

from sk_mlp._tables.columns import as_array, as_table, has_missing_objects, is_plain, names_of
from sk_mlp._tables.matrix import learn_columns_of, special_columns, to_numbers
from sk_mlp._tables.numbers import DENSE, SPARSE, check_finite, in_float32
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.sparse import dense_frame
from sk_mlp._tables.table import Table

if TYPE_CHECKING:
    from sk_mlp._estimator.settings import Settings


def learned_table(
    estimator: Any, X: Any, y: Any, settings: "Settings", sample_weight: ArrayLike | None
) -> tuple[Matrix, NDArray, Table]:
    """X as a matrix of numbers, y as an array, and what X's columns hold in rows that have a weight.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``.
    X : array-like, frame or sparse matrix of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    settings : Settings
    sample_weight : array-like of shape (n_samples,) or None

    Raises
    ------
    ValueError
        If something is not valid.
    """
    X = dense_frame(as_table(X))
    _refuse_missing(y)
    categorical, dates = special_columns(X, settings.categorical_features)
    for kind, numbers in (("Categorical", categorical), ("Date", dates)):
        if numbers and (settings.model is not None or settings.pretrain is not None):
            other = "model" if settings.model is not None else "pretrain"
            names = names_of(X)
            raise ValueError(
                f"{kind} columns of X, {[names[number] for number in numbers]}, need the built-in network, "
                f"without {other!r}. Got {other}={getattr(settings, other)!r}; encode them first."
            )
    learned = learn_columns_of(X, categorical, dates, sample_weight, settings.input_scaling is not None)
    table = Table(0, None, *learned, settings.allows_missing)
    matrix, y = _numbers_and_y(estimator, X, y, table, settings.owner._y_checks, reset=True)
    seen = getattr(estimator, "feature_names_in_", None)
    table = Table(estimator.n_features_in_, None if seen is None else tuple(seen), *learned, settings.allows_missing)
    return checked_matrix(matrix, table, settings.owner.__name__), y, table


def checked_X_y(estimator: Any, X: Any, y: Any, table: Table, y_checks: dict[str, Any]) -> tuple[Matrix, NDArray]:
    """X as a matrix of numbers, and y as an array, for a table that is known.

    Dense numbers are of the types in `numbers.DENSE`, which `in_float32` takes.
    """
    X = dense_frame(as_table(X))
    _refuse_missing(y)
    matrix, y = _numbers_and_y(estimator, X, y, table, y_checks, reset=False)
    return checked_matrix(matrix, table, type(estimator).__name__), y


def _refuse_missing(y: Any) -> None:
    if has_missing_objects(y):
        raise ValueError("Input y contains NaN or another missing value.")


def _numbers_and_y(
    estimator: Any, X: Any, y: Any, table: Table, y_checks: dict[str, Any], reset: bool
) -> tuple[Matrix, NDArray]:
    if not table.is_mixed and is_plain(X):
        checks = _checks_of(X, table)
        return validate_data(estimator, X, y, reset=reset, multi_output=True, **checks, **y_checks)
    matrix = _coded(estimator, X, table, reset)
    y = _check_y(y, multi_output=True, estimator=estimator, **y_checks)
    check_consistent_length(matrix, y)
    return matrix, y


def checked_X(estimator: Any, X: Any, table: Table, shift: NDArray | None) -> Matrix:
    """X as a fitted network takes it."""
    return in_float32([checked_numbers(estimator, X, table)], shift, table.matrix_names)


def checked_numbers(estimator: Any, X: Any, table: Table) -> Matrix:
    """X as a matrix of numbers, as `checked_X_y` returns it."""
    X, name = dense_frame(as_table(X)), type(estimator).__name__
    if table.is_mixed or not is_plain(X):
        return checked_matrix(_coded(estimator, X, table, reset=False), table, name)
    checks = _checks_of(X, table)
    if isinstance(X, np.ndarray):
        return checked_matrix(validate_data(estimator, X, reset=False, **checks), table, name)
    validate_data(estimator, X, reset=False, skip_check_array=True)
    return checked_matrix(check_array(as_array(X), estimator=estimator, input_name="X", **checks), table, name)


def _checks_of(X: Any, table: Table) -> dict[str, Any]:
    """Arguments of scikit-learn's checks of X; `checked_matrix` checks that dense numbers are finite."""
    is_sparse = issparse(X)
    return {
        "dtype": SPARSE if is_sparse and not table.is_dense else DENSE,
        "accept_sparse": "csr",
        "ensure_all_finite": is_sparse,
    }


def _coded(estimator: Any, X: Any, table: Table, reset: bool) -> NDArray:
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if issparse(X):
        raise ValueError("X must be dense, since it has categorical columns. Got a sparse matrix; call toarray().")
    numbers = to_numbers(X, table.categories, table.dates, warn=not reset)
    return check_array(numbers, dtype=DENSE, ensure_all_finite=False, estimator=estimator, input_name="X")


def checked_matrix(X: Any, table: Table, estimator_name: str) -> Matrix:
    """X of a checked type as the network takes it, once all its numbers are known to be finite."""
    if issparse(X):
        return X.toarray() if table.is_dense else csr_array(X)
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = math.isfinite(X.sum()) if X.dtype.kind == "f" else X.dtype.kind in "biu"
    if not is_finite:  # or the sum alone overflows
        check_finite(X, table.allows_missing, table.matrix_names, estimator_name)
    return X


def row_counts(given: NDArray, of_classes: NDArray | float) -> NDArray:
    """How often each row occurs: its weight if all are whole numbers, else once; times its class's weight if whole."""
    if not np.array_equal(given, np.rint(given)):
        return np.ones(len(given))
    return given * of_classes if np.array_equal(of_classes, np.rint(of_classes)) else given


def rows_with_weight(X: Matrix, y: NDArray, weights: NDArray) -> tuple[Matrix, NDArray, NDArray]:
    """The rows of positive weight; a row that does not count must not cost a step either."""
    if weights.all():
        return X, y, weights
    kept = weights > 0
    return X[kept], y[kept], weights[kept]


def without_zero_total(weights: NDArray, name: str) -> NDArray:
    """The weights, unless they are all zero."""
    if not weights.sum() > 0:
        wrong = f"times class_weight too. Got a sum of {weights.sum()}."
        raise ValueError(f"{name} must contain at least one non-zero number, {wrong}")
    return weights
