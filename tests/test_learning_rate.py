"""The learning-rate finder."""

import keras
import numpy as np
import pytest
from optional import mpl
from plain import plain_classifier, plain_regressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import KerasMLPRegressor
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.model_selection import find_learning_rate
from sk_mlp.model_selection._learning_rate import median_of, sweep_of

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 6))
Y = X @ RNG.standard_normal(6) + 0.3 * RNG.standard_normal(300)
LABELS = np.digitize(Y, [-1, 1])
NET = {"n_hidden": 2, "n_neurons": 12, "optimizer": "sgd", "batch_size": 300, "random_state": 0}
SWEEP = {"min_lr": 1e-4, "max_lr": 100.0, "n_steps": 60}


def regressor(**params):
    return plain_regressor(**NET | params)


@pytest.fixture(scope="module")
def sweep():
    return find_learning_rate(regressor(), X, Y, **SWEEP)


def test_shapes_and_values(sweep):
    np.testing.assert_allclose(sweep.learning_rates, np.geomspace(1e-4, 100, 60))
    assert sweep.losses.shape == sweep.smoothed_losses.shape == (60,)
    assert sweep.losses.dtype == sweep.smoothed_losses.dtype == np.float64
    assert isinstance(sweep.suggestion, float)
    assert np.isfinite(sweep.losses[:20]).all()


def test_sgd_blows_up_and_a_tenth_of_that_is_suggested(sweep):
    assert 0.01 < sweep.blow_up < 20
    assert sweep.suggestion == sweep.blow_up / 10
    assert sweep.blow_up in sweep.learning_rates
    later = sweep.learning_rates > sweep.blow_up
    assert not (sweep.losses[later] < sweep.losses[0]).all()
    assert sweep.smoothed_losses[sweep.learning_rates < sweep.blow_up].min() < 0.9 * sweep.losses[0]


def test_the_losses_are_those_of_the_steps_of_a_fit():
    """At rates too small to change anything, one epoch's steps have the mean loss of an epoch of a fit."""
    mlp = regressor(batch_size=30, learning_rate=1e-9)
    tiny = find_learning_rate(mlp, X, Y, min_lr=1e-9, max_lr=2e-9, n_steps=10, n_sweeps=1)  # ten batches
    np.testing.assert_allclose(tiny.losses.mean(), mlp.partial_fit(X, Y).history_["loss"][0], rtol=1e-5)


@pytest.mark.parametrize("n_steps", [10, 60])
def test_no_blow_up_at_rates_that_change_nothing(n_steps):
    """The noise of small batches is none."""
    tiny = find_learning_rate(regressor(batch_size=30), X, Y, min_lr=1e-9, max_lr=2e-9, n_steps=n_steps)
    assert tiny.blow_up is None
    assert tiny.suggestion == 1e-9  # none below those that were tried


def test_reproducible_and_by_the_seed(sweep):
    again, other = (find_learning_rate(regressor(random_state=seed), X, Y, **SWEEP) for seed in (0, 1))
    np.testing.assert_array_equal(again.losses, sweep.losses)
    assert not np.array_equal(other.losses, sweep.losses)
    by_argument = find_learning_rate(regressor(random_state=1), X, Y, **SWEEP, random_state=0)
    np.testing.assert_array_equal(by_argument.losses, sweep.losses)


def test_the_median_of_several_sweeps():
    losses = [find_learning_rate(regressor(random_state=seed), X, Y, **SWEEP, n_sweeps=1).losses for seed in (0, 1)]
    assert not np.array_equal(*losses)
    of_sweeps = np.array([[1.0, 5.0, np.nan], [2.0, np.inf, np.nan], [3.0, 4.0, 1.0]])
    np.testing.assert_array_equal(median_of(of_sweeps), [2.0, 5.0, np.nan])
    np.testing.assert_array_equal(median_of(of_sweeps[:2, :2]), [1.5, np.nan])


def test_a_twentieth_for_other_optimizers():
    found = find_learning_rate(regressor(optimizer="adam"), X, Y, **SWEEP)
    assert found.suggestion == found.blow_up / 20


def test_the_estimator_stays_as_it_was():
    mlp = regressor(epochs=1).fit(X, Y)
    before, params, fitted = mlp.predict(X), mlp.get_params(), set(vars(mlp))
    find_learning_rate(mlp, X, Y, **SWEEP)
    np.testing.assert_array_equal(mlp.predict(X), before)
    assert mlp.get_params() == params
    assert set(vars(mlp)) == fitted
    unfitted = regressor()
    find_learning_rate(unfitted, X, Y, **SWEEP)
    assert not hasattr(unfitted, "n_features_in_")


def test_the_estimators_learning_rate_and_schedule_do_not_count(sweep):
    other = find_learning_rate(regressor(learning_rate=3.0, lr_schedule="step"), X, Y, **SWEEP)
    np.testing.assert_array_equal(other.losses, sweep.losses)


