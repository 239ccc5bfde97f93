"""Displays of what was learned, and what is wrong with it in words."""

from sk_mlp.inspection._diagnose import diagnose
from sk_mlp.inspection._findings import Finding, Findings
from sk_mlp.inspection._learning_rate import LearningRateDisplay
from sk_mlp.inspection._loss_curve import LossCurveDisplay
from sk_mlp.inspection._search import SearchDisplay

__all__ = ["Finding", "Findings", "LearningRateDisplay", "LossCurveDisplay", "SearchDisplay", "diagnose"]
