"""How a network reads the columns of X before its first hidden layer: the plan, and what is learned for it.

Plain numpy; `sk_mlp._tables.encoding` and `sk_mlp.layers.ColumnEncoding` have the arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sk_mlp._tables.bins import N_BINS, boundaries_of_bins, quantiles
from sk_mlp._tables.categories import MISSING, Categories
from sk_mlp._tables.numbers import CONSTANT, is_wide

NO_CODE = -9  # that no value has
ONE_HOT = 16  # categories, at most; columns of more get an embedding
CATEGORY_DIM = 8
N_FREQUENCIES, PERIODIC_DIM = 16, 3
PIECEWISE_DIM = 6
SMALLEST_BIN = 1e-6
SCALE_FACTOR = 96.0  # of the learned scale's learning rate, by Adam
CLIP = 3.0
LARGEST, LARGEST_SCALE = 1e9, 1e30  # of a scaled number, and of what scales it: float32 ends at 3e38, its root at 2e19
SAMPLE = 50_000  # rows, at most, to take quantiles and bins from


@dataclass(frozen=True)
class ColumnPlan:
    """How a network reads the columns of X: structure, and no data.

    Attributes
    ----------
    numeric : tuple of int
        Columns of numbers.
    indicators : tuple of int
        Positions in ``numeric`` of those for which being missing is a feature of its own.
    slots : tuple of (int, int, int)
        Features of 0 and 1: a column, the code for which it is 1, and the code for which it is -1 or `NO_CODE`.
    embedded : tuple of (int, int)
        Columns of many categories, and how many.
    clip : bool
        Whether scaled numbers are clipped smoothly.
    embedding : {"pbld", "plr", "ple"} or None
        Of each numeric column.
    learned_scale : bool
        Whether each feature is multiplied by a weight of its own.
    """

    numeric: tuple[int, ...]
    indicators: tuple[int, ...] = ()
    slots: tuple[tuple[int, int, int], ...] = ()
    embedded: tuple[tuple[int, int], ...] = ()
    clip: bool = False
    embedding: str | None = None
    learned_scale: bool = False

    @property
    def n_basis(self) -> int:
        """How many functions of a number its embedding mixes."""
        return {"pbld": N_FREQUENCIES, "plr": 2 * N_FREQUENCIES, "ple": N_BINS}.get(self.embedding or "", 0)

    @property
    def embedding_dim(self) -> int:
        """How many features the embedding of a number has, beside the number itself."""
        return PIECEWISE_DIM if self.embedding == "ple" else PERIODIC_DIM

    @property
    def width(self) -> int:
        """How many features go into the first hidden layer."""
        n = len(self.numeric) * (1 + (self.embedding_dim if self.embedding else 0))
        return n + len(self.indicators) + len(self.slots) + CATEGORY_DIM * len(self.embedded)


def plan_columns(
    parts: Sequence[NDArray],
    rows: NDArray,
    columns: tuple[int, ...] | None,
    categories: Categories,
    scaling: str | None,
    embedding: str | None,
    learned_scale: bool,
    handle_missing: str,
) -> ColumnPlan | None:
    """The plan for these columns of X; None where the network gets them as they are.

    Parameters
    ----------
    parts : list of ndarray of shape (n_rows, n_columns)
        X, as `sk_mlp._tables.matrix.to_numbers` returns it, and then held-out rows if there are any.
    rows : ndarray of int
        Those of X that train.
    columns : tuple of int or None
        None for all.
    categories : dict
    scaling : {"robust", "standard"} or None
    embedding : {"pbld", "plr", "ple"} or None
    learned_scale : bool
    handle_missing : {"indicator", "impute", "error"}
    """
    X = parts[0]
    columns = tuple(range(X.shape[1])) if columns is None else columns
    numeric = tuple(column for column in columns if column not in categories)
    anywhere = np.zeros(X.shape[1], bool)
    for part in parts:
        if np.isnan(np.min(part, initial=0)):  # which is much faster than a look at each column
            anywhere |= np.isnan(part).any(axis=0)
    missing = np.array([anywhere[j] and np.isnan(X[rows, j]).any() for j in numeric], bool)
    is_plain = len(numeric) == len(columns) and not anywhere.any()  # in all columns: both paths have plans, or neither
    if is_plain and scaling is None and embedding is None and not learned_scale:
        return None
    slots: list[tuple[int, int, int]] = []
    embedded = []
    for column in columns:
        if column not in categories:
            continue
        n = len(categories[column])
        if n > ONE_HOT:
            embedded.append((column, n))
        elif n == 2:
            slots.append((column, 0, 1))
        else:
            slots += [(column, code, NO_CODE) for code in range(n)]
        if (X[rows, column] == MISSING).any():
            slots.append((column, MISSING, NO_CODE))
    return ColumnPlan(
        numeric=numeric,
        indicators=tuple(np.flatnonzero(missing).tolist()) if handle_missing == "indicator" else (),
        slots=tuple(slots),
        embedded=tuple(embedded),
        clip=scaling == "robust",
        embedding=embedding if numeric else None,
        learned_scale=learned_scale,
    )


def learn_columns(
    plan: ColumnPlan,
    X: NDArray,
    y: NDArray,
    rows: NDArray,
    weights: NDArray,
    counts: NDArray,
    scaling: str | None,
) -> dict[str, NDArray]:
    """What the training rows say about the columns.

    Parameters
    ----------
    plan : ColumnPlan
    X : ndarray of shape (n_rows, n_columns)
    y : ndarray of shape (n_rows, n_outputs)
        Numbers; or, in a single column, the integers of classes.
    rows : ndarray of int
    weights : ndarray of shape (n_rows,)
    counts : ndarray of shape (n_rows,)
        How often each row occurs.
    scaling : {"robust", "standard"} or None

    Returns
    -------
    dict of str to ndarray, float64
        ``fill`` (what replaces a missing number), ``center`` and ``scale`` (the number, less the one, times the
        other), (n_numeric,); ``known`` (0 for a category that does not occur, or alone does), (n_slots,);
        ``category_known``, one array an embedded column; ``boundaries`` of the bins of scaled numbers,
        (n_numeric, n_bins + 1).
    """
    every_row = rows
    rows, weights, counts = drawn_rows(rows, weights[rows], counts[rows])
    exactness = CONSTANT if is_wide(X) else 10 * float(np.finfo(np.float32).eps)
    learned = np.zeros((3, len(plan.numeric)))
    boundaries = np.zeros((len(plan.numeric), N_BINS + 1))
    for j, column in enumerate(plan.numeric):
        values = X[rows, column].astype(np.float64)
        order = np.argsort(values)  # nan comes last
        order = order[: len(order) - np.count_nonzero(np.isnan(values))]
        if not len(order):
            continue  # all missing: 0 in every row
        values, value_weights = values[order], weights[order]
        learned[:, j] = _location_and_scale(values, value_weights, scaling, exactness)
        if plan.embedding == "ple":
            scaled = smooth_clip((values - learned[1, j]) * learned[2, j], plan.clip)
            boundaries[j] = boundaries_of_bins(scaled, y[rows[order]], value_weights, counts[order])
    known_slots = []
    for column, one, other in plan.slots:  # one that is the same in all rows counts for nothing, as a constant number
        codes = X[every_row, column]
        known_slots.append(np.isin([one] if other == NO_CODE else [one, other], codes).all() and (codes != one).any())
    arrays = {"fill": learned[0], "center": learned[1], "scale": learned[2]}
    if plan.slots:
        arrays["known"] = np.array(known_slots, float)
    for i, (column, n) in enumerate(plan.embedded):
        known = np.isin(np.arange(n + 1) - 1, X[every_row, column]) & (np.arange(n + 1) > 0)
        arrays[f"category_known_{i}"] = known.astype(float)
    if plan.embedding == "ple":
        arrays["boundaries"] = boundaries
    return arrays


def drawn_rows(rows: NDArray, weights: NDArray, counts: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """The rows, or a sample of them where they count as more than `SAMPLE`, with weights and counts.

    One is drawn of each of `SAMPLE` successive parts, so that it does not matter whether a row has a count of 2 or
    comes twice in succession.
    """
    ends = np.cumsum(counts)
    if not len(rows) or ends[-1] <= SAMPLE:
        return rows, weights, counts
    places = (np.arange(SAMPLE) + np.random.default_rng(0).random(SAMPLE)) / SAMPLE
    drawn = np.minimum(np.searchsorted(ends, places * ends[-1], side="right"), len(rows) - 1)
    drawn, n_times = np.unique(drawn, return_counts=True)
    return rows[drawn], weights[drawn] / counts[drawn] * n_times, n_times.astype(float)


def _location_and_scale(
    values: NDArray, weights: NDArray, scaling: str | None, exactness: float
) -> tuple[float, float, float]:
    """Of sorted values: what replaces a missing one, the center, and one over the scale, at most `LARGEST_SCALE`.

    Where the spread is below ``exactness`` times the values' size it is rounding, and the values are constant.
    """
    largest = max(abs(values[0]), abs(values[-1]))
    if scaling == "robust":
        low, median, high = quantiles(values, weights, np.array([0.25, 0.5, 0.75]))
        spread = values[-1] - values[0]
        if spread <= CONSTANT * largest:
            return median, median, 0.0
        differ = high - low > CONSTANT * max(abs(low), abs(high))
        return median, median, 1 / max(high - low if differ else spread / 2, 1 / LARGEST_SCALE)
    mean = np.average(values, weights=weights)
    if scaling is None:
        return mean, 0.0, 1.0
    deviation = np.sqrt(np.average((values - mean) ** 2, weights=weights))
    return mean, mean, 0.0 if deviation <= exactness * abs(mean) else 1 / max(deviation, 1 / LARGEST_SCALE)


def smooth_clip(z: NDArray, clip: bool) -> NDArray:
    """Numbers in (-3, 3), those near 0 nearly unchanged (RealMLP: Holzmueller et al. 2024, arXiv 2407.04491)."""
    return z / np.sqrt(1 + (z / CLIP) ** 2) if clip else z
