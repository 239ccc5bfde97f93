"""Labels and targets to the arrays a network is trained on, and back. Plain numpy."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

KINDS = {"binary": "binary", "multiclass": "multiclass", "multilabel-indicator": "multilabel"}


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """What is known of the labels.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        A single class counts as binary.
    classes : ndarray of shape (n_classes,)
        Sorted labels; for multilabel the column numbers.
    as_dummies : bool
        Whether y is a matrix with a column a class, of which one is 1 in each row. The classes are their numbers.
    """

    kind: str
    classes: NDArray
    as_dummies: bool = False

    @property
    def n_outputs(self) -> int:
        """Width of the network's output."""
        return 1 if self.kind == "binary" else len(self.classes)

    def check(self, y: NDArray, name: str = "y") -> NDArray:
        """Return y as an array of the shape this kind has, or say what is wrong with it."""
        from sklearn.utils.validation import column_or_1d  # not to be imported where nothing is trained

        if self.kind == "multilabel":
            if y.ndim != 2 or y.shape[1] != len(self.classes):
                raise ValueError(
                    f"{name} must be a label indicator matrix with {len(self.classes)} columns. Got shape {y.shape}."
                )
            strange = np.setdiff1d(y, [0, 1])
            if len(strange):
                raise ValueError(
                    f"{name} must be a label indicator matrix of 0 and 1. Got {strange[:5].tolist()} as well."
                )
            return y
        if self.as_dummies:
            if y.ndim != 2 or y.shape[1] != len(self.classes) or not are_dummies(y):
                raise ValueError(
                    f"{name} must have {len(self.classes)} columns, as in fit, with one 1 in each row and 0 otherwise. "
                    f"Got shape {y.shape}{' with other rows' if y.ndim == 2 else ''}."
                )
            return np.argmax(y, axis=1)
        y = column_or_1d(y, warn=True)
        unseen = np.setdiff1d(y, self.classes)
        if len(unseen):
            raise ValueError(
                f"{name} must hold only the classes {self.classes.tolist()}. Got {unseen.tolist()} as well."
            )
        return y

    def codes(self, y: NDArray) -> NDArray:
        """Number of each row's class: (n_samples,) int; multilabel rows pass unchanged."""
        return y if self.kind == "multilabel" else np.searchsorted(self.classes, y)

    def encode(self, y: NDArray, width: int, sparse: bool) -> NDArray:
        """Labels to what the loss expects.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        width : int
            Columns of the network's output.
        sparse : bool
            Whether the loss takes class numbers rather than a column a class.

        Returns
        -------
        ndarray of shape (n_samples, 1), int32, for a sparse loss; else of shape (n_samples, width), float32
        """
        codes = self.codes(y)
        if self.kind == "multilabel":
            return codes.astype(np.float32)
        if width == 1:
            return codes[:, None].astype(np.float32)
        if sparse:
            return codes[:, None].astype(np.int32)
        return np.eye(width, dtype=np.float32)[codes]

    def probabilities(self, output: NDArray, from_logits: bool, of_margins: bool = False) -> NDArray:
        """Output of the network, (n_samples, width), to probabilities, (n_samples, n_classes).

        Margins, as hinge losses have them, are taken from -1 to 1. What else is below 0 or above 1 is no probability
        and counts as the nearest one.
        """
        output = output.astype(np.float64, copy=False)
        output = (output + 1) / 2 if of_margins else output
        if from_logits:
            exclusive = self.kind != "multilabel" and output.shape[1] > 1
            output = softmax(output, axis=1) if exclusive else expit(output)
        output = np.clip(output, 0, 1) if self.kind == "multilabel" or output.shape[1] == 1 else np.maximum(output, 0)
        if self.kind == "multilabel":
            return output
        if len(self.classes) == 1:
            return np.ones((len(output), 1))
        if output.shape[1] == 1:
            return np.hstack([1.0 - output, output])
        total = output.sum(axis=1, keepdims=True)  # a softmax in float32 misses 1 by 1e-7
        return np.divide(output, total, out=output, where=total > 0)

    def labels(self, probabilities: NDArray) -> NDArray:
        """Most probable label of each row; for multilabel, 1 where the probability exceeds one half."""
        if self.kind == "multilabel":
            return (probabilities > 0.5).astype(int)
        if self.as_dummies:
            return np.eye(len(self.classes), dtype=int)[np.argmax(probabilities, axis=1)]
        return self.classes[np.argmax(probabilities, axis=1)]


