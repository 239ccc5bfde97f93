"""Output of a model of the user's own, by a traced call. `sk_mlp._network.forward` has that of the built-in network.

A row's prediction must not depend on the rows beside it, but in float32 a matrix product's rounding depends on its
shape: the call is on chunks of one shape.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sk_mlp._estimator.fork import refuse_after_fork
from sk_mlp._network.build import model_of, weights_of
from sk_mlp._network.spec import Fitted
from sk_mlp._tables.selection import Inputs, Matrix, dense, to_inputs
from sk_mlp.engine.last_used import LastUsed
from sk_mlp.engine.step import take_columns
from sk_mlp.engine.structure import structure_of_user_model

CHUNK = 4096  # rows that are dense float32 at a time
TRACED_CHUNK = 256


class ModelFunction:
    """A traced call of a Keras model in inference, whose weights are arguments: models of one structure share it.

    Parameters
    ----------
    model : keras.Model
    n_features : int
    columns : None, dict or tuple
        Which of them go into which input, as `sk_mlp._tables.selection.input_columns` returns them.
    """

    def __init__(self, model: keras.Model, n_features: int, columns: Inputs):
        self._n_features = n_features
        variables = weights_of(model)
        arguments = {"training": False} if model._call_has_training_arg else {}

        @tf.function(autograph=False)
        def traced(chunks, weights):
            def output(x):
                with keras.StatelessScope(state_mapping=zip(variables, weights, strict=True)):
                    (output,) = keras.tree.flatten(model(to_inputs(x, columns, take_columns), **arguments))
                return tf.cast(output, tf.float64)

            return tf.map_fn(output, chunks, parallel_iterations=1, fn_output_signature=tf.float64)

        specs = [tf.TensorSpec(variable.shape, variable.dtype) for variable in variables]
        self._call = traced.get_concrete_function(tf.TensorSpec((None, TRACED_CHUNK, n_features), tf.float32), specs)

    def __call__(self, weights: list[tf.Tensor], X: Matrix) -> NDArray:
        """Output for any number of rows, chunk by chunk: sparse or uint8 rows are never all dense float32 at once."""
        return np.concatenate([self._part(weights, X[i : i + CHUNK]) for i in range(0, X.shape[0], CHUNK)])

    def _part(self, weights: list[tf.Tensor], X: Matrix) -> NDArray:
        n_rows, n_chunks = X.shape[0], -(-X.shape[0] // TRACED_CHUNK)
        chunks = np.zeros((n_chunks, TRACED_CHUNK, self._n_features), np.float32)
        chunks.reshape(-1, self._n_features)[:n_rows] = dense(X)
        output = self._call(tf.constant(chunks), weights).numpy()
        return output.reshape(-1, output.shape[2])[:n_rows]


MODEL_FUNCTIONS: LastUsed[ModelFunction] = LastUsed(size=32)


def model_function(
    structure: Hashable, make: Callable[[], keras.Model], n_features: int, columns: Inputs
) -> ModelFunction:
    """The function for models of this structure, which holds their columns; ``make`` makes such a model."""
    return MODEL_FUNCTIONS.get((structure, n_features), lambda: ModelFunction(make(), n_features, columns))


def model_outputs(fitted: Fitted, live: dict[str, Any], X: Matrix) -> list[NDArray]:
    """Output of each member of a user's own model.

    Parameters
    ----------
    fitted : Fitted
    live : dict
        Objects made from it, by name: keeps what is made here.
    X : matrix
    """
    refuse_after_fork("Prediction by a 'model' of one's own")
    if "predict" not in live:
        columns = fitted.columns
        structure = live.get("structure") or structure_of_user_model(model_of(fitted), columns)
        function = model_function(structure, partial(model_of, fitted), fitted.table.n_features, columns)
        live["predict"] = function, [[tf.constant(a) for a in fitted.weights(m)] for m in range(len(fitted.states))]
    function, weights = live["predict"]
    return [function(of_member, X) for of_member in weights]
