"""Dropout that adapts to how noisy y is."""

import numpy as np
import pytest
from plain import plain_regressor
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss

from sk_mlp import PLAIN_MLP, KerasMLPClassifier
from sk_mlp._targets.dropout import by_unexplained_share
from sk_mlp.engine.run import STALL

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 4)).astype(np.float32)
NOISE = rng.standard_normal(300)
EXACT = X @ np.array([1.0, -2.0, 0.5, 0.0])
SETTINGS = {"n_hidden": 1, "n_neurons": 32, "epochs": 16, "patience": 16, "learning_rate": 1e-2, "random_state": 0}


def histories(y, **settings):
    """Training losses with "auto" and without dropout."""
    fits = [plain_regressor(**SETTINGS | settings, dropout=rate).fit(X, y) for rate in ("auto", 0.0)]
    return [np.array(fit.history_["loss"]) for fit in fits]


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_dropout_begins_when_noisy_targets_are_overfitted(engine):
    with_auto, without = histories(NOISE, engine=engine)
    differs = ~np.isclose(with_auto, without, rtol=1e-4)
    assert not differs[: STALL + 1].any()
    assert differs[-3:].all()
    assert (with_auto[-3:] > without[-3:]).all()


def test_targets_that_are_fitted_nearly_exactly_get_no_dropout():
    with_auto, without = histories(EXACT)
    np.testing.assert_allclose(with_auto, without, rtol=1e-4)


@pytest.mark.parametrize("settings", [{"early_stopping": False}, {"loss": "mae"}, {"normalize_y": False}])
def test_without_a_share_of_variance_to_follow_auto_is_no_dropout(settings):
    with_auto, without = histories(NOISE, **settings)
    np.testing.assert_allclose(with_auto, without, rtol=1e-5)


def test_training_goes_on_where_auto_no_longer_adapts():
    mlp = plain_regressor(**SETTINGS | {"dropout": "auto", "epochs": 2}, warm_start=True).fit(X, NOISE)
    mlp.set_params(early_stopping=False).fit(X, NOISE)
    mlp.set_params(loss="mae").fit(X, NOISE)
    mlp.partial_fit(X, NOISE)


def test_a_member_of_an_ensemble_follows_its_own_rows():
    settings = SETTINGS | {"dropout": "auto", "ensemble_size": 2}
    once, again = (plain_regressor(**settings).fit(X, NOISE).predict(X) for _ in range(2))
    np.testing.assert_array_equal(once, again)


LABELS = {
    "binary": np.where(EXACT > 0, "b", "a"),
    "multiclass": np.digitize(EXACT, [-1, 1]),
    "multilabel": np.column_stack([EXACT > 0, X[:, 0] > 1]).astype(int),
}


def classifier(**settings):
    return KerasMLPClassifier(**PLAIN_MLP | SETTINGS | {"epochs": 6, "optimizer": "adam"} | settings)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("kind", LABELS)
def test_a_classifier_drops_by_the_share_of_the_loss_that_is_left(kind, engine, monkeypatch):
    rates, shares = [], []

    def recorded(of_constant, losses, has_stalled):
        shares.append(min(losses, default=np.nan) / of_constant)
        rates.append(by_unexplained_share(of_constant, losses, has_stalled))
        return rates[-1]

    monkeypatch.setattr("sk_mlp._targets.labels.by_unexplained_share", recorded)
    mlp = classifier(dropout="auto", engine=engine).fit(X, LABELS[kind])
    frequencies = DummyClassifier(strategy="prior").fit(X, LABELS[kind]).predict_proba(X)
    if kind == "multilabel":
        frequencies = np.column_stack([p[:, 1] for p in frequencies])
        constant = np.mean([log_loss(LABELS[kind][:, i], frequencies[:, i]) for i in range(2)])
    else:
        constant = log_loss(LABELS[kind], frequencies)
    expected = np.minimum.accumulate(mlp.history_["val_loss"]) / constant
    np.testing.assert_allclose(shares[1 : len(expected)], expected[:-1], rtol=0.02)  # of other rows: the training part
    assert rates[0] == 0.1
    np.testing.assert_allclose(rates[1:], 0.25 * np.array(shares[1:]))


def test_dropout_of_a_classifier_that_has_learned_nothing_yet():
    assert by_unexplained_share(0.7, [0.8, 0.69], False) == 0.1
    assert by_unexplained_share(0.7, [0.8, 0.68], False) == pytest.approx(0.25 * 0.68 / 0.7)
    assert by_unexplained_share(0.0, [0.1], False) == 0.1, "one class only"


def test_a_classifier_finds_a_checkerboard():
    X = np.random.default_rng(0).random((4000, 6))
    y = (np.floor(X[:, :2] * 6).sum(axis=1) % 2).astype(int)
    mlp = KerasMLPClassifier(ensemble_size=2, random_state=0).fit(X[:3000], y[:3000])
    assert mlp.score(X[3000:], y[3000:]) > 0.9


@pytest.mark.parametrize(
    "settings", [{"early_stopping": False}, {"label_smoothing": 0.1}, {"loss": "binary_focal_crossentropy"}]
)
def test_without_a_cross_entropy_to_follow_a_classifier_drops_a_tenth(settings):
    fits = [classifier(dropout=rate, **settings).fit(X, LABELS["binary"]) for rate in ("auto", 0.1)]
    np.testing.assert_allclose(*(fit.history_["loss"] for fit in fits), rtol=1e-5)


def test_partial_fit_of_a_classifier_drops_a_tenth():
    fits = [classifier(dropout=rate).partial_fit(X, LABELS["binary"], ["a", "b"]) for rate in ("auto", 0.1)]
    np.testing.assert_allclose(*(fit.predict_proba(X) for fit in fits), rtol=1e-5)
