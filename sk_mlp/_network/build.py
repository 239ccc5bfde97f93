"""From a spec to a stock Keras model, and its initial weights from a seed."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import keras
import numpy as np
from keras.initializers import GlorotUniform
from keras.layers import Activation, BatchNormalization, Concatenate, Dense, Dropout, Input
from keras.random import SeedGenerator

from sk_mlp._estimator.messages import unknown_name
from sk_mlp._keras.inner import to_snake_case
from sk_mlp._keras.policy import build_under, exact, under_policy
from sk_mlp._network.activations import ACTIVATIONS
from sk_mlp._network.names import (
    ACTIVATION,
    AUX_OUTPUT,
    BATCH_NORM,
    COLUMNS,
    DROPOUT,
    HIDDEN,
    OUTPUT,
    WIDE_COLUMNS,
    at_depth,
)
from sk_mlp._network.spec import Blueprint, Fitted, NetworkSpec
from sk_mlp._tables.plan import ColumnPlan
from sk_mlp._tables.selection import Inputs, to_inputs
from sk_mlp.layers import ANY_SEED, ColumnEncoding, ColumnShift, ParametricActivation, SortedOutputs

INITIALIZERS = {
    to_snake_case(name): cls
    for name, cls in vars(keras.initializers).items()
    if inspect.isclass(cls) and issubclass(cls, keras.Initializer) and cls is not keras.Initializer
}
# Keras' 0.99 needs some 500 steps until the statistics follow the data: on small data, fits would be over by then.
NORM_MOMENTUM = 0.9


def kernel_initializer(spec: NetworkSpec) -> keras.Initializer:
    """The hidden layers' initializer.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    by_default = ACTIVATIONS[spec.activation].initializer
    cls = INITIALIZERS.get(by_default if spec.kernel_initializer == "auto" else spec.kernel_initializer)
    if cls is None:
        raise unknown_name("kernel_initializer", spec.kernel_initializer, ["auto", *INITIALIZERS])
    return cls(**({"seed": ANY_SEED} if "seed" in inspect.signature(cls).parameters else {}))


def build_network(spec: NetworkSpec, dropout: float = 0.5) -> keras.Model:
    """Build a multilayer perceptron of stock Keras layers; the hidden layers have the spec's policy.

    All others have the thread's policy, which must be `policy.exact`: X may not be rounded to half precision.

    Parameters
    ----------
    spec : NetworkSpec
    dropout : float
        Rate of the dropout layers, where the spec has them.

    Returns
    -------
    keras.Model
        From (batch, n_features) to (batch, n_outputs), float32; a list of two such outputs, the main and the auxiliary
        one, where the spec has both. Sequential unless there are several paths.
    """
    inputs = Input((spec.n_features,), dtype=exact(spec.policy), name="features")
    layers: list[keras.layers.Layer] = []
    for i, width in enumerate(spec.hidden_layer_sizes, start=1):
        initializer = kernel_initializer(spec)
        # Batch normalization subtracts any bias again; Adam would blow up the rounding errors of its zero gradient.
        half = {"dtype": spec.policy}
        layers.append(
            Dense(width, use_bias=not spec.batch_norm, kernel_initializer=initializer, name=at_depth(HIDDEN, i), **half)
        )
        if spec.batch_norm:
            layers.append(BatchNormalization(momentum=NORM_MOMENTUM, name=at_depth(BATCH_NORM, i), **half))
        activation = ParametricActivation if spec.parametric_activation else Activation
        layers.append(activation(spec.activation, name=at_depth(ACTIVATION, i), **half))
        if spec.dropout:
            layers.append(Dropout(dropout, seed=ANY_SEED, name=at_depth(DROPOUT, i), **half))
    output, aux_output = (
        Dense(
            spec.n_outputs,
            activation=spec.output_activation,
            kernel_initializer=GlorotUniform(seed=ANY_SEED),
            name=name,
        )
        for name in (OUTPUT, AUX_OUTPUT)
    )
    if not layers or not (spec.skip_connection or spec.aux_output or spec.deep_columns):
        encoding = [] if spec.deep_plan is None else [ColumnEncoding(asdict(spec.deep_plan), name=COLUMNS)]
        return keras.Sequential([inputs, *encoding, *layers, output], name="mlp")
    hidden = _path(inputs, spec.deep_columns, spec.deep_plan, COLUMNS)
    for layer in layers:
        hidden = layer(hidden)
    joined = hidden
    if spec.skip_connection:
        joined = Concatenate(name="wide_and_deep")(
            [_path(inputs, spec.wide_columns, spec.wide_plan, WIDE_COLUMNS), hidden]
        )
    outputs = [output(joined), aux_output(hidden)] if spec.aux_output else output(joined)
    return keras.Model(inputs, outputs, name="mlp")


