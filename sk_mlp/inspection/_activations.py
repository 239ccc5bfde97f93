"""Outputs of a fitted network's neurons."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from sk_mlp._network.build import layers_of, model_of, weights_of
from sk_mlp._network.spec import Fitted
from sk_mlp._tables.selection import Matrix, dense, to_inputs
from sk_mlp.layers import ParametricActivation

WITH_ACTIVATION = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """A hidden layer at work.

    Attributes
    ----------
    name : str
        Of the layer, as Keras has it.
    activation : str
        Keras name of its function.
    outputs : ndarray of shape (n_members, n_rows, n_neurons), float32
    """

    name: str
    activation: str
    outputs: NDArray


def hidden_layers(fitted: Fitted, X: Matrix) -> list[HiddenLayer]:
    """Outputs of all hidden layers with an activation; empty for models that are no graph of layers.

    Parameters
    ----------
    fitted : Fitted
    X : matrix of shape (n_rows, n_features)
        As the network takes it.
    """
    model = model_of(fitted)
    if not getattr(model, "inputs", None):
        return []
    found = [layer for layer in layers_of(model) if _function_of(layer) and layer.name not in ("output", "aux_output")]
    found = [layer for layer in found if layer.output not in model.outputs]
    if not found:
        return []
    given = getattr(model, "_inputs_struct", model.inputs[0])  # a Sequential has one input
    inner = keras.Model(given, [layer.output for layer in found])
    inputs = to_inputs(dense(X), fitted.columns, lambda x, numbers: x[:, list(numbers)])
    outputs = []
    for m in range(len(fitted.states)):
        for variable, array in zip(weights_of(model), fitted.weights(m), strict=True):
            variable.assign(array)
        outputs.append([np.asarray(output, np.float32) for output in keras.tree.flatten(inner(inputs, training=False))])
    of_layers = zip(found, zip(*outputs, strict=True), strict=True)
    return [
        HiddenLayer(layer.name, _function_of(layer), np.stack(of_members).reshape(len(of_members), len(dense(X)), -1))
        for layer, of_members in of_layers
    ]


def _function_of(layer: keras.layers.Layer) -> str:
    """Name of a layer's activation, "" for none."""
    if isinstance(layer, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)):
        return type(layer).__name__.lower()
    known = (*WITH_ACTIVATION, ParametricActivation, keras.layers.Dense)
    name = getattr(getattr(layer, "activation", None), "__name__", "") if isinstance(layer, known) else ""
    return "" if name == "linear" else name
