"""Turns the network's output into labels and probabilities, or into numbers in y's units."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._onnx.graph import Graph, Value, joined
from sk_mlp._onnx.network import ACTIVATIONS
from sk_mlp._targets.labels import DummyTargets, LabelTargets
from sk_mlp._targets.numbers import NumberTargets


def probabilities_of(targets: LabelTargets, output: Value, width: int, from_logits: bool, of_margins: bool) -> Value:
    """Probabilities, (n_rows, n_classes), from an output, (n_rows, width), as the targets' own method computes them."""
    multilabel = targets.kind == "multilabel"
    output = (output + 1.0) / 2.0 if of_margins else output
    if from_logits:
        output = ACTIVATIONS["softmax" if not multilabel and width > 1 else "sigmoid"](output)
    output = output.maximum(0.0)
    output = output.minimum(1.0) if multilabel or width == 1 else output
    if multilabel:
        return output
    if len(targets.classes) == 1:
        return output.take(np.array([0]), axis=1).is_nan().cast(np.float64) * 0.0 + 1.0
    if width == 1:
        return joined([1.0 - output, output], axis=1)
    total = output.sum_of_last()
    return output / total.exceeds(0.0).where(total, 1.0)


def label_values(classes: NDArray) -> NDArray:
    """Classes as ONNX has them: strings, or int64 for whole numbers and truth values.

    Raises
    ------
    ValueError
        For others.
    """
    labels = classes.tolist()
    if all(isinstance(label, str) for label in labels):
        return np.array(labels, dtype=object)
    try:
        numbers = classes.astype(np.int64)
        is_same = numbers.tolist() == labels
    except (TypeError, ValueError, OverflowError):
        is_same = False
    if not is_same:
        raise ValueError(f"Labels must be strings or whole numbers for ONNX. Got the classes {labels[:5]} in fit.")
    return numbers


def labels_of(targets: LabelTargets, probabilities: Value) -> tuple[Value, Any, list[int | None]]:
    """The labels, with their type and shape."""
    graph = probabilities.graph
    if targets.kind == "multilabel":
        return probabilities.exceeds(0.5).cast(np.int64), np.int64, [None, len(targets.classes)]
    best = graph.node("ArgMax", probabilities, axis=1, keepdims=0)
    if isinstance(targets, DummyTargets):
        n = len(targets.classes)
        return graph.constant(np.eye(n, dtype=np.int64)).take(best, axis=0), np.int64, [None, n]
    values = label_values(targets.classes)
    return graph.constant(values).take(best, axis=0), values.dtype, [None]


def add_class_outputs(graph: Graph, targets: LabelTargets, probabilities: Value, names: Sequence[str]) -> None:
    """Make the outputs of a classifier."""
    labels, dtype, shape = labels_of(targets, probabilities)
    graph.output(names[0], labels, dtype, shape)
    graph.output(names[1], probabilities.cast(np.float32), np.float32, [None, len(targets.classes)])


def add_number_output(graph: Graph, targets: NumberTargets, output: Value, name: str) -> None:
    """Make the output of a regressor, in y's units."""
    output = output.in_order(targets.n_outputs) if targets.quantiles else output
    graph.output(name, output * targets.scale + targets.mean, np.float64, [None, targets.n_outputs])
