"""y of labels: two classes, several, or several labels a row. Plain numpy."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from sk_mlp._estimator.messages import counted
from sk_mlp._targets.base import LossAsked, LossFacts, Targets, without_units
from sk_mlp._targets.class_weights import weights_of_classes
from sk_mlp._targets.dropout import FIRST_RATE, DropoutRule, by_unexplained_share

OF_ONE_OUTPUT = "binary_crossentropy", "binary_focal_crossentropy"  # the default loss, and what "focal" means
DUMMIES = "multilabel-indicator"  # a column a class, in scikit-learn's words


@dataclass(frozen=True, eq=False)
class LabelTargets(Targets, ABC):
    """Labels. Abstract.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels; where y has a column for each of them, the columns' numbers.
    is_exclusive : bool
        Whether the built-in network has an output for each class, of which one is right in each row.
    activation : str
        That makes probabilities of the built-in network's outputs.
    """

    classes: NDArray

    is_exclusive: ClassVar[bool]
    activation: ClassVar[str]

    first_dropout = FIRST_RATE
    has_intervals = False
    is_standardised = False

    @property
    def units(self) -> tuple[NDArray, NDArray]:
        """Mean 0 and scale 1: labels have no units."""
        return without_units()

    def with_units(self, y: NDArray, rows: NDArray, weights: NDArray, loss: LossFacts, standardises: bool) -> Targets:
        """These targets themselves: labels have no units."""
        return self

    @abstractmethod
    def layout(self, width: int, loss: LossFacts) -> str:
        """How y is laid out for a loss: "binary" (0/1 columns), "sparse" (class numbers) or "one-hot"."""

    def encoded(self, y: NDArray, width: int, loss: LossFacts) -> tuple[NDArray, str | None]:
        """Labels in the layout that the loss takes.

        Returns
        -------
        y : ndarray of shape (n_samples, 1), int32, for a sparse loss; else of shape (n_samples, width), float32
        layout : {"binary", "sparse", "one-hot"}
        """
        layout = self.layout(width, loss)
        loss.check_of_probabilities()
        loss.check_of_classes(self.kind, width)
        if layout == "sparse" and loss.smoothing:
            raise ValueError(
                f"label_smoothing={loss.smoothing} needs a loss with a column for each class, such as "
                f"'categorical_crossentropy'. Got loss={loss.parameter!r}."
            )
        return self.encode(y, width, layout), layout

    @abstractmethod
    def encode(self, y: NDArray, width: int, layout: str) -> NDArray:
        """Labels, of rows that `check` has returned, in a layout."""

    @abstractmethod
    def probabilities(self, output: NDArray, from_logits: bool, of_margins: bool = False) -> NDArray:
        """Output of the network, (n_samples, width), to probabilities, (n_samples, n_classes).

        Margins, as hinge losses have them, are taken to lie between -1 and 1. Any other output below 0 or above 1
        counts as the nearest probability.
        """

    @abstractmethod
    def labels(self, probabilities: NDArray) -> NDArray:
        """Most probable label of each row; for several labels, 1 where the probability exceeds one half."""

    def link(self, of_logits: bool) -> Callable[[NDArray], NDArray]:
        """The function that turns the network's output, logits or probabilities, into probabilities."""
        if not of_logits:
            return np.asarray
        return partial(softmax, axis=1) if self.is_exclusive else expit

    def hyper(self, loss: LossFacts, layout: str | None, width: int) -> dict[str, float]:
        """Label smoothing."""
        return loss.smoothed(layout, width)

    def loss_is_standardised(self, loss: LossFacts) -> bool:
        """Never: labels have no units."""
        return False

    def loss_has_unit(self, hyper: dict[str, float]) -> bool:
        """Always: 1 is a large loss of labels."""
        return True

    def dropout_rule(self, loss: LossFacts, y: NDArray, weights: NDArray, standardises: bool) -> DropoutRule | None:
        """A rate by the unexplained share of the loss, if the loss of predicting the classes' frequencies is known."""
        of_constant = None if loss.smoothing else loss.of_frequencies(y, weights)
        return None if of_constant is None else partial(by_unexplained_share, of_constant)

    def join_below(self, loss: LossFacts, y: NDArray, weights: NDArray, parts: tuple[NDArray, NDArray]) -> float:
        """-inf: a loss of labels says nothing about noise."""
        return -np.inf

    def output_activation(self, loss: str) -> str:
        """The activation that makes probabilities."""
        return self.activation

    def attributes(self) -> dict[str, Any]:
        """``classes_`` and ``n_outputs_``."""
        return {"classes_": self.classes, "n_outputs_": self.n_outputs}


