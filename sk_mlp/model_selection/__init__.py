"""Searches and what they draw from."""

from sk_mlp.model_selection._distributions import one_minus

__all__ = ["one_minus"]
