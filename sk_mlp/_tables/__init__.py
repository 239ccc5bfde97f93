"""Turns tables into numbers, and learns what their columns hold. NumPy and SciPy alone."""
