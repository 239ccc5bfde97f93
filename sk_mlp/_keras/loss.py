"""Fresh Keras losses from names, classes, objects and functions that users pass; and which y a loss is for."""

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import unknown_name
from sk_mlp._keras.inner import to_snake_case
from sk_mlp._keras.routing import classes_without_arguments, made
from sk_mlp.losses import Quantile, keras_name

LOSSES = {
    to_snake_case(name): cls
    for name, cls in classes_without_arguments(keras.losses, keras.losses.Loss).items()
    if name not in ("CTC", "Circle")  # losses of sequences, and of pairs of rows
}
LOSSES["quantile"] = Quantile

# Losses that compare the outputs of all classes, of which one is right.
OF_CLASSES = {
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "cosine_similarity",
    "kl_divergence",
    "sparse_categorical_crossentropy",
}
# Losses that no classifier can be trained with, and why.
NOT_OF_CLASSES = {
    "categorical_generalized_cross_entropy": "which Keras computes between all pairs of rows of a batch",
    "circle": "which compares pairs of rows of a batch",
    "ctc": "which compares sequences",
    "mean_absolute_percentage_error": "which divides by y, and y is 0 or 1",
    "mean_squared_logarithmic_error": "which compares ratios, and y is 0 or 1",
}
# Losses that mean nothing for numbers, unless these are labels or shares.
NOT_OF_NUMBERS = {
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "dice",
    "hinge",
    "kl_divergence",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
}
# Losses of the difference between y and the output alone, wherever y's zero is.
OF_DIFFERENCES = {"huber", "log_cosh", "mean_absolute_error", "mean_squared_error", "quantile"}
HINGES = {"hinge", "squared_hinge"}


class FunctionLoss(keras.losses.Loss):
    """Loss by a function of (y_true, y_pred) that returns a number a row."""

    def __init__(self, function):
        name = getattr(function, "__name__", "")
        super().__init__(name=name if name.isidentifier() else "loss")  # Keras uses it as the name of a scope
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


def resolve_loss(loss: Any, arguments: Mapping[str, Any], default: str, focal: str = "") -> keras.losses.Loss:
    """A fresh Keras loss from the ``loss`` parameter and its arguments.

    Parameters
    ----------
    loss : str, type, callable, keras.losses.Loss or None
    arguments : mapping
        Named ``loss__...`` by the user.
    default : str
        Name of the loss if it is None.
    focal : str
        What "focal" means, if anything.

    Raises
    ------
    ValueError
        For an unknown name or argument.
    """
    loss, routed = default if loss is None else loss, dict(arguments)
    if isinstance(loss, str) and loss.startswith("quantile:"):
        loss, routed = Quantile, {"quantile": _number(loss.removeprefix("quantile:")), **routed}
    if isinstance(loss, str):
        names = [focal if loss == "focal" else "", loss.lower(), to_snake_case(loss)]
        with contextlib.suppress(ValueError):  # aliases such as "mse"
            names.append(keras.losses.get(loss.lower()).__name__)
        known = [name for name in names if name in LOSSES]
        if not known:
            raise unknown_name("loss", loss, [*LOSSES, "mse", "mae", "quantile:0.5", *(["focal"] if focal else [])])
        loss = LOSSES[known[0]]
    if inspect.isclass(loss) and issubclass(loss, keras.losses.Loss):
        return made("loss", loss, routed)
    if routed:
        raise ValueError(f"loss={loss!r} takes no further arguments. Got {routed}; pass a name or a class instead.")
    return loss if isinstance(loss, keras.losses.Loss) else FunctionLoss(loss)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"The 'loss' parameter must be of the form 'quantile:0.9'. Got 'quantile:{text}'.") from None


def is_of_logits(loss: keras.losses.Loss) -> bool:
    """Whether a loss expects numbers before the sigmoid or softmax."""
    inner = getattr(loss, "function", None)  # it may be a partial one
    arguments = {**getattr(inner, "keywords", {}), **getattr(loss, "_fn_kwargs", {}), **vars(loss)}
    return bool(arguments.get("from_logits", getattr(loss, "from_logits", False)))


