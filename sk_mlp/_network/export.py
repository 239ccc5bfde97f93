"""A fitted network as a Keras model that takes the table itself, a column an input."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sk_mlp._tables.categories import Categories, as_type, holds_texts
from sk_mlp._tables.dates import Dates
from sk_mlp._tables.names import names_of_inputs
from sk_mlp._tables.selection import to_inputs
from sk_mlp.layers import CategoryCodes, DateFeatures, TableModel


def model_of_table(
    model: keras.Model,
    names: Sequence[str],
    categories: Categories,
    dates: Dates,
    input_columns: Any,
    shift: NDArray | None,
) -> keras.Model:
    """A model of one input a column: strings, where its categories are, float64 for dates, else float32 or float64.

    Parameters
    ----------
    model : keras.Model
        Of X's columns as numbers, categories as codes.
    names : sequence of str
        Of the columns, and so of the inputs, as far as Keras takes them: see `names_of_inputs`.
    categories, dates : dict
        As `sk_mlp._tables.matrix.learn_columns_of` returns them.
    input_columns : None, dict or tuple
        Columns of each of the model's inputs.
    shift : ndarray of shape (n_columns,) or None
        What the model subtracts from its input. The digits of columns where that is not 0 need float64.

    Raises
    ------
    ValueError
        For categories that are neither strings nor numbers, or of which two
        would be the same string or float32.
    """
    names = names_of_inputs(names)
    model.name = "sk_mlp_network"  # names of operations must differ, and the user's columns may have any
    inputs, columns, more = {}, [], []
    for number, name in enumerate(names):
        values = categories.get(number)
        of_strings = values is not None and holds_texts(values)
        number_type = "float32" if shift is None or not shift[number] else "float64"
        dtype = "string" if of_strings else "float64" if number in dates else number_type
        inputs[name] = keras.layers.Input((1,), dtype=dtype, name=name)
        if number in dates:
            features = DateFeatures(**vars(dates[number]), name=f"sk_mlp_date_{number}")(inputs[name])
            columns.append(features[:, :1])
            more += [features[:, 1:]] if len(dates[number].features) > 1 else []
        elif values is None:
            columns.append(inputs[name])
        else:
            known = as_type(name, values, str if of_strings else np.float32)
            columns.append(CategoryCodes(known, dtype="float32", name=f"sk_mlp_codes_{number}")(inputs[name]))
    columns += more
    dtype = "float32" if shift is None else "float64"
    joined = columns[0] if len(columns) == 1 else keras.layers.Concatenate(name="sk_mlp_table", dtype=dtype)(columns)
    parts = to_inputs(joined, input_columns, lambda table, numbers: keras.ops.take(table, list(numbers), axis=1))
    return TableModel(inputs, model(parts), name="table_mlp")
