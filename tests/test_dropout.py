"""Dropout that adapts to how noisy y is."""

import numpy as np
import pytest
from plain import plain_regressor

from sk_mlp import KerasMLPClassifier
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


def test_a_classifier_wants_a_number():
    with pytest.raises(ValueError, match="The 'dropout' parameter of KerasMLPClassifier"):
        KerasMLPClassifier(dropout="auto").fit(X, NOISE > 0)
