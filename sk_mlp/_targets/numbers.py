"""y of numbers. Plain numpy."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import CHANGED, counted
from sk_mlp._network.names import Y_MEAN, Y_SCALE, n_columns_of, of_column
from sk_mlp._targets.base import LossAsked, LossFacts, Targets
from sk_mlp._targets.dropout import DropoutRule, once_stalled

POISSON, RATIOS, LOGARITHMS = "poisson", "mean_absolute_percentage_error", "mean_squared_logarithmic_error"
POSITIVE = {POISSON, LOGARITHMS}  # for these the built-in network returns positive numbers only

# A share of y's variance: where less is unexplained, there is next to no noise to learn by heart, and held-out rows are
# worth more as training rows than for early stopping. And the number of rows that it takes to know that share.
NEARLY_EXPLAINED = 0.01
FEWEST_ROWS = 20


@dataclass(frozen=True, eq=False)
class NumberTargets(Targets):
    """Numbers, of one column or several.

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

    kind = "numbers"
    first_dropout = 0.0
    has_intervals = True

    @property
    def n_outputs(self) -> int:
        """Width of the network's output."""
        return len(self.quantiles) or len(self.mean)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths that the output of a user's own model may have."""
        return (self.n_outputs,)

    @property
    def is_standardised(self) -> bool:
        """Whether the network learns a standardised y."""
        return bool(self.mean.any() or (self.scale != 1).any())

    @property
    def units(self) -> tuple[NDArray, NDArray]:
        """Mean and scale of y."""
        return self.mean, self.scale

    def check(self, y: Any, name: str = "y") -> NDArray:
        """Return y as (n_samples, n_columns), or raise an error that says what is wrong."""
        _refuse_others(y, name)
        y = y.reshape(len(y), -1)
        if y.shape[1] != len(self.mean):
            raise ValueError(f"{name} must have {counted(len(self.mean), 'column')}, as in fit. Got {y.shape[1]}.")
        return y

    def with_units(self, y: NDArray, rows: NDArray, weights: NDArray, loss: LossFacts, standardises: bool) -> Targets:
        """Targets with the mean and scale that suit the loss; mean 0 and scale 1 where y is not standardised.

        Losses of ratios need y's zero: for these y is only divided by its typical size.
        """
        takes_scale = standardises and (_is_linear(loss) or loss.is_built_in)
        if loss.name == POISSON:
            mean, scale = np.zeros(len(self.mean)), np.average(y[rows], axis=0, weights=weights)
            _refuse_negative(y, is_zero=not np.all(scale))
        elif takes_scale and (loss.name == RATIOS or (loss.name == LOGARITHMS and loss.is_built_in)):
            mean, scale = np.zeros(len(self.mean)), _typical(loss.name, y[rows], weights)
        else:
            learned = number_targets(y[rows], weights, standardise=takes_scale)
            mean, scale = learned.mean, learned.scale
        return replace(self, mean=mean, scale=scale)

    def default_loss(self, width: int, smoothing: float) -> tuple[str, str]:
        """The mean squared error; there is no focal one."""
        return "mean_squared_error", ""

    def output_activation(self, loss: str) -> str:
        """An exponential for losses of ratios."""
        return "exponential" if loss in POSITIVE else "linear"

    def encoded(self, y: NDArray, width: int, loss: LossFacts) -> tuple[NDArray, str | None]:
        """y, (n_samples, n_columns), as float32 with mean 0 and variance 1; the layout has no name."""
        loss.check_of_numbers(self.n_outputs, _is_linear(loss))
        if loss.name == RATIOS and not np.all(y):
            zeros = np.sum(y == 0)
            raise ValueError(f"y must not be 0 for loss={loss.name!r}, which divides by it. Got {zeros} zeros.")
        if loss.name == LOGARITHMS and (y < 0).any():
            raise ValueError(f"y must be at least 0 for loss={loss.name!r}. Got numbers from {y.min(axis=0)}.")
        if loss.name == POISSON:
            _refuse_negative(y)
        if loss.name in (POISSON, RATIOS) and self.mean.any():  # another loss has learned y's units
            raise ValueError(CHANGED)
        with np.errstate(over="ignore"):
            encoded = self.encode(y)
        if not np.isfinite(encoded).all():
            units = f", less {self.mean} and divided by {self.scale}" if self.is_standardised else ""
            raise ValueError(
                f"y and y_val must hold numbers that float32 holds{units}. Got numbers from {y.min(axis=0)} to "
                f"{y.max(axis=0)}."
            )
        return encoded, None

    def encode(self, y: NDArray) -> NDArray:
        """y, (n_samples, n_columns), as float32 with mean 0 and variance 1."""
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

    def hyper(self, loss: LossFacts, layout: str | None, width: int) -> dict[str, float]:
        """y's units, for losses that do more than change by a constant factor when y is standardised."""
        if not self.is_standardised or loss.name in (POISSON, RATIOS) or loss.is_of_differences(self.n_outputs):
            return {}
        units = {Y_MEAN: self.mean, Y_SCALE: self.scale}
        hyper = {of_column(name, i): float(part) for name, parts in units.items() for i, part in enumerate(parts)}
        # Else the gradient vanishes with y's unit: log(1 + y) is y where y is small.
        if loss.name == LOGARITHMS:
            slope = self.scale / (1 + np.maximum(self.mean, self.scale))
            return {**hyper, "gradient_scale": float(1 / np.mean(slope**2))}
        mean, scale = (np.asarray([part], np.float32) for part in (self.mean, self.scale))
        of_one_deviation = float(np.mean(loss.of(mean + scale, mean)))
        known = np.isfinite(of_one_deviation) and of_one_deviation > 0
        return {**hyper, "gradient_scale": 1 / of_one_deviation if known else 1.0}

    def loss_is_standardised(self, loss: LossFacts) -> bool:
        """Whether the history's losses are of a standardised y, rather than of y in its own units."""
        return self.is_standardised and loss.name != RATIOS and not self.hyper(loss, None, self.n_outputs)

    def loss_has_unit(self, hyper: dict[str, float]) -> bool:
        """Whether 1 is a large loss: not where the loss is in y's units."""
        return self.is_standardised and not n_columns_of(hyper)

    def class_weights(self, class_weight: Any, y: NDArray, weights: NDArray) -> NDArray | float:
        """None: numbers have no classes."""
        return 1.0

    def strata(self, y: NDArray) -> NDArray | None:
        """None: numbers have no classes."""
        return None

    def dropout_rule(self, loss: LossFacts, y: NDArray, weights: NDArray, standardises: bool) -> DropoutRule | None:
        """No dropout until the member has stalled; a rule only where losses are shares of y's variance."""
        return once_stalled if standardises and loss.name == "mean_squared_error" else None

    def join_below(self, loss: LossFacts, y: NDArray, weights: NDArray, parts: tuple[NDArray, NDArray]) -> float:
        """A share of y's variance, where all rows weigh the same and there are enough of them."""
        can_tell = loss.is_plain_square and min(map(len, parts)) >= FEWEST_ROWS
        if not can_tell or np.ptp(weights):  # each part's weights have a mean of 1
            return -np.inf
        return NEARLY_EXPLAINED * float(min(np.mean(np.var(y[part], axis=0)) for part in parts))

    def meta(self) -> dict[str, Any]:
        """The type of target, in scikit-learn's words."""
        return {"target_type_": "continuous" if self.n_outputs == 1 else "continuous-multioutput"}

    def attributes(self) -> dict[str, Any]:
        """``n_outputs_``."""
        return {"n_outputs_": self.n_outputs}


