"""Multilayer perceptrons: scikit-learn estimators, Keras models, trained by compiled programs."""

from sk_mlp.classifier import KerasMLPClassifier
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.regressor import KerasMLPRegressor

__all__ = ["KerasMLPClassifier", "KerasMLPRegressor", "NotCompilableError"]
__version__ = "0.1.0"
