"""Dropout that adapts: a member's rate in the next epoch follows from its losses on held-out rows. Plain numpy.

The noisier y is, the more there is to overfit; and dropout ruins what can be fitted nearly exactly. So rates follow the
share of y that is not explained so far: of its variance, or of the loss of the constant that predicts it best.
"""

from collections.abc import Callable

import numpy as np

# A function of the losses so far, and of whether the member has stalled: the next epoch's rate.
DropoutRule = Callable[[list[float], bool], float]

# Regression: which share of the variance may be left unexplained without any dropout, and the largest rate.
NEARLY_EXACT = 0.02
MOST_DROPOUT = 0.15

# Classification: the rate of a network that explains nothing yet; from which share on that is so; and the rate per
# unexplained share afterwards. With more at first, interactions without main effects (a checkerboard) are not found.
FIRST_RATE = 0.1
NOTHING_LEARNED = 0.98
RATE_OF_SHARE = 0.25


def once_stalled(losses: list[float], has_stalled: bool) -> float:
    """The rate for regression: 0 until the member has stalled; losses are shares of y's variance."""
    return float(np.clip(min(losses) - NEARLY_EXACT, 0, MOST_DROPOUT)) if has_stalled else 0.0


def by_unexplained_share(of_constant: float, losses: list[float], has_stalled: bool) -> float:
    """The rate for classification; ``of_constant`` is the loss of predicting the classes' frequencies."""
    share = min(losses) / of_constant if losses and of_constant else 1.0
    return float(RATE_OF_SHARE * share) if share < NOTHING_LEARNED else FIRST_RATE
