"""Searches and what they draw from."""

from sk_mlp.model_selection._distributions import one_minus
from sk_mlp.model_selection._learning_rate import LearningRateSweep, find_learning_rate

__all__ = ["LearningRateSweep", "find_learning_rate", "one_minus"]