def _path(
    inputs: keras.KerasTensor, numbers: tuple[int, ...] | None, plan: ColumnPlan | None, name: str
) -> keras.KerasTensor:
    if plan is not None:
        return ColumnEncoding(asdict(plan), name=name)(inputs)
    return inputs if numbers is None else keras.ops.take(inputs, list(numbers), axis=1)


def blueprint_of_spec(spec: NetworkSpec, dropout: float) -> Blueprint:
    """The blueprint of a built-in network."""
    rates = [dropout] * len(spec.hidden_layer_sizes) * spec.dropout
    make = partial(build_under, exact(spec.policy), partial(build_network, spec, dropout))
    return Blueprint(make, spec, None, spec, spec.n_outputs, rates, None, spec.n_kernel_weights)


def model_of(fitted: Fitted) -> keras.Model:
    """A network of a fitted one's structure, with other weights."""
    if fitted.make_model is not None:
        return fitted.make_model()
    assert fitted.spec is not None
    return blueprint_of_spec(fitted.spec, fitted.dropout).make()


def ends_in_probabilities(model: keras.Model, of_classes: bool = False) -> bool:
    """Whether a model's last layer is a sigmoid or softmax; with ``of_classes`` only a softmax counts."""
    layers = layers_of(model)
    last: Any = layers[-1] if layers else None
    if getattr(model, "outputs", None):
        last = model.outputs[0]._keras_history.operation
        if isinstance(last, keras.Model):
            return ends_in_probabilities(last, of_classes)
    activation = getattr(last, "activation", None)
    if isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax:
        return True
    return activation is keras.activations.sigmoid and not of_classes


def ends_in_numbers(model: keras.Model) -> bool:
    """Whether a model is known to end in a Dense layer without an activation, whose outputs are any numbers."""
    if not getattr(model, "outputs", None):
        return False
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        return ends_in_numbers(last)
    return isinstance(last, keras.layers.Dense) and last.activation is keras.activations.linear


def with_units(model: keras.Model, mean: np.ndarray, scale: np.ndarray) -> keras.Model:
    """Append a layer that puts a regression network's output into y's units; layers and weights are shared."""
    dtype = exact(model.dtype_policy.name)
    return _with_last(model, keras.layers.Rescaling(scale.tolist(), mean.tolist(), dtype=dtype, name="target_units"))


def with_order(model: keras.Model) -> keras.Model:
    """Append a layer that sorts quantiles; layers and weights are shared."""
    return _with_last(model, SortedOutputs(dtype=exact(model.dtype_policy.name), name="sorted_quantiles"))


def _with_last(model: keras.Model, last: keras.layers.Layer) -> keras.Model:
    with under_policy(model.dtype_policy):
        if isinstance(model, keras.Sequential):
            return keras.Sequential([*model.layers, last] if model.inputs is None else _chain(model, last))
        if getattr(model, "inputs", None):
            outputs = [last(output) for output in model.outputs]
            return keras.Model(model._inputs_struct, outputs if len(outputs) > 1 else outputs[0], name=model.name)
        return keras.Sequential([model, last])


