"""What members predict one by one and how far they disagree; quantiles; intervals."""

import pickle

import keras
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.metrics import d2_pinball_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp._targets.intervals import HeldOut, interval
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


# Intervals


def held_out_of(outputs, y, groups=None, weights=None):
    n, groups = len(y), np.zeros(len(y)) if groups is None else groups
    return HeldOut(outputs, y, np.ones(n) if weights is None else weights, groups, np.unique(groups), np.arange(n), n)


def test_an_interval_of_one_group_is_split_conformal():
    errors = np.arange(1.0, 20.0)[:, None]  # 19 rows, of which a coverage of 0.9 needs the 18th
    lower, upper = interval([np.array([[0.0], [5.0]])], held_out_of(np.zeros((19, 1)), errors), 0.9, ())
    np.testing.assert_allclose(np.hstack([lower, upper]), [[-18, 18], [-13, 23]])


def test_an_interval_of_several_groups_is_that_of_jackknife_plus():
    rng = np.random.default_rng(0)
    groups, y, outputs = np.repeat([0, 1, 2], 13), rng.normal(size=(39, 1)), rng.normal(size=(39, 1))
    members = [rng.normal(size=(7, 1)) for _ in range(3)]
    lower, upper = interval(members, held_out_of(outputs, y, groups), 0.8, ())
    centers, errors = np.array(members)[groups, :, 0], abs(y - outputs)
    np.testing.assert_allclose(upper[:, 0], np.sort(centers + errors, axis=0)[31])  # ceil(0.8 x 40) - 1
    np.testing.assert_allclose(lower[:, 0], np.sort(centers - errors, axis=0)[7])


def test_an_interval_between_quantiles_may_shrink():
    y = np.linspace(-1, 1, 99)[:, None]
    held_out = held_out_of(np.tile([-5.0, 0.0, 5.0], (99, 1)), y)
    lower, upper = interval([np.array([[-4.2, 0.0, 4.2]])], held_out, 0.9, (0.05, 0.5, 0.95))
    np.testing.assert_allclose([lower, upper], [[[-0.1]], [[0.1]]], atol=0.05)  # they lie 4.1 within
    lower, upper = interval([np.array([[-1.0, 0.0, 1.0]])], held_out, 0.9, (0.05, 0.5, 0.95))
    np.testing.assert_allclose(lower, upper)  # and never cross


def test_a_weight_of_two_is_two_rows_held_out():
    y = RNG.normal(size=(30, 1))
    weights = RNG.integers(1, 4, 30).astype(float)
    twice = np.repeat(y, weights.astype(int), axis=0)
    one = interval([np.zeros((1, 1))], held_out_of(np.zeros_like(y), y, weights=weights), 0.7, ())
    other = interval([np.zeros((1, 1))], held_out_of(np.zeros_like(twice), twice), 0.7, ())
    np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("loss", [{}, QUANTILES], ids=["squared error", "quantiles"])
@pytest.mark.parametrize("size", [1, 4])
def test_intervals_cover_what_they_promise(loss, size):
    settings = SMALL | loss | {"epochs": 30, "validation_fraction": 0.2, "early_stopping": True}
    mlp = plain_regressor(**settings, ensemble_size=size).fit(X_NOISE[:400], Y_NOISE[:400])
    for coverage in (0.5, 0.9):
        lower, upper = mlp.predict_interval(X_NOISE[400:], coverage)
        assert lower.shape == upper.shape == (200,)
        assert np.all(lower <= upper)
        assert np.mean((lower <= Y_NOISE[400:]) & (Y_NOISE[400:] <= upper)) == pytest.approx(coverage, abs=0.08)
    same = pickle.loads(pickle.dumps(mlp)).predict_interval(X_NOISE[400:])
    np.testing.assert_array_equal(same, [lower, upper])
    if loss:
        assert np.corrcoef(upper - lower, X_NOISE[400:, 1])[0, 1] > 0.8


def test_each_column_of_y_has_an_interval_in_its_units():
    settings = SMALL | {"ensemble_size": 4, "early_stopping": True}
    of_one, of_other = (plain_regressor(**settings).fit(X, y).predict_interval(X) for y in (Y, 1e6 + 1000 * Y))
    np.testing.assert_allclose(of_other[1] - of_other[0], 1000 * (of_one[1] - of_one[0]), rtol=1e-2)
    both = np.c_[Y, 1e6 + 1000 * Y]
    lower, upper = plain_regressor(**settings).fit(X, both).predict_interval(X)
    assert lower.shape == upper.shape == (160, 2)
    assert np.all(np.mean((lower <= both) & (both <= upper), axis=0) > 0.8)


