"""What members predict one by one, and how far they disagree."""

import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, Y = make_regression(160, 4, noise=20.0, random_state=0)
X = X.astype(np.float32)
SMALL = {"n_hidden": 1, "n_neurons": 8, "learning_rate": 1e-2, "epochs": 8, "random_state": 0}
pytestmark = pytest.mark.usefixtures("no_xla")


# Members


@pytest.mark.parametrize("y", [Y, np.c_[Y, 2 * Y]], ids=["one", "two"])
def test_the_mean_of_what_members_predict_is_the_prediction(y):
    mlp = plain_regressor(ensemble_size=3, **SMALL).fit(X, y)
    members = mlp.predict_members(X)
    mean, deviation = mlp.predict(X, return_std=True)
    assert members.shape == (3, *y.shape)
    np.testing.assert_array_equal(mean, mlp.predict(X))
    np.testing.assert_allclose(mean, members.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(deviation, members.std(axis=0), rtol=1e-9)
    assert deviation.min() > 0


def test_the_deviation_is_in_the_units_of_y_and_does_not_move_with_it():
    spread = plain_regressor(ensemble_size=2, **SMALL).fit(X, Y).predict(X, return_std=True)[1]
    moved = plain_regressor(ensemble_size=2, **SMALL).fit(X, 1e8 + 1000 * Y).predict(X, return_std=True)[1]
    np.testing.assert_allclose(moved, 1000 * spread, rtol=1e-2)


def test_probabilities_of_members():
    features, labels = load_iris(return_X_y=True)
    mlp = plain_classifier(ensemble_size=2, calibrate=True, **SMALL).fit(features, labels)
    members = mlp.predict_members(features)
    assert members.shape == (2, 150, 3)
    np.testing.assert_allclose(members.sum(axis=2), 1)
    np.testing.assert_allclose(members.mean(axis=0), mlp.predict_proba(features), rtol=1e-6)
    features, labels = make_multilabel_classification(60, 4, n_classes=3, random_state=0)
    mlp = plain_classifier(ensemble_size=2, **SMALL).fit(features, labels)
    np.testing.assert_allclose(mlp.predict_members(features).mean(axis=0), mlp.predict_proba(features), rtol=1e-6)


def test_a_single_network_has_one_member_and_no_deviation():
    mlp = plain_regressor(**SMALL).fit(X, Y)
    np.testing.assert_array_equal(mlp.predict_members(X)[0], mlp.predict(X))
    with pytest.raises(ValueError, match="return_std=True needs an ensemble of networks"):
        mlp.predict(X, return_std=True)
    with pytest.raises(NotFittedError):
        plain_regressor().predict_members(X)


def test_the_deviation_through_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), plain_regressor(ensemble_size=2, **SMALL)).fit(X, Y)
    assert pipeline.predict(X, return_std=True)[1].shape == (160,)
