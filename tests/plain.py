"""Plain networks for tests that are about other things than the defaults, which take longer to compile."""

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor


def plain_classifier(model=None, **params):
    """A classifier that is a plain network."""
    return KerasMLPClassifier(model, **PLAIN_MLP | params)


def plain_regressor(model=None, **params):
    """A regressor that is a plain network."""
    return KerasMLPRegressor(model, **PLAIN_MLP | params)
