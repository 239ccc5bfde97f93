"""Each parameter reaches what is trained, by either engine alike, and can be searched."""

import functools

import keras
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor, prepared_task
from scipy.sparse import csr_array, issparse
from scipy.stats import loguniform
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor
from sk_mlp._estimator.given import GivenRows
from sk_mlp._keras.resolve import OPTIMIZERS, sign_of
from sk_mlp._network.activations import HIDDEN_ACTIVATIONS
from sk_mlp.model_selection import one_minus


def absolute_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 6))
Y = X[:, 0] * 2 + np.sin(3 * X[:, 1]) + 0.3 * RNG.standard_normal(300)
LABELS = np.digitize(Y, [-1, 1])
COUNTS = np.random.default_rng(0).poisson(10 * np.exp(0.5 * X[:, 0]))
SMALL = {"n_hidden": 2, "n_neurons": 12, "epochs": 3, "random_state": 0, "learning_rate": 1e-2, "shuffle": False}
FORMS = {
    "dense": X,
    "sparse": csr_array(np.where(np.abs(X) > 1, X, 0)),
    "uint8": np.clip(3 * X + 5, 0, 10).astype(np.uint8),
}
FITTED = "another estimator, fitted"  # stands for one until the test runs

OPTIMIZED = {
    **{name: {"optimizer": name} for name in sorted(set(OPTIMIZERS) - {"adam", "muon", "schedulefreeadamw"})},
    "momentum": {"optimizer": "sgd", "optimizer__momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "optimizer__momentum": 0.9, "optimizer__nesterov": True},
    "betas": {"optimizer__beta_1": 0.8, "optimizer__beta_2": 0.9},
    "amsgrad": {"optimizer__amsgrad": True, "learning_rate": 0.05},
    "centered rmsprop": {"optimizer": "rmsprop", "optimizer__centered": True, "optimizer__momentum": 0.5},
    "weight_decay": {"weight_decay": 1.0},
    "weight_decay with nadam": {"optimizer": "nadam", "weight_decay": 1.0},
    "clip_norm": {"clip_norm": 0.1},
    "ema_momentum": {"ema_momentum": 0.7},
}
SCHEDULED = {
    "step": {"lr_schedule": "step", "lr_schedule__every": 1},
    "step's factor": {"lr_schedule": "step", "lr_schedule__every": 1, "lr_schedule__factor": 0.3},
    "exponential": {"lr_schedule": "exponential", "lr_schedule__over": 2},
    "cosine": {"lr_schedule": "cosine"},
    "cosine's end": {"lr_schedule": "cosine", "lr_schedule__final": 0.5},
    "one_cycle": {"optimizer": "sgd", "optimizer__momentum": 0.9, "lr_schedule": "one_cycle"},
    "one_cycle's peak": {"lr_schedule": "one_cycle", "lr_schedule__peak": 0.2},
    "plateau": {"lr_schedule": "plateau", "lr_schedule__patience": 1, "learning_rate": 2.0},
    "function": {"lr_schedule": lambda epoch: 0.5**epoch},
    "keras schedule": {"lr_schedule": keras.optimizers.schedules.ExponentialDecay(0.02, 5, 0.5)},
}
NETWORK = {
    "normalize_y": {"normalize_y": False},
    "kernel_initializer": {"kernel_initializer": "random_normal"},
    "activation": {"activation": "tanh"},
    "batch_norm": {"batch_norm": True},
    "sizes": {"hidden_layer_sizes": (12, 12, 12), "n_hidden": 3},
    "skip_connection": {"skip_connection": True},
    "wide_features": {"skip_connection": True, "wide_features": [4, 0]},
    "deep_features": {"deep_features": slice(2, 6)},
    "wide and deep features": {"skip_connection": True, "wide_features": slice(0, 4), "deep_features": [1, 5, 2]},
    "aux_output": {"aux_output": True, "metrics": ["mae"]},
    "aux_loss_weight": {"aux_output": True, "aux_loss_weight": 0.4},
    "aux_output of deep features": {
        "aux_output": True,
        "aux_loss_weight": 0.3,
        "skip_connection": True,
        "wide_features": slice(0, 4),
        "deep_features": slice(2, 6),
        "batch_norm": True,
    },
    "init_from": {"init_from": FITTED},
    "init_layers": {"init_from": FITTED, "init_layers": 1},
    "frozen_epochs": {"init_from": FITTED, "frozen_epochs": 1},
    "ema_momentum of frozen layers": {"init_from": FITTED, "frozen_epochs": 2, "ema_momentum": 0.7},
    "always frozen with norm": {"init_from": FITTED, "frozen_epochs": np.inf, "batch_norm": True},
    "pretrain": {"pretrain": "autoencoder", "pretrain__epochs": 2},
}
REGRESSION = {
    **OPTIMIZED,
    **SCHEDULED,
    **NETWORK,
    "mse": {"loss": "mse"},
    "mae": {"loss": "mae"},
    "huber": {"loss": "huber", "loss__delta": 0.5},
    "log_cosh": {"loss": "log_cosh"},
    "quantile": {"loss": "quantile:0.9"},
    "function of loss": {"loss": absolute_loss},
    "monitor": {"monitor": "val_mae", "metrics": ["mae", "mse"]},
    "batch_size": {"batch_size": 50},
}
CLASSIFICATION = {
    "sparse cross-entropy": {"loss": "sparse_categorical_crossentropy"},
    "cross-entropy": {"loss": "categorical_crossentropy"},
    "label_smoothing": {"label_smoothing": 0.2},
    "focal": {"loss": "focal"},
    "focal's gamma": {"loss": "focal", "loss__gamma": 3.0},
    "focal and label_smoothing": {"loss": "focal", "label_smoothing": 0.1},
    "monitor": {"monitor": "val_accuracy", "metrics": ["accuracy"]},
    "class_weight": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}},
    "balanced": {"class_weight": "balanced"},
    "aux_output": {"aux_output": True, "aux_loss_weight": 0.3, "label_smoothing": 0.1, "metrics": ["accuracy"]},
    "frozen_epochs": {"init_from": FITTED, "frozen_epochs": 1},
    "pretrain": {"pretrain": "autoencoder", "pretrain__epochs": 2, "pretrain__learning_rate": 3e-3},
}
MULTILABEL = {
    "label_smoothing": {"label_smoothing": 0.2},
    "focal and label_smoothing": {"loss": "focal", "label_smoothing": 0.2},
    "class_weight": {"class_weight": [{0: 1.0, 1: 3.0}, {1: 2.0}, {0: 0.5}]},
}
BINARY = {
    "cross-entropy": {"loss": "binary_crossentropy"},
    "focal": {"loss": "focal", "loss__gamma": 3.0},
    "label_smoothing": {"label_smoothing": 0.2},
    "aux_output": {"aux_output": True},
}
# What the parameter is held against, where that is not the plain network (all else that it needs, or a default).
AGAINST = {
    "step's factor": {"lr_schedule": "step", "lr_schedule__every": 1},
    "cosine's end": {"lr_schedule": "cosine"},
    "one_cycle": {"optimizer": "sgd", "optimizer__momentum": 0.9},
    "one_cycle's peak": {"lr_schedule": "one_cycle"},
    "momentum": {"optimizer": "sgd"},
    "nesterov": {"optimizer": "sgd", "optimizer__momentum": 0.9},
    "centered rmsprop": {"optimizer": "rmsprop", "optimizer__momentum": 0.5},
    "weight_decay with nadam": {"optimizer": "nadam"},
    "ema_momentum of frozen layers": {"init_from": FITTED, "frozen_epochs": 2},
    "amsgrad": {"learning_rate": 0.05},
    "plateau": {"learning_rate": 2.0},
    "adamw": {"optimizer": "sgd"},  # without a decay it is adam
    "wide_features": {"skip_connection": True},
    "aux_loss_weight": {"aux_output": True},
    "init_layers": {"init_from": FITTED},
    "frozen_epochs": {"init_from": FITTED},
    "always frozen with norm": {"init_from": FITTED, "batch_norm": True},
    "mse": {"loss": "mae"},
    "cross-entropy": {"loss": "focal"},
    "sparse cross-entropy": {"loss": "focal"},
    "focal's gamma": {"loss": "focal"},
    "focal and label_smoothing": {"loss": "focal"},
}


