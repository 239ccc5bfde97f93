"""What members predict one by one and how far they disagree; quantiles."""

import keras
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.metrics import d2_pinball_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp.losses import Quantile

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


# Several quantiles

LEVELS = [0.1, 0.4, 0.5, 0.6, 0.9]
QUANTILES = {"loss": "quantile", "loss__quantile": LEVELS}
RNG = np.random.default_rng(0)
X_NOISE = RNG.uniform(-1, 1, (600, 2)).astype(np.float32)
Y_NOISE = 1e6 + 100 * (X_NOISE[:, 0] + (1 + X_NOISE[:, 1]) * RNG.normal(size=600))


def test_several_quantiles_of_one_fit():
    settings = SMALL | QUANTILES | {"epochs": 60, "patience": 60}
    mlp = plain_regressor(**settings).fit(X_NOISE[:400], Y_NOISE[:400])
    predicted = mlp.predict(X_NOISE[400:])
    assert predicted.shape == (200, 5)
    assert np.all(np.diff(predicted, axis=1) >= 0)
    below = np.mean(Y_NOISE[400:, None] <= predicted, axis=0)
    np.testing.assert_allclose(below, LEVELS, atol=0.08)
    width = predicted[:, -1] - predicted[:, 0]
    assert np.corrcoef(width, X_NOISE[400:, 1])[0, 1] > 0.8  # which says how noisy y is
    scores = [d2_pinball_score(Y_NOISE[400:], p, alpha=q) for q, p in zip(LEVELS, predicted.T, strict=True)]
    assert mlp.score(X_NOISE[400:], Y_NOISE[400:]) == pytest.approx(np.mean(scores))


def test_quantiles_never_cross_however_little_has_been_learned(tmp_path):
    """Neither where the network's outputs do."""
    mlp = plain_regressor(**SMALL | QUANTILES | {"epochs": 1}, ensemble_size=2).fit(X_NOISE, Y_NOISE)
    outputs = mlp._output(X_NOISE)
    assert np.any(np.diff(outputs, axis=1) < 0)
    predicted = mlp.predict(X_NOISE)
    assert np.all(np.diff(predicted, axis=1) >= 0)
    assert np.all(np.diff(mlp.predict_members(X_NOISE), axis=2) >= 0)
    mlp.model_.save(tmp_path / "model.keras")
    for model in (mlp.model_, keras.models.load_model(tmp_path / "model.keras")):
        by_keras = model.predict(X_NOISE, verbose=0)
        assert np.all(np.diff(by_keras, axis=1) >= 0)
        np.testing.assert_allclose(by_keras, predicted, rtol=1e-6)


def test_quantiles_of_a_model_of_ones_own():
    def build(meta):
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(meta["n_outputs_"])])

    mlp = plain_regressor(build, loss=Quantile(LEVELS), epochs=1, random_state=0).fit(X_NOISE, Y_NOISE - 1e6)
    predicted = mlp.predict(X_NOISE)
    assert np.all(np.diff(predicted, axis=1) >= 0)
    np.testing.assert_allclose(mlp.model_.predict(X_NOISE, verbose=0), predicted, rtol=1e-5)


def test_engines_agree_on_several_quantiles():
    one, other = (plain_regressor(**SMALL | QUANTILES, engine=engine).fit(X, Y) for engine in ("compiled", "keras"))
    np.testing.assert_allclose(one.history_["val_loss"], other.history_["val_loss"], rtol=1e-4)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-3)
    of_vector, of_column = (one.model_.evaluate(X, y, verbose=0) for y in (Y, Y[:, None]))
    assert of_vector == pytest.approx(of_column)


def test_quantiles_and_what_they_are_no_more():
    mlp = plain_regressor(**SMALL | QUANTILES, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="The network or the optimizer has changed"):
        mlp.set_params(loss__quantile=[0.2, 0.8]).fit(X, Y)
    with pytest.raises(ValueError, match="y must have one column for a loss of several quantiles"):
        plain_regressor(**SMALL | QUANTILES).fit(X, np.c_[Y, Y])
    for wrong in ([0.9, 0.1], [], [[0.1, 0.9]]):
        with pytest.raises(ValueError, match="quantile must be a float, or floats in increasing order"):
            plain_regressor(**SMALL, loss="quantile", loss__quantile=wrong).fit(X, Y)
    with pytest.raises(ValueError, match=r"quantile must be a float in \(0, 1\)"):
        plain_regressor(**SMALL, loss="quantile", loss__quantile=[0.1, np.nan]).fit(X, Y)
    with pytest.raises(ValueError, match="loss of 2 quantiles needs as many outputs"):
        Quantile([0.1, 0.9])(np.zeros((3, 1)), np.zeros((3, 1)))
