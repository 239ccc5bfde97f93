"""The layout of y and of the output that each metric is defined for, and the adapter that makes it."""

import inspect
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from sk_mlp._estimator.messages import counted
from sk_mlp._keras.metric_forms import FORMS, OF_NUMBERS, OF_SEVERAL_NUMBERS, keras_name
from sk_mlp.losses import RowLoss

EPSILON = 1e-7  # the least probability with a finite logarithm in metrics


@dataclass(frozen=True)
class Output:
    """y and the output as they are, before they are brought into a metric's layout.

    Attributes
    ----------
    layout : {"binary", "sparse", "one-hot"} or None
        How the loss has y: columns of 0 and 1, numbers of classes, a column a class; None for a regression.
    width : int
        Columns of the network's output.
    of_logits : bool
        Whether the output is what comes before a sigmoid or softmax.
    of_margins : bool
        Whether it is below 0 for one class, and above for the other.
    """

    layout: str | None
    width: int
    of_logits: bool
    of_margins: bool = False

    @property
    def several_labels(self) -> bool:
        """Whether each column is a label of its own."""
        return self.layout == "binary" and self.width > 1

    @property
    def n_classes(self) -> int:
        """How many classes there are of which one is right."""
        return max(self.width, 2)

    def example(self) -> tuple[NDArray, NDArray]:
        """y and output of three rows."""
        columns = (np.arange(3)[:, None] + np.arange(self.width)) % 3
        output = (1.0 + columns) / (1.0 + columns).sum(axis=1, keepdims=True) if self.width > 1 else (1 + columns) / 5
        output = output.astype(np.float32)
        if self.layout is None:
            return (output + columns + 1).astype(np.float32), output + 1
        classes = np.array([1, 0, 1])
        if self.layout == "sparse":
            return classes[:, None].astype(np.int32), output
        y = classes[:, None] if self.width == 1 else np.eye(self.width)[classes]
        return y.astype(np.float32), output

    # y and the output in other layouts

    def numbers(self, y: Any) -> Any:
        """Numbers of the classes, of shape (n,)."""
        if self.layout == "one-hot":
            return ops.cast(ops.argmax(y, axis=-1), "int32")
        return ops.cast(y[:, 0], "int32")

    def one_hot(self, y: Any) -> Any:
        """A column a class."""
        return ops.cast(y, "float32") if self.layout == "one-hot" else ops.one_hot(self.numbers(y), self.n_classes)

    def columns(self, y: Any) -> Any:
        """A column of 0 and 1 for class 1 of two, for each class or label otherwise."""
        if self.layout == "binary":
            return ops.cast(y, "float32")
        hot = self.one_hot(y)
        return hot[:, 1:] if self.n_classes == 2 else hot

    def probabilities(self, output: Any) -> Any:
        """Probabilities of each class or label, as `predict_proba` returns them."""
        output = ops.cast(output, "float32")
        if self.of_margins:
            output = ops.clip((output + 1.0) / 2.0, 0.0, 1.0)
        if self.several_labels:
            return ops.sigmoid(output) if self.of_logits else output
        if self.width == 1:
            of_one = ops.sigmoid(output) if self.of_logits else output
            of_zero = ops.sigmoid(-output) if self.of_logits else 1.0 - output
            return ops.concatenate([of_zero, of_one], axis=-1)
        if self.of_logits:
            # Divided below: in a binary cross-entropy, Keras would take the logits of this softmax for a sigmoid's.
            output = ops.softmax(output, axis=-1)
        return output / ops.maximum(ops.sum(output, axis=-1, keepdims=True), keras.config.epsilon())

    def column_probabilities(self, output: Any) -> Any:
        """Probabilities that go with `columns`."""
        p = self.probabilities(output)
        return p if self.several_labels or self.n_classes > 2 else p[:, 1:]


