"""Intervals for y, as wide as the errors on rows that the networks have not been trained on. Plain numpy."""

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sk_mlp._targets.numbers import NumberTargets

HALVINGS = 50  # of the range in which a limit lies, until float64 cannot halve it any more


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The outputs of an ensemble's members for rows that they have not been trained on.

    Members that hold out the same rows are a group. Rows of several groups are in here several times.

    Attributes
    ----------
    outputs : ndarray of shape (n_rows, width), float32
        Of each row's group: the mean of its members' outputs.
    y : ndarray of shape (n_rows, n_columns), float32
        As the network sees it.
    weights : ndarray of shape (n_rows,), float32
        How many rows each counts as.
    groups : ndarray of shape (n_rows,), int16
        Each row's group.
    members : ndarray of shape (n_members,), int16
        Each member's group, or -1 for one that has come to train on its held-out rows.
    rows : ndarray of shape (n_rows,), int32
        Numbers of the rows in the fit.
    n_rows_of_fit : int
        How many rows the fit had.
    """

    outputs: NDArray
    y: NDArray
    weights: NDArray
    groups: NDArray
    members: NDArray
    rows: NDArray
    n_rows_of_fit: int

    def may_be_trained_on(self, before: "HeldOut | None") -> bool:
        """Whether the fit from which this one has gone on may have trained on these rows.

        It has not if it has held out the same rows, which are known by their y: between the fits, rows of X may come,
        go, or change their order.
        """
        if before is None:
            return True
        same = np.array_equal(self.y, before.y) and np.array_equal(self.groups, before.groups)
        in_place = self.n_rows_of_fit != before.n_rows_of_fit or np.array_equal(self.rows, before.rows)
        return not (same and in_place)


def interval_of_y(outputs: list[NDArray], held_out: HeldOut | None, coverage: Any, targets: "NumberTargets") -> tuple:
    """Limits between which y lies with a probability of ``coverage``, in y's units.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_samples, width)
        Of each member.
    held_out : HeldOut or None
    coverage : object
        What the user has passed.
    targets : NumberTargets

    Returns
    -------
    lower, upper : ndarray of shape (n_samples,) or (n_samples, n_columns), float64

    Raises
    ------
    ValueError
        If this is no coverage, and if there are no held-out rows, or too few.
    """
    if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
        raise ValueError(f"The 'coverage' parameter must be a float in (0, 1). Got {coverage!r} instead.")
    if held_out is None:
        raise ValueError(
            "predict_interval needs held-out rows that the networks have not been trained on. Got none: fit with "
            "early_stopping=True, or with X_val and y_val. Rows are no longer held out once they have joined the "
            "others (early_stopping='auto' does that where y is nearly explained), after partial_fit, and where "
            "warm_start=True has gone on with other rows held out."
        )
    limits = interval(outputs, held_out, float(coverage), targets.quantiles)
    lower, upper = (limit * targets.scale + targets.mean for limit in limits)
    return (lower, upper) if lower.shape[1] > 1 else (lower[:, 0], upper[:, 0])


def interval(
    outputs: list[NDArray], held_out: HeldOut, coverage: float, quantiles: tuple[float, ...]
) -> tuple[NDArray, NDArray]:
    """Limits between which the standardised y lies, with a probability of ``coverage``.

    CV+ (Barber, Candes, Ramdas and Tibshirani 2021, Predictive inference with the jackknife+, arXiv 1905.02928) over
    the groups: the limits are quantiles, over the held-out rows, of the prediction of the row's group less or plus the
    row's error. With one group this is split-conformal (Lei et al. 2018, arXiv 1604.04173). Between two quantiles the
    error is how far y lies outside, negative within (Romano, Patterson and Candes 2019, Conformalized quantile
    regression, arXiv 1905.03222).

    Parameters
    ----------
    outputs : list of ndarray of shape (n_samples, width)
        Of each member.
    held_out : HeldOut
    coverage : float
    quantiles : tuple of float
        That are the network's outputs; empty if these are predictions of y itself.

    Returns
    -------
    lower, upper : ndarray of shape (n_samples, n_columns)

    Raises
    ------
    ValueError
        If there are too few rows for this coverage.
    """
    total = float(held_out.weights.sum())
    level = coverage * (total + 1)
    if level > total * (1 + 1e-9):
        raise ValueError(
            f"The 'coverage' parameter must be at most {total / (total + 1):.3g} with so few held-out rows "
            f"({total:g}). Got {coverage!r} instead; hold out more rows by validation_fraction, or fit on more."
        )
    groups = [np.flatnonzero(held_out.members == group) for group in np.unique(held_out.groups)]
    # Added up one by one: numpy's mean has another order for a single row.
    of_groups = [sum((outputs[m] for m in of), start=np.zeros_like(outputs[0])) / len(of) for of in groups]
    low, high = np.array([_ends(output, coverage, quantiles) for output in of_groups]).swapaxes(0, 1)
    below, above = _ends(held_out.outputs.astype(np.float64), coverage, quantiles)
    errors = np.maximum(below - held_out.y, held_out.y - above)
    columns = range(errors.shape[1])
    upper = np.stack([_limit(high[..., c], errors[:, c], held_out, level) for c in columns], axis=1)
    lower = np.stack([-_limit(-low[..., c], errors[:, c], held_out, level) for c in columns], axis=1)
    middle = (lower + upper) / 2  # where errors are negative, limits may cross
    return np.minimum(lower, middle), np.maximum(upper, middle)


def _ends(output: NDArray, coverage: float, quantiles: tuple[float, ...]) -> tuple[NDArray, NDArray]:
    """The outputs that limits start from: of several quantiles, the nearest to the interval's ends."""
    if not quantiles:
        return output, output
    output = np.sort(output, axis=1)
    ends = (np.argmin(np.abs(np.array(quantiles) - end)) for end in ((1 - coverage) / 2, (1 + coverage) / 2))
    first, last = (output[:, [column]] for column in ends)
    return first, last


def _limit(centers: NDArray, errors: NDArray, held_out: HeldOut, level: float) -> NDArray:
    """For each sample, the least number that the centers plus errors of ``level`` held-out rows do not exceed.

    Parameters
    ----------
    centers : ndarray of shape (n_groups, n_samples)
    errors : ndarray of shape (n_rows,)
    held_out : HeldOut
    level : float
        How many rows, by their weights.
    """
    found = []
    for group in np.unique(held_out.groups):
        of_group = held_out.groups == group
        order = np.argsort(errors[of_group])
        weights = held_out.weights[of_group][order].astype(np.float64)
        found.append((errors[of_group][order], np.concatenate([[0.0], np.cumsum(weights)])))
    low = centers.min(axis=0) + min(error[0] for error, _ in found)
    high = centers.max(axis=0) + max(error[-1] for error, _ in found)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        n_below = sum(
            total[np.searchsorted(error, middle - center, side="right")]
            for center, (error, total) in zip(centers, found, strict=True)
        )
        enough = n_below >= level * (1 - 1e-9)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high
