"""Turns a table into the numbers that a network predicts from, without scikit-learn, whose import takes long.

They are the same as by the estimators' checks, which use scikit-learn: tests/test_predictor.py compares the two.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from sk_mlp._estimator.messages import warn
from sk_mlp._tables.columns import Column, as_array, as_table, columns_of, frame_of, is_plain, names_of
from sk_mlp._tables.matrix import check_shape, numbers_of, to_numbers
from sk_mlp._tables.numbers import DENSE, SPARSE, check_finite, in_float32
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.sparse import dense_frame
from sk_mlp._tables.table import Table


def read_table(X: Any, table: Table, shift: NDArray | None) -> Matrix:
    """X as a fitted network takes it.

    Parameters
    ----------
    X : array-like, frame, sparse matrix or list of dicts of shape (n_samples, n_features)
    table : Table
    shift : ndarray of shape (n_columns,) or None
        What is subtracted before numbers become float32.

    Returns
    -------
    ndarray of float32 or uint8, or csr_array

    Raises
    ------
    ValueError
        If X has other columns than in fit, no rows, or something in them that it may not have.
    TypeError
        If it is a matrix of numpy, or if some of its columns' names are strings and some are not.
    """
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], Mapping):
        columns = _columns_of_records(X, table)
        shape = len(X), table.n_features
        return _in_float32(numbers_of(columns, shape, table.categories, table.dates, warns=True), table, shift)
    if isinstance(X, Mapping) and not issparse(X):  # some sparse matrices are dicts, too
        raise ValueError(f"X must be a list of dicts, one for each row. Got a single {type(X).__name__} instead.")
    X = dense_frame(as_table(X))
    if len(X.shape) != 2:  # of a sparse array
        raise ValueError(f"Expected 2D input, got input with shape {tuple(X.shape)}.")
    _check_names(X, table)
    check_shape(X, "Predictor")
    if X.shape[1] != table.n_features:
        raise ValueError(
            f"X has {X.shape[1]} features, but Predictor is expecting {table.n_features} features as input."
        )
    if issparse(X):
        return _read_sparse(X, table, shift)
    is_mixed = table.is_mixed or not is_plain(X)
    numbers = to_numbers(X, table.categories, table.dates, warns=True) if is_mixed else _plain_numbers(X)
    return _in_float32(numbers, table, shift)


def _in_float32(numbers: NDArray, table: Table, shift: NDArray | None) -> Matrix:
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(np.sum(numbers)) if numbers.dtype.kind == "f" else True
    if not is_finite:  # or the sum alone overflows
        check_finite(numbers, table.allows_missing, table.matrix_names, "Predictor")
    return in_float32([numbers], shift, table.matrix_names)


def _columns_of_records(rows: Sequence[Any], table: Table) -> list[Column]:
    """Columns of rows that are dicts by the columns' names. JSON has no dates: there they are strings.

    Raises
    ------
    ValueError
        If a row is no dict, or has other names.
    """
    if table.names is None:
        raise ValueError(
            "X is a list of dicts, by the columns' names, but X had no names of columns in fit. Pass each row as a "
            "list of its values, in the order of the columns."
        )
    known = list(table.names)
    names = {*known}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise ValueError(f"X must be a list of dicts, or of lists. Got a {type(row).__name__} in row {number}.")
        if row.keys() != names:
            raise ValueError(
                f"The feature names should match those that were passed during fit. In row {number} of X:\n"
                + _difference(list(row), known)
            )
    columns = [Column(name, np.fromiter((row[name] for row in rows), object, len(rows))) for name in known]
    for column in map(columns.__getitem__, table.dates):
        for number, value in enumerate(column.data):
            if isinstance(value, str):
                column.data[number] = _date(value, column)
    return columns


def _date(text: str, column: Column) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"{column} must hold dates as in ISO 8601, such as '2024-05-31T08:00'. Got {text!r}."
        ) from error


def _plain_numbers(X: Any) -> NDArray:
    """Numbers in their own type if it is one of `DENSE`, else float64."""
    array = as_array(X)
    if isinstance(array, np.ndarray):
        if array.dtype.kind == "c":
            raise ValueError(f"Complex data not supported\n{array}\n")
        return array if array.dtype in DENSE else array.astype(np.float64)
    columns = [column.data for column in columns_of(X)]
    if all(isinstance(data, np.ndarray) for data in columns):
        dtype = np.result_type(*(data.dtype for data in columns))
        return np.stack(columns, axis=1).astype(dtype if dtype in DENSE else np.float64, copy=False)
    return to_numbers(X, {}, {}, warns=False)


def _read_sparse(X: Any, table: Table, shift: NDArray | None) -> Matrix:
    if table.is_mixed:
        raise ValueError("X must be dense, since it has categorical columns. Got a sparse matrix; call toarray().")
    matrix = csr_array(X)
    wanted = DENSE if table.is_dense else SPARSE
    if matrix.dtype not in wanted:
        matrix = matrix.astype(wanted[0])
    if matrix.dtype.kind == "f" and not np.isfinite(matrix.data).all():
        wrong = "NaN" if np.isnan(matrix.data).any() else "infinity or a value too large for dtype('float32')"
        raise ValueError(f"Input X contains {wrong}.")
    return in_float32([matrix.toarray() if table.is_dense else matrix], shift, table.matrix_names)


def _check_names(X: Any, table: Table) -> None:
    """Raise scikit-learn's errors where the columns of X do not have the names that they had in fit."""
    names = list(names_of(X)) if frame_of(X) is not None else []
    kinds = sorted({type(name).__qualname__ for name in names})
    if len(kinds) > 1 and "str" in kinds:
        raise TypeError(
            f"Feature names are only supported if all input features have string names. Got {kinds} instead."
        )
    known = table.names
    if kinds == ["str"] and known is not None and names != list(known):
        raise ValueError(
            "The feature names should match those that were passed during fit.\n" + _difference(names, list(known))
        )
    if kinds != ["str"] and known is not None:
        warn("X does not have valid feature names, but Predictor was fitted with feature names")
    elif kinds == ["str"] and known is None:
        warn("X has feature names, but Predictor was fitted without feature names")


def _difference(names: list[str], known: list[str]) -> str:
    unseen, missing = sorted({*names} - {*known}, key=str), sorted({*known} - {*names})
    parts = {"unseen at fit time": unseen, "seen at fit time, yet now missing": missing}
    lines = [f"Feature names {what}:\n{_listed(found)}" for what, found in parts.items() if found]
    return "".join(lines) or "Feature names must be in the same order as they were in fit.\n"


def _listed(names: list[str]) -> str:
    return "".join(f"- {name}\n" for name in names[:5]) + ("- ...\n" if len(names) > 5 else "")
