"""Each parameter reaches what is trained, by either engine alike, and can be searched."""

import keras
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor
from sk_mlp.engine.predict import ACTIVATIONS
from sk_mlp.model_selection import one_minus

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 6))
Y = X[:, 0] * 2 + np.sin(3 * X[:, 1]) + 0.3 * RNG.standard_normal(300)
LABELS = np.digitize(Y, [-1, 1])
SMALL = {"n_neurons": 12, "epochs": 3, "random_state": 0, "learning_rate": 1e-2, "shuffle": False}

REGRESSION = {
    "kernel_initializer": {"kernel_initializer": "random_normal"},
    "skip_connection": {"skip_connection": True},
    "skip_connection with norm": {"skip_connection": True, "batch_norm": True},
    "clip_norm": {"clip_norm": 0.1},
    "step": {"lr_schedule": "step", "lr_schedule__every": 1},
    "exponential": {"lr_schedule": "exponential", "lr_schedule__over": 2},
    "cosine": {"lr_schedule": "cosine"},
    "one_cycle": {"lr_schedule": "one_cycle", "optimizer": "sgd", "optimizer__momentum": 0.9},
    "plateau": {"lr_schedule": "plateau", "lr_schedule__patience": 1, "learning_rate": 0.5},
    "function": {"lr_schedule": lambda epoch: 0.5**epoch},
    "keras schedule": {"lr_schedule": keras.optimizers.schedules.ExponentialDecay(0.02, 5, 0.5)},
    "mae": {"loss": "mae"},
    "huber": {"loss": "huber", "loss__delta": 0.5},
    "log_cosh": {"loss": "log_cosh"},
    "quantile": {"loss": "quantile:0.9"},
    "monitor": {"monitor": "val_mae", "metrics": ["mae", "mse"]},
    "batch_size": {"batch_size": 50},
    "sizes": {"hidden_layer_sizes": (12, 12, 12), "n_hidden": 3},
}
CLASSIFICATION = {
    "label_smoothing": {"label_smoothing": 0.2},
    "focal": {"loss": "categorical_focal_crossentropy", "loss__gamma": 3.0},
    "monitor": {"monitor": "val_accuracy", "metrics": ["accuracy"]},
    "class_weight": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}},
}


def cases():
    for cls, y, table in ((KerasMLPRegressor, Y, REGRESSION), (KerasMLPClassifier, LABELS, CLASSIFICATION)):
        for name, params in table.items():
            yield pytest.param(cls(**SMALL | params), y, id=f"{cls.__name__}-{name}")


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "y"), list(cases()))
def test_engines_agree_and_the_parameter_acts(estimator, y):
    compiled = clone(estimator).set_params(engine="compiled").fit(X, y)
    by_keras = clone(estimator).set_params(engine="keras").fit(X, y)
    assert compiled.history_.keys() == by_keras.history_.keys()
    for name, values in by_keras.history_.items():
        np.testing.assert_allclose(compiled.history_[name], values, rtol=1e-4, err_msg=name)
    assert compiled.best_epoch_ == by_keras.best_epoch_
    plain = type(estimator)(**SMALL).fit(X, y)
    assert plain.history_ != compiled.history_
    output = compiled.model_.predict(X, verbose=0)
    ours = compiled.predict_proba(X) if hasattr(compiled, "predict_proba") else compiled.predict(X)[:, None]
    np.testing.assert_allclose(ours, output, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"exponential", "linear", "softmax"}))
def test_every_activation_predicts_as_its_keras_model(activation):
    estimator = KerasMLPRegressor(**SMALL | {"epochs": 1, "activation": activation}).fit(X, Y)
    np.testing.assert_allclose(estimator.predict(X), estimator.model_.predict(X, verbose=0)[:, 0], atol=1e-4)


def test_schedules_reach_the_history():
    rates = KerasMLPRegressor(**SMALL | {"lr_schedule": "step", "lr_schedule__every": 1}).fit(X, Y).history_
    np.testing.assert_allclose(rates["learning_rate"], [1e-2, 5e-3, 2.5e-3])


