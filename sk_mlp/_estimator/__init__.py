"""The estimators behind the two public classes: parameters, rows, fitting, prediction."""
