"""Forward pass of the built-in network, from its weights: plain numpy.

A call into TensorFlow costs some 0.5 ms whatever the work; the built-in network is a few matrix products. A row's
prediction must not depend on the rows beside it, but in float32 a matrix product's rounding depends on its shape: numpy
works in float64, as scikit-learn does.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit, softmax

from sk_mlp._network.spec import NetworkSpec
from sk_mlp._tables.plan import ColumnPlan, encode
from sk_mlp._tables.selection import Matrix

CHUNK = 4096  # rows, so that a layer's output stays in the processor's cache
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017
NORM_EPSILON = 1e-3  # Keras' default of BatchNormalization


def _elu(z: NDArray, alpha: float = 1.0) -> NDArray:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _mish(z: NDArray) -> NDArray:
    """z tanh(log(1 + e^z)), with a single exponential."""
    e = np.exp(np.minimum(z, 20.0))  # beyond, tanh is 1
    n = e * (e + 2)
    return z * (n / (n + 2))


ACTIVATIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "linear": lambda z: z,
    "exponential": np.exp,
    "relu": lambda z: np.maximum(z, 0, out=z),
    "leaky_relu": lambda z: np.maximum(z, 0.2 * z),
    "elu": _elu,
    "selu": lambda z: SELU_SCALE * _elu(z, SELU_ALPHA),
    "gelu": lambda z: 0.5 * z * (1 + erf(z * 0.5**0.5)),
    "silu": lambda z: z * expit(z),
    "mish": _mish,
    "tanh": np.tanh,
    "sigmoid": expit,
    "softmax": lambda z: softmax(z, axis=1),
}


def network_output(spec: NetworkSpec, weights: dict[str, NDArray], X: NDArray) -> NDArray:
    """Output of a built-in network.

    Parameters
    ----------
    spec : NetworkSpec
        ``activation`` is a key of `ACTIVATIONS`.
    weights : dict of str to ndarray, float32
        By layer and variable, such as "hidden_1/kernel".
    X : ndarray or csr_array of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float64
        Of the main output.
    """
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    n = X.shape[0]
    return np.concatenate(
        [_chunk_output(spec, weights, X[i : i + CHUNK].astype(np.float64)) for i in range(0, n, CHUNK)]
    )


def _of_layer(weights: dict[str, NDArray], layer: str) -> dict[str, NDArray]:
    return {name.partition("/")[2]: array for name, array in weights.items() if name.startswith(layer + "/")}


def _path(
    inputs: Matrix, columns: tuple[int, ...] | None, plan: ColumnPlan | None, weights: dict[str, NDArray]
) -> Matrix:
    if plan is not None:
        return encode(plan, weights, inputs)
    return inputs if columns is None else inputs[:, list(columns)]


def _chunk_output(spec: NetworkSpec, weights: dict[str, NDArray], inputs: Matrix) -> NDArray:
    depth = len(spec.hidden_layer_sizes)
    columns = spec.deep_columns if depth else None
    h = _path(inputs, columns, spec.deep_plan, _of_layer(weights, "columns"))
    for i in range(1, depth + 1):
        h = h @ weights[f"hidden_{i}/kernel"]
        if not spec.batch_norm:
            h += weights[f"hidden_{i}/bias"]
        else:
            norm = _of_layer(weights, f"batch_norm_{i}")
            factor = norm["gamma"] / np.sqrt(norm["moving_variance"] + NORM_EPSILON)
            h = h * factor + (norm["beta"] - norm["moving_mean"] * factor)
        if spec.parametric_activation:
            h = h + weights[f"activation_{i}/share"] * (ACTIVATIONS[spec.activation](h.copy()) - h)
        else:
            h = ACTIVATIONS[spec.activation](h)
    kernel, bias = weights["output/kernel"], weights["output/bias"]
    if spec.skip_connection and depth:
        wide = _path(inputs, spec.wide_columns, spec.wide_plan, _of_layer(weights, "wide_columns"))
        z = wide @ kernel[: wide.shape[1]] + h @ kernel[wide.shape[1] :] + bias
    else:
        z = h @ kernel + bias
    # A large product's last bits depend on the number of threads that BLAS has; none of them means anything.
    with np.errstate(over="ignore"):
        z = z.astype(np.float32).astype(np.float64)
    return ACTIVATIONS[spec.output_activation](z)
