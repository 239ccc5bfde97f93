"""What classification does in training: labels, their weights and strata, losses, dropout, temperature."""

from abc import ABC
from functools import partial

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax

from sk_mlp._calibration import fit_temperature
from sk_mlp._dropout import FIRST_RATE, by_unexplained_share
from sk_mlp._loss import check_loss_of_classes, is_of_logits, target_layout
from sk_mlp._targets import class_targets, weights_of_classes
from sk_mlp._training import Training
from sk_mlp.engine.predict import network_output
from sk_mlp.losses import label_smoothing, loss_of_frequencies
from sk_mlp.network import ends_in_probabilities


class Classification(Training, ABC):
    """Training of classifiers. Abstract; Training says what the arguments are."""

    _y_checks = {}
    _fixed_dropout = FIRST_RATE

    def _learn_targets(self, y, classes, previous):
        y = y.toarray() if issparse(y) else y
        targets = previous or class_targets(y, classes)
        if previous and classes is not None and not np.array_equal(np.unique(classes), previous.classes):
            raise ValueError(
                f"classes must be those of the first call, {previous.classes.tolist()}. Got {list(classes)}."
            )
        return targets, targets.check(y)

    def _with_units(self, targets, y, rows, weights, blueprint, loss):
        if is_of_logits(loss) and blueprint.sample is not None and ends_in_probabilities(blueprint.sample):
            raise ValueError(
                "The 'loss' parameter must be one of probabilities for a 'model' that ends in a sigmoid or softmax. "
                f"Got {loss.name!r} with from_logits=True."
            )
        return targets

    def _class_weights(self, targets, y, n_counted=None):
        return weights_of_classes(self.class_weight, targets, y, n_counted)

    def _dropout_rule(self, loss, y, weights):
        of_constant = None if self.label_smoothing else loss_of_frequencies(loss, y, weights)
        return None if of_constant is None else partial(by_unexplained_share, of_constant)

    def _temperature(self, members, previous):
        if not (self.ensemble_size > 1 if self.calibrate == "auto" else self.calibrate):
            return 1.0
        if self._fitted.spec is None:
            return 1.0  # a model of the user's own
        if not len(members[0].validation):  # no rows that were not trained on
            return previous.temperature if previous else 1.0
        exclusive = self._fitted.targets.kind == "multiclass"
        members = members[: len(self._fitted.states)]  # hooks of an ensemble see its first member
        outputs = []
        for m, member in enumerate(members):
            held_out = member.rows.X[member.validation]
            outputs.append(network_output(self._fitted.spec, self._fitted.named_weights(m), held_out))
        link = np.asarray
        if self._fitted.loss_of_logits:
            link = partial(softmax, axis=1) if exclusive else expit
        held_out = [(member.validation, member.rows.y, member.rows.weights) for member in members]
        return fit_temperature(outputs, held_out, exclusive, link)

    def _label_hyper(self, loss, layout, targets, width):
        return label_smoothing(loss, float(self.label_smoothing), layout, width)

    def _strata(self, targets, y):
        return None if targets.kind == "multilabel" else targets.codes(y)

    def _output_activation(self, targets):
        return "softmax" if targets.kind == "multiclass" else "sigmoid"

    def _loss_defaults(self, targets, width):
        if targets.kind == "multilabel" or width == 1:
            return "binary_crossentropy", "binary_focal_crossentropy"
        default = "categorical_crossentropy" if self.label_smoothing else "sparse_categorical_crossentropy"
        return default, "categorical_focal_crossentropy"

    def _widths(self, targets):
        return (1, 2) if targets.kind == "binary" else (targets.n_outputs,)

    def _meta(self, targets):
        target_type = {"multilabel": "multilabel-indicator"}.get(targets.kind, targets.kind)
        return {"target_type_": target_type, "classes_": targets.classes, "n_classes_": len(targets.classes)}

    def _encode(self, targets, y, loss, width):
        layout = target_layout(loss, width, targets.kind)
        given = loss.name if self.loss is None else self.loss
        check_loss_of_classes(loss, given, targets.kind, width, self.label_smoothing)
        if layout == "sparse" and self.label_smoothing:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} needs a loss of a column a class, such as "
                f"'categorical_crossentropy'. Got loss={self.loss!r}."
            )
        return targets.encode(y, width, sparse=layout == "sparse"), layout

    def _set_target_attributes(self, targets):
        self.classes_ = targets.classes
        self.n_outputs_ = targets.n_outputs
