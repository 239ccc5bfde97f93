"""A fitted network as a Keras model: of the matrix in X's and y's units, or of the table, a column an input."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.settings import Settings, told_besides, with_compiled
from sk_mlp._keras.loss import FunctionLoss
from sk_mlp._network.build import averaged, model_of, weights_of, with_order, with_shift, with_units
from sk_mlp._network.compiled import compile_like, compiled_by_user, ready_to_save
from sk_mlp._network.fit_loss import loss_of_fit
from sk_mlp._network.spec import Fitted
from sk_mlp._network.user_model import fresh_optimizer, symbolic_output
from sk_mlp._tables.categories import Categories, as_type, holds_texts
from sk_mlp._tables.dates import Dates
from sk_mlp._tables.names import names_of_inputs
from sk_mlp._tables.selection import Inputs, to_inputs
from sk_mlp._targets.base import Targets
from sk_mlp.layers import CategoryCodes, DateFeatures, TableModel
from sk_mlp.losses import losses_of_outputs


def in_units(model: keras.Model, targets: Targets, shift: NDArray | None) -> keras.Model:
    """The network as a model from X to y in their own units."""
    if targets.is_standardised:
        model = with_units(model, *targets.units)
    if targets.quantiles:
        model = with_order(model)
    return model if shift is None else with_shift(model, shift)


def trained_model(fitted: Fitted, settings: Settings) -> keras.Model:
    """The trained network as a stock Keras model, compiled; an ensemble's output is the mean of its members'.

    Parameters
    ----------
    fitted : Fitted
    settings : Settings
        For what it is compiled with.
    """
    targets = fitted.targets
    model, *others = [_member_model(fitted, m) for m in range(len(fitted.states))]
    own = model
    if others:
        width = fitted.table.n_features if fitted.spec is None else fitted.spec.n_features
        model = averaged([model, *others], width, fitted.columns)
    model = in_units(model, targets, fitted.shift)
    if compiled := compiled_by_user(own):
        loss, metrics = told_besides(settings, compiled)
        compile_like(model, own, None if loss is None else _stock_loss(settings, fitted, own), metrics)
    else:
        if settings.model is not None:
            settings = with_compiled(settings, None, has_weights=False)
        arguments = settings.routed["optimizer"]
        optimizer = fresh_optimizer(settings.optimizer, arguments, settings.learning_rate, settings.weight_decay)
        two = fitted.spec is not None and fitted.spec.aux_output
        losses = losses_of_outputs(_stock_loss(settings, fitted, own), settings.aux_loss_weight if two else None)
        model.compile(optimizer, **losses)
    ready_to_save(model)
    return model


def _stock_loss(settings: Settings, fitted: Fitted, own: keras.Model) -> Any:
    """The loss to save with the model: one that can be loaded without this package."""
    if fitted.spec:
        loss = loss_of_fit(settings, fitted.targets, fitted.targets.n_outputs, None).keras
    else:
        width = symbolic_output(own, fitted.table.n_features, fitted.columns).shape[1]
        loss = loss_of_fit(settings, fitted.targets, width, own).keras
    return loss.function if isinstance(loss, FunctionLoss) else loss


def _member_model(fitted: Fitted, m: int) -> keras.Model:
    model = model_of(fitted)
    for variable, array in zip(weights_of(model), fitted.weights(m), strict=True):
        variable.assign(array)
    return model


def model_of_table(
    model: keras.Model,
    names: Sequence[str],
    categories: Categories,
    dates: Dates,
    input_columns: Inputs,
    shift: NDArray | None,
) -> keras.Model:
    """A model with an input a column: strings where its categories are strings, float64 for dates, else a float.

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
