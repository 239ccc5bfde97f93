"""Checks of X, y and weights as the user gives them.

scikit-learn's `validate_data` needs an estimator: its name, its tags, and a place to set names of columns. In a fit
that is a copy, so that a fit that fails changes nothing.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    check_array,
    check_consistent_length,
    validate_data,
)

from sk_mlp._tables.columns import as_array, as_table, has_missing_objects, is_masked, is_plain, names_of
from sk_mlp._tables.matrix import check_shape, learn_columns_of, special_columns, to_numbers
from sk_mlp._tables.numbers import DENSE, SPARSE, check_finite, in_float32
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.sparse import dense_frame
from sk_mlp._tables.table import Table

if TYPE_CHECKING:
    from sk_mlp._estimator.settings import Settings

LARGEST_COUNT = 2.0**53  # all larger numbers of float64 are whole
TOTALS = 1e-100, 1e100  # of weights: the squares of such sums are numbers, too


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
    X = _table_of(X, settings.owner.__name__)
    y = _as_numpy(y)
    of_numbers = settings.model is not None or settings.pretrain is not None
    categorical, dates = special_columns(X, settings.categorical_features, truths_are_numbers=of_numbers)
    for kind, numbers in (("Categorical", categorical), ("Date", dates)):
        if numbers and of_numbers:
            other = "model" if settings.model is not None else "pretrain"
            names = names_of(X)
            raise ValueError(
                f"{kind} columns of X, {[names[number] for number in numbers]}, need the built-in network, "
                f"without {other!r}. Got {other}={getattr(settings, other)!r}; encode them first."
            )
    weights = checked_weights(sample_weight, X)
    learned = learn_columns_of(X, categorical, dates, weights, settings.input_scaling is not None)
    table = Table(0, None, *learned, settings.allows_missing)
    matrix, y = _numbers_and_y(estimator, X, y, table, settings.owner._y_checks, reset=True)
    seen = getattr(estimator, "feature_names_in_", None)
    table = Table(estimator.n_features_in_, None if seen is None else tuple(seen), *learned, settings.allows_missing)
    return checked_matrix(matrix, table, settings.owner.__name__), y, table


def checked_X_y(estimator: Any, X: Any, y: Any, table: Table, y_checks: dict[str, Any]) -> tuple[Matrix, NDArray]:
    """X as a matrix of numbers, and y as an array, for a table that is known.

    Dense numbers are of the types in `numbers.DENSE`, which `in_float32` takes.
    """
    name = type(estimator).__name__
    X = _table_of(X, name)
    y = _as_numpy(y)
    matrix, y = _numbers_and_y(estimator, X, y, table, y_checks, reset=False)
    return checked_matrix(matrix, table, name), y


def _table_of(X: Any, estimator_name: str) -> Any:
    """X with its rows and columns, of which there are some."""
    X = dense_frame(as_table(X))
    check_shape(X, estimator_name)
    return X


def checked_weights(sample_weight: Any, X: Any) -> NDArray:
    """A weight for each row of X, of at least 0."""
    if is_masked(sample_weight):
        raise ValueError("sample_weight must hold a number for each row. Got masked values.")
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


def _as_numpy(y: Any) -> Any:
    """y without missing values. Of types that may have some, numbers and truth values become numpy's: not floats."""
    if has_missing_objects(y):
        raise ValueError("Input y contains NaN or another missing value.")
    is_extended = hasattr(y, "iloc") and hasattr(y, "dtype") and not isinstance(y.dtype, np.dtype)
    array = np.asarray(y) if is_extended else None
    return array if array is not None and array.dtype.kind in "biuf" else y


def _numbers_and_y(
    estimator: Any, X: Any, y: Any, table: Table, y_checks: dict[str, Any], reset: bool
) -> tuple[Matrix, NDArray]:
    if not table.is_mixed and is_plain(X):
        checks = _checks_of(X, table)
        matrix, y = validate_data(estimator, X, y, reset=reset, multi_output=True, **checks, **y_checks)
    else:
        matrix = _coded(estimator, X, table, reset)
        y = _check_y(y, multi_output=True, estimator=estimator, **y_checks)
        check_consistent_length(matrix, y)
    return matrix, y.toarray() if issparse(y) else y


def checked_X(estimator: Any, X: Any, table: Table, shift: NDArray | None) -> Matrix:
    """X as a fitted network takes it."""
    return in_float32([checked_numbers(estimator, X, table)], shift, table.matrix_names)


def checked_numbers(estimator: Any, X: Any, table: Table) -> Matrix:
    """X as a matrix of numbers, as `checked_X_y` returns it."""
    name = type(estimator).__name__
    X = _table_of(X, name)
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
    return to_numbers(X, table.categories, table.dates, warns=not reset)


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
    if not _may_count(given):
        return np.ones(len(given))
    return given * of_classes if _may_count(np.asarray(of_classes)) else given


def _may_count(numbers: NDArray) -> bool:
    """Whether all numbers are whole; those so large that float64 has no others tell nothing."""
    return bool(np.array_equal(numbers, np.rint(numbers)) and numbers.max(initial=0) <= LARGEST_COUNT)


def rows_with_weight(X: Matrix, y: NDArray, weights: NDArray) -> tuple[Matrix, NDArray, NDArray]:
    """The rows of positive weight; a row that does not count must not cost a step either."""
    if weights.all():
        return X, y, weights
    kept = weights > 0
    return X[kept], y[kept], weights[kept]


def times_class_weights(weights: NDArray, of_classes: NDArray | float, name: str) -> NDArray:
    """Weights times those of their classes, if their sum is one to compute with."""
    with np.errstate(over="ignore"):
        weights = weights * of_classes
        total = weights.sum()
    least, most = TOTALS
    if not least <= total <= most:
        wanted = f"have a sum from {least:g} to {most:g}" if total else "contain at least one non-zero number"
        raise ValueError(f"{name} must {wanted}, times class_weight too. Got a sum of {total:g}.")
    return weights