def are_dummies(y: NDArray) -> bool:
    """Whether each row has one 1, and 0 otherwise."""
    return bool(np.isin(y, [0, 1]).all() and (y.sum(axis=1) == 1).all())


def class_targets(y: NDArray, classes: NDArray | None = None) -> ClassTargets:
    """Learn the classes of y, or take those that the caller names.

    Raises
    ------
    ValueError
        If y is continuous, or has several columns that are not a label indicator matrix.
    """
    from sklearn.utils.multiclass import check_classification_targets, type_of_target  # as above
    from sklearn.utils.validation import column_or_1d

    check_classification_targets(y)
    target_type = type_of_target(y, input_name="y")
    if target_type not in KINDS:
        raise ValueError(
            f"Unknown label type: {target_type}. y must be binary, multiclass or a label indicator matrix; "
            "wrap the estimator in sklearn.multioutput.MultiOutputClassifier for several multiclass columns."
        )
    if target_type == "multilabel-indicator":
        return ClassTargets("multilabel", np.arange(y.shape[1]))
    y = column_or_1d(y, warn=True)
    classes = np.unique(y if classes is None else classes)
    targets = ClassTargets("binary" if len(classes) <= 2 else "multiclass", classes)
    targets.check(y)
    return targets


def weights_of_classes(class_weight: Any, targets: ClassTargets, y: NDArray, weights: NDArray) -> NDArray | float:
    """Weight of each row by its class, or, for several labels, the product of those of its labels.

    Parameters
    ----------
    class_weight : dict, list of dict, "balanced" or None
        A class that is not named has the weight 1.
    targets : ClassTargets
    y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Need not have rows of all classes.
    weights : ndarray of shape (at most n_samples,)
        Of the rows, from the first on, of which "balanced" takes the classes' frequencies.

    Returns
    -------
    ndarray of shape (n_samples,), float64, or 1.0

    Raises
    ------
    ValueError
        For weights of another form, of unknown classes, or that are not finite numbers of at least 0.
    """
    if class_weight is None:
        return 1.0
    if isinstance(class_weight, str):
        return _balancing(y, weights)
    multilabel = targets.kind == "multilabel"
    if isinstance(class_weight, list) != multilabel or (multilabel and len(class_weight) != y.shape[1]):
        wanted = f"a list of {y.shape[1]} dicts, one a label," if multilabel else "a dict,"
        raise ValueError(f"class_weight must be {wanted} 'balanced' or None for such y. Got {class_weight!r}.")
    known = [0, 1] if multilabel else targets.classes.tolist()
    product = np.ones(len(y))
    for table, labels in zip(class_weight, y.T, strict=True) if multilabel else [(class_weight, y)]:
        table = _by_label(table, targets)
        unknown = [label for label in table if label not in known]
        if unknown:
            raise ValueError(f"class_weight must be a dict of weights of the classes {known}. Got {unknown} too.")
        for label, weight in table.items():
            if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
                raise ValueError(
                    f"class_weight must hold finite weights of at least 0. Got {weight!r} for class {label!r}."
                )
            product[labels == label] *= weight
    return product


def _by_label(table: dict, targets: ClassTargets) -> dict:
    """Weights by the labels; Keras' ``class_weight`` is by the numbers of classes, which may be words here."""
    labels = targets.classes.tolist()
    by_number = all(isinstance(label, str) for label in labels) and all(isinstance(key, Integral) for key in table)
    if not by_number or not all(0 <= key < len(labels) for key in table):
        return table
    return {labels[key]: weight for key, weight in table.items()}


