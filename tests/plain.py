"""Plain networks for tests that are about other things than the defaults, which take longer to compile."""

from dataclasses import replace

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor
from sk_mlp._estimator.settings import settings_of
from sk_mlp._estimator.training import prepared


def plain_classifier(model=None, **params):
    """A classifier that is a plain network."""
    return KerasMLPClassifier(model, **PLAIN_MLP | _without_sizes(model, params))


def plain_regressor(model=None, **params):
    """A regressor that is a plain network."""
    return KerasMLPRegressor(model, **PLAIN_MLP | _without_sizes(model, params))


def _without_sizes(model, params):
    """A test's settings, whose sizes are those of the built-in network: beside a model they would be refused."""
    sizes = () if model is None else ("n_hidden", "n_neurons", "hidden_layer_sizes")
    return {name: value for name, value in params.items() if name not in sizes}


def prepared_task(estimator, given, **changes):
    """The task of a fit, ready to run, with other settings than the estimator's."""
    return prepared(replace(settings_of(estimator), **changes), given, estimator)
