"""Tables to numbers, and what is learned of their columns. NumPy and SciPy alone."""
