"""scikit-learn's grid search over each parameter: two of its values give two scores, and the better one is refitted."""

import inspect
import warnings

import keras
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((160, 5))
X[:, 4] = RNG.integers(0, 3, 160)
WITH_GAPS = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
Y = X[:, 0] * 2 + np.sin(3 * X[:, 1]) + (X[:, 4] == 1) + 0.3 * RNG.standard_normal(160)
LABELS = np.digitize(Y, [-1, 1])
SMALL = {"n_hidden": 2, "n_neurons": 8, "epochs": 4, "random_state": 0, "learning_rate": 1e-2}


def build_tanh(meta):
    return keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )


def build_relu(meta):
    return keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
    )


def build_two(meta):
    parts = [keras.Input((2,)), keras.Input((2,))]
    return keras.Model(parts, keras.layers.Dense(1)(keras.layers.Dense(8, "relu")(parts[0]) + parts[1][:, :1]))


# Two values of each parameter, and what else it needs to matter.
REGRESSION = {
    "model": ([build_tanh, build_relu], {"n_hidden": "auto", "n_neurons": "auto"}),
    "categorical_features": ([None, [4]], {"input_scaling": "robust"}),
    "handle_missing": (["indicator", "impute"], {"input_scaling": "robust"}),
    "input_scaling": (["robust", "standard"], {}),
    "numerical_embedding": (["plr", "ple"], {"input_scaling": "robust"}),
    "learned_scale": ([False, True], {"input_scaling": "robust"}),
    "n_hidden": ([1, 3], {}),
    "n_neurons": ([4, 9], {}),
    "hidden_layer_sizes": ([(8, 4), (8, 5)], {"n_neurons": 128}),
    "activation": (["relu", "tanh"], {}),
    "parametric_activation": ([False, True], {}),
    "dropout": ([0.0, 0.3], {}),
    "batch_norm": ([False, True], {}),
    "kernel_initializer": (["auto", "random_normal"], {}),
    "skip_connection": ([False, True], {}),
    "wide_features": ([None, [0, 1]], {"skip_connection": True}),
    "deep_features": ([None, slice(0, 3)], {}),
    "aux_output": ([False, True], {}),
    "aux_loss_weight": ([0.1, 0.5], {"aux_output": True}),
    "input_columns": ([([0, 1], [2, 3]), ([1, 2], [3, 4])], {"model": build_two}),
    "init_from": ([None, "fitted"], {}),
    "init_layers": ([1, 2], {"init_from": "fitted"}),
    "frozen_epochs": ([0, 2], {"init_from": "fitted"}),
    "pretrain": ([None, "autoencoder"], {}),
    "optimizer": (["adam", "rmsprop"], {}),
    "learning_rate": ([1e-3, 1e-2], {}),
    "weight_decay": ([0.0, 1.0], {}),
    "lr_schedule": ([None, "cosine"], {}),
    "clip_norm": ([None, 0.1], {}),
    "ema_momentum": ([None, 0.8], {}),
    "batch_size": ([16, 50], {}),
    "epochs": ([2, 5], {}),
    "early_stopping": ([False, True], {}),
    "validation_fraction": ([0.1, 0.4], {}),
    "hold_out": (["random", "last"], {}),
    "patience": ([1, 10], {"learning_rate": 0.3, "epochs": 12}),
    "min_delta": ([0.0, 10.0], {}),
    "monitor": (["val_loss", "val_mae"], {"metrics": ["mae"], "learning_rate": 0.1, "epochs": 30, "patience": 30}),
    "shuffle": ([False, True], {}),
    "loss": (["mse", "mae"], {}),
    "callbacks": ([None, [keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=1)]], {}),
    "ensemble_size": ([1, 2], {}),
    "random_state": ([0, 1], {}),
    "normalize_y": ([False, True], {}),
}
CLASSIFICATION = {
    "class_weight": ([None, {0: 5.0, 1: 1.0, 2: 1.0}], {}),
    "label_smoothing": ([0.0, 0.4], {}),
    "calibrate": ([False, True], {"learning_rate": 0.1, "epochs": 12}),
}
NOT_SEARCHED = {"metrics", "engine", "warm_start", "verbose"}  # change nothing of what is trained


def fitted():
    source = plain_regressor(**SMALL | {"random_state": 7}).fit(X, Y)
    return FrozenEstimator(source)  # a plain estimator would be unfitted by the search's clones


def search_over(estimator, y, scoring, name, values, more):
    rows = WITH_GAPS if name == "handle_missing" else X
    values, more = [fitted() if v == "fitted" else v for v in values], dict(more)
    if more.get("init_from") == "fitted":
        more["init_from"] = fitted()
    search = GridSearchCV(estimator(**SMALL | more), {name: values}, cv=2, scoring=scoring, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(rows, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    assert search.best_score_ == scores.max()


@pytest.mark.parametrize("name", REGRESSION)
def test_of_a_regressor(name, no_xla):
    search_over(plain_regressor, Y, "neg_mean_squared_error", name, *REGRESSION[name])


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_of_a_classifier(name, no_xla):
    search_over(plain_classifier, LABELS, "neg_log_loss", name, *CLASSIFICATION[name])


def test_no_parameter_is_left_out():
    for estimator in KerasMLPClassifier, KerasMLPRegressor:
        names = {p.name for p in inspect.signature(estimator).parameters.values() if p.kind != p.VAR_KEYWORD}
        assert names <= {*REGRESSION, *CLASSIFICATION, *NOT_SEARCHED}