def learn_numbers(y: NDArray, classes: Any, previous: Any, asked: LossAsked) -> tuple[NumberTargets, NDArray]:
    """Targets by y's shape and the loss, or those of the last fit, and y in their shape.

    `NumberTargets.with_units` learns the rest from the training rows. Numbers have no classes.

    Raises
    ------
    ValueError
        If the loss is not one of such a y, or y holds no numbers.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        from sklearn.utils.validation import column_or_1d  # imported only where something is trained

        y = column_or_1d(y, warn=True)
    _refuse_others(y, "y")
    targets = previous or number_targets(y, np.ones(len(y)), standardise=False)
    quantiles = asked.quantiles
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


def _is_linear(loss: LossFacts) -> bool:
    """Whether the network puts out any number."""
    return loss.name not in POSITIVE if loss.is_built_in else loss.lets_any_number_through()


def _refuse_negative(y: NDArray, is_zero: bool = False) -> None:
    if (y < 0).any() or is_zero:
        raise ValueError(
            "y must be at least 0 for loss='poisson', and not 0 in all training rows of a column. "
            f"Got numbers from {y.min(axis=0)} to {y.max(axis=0)}."
        )


def _refuse_others(y: NDArray, name: str) -> None:
    """Raise an error for a y of strings, dates or durations."""
    if y.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers. Got values of dtype {y.dtype} instead.")


def number_targets(y: NDArray, weights: NDArray, standardise: bool) -> NumberTargets:
    """Learn the weighted mean and standard deviation of y, (n_samples,) or (n_samples, n_outputs).

    With ``standardise=False`` the network sees y as it is: mean 0, scale 1.
    """
    columns = y.reshape(len(y), -1).astype(np.float64, copy=False)
    mean, scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
    if standardise:
        # By a power of 2, which costs no digit, so that squares of numbers of any size are numbers.
        unit = np.ldexp(1.0, np.frexp(np.abs(columns).max(axis=0))[1] - 1)
        columns = columns / unit
        mean = np.average(columns, axis=0, weights=weights)
        scale = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weights)) * unit
        mean = mean * unit
        # A constant column keeps scale 1, even where rounding leaves a deviation of some 1e-16 of the mean; of huge
        # numbers that deviation is more than 1.
        rounding = 10 * np.finfo(np.float64).eps * np.abs(mean)
        scale = np.where(scale <= rounding, np.maximum(rounding, 1.0), scale)
    return NumberTargets(mean, scale, one_dimensional=y.ndim == 1)


def _typical(name: str, y: NDArray, weights: NDArray) -> NDArray:
    """The typical size of each column of y, (n_outputs,), by which losses of ratios have y divided."""
    y = y.astype(np.float64, copy=False)  # int8 has no 128
    if name == RATIOS:
        return np.exp(np.average(np.log(np.abs(np.where(y == 0, 1, y))), axis=0, weights=weights))
    size = np.expm1(np.average(np.log1p(np.maximum(y, 0)), axis=0, weights=weights))
    return np.where(size > 0, size, 1.0)