@functools.cache
def fitted(cls, batch_norm):
    """What ``init_from`` starts from: a classifier from a regressor, and the other way round."""
    other, y = (KerasMLPRegressor, Y) if cls is KerasMLPClassifier else (KerasMLPClassifier, LABELS)
    return other(**PLAIN_MLP | SMALL | {"random_state": 7, "epochs": 1, "batch_norm": batch_norm}).fit(X, y)


def estimator_of(cls, params, **more):
    if params.get("init_from") is FITTED:
        params = params | {"init_from": fitted(cls, params.get("batch_norm", False))}
    return cls(**PLAIN_MLP | SMALL | params | more)


def cases():
    tables = [
        (KerasMLPRegressor, Y, REGRESSION),
        (KerasMLPClassifier, LABELS, CLASSIFICATION),
        (KerasMLPClassifier, LABELS > 0, BINARY),
        (KerasMLPClassifier, np.column_stack([k == LABELS for k in range(3)]).astype(int), MULTILABEL),
        (KerasMLPRegressor, COUNTS, {"poisson": {"loss": "poisson"}}),
    ]
    for cls, y, table in tables:
        for name, params in table.items():
            kind = cls.__name__ + ("-binary" if y.dtype == bool else "-multilabel" if y.ndim > 1 else "")
            yield pytest.param(cls, params, y, AGAINST.get(name, {}), id=f"{kind}-{name}")


