"""How the learning rate changes over the steps of a fit: factors of ``learning_rate``. Plain numpy.

A schedule sees time in epochs, fractions of one included, so that it does not depend on the batch size.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import did_you_mean, unknown_name

__all__ = ["Constant", "CosLog4", "Cosine", "Exponential", "OneCycle", "Plateau", "Schedule", "Step"]


class Schedule(ABC):
    """Factors of the learning rate. Abstract.

    Attributes
    ----------
    total : int
        Epochs that the fit takes at most.
    ends_with_fit : bool
        Whether the factors follow from ``total``, and there are none for later epochs.
    """

    total: int = 1
    ends_with_fit = False

    @abstractmethod
    def factors(self, times: NDArray) -> NDArray:
        """Factor at each of some times.

        Parameters
        ----------
        times : ndarray of shape (n_steps,), float
            In epochs since the start of the fit.

        Returns
        -------
        ndarray of shape (n_steps,), float
            What ``learning_rate`` is multiplied by.
        """

    def observe(self, value: float) -> None:  # noqa: B027 (most schedules do not look)
        """Note the monitored figure after an epoch.

        Parameters
        ----------
        value : float
            Smaller is better.
        """


def _checked_factor(factor: float) -> float:
    if not 0 <= factor < np.inf:
        raise ValueError(f"lr_schedule__factor must be a finite number of at least 0. Got {factor!r}.")
    return factor


class Constant(Schedule):
    """The same rate throughout."""

    def factors(self, times: NDArray) -> NDArray:
        """Return ones."""
        return np.ones_like(times)


class Step(Schedule):
    """Multiply by ``factor`` after every ``every`` epochs.

    Parameters
    ----------
    factor : float, default=0.5
        What the rate is multiplied by.
    every : int, default=10
        Number of epochs from step to step.
    """

    def __init__(self, factor: float = 0.5, every: float = 10):
        self.factor, self.every = _checked_factor(factor), every
        if not every > 0:
            raise ValueError(f"lr_schedule__every must be a number > 0. Got {every!r}.")

    def factors(self, times: NDArray) -> NDArray:
        """Return a staircase."""
        return self.factor ** np.floor(times / self.every)


class Exponential(Schedule):
    """Multiply by ``factor`` in the course of ``over`` epochs, evenly at each step.

    Parameters
    ----------
    factor : float, default=0.1
        What the rate is multiplied by in that time.
    over : float, default=20
        Number of epochs.
    """

    def __init__(self, factor: float = 0.1, over: float = 20):
        self.factor, self.over = _checked_factor(factor), over
        if not over > 0:
            raise ValueError(f"lr_schedule__over must be a number > 0. Got {over!r}.")

    def factors(self, times: NDArray) -> NDArray:
        """Return a geometric sequence."""
        return self.factor ** (times / self.over)


class Cosine(Schedule):
    """Half a cosine from 1 to ``final`` over all epochs (Loshchilov and Hutter 2017, arXiv 1608.03983).

    Parameters
    ----------
    final : float, default=0.0
        Factor at the end of the fit.
    """

    ends_with_fit = True

    def __init__(self, final: float = 0.0):
        self.final = final

    def factors(self, times: NDArray) -> NDArray:
        """Return half a cosine."""
        return self.final + (1 - self.final) * 0.5 * (1 + np.cos(np.pi * np.minimum(times / self.total, 1)))


class CosLog4(Schedule):
    """Four cycles from 0 to 1 and back, each about twice as long as the one before.

    (1 - cos(2 pi log2(1 + 15 t))) / 2 for t from 0 to 1 (RealMLP: Holzmueller et al. 2024, arXiv 2407.04491).
    """

    ends_with_fit = True

    def factors(self, times: NDArray) -> NDArray:
        """Return cosines of logarithmic time."""
        return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * np.minimum(times / self.total, 1))))


class OneCycle(Schedule):
    """Rise from ``start`` to 1, fall back, and vanish over the last tenth (Smith 2018, arXiv 1803.09820).

    Parameters
    ----------
    start : float, default=0.1
        Factor at the start, and again before it vanishes.
    peak : float, default=0.45
        Share of all epochs at which the rate is highest.
    final : float, default=1e-3
        Factor at the end of the fit.
    """

    ends_with_fit = True

    def __init__(self, start: float = 0.1, peak: float = 0.45, final: float = 1e-3):
        self.start, self.peak, self.final = start, peak, final
        if not 0 < peak < 1:
            raise ValueError(f"lr_schedule__peak must be a float in (0, 1). Got {peak!r}.")

    def factors(self, times: NDArray) -> NDArray:
        """Return three straight lines."""
        corners = [0, self.peak, max(0.9, self.peak), 1]
        return np.interp(times / self.total, corners, [self.start, 1, self.start, self.final])


class Plateau(Schedule):
    """Multiply by ``factor`` when the monitored figure has not fallen for ``patience`` epochs.

    Parameters
    ----------
    factor : float, default=0.5
        What the rate is multiplied by each time.
    patience : int, default=5
        Number of epochs.
    """

    def __init__(self, factor: float = 0.5, patience: int = 5):
        self.factor, self.patience = _checked_factor(factor), patience
        if not patience >= 1:
            raise ValueError(f"lr_schedule__patience must be a number of at least 1. Got {patience!r}.")
        self._now, self._best, self._waited = 1.0, np.inf, 0

    def factors(self, times: NDArray) -> NDArray:
        """Return the factor reached so far."""
        return np.full_like(times, self._now)

    def observe(self, value: float) -> None:
        """Count the epochs without improvement."""
        self._waited = 0 if value < self._best else self._waited + 1
        self._best = min(self._best, value)
        if self._waited >= self.patience:
            self._now, self._waited = self._now * self.factor, 0


class ByEpoch(Schedule):
    """A user's function of the epoch's number, from 0, to the factor.

    Parameters
    ----------
    function : callable (int) -> float
    """

    def __init__(self, function: Callable[[int], float]):
        self.function = function

    def factors(self, times: NDArray) -> NDArray:
        """Return what the function does, the same for all steps of an epoch."""
        epochs, inverse = np.unique(np.floor(times).astype(int), return_inverse=True)
        return np.array([float(self.function(int(epoch))) for epoch in epochs])[inverse]


class ByStep(Schedule):
    """A function of the steps' numbers, from 0, to their learning rates.

    Parameters
    ----------
    function : callable (ndarray of int) -> ndarray of float
    learning_rate : float
        Of which factors are taken.
    n_steps : int
        Steps an epoch.
    """

    def __init__(self, function: Callable[[NDArray], NDArray], learning_rate: float, n_steps: int):
        self.function, self.learning_rate, self.n_steps = function, learning_rate, n_steps

    def factors(self, times: NDArray) -> NDArray:
        """Return the rates over the learning rate."""
        return self.function(np.rint(times * self.n_steps).astype(int)) / self.learning_rate


SCHEDULES: dict[str, type[Schedule]] = {
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "coslog4": CosLog4,
    "one_cycle": OneCycle,
    "plateau": Plateau,
}


def resolve_schedule(schedule: Any, arguments: dict[str, Any], epochs: int, last_epoch: int | None = None) -> Schedule:
    """A fresh schedule from a name and its arguments, or from a function of the epoch; checked over all epochs.

    Parameters
    ----------
    schedule : str, callable, Schedule or None
    arguments : dict
        Of a name.
    epochs : int
        That the fit takes at most.
    last_epoch : int or None
        The last epoch's number + 1, where a fit of single epochs has gone beyond that.

    Raises
    ------
    ValueError
        For an unknown name or argument, and for a schedule that is negative or not finite.
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise unknown_name("lr_schedule", schedule, SCHEDULES, ", a function of the epoch or None")
        try:
            resolved = SCHEDULES[schedule](**arguments)
            resolved.factors(np.zeros(1))
        except TypeError as error:
            known = list(inspect.signature(SCHEDULES[schedule]).parameters)
            hint = "".join(did_you_mean(name, known) for name in arguments if name not in known)
            raise ValueError(
                f"The arguments {arguments} of lr_schedule={schedule!r} are not valid: {error}. It takes {known}.{hint}"
            ) from error
    elif arguments:
        raise ValueError(f"lr_schedule={schedule!r} takes no further arguments. Got {arguments}.")
    elif isinstance(schedule, Schedule):
        resolved = schedule
    else:
        resolved = Constant() if schedule is None else ByEpoch(schedule)
    resolved.total = epochs
    n_epochs = max(epochs, last_epoch or 0)
    times = np.append(np.arange(n_epochs, dtype=float), np.nextafter(n_epochs, 0))  # some change within the last one
    factors = resolved.factors(times)
    wrong = np.flatnonzero(~np.isfinite(factors) | (factors < 0))
    if len(wrong):
        raise ValueError(
            f"The 'lr_schedule' parameter must give finite factors of at least 0. Got {factors[wrong[0]]} in epoch "
            f"{int(times[wrong[0]])}."
        )
    return resolved
