"""Temperature scaling: probabilities of the confidence that held-out rows justify. Plain numpy and scipy."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax, logit

LARGEST = 10.0  # temperature; the smallest is one over it


def fit_temperature(probabilities: NDArray, labels: NDArray, weights: NDArray, exclusive: bool) -> float:
    """The number by which to divide the logits for the least log-loss (Guo et al. 2017, arXiv 1706.04599).

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_columns)
        Of each label, or of each of several classes that exclude each other.
    labels : ndarray of shape (n_rows, n_columns) of 0 and 1, or of shape (n_rows, 1), int, the numbers of classes
    weights : ndarray of shape (n_rows,)
    exclusive : bool
        Whether a row has one label only, whose probabilities sum to 1.

    Returns
    -------
    float
        1 if no temperature does better.
    """
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(p) if exclusive else logit(p)
    if labels.shape[1] != p.shape[1]:
        labels = np.eye(p.shape[1])[labels[:, 0]]

    def log_loss(log_temperature: float) -> float:
        z = logits / np.exp(log_temperature)
        losses = labels * log_softmax(z, axis=1) if exclusive else labels * log_expit(z) + (1 - labels) * log_expit(-z)
        return -np.average(losses.sum(axis=1), weights=weights)

    limit = np.log(LARGEST)
    found = minimize_scalar(log_loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x)) if found.fun < log_loss(0.0) else 1.0
