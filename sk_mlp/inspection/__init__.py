"""Displays of what was learned."""

from sk_mlp.inspection._loss_curve import LossCurveDisplay

__all__ = ["LossCurveDisplay"]
