"""Weights of rows by their classes. Plain numpy."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import counted


def weights_of_classes(class_weight: Any, classes: list, y: NDArray, weights: NDArray) -> NDArray | float:
    """Weight of each row: that of its class, or with several labels the product of its labels' weights.

    Parameters
    ----------
    class_weight : dict, list of dict, "balanced" or None
        A class that is not named has the weight 1.
    classes : list
        Of y; those of each column, [0, 1], if it has several labels a row.
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
    multilabel = y.ndim == 2
    if isinstance(class_weight, list) != multilabel or (multilabel and len(class_weight) != y.shape[1]):
        wanted = f"a list of {counted(y.shape[1], 'dict')}, one a label," if multilabel else "a dict,"
        raise ValueError(f"class_weight must be {wanted} 'balanced' or None for this y. Got {class_weight!r}.")
    product = np.ones(len(y))
    for table, labels in zip(class_weight, y.T, strict=True) if multilabel else [(class_weight, y)]:
        table = _by_label(table, classes)
        unknown = [label for label in table if label not in classes]
        if unknown:
            raise ValueError(f"class_weight must be a dict of weights of the classes {classes}. Got {unknown} too.")
        for label, weight in table.items():
            if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
                raise ValueError(
                    f"class_weight must hold finite weights of at least 0. Got {weight!r} for class {label!r}."
                )
            product[labels == label] *= weight
    return product


def _by_label(table: dict, classes: list) -> dict:
    """Weights by label, also where they are given by the numbers of classes that are words, as Keras has them."""
    by_number = all(isinstance(label, str) for label in classes) and all(isinstance(key, Integral) for key in table)
    if not by_number or not all(0 <= key < len(classes) for key in table):
        return table
    return {classes[key]: weight for key, weight in table.items()}


def _balancing(y: NDArray, weights: NDArray) -> NDArray:
    """Weights that balance the classes, as scikit-learn's "balanced"; 0 for a class without weight."""
    product = np.ones(len(y))
    for labels in y.reshape(len(y), -1).T:
        codes = np.unique(labels, return_inverse=True)[1]
        found = np.bincount(codes[: len(weights)], weights, minlength=codes.max() + 1)
        even = np.divide(weights.sum() / np.count_nonzero(found), found, out=np.zeros(len(found)), where=found > 0)
        product *= even[codes]
    return product