def assert_engines_agree(cls, params, X, y):
    """Fit by both engines and compare the histories, then the compiled one with its Keras model; and return it."""
    compiled = estimator_of(cls, params, engine="compiled").fit(X, y)
    by_keras = estimator_of(cls, params, engine="keras").fit(X, y)
    assert compiled.history_.keys() == by_keras.history_.keys()
    for name, values in by_keras.history_.items():
        np.testing.assert_allclose(compiled.history_[name], values, rtol=1e-4, err_msg=name)
    assert compiled.best_epoch_ == by_keras.best_epoch_
    rows = X.toarray() if issparse(X) else X
    output = compiled.model_(rows.astype(np.float32))  # not predict, which would take longer to trace than all else
    output = np.asarray(output[0] if isinstance(output, list) else output)  # the main one
    ours = compiled.predict_proba(X) if hasattr(compiled, "predict_proba") else compiled.predict(X)[:, None]
    np.testing.assert_allclose(ours[:, -output.shape[1] :], output, rtol=1e-3, atol=1e-4)
    return compiled


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "params", "y", "against"), list(cases()))
def test_engines_agree_and_the_parameter_acts(cls, params, y, against):
    compiled = assert_engines_agree(cls, params, X, y)
    plain = estimator_of(cls, against).fit(X, y)
    assert plain.history_["val_loss"] != compiled.history_["val_loss"] or "monitor" in params


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sparse", "uint8"])
@pytest.mark.parametrize(
    ("cls", "y", "name"),
    [
        (KerasMLPRegressor, Y, "batch_norm"),
        (KerasMLPRegressor, Y, "aux_output of deep features"),
        (KerasMLPRegressor, Y, "frozen_epochs"),
        (KerasMLPClassifier, LABELS, "label_smoothing"),
    ],
)
def test_engines_agree_on_rows_as_they_are(cls, y, name, form):
    params = (REGRESSION if cls is KerasMLPRegressor else CLASSIFICATION)[name]
    assert_engines_agree(cls, params, FORMS[form], y)


@pytest.mark.parametrize("activation", sorted(HIDDEN_ACTIVATIONS))
def test_every_activation_predicts_as_its_keras_model(activation):
    estimator = plain_regressor(**SMALL | {"epochs": 1, "activation": activation}).fit(X, Y)
    np.testing.assert_allclose(estimator.predict(X), estimator.model_(X.astype(np.float32))[:, 0], atol=1e-4)


def test_schedules_reach_the_history():
    rates = plain_regressor(**SMALL | {"lr_schedule": "step", "lr_schedule__every": 1}).fit(X, Y).history_
    np.testing.assert_allclose(rates["learning_rate"], [1e-2, 5e-3, 2.5e-3])


