"""Kinds of y, and what follows from each."""