@dataclass(frozen=True, eq=False)
class OneLabelTargets(LabelTargets, ABC):
    """One label a row. Abstract."""

    def default_loss(self, width: int, smoothing: float) -> tuple[str, str]:
        """A cross-entropy."""
        if width == 1:
            return OF_ONE_OUTPUT
        default = "categorical_crossentropy" if smoothing else "sparse_categorical_crossentropy"
        return default, "categorical_focal_crossentropy"

    def layout(self, width: int, loss: LossFacts) -> str:
        """How y is laid out for a loss: "binary" (0/1 columns), "sparse" (class numbers) or "one-hot"."""
        if width == 1:
            return "binary"
        return "sparse" if loss.is_sparse else "one-hot"

    def class_weights(self, class_weight: Any, y: NDArray, weights: NDArray) -> NDArray | float:
        """Weight of each row by its class; ``weights`` as in `weights_of_classes`."""
        return weights_of_classes(class_weight, self.classes.tolist(), y, weights)


class ColumnEach(ABC):
    """An output for each class or label. Abstract."""

    classes: NDArray

    @property
    def n_outputs(self) -> int:
        """Width of the network's output."""
        return len(self.classes)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths that the output of a user's own model may have."""
        return (self.n_outputs,)


@dataclass(frozen=True, eq=False)
class NamedTargets(OneLabelTargets, ABC):
    """One label a row, by its name. Abstract."""

    def check(self, y: Any, name: str = "y") -> NDArray:
        """Return y as (n_samples,), or say what is wrong with it."""
        return _known_labels(y, self.classes, name)

    def strata(self, y: NDArray) -> NDArray | None:
        """Number of each row's class."""
        return np.searchsorted(self.classes, y)

    def encode(self, y: NDArray, width: int, layout: str) -> NDArray:
        """Labels, of rows that `check` has returned, in a layout."""
        return _columns_of_classes(np.searchsorted(self.classes, y), width, layout)

    def labels(self, probabilities: NDArray) -> NDArray:
        """Most probable label of each row."""
        return self.classes[np.argmax(probabilities, axis=1)]

    def meta(self) -> dict[str, Any]:
        """The classes under scikeras' names, and an encoder of labels."""
        return _meta_of_labels(self.kind, self.classes)


@dataclass(frozen=True, eq=False)
class BinaryTargets(NamedTargets):
    """Two classes, or a single one."""

    kind = "binary"
    is_exclusive = False
    activation = "sigmoid"
    n_outputs = 1
    widths = (1, 2)

    def probabilities(self, output: NDArray, from_logits: bool, of_margins: bool = False) -> NDArray:
        """Probabilities of both classes, where the output has one column, for the second class."""
        if len(self.classes) == 1:
            return np.ones((len(output), 1))
        if output.shape[1] > 1:
            return _exclusive(output, from_logits, of_margins)
        share = _of_each(output, from_logits, of_margins)
        return np.hstack([1.0 - share, share])


@dataclass(frozen=True, eq=False)
class MulticlassTargets(ColumnEach, NamedTargets):
    """More than two classes."""

    kind = "multiclass"
    is_exclusive = True
    activation = "softmax"

    def probabilities(self, output: NDArray, from_logits: bool, of_margins: bool = False) -> NDArray:
        """Probabilities of each class, which sum to 1."""
        return _exclusive(output, from_logits, of_margins)


