"""Turns tables with columns of several types into matrices of numbers. Plain numpy."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._tables.categories import Categories, codes_of, learn_values
from sk_mlp._tables.columns import Column, columns_of, frame_of, is_plain
from sk_mlp._tables.dates import Dates, learn_dates, seconds_of
from sk_mlp._tables.selection import column_numbers


def special_columns(
    X: Any, categorical_features: Any, truths_are_numbers: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numbers of the columns that hold categories, and of those that hold dates.

    Parameters
    ----------
    X : array-like, frame or sparse matrix of shape (n_samples, n_features)
        As `sk_mlp._tables.columns.as_table` returns it.
    categorical_features : "auto", None, or columns as in `column_numbers`
        "auto" for those of a frame that are categories, strings or truth values. A callable may name none.
    truths_are_numbers : bool, default=False
        Whether "auto" leaves truth values out, for networks that take numbers alone.

    Raises
    ------
    ValueError
        If there is no such column, and for one that holds something else than numbers, categories and dates.
    """
    if issparse(X):
        if _names_columns(categorical_features):
            raise ValueError(
                f"categorical_features={categorical_features!r} needs a dense X. Got a sparse matrix; set "
                "categorical_features='auto' or call toarray()."
            )
        return (), ()
    asked = categorical_features(X) if callable(categorical_features) else categorical_features
    is_auto = _is_auto(asked)
    categorical = set(column_numbers(X, asked, "categorical_features") if _names_columns(asked) else ())
    dates = []
    is_frame = frame_of(X) is not None
    for number, column in enumerate(columns_of(X) if is_frame or not is_plain(X) else ()):
        kind = "category" if number in categorical else column.kind()
        if kind == "date":
            dates.append(number)
        elif kind == "category" and is_frame and is_auto:
            if not (truths_are_numbers and column.holds_truths()):
                categorical.add(number)
        elif kind == "category" and is_frame and number not in categorical and column.holds_text():
            raise ValueError(
                "Columns of X must hold numbers, or be among categorical_features. Got strings in the column "
                f"{column.name!r} and categorical_features={asked!r}."
            )
    return tuple(sorted(categorical)), tuple(dates)


def _names_columns(categorical_features: Any) -> bool:
    """Whether the user says which columns are categories."""
    return not _is_auto(categorical_features) and not _is_none(categorical_features)


def _is_auto(columns: Any) -> bool:
    return isinstance(columns, str) and columns == "auto"


def _is_none(columns: Any) -> bool:
    """Whether no column is named: None, an empty list, or a mask without any True."""
    if not isinstance(columns, (list, tuple, np.ndarray)):
        return columns is None
    return not len(columns) or (np.asarray(columns).dtype == bool and not np.any(columns))


def check_shape(X: Any, estimator_name: str) -> None:
    """Raise scikit-learn's error for a table without rows or columns."""
    for length, what in zip(X.shape, ("sample", "feature"), strict=False):
        if length < 1:
            wrong = f"Found array with 0 {what}(s) (shape={tuple(X.shape)})"
            raise ValueError(f"{wrong} while a minimum of 1 is required by {estimator_name}.")


def learn_columns_of(
    X: Any, categorical: tuple[int, ...], dates: tuple[int, ...], weights: NDArray, in_units: bool
) -> tuple[Categories, Dates]:
    """What rows whose weight is not 0 say about these columns; ``in_units`` as in `learn_dates`."""
    found: Categories = {}
    found_dates: Dates = {}
    weightless = weights == 0
    for number, column in enumerate(columns_of(X) if categorical or dates else ()):
        if number in categorical:
            found[number] = learn_values(column, weightless)
        elif number in dates:
            found_dates[number] = learn_dates(column, weightless, in_units)
    return found, found_dates


def with_features_of_dates(columns: tuple[int, ...] | None, n_columns: int, dates: Dates) -> tuple[int, ...] | None:
    """Numbers of columns in the matrix that `to_numbers` returns: X's own, and all features of its dates."""
    if columns is None:
        return None
    last, more = n_columns, list[int]()
    for number, date in dates.items():
        n = len(date.features) - 1
        more += range(last, last + n) if number in columns else ()
        last += n
    return (*columns, *more)


def to_numbers(X: Any, categories: Categories, dates: Dates, warns: bool) -> NDArray:
    """A table as a matrix: numbers as they are, nan where they are missing; categories by their codes.

    Parameters
    ----------
    X : array-like or frame of shape (n_samples, n_features)
    categories, dates : dict
        As `learn_columns_of` returns them.
    warns : bool
        Whether to warn of columns whose categories are mostly unknown.

    Returns
    -------
    ndarray of shape (n_samples, n_features + n_features_of_dates), float64
        Categories are numbered from 0; `MISSING` and `UNKNOWN` mean what is none. A date is seconds in its own
        column; its other features come after all columns, in the dates' order.

    Raises
    ------
    ValueError
        If a column does not hold what it held in fit.
    """
    return numbers_of(columns_of(X), X.shape, categories, dates, warns)


def numbers_of(
    columns: Iterable[Column], shape: tuple[int, int], categories: Categories, dates: Dates, warns: bool
) -> NDArray:
    """Columns of a table of this shape as a matrix, as `to_numbers` has it."""
    n_rows, n_columns = shape
    n_more = sum(len(date.features) - 1 for date in dates.values())
    numbers = np.empty((n_rows, n_columns + n_more))
    last = n_columns
    for j, column in enumerate(columns):
        if j in categories:
            numbers[:, j] = codes_of(column, categories[j], warns)
        elif j in dates:
            numbers[:, j], *others = dates[j].encode(seconds_of(column, dates[j].zone)[0])
            for values in others:
                numbers[:, last] = values
                last += 1
        else:
            numbers[:, j] = column.numbers()
    return numbers
