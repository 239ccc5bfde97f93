"""Displays of fits and searches, and `diagnose`, which says in words what is wrong with a fit."""

from sk_mlp.inspection._diagnose import diagnose
from sk_mlp.inspection._findings import Finding, Findings
from sk_mlp.inspection._learning_rate import LearningRateDisplay
from sk_mlp.inspection._loss_curve import LossCurveDisplay
from sk_mlp.inspection._search import SearchDisplay

__all__ = ["Finding", "Findings", "LearningRateDisplay", "LossCurveDisplay", "SearchDisplay", "diagnose"]