@dataclass(frozen=True, eq=False)
class DummyTargets(ColumnEach, OneLabelTargets):
    """Classes as dummies: a column for each class, of which one is 1 in each row."""

    kind = "multiclass"
    is_exclusive = True
    activation = "softmax"

    def check(self, y: Any, name: str = "y") -> NDArray:
        """Return the number of each row's class, or say what is wrong with y."""
        if y.ndim != 2 or y.shape[1] != len(self.classes) or not are_dummies(y):
            raise ValueError(
                f"{name} must have {counted(len(self.classes), 'column')}, as in fit, with one 1 in each row and 0 "
                f"otherwise. Got shape {y.shape}{' with other rows' if y.ndim == 2 else ''}."
            )
        return np.argmax(y, axis=1)

    def strata(self, y: NDArray) -> NDArray | None:
        """Number of each row's class: y itself."""
        return y

    def encode(self, y: NDArray, width: int, layout: str) -> NDArray:
        """Labels, of rows that `check` has returned, in a layout."""
        return _columns_of_classes(y, width, layout)

    def probabilities(self, output: NDArray, from_logits: bool, of_margins: bool = False) -> NDArray:
        """Probabilities of each class, which sum to 1."""
        return _exclusive(output, from_logits, of_margins)

    def labels(self, probabilities: NDArray) -> NDArray:
        """In each row, a 1 in the column of the most probable class."""
        return np.eye(len(self.classes), dtype=int)[np.argmax(probabilities, axis=1)]

    def meta(self) -> dict[str, Any]:
        """The classes under scikeras' names."""
        return _meta(DUMMIES, self.classes)


@dataclass(frozen=True, eq=False)
class MultilabelTargets(ColumnEach, LabelTargets):
    """Several labels a row: a column for each, of 0 and 1."""

    kind = "multilabel"
    is_exclusive = False
    activation = "sigmoid"

    def check(self, y: Any, name: str = "y") -> NDArray:
        """Return y, or say what is wrong with it."""
        if y.ndim != 2 or y.shape[1] != len(self.classes):
            raise ValueError(
                f"{name} must be a label indicator matrix with {counted(len(self.classes), 'column')}. "
                f"Got shape {y.shape}."
            )
        strange = np.setdiff1d(y, [0, 1])
        if len(strange):
            raise ValueError(f"{name} must be a label indicator matrix of 0 and 1. Got {strange[:5].tolist()} as well.")
        return y

    def default_loss(self, width: int, smoothing: float) -> tuple[str, str]:
        """A cross-entropy of each label by itself."""
        return OF_ONE_OUTPUT

    def layout(self, width: int, loss: LossFacts) -> str:
        """Columns of 0 and 1."""
        return "binary"

    def encode(self, y: NDArray, width: int, layout: str) -> NDArray:
        """Labels, of rows that `check` has returned, as float32."""
        return y.astype(np.float32)

    def probabilities(self, output: NDArray, from_logits: bool, of_margins: bool = False) -> NDArray:
        """Probabilities of each label."""
        return _of_each(output, from_logits, of_margins)

    def labels(self, probabilities: NDArray) -> NDArray:
        """1 where the probability exceeds one half."""
        return (probabilities > 0.5).astype(int)

    def class_weights(self, class_weight: Any, y: NDArray, weights: NDArray) -> NDArray | float:
        """The product of the weights of a row's labels."""
        return weights_of_classes(class_weight, [0, 1], y, weights)

    def strata(self, y: NDArray) -> NDArray | None:
        """None: there are as many classes as combinations of labels."""
        return None

    def meta(self) -> dict[str, Any]:
        """The classes under scikeras' names."""
        return _meta(DUMMIES, self.classes)


def _known_labels(y: NDArray, classes: NDArray, name: str) -> NDArray:
    from sklearn.utils.validation import column_or_1d  # imported only where something is trained

    y = column_or_1d(y, warn=True)
    unseen = _unseen(y, classes)
    if unseen:
        raise ValueError(f"{name} must hold only the classes {classes.tolist()}. Got {unseen} as well.")
    return y


def _unseen(y: NDArray, classes: NDArray) -> list:
    """Labels that are no classes; the number 1 is not the text "1", though numpy takes it for that in large arrays."""
    kinds = {array.dtype.kind for array in (y, classes)}
    if "O" not in kinds and ("U" not in kinds or len(kinds) == 1):
        return np.setdiff1d(y, classes).tolist()
    known = set(classes.tolist())
    return [label for label in dict.fromkeys(y.tolist()) if label not in known]