def test_monitored_metric_chooses_the_epoch():
    settings = SMALL | {"epochs": 15, "metrics": ["accuracy"], "monitor": "val_accuracy", "learning_rate": 0.1}
    fitted = KerasMLPClassifier(**settings).fit(X, LABELS)
    assert fitted.best_epoch_ == np.argmax(fitted.history_["val_accuracy"])


def test_quantile_loss_finds_the_quantile():
    settings = SMALL | {"epochs": 30, "loss": "quantile:0.9", "early_stopping": False, "shuffle": True}
    fitted = KerasMLPRegressor(**settings).fit(X, Y)
    assert 0.8 < np.mean(fitted.predict(X) > Y) < 0.97


def test_poisson_loss_is_of_counts():
    counts = np.random.default_rng(0).poisson(100 * np.exp(0.5 * X[:, 0]))
    fitted = KerasMLPRegressor(**SMALL | {"loss": "poisson", "epochs": 20}).fit(X, counts)
    assert fitted.score(X, counts) > 0.7
    assert (fitted.predict(10 * X) > 0).all()
    np.testing.assert_allclose(fitted.predict(X), fitted.model_.predict(X, verbose=0)[:, 0], rtol=1e-4)
    with pytest.raises(ValueError, match=r"y must be at least 0, and not 0 throughout, for loss='poisson'\. Got -1"):
        fitted.fit(X, counts - counts.min() - 1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel_initializer": "he_norml"}, r"Got 'he_norml' instead. Did you mean 'he_normal'"),
        ({"lr_schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"lr_schedule": lambda epoch: -1.0}, "The 'lr_schedule' parameter must give finite factors of at least 0"),
        ({"clip_norm": 0}, "The 'clip_norm' parameter"),
        ({"monitor": "val_mae"}, r"The 'monitor' parameter must be one of \['val_loss'\]. Got 'val_mae'"),
        ({"monitor": "loss"}, "The 'monitor' parameter"),
        ({"loss": "quantile:x"}, r"must be of the form 'quantile:0.9'. Got 'quantile:x'"),
        ({"loss": "quantile:2"}, r"quantile must be a float in \(0, 1\). Got 2.0"),
        ({"batch_size": "automatic"}, "The 'batch_size' parameter"),
    ],
)
def test_bad_values(params, message):
    with pytest.raises(ValueError, match=message):
        KerasMLPRegressor(**SMALL | params).fit(X, Y)


def test_label_smoothing_needs_columns():
    settings = SMALL | {"label_smoothing": 0.1, "loss": "sparse_categorical_crossentropy"}
    with pytest.raises(ValueError, match=r"label_smoothing=0.1 needs a loss of a column a class"):
        KerasMLPClassifier(**settings).fit(X, LABELS)


def test_grid_search_over_names():
    grid = {"lr_schedule": [None, "cosine"], "skip_connection": [False, True], "clip_norm": [None, 1.0]}
    search = GridSearchCV(KerasMLPRegressor(**SMALL), grid, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) > 3


def test_random_search_over_betas():
    space = {"optimizer__beta_1": one_minus(loguniform(1e-2, 0.5)), "label_smoothing": [0.05, 0.1]}
    search = RandomizedSearchCV(KerasMLPClassifier(**SMALL), space, n_iter=4, cv=2, random_state=0).fit(X, LABELS)
    assert len(set(search.cv_results_["mean_test_score"])) > 1


def test_one_minus():
    draws = one_minus(loguniform(1e-3, 1e-1)).rvs(size=2000, random_state=0)
    assert 0.9 <= draws.min() <= draws.max() <= 0.999
    assert abs(np.median(draws) - 0.99) < 1e-3
    with pytest.raises(TypeError, match="must have a method 'rvs'"):
        one_minus(0.9)