def test_sample_weight_counts(sweep):
    weights = np.where(Y > 0, 5.0, 1.0)
    weighted = find_learning_rate(regressor(), X, Y, weights, **SWEEP)
    assert not np.array_equal(weighted.losses, sweep.losses)
    same = find_learning_rate(regressor(), X, Y, np.full(300, 3.0), **SWEEP)
    np.testing.assert_allclose(same.losses[:20], sweep.losses[:20], rtol=1e-5)


def test_in_a_pipeline(sweep):
    pipeline = make_pipeline(StandardScaler(), regressor())
    found = find_learning_rate(pipeline, 100 * X + 1000, Y, **SWEEP)
    by_hand = find_learning_rate(regressor(), StandardScaler().fit_transform(100 * X + 1000), Y, **SWEEP)
    np.testing.assert_array_equal(found.losses, by_hand.losses)
    assert not hasattr(pipeline[0], "mean_")
    np.testing.assert_array_equal(find_learning_rate(make_pipeline(regressor()), X, Y, **SWEEP).losses, sweep.losses)


def test_a_classifier():
    mlp = plain_classifier(**NET, label_smoothing=0.1)
    found = find_learning_rate(mlp, X, LABELS, **SWEEP)
    assert 0.002 < found.suggestion < 10
    assert found.losses[0] == pytest.approx(np.log(3), rel=0.8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_lr": 0.0}, "The 'min_lr' parameter"),
        ({"max_lr": -1.0}, "The 'max_lr' parameter"),
        ({"min_lr": 1.0, "max_lr": 1.0}, "max_lr must be greater than min_lr. Got min_lr=1.0 and max_lr=1.0"),
        ({"n_steps": 9}, "The 'n_steps' parameter"),
        ({"n_steps": 20.5}, "The 'n_steps' parameter"),
        ({"n_sweeps": 0}, "The 'n_sweeps' parameter"),
        ({"random_state": "x"}, "The 'random_state' parameter"),
        (
            {"estimator": StandardScaler()},
            "The 'estimator' parameter must be a KerasMLPClassifier, a .* Got StandardSc",
        ),
        (
            {"estimator": make_pipeline(regressor(), StandardScaler())},
            "Pipeline that ends in one of them. Got Pipeline",
        ),
        ({"estimator": KerasMLPRegressor}, "The 'estimator' parameter must be .* Got <class"),
        ({"estimator": regressor(n_neurons=-1)}, "The 'n_neurons' parameter of KerasMLPRegressor"),
        ({"y": Y[:10]}, "inconsistent numbers of samples"),
        ({"estimator": regressor(handle_missing="error"), "X": np.where(X > 2, np.nan, X)}, "contains NaN"),
        ({"sample_weight": np.zeros(300)}, "at least one non-zero"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_learning_rate(**{"estimator": regressor(), "X": X, "y": Y} | arguments)


@pytest.mark.parametrize(
    "params", [{"optimizer__loss_scale_factor": 2.0}, {"loss": keras.losses.MeanSquaredError(reduction="sum")}]
)
def test_what_cannot_be_compiled(params):
    with pytest.raises(NotCompilableError, match="find_learning_rate needs the compiled engine, which cannot train"):
        find_learning_rate(regressor(**params), X, Y)


def test_a_loss_that_is_never_finite():
    with pytest.raises(ValueError, match=r"The loss was not finite at the smallest rate, min_lr=.*0.1.*Got nan"):
        sweep_of(np.array([0.1, 1.0]), np.array([np.nan, 1.0]), 0.1)


def test_no_longer_finite_is_a_blow_up():
    found = sweep_of(np.geomspace(0.1, 10, 20), np.r_[np.linspace(1, 0.5, 15), np.nan, np.full(4, 0.1)], 0.1)
    assert found.blow_up == found.learning_rates[15]
    assert np.isnan(found.losses[15:]).all()
    assert np.isnan(found.smoothed_losses[15:]).all()
    assert found.suggestion == pytest.approx(max(found.blow_up / 10, 0.1))


def test_a_blow_up_at_the_smallest_rates():
    """What is suggested is below all rates tried, rather than next to the blow-up."""
    found = sweep_of(np.geomspace(0.1, 10, 50), np.linspace(1, 50, 50), 0.05)
    assert found.blow_up < 1
    assert found.suggestion == pytest.approx(found.blow_up / 20)


def test_plot(sweep, tmp_path):
    mpl.use("Agg")
    ax = sweep.plot()
    assert ax.get_xscale() == "log"
    assert len(ax.lines) == 4
    ax.figure.savefig(tmp_path / "sweep.png")
    assert sweep.plot(ax) is ax
    mpl.pyplot.close(ax.figure)