def _balancing(y: NDArray, weights: NDArray) -> NDArray:
    """Weights that make classes as frequent as each other, as scikit-learn's "balanced"; a class of no weight has 0."""
    product = np.ones(len(y))
    for labels in y.reshape(len(y), -1).T:
        codes = np.unique(labels, return_inverse=True)[1]
        found = np.bincount(codes[: len(weights)], weights, minlength=codes.max() + 1)
        even = np.divide(weights.sum() / np.count_nonzero(found), found, out=np.zeros(len(found)), where=found > 0)
        product *= even[codes]
    return product


@dataclass(frozen=True, eq=False)
class RegressionTargets:
    """Location and scale of the targets.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_outputs,), float64, in y's units
    one_dimensional : bool
        Whether predictions are returned as (n_samples,).
    quantiles : tuple of float
        Of y, that are the network's outputs, where a loss asks for several; else empty.
    """

    mean: NDArray
    scale: NDArray
    one_dimensional: bool
    quantiles: tuple[float, ...] = ()

    @property
    def n_outputs(self) -> int:
        """Width of the network's output."""
        return len(self.quantiles) or len(self.mean)

    @property
    def is_standardised(self) -> bool:
        """Whether the network sees other numbers than y's own."""
        return bool(self.mean.any() or (self.scale != 1).any())

    def check(self, y: NDArray, name: str = "y") -> NDArray:
        """Return y as (n_samples, n_columns), or say what is wrong with its shape."""
        y = y.reshape(len(y), -1)
        if y.shape[1] != len(self.mean):
            raise ValueError(f"{name} must have {len(self.mean)} columns, as in fit. Got {y.shape[1]}.")
        return y

    def encode(self, y: NDArray) -> NDArray:
        """(n_samples, n_columns) in y's units to float32 with mean 0 and variance 1."""
        return ((y - self.mean) / self.scale).astype(np.float32)

    def decode(self, output: NDArray) -> NDArray:
        """Output of the network, (n_samples, n_outputs), to y's units, float64.

        Quantiles are sorted in each row, which makes none of them worse (Chernozhukov, Fernandez-Val and Galichon 2010,
        doi:10.3982/ECTA7880).
        """
        output = np.sort(output, axis=1) if self.quantiles else output
        y = output.astype(np.float64, copy=False) * self.scale + self.mean
        return y[:, 0] if self.one_dimensional else y

    def decode_spread(self, spread: NDArray) -> NDArray:
        """A spread of outputs, (n_samples, n_outputs), to y's units, float64."""
        spread = spread * self.scale
        return spread[:, 0] if self.one_dimensional else spread


def regression_targets(y: NDArray, weights: NDArray, standardise: bool) -> RegressionTargets:
    """Learn the weighted mean and standard deviation of y, (n_samples,) or (n_samples, n_outputs).

    With ``standardise=False`` the network sees y as it is: mean 0, scale 1.
    """
    columns = y.reshape(len(y), -1).astype(np.float64)
    mean, scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
    if standardise:
        mean = np.average(columns, axis=0, weights=weights)
        scale = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weights))
        # A constant column keeps scale 1, also where rounding leaves a deviation of some 1e-16 of the mean.
        scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
    return RegressionTargets(mean, scale, one_dimensional=y.ndim == 1)


Targets = ClassTargets | RegressionTargets


def units_of(targets: Targets) -> tuple[NDArray, NDArray]:
    """Mean and scale of y, as the network sees it."""
    return (targets.mean, targets.scale) if isinstance(targets, RegressionTargets) else (np.zeros(1), np.ones(1))


def has_unit(targets: Targets, hyper: dict[str, float]) -> bool:
    """Whether 1 is a large loss: not where a regression's loss is in the units of y."""
    return not isinstance(targets, RegressionTargets) or (targets.is_standardised and "y_scale/0" not in hyper)
