"""Losses that Keras lacks, and the losses of a network with several outputs."""

from typing import Any

import keras
from keras import ops


class Quantile(keras.losses.Loss):
    """Pinball loss, least at a quantile of y given X (Koenker and Bassett 1978).

    Parameters
    ----------
    quantile : float in (0, 1), default=0.5

    Raises
    ------
    ValueError
        If the quantile is not in (0, 1).
    """

    def __init__(self, quantile=0.5, name="quantile"):
        super().__init__(name=name)
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must be a float in (0, 1). Got {quantile!r} instead.")
        self.quantile = float(quantile)

    def call(self, y_true, y_pred):
        """Loss of each row, the mean over its columns."""
        error = y_true - y_pred
        return ops.mean(ops.maximum(self.quantile * error, (self.quantile - 1) * error), axis=-1)

    def get_config(self):
        """Arguments of the constructor."""
        return {"quantile": self.quantile, "name": self.name}


def losses_of_outputs(loss: keras.losses.Loss, aux_share: float | None) -> dict[str, Any]:
    """Arguments of ``model.compile``: the loss, or with an auxiliary output the loss of both and their weights."""
    if aux_share is None:
        return {"loss": loss}
    return {"loss": [loss, loss], "loss_weights": [1 - aux_share, aux_share]}