def test_monitored_metric_chooses_the_epoch():
    settings = SMALL | {"epochs": 15, "metrics": ["accuracy"], "monitor": "val_accuracy", "learning_rate": 0.1}
    fitted = plain_classifier(**settings).fit(X, LABELS)
    assert fitted.best_epoch_ == np.argmax(fitted.history_["val_accuracy"])


def test_quantile_loss_finds_the_quantile():
    settings = SMALL | {"epochs": 30, "loss": "quantile:0.9", "early_stopping": False, "shuffle": True}
    fitted = plain_regressor(**settings).fit(X, Y)
    assert 0.8 < np.mean(fitted.predict(X) > Y) < 0.97


def test_poisson_loss_is_of_counts():
    counts = np.random.default_rng(0).poisson(100 * np.exp(0.5 * X[:, 0]))
    fitted = plain_regressor(**SMALL | {"loss": "poisson", "epochs": 20}).fit(X, counts)
    assert fitted.score(X, counts) > 0.7
    assert (fitted.predict(10 * X) > 0).all()
    np.testing.assert_allclose(fitted.predict(X), fitted.model_.predict(X, verbose=0)[:, 0], rtol=1e-4)


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
        plain_regressor(**SMALL | params).fit(X, Y)


@pytest.mark.parametrize(
    "loss",
    [
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        keras.losses.CategoricalFocalCrossentropy(),
        keras.losses.categorical_crossentropy,
    ],
)
def test_a_loss_of_all_classes_is_refused_for_a_single_output(loss):
    with pytest.raises(
        ValueError, match="The 'loss' parameter must be a loss of a single output for binary y, such as"
    ):
        plain_classifier(**SMALL, loss=loss).fit(X, LABELS > 0)


@pytest.mark.parametrize(
    ("name", "rises"),
    [
        ("accuracy", True),
        ("my_accuracy", True),
        ("f1_score", True),
        ("auc_1", True),
        ("r2", True),
        ("jaccard_score", True),
        ("f1score", True),
        ("macrof1", True),
        ("d2_pinball_score", True),
        ("brier_skill_score", True),
        ("brier_score", False),
        ("error2", False),
        ("previous_step", False),
        ("mae", False),
    ],
)
def test_which_way_a_metric_of_the_users_goes(name, rises):
    metric = keras.metrics.MeanMetricWrapper(absolute_loss, name=name)
    assert sign_of(f"val_{name}", [metric], [f"val_{name}"]) == (-1 if rises else 1)


def test_a_monitored_figure_that_is_never_a_number():
    def nothing(y_true, y_pred):
        return keras.ops.full_like(y_pred[:, 0], np.nan)

    with pytest.warns(ConvergenceWarning, match="val_nothing was not a number after any epoch"):
        plain_regressor(**SMALL | {"metrics": [nothing], "monitor": "val_nothing"}).fit(X, Y)


def test_label_smoothing_needs_columns():
    settings = SMALL | {"label_smoothing": 0.1, "loss": "sparse_categorical_crossentropy"}
    with pytest.raises(ValueError, match=r"label_smoothing=0.1 needs a loss with a column for each class"):
        plain_classifier(**settings).fit(X, LABELS)


def test_labels_are_not_smoothed_twice():
    settings = SMALL | {"label_smoothing": 0.1, "loss": "categorical_crossentropy", "loss__label_smoothing": 0.2}
    with pytest.raises(ValueError, match=r"must not both be set\. Got a loss with label_smoothing=0\.2"):
        plain_classifier(**settings).fit(X, LABELS)


def test_poisson_loss_wants_counts():
    for y in (np.column_stack([COUNTS, 0 * COUNTS]), np.where(np.arange(300) == 7, -1, COUNTS)):
        with pytest.raises(ValueError, match="y must be at least 0 for loss='poisson', and not 0 in all"):
            plain_regressor(**SMALL, loss="poisson").fit(X, y)
    with pytest.raises(ValueError, match="y must be at least 0"):
        plain_regressor(**SMALL, loss="poisson").fit(X, COUNTS, X_val=X, y_val=-COUNTS)


