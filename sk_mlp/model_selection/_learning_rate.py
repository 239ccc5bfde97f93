"""Finding the learning rate by a sweep over many of them in one short training run."""

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp._estimator.extras import check_matplotlib
from sk_mlp._estimator.given import GivenRows
from sk_mlp._estimator.settings import settings_of
from sk_mlp._estimator.split import member_seeds
from sk_mlp._estimator.training import prepared
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.population import CompiledPopulation, DeviceRows
from sk_mlp.engine.run import Run
from sk_mlp.exceptions import NotCompilableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMOOTHING = 0.95  # factor of the moving average of the losses
WARM_UP = 20  # steps, about as many as the average spans: before them it is mostly the noise of single batches
CLIMB = 0.15  # share of the way from its lowest value back up at which a blow-up begins
# What is suggested, as a share of the rate at which the loss blows up: see benchmarks/bench_learning_rate.py. Steps of
# SGD become shorter where the loss is flat; those of other optimizers do not.
SHARE, SHARE_OF_SGD = 1 / 20, 1 / 10
PARAMETERS: dict[str, list] = {
    "X": ["array-like", "sparse matrix"],
    "y": ["array-like", "sparse matrix"],
    "sample_weight": ["array-like", None],
    "min_lr": [Interval(Real, 0, None, closed="neither")],
    "max_lr": [Interval(Real, 0, None, closed="neither")],
    "n_steps": [Interval(Integral, 10, None, closed="left")],
    "n_sweeps": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


@dataclass(frozen=True, eq=False)
class LearningRateSweep:
    """Losses at rising learning rates, as `find_learning_rate` returns them. Parameters are attributes.

    Parameters
    ----------
    learning_rates : ndarray of shape (n_steps,)
        Learning rate of each step.
    losses : ndarray of shape (n_steps,)
        Of each step's batch, the median over the sweeps; nan from where the loss is not finite.
    smoothed_losses : ndarray of shape (n_steps,)
        Their moving average.
    blow_up : float or None
        The rate at which the moving average begins to climb again, or the loss is no longer finite; None if neither
        happens.
    suggestion : float
        A 20th of ``blow_up``, a tenth with SGD. Without a blow-up, that part of the largest rate tried, but not less
        than the smallest.

    See Also
    --------
    find_learning_rate : Makes one.
    sk_mlp.inspection.LearningRateDisplay : Draws one, with a name and a style of yours.
    """

    learning_rates: NDArray
    losses: NDArray
    smoothed_losses: NDArray
    blow_up: float | None
    suggestion: float

    def __repr__(self) -> str:
        blow_up = None if self.blow_up is None else f"{self.blow_up:.3g}"
        return f"{type(self).__name__}(suggestion={self.suggestion:.3g}, blow_up={blow_up}, n_steps={len(self.losses)})"

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the losses against the rates, by a `LearningRateDisplay`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn on.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from sk_mlp.inspection._learning_rate import LearningRateDisplay  # only drawing needs it

        check_matplotlib(f"{type(self).__name__}.plot")
        return LearningRateDisplay.from_sweep(self, ax=ax).ax_


def find_learning_rate(
    estimator: BaseKerasMLP | Pipeline,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    min_lr: float = 1e-5,
    max_lr: float = 10.0,
    n_steps: int = 500,
    n_sweeps: int = 5,
    random_state: Any = None,
) -> LearningRateSweep:
    """Train for a few hundred steps at ever larger learning rates and see where the loss blows up.

    The rate grows by a constant factor from step to step (Smith 2015, arXiv 1506.01186). All steps run in one call of
    a compiled program. The rates found hold for the estimator's optimizer, batch size and architecture.

    Where one sweep blows up is much a matter of chance, so there are several, each with other initial weights and
    another order of the rows. The losses are the median over them, step by step. They are smoothed by an exponential
    moving average with a factor of 0.95, corrected for its start. The loss blows up where that average has climbed from
    its lowest value by 15 % of the way back to its first one (or of half of that one, if the way is shorter), or where
    the median is not finite. The suggestion is a 20th of that rate, and a tenth of it with SGD.

    Parameters
    ----------
    estimator : KerasMLPClassifier, KerasMLPRegressor or a Pipeline that ends in one
        It is not changed, nor need it be fitted.
    X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
        Rows to train on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row, as in ``fit``.
    min_lr, max_lr : float, default=1e-5 and 10
        First and last learning rate.
    n_steps : int, default=500
        Steps of the estimator's batch size, over as many epochs as that needs. Of the first 20 only a loss that is no
        longer finite counts as a blow-up, for a mean of fewer batches is mostly noise.
    n_sweeps : int, default=5
        How many sweeps, of which the median counts.
    random_state : int, RandomState instance or None, default=None
        Decides initial weights and the order of rows. None for the estimator's own.

    Returns
    -------
    LearningRateSweep
        The losses, and a rate to begin with.

    Raises
    ------
    ValueError
        If ``max_lr`` is not greater than ``min_lr``, and whatever ``fit`` raises for bad data.
    NotCompilableError
        If the estimator cannot be trained by the compiled engine.

    See Also
    --------
    LearningRateSweep : Draws them.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sk_mlp import PLAIN_MLP, KerasMLPRegressor
    >>> from sk_mlp.model_selection import find_learning_rate
    >>> X, y = make_regression(1000, 5, random_state=0)
    >>> mlp = KerasMLPRegressor(**PLAIN_MLP, optimizer="sgd", n_neurons=20, random_state=0)
    >>> sweep = find_learning_rate(mlp, X, y)
    >>> bool(0.002 < sweep.suggestion < 1)
    True
    """
    # Not by scikit-learn's decorator, which would name this function in errors of the estimator's own parameters.
    given = {"X": X, "y": y, "sample_weight": sample_weight, "min_lr": min_lr, "max_lr": max_lr, "n_steps": n_steps}
    given |= {"n_sweeps": n_sweeps, "random_state": random_state}
    validate_parameter_constraints(PARAMETERS, given, "find_learning_rate")
    if max_lr <= min_lr:
        raise ValueError(f"max_lr must be greater than min_lr. Got min_lr={min_lr!r} and max_lr={max_lr!r}.")
    mlp = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(mlp, BaseKerasMLP):
        raise ValueError(
            "The 'estimator' parameter must be a KerasMLPClassifier, a KerasMLPRegressor or a Pipeline that ends in "
            f"one of them. Got {estimator!r} instead."
        )
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = clone(estimator[:-1]).fit_transform(X, y)
    worker = clone(mlp)
    if random_state is not None:
        worker.set_params(random_state=random_state)
    settings = replace(settings_of(worker), early_stopping=False, last_epoch=1)
    task = prepared(settings, GivenRows(X, y, sample_weight), worker)
    reason = why_not_compilable(task.recipe, [])
    if reason:
        raise NotCompilableError(f"find_learning_rate needs the compiled engine, which cannot train this: {reason}")
    rates = np.geomspace(min_lr, max_lr, n_steps)
    data = DeviceRows(task.recipe, [task.members[0]])
    first, losses = task.members[0], np.empty((n_sweeps, n_steps))
    for i, seed in enumerate(member_seeds(first.seed, n_sweeps)):
        population = CompiledPopulation(task.recipe, data, first.hyper, 1, record=True)
        population.admit({0: Run.begin(task.recipe, replace(first, seed=seed))})
        losses[i] = population.sweep(rates)
    is_sgd = issubclass(task.recipe.optimizer_class, keras.optimizers.SGD)
    return sweep_of(rates, median_of(losses), SHARE_OF_SGD if is_sgd else SHARE)


def median_of(losses: NDArray) -> NDArray:
    """The median over sweeps, (n_sweeps, n_steps), of each step's loss; nan where half of them are not finite."""
    median = np.median(np.where(np.isfinite(losses), losses, np.inf), axis=0)
    return np.where(np.isfinite(median), median, np.nan)


def sweep_of(rates: NDArray, losses: NDArray, share: float) -> LearningRateSweep:
    """Find the blow-up: where the moving average has begun to climb back from its lowest towards its first value."""
    finite = np.isfinite(losses)
    n = len(losses) if finite.all() else int(np.argmin(finite))
    if not n:
        raise ValueError(f"The loss was not finite at the smallest rate, min_lr={float(rates[0])!r}. Got {losses[0]}.")
    average, smoothed = 0.0, np.full(len(losses), np.nan)
    for i in range(n):
        average = SMOOTHING * average + (1 - SMOOTHING) * losses[i]
        smoothed[i] = average / (1 - SMOOTHING ** (i + 1))
    begin = min(n, WARM_UP) - 1
    at_lowest = begin + int(np.argmin(smoothed[begin:n]))
    first, lowest = smoothed[begin], smoothed[at_lowest]
    bound = lowest + CLIMB * max(first - lowest, 0.5 * abs(first))
    climbed = at_lowest + np.flatnonzero(smoothed[at_lowest:n] > bound)
    blow_up = float(rates[climbed[0]]) if len(climbed) else float(rates[n]) if n < len(losses) else None
    losses = np.where(np.arange(len(losses)) < n, losses, np.nan)
    suggestion = share * blow_up if blow_up else max(share * float(rates[-1]), float(rates[0]))
    return LearningRateSweep(rates, losses, smoothed, blow_up, suggestion)