def check_loss_of_classes(loss: keras.losses.Loss, given: Any, kind: str, width: int, smoothing: float) -> None:
    """Raise for a loss that no classifier of this kind of y can be trained with, in whatever form it was given.

    Parameters
    ----------
    loss : keras.losses.Loss
    given : any
        The ``loss`` parameter.
    kind : {"binary", "multiclass", "multilabel"}
    width : int
        Columns of the network's output.
    smoothing : float
        The ``label_smoothing`` parameter.
    """
    name = keras_name(loss)
    if name in NOT_OF_CLASSES:
        raise ValueError(f"The 'loss' parameter must be a loss for classes. Got {given!r}, {NOT_OF_CLASSES[name]}.")
    if name in OF_CLASSES and (kind == "multilabel" or width == 1):
        of_labels = "a loss of each label by itself for a label indicator matrix"
        wanted = of_labels if kind == "multilabel" else "a loss of a single output for binary y"
        raise ValueError(
            f"The 'loss' parameter must be {wanted}, such as 'binary_crossentropy' or 'focal'. Got {given!r}, "
            "which compares outputs of all classes."
        )
    if smoothing and name in HINGES:
        raise ValueError(
            f"label_smoothing={smoothing} needs a loss of probabilities, such as a cross-entropy. Got {given!r}, "
            "which takes labels only."
        )
    if width == 1 and not name and _is_flat(loss):
        raise ValueError(
            f"The 'loss' parameter must be a loss of a single output for binary y, such as 'binary_crossentropy'. Got "
            f"{given!r}, which is the same for all outputs."
        )


def _is_flat(loss: keras.losses.Loss) -> bool:
    """Whether a user's own loss of one column is the same for all outputs of one of the two classes."""
    outputs = np.array([[0.1], [0.5], [0.9]], np.float32)
    for label in (0.0, 1.0):
        try:
            values = np.asarray(loss.call(np.full_like(outputs, label), outputs))
        except Exception:  # a user's code may raise anything
            return False
        if values.shape[:1] == (3,) and np.ptp(values.reshape(3, -1).mean(axis=1)) < 1e-5:
            return True
    return False


def mixes_rows(loss: keras.losses.Loss, y: NDArray, output: NDArray) -> bool:
    """Whether the loss of a row depends on the rows beside it: some users' do, such as one by the batch's mean.

    Parameters
    ----------
    loss : keras.losses.Loss
    y, output : ndarray of shape (n_rows, n_columns)
        Of some rows that differ.
    """
    if type(loss) is Quantile or (type(loss).__module__.startswith("keras.") and keras_name(loss)):
        return False
    other = [*range(len(y) - 1), 0]
    try:
        one, two = (np.asarray(loss.call(*pair)) for pair in ((y, output), (y[other], output[other])))
    except Exception:  # a user's code may raise anything: training will tell
        return False
    return bool(one.ndim) and not np.allclose(one[:-1], two[:-1], rtol=1e-4, atol=1e-6, equal_nan=True)


def check_loss_of_numbers(loss: keras.losses.Loss, given: Any, width: int, is_linear: bool) -> None:
    """Raise for a loss that no regressor can be trained with.

    Parameters
    ----------
    loss : keras.losses.Loss
    given : any
        The ``loss`` parameter.
    width : int
        Columns of the network's output.
    is_linear : bool
        Whether the network returns any numbers, not only those between 0 and 1, say.
    """
    name = keras_name(loss)
    if name in ("circle", "ctc") or (name in NOT_OF_NUMBERS and is_linear):
        of = NOT_OF_CLASSES.get(name) or "which is for classes"
        raise ValueError(f"The 'loss' parameter must be a loss for numbers. Got {given!r}, {of}.")
    if name == "cosine_similarity" and width == 1:
        raise ValueError(
            f"The 'loss' parameter must be a loss of single numbers for y of one column. Got {given!r}, which "
            "compares the directions of several."
        )


def is_of_differences(loss: keras.losses.Loss, width: int) -> bool:
    """Whether a loss stays the same where y and the output move together: it does not depend on where y's zero is."""
    if keras_name(loss) in OF_DIFFERENCES or isinstance(loss, Quantile):
        return True
    y = 1.0 + np.arange(3 * width, dtype=np.float32).reshape(3, width) % 4
    output = 1.3 * y + 0.1
    try:
        here, there = (np.asarray(loss.call(y + shift, output + shift)) for shift in (0, 2))
    except Exception:  # a user's code may raise anything
        return True
    return bool(np.allclose(here, there, rtol=1e-3, atol=1e-5))
