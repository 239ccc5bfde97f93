"""The loss of a fit, resolved once, and what one has to know of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import warn
from sk_mlp._keras.inner import to_snake_case
from sk_mlp._keras.loss import (
    HINGES,
    check_loss_of_classes,
    check_loss_of_numbers,
    is_of_differences,
    is_of_logits,
    resolve_loss,
)
from sk_mlp._network.build import ends_in_numbers, ends_in_probabilities
from sk_mlp._network.user_model import has_linear_output
from sk_mlp._targets.base import Targets
from sk_mlp.losses import keras_name, label_smoothing, loss_of_frequencies

if TYPE_CHECKING:
    from sk_mlp._estimator.settings import Settings


@dataclass(frozen=True, eq=False)
class FitLoss:
    """A Keras loss, for `sk_mlp._targets.base.LossFacts`, which says what its methods are.

    Attributes
    ----------
    keras : keras.losses.Loss
    parameter : object
        What the ``loss`` parameter holds.
    smoothing : float
        Share of label smoothing.
    sample : keras.Model or None
        The user's model, whose output it gets; None for the built-in network.
    """

    keras: keras.losses.Loss
    parameter: Any
    smoothing: float = 0.0
    sample: keras.Model | None = None

    @cached_property
    def name(self) -> str:
        """Name of the Keras function or class that it is, or derives from; "" for a user's own."""
        return keras_name(self.keras)

    @property
    def given(self) -> Any:
        """What to call it in messages."""
        return self.keras.name if self.parameter is None else self.parameter

    @property
    def is_built_in(self) -> bool:
        """Whether the network is the built-in one."""
        return self.sample is None

    @property
    def is_sparse(self) -> bool:
        """Whether it takes the numbers of classes."""
        return "sparse" in to_snake_case(type(self.keras).__name__) + "_" + str(self.keras.name)

    @property
    def is_plain_square(self) -> bool:
        """Whether it is Keras' mean squared error itself, no subclass."""
        return type(self.keras) is keras.losses.MeanSquaredError

    @property
    def of_logits(self) -> bool:
        """Whether the network's output is what comes before a sigmoid or softmax."""
        return is_of_logits(self.keras)

    @property
    def of_margins(self) -> bool:
        """Whether the output is a margin, as hinge losses take it: below 0 for one class, above for the other."""
        return self.name in HINGES and self.sample is not None and not ends_in_probabilities(self.sample)

    def check_of_classes(self, kind: str, width: int) -> None:
        """Raise if no classifier can be trained with it."""
        check_loss_of_classes(self.keras, self.given, kind, width, self.smoothing)

    def check_of_probabilities(self) -> None:
        """Raise if it takes logits, but the user's model returns probabilities; warn if it is the other way round."""
        if self.sample is None:
            return
        if not self.of_logits and self.name.endswith("crossentropy") and ends_in_numbers(self.sample):
            warn(
                f"The loss {self.keras.name!r} takes probabilities, but the 'model' ends in a Dense layer without an "
                "activation: what it returns below 0 and above 1 is cut off. End it in a sigmoid or softmax, or take a "
                "loss with from_logits=True."
            )
        if self.of_logits and ends_in_probabilities(self.sample):
            raise ValueError(
                "The 'loss' parameter must be a loss of probabilities for a 'model' that ends in a sigmoid or softmax. "
                f"Got {self.keras.name!r} with from_logits=True."
            )

    def check_of_numbers(self, width: int, is_linear: bool) -> None:
        """Raise if no regressor can be trained with it."""
        check_loss_of_numbers(self.keras, self.given, width, is_linear)

    def lets_any_number_through(self) -> bool:
        """Whether the output of the user's model can be any number."""
        return self.sample is not None and has_linear_output(self.sample)

    def is_of_differences(self, width: int) -> bool:
        """Whether it depends on differences of y alone, not on where y's zero is."""
        return is_of_differences(self.keras, width)

    def of(self, y: NDArray, output: NDArray) -> NDArray:
        """Its value for each row."""
        return np.asarray(self.keras.call(y, output))

    def of_frequencies(self, labels: NDArray, weights: NDArray) -> float | None:
        """Its value where the prediction for all rows is the classes' frequencies; None if that is not known."""
        return loss_of_frequencies(self.keras, labels, weights)

    def smoothed(self, layout: str | None, width: int) -> dict[str, float]:
        """Label smoothing, as numbers of a program."""
        return label_smoothing(self.keras, self.smoothing, layout, width)


def loss_of_fit(settings: "Settings", targets: Targets, width: int, sample: keras.Model | None) -> FitLoss:
    """The loss that the settings ask for, or the default one of such targets and such a model's output.

    Parameters
    ----------
    settings : Settings
    targets : Targets
    width : int
        Columns of the network's output.
    sample : keras.Model or None
        The user's model.

    Raises
    ------
    ValueError
        If there is no such loss.
    """
    arguments, defaults = settings.routed["loss"], targets.default_loss(width, settings.label_smoothing)
    is_ours = settings.loss is None or settings.loss == "focal"
    if is_ours and defaults[0].endswith("crossentropy") and sample is not None and ends_in_numbers(sample):
        arguments = {"from_logits": True, **arguments}
    loss = resolve_loss(settings.loss, arguments, *defaults)
    return FitLoss(loss, settings.loss, settings.label_smoothing, sample)
