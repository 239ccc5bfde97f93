"""What follows from y: a final class for each kind of y. Plain numpy; of a loss it knows only its `LossFacts`."""

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sk_mlp._targets.dropout import DropoutRule


class LossAsked(Protocol):
    """What the ``loss`` parameter asks for, while it is not yet known what y is.

    Attributes
    ----------
    quantiles : tuple of float
        Several quantiles of y, an output each; else empty.
    """

    @property
    def quantiles(self) -> tuple[float, ...]: ...

    def compares_classes(self, targets: "Targets") -> bool:
        """Whether the loss compares classes of which one is right in each row, or the user's model ends in a softmax.

        ``targets`` are what y is if not.
        """


class LossFacts(Protocol):
    """What targets ask about the loss of a fit; `sk_mlp._network.fit_loss` answers.

    Attributes
    ----------
    name : str
        Of Keras' function or class that it is, or rests on; "" for a user's own.
    parameter : object
        What the ``loss`` parameter holds.
    smoothing : float
        Share of label smoothing.
    is_built_in : bool
        Whether the network is the built-in one.
    is_sparse : bool
        Whether it takes the numbers of classes.
    is_plain_square : bool
        Whether it is Keras' mean squared error itself, no subclass.
    """

    @property
    def name(self) -> str: ...
    @property
    def parameter(self) -> Any: ...
    @property
    def smoothing(self) -> float: ...
    @property
    def is_built_in(self) -> bool: ...
    @property
    def is_sparse(self) -> bool: ...
    @property
    def is_plain_square(self) -> bool: ...

    def check_of_classes(self, kind: str, width: int) -> None:
        """Raise if no classifier can be trained with it."""

    def check_of_probabilities(self) -> None:
        """Raise if it takes logits, but the user's model returns probabilities."""

    def check_of_numbers(self, width: int, is_linear: bool) -> None:
        """Raise if no regressor can be trained with it."""

    def lets_any_number_through(self) -> bool:
        """Whether the output of the user's model can be any number."""

    def is_of_differences(self, width: int) -> bool:
        """Whether it depends on differences of y alone, not on where y's zero is."""

    def of(self, y: NDArray, output: NDArray) -> NDArray:
        """Its value for each row."""

    def of_frequencies(self, labels: NDArray, weights: NDArray) -> float | None:
        """Its value where the prediction for all rows is the classes' frequencies; None if that is not known."""

    def smoothed(self, layout: str | None, width: int) -> dict[str, float]:
        """Label smoothing, as numbers of a program."""


class Targets(ABC):
    """What is known of y, and all that depends on it in training. Abstract."""

    kind: str
    has_intervals: bool  # whether outputs for held-out rows are kept, for intervals
    quantiles: tuple[float, ...] = ()  # that the network puts out, sorted in each row
    first_dropout: float  # the rate of dropout="auto" where no rule sets it

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Width of the network's output."""

    @property
    @abstractmethod
    def widths(self) -> tuple[int, ...]:
        """Widths that the output of a user's own model may have."""

    @property
    @abstractmethod
    def is_standardised(self) -> bool:
        """Whether the network learns a standardised y."""

    @property
    @abstractmethod
    def units(self) -> tuple[NDArray, NDArray]:
        """Mean and scale by which y is standardised."""

    @abstractmethod
    def check(self, y: Any, name: str = "y") -> NDArray:
        """Return y as an array of this kind's shape, or raise an error that says what is wrong."""

    @abstractmethod
    def with_units(self, y: NDArray, rows: NDArray, weights: NDArray, loss: LossFacts, standardises: bool) -> "Targets":
        """Targets with the mean and scale of the rows of y that train, which have these weights.

        Raises
        ------
        ValueError
            If the loss is not one of such targets.
        """

    @abstractmethod
    def default_loss(self, width: int, smoothing: float) -> tuple[str, str]:
        """Name of the default loss for an output of this width, and of the loss that "focal" means; "" for none."""

    @abstractmethod
    def output_activation(self, loss: str) -> str:
        """Activation of the built-in network's last layer, for the loss of this name, which does not take logits."""

    @abstractmethod
    def encoded(self, y: NDArray, width: int, loss: LossFacts) -> tuple[NDArray, str | None]:
        """y as the loss wants it, and the name of that layout.

        Raises
        ------
        ValueError
            If this loss is not defined for it.
        """

    @abstractmethod
    def hyper(self, loss: LossFacts, layout: str | None, width: int) -> dict[str, float]:
        """Numbers that change what the loss computes, by the names that programs have for them."""

    @abstractmethod
    def loss_is_standardised(self, loss: LossFacts) -> bool:
        """Whether the history's losses are of a standardised y, rather than of y in its own units."""

    @abstractmethod
    def loss_has_unit(self, hyper: dict[str, float]) -> bool:
        """Whether 1 is a large loss, whatever the units of y."""

    @abstractmethod
    def class_weights(self, class_weight: Any, y: NDArray, weights: NDArray) -> NDArray | float:
        """Weight of each row by its class; ``weights`` as in `weights_of_classes`."""

    @abstractmethod
    def strata(self, y: NDArray) -> NDArray | None:
        """Number of each row's class, for a stratified split."""

    @abstractmethod
    def dropout_rule(self, loss: LossFacts, y: NDArray, weights: NDArray, standardises: bool) -> DropoutRule | None:
        """The rule of dropout="auto", if there is one; y, encoded, and weights are of the rows that train."""

    @abstractmethod
    def join_below(self, loss: LossFacts, y: NDArray, weights: NDArray, parts: tuple[NDArray, NDArray]) -> float:
        """The held-out loss below which held-out rows join the training rows; -inf for never.

        ``parts`` are the numbers of the training rows and of the held-out rows; y is encoded.
        """

    @abstractmethod
    def meta(self) -> dict[str, Any]:
        """What the function that builds a user's model is told of y."""

    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """Attributes of a fitted estimator that say what y is."""


def without_units() -> tuple[NDArray, NDArray]:
    """Mean 0 and scale 1, for what is not standardised."""
    return np.zeros(1), np.ones(1)