def test_intervals_of_a_model_of_ones_own_and_of_rows_that_the_user_holds_out():
    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    mlp = plain_regressor(build, epochs=2, learning_rate=0.1, normalize_y=True, random_state=0, ensemble_size=2)
    lower, upper = mlp.fit(X[60:], Y[60:], X_val=X[:60], y_val=Y[:60]).predict_interval(X)
    width = np.quantile(abs(mlp.predict(X[:60]) - Y[:60]), np.ceil(0.9 * 61) / 60, method="inverted_cdf")
    np.testing.assert_allclose(upper - lower, 2 * width, rtol=1e-4)  # one group, whose limits lie around its mean
    np.testing.assert_allclose((upper + lower) / 2, mlp.predict(X), rtol=1e-4, atol=1e-3)


def test_no_interval_without_rows_that_networks_have_not_been_trained_on():
    needs = pytest.raises(ValueError, match="predict_interval needs held-out rows")
    mlp = plain_regressor(**SMALL | {"early_stopping": False})
    with needs:
        mlp.fit(X, Y).predict_interval(X)
    mlp = plain_regressor(**SMALL, warm_start=True).fit(X, Y)
    mlp.predict_interval(X)
    mlp.fit(X, Y).predict_interval(X)  # the same rows once more
    with needs:
        mlp.set_params(random_state=1).fit(X, Y).predict_interval(X)
    for first, then in [
        (slice(None), slice(None, None, -1)),
        (slice(0, -20), slice(None)),
        (slice(None), slice(0, -20)),
    ]:
        mlp = plain_regressor(**SMALL, warm_start=True).fit(X[first], Y[first]).fit(X[then], Y[then])
        with needs:
            mlp.predict_interval(X, coverage=0.5)
    mlp = plain_regressor(**SMALL, warm_start=True).fit(X[:-40], Y[:-40], X_val=X[-20:], y_val=Y[-20:])
    mlp.fit(X[:-20], Y[:-20], X_val=X[-20:], y_val=Y[-20:]).predict_interval(X)  # the same rows, which never train
    mlp = plain_regressor(**SMALL).fit(X, Y).partial_fit(X, Y)
    with needs:
        mlp.predict_interval(X)


def test_no_interval_where_held_out_rows_have_joined_the_others():
    y = X @ [1.0, 2.0, 3.0, 4.0]  # next to nothing is left to explain
    settings = SMALL | {"epochs": 60, "learning_rate": 0.03, "validation_fraction": 0.2, "lr_schedule": "cosine"}
    mlp = plain_regressor(**settings, early_stopping="auto").fit(X, y)
    assert np.isnan(mlp.history_["val_loss"][-1])
    with pytest.raises(ValueError, match="once they have joined the others"):
        mlp.predict_interval(X)


@pytest.mark.parametrize("coverage", [0, 1, -0.1, np.nan, "0.9", None])
def test_coverage_that_is_none(coverage):
    mlp = plain_regressor(**SMALL).fit(X, Y)
    with pytest.raises(ValueError, match=r"'coverage' parameter must be a float in \(0, 1\)"):
        mlp.predict_interval(X, coverage)


def test_coverage_of_too_few_rows():
    mlp = plain_regressor(**SMALL).fit(X[:50], Y[:50])
    with pytest.raises(ValueError, match=r"'coverage' parameter must be at most 0.833 with so few held-out rows .5."):
        mlp.predict_interval(X)
    assert mlp.predict_interval(X, 0.8)[0].shape == (160,)


def test_no_more_rows_are_kept_than_a_quantile_needs(monkeypatch):
    whole = plain_regressor(**SMALL, ensemble_size=4).fit(X, Y)
    assert len(whole._fitted.held_out.y) == 32
    monkeypatch.setattr("sk_mlp._estimator.calibration.MOST_ROWS", 10)
    part = plain_regressor(**SMALL, ensemble_size=4).fit(X, Y)
    assert len(part._fitted.held_out.y) <= 10
    assert part._fitted.held_out.weights.sum() == pytest.approx(32)
