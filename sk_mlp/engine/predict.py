"""Output of a network from its weights: plain numpy for our own networks, a traced call for others' models.

A call into TensorFlow costs some 0.5 ms whatever the work; our own networks are a few matrix products. A row's
prediction must not depend on the rows beside it, but in float32 a matrix product's rounding depends on its shape: numpy
works in float64, as scikit-learn does, and the traced call on chunks of one shape.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import erf, expit, softmax

from sk_mlp._spec import NetworkSpec

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
        In the order of a built network's variables: trainable ones (kernel and bias, or kernel, gamma and beta, a
        layer), then the non-trainable ones (moving mean and variance a normalization; integers, the seeds of dropout,
        are passed over).
    X : ndarray of shape (n_samples, n_features), float32

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float64
    """
    weights = [array.astype(np.float64) for array in weights if array.dtype.kind == "f"]
    return np.concatenate(
        [_chunk_output(spec, weights, X[i : i + CHUNK].astype(np.float64)) for i in range(0, len(X), CHUNK)]
    )


def _chunk_output(spec: NetworkSpec, weights: list[NDArray], h: NDArray) -> NDArray:
    depth = len(spec.hidden_layer_sizes)
    trainable, inputs = iter(weights), h
    statistics = weights[len(weights) - 2 * depth :] if spec.batch_norm else []
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
    if spec.skip_connection and depth:
        h = np.hstack([inputs, h])
    return ACTIVATIONS[spec.output_activation](h @ next(trainable) + next(trainable))


def model_function(model: keras.Model) -> Callable[[NDArray], NDArray]:
    """A traced call of a Keras model in inference, for any number of rows."""
    arguments = {"training": False} if model._call_has_training_arg else {}

    @tf.function(autograph=False)
    def traced(chunks):
        def output(x):
            return tf.cast(model(x, **arguments), tf.float64)

        return tf.map_fn(output, chunks, parallel_iterations=1, fn_output_signature=tf.float64)

    call = traced.get_concrete_function(tf.TensorSpec((None, TRACED_CHUNK, model.input_shape[1]), tf.float32))

    def predict(X: NDArray) -> NDArray:
        n_chunks = -(-len(X) // TRACED_CHUNK)
        chunks = np.zeros((n_chunks, TRACED_CHUNK, X.shape[1]), np.float32)
        chunks.reshape(-1, X.shape[1])[: len(X)] = X
        output = call(tf.constant(chunks)).numpy()
        return output.reshape(-1, output.shape[2])[: len(X)]

    return predict