def with_shift(model: keras.Model, shift: np.ndarray) -> keras.Model:
    """Prepend a layer that subtracts the columns' shifts, in float64; layers and weights are shared."""
    inputs = Input((len(shift),), dtype="float64", name="features")
    shifting = ColumnShift(shift.tolist(), name="column_shift")
    if isinstance(model, keras.Sequential):
        return keras.Sequential([inputs, shifting, *model.layers], name=model.name)
    return keras.Model(inputs, model(shifting(inputs)), name=model.name)


def averaged(models: list[keras.Model], n_features: int, columns: Inputs) -> keras.Model:
    """A model whose output is the mean output of some models, which are parts of it.

    Parameters
    ----------
    models : list of keras.Model
        Of one structure.
    n_features : int
    columns : None, dict or tuple
        Columns of X for each input.
    """
    for m, model in enumerate(models):
        model.name = f"member_{m}"
    inputs = to_inputs(Input((n_features,), name="features"), columns, lambda _, numbers: Input((len(numbers),)))
    if isinstance(columns, dict):  # Keras warns where the keys are not the inputs' names
        inputs = {name: Input((len(numbers),), name=name) for name, numbers in columns.items()}
    outputs = [keras.tree.flatten(model(inputs)) for model in models]
    with under_policy(exact(models[0].dtype_policy.name)):
        means = [
            keras.layers.Average(name=f"mean_{i}")(list(parts)) for i, parts in enumerate(zip(*outputs, strict=True))
        ]
        return keras.Model(inputs, means if len(means) > 1 else means[0], name="ensemble")


def _chain(model: keras.Sequential, last: keras.layers.Layer) -> list:
    return [Input(batch_shape=model.input_shape, dtype=model.inputs[0].dtype, name="features"), *model.layers, last]


def weights_of(model: keras.Model) -> list[keras.Variable]:
    """All variables, in the order of a state: trainable, then non-trainable ones."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers, nested ones too, in the order of their creation."""
    return [layer for layer in model._flatten_layers(include_self=False)]


def statistics_of(model: keras.Model) -> list[np.ndarray]:
    """What layers of `keras.layers.Normalization` have learned by ``adapt``, which is no part of a configuration."""
    return [np.asarray(variable) for layer in _adapted(model) for variable in layer.weights]


def give_statistics(model: keras.Model, statistics: Sequence[np.ndarray]) -> None:
    """Have a model's layers of normalization go by such statistics, of a model of the same layers."""
    rest = list(statistics)
    for layer in _adapted(model):
        own, rest = rest[: len(layer.weights)], rest[len(layer.weights) :]
        layer.set_weights(own)
        layer.finalize_state()  # else it goes by those that it was built with
    if rest:
        raise ValueError("there are more statistics than layers of normalization")


def _adapted(model: keras.Model) -> list[keras.layers.Normalization]:
    return [layer for layer in layers_of(model) if isinstance(layer, keras.layers.Normalization) and layer.weights]


def random_variables(model: keras.Model) -> Iterator[tuple[keras.Variable, keras.Initializer]]:
    """Variables of a built-in network whose initial value is random, with their initializers.

    A layer keeps the initializer of ``kernel`` in ``kernel_initializer``, and so on.
    """
    for layer in layers_of(model):
        for name, initializer in sorted(vars(layer).items()):
            variable = getattr(layer, name.removesuffix("_initializer"), None)
            if not name.endswith("_initializer") or not isinstance(variable, keras.Variable):
                continue
            config = initializer.get_config() if isinstance(initializer, keras.Initializer) else {}
            if "seed" in config:
                yield variable, initializer


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """State variables of the model's random layers."""
    generators = (value for layer in layers_of(model) for value in vars(layer).values())
    return [generator.state for generator in generators if isinstance(generator, SeedGenerator)]
