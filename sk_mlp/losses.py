"""The quantile loss, which Keras lacks, and facts about losses that training needs."""

import functools
import inspect
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from sk_mlp._keras.inner import to_snake_case

__all__ = ["Quantile"]

# Not the focal ones: the loss of predicting frequencies is no entropy there.
CROSS_ENTROPIES = (
    keras.losses.BinaryCrossentropy,
    keras.losses.CategoricalCrossentropy,
    keras.losses.SparseCategoricalCrossentropy,
)


@keras.saving.register_keras_serializable(package="sk_mlp")
class Quantile(keras.losses.Loss):
    """Pinball loss, least at a quantile of y given X (Koenker and Bassett 1978).

    Parameters
    ----------
    quantile : float in (0, 1) or array-like of float, default=0.5
        Share of y that lies below what is predicted. Several ones, in increasing order, are of one output each: the
        loss is the mean of theirs.
    name : str, default="quantile"
        As of any Keras loss.

    Raises
    ------
    ValueError
        If a quantile is not in (0, 1), and if several do not increase.

    Examples
    --------
    >>> from sk_mlp import KerasMLPRegressor
    >>> from sk_mlp.losses import Quantile
    >>> mlp = KerasMLPRegressor(loss=Quantile(0.9))
    >>> of_three = KerasMLPRegressor(loss="quantile", loss__quantile=[0.05, 0.5, 0.95])
    """

    def __init__(self, quantile: float | ArrayLike = 0.5, name: str = "quantile"):
        super().__init__(name=name)
        given = np.asarray(quantile)
        if given.dtype.kind not in "iuf":
            raise ValueError(f"quantile must be a float, or floats in increasing order. Got {quantile!r} instead.")
        array = given.astype(np.float64)
        if not np.all((array > 0) & (array < 1)):
            raise ValueError(f"quantile must be a float in (0, 1). Got {quantile!r} instead.")
        if array.ndim > 1 or not array.size or not np.all(np.diff(array) > 0 if array.ndim else True):
            raise ValueError(f"quantile must be a float, or floats in increasing order. Got {quantile!r} instead.")
        self.quantile: float | tuple[float, ...] = tuple(array.tolist()) if array.ndim else float(array)

    @property
    def several(self) -> tuple[float, ...]:
        """The quantiles, if several were asked for; else empty."""
        return self.quantile if isinstance(self.quantile, tuple) else ()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the loss of each row, the mean over its columns."""
        if self.several and y_pred.shape[-1] != len(self.several):
            raise ValueError(
                f"The loss of {len(self.several)} quantiles needs as many outputs. Got outputs of shape {y_pred.shape}."
            )
        if self.several:  # of one column; a graph may not know how many axes it has
            y_true = ops.reshape(y_true, (-1, 1))
        elif len(y_true.shape) < len(y_pred.shape):  # flat, as Keras' own losses take it
            y_true = ops.expand_dims(y_true, -1)
        error = y_true - y_pred
        above = ops.cast(self.quantile, error.dtype)
        below = ops.cast(np.asarray(self.quantile) - 1, error.dtype)
        return ops.mean(ops.maximum(above * error, below * error), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"quantile": list(self.several) or self.quantile, "name": self.name}


class RowLoss:
    """A loss's value for each row, without the mean over a batch, which may hold rows that only fill it up.

    Parameters
    ----------
    loss : keras.losses.Loss
    """

    def __init__(self, loss: keras.losses.Loss):
        self.loss = loss

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """A number a row, or several."""
        return self.loss.call(y_true, y_pred)


def function_of(thing: Any) -> Any:
    """The function whose mean a loss or metric takes; a function itself; None where there is none."""
    if isinstance(thing, functools.partial):
        return function_of(thing.func)
    if isinstance(thing, RowLoss):
        return function_of(thing.loss)
    if isinstance(thing, (keras.metrics.MeanMetricWrapper, keras.losses.Loss)):
        inner = next((vars(thing)[name] for name in ("_fn", "fn", "function") if name in vars(thing)), None)
        return None if inner is None else function_of(inner)
    return thing if callable(thing) else None


def keras_name(loss: keras.losses.Loss) -> str:
    """Name of the Keras function or class that a loss is, or derives from: the same for its name, class and object.

    "" for a user's own.
    """
    function = function_of(loss)
    if inspect.isfunction(function) and str(function.__module__).startswith("keras."):
        return function.__name__
    bases = [cls for cls in type(loss).__mro__ if cls.__module__.startswith("keras.")]
    names = [to_snake_case(cls.__name__) for cls in bases if cls is not keras.losses.Loss]
    return names[0] if names and function is None else ""


def losses_of_outputs(loss: keras.losses.Loss, aux_share: float | None) -> dict[str, Any]:
    """Arguments of ``model.compile``: the loss, or with an auxiliary output the loss of both and their weights."""
    if aux_share is None:
        return {"loss": loss}
    return {"loss": [loss, loss], "loss_weights": [1 - aux_share, aux_share]}


def label_smoothing(loss: keras.losses.Loss, share: float, layout: str | None, width: int) -> dict[str, float]:
    """Label smoothing as numbers of a program: the share, and how much of it each column gets."""
    if not share:
        return {}
    if loss.get_config().get("label_smoothing"):
        raise ValueError(
            f"label_smoothing={share} and that of the loss must not both be set. Got a loss with "
            f"label_smoothing={loss.get_config()['label_smoothing']}."
        )
    name = f"{to_snake_case(type(loss).__name__)}_{loss.name}"
    n_shares = 2 if layout == "binary" or "binary" in name else width  # as Keras has it
    return {"label_smoothing": share, "smoothed_label": share / n_shares}


def loss_of_frequencies(loss: keras.losses.Loss, labels: NDArray, weights: NDArray) -> float | None:
    """Cross-entropy where the prediction for all rows is the frequencies of the classes, or labels.

    Parameters
    ----------
    loss : Loss
    labels : ndarray of shape (n_rows, 1), numbers of the classes, or (n_rows, n_columns) of 0 and 1
    weights : ndarray of shape (n_rows,)

    Returns
    -------
    float or None
        None for a loss that is no cross-entropy, or that smooths labels.
    """
    if not isinstance(loss, CROSS_ENTROPIES) or loss.get_config().get("label_smoothing"):
        return None
    if labels.shape[1] == 1:
        return float(entr(np.bincount(labels[:, 0].astype(int), weights) / weights.sum()).sum())
    shares = np.average(labels, axis=0, weights=weights)
    by_label = isinstance(loss, keras.losses.BinaryCrossentropy)
    return float((entr(shares) + entr(1 - shares)).mean() if by_label else entr(shares).sum())
