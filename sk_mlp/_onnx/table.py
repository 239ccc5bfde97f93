"""Inputs of the graph, one a column or one matrix, and the matrix of numbers that they become."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._onnx.graph import Graph, Value, joined, last_at_most, padded
from sk_mlp._tables.categories import MISSING, UNKNOWN, Categories, as_type, holds_texts, known_texts
from sk_mlp._tables.dates import Dates

MATRIX = "X"  # the input's name, where columns have none
EXACT = 2.0**24  # float32 holds all whole numbers up to here


@dataclass(frozen=True, eq=False)
class Table:
    """What an estimator knows of the columns of X.

    Attributes
    ----------
    n_columns : int
    names : tuple of str or None
        None where columns have none.
    categories, dates : dict
        As `sk_mlp._tables.matrix.learn_columns_of` returns them.
    shift : ndarray of shape (n_features,), float64
        What is subtracted from the columns, and from the further features of dates, before they become float32.
    """

    n_columns: int
    names: tuple[str, ...] | None
    categories: Categories
    dates: Dates
    shift: NDArray

    @property
    def is_matrix(self) -> bool:
        """Whether there is a single input."""
        return self.names is None and not self.categories and not self.dates

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the inputs, where each column is one."""
        return self.names or tuple(f"x{number}" for number in range(self.n_columns))

    def kind(self, number: int) -> str:
        """What a column holds: "number", "category" or "date"."""
        return "category" if number in self.categories else "date" if number in self.dates else "number"

    def dtype(self, number: int) -> Any:
        """Type of a column's input; object is for strings."""
        if number in self.categories:
            values = self.categories[number]
            return object if holds_texts(values) else _number_type(self.column_names[number], values)
        return np.float64 if number in self.dates or self.shift[number] else np.float32

    @property
    def matrix_dtype(self) -> Any:
        """Type of the single input."""
        return np.float64 if self.shift.any() else np.float32


def _number_type(name: str, values: tuple) -> Any:
    """Type of an input whose categories are numbers: float32 if they differ in it, else float64."""
    numbers = as_type(name, values, np.float64)
    finite = [abs(number) for number in numbers if np.isfinite(number)]
    with np.errstate(over="ignore"):
        narrow = {np.float32(number) for number in numbers}
    return np.float32 if max(finite, default=0) < EXACT and len(narrow) == len(values) else np.float64


def matrix_of(graph: Graph, table: Table) -> Value:
    """The inputs, made for the graph, as the matrix that the network takes: (n_rows, n_features), float64."""
    if table.is_matrix:
        numbers = graph.input(MATRIX, table.matrix_dtype, table.n_columns).cast(np.float64)
    else:
        columns, further = [], []
        for number, name in enumerate(table.column_names):
            values = graph.input(name, table.dtype(number), 1)
            if number in table.dates:
                seconds, *others = table.dates[number].encode(values)
                columns.append(seconds)
                further += others
            elif number in table.categories:
                columns.append(_codes(name, values, table.categories[number], table.dtype(number)))
            else:
                columns.append(values.cast(np.float64))
        numbers = joined(columns + further, axis=1)
    numbers = numbers - table.shift if table.shift.any() else numbers
    return numbers.cast(np.float32).cast(np.float64)


def _codes(name: str, values: Value, categories: tuple, dtype: Any) -> Value:
    """Codes of a column's values, float64."""
    graph = values.graph
    if not categories:
        return values.is_nan().where(float(MISSING), float(UNKNOWN))
    if dtype is object:
        known = dict.fromkeys([""], MISSING) | known_texts(as_type(name, categories, str))
        codes = graph.node(
            "LabelEncoder",
            values,
            domain="ai.onnx.ml",
            keys_strings=list(known),
            values_int64s=list(known.values()),
            default_int64=UNKNOWN,
        )
        return codes.cast(np.float64)
    numbers = np.array(as_type(name, categories, np.float64)).astype(dtype).astype(np.float64)
    order = np.argsort(numbers)
    values = values.cast(np.float64)
    tables = padded(numbers[order], 0, np.inf)
    of_table = padded(order.astype(np.float64), 0, order[-1] if np.isinf(tables[len(order) - 1]) else UNKNOWN)
    place = last_at_most(values, tables)
    is_known = graph.constant(tables).take(place, axis=0).equals(values)
    others = values.is_nan().where(float(MISSING), float(UNKNOWN))
    return is_known.where(graph.constant(of_table).take(place, axis=0), others)