def _columns_of_classes(codes: NDArray, width: int, layout: str) -> NDArray:
    """Numbers of classes in the layout of a loss."""
    if width == 1:
        return codes[:, None].astype(np.float32)
    if layout == "sparse":
        return codes[:, None].astype(np.int32)
    return np.eye(width, dtype=np.float32)[codes]


def _exclusive(output: NDArray, from_logits: bool, of_margins: bool) -> NDArray:
    """Outputs of several classes to probabilities that sum to 1."""
    output = output.astype(np.float64, copy=False)
    output = (output + 1) / 2 if of_margins else output
    output = np.maximum(softmax(output, axis=1) if from_logits else output, 0)
    total = output.sum(axis=1, keepdims=True)  # a softmax in float32 misses 1 by 1e-7
    return np.divide(output, total, out=output, where=total > 0)


def _of_each(output: NDArray, from_logits: bool, of_margins: bool) -> NDArray:
    """Outputs to probabilities, each by itself."""
    output = output.astype(np.float64, copy=False)
    output = (output + 1) / 2 if of_margins else output
    return np.clip(expit(output) if from_logits else output, 0, 1)


def _meta_of_labels(target_type: str, classes: NDArray) -> dict[str, Any]:
    from sklearn.preprocessing import LabelEncoder  # imported only where something is trained

    return {**_meta(target_type, classes), "target_encoder_": LabelEncoder().fit(classes)}


def _meta(target_type: str, classes: NDArray) -> dict[str, Any]:
    return {"target_type_": target_type, "classes_": classes, "n_classes_": len(classes)}


def are_dummies(y: NDArray) -> bool:
    """Whether each row has one 1, and 0 otherwise."""
    return bool(np.isin(y, [0, 1]).all() and (y.sum(axis=1) == 1).all())


def learn_labels(y: Any, classes: Any, previous: Any, asked: LossAsked) -> tuple[LabelTargets, NDArray]:
    """What y is, and y as rows of its kind.

    Parameters
    ----------
    y : ndarray
    classes : array-like or None
        All labels that may come.
    previous : LabelTargets or None
        Of the last fit, to go on from.
    asked : LossAsked

    Raises
    ------
    ValueError
        If y is no such y.
    """
    if classes is not None:
        classes = _labels_of(classes)
    targets = previous or label_targets(y, classes)
    may_be_dummies = not previous and isinstance(targets, MultilabelTargets) and are_dummies(y)
    if may_be_dummies and asked.compares_classes(targets):
        targets = DummyTargets(targets.classes)
    if classes is not None and not np.array_equal(classes, targets.classes):
        wanted = "those of the first call" if previous else "the numbers of y's columns"
        raise ValueError(f"classes must be {wanted}, {targets.classes.tolist()}. Got {classes.tolist()}.")
    return targets, targets.check(y)


def _labels_of(classes: Any) -> NDArray:
    from sklearn.utils.multiclass import unique_labels  # imported only where something is trained

    try:
        return unique_labels(classes)
    except (TypeError, ValueError) as error:
        raise ValueError(f"classes must hold all labels that may come. Got {classes!r}: {error}") from error


def label_targets(y: NDArray, classes: NDArray | None = None) -> LabelTargets:
    """Learn the classes of y, or take those that the caller names; y itself is left to their `check`.

    Raises
    ------
    ValueError
        If y is continuous, or has several columns that are not a label indicator matrix.
    """
    from sklearn.utils.multiclass import check_classification_targets, type_of_target  # as above
    from sklearn.utils.validation import column_or_1d

    check_classification_targets(y)
    target_type = type_of_target(y, input_name="y")
    if target_type == "multilabel-indicator":
        return MultilabelTargets(np.arange(y.shape[1]))
    if target_type not in ("binary", "multiclass"):
        raise ValueError(
            f"Unknown label type: {target_type}. y must be binary, multiclass or a label indicator matrix; "
            "wrap the estimator in sklearn.multioutput.MultiOutputClassifier for several multiclass columns."
        )
    classes = np.unique(column_or_1d(y)) if classes is None else np.unique(classes)
    classes = classes.astype(classes.dtype.newbyteorder("="), copy=False)  # pickles know no other order of bytes
    return BinaryTargets(classes) if len(classes) <= 2 else MulticlassTargets(classes)
