"""Output of a network from its weights: plain numpy for our own networks, a traced call for others' models.

A call into TensorFlow costs some 0.5 ms whatever the work; our own networks are a few matrix products. A row's
prediction must not depend on the rows beside it, but in float32 a matrix product's rounding depends on its shape: numpy
works in float64, as scikit-learn does, and the traced call on chunks of one shape.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import erf, expit, softmax

from sk_mlp._features import Matrix, dense, to_inputs
from sk_mlp._spec import NetworkSpec
from sk_mlp.engine.step import take_columns

CHUNK = 4096  # rows, so that a layer's output stays in the processor's cache
TRACED_CHUNK = 256
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017
NORM_EPSILON = 1e-3  # Keras' default of BatchNormalization


def _elu(z: NDArray, alpha: float = 1.0) -> NDArray:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


ACTIVATIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "linear": lambda z: z,
    "exponential": np.exp,
    "relu": lambda z: np.maximum(z, 0, out=z),
    "leaky_relu": lambda z: np.maximum(z, 0.2 * z),
    "elu": _elu,
    "selu": lambda z: SELU_SCALE * _elu(z, SELU_ALPHA),
    "gelu": lambda z: 0.5 * z * (1 + erf(z * 0.5**0.5)),
    "silu": lambda z: z * expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(z, 0)),
    "tanh": np.tanh,
    "sigmoid": expit,
    "softmax": lambda z: softmax(z, axis=1),
}


def network_output(spec: NetworkSpec, weights: list[NDArray], X: NDArray) -> NDArray:
    """Output of one of our own networks.

    Parameters
    ----------
    spec : NetworkSpec
        ``activation`` is a key of `ACTIVATIONS`.
    weights : list of ndarray, float32
        Those of an auxiliary output are passed over.
        In the order of a built network's variables: trainable ones (kernel and bias, or kernel, gamma and beta, a
        layer), then the non-trainable ones (moving mean and variance a normalization; integers, the seeds of dropout,
        are passed over).
    X : ndarray or csr_array of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float64
        Of the main output.
    """
    weights = [array.astype(np.float64) for array in weights if array.dtype.kind == "f"]
    n = X.shape[0]
    return np.concatenate(
        [_chunk_output(spec, weights, X[i : i + CHUNK].astype(np.float64)) for i in range(0, n, CHUNK)]
    )


def _chunk_output(spec: NetworkSpec, weights: list[NDArray], inputs: Matrix) -> NDArray:
    depth = len(spec.hidden_layer_sizes)
    trainable = iter(weights)
    statistics = weights[len(weights) - 2 * depth :] if spec.batch_norm else []
    h = inputs if spec.deep_columns is None or not depth else inputs[:, list(spec.deep_columns)]
    for i in range(depth):
        h = h @ next(trainable)
        if not spec.batch_norm:
            h += next(trainable)
        else:
            gamma, beta = next(trainable), next(trainable)
            mean, variance = statistics[2 * i], statistics[2 * i + 1]
            factor = gamma / np.sqrt(variance + NORM_EPSILON)
            h = h * factor + (beta - mean * factor)
        h = ACTIVATIONS[spec.activation](h)
    kernel, bias = next(trainable), next(trainable)
    if spec.skip_connection and depth:
        wide = inputs if spec.wide_columns is None else inputs[:, list(spec.wide_columns)]
        z = wide @ kernel[: wide.shape[1]] + h @ kernel[wide.shape[1] :] + bias
    else:
        z = h @ kernel + bias
    # A large product's last bits depend on the number of threads that BLAS has; none of them means anything.
    with np.errstate(over="ignore"):
        z = z.astype(np.float32).astype(np.float64)
    return ACTIVATIONS[spec.output_activation](z)


def model_function(model: keras.Model, n_features: int, columns: Any) -> Callable[[Matrix], NDArray]:
    """A traced call of a Keras model in inference, for any number of rows of ``n_features``.

    ``columns`` tells which of them go into which input, as `sk_mlp._features.input_columns` returns them.
    """
    arguments = {"training": False} if model._call_has_training_arg else {}

    @tf.function(autograph=False)
    def traced(chunks):
        def output(x):
            return tf.cast(model(to_inputs(x, columns, take_columns), **arguments), tf.float64)

        return tf.map_fn(output, chunks, parallel_iterations=1, fn_output_signature=tf.float64)

    call = traced.get_concrete_function(tf.TensorSpec((None, TRACED_CHUNK, n_features), tf.float32))

    def predict_part(X: Matrix) -> NDArray:
        n_rows, n_chunks = X.shape[0], -(-X.shape[0] // TRACED_CHUNK)
        chunks = np.zeros((n_chunks, TRACED_CHUNK, n_features), np.float32)
        chunks.reshape(-1, n_features)[:n_rows] = dense(X)
        output = call(tf.constant(chunks)).numpy()
        return output.reshape(-1, output.shape[2])[:n_rows]

    def predict(X: Matrix) -> NDArray:  # in parts, so that sparse or uint8 rows never are dense float32 all at once
        return np.concatenate([predict_part(X[i : i + CHUNK]) for i in range(0, X.shape[0], CHUNK)])

    return predict
