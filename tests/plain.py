"""Plain networks for tests that are about other things than the defaults, which take longer to compile."""

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor


def plain_params(**params):
    """Parameters of a plain network, with these changed."""
    plain = dict(PLAIN_MLP)
    if params.get("hidden_layer_sizes") is not None:
        del plain["n_hidden"], plain["n_neurons"]
    return plain | params


def plain_classifier(model=None, **params):
    """A classifier that is a plain network."""
    return KerasMLPClassifier(model, **plain_params(**params))


def plain_regressor(model=None, **params):
    """A regressor that is a plain network."""
    return KerasMLPRegressor(model, **plain_params(**params))
