"""What regression does in training: y's units, losses, dropout."""

from abc import ABC
from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import column_or_1d

from sk_mlp._estimator.training import Training
from sk_mlp._keras.loss import check_loss_of_numbers, is_of_differences, resolve_loss
from sk_mlp._network.builder_arguments import arguments_of
from sk_mlp._network.spec import CHANGED
from sk_mlp._network.user_model import has_linear_output
from sk_mlp._targets.dropout import once_stalled
from sk_mlp._targets.kinds import regression_targets
from sk_mlp.losses import Quantile, keras_name

RATIOS, LOGARITHMS = "mean_absolute_percentage_error", "mean_squared_logarithmic_error"

POSITIVE = {"poisson", LOGARITHMS}  # of which the built-in network returns positive numbers only

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
        quantiles = self._quantiles()
        if quantiles and len(targets.mean) > 1:
            raise ValueError(
                f"y must have one column for a loss of several quantiles. Got {len(targets.mean)}; wrap the estimator "
                "in sklearn.multioutput.MultiOutputRegressor, or ask for one quantile."
            )
        if previous and quantiles != previous.quantiles:
            raise ValueError(CHANGED)
        if quantiles:
            targets = replace(targets, quantiles=quantiles, one_dimensional=False)
        return targets, targets.check(y)

    def _quantiles(self):
        """The quantiles of y that the network is to put out, if its loss is of several."""
        if self.loss is None or "loss" in arguments_of(self.model):
            return ()
        loss = resolve_loss(self._values(), "mean_squared_error")
        return loss.several if isinstance(loss, Quantile) else ()

    def _with_units(self, targets, y, rows, weights, blueprint, loss):
        name = keras_name(loss)
        is_linear = has_linear_output(blueprint.sample) if self.model is not None else name not in POSITIVE
        check_loss_of_numbers(loss, loss.name if self.loss is None else self.loss, targets.n_outputs, is_linear)
        takes_scale = self.normalize_y and (is_linear or self.model is None)
        if name == "poisson":
            mean, scale = np.zeros(targets.n_outputs), np.average(y[rows], axis=0, weights=weights)
            if (y < 0).any() or not np.all(scale):
                raise ValueError(
                    "y must be at least 0, and no column of its training rows 0 throughout, for loss='poisson'. "
                    f"Got numbers from {y.min(axis=0)} to {y.max(axis=0)}."
                )
        elif takes_scale and (name == RATIOS or (name == LOGARITHMS and self.model is None)):
            mean, scale = np.zeros(targets.n_outputs), _typical(name, y[rows], weights)
        else:
            learned = regression_targets(y[rows], weights, standardise=takes_scale)
            mean, scale = learned.mean, learned.scale
        return replace(targets, mean=mean, scale=scale)

    def _label_hyper(self, loss, layout, targets, width):
        """y's units, where the loss is not the same, times a constant, for y less its mean over its scale."""
        name = keras_name(loss)
        if not targets.is_standardised or name in ("poisson", RATIOS) or is_of_differences(loss, targets.n_outputs):
            return {}
        units = {"y_mean": targets.mean, "y_scale": targets.scale}
        hyper = {f"{kind}/{i}": float(number) for kind, numbers in units.items() for i, number in enumerate(numbers)}
        # Else the gradient vanishes with y's unit: log(1 + y) is y where y is small.
        if name == LOGARITHMS:
            slope = targets.scale / (1 + np.maximum(targets.mean, targets.scale))
            return {**hyper, "gradient_scale": float(1 / np.mean(slope**2))}
        mean, scale = (np.asarray([part], np.float32) for part in (targets.mean, targets.scale))
        of_one_deviation = float(np.mean(loss.call(mean + scale, mean)))
        known = np.isfinite(of_one_deviation) and of_one_deviation > 0
        return {**hyper, "gradient_scale": 1 / of_one_deviation if known else 1.0}

    @property
    def _loss_is_standardised(self) -> bool:
        """Whether the history's losses are those of a standardised y, and not as the loss's own meaning has them."""
        targets = self._fitted.targets
        loss = resolve_loss(self.get_params(deep=False), *self._loss_defaults(targets, targets.n_outputs))
        changes = keras_name(loss) != RATIOS and not self._label_hyper(loss, None, targets, targets.n_outputs)
        return targets.is_standardised and changes

    def _dropout_rule(self, loss, y, weights):
        return once_stalled if self.normalize_y and keras_name(loss) == "mean_squared_error" else None

    def _join_below(self, loss, y, weights, parts):
        callbacks = self.callbacks or self._words.callbacks
        is_asked = self.early_stopping == "auto" and self.monitor == "val_loss" and not callbacks
        can_tell = type(loss) is keras.losses.MeanSquaredError and min(map(len, parts)) >= FEWEST_ROWS
        if not is_asked or not can_tell or np.ptp(weights):  # each part's weights have a mean of 1
            return -np.inf
        return NEARLY_EXPLAINED * float(min(np.mean(np.var(y[part], axis=0)) for part in parts))

    def _class_weights(self, targets, y, weights):
        return 1.0

    def _strata(self, targets, y):
        return None

    def _output_activation(self, targets):
        loss = resolve_loss(self._values(), *self._loss_defaults(targets, targets.n_outputs))
        return "exponential" if keras_name(loss) in POSITIVE else "linear"

    def _loss_defaults(self, targets, width):
        return "mean_squared_error", ""

    def _widths(self, targets):
        return (targets.n_outputs,)

    def _meta(self, targets):
        return {"target_type_": "continuous" if targets.n_outputs == 1 else "continuous-multioutput"}

    def _encode(self, targets, y, loss, width):
        _check_range(keras_name(loss), y)
        return targets.encode(y), None

    def _set_target_attributes(self, targets):
        self.n_outputs_ = targets.n_outputs


def _check_range(name: str, y: NDArray) -> None:
    """Raise for y that the loss of this name is not defined for."""
    if name == RATIOS and not np.all(y):
        raise ValueError(f"y must not be 0 for loss={name!r}, which divides by it. Got {np.sum(y == 0)} zeros.")
    if name == LOGARITHMS and (y < 0).any():
        raise ValueError(f"y must be at least 0 for loss={name!r}. Got numbers from {y.min(axis=0)}.")


def _typical(name: str, y: NDArray, weights: NDArray) -> NDArray:
    """The size of y's columns that goes with a loss of ratios, (n_outputs,): by which they are divided."""
    if name == RATIOS:
        return np.exp(np.average(np.log(np.abs(np.where(y == 0, 1, y))), axis=0, weights=weights))
    size = np.expm1(np.average(np.log1p(np.maximum(y, 0)), axis=0, weights=weights))
    return np.where(size > 0, size, 1.0)