class InLayout(keras.metrics.Metric):
    """Wraps a metric, which gets y and the output in the layout that it is defined for.

    Parameters
    ----------
    metric : keras.metrics.Metric
    output : Output
    form : str
        As in `FORMS`, or "output" for y in the shape of the output.
    """

    def __init__(self, metric: keras.metrics.Metric, output: Output, form: str):
        super().__init__(name=metric.name)
        self.metric, self.output, self.form = metric, output, form
        self.takes_logits = takes_logits(metric, output)
        self._direction = getattr(metric, "_direction", None)

    def example(self) -> tuple[NDArray, NDArray]:
        """y and output of some rows, as the network has them."""
        return self.output.example()

    def update_state(self, y_true, y_pred, sample_weight=None):
        y, p = self._laid(y_true, y_pred)
        if sample_weight is None:
            return self.metric.update_state(y, p)
        if self._n_flattened > 1:
            sample_weight = ops.repeat(sample_weight, self._n_flattened)
        if str(self.metric.dtype).startswith("int"):  # a count warns of fractions
            sample_weight = ops.cast(sample_weight, self.metric.dtype)
        return self.metric.update_state(y, p, sample_weight=sample_weight)

    def _laid(self, y, output):
        """y and the output for the metric."""
        one, form = self.output, self.form
        if form == "output":  # as the network has it
            p = one.probabilities(output)
            p = p[:, 1:] if one.width == 1 else p
            y = one.columns(y) if one.layout == "binary" else one.one_hot(y)
            return y, _logits(p, one.several_labels or one.width == 1) if self.takes_logits else p
        if form == "overlap":
            return self._overlapping(y, output)
        if form == "columns" or one.several_labels:
            return self._by_column(one.columns(y), one.column_probabilities(output))
        p = one.probabilities(output)
        if form == "labels":
            return one.numbers(y), ops.cast(ops.argmax(p, axis=-1), "int32")
        if form == "decided" and one.n_classes == 2 and self.metric.threshold is not None:
            return one.one_hot(y), ops.one_hot(ops.cast(p[:, 1] > self.metric.threshold, "int32"), 2)
        return one.numbers(y) if form == "numbers" else one.one_hot(y), _logits(p, False) if self.takes_logits else p

    def _by_column(self, y, p):
        """One or several columns of 0 and 1, with probabilities or predictions."""
        if self.form == "labels" or (self.form == "decided" and self.metric.threshold is None):
            return y, ops.cast(p > 0.5, "float32")
        if y.shape[1] == 1 and self._picks_columns():
            y, p = ops.concatenate([1.0 - y, y], axis=-1), ops.concatenate([1.0 - p, p], axis=-1)
        return y, _logits(p, True) if self.takes_logits else p

    @property
    def _n_flattened(self) -> int:
        """How many numbers of a row become rows of their own."""
        by_column = self.output.several_labels or (
            isinstance(self.metric, keras.metrics.BinaryIoU) and self.output.n_classes > 2
        )
        return self.output.width if self.form == "overlap" and by_column else 1

    def _picks_columns(self) -> bool:
        """Whether the metric picks columns by number."""
        return any(getattr(self.metric, name, None) is not None for name in ("class_id", "top_k"))

    def _overlapping(self, y, output):
        one, metric = self.output, self.metric
        if isinstance(metric, keras.metrics.BinaryIoU):
            p = one.column_probabilities(output)
            p = _logits(p, True) if self.takes_logits else p
            return ops.reshape(one.columns(y), (-1,)), ops.reshape(p, (-1,))
        if one.several_labels:
            p = ops.cast(one.column_probabilities(output) > 0.5, "int32")
            return ops.reshape(ops.cast(y, "int32"), (-1,)), ops.reshape(p, (-1,))
        p = one.probabilities(output)
        if metric.sparse_y_pred:
            p = ops.cast(ops.argmax(p, axis=-1), "int32")
        return one.numbers(y) if metric.sparse_y_true else one.one_hot(y), p

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()


def _logits(p: Any, by_column: bool) -> Any:
    """Logits whose sigmoid in each column, or softmax in each row, gives these probabilities."""
    p = ops.clip(p, EPSILON, 1 - EPSILON)
    return ops.log(p) - ops.log1p(-p) if by_column else ops.log(p)


def takes_logits(metric: Any, output: Output) -> bool:
    """Whether a metric is set to take logits, from before a sigmoid or softmax.

    A threshold of 0, or one that no probability reaches, is taken for one of logits where the network returns them.
    """
    inner = getattr(metric, "_fn", None)
    arguments = {**getattr(metric, "_fn_kwargs", {}), **getattr(inner, "keywords", {}), **vars(metric)}
    if isinstance(inner, RowLoss):
        arguments |= getattr(inner.loss, "_fn_kwargs", {})
    if arguments.get("from_logits") or arguments.get("_from_logits"):
        return True
    thresholds = arguments.get("threshold", arguments.get("init_thresholds"))
    thresholds = thresholds if isinstance(thresholds, (list, tuple)) else [thresholds]
    decides = not isinstance(metric, keras.metrics.FBetaScore)  # by 0 < threshold <= 1
    return output.of_logits and decides and any(isinstance(t, (int, float)) and not 0 < t < 1 for t in thresholds)


def laid_out(metric: keras.metrics.Metric, output: Output) -> keras.metrics.Metric:
    """The metric, wrapped so that it gets y and the output in its layout.

    Raises
    ------
    ValueError
        If it is not defined for such a y.
    """
    name = keras_name(metric)
    why = _why_not(metric, name, output)
    if why:
        raise ValueError(f"The 'metrics' parameter must hold metrics that suit this y. Got {metric.name!r}, {why}.")
    if output.layout is None:
        return metric
    return InLayout(metric, output, FORMS.get(name or "", "output"))


def _why_not(metric: keras.metrics.Metric, name: str | None, output: Output) -> str:
    """Why a metric means nothing for this y; empty if it does."""
    if not takes_y_and_output(metric):
        return "which takes the mean of one array, not y and the output"
    if isinstance(metric, keras.metrics.R2Score) and metric.num_regressors:
        return "whose num_regressors needs a number of rows that no training step knows"
    if name is None:
        return ""
    if output.layout is None:
        if name not in OF_NUMBERS:
            return "which is for classes, not for numbers"
        lonely = name in OF_SEVERAL_NUMBERS and output.width == 1 and getattr(metric, "axis", -1) != 0
        return "which compares the columns of a row, for a y of one column" if lonely else ""
    if FORMS[name] == "none":
        return "which divides by y, for classes that are 0 and 1"
    if output.several_labels and (FORMS[name] in ("one-hot", "numbers") or name.startswith("one_hot")):
        return "which compares classes of which one is right, for a label indicator matrix"
    classes = 2 if output.several_labels else output.n_classes
    if FORMS[name] == "overlap" and name != "binary_io_u":
        if output.several_labels and not (metric.sparse_y_true and metric.sparse_y_pred):
            return "which compares classes of which one is right, for a label indicator matrix"
        if metric.num_classes < classes:
            return f"which is of num_classes={metric.num_classes}, for {counted(classes, 'class', 'classes')}"
    return ""


def takes_y_and_output(metric: keras.metrics.Metric) -> bool:
    """Whether a metric's update takes y and an output."""
    parameters = list(inspect.signature(metric.update_state).parameters.values())
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return takes_any or (len(parameters) > 1 and parameters[1].name != "sample_weight")
