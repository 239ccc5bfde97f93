"""Temperature scaling: probabilities of the confidence that held-out rows justify. Plain numpy and scipy."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax, logit

LARGEST = 10.0  # the largest temperature; the smallest is one over it
# Standard deviation of the temperature's logarithm, before any row is seen. Without it, a few rows, all predicted
# right, would make the temperature as low as it can be, and a single wrong row later would cost very much.
PRIOR_DEVIATION = 0.4


def fit_temperature(
    outputs: list[NDArray],
    held_out: list[tuple],
    exclusive: bool,
    link: Callable[[NDArray], NDArray] = np.asarray,
    n_rows: list[float] | None = None,
) -> float:
    """The number by which to divide the logits of the members' mean (Guo et al. 2017, arXiv 1706.04599).

    Averaging makes probabilities less extreme: with n members, by what the variance of their mean has lost, which goes
    with 1 / n. Where only neighbours hold out the same rows, the temperatures of one member and of the mean of two are
    found, and the logarithm is taken to be a + b / n.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_rows, n_columns)
        A member's probabilities for the rows that it holds out, or what ``link`` takes to probabilities.
    held_out : list of (ndarray of int, ndarray, ndarray)
        Numbers of these rows, and labels and weights of all rows. Labels are (n, n_columns) of 0 and 1, or (n, 1) of
        the numbers of classes.
    exclusive : bool
        Whether a row has one label only, whose probabilities sum to 1.
    link : callable
        From means of outputs to probabilities.
    n_rows : list of float or None
        How many rows each member holds out, counted as often as they occur; None for each once.
    """
    n_rows = n_rows or [float(len(rows)) for rows, *_ in held_out]
    labels, weights = ([all_rows[i][rows] for rows, *all_rows in held_out] for i in (0, 1))
    if all(np.array_equal(rows, held_out[0][0]) for rows, *_ in held_out):
        return _likeliest(link(np.mean(outputs, axis=0)), labels[0], weights[0], n_rows[0], exclusive)
    pairs = [(one + two) / 2 for one, two in zip(outputs[::2], outputs[1::2], strict=False)]

    def log_temperature(*parts: list[NDArray], n: float) -> float:
        means, of_rows, weight = map(np.concatenate, parts)
        return float(np.log(_likeliest(link(means), of_rows, weight, n, exclusive)))

    of_one = log_temperature(outputs, labels, weights, n=sum(n_rows))
    of_two = log_temperature(pairs, labels[1::2], weights[1::2], n=sum(n_rows[1::2]))
    return float(np.exp(2 * of_two - of_one + 2 / len(outputs) * (of_one - of_two)))


def _likeliest(probabilities: NDArray, labels: NDArray, weights: NDArray, n: float, exclusive: bool) -> float:
    """The likeliest temperature, by the log-loss and a normal distribution of its logarithm; 1 if none does better."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(p) if exclusive else logit(p)
    if labels.shape[1] != p.shape[1]:
        labels = np.eye(p.shape[1])[labels[:, 0]]

    def cost(log_temperature: float) -> float:
        z = logits / np.exp(log_temperature)
        losses = labels * log_softmax(z, axis=1) if exclusive else labels * log_expit(z) + (1 - labels) * log_expit(-z)
        return -np.average(losses.sum(axis=1), weights=weights) + (log_temperature / PRIOR_DEVIATION) ** 2 / 2 / n

    limit = np.log(LARGEST)
    found = minimize_scalar(cost, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x)) if found.fun < cost(0.0) else 1.0
