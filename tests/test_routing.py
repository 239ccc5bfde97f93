"""Arguments named parameter__argument: to what they are for, in Keras' types, or refused by name."""

import keras
import numpy as np
import pytest
from keras import callbacks as kc
from keras import metrics as km
from plain import plain_classifier, plain_regressor

from sk_mlp._keras.metric_layouts import Output
from sk_mlp._keras.metrics import resolve_metrics
from sk_mlp._keras.resolve import resolve_optimizer
from sk_mlp._keras.routing import routed_to

X = np.random.default_rng(0).standard_normal((60, 2)).astype(np.float32)
Y, LABELS = X[:, 0], (X[:, 0] > 0).astype(int)
SMALL = {"n_hidden": 0, "epochs": 1, "early_stopping": False, "random_state": 0}
pytestmark = pytest.mark.usefixtures("no_xla")


def regressor(**params):
    return plain_regressor(**SMALL | params)


def classifier(**params):
    return plain_classifier(**SMALL | params)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"metrics": {"a": km.BinaryAccuracy}, "metrics__a__name": "x"}, ["x"]),
        ({"metrics": [km.BinaryAccuracy, km.AUC], "metrics__0__name": "x"}, ["x", "auc"]),
        ({"metrics": (km.AUC,), "metrics__name": "x", "metrics__0__num_thresholds": np.int64(9)}, ["x"]),
        ({"metrics": km.BinaryAccuracy, "metrics__name": "x"}, ["x"]),
        ({"metrics": ["accuracy", "auc"], "metrics__1__name": "x"}, ["accuracy", "x"]),
        ({"metrics": ["accuracy", "auc"], "metrics__num_thresholds": 9}, ["accuracy", "auc"]),
        ({"metrics": {"a": ["mse", km.AUC], "b": "mae"}, "metrics__a__1__name": "x"}, ["mse", "x", "mae"]),
    ],
    ids=str,
)
def test_metrics(params, names):
    assert [
        metric.name
        for metric in resolve_metrics(params["metrics"], routed_to(params, "metrics"), Output("binary", 1, False))
    ] == names


def test_argument_of_a_metric_counts():
    found = classifier(metrics={"a": km.BinaryAccuracy}, metrics__a__threshold=2).fit(X, LABELS).history_
    np.testing.assert_allclose(found["binary_accuracy"], np.mean(LABELS == 0), rtol=1e-6)
    assert classifier(metrics=km.FBetaScore, metrics__beta=2, metrics__average="macro").fit(X, LABELS)


STOP = {"callbacks__monitor": "loss", "callbacks__min_delta": 1e9, "epochs": 6}


@pytest.mark.parametrize(
    "params",
    [
        {"callbacks": {"a": kc.EarlyStopping}, "callbacks__a__patience": 2},
        {"callbacks": [kc.EarlyStopping], "callbacks__0__patience": np.int64(2)},
        {"callbacks": [kc.TerminateOnNaN, kc.EarlyStopping], "callbacks__patience": 2},
        {"callbacks": {"a": [kc.EarlyStopping]}, "callbacks__a__0__patience": 2, "callbacks__patience": 5},
        {"callbacks": kc.EarlyStopping, "callbacks__patience": 2},
    ],
    ids=str,
)
def test_callbacks(params):
    assert regressor(**STOP | params).fit(X, Y).n_iter_ == 3


class Halved:
    """A schedule of the learning rate with an argument of its own."""

    def __init__(self, factor=0.5):
        self.factor = factor

    def __call__(self, epoch, rate):
        return rate * self.factor


def test_argument_of_an_argument():
    settings = {"callbacks": kc.LearningRateScheduler, "callbacks__schedule": Halved, "learning_rate": 0.1}
    found = regressor(**settings, callbacks__schedule__factor=0.25, epochs=2).fit(X, Y).history_["learning_rate"]
    np.testing.assert_allclose(found, [0.025, 0.00625], rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"metrics": {"a": km.AUC}, "metrics__b__name": "x"}, r"metrics__b__name='x' is for 'b', but .* \['a'\] only"),
        ({"metrics": {"abc": km.AUC}, "metrics__abd__name": "x"}, r"Did you mean 'abc'\?"),
        ({"metrics": [km.AUC], "metrics__1__name": "x"}, "metrics__1__name='x' is for '1'"),
        ({"metrics": [km.AUC(name="a")], "metrics__0__name": "x"}, "metrics__0__name='x' needs a class or a name"),
        ({"metrics": km.AUC, "metrics__nam": "x"}, r"AUC takes no 'nam', but .*Did you mean 'name'\?"),
        ({"callbacks": {"a": kc.EarlyStopping}, "callbacks__b__patience": 1}, "callbacks__b__patience=1 is for 'b'"),
        (
            {"callbacks": [kc.EarlyStopping()], "callbacks__patience": 1},
            "callbacks__patience=1 needs a class or a name",
        ),
        ({"callbacks": [kc.EarlyStopping], "callbacks__patince": 1}, r"EarlyStopping takes no .*mean 'patience'\?"),
        ({"loss": "huber", "loss__delt": 1}, r"Huber takes no 'delt', but .*'delta'.* Did you mean 'delta'\?"),
        ({"optimizer": "sgd", "optimizer__momentun": 0.5}, r"SGD takes no 'momentun'.* Did you mean 'momentum'\?"),
        ({"optimizer": "adam", "optimizer__nesterov": True}, r"Adam takes no 'nesterov', but \['amsgrad', 'beta_1'"),
        (
            {"optimizer": "sgd", "optimizer__momentum": "0.5"},
            "'optimizer__momentum' parameter must be a number. Got '0.5'",
        ),
        ({"optimizer": "sgd", "optimizer__nesterov": "False"}, "'optimizer__nesterov' parameter must be True or False"),
        ({"lr_schedule": "cosine", "lr_schedule__finl": 1}, r"It takes \['final'.* Did you mean 'final'\?"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_arguments_of_nothing_are_refused(params, expected):
    with pytest.raises(ValueError, match=expected):
        regressor(**params).fit(X, Y)


@pytest.mark.parametrize("number", [0, 1, np.int64(0), np.float32(0.5), True, np.bool_(False)], ids=repr)
def test_numbers_of_an_optimizer(number):
    _, config = resolve_optimizer("sgd", {"momentum": number, "nesterov": np.bool_(True)})
    assert (type(config["momentum"]), config["momentum"], config["nesterov"]) == (float, float(number), True)
    assert resolve_optimizer(keras.optimizers.RMSprop, {"rho": number})[1]["rho"] == number


def test_fits_with_such_numbers():
    one, other = (
        regressor(optimizer="sgd", optimizer__momentum=momentum, optimizer__nesterov=False).fit(X, Y)
        for momentum in (np.int64(0), 0.0)
    )
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
