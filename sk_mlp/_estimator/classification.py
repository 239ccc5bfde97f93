"""What classification does in training: labels, their weights and strata, losses, dropout, temperature."""

from abc import ABC
from functools import partial

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn.preprocessing import LabelEncoder

from sk_mlp._estimator.training import Training
from sk_mlp._keras.loss import OF_CLASSES, check_loss_of_classes, is_of_logits, resolve_loss, target_layout
from sk_mlp._network.build import ends_in_probabilities
from sk_mlp._network.builder_arguments import arguments_of
from sk_mlp._network.compiled import compiled_by_user
from sk_mlp._network.forward import network_output
from sk_mlp._targets.dropout import FIRST_RATE, by_unexplained_share
from sk_mlp._targets.kinds import ClassTargets, are_dummies, class_targets, weights_of_classes
from sk_mlp._targets.temperature import fit_temperature
from sk_mlp.losses import keras_name, label_smoothing, loss_of_frequencies


class Classification(Training, ABC):
    """Training of classifiers. Abstract; Training says what the arguments are."""

    _y_checks = {}
    _fixed_dropout = FIRST_RATE

    def _learn_targets(self, raw, X, y, classes, previous):
        y = y.toarray() if issparse(y) else y
        targets = previous or class_targets(y, classes)
        if not previous and targets.kind == "multilabel" and are_dummies(y) and self._compares_classes(raw, X, targets):
            targets = ClassTargets("multiclass", targets.classes, as_dummies=True)
        if previous and classes is not None and not np.array_equal(np.unique(classes), previous.classes):
            raise ValueError(
                f"classes must be those of the first call, {previous.classes.tolist()}. Got {list(classes)}."
            )
        return targets, targets.check(y)

    def _compares_classes(self, raw, X, targets):
        """Whether the loss is one of classes, of which one is right in each row, or the model's output a softmax."""
        defaults, loss = self._loss_defaults(targets, targets.n_outputs), self.loss
        if self.model is not None:
            sample = self._blueprint(raw, [X], np.arange(0), targets, 0, None).sample
            if ends_in_probabilities(sample, of_classes=True):
                return True
            if "loss" in arguments_of(self.model):
                loss = None
            if loss is None:
                compiled = compiled_by_user(sample)
                loss = compiled and compiled.loss
        return loss is not None and keras_name(resolve_loss({**self._values(), "loss": loss}, *defaults)) in OF_CLASSES

    def _with_units(self, targets, y, rows, weights, blueprint, loss):
        if is_of_logits(loss) and blueprint.sample is not None and ends_in_probabilities(blueprint.sample):
            raise ValueError(
                "The 'loss' parameter must be a loss of probabilities for a 'model' that ends in a sigmoid or softmax. "
                f"Got {loss.name!r} with from_logits=True."
            )
        return targets

    def _class_weights(self, targets, y, weights):
        return weights_of_classes(self.class_weight, targets, y, weights)

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
        return fit_temperature(outputs, held_out, exclusive, link, [member.n_held_out for member in members])

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
        known = {"target_type_": targets.kind, "classes_": targets.classes, "n_classes_": len(targets.classes)}
        if targets.kind == "multilabel" or targets.as_dummies:
            return known | {"target_type_": "multilabel-indicator"}
        return known | {"target_encoder_": LabelEncoder().fit(targets.classes)}

    def _encode(self, targets, y, loss, width):
        layout = target_layout(loss, width, targets.kind)
        given = loss.name if self.loss is None else self.loss
        check_loss_of_classes(loss, given, targets.kind, width, self.label_smoothing)
        if layout == "sparse" and self.label_smoothing:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} needs a loss with a column for each class, such as "
                f"'categorical_crossentropy'. Got loss={self.loss!r}."
            )
        return targets.encode(y, width, sparse=layout == "sparse"), layout

    def _set_target_attributes(self, targets):
        self.classes_ = targets.classes
        self.n_outputs_ = targets.n_outputs