@pytest.mark.parametrize("loss", [keras.losses.Poisson, keras.losses.MeanSquaredLogarithmicError])
def test_the_name_of_a_loss_says_nothing_of_it(loss):
    named, other = (plain_regressor(**SMALL, loss=loss(**name)).fit(X, COUNTS) for name in ({}, {"name": "mine"}))
    np.testing.assert_array_equal(named.predict(X), other.predict(X))


def test_a_loss_without_a_name():
    mlp = plain_regressor(
        **SMALL | {"epochs": 1, "engine": "keras"}, loss=lambda y, p: keras.ops.mean((y - p) ** 2, -1)
    )
    assert np.isfinite(mlp.fit(X, Y).history_["loss"]).all()


def test_learned_scales_are_not_for_sgd():
    """Their rate is meant for Adam: with gradients of that factor, SGD diverges."""
    settings = {"optimizer": "sgd", "n_neurons": 8, "n_hidden": 1, "epochs": 3, "ensemble_size": 1, "random_state": 0}
    for learned_scale, expected in {"auto": False, True: True}.items():
        mlp = KerasMLPRegressor(**settings, learned_scale=learned_scale)
        assert (
            prepared_task(mlp, GivenRows(X, Y), early_stopping=True).recipe.blueprint.spec.deep_plan.learned_scale
            == expected
        )
    assert mlp.set_params(learned_scale="auto", learning_rate=1e-2, epochs=40).fit(X, Y).score(X, Y) > 0.3


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            {"lr_schedule": "one_cycle", "lr_schedule__peak": 1.5},
            r"lr_schedule__peak must be a float in \(0, 1\). Got 1.5",
        ),
        ({"lr_schedule": "step", "lr_schedule__every": -1}, "lr_schedule__every must be a number > 0. Got -1"),
        ({"lr_schedule": "exponential", "lr_schedule__over": 0}, "lr_schedule__over must be a number > 0. Got 0"),
        ({"lr_schedule": "cosine", "lr_schedule__final": "a"}, r"The arguments {'final': 'a'} of lr_schedule='cosine'"),
    ],
)
def test_arguments_of_schedules(schedule, message):
    with pytest.raises(ValueError, match=message):
        plain_regressor(**SMALL, **schedule).fit(X, Y)


def test_wide_features_need_a_deep_path():
    with pytest.raises(ValueError, match=r"wide_features=\[0\] needs a deep path"):
        plain_regressor(**SMALL | {"n_hidden": 0}, skip_connection=True, wide_features=[0]).fit(X, Y)


@pytest.mark.skipif("muon" not in OPTIMIZERS, reason="this Keras has no optimizer with such an argument")
def test_optimizer_argument_that_is_a_list():
    settings = SMALL | {"optimizer": "muon", "epochs": 1}
    by_adam = plain_regressor(**settings, optimizer__exclude_layers=["hidden", "output"]).fit(X, Y)
    assert not np.allclose(by_adam.predict(X), plain_regressor(**settings).fit(X, Y).predict(X))


def test_grid_search_over_names():
    grid = {"lr_schedule": [None, "cosine"], "skip_connection": [False, True], "clip_norm": [None, 1.0]}
    search = GridSearchCV(plain_regressor(**SMALL), grid, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) > 3


def test_random_search_over_betas():
    space = {"optimizer__beta_1": one_minus(loguniform(1e-2, 0.5)), "label_smoothing": [0.05, 0.1]}
    search = RandomizedSearchCV(plain_classifier(**SMALL), space, n_iter=4, cv=2, random_state=0).fit(X, LABELS)
    assert len(set(search.cv_results_["mean_test_score"])) > 1


def test_one_minus():
    draws = one_minus(loguniform(1e-3, 1e-1)).rvs(size=2000, random_state=0)
    assert 0.9 <= draws.min() <= draws.max() <= 0.999
    assert abs(np.median(draws) - 0.99) < 1e-3
    assert repr(one_minus(one_minus(loguniform(1e-3, 1e-1)))) == "one_minus(one_minus(loguniform(0.001, 0.1)))"
    with pytest.raises(TypeError, match="must have a method 'rvs'"):
        one_minus(0.9)
