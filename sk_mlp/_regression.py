"""What regression does in training: y's units, losses, dropout."""

from abc import ABC

import keras
import numpy as np
from sklearn.utils.validation import column_or_1d

from sk_mlp._builder import has_linear_output
from sk_mlp._dropout import once_stalled
from sk_mlp._resolve import to_snake_case
from sk_mlp._targets import RegressionTargets, regression_targets
from sk_mlp._training import Training

# They mean nothing for a standardised y.
LOSSES_OF_RATIOS = {"mean_squared_logarithmic_error", "msle", "mean_absolute_percentage_error", "mape"}

# Of y's variance. Where less is left unexplained there is next to no noise to learn by heart, so the held-out rows are
# worth more as training rows than for telling when to stop. Fewer rows cannot tell.
NEARLY_EXPLAINED = 0.01
FEWEST_ROWS = 20


class Regression(Training, ABC):
    """Training of regressors. Abstract; Training says what the arguments are."""

    _y_checks = {"y_numeric": True}
    _fixed_dropout = 0.0

    def _learn_targets(self, raw, X, y, classes, previous):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = previous or regression_targets(y, np.ones(len(y)), standardise=False)
        return targets, targets.check(y)

    def _with_units(self, targets, y, rows, weights, blueprint):
        if self._loss_name() == "poisson":
            mean, scale = np.zeros(targets.n_outputs), np.average(y[rows], axis=0, weights=weights)
            if (y < 0).any() or not np.all(scale):
                raise ValueError(
                    "y must be at least 0, and no column of its training rows 0 throughout, for loss='poisson'. "
                    f"Got numbers from {y.min(axis=0)} to {y.max(axis=0)}."
                )
        else:
            linear = self.normalize_y and (self.model is None or has_linear_output(blueprint.sample))
            learned = regression_targets(
                y[rows], weights, standardise=linear and self._loss_name() not in LOSSES_OF_RATIOS
            )
            mean, scale = learned.mean, learned.scale
        return RegressionTargets(mean, scale, targets.one_dimensional)

    def _dropout_rule(self, loss, y, weights):
        return once_stalled if self.normalize_y and self._loss_name() in ("mean_squared_error", "mse") else None

    def _join_below(self, loss, y, weights, parts):
        callbacks = self.callbacks or self._words.callbacks
        is_asked = self.early_stopping == "auto" and self.monitor == "val_loss" and not callbacks
        can_tell = type(loss) is keras.losses.MeanSquaredError and min(map(len, parts)) >= FEWEST_ROWS
        if not is_asked or not can_tell or np.ptp(weights):  # each part's weights have a mean of 1
            return -np.inf
        return NEARLY_EXPLAINED * float(min(np.mean(np.var(y[part], axis=0)) for part in parts))

    def _loss_name(self):
        loss = "mean_squared_error" if self.loss is None else self.loss
        loss = type(loss) if isinstance(loss, keras.losses.Loss) else loss  # which may have any name
        return to_snake_case(str(getattr(loss, "__name__", loss)))

    def _class_weights(self, targets, y, n_counted=None):
        return 1.0

    def _strata(self, targets, y):
        return None

    def _output_activation(self, targets):
        return "exponential" if self._loss_name() == "poisson" else "linear"

    def _loss_defaults(self, targets, width):
        return "mean_squared_error", ""

    def _widths(self, targets):
        return (targets.n_outputs,)

    def _meta(self, targets):
        return {"target_type_": "continuous" if targets.n_outputs == 1 else "continuous-multioutput"}

    def _encode(self, targets, y, loss, width):
        return targets.encode(y), None

    def _set_target_attributes(self, targets):
        self.n_outputs_ = targets.n_outputs
