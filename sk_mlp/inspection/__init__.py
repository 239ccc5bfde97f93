"""Displays of what was learned, and what is wrong with it in words."""

from sk_mlp.inspection._diagnose import diagnose
from sk_mlp.inspection._findings import Finding, Findings
from sk_mlp.inspection._loss_curve import LossCurveDisplay

__all__ = ["Finding", "Findings", "LossCurveDisplay", "diagnose"]
