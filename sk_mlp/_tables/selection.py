"""Selects rows of X, and the columns that go into each path or input. Plain numpy and scipy."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse, vstack

from sk_mlp._tables.columns import frame_of, names_of

Matrix: TypeAlias = Any  # an ndarray or a csr_array, of shape (n_samples, n_features)
Inputs: TypeAlias = dict[str, tuple[int, ...]] | tuple[tuple[int, ...], ...] | None  # columns of each; None for one


def column_numbers(X: Any, columns: Any, parameter: str) -> tuple[int, ...]:
    """Numbers of the columns of X that a user names.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        As the user passes it.
    columns : str, int, slice, array-like of these or of bool, or callable
        As in `sklearn.compose.ColumnTransformer`: a callable gets X and returns one of the others.
    parameter : str
        Whose value ``columns`` is, for messages.

    Raises
    ------
    ValueError
        If there is no such column, none at all, or one twice.
    """
    from sklearn.utils._indexing import _get_column_indices  # imported only where something is trained

    frame = X if hasattr(X, "shape") else np.asarray(X)
    if len(frame.shape) != 2:
        raise ValueError(f"Expected 2D array, got {len(frame.shape)}D array instead.")
    asked = columns(frame) if callable(columns) else columns
    try:
        numbers = [int(number) for number in np.atleast_1d(_get_column_indices(frame, asked))]
    except (ValueError, TypeError, IndexError, KeyError) as error:
        names = names_of(X) if frame_of(X) is not None else f"0 to {frame.shape[1] - 1}"
        raise ValueError(f"{parameter} must name columns of X ({names}). Got {asked!r}: {error}") from error
    if not numbers or len(set(numbers)) < len(numbers):
        wrong = "none" if not numbers else "a column twice"
        raise ValueError(f"{parameter} must name at least one column of X, and each once. Got {wrong}: {asked!r}.")
    return tuple(numbers)


def input_columns(X: Any, groups: Any) -> Inputs:
    """The column numbers of each input of a model: None for all in one input, else a dict or a tuple of tuples.

    Raises
    ------
    ValueError
        As in `column_numbers`, and if there are no groups.
    """
    if groups is None:
        return None
    if not groups:
        raise ValueError(f"input_columns must hold the columns of at least one input. Got {groups!r}.")
    if isinstance(groups, Mapping):
        return {name: column_numbers(X, group, f"input_columns[{name!r}]") for name, group in groups.items()}
    return tuple(column_numbers(X, group, f"input_columns[{i}]") for i, group in enumerate(groups))


def to_inputs(X: Any, columns: Inputs, take: Callable[[Any, tuple[int, ...]], Any]) -> Any:
    """What a model takes of a matrix: itself, or a dict or tuple of some of its columns.

    Parameters
    ----------
    X : matrix, tensor or whatever ``take`` takes
    columns : None, dict or tuple
        As `input_columns` returns it.
    take : callable (X, column numbers) -> part
    """
    if columns is None:
        return X
    if isinstance(columns, dict):
        return {name: take(X, numbers) for name, numbers in columns.items()}
    return tuple(take(X, numbers) for numbers in columns)


def stacked(parts: list[Matrix]) -> Matrix:
    """Rows below rows, of one kind of matrix."""
    if any(issparse(part) for part in parts):
        return csr_array(vstack(parts, format="csr"))
    return np.concatenate(parts)


def dense(X: Matrix, dtype: Any = np.float32) -> NDArray:
    """A matrix as an ndarray; for few rows at a time."""
    return (X.toarray() if issparse(X) else X).astype(dtype, copy=False)
