"""Bins of a column: a decision tree of this column alone divides y, and quantiles divide the rest.

The tree is scikit-learn's DecisionTreeRegressor, grown best first, but of one sorted column, whose splits are sums of
what lies below. Rows count as often as they occur: a weight of 2 is a row twice. Plain numpy.
"""

import heapq

import numpy as np
from numpy.typing import NDArray

N_BINS = 48
N_CUTS = 512  # places, at most, where a tree may divide a column
SMALLEST_LEAF = 8  # rows, at least, on each side of such a place
PURE = 1e-12  # of the sum of squares: less than this in a leaf is rounding
SAME = np.float32(1e-7)  # numbers that differ by less are one number to a tree


def boundaries_of_bins(values: NDArray, y: NDArray, weights: NDArray, counts: NDArray) -> NDArray:
    """Boundaries of a column's bins (Gorishniy et al. 2022, arXiv 2203.05556).

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Sorted.
    y : ndarray of shape (n_rows, n_outputs)
        Numbers; or, in a single column, the integers of classes.
    weights : ndarray of shape (n_rows,)
    counts : ndarray of shape (n_rows,)
        How often each row occurs.

    Returns
    -------
    ndarray of shape (N_BINS + 1,), float32
        Ascending; the last one is repeated where there are fewer bins.
    """
    first = np.flatnonzero(np.concatenate([[True], values[1:] > values[:-1]]))  # row of each distinct value
    distinct, occurrences = values[first], np.add.reduceat(counts, first)
    starts = distinct if len(distinct) <= N_CUTS else spread_quantiles(distinct, occurrences, N_CUTS)
    begins = np.searchsorted(values, starts)  # in parts that the tree does not divide
    totals, numbers = np.add.reduceat(weights, begins), np.add.reduceat(counts, begins)
    sums = np.add.reduceat(weights[:, None] * _indicators(y), begins)
    centers = np.add.reduceat(values * counts, begins) / numbers
    least = min(0.5, SMALLEST_LEAF / counts.sum()) * totals.sum()
    divided = divisions(centers.astype(np.float32), sums, totals, least, N_BINS)
    found = np.concatenate([divided, spread_quantiles(distinct, occurrences, N_BINS - len(divided))])
    found = np.unique(found.astype(np.float32))
    return np.concatenate([found, np.full(N_BINS + 1 - len(found), found[-1])])


def _indicators(y: NDArray) -> NDArray:
    """Targets as numbers: a column a class for class numbers."""
    return y if y.dtype.kind == "f" else (y == np.unique(y)).astype(np.float32)


def divisions(values: NDArray, sums: NDArray, weights: NDArray, least: float, n_leaves: int) -> NDArray:
    """Where a regression tree of at most so many leaves divides a column.

    Parameters
    ----------
    values : ndarray of shape (n,), float32
        Sorted.
    sums : ndarray of shape (n, n_outputs)
        Of weight times target.
    weights : ndarray of shape (n,)
    least : float
        Weight, at least, of a leaf.
    n_leaves : int

    Returns
    -------
    ndarray of shape (at most n_leaves - 1,), float64
        In the order in which they are found: that which explains most of the variance comes first.
    """
    n, n_outputs = sums.shape
    below = np.zeros((n + 1, n_outputs))  # sums of what lies below each value
    np.cumsum(sums, axis=0, out=below[1:])
    weight_below = np.concatenate([[0.0], np.cumsum(weights)])
    squares_below = np.concatenate([[0.0], np.cumsum((sums**2).sum(axis=1) / weights)])
    same = values[1:] <= values[:-1] + SAME
    leaves: list[tuple[float, int, int, int]] = []

    def push(begin: int, end: int) -> None:
        """Note the best division of values[begin:end], if there is one."""
        weight = weight_below[end] - weight_below[begin]
        total = below[end] - below[begin]
        explained = (total**2).sum() / weight
        unexplained = squares_below[end] - squares_below[begin] - explained
        if end - begin < 2 or weight < 2 * least or unexplained <= PURE * squares_below[-1]:
            return
        left = below[begin + 1 : end] - below[begin]
        left_weight = weight_below[begin + 1 : end] - weight_below[begin]
        right_weight = weight - left_weight
        gain = (left**2).sum(axis=1) / left_weight + ((total - left) ** 2).sum(axis=1) / right_weight
        gain[same[begin : end - 1] | (left_weight < least) | (right_weight < least)] = -np.inf
        best = int(np.argmax(gain))
        if gain[best] > -np.inf:
            heapq.heappush(leaves, (explained - gain[best], begin, begin + 1 + best, end))

    push(0, n)
    found: list[float] = []
    while leaves and len(found) < n_leaves - 1:
        _, begin, middle, end = heapq.heappop(leaves)
        found.append(float(values[middle - 1]) / 2 + float(values[middle]) / 2)
        push(begin, middle)
        push(middle, end)
    return np.array(found, np.float64)


def quantiles(values: NDArray, weights: NDArray, shares: NDArray) -> NDArray:
    """For each share, the smallest of sorted values that this share of the weights does not exceed."""
    total = np.cumsum(weights)
    places = np.searchsorted(total, shares * total[-1] * (1 - 1e-12))
    return values[np.minimum(places, len(values) - 1)]


def spread_quantiles(distinct: NDArray, counts: NDArray, n: int) -> NDArray:
    """Boundaries of at most n bins: quantiles, in which a value that occurs k times counts as the square root of k.

    Spikes, such as a zero that most rows have, would otherwise take all bins but one.
    """
    inner = quantiles(distinct, np.sqrt(counts), np.arange(1, n) / n)
    return np.unique(np.concatenate([distinct[:1], inner, distinct[-1:]]))
