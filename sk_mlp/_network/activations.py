"""The built-in network's activations, by Keras' names: what they compute in numpy, and what weights fit them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit, softmax

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017


@dataclass(frozen=True)
class Activation:
    """An activation.

    Attributes
    ----------
    function : callable (ndarray) -> ndarray
        Of arrays whose last axis but one is that of the neurons. A hidden layer's does not write into its argument.
    initializer : str
        Keras' name of initial weights that keep the variance of a layer's outputs: He for relu's family, LeCun for
        selu, else Glorot. He et al. 2015 (arXiv 1502.01852), Klambauer et al. 2017 (arXiv 1706.02515), Glorot and
        Bengio 2010.
    is_hidden : bool
        Whether hidden layers may have it.
    """

    function: Callable[[NDArray], NDArray]
    initializer: str = "glorot_uniform"
    is_hidden: bool = True


def _elu(z: NDArray, alpha: float = 1.0) -> NDArray:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _mish(z: NDArray) -> NDArray:
    """z tanh(log(1 + e^z)) = z / (1 + 2 / (e^z (e^z + 2))), which is right for a z of any size."""
    e = np.exp(z)
    n = e + 2
    n *= e
    np.divide(2, n, out=n)
    n += 1
    return np.divide(z, n, out=n)


ACTIVATIONS = {
    "linear": Activation(lambda z: z, is_hidden=False),
    "exponential": Activation(np.exp, is_hidden=False),
    "relu": Activation(lambda z: np.maximum(z, 0), "he_normal"),
    "leaky_relu": Activation(lambda z: np.maximum(z, 0.2 * z), "he_normal"),
    "elu": Activation(_elu, "he_normal"),
    "selu": Activation(lambda z: SELU_SCALE * _elu(z, SELU_ALPHA), "lecun_normal"),
    "gelu": Activation(lambda z: 0.5 * z * (1 + erf(z * 0.5**0.5)), "he_normal"),
    "silu": Activation(lambda z: z * expit(z), "he_normal"),
    "mish": Activation(_mish, "he_normal"),
    "tanh": Activation(np.tanh),
    "sigmoid": Activation(expit),
    "softmax": Activation(lambda z: softmax(z, axis=-2), is_hidden=False),
}
HIDDEN_ACTIVATIONS = {name for name, activation in ACTIVATIONS.items() if activation.is_hidden}
