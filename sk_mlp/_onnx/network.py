"""The built-in network as nodes of a graph, all members at once: what `sk_mlp._network.forward` computes.

Values are (n_members, n_rows, n_features) from where members first differ.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sk_mlp._network.activations import SELU_ALPHA, SELU_SCALE
from sk_mlp._network.forward import NORM_EPSILON
from sk_mlp._network.names import (
    ACTIVATION,
    BATCH_NORM,
    COLUMNS,
    HIDDEN,
    OUTPUT,
    WIDE_COLUMNS,
    at_depth,
    variable,
    variables_of,
)
from sk_mlp._network.spec import NetworkSpec
from sk_mlp._onnx.graph import Value, joined, last_at_most, padded
from sk_mlp._tables.plan import CLIP, PIECEWISE_DIM, SCALE_FACTOR, SMALLEST_BIN, ColumnPlan

Weights = dict[str, NDArray]  # by layer and variable, float64, of shape (n_members, ...)


def _elu(z: Value) -> Value:
    return z.exceeds(0.0).where(z, z.minimum(0.0).exp() - 1.0)


def _mish(z: Value) -> Value:
    e = z.minimum(20.0).exp()
    n = e * (e + 2.0)
    return z * (n / (n + 2.0))


def _gelu(z: Value) -> Value:
    scaled = (z * 0.5**0.5).cast(np.float32)  # the only function that onnxruntime has in float32 alone
    return 0.5 * z * (z.graph.node("Erf", scaled).cast(np.float64) + 1.0)


def _sigmoid(z: Value) -> Value:
    return z.graph.node("Sigmoid", z)


ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "linear": lambda z: z,
    "exponential": lambda z: z.exp(),
    "relu": lambda z: z.maximum(0.0),
    "leaky_relu": lambda z: z.maximum(z * 0.2),
    "elu": _elu,
    "selu": lambda z: z.exceeds(0.0).where(z * SELU_SCALE, (z.minimum(0.0).exp() - 1.0) * (SELU_SCALE * SELU_ALPHA)),
    "gelu": _gelu,
    "silu": lambda z: z / ((z * -1.0).exp() + 1.0),  # of a product, onnxruntime 1.20 makes a node that it cannot run
    "mish": _mish,
    "tanh": lambda z: z.graph.node("Tanh", z),
    "sigmoid": _sigmoid,
    "softmax": lambda z: z.graph.node("Softmax", z, axis=-1),
}


def network_output(spec: NetworkSpec, weights: Weights, X: Value) -> Value:
    """Mean of the members' outputs, (n_rows, n_outputs).

    Parameters
    ----------
    spec : NetworkSpec
    weights : dict of str to ndarray
    X : Value of shape (n_rows, n_features)
    """
    depth = len(spec.hidden_layer_sizes)
    h = _path(X, spec.deep_columns if depth else None, spec.deep_plan, variables_of(COLUMNS, weights))
    for i in range(1, depth + 1):
        h = h @ weights[variable(at_depth(HIDDEN, i), "kernel")]
        if not spec.batch_norm:
            h = h + weights[variable(at_depth(HIDDEN, i), "bias")][:, None]
        else:
            norm = variables_of(at_depth(BATCH_NORM, i), weights)
            factor = norm["gamma"] / np.sqrt(norm["moving_variance"] + NORM_EPSILON)
            h = h * factor[:, None] + (norm["beta"] - norm["moving_mean"] * factor)[:, None]
        active = ACTIVATIONS[spec.activation](h)
        if spec.parametric_activation:
            active = h + (active - h) * weights[variable(at_depth(ACTIVATION, i), "share")][:, None]
        h = active
    kernel, bias = weights[variable(OUTPUT, "kernel")], weights[variable(OUTPUT, "bias")][:, None]
    if spec.skip_connection and depth:
        n_wide = kernel.shape[1] - spec.hidden_layer_sizes[-1]
        wide = _path(X, spec.wide_columns, spec.wide_plan, variables_of(WIDE_COLUMNS, weights))
        z = wide @ kernel[:, :n_wide] + h @ kernel[:, n_wide:] + bias
    else:
        z = h @ kernel + bias
    z = z.cast(np.float32).cast(np.float64)  # as in numpy
    return X.graph.node("ReduceMean", ACTIVATIONS[spec.output_activation](z), axes=[0], keepdims=0)


def _path(X: Value, columns: tuple[int, ...] | None, plan: ColumnPlan | None, weights: Weights) -> Value:
    if plan is not None:
        return encoded(plan, weights, X)
    return X if columns is None else X.take(np.array(columns), axis=1)


def encoded(plan: ColumnPlan, weights: Weights, X: Value) -> Value:
    """Rows as the first hidden layer gets them, of shape (n_members, n_rows, plan.width).

    Parameters
    ----------
    plan : ColumnPlan
    weights : dict of str to ndarray
        The layer's variables.
    X : Value of shape (n_rows, n_features)
    """
    parts = []
    n_members = len(next(iter(weights.values())))
    if plan.numeric:
        numbers = X.take(np.array(plan.numeric), axis=1)
        missing = numbers.is_nan()
        z = missing.where(weights["fill"][:, None], numbers)
        z = (z - weights["center"][:, None]) * weights["scale"][:, None]
        if plan.clip:
            share = z / CLIP
            z = z / X.graph.node("Sqrt", share * share + 1.0)
        parts.append(z)
        if plan.embedding:
            mixed = _mixed_bins(weights, z) if plan.embedding == "ple" else _mixed_waves(plan, weights, z)
            mixed = mixed + weights["mixing_bias"][:, None]
            mixed = mixed.maximum(0.0) if plan.embedding != "pbld" else mixed
            parts.append(mixed.reshape(n_members, -1, len(plan.numeric) * plan.embedding_dim))
        if plan.indicators:
            is_missing = missing.take(np.array(plan.indicators), axis=1).cast(np.float64)
            parts.append(is_missing * np.ones((n_members, 1, 1)))
    if plan.slots:
        columns, ones, others = np.array(plan.slots).T
        values = X.take(columns, axis=1)
        signs = values.equals(ones.astype(float)).cast(np.float64) - values.equals(others.astype(float)).cast(
            np.float64
        )
        parts.append(signs * weights["known"][:, None])
    for i, (column, n) in enumerate(plan.embedded):
        codes = X.take(np.array(column), axis=1).maximum(-1.0).minimum(n - 1.0).cast(np.int64) + np.array(1)
        table = weights[f"category_{i}"] * weights[f"category_known_{i}"][..., None]
        parts.append(X.graph.constant(table).take(codes, axis=1))
    h = joined(parts, axis=2)
    return h * (weights["factor"] * SCALE_FACTOR)[:, None] if plan.learned_scale else h


def _mixed_waves(plan: ColumnPlan, weights: Weights, z: Value) -> Value:
    """Cosines and sines of each scaled number, mixed: (n_members, n_rows, n_numeric, embedding_dim)."""
    columns = z.transpose(0, 2, 1).reshape(0, 0, -1, 1)
    angle = columns * (2 * np.pi * weights["frequency"])[:, :, None]
    graph = z.graph
    if plan.embedding == "pbld":
        waves = _cosine(angle + weights["phase"][:, :, None])
    else:
        waves = joined([_cosine(angle), graph.node("Sin", angle)], axis=3)
    return (waves @ weights["mixing"]).transpose(0, 2, 1, 3)


def _cosine(angle: Value) -> Value:
    """By the sine, which onnxruntime 1.20 has in float64."""
    return angle.graph.node("Sin", angle + np.pi / 2)


def _mixed_bins(weights: Weights, z: Value) -> Value:
    """How far each scaled number has come through each bin, mixed: (n_members, n_rows, n_numeric, embedding_dim)."""
    bounds, mixing = weights["boundaries"], weights["mixing"]
    low, widths = bounds[..., :-1], np.diff(bounds)
    is_bin = widths > 0  # bins that only fill up the array come last
    mixing = mixing * is_bin[..., None]
    below = np.cumsum(mixing, axis=2) - mixing
    edges = padded(np.where(is_bin | (np.arange(low.shape[-1]) == 0), low, np.inf), 2, np.inf)
    place = last_at_most(z, edges[:, None])

    def found(array: NDArray, *shape: int) -> Value:
        return z.graph.constant(padded(array, 2, 0.0).reshape(edges.size, *shape)).take(place, axis=0)

    share = (z - found(low)) / found(np.maximum(widths, SMALLEST_BIN))
    share = share.maximum(0.0).minimum(1.0).reshape(0, 0, 0, 1)
    return found(below, PIECEWISE_DIM) + share * found(mixing, PIECEWISE_DIM)
