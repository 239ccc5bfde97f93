"""What users get wrong: the error names the parameter, the requirement and the value, and nothing is half-written."""

import ast
import copy
import pickle
import re
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from optional import pd
from plain import plain_regressor
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor
from sk_mlp._keras.loss import resolve_loss
from sk_mlp._keras.metric_layouts import Output
from sk_mlp._keras.metrics import resolve_metrics
from sk_mlp._keras.resolve import resolve_optimizer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
TARGET = X @ [1.0, -2.0, 3.0, 0.5]
LABELS = (TARGET > 0).astype(int)
MULTILABEL = np.column_stack([LABELS, X[:, 0] > 0]).astype(int)
ESTIMATORS = [KerasMLPClassifier, KerasMLPRegressor]


def make(estimator, **params):
    return estimator(**PLAIN_MLP | {"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **params})


def classifier(**params):
    return make(KerasMLPClassifier, **params)


def regressor(**params):
    return make(KerasMLPRegressor, **params)


def y_for(estimator):
    return LABELS if estimator is KerasMLPClassifier else TARGET


# Parameters

NAN, INF = float("nan"), float("inf")
WRONG = {
    "model": [3, "mlp", (8, 8)],
    "categorical_features": [0.5, NAN],
    "handle_missing": ["drop", "mean", None, True],
    "input_scaling": ["minmax", True, 3],
    "numerical_embedding": ["periodic", True, 3],
    "learned_scale": [2, "yes", None],
    "n_hidden": [-1, 1.5, NAN, "2", None, [2]],
    "n_neurons": [0, -3, 2.0, NAN, "100", None, [8]],
    "hidden_layer_sizes": [0, -1, 2.5, NAN, "100", "large"],
    "activation": ["rel", "softmax", "linear", None, 3],
    "parametric_activation": [2, "yes", None],
    "dropout": [-0.1, 1, 1.0, 20, NAN, "0.1", None],
    "batch_norm": [2, "yes", None, 0.5],
    "optimizer": [None, 3, ["adam"], {"class_name": "Adam"}],
    "learning_rate": [0, 0.0, -1e-3, NAN, INF, "adaptive", None, [1e-3]],
    "weight_decay": [-1e-4, NAN, INF, "l2", None],
    "batch_size": [0, -1, 1.5, NAN, "all", None],
    "kernel_initializer": [None, 3],
    "skip_connection": [2, "yes", None],
    "wide_features": [0.5, NAN],
    "deep_features": [0.5, NAN],
    "aux_output": [2, "yes", None],
    "aux_loss_weight": [-0.1, 1, 1.0, NAN, "0.1", None],
    "input_columns": [3, "wide", slice(0, 2)],
    "init_from": [3, "autoencoder"],
    "init_layers": [0, -1, 1.5, NAN, "all"],
    "frozen_epochs": [-1, NAN, "all", None],
    "pretrain": ["pca", True, 3],
    "lr_schedule": [3, 0.5],
    "clip_norm": [0, -1.0, NAN, INF, "1"],
    "ema_momentum": [0, 1, 1.0, -0.1, NAN, "0.9"],
    "monitor": [None, 3],
    "epochs": [0, -1, 2.5, NAN, INF, "10", None],
    "early_stopping": [3, "yes", None],
    "validation_fraction": [0, 1, -0.1, 1.5, 5, NAN, "0.1", None],
    "hold_out": ["first", "groups", None, 3, 0.1, ["last"]],
    "patience": [0, -1, 1.5, NAN, INF, "10", None],
    "min_delta": [-1e-9, NAN, INF, "0", None],
    "shuffle": [3, "yes", None],
    "loss": [3, ["mse"], {"class_name": "Huber"}],
    "metrics": [3, 0.5],
    "callbacks": [3, "EarlyStopping"],
    "ensemble_size": [0, -1, 1.5, NAN, "all", None],
    "engine": ["torch", "Keras", None, 3],
    "warm_start": [3, "yes", None],
    "random_state": ["a", -1, 1.5, NAN],
    "verbose": [-1, 1.5, "a", None],
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_parameter_out_of_range_or_of_a_wrong_type(estimator, name, value):
    mlp = make(estimator, **{name: value})  # the constructor says nothing
    expected = rf"The '{name}' parameter of {estimator.__name__} must be .+\. Got {re.escape(repr(value))} instead\."
    with pytest.raises(ValueError, match=expected):
        mlp.fit(X, y_for(estimator))
    assert not hasattr(mlp, "n_features_in_")


def test_every_parameter_is_in_the_table():
    assert set(WRONG) | {"class_weight", "label_smoothing", "calibrate"} == set(KerasMLPClassifier().get_params())
    assert set(WRONG) | {"normalize_y"} == set(KerasMLPRegressor().get_params())


@pytest.mark.parametrize("value", [2, "yes", None])
def test_calibrate_of_a_wrong_type(value):
    with pytest.raises(ValueError, match=rf"'calibrate' parameter .* must be .* Got {value!r} instead"):
        classifier(calibrate=value).fit(X, LABELS)


def test_a_classifier_stops_early_or_not():
    with pytest.raises(ValueError, match=r"'early_stopping' parameter .* must be .* Got 'auto' instead"):
        classifier(early_stopping="auto").fit(X, LABELS)


def test_normalize_y_of_a_wrong_type():
    with pytest.raises(ValueError, match="'normalize_y' parameter"):
        regressor(normalize_y="yes").fit(X, TARGET)


@pytest.mark.parametrize("value", ["balance", 3, 0.5])
def test_class_weight_of_a_wrong_type(value):
    with pytest.raises(ValueError, match=rf"'class_weight' parameter .* must be .* Got {value!r} instead"):
        classifier(class_weight=value).fit(X, LABELS)


def test_partial_fit_validates_parameters():
    with pytest.raises(ValueError, match=r"'learning_rate' parameter .* range \(0.0, inf\).*\. Got -1 instead"):
        regressor(learning_rate=-1).partial_fit(X, TARGET)


@pytest.mark.parametrize("value", [[0], [8, -1], [8.0], [True], ["8"], [None], [NAN], np.array([[8, 8]]), True])
def test_hidden_layer_sizes_that_are_no_sizes(value):
    expected = rf"hidden_layer_sizes must hold integers of at least 1\. Got {re.escape(repr(value))}"
    with pytest.raises(ValueError, match=expected):
        classifier(hidden_layer_sizes=value).fit(X, LABELS)


@pytest.mark.parametrize(("name", "value"), [("n_hidden", 2), ("n_neurons", 50), ("n_hidden", 0)])
def test_hidden_layer_sizes_contradicted(name, value):
    expected = rf"{name} must not contradict it\. Got hidden_layer_sizes=\(8,\) and {name}={value}"
    with pytest.raises(ValueError, match=expected):
        classifier(**{name: value}).fit(X, LABELS)


def test_hidden_layer_sizes_contradicted_by_a_search():
    search = GridSearchCV(classifier(), {"n_neurons": [8, 16]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(8,\) and n_neurons=16"):
        search.fit(X, LABELS)


def test_hidden_layer_sizes_confirmed():
    mlp = classifier(n_hidden=1, n_neurons=8).fit(X, LABELS)
    np.testing.assert_array_equal(mlp.predict_proba(X), classifier().fit(X, LABELS).predict_proba(X))


@pytest.mark.parametrize(
    "sizes", [8, np.int64(8), [8], [np.int32(8)], np.array([8]), np.array(8), np.array([8], np.uint8)]
)
def test_forms_of_hidden_layer_sizes(sizes):
    mlp = classifier(hidden_layer_sizes=sizes, epochs=1).fit(X, LABELS)
    assert [layer.units for layer in mlp.model_.layers if hasattr(layer, "units")] == [8, 1]


def test_numpy_scalars_are_numbers():
    numpy = {
        "hidden_layer_sizes": None,
        "n_hidden": np.int64(1),
        "n_neurons": np.int32(8),
        "activation": np.str_("relu"),
        "dropout": np.float64(0.0),
        "batch_norm": np.bool_(False),
        "optimizer": np.str_("adam"),
        "optimizer__beta_1": np.float64(0.9),
        "learning_rate": np.float64(0.01),
        "weight_decay": np.float64(0.0),
        "batch_size": np.int64(32),
        "epochs": np.int64(3),
        "early_stopping": np.bool_(True),
        "validation_fraction": np.float64(0.1),
        "patience": np.int16(10),
        "min_delta": np.float64(0),
        "shuffle": np.bool_(True),
        "engine": np.str_("auto"),
        "warm_start": np.bool_(False),
        "random_state": np.int64(0),
        "verbose": np.int64(0),
    }
    mlp = regressor(**numpy).fit(X, TARGET)
    np.testing.assert_array_equal(mlp.predict(X), regressor(learning_rate=0.01).fit(X, TARGET).predict(X))
    assert all(type(value) is float for values in mlp.history_.values() for value in values)


def test_learning_rate_in_single_precision():
    mlp = regressor(learning_rate=np.float32(0.01), dropout=np.float32(0)).fit(X, TARGET)
    np.testing.assert_allclose(mlp.history_["learning_rate"], 0.01, rtol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("name", "near"),
    [("n_neuron", "n_neurons"), ("learnin_rate", "learning_rate"), ("optimzer__momentum", "optimizer")],
)
def test_unknown_keyword(estimator, name, near):
    begin = rf"{estimator.__name__}.__init__\(\) got an unexpected keyword argument '{name}'\."
    hint = rf" Did you mean '{near}'\?" if "__" not in name else ".* named model__..., optimizer__..., "
    with pytest.raises(TypeError, match=begin + hint):
        estimator(**{name: 3})


def test_names_of_scikit_learn_are_translated_at_once():
    with pytest.raises(TypeError, match=r"'alpha'\. .* alpha is weight_decay; max_iter is epochs\."):
        KerasMLPClassifier(alpha=1e-4, max_iter=10)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("lr", "lr is learning_rate"),
        ("max_epochs", "max_epochs is epochs"),
        ("run_eagerly", "run_eagerly is nothing; engine='keras'"),
        ("predict__batch_size", "predict__batch_size is nothing"),
        ("validation_data", "validation_data is an argument of fit"),
    ],
)
def test_names_of_other_packages_are_translated(name, meaning):
    with pytest.raises(TypeError, match=f"{name!r}. Of the names of other packages: {meaning}"):
        KerasMLPClassifier(build, **{name: 1})
    with pytest.raises(ValueError, match=f"Invalid parameter {name!r} .* names of other packages: {meaning}"):
        KerasMLPClassifier(build).set_params(**{name: 1})
    taken = KerasMLPRegressor(lambda lr=0.1, seed=0: build(1), lr=0.2, seed=3)  # a builder may have such names
    assert (taken.lr, taken.seed) == (0.2, 3)


@pytest.mark.parametrize(
    ("params", "meaning"),
    [
        ({"activation": "logistic"}, "is activation='sigmoid'"),
        ({"activation": "identity"}, "is n_hidden=0"),
        ({"learning_rate": "adaptive"}, "is lr_schedule='plateau'"),
        ({"batch_size": -1}, "is a number as large as the table"),
        ({"validation_split": 0.0}, "is early_stopping=False"),
        ({"model": (30, 20)}, "are the parameter hidden_layer_sizes"),
        ({"early_stopping": keras.callbacks.EarlyStopping()}, "are the parameter callbacks"),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_values_of_other_packages_are_translated(params, meaning):
    with pytest.raises(ValueError, match=rf"parameter .* must be .* instead\. .* {meaning}"):
        KerasMLPClassifier(**params).fit(X, LABELS)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"nb_epoch": 3}, "nb_epoch is epochs"),
        ({"eval_set": [(X, LABELS)]}, "eval_set is validation_data of fit"),
        ({"early_stopping_rounds": 3}, "early_stopping_rounds is patience"),
        ({"sample_weights": LABELS}, "Did you mean 'sample_weight'"),
    ],
)
def test_words_of_other_packages_are_translated(words, hint):
    with pytest.raises(TypeError, match=f"fit got an unexpected keyword argument .*{hint}"):
        KerasMLPClassifier().fit(X, LABELS, **words)


@pytest.mark.parametrize(
    ("name", "instead"), [("loss_curve_", "history_"), ("coefs_", "get_weights"), ("predict_classes", "'predict'")]
)
def test_attributes_of_other_packages_are_translated(name, instead, fitted):
    assert not hasattr(fitted, name)
    with pytest.raises(AttributeError, match=rf"no attribute {name!r}\. Did you mean .*{instead}"):
        getattr(fitted, name)


def test_arguments_of_earlier_optimizers():
    with pytest.raises(ValueError, match=r"takes no 'lr', .* it is optimizer__learning_rate"):
        KerasMLPClassifier(optimizer__lr=0.1).fit(X, LABELS)
    with pytest.raises(TypeError, match=r"callbacks__0__patience=\.\.\. in place of fit__callbacks"):
        KerasMLPClassifier(fit__callbacks__0__patience=3).fit(X, LABELS)
    with pytest.raises(TypeError, match=r"any other argument by its prefix: model__units\."):
        KerasMLPClassifier(lambda **others: build(1), units=3)


def test_names_are_judged_when_it_is_known_what_a_model_takes():
    def build(units=3):
        return keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1)])

    with pytest.raises(TypeError, match=r"'unit'\. Did you mean 'units'\? build\(\) takes \['units'\]\."):
        KerasMLPRegressor(build, unit=3)
    with pytest.raises(TypeError, match="'unit'"):
        KerasMLPRegressor(keras.Sequential([keras.layers.Dense(1)]), unit=3)
    unknown = type("Unknown", (), {"__call__": build, "__signature__": "of nothing"})()
    with pytest.raises(ValueError, match="Invalid parameter 'unit' for estimator KerasMLPRegressor"):
        KerasMLPRegressor(unknown, unit=3).fit(X, TARGET)
    mlp = KerasMLPRegressor(build, units=3).set_params(model=None)
    copied = clone(mlp)  # nothing is built yet, and the model may be set again
    assert copied.set_params(model=build).get_params()["units"] == 3
    with pytest.raises(ValueError, match="Invalid parameter 'units' for estimator KerasMLPRegressor"):
        mlp.fit(X, TARGET)


@pytest.mark.parametrize("name", ["epochs_", "_epochs", "n_iter_", "_fitted", "predict"])
def test_unknown_keyword_that_looks_like_an_attribute(name):
    with pytest.raises((TypeError, ValueError), match=f"'{name}'"):
        regressor(**{name: 3}).fit(X, TARGET)


def test_unknown_name_in_set_params():
    with pytest.raises(ValueError, match="Invalid parameter 'n_neuron' for estimator KerasMLPRegressor"):
        regressor().set_params(n_neuron=3)


@pytest.mark.parametrize("name", ["model__units", "callbacks__patience", "metrics__threshold"])
def test_routed_argument_without_a_destination(name):
    parameter = name.split("__")[0]
    with pytest.raises(ValueError, match=rf"{name}.* {parameter}=None"):
        regressor(**{name: 3}).fit(X, TARGET)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"optimizer": "adamm"}, r"'optimizer' parameter must be one of .*Got 'adamm' instead\. Did you mean 'adam'\?"),
        ({"loss": "huberr"}, r"'loss' parameter must be one of .*Got 'huberr' instead\. Did you mean 'huber'\?"),
        (
            {"metrics": ["mean_absolute_eror"]},
            r"'metrics' parameter must be one of .*Got 'mean_absolute_eror' .*Did you mean 'mean_absolute_error'\?",
        ),
        ({"metrics": [3]}, r"'metrics' parameter must hold names, Keras metrics or functions\. Got 3"),
        ({"metrics": ["mae", "mae"]}, r"'metrics' parameter must hold metrics of different names"),
        (
            {"metrics": [keras.metrics.MeanSquaredError(name="best_epoch")]},
            r"'metrics' parameter must hold .*names of other figures .*'best_epoch'.*Got",
        ),
        ({"metrics": [keras.metrics.MeanSquaredError(name="val_loss")]}, r"names of other figures .*'val_loss'.*Got"),
        (
            {"metrics": [keras.metrics.MeanSquaredError(name="learning_rate")]},
            r"names of other figures .*'learning_rate'.*Got",
        ),
        ({"callbacks": [3]}, r"'callbacks' parameter must hold Keras callbacks or their classes\. Got 3"),
        ({"loss": "quantile", "loss__quantile": ["0.1", "0.9"]}, r"quantile must be a float, or floats .*Got \['0.1'"),
        ({"loss": "quantile", "loss__quantile": [True]}, r"quantile must be a float, or floats .*Got \[True\]"),
        ({"optimizer": dict}, r"'optimizer' parameter must be a Keras optimizer\. Got <class 'dict'>"),
        ({"optimizer__bta_1": 0.9}, r"optimizer's arguments \{'bta_1': 0.9\} are not valid: .*bta_1"),
        ({"loss__delt": 0.9}, r"loss's arguments \{'delt': 0.9\} are not valid: .*delt"),
        (
            {"optimizer__learning_rate": 0.9},
            "learning_rate and optimizer__learning_rate .* not differ. Got .* 0.9",
        ),
        ({"optimizer__weight_decay": 0.9}, "weight_decay and optimizer__weight_decay .* not differ. Got .* 0.9"),
        (
            {"ema_momentum": 0.9, "optimizer__ema_momentum": 0.5},
            r"optimizer must not average them too. Got ema_momentum=0.9 and \{.ema_momentum.: 0.5\}",
        ),
    ],
    ids=lambda value: " ".join(map(str, value.items())) if isinstance(value, dict) else "",
)
def test_unknown_names(params, expected):
    with pytest.raises((ValueError, TypeError), match=expected):
        regressor(**params).fit(X, TARGET)


def test_unknown_argument_of_a_callback():
    with pytest.raises((ValueError, TypeError), match=r"EarlyStopping.*'patince'"):
        regressor(callbacks=[keras.callbacks.EarlyStopping], callbacks__patince=3).fit(X, TARGET)


@pytest.mark.parametrize(
    ("parameter", "resolve"),
    [
        ("optimizer", lambda name: resolve_optimizer(name, {})),
        ("loss", lambda name: resolve_loss(name, {}, "huber")),
        ("metrics", lambda name: resolve_metrics([name], {}, Output("binary", 1, False))),
    ],
    ids=["optimizer", "loss", "metrics"],
)
def test_names_that_an_error_offers_work(parameter, resolve):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter must be one of") as error:
        resolve("no such name")
    offered = ast.literal_eval(re.search(r"\[.*\]", str(error.value)).group())
    unusable = {}
    for name in offered:
        try:
            resolve(name)
        except Exception as reason:
            unusable[name] = str(reason)[:80]
    assert not unusable, unusable


def test_optimizer_object_with_another_learning_rate():
    with pytest.raises(ValueError, match=r"'learning_rate' parameter must be that of optimizer=Adam.* Got 0.5 instead"):
        regressor(optimizer=keras.optimizers.Adam(0.01), learning_rate=0.5).fit(X, TARGET)
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    with pytest.raises(ValueError, match=r"'learning_rate' parameter must be that of optimizer=Adam.* Got 0.001"):
        regressor(optimizer=keras.optimizers.Adam(schedule)).fit(X, TARGET)
    with pytest.raises(ValueError, match=r"'weight_decay' parameter must be that of optimizer=AdamW.* Got 0.0 instead"):
        regressor(optimizer=keras.optimizers.AdamW()).fit(X, TARGET)
    with pytest.raises(ValueError, match=r"is an object, which takes no further arguments\. Got \{'beta_1': 0.8\}"):
        regressor(optimizer=keras.optimizers.Adam(), optimizer__beta_1=0.8).fit(X, TARGET)


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.EarlyStopping(monitor="val_accuracy", mode="max"),
        keras.callbacks.ReduceLROnPlateau(monitor="val_accuracy", mode="max"),
        keras.callbacks.ModelCheckpoint("never.keras", monitor="val_accuracy", mode="max", save_best_only=True),
    ],
    ids=lambda callback: type(callback).__name__,
)
@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_monitored_metric_that_does_not_exist(callback, engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mlp = classifier(callbacks=[callback], engine=engine)
    expected = rf"{type(callback).__name__} must monitor one of \[.*'loss', 'val_loss'\]\. Got 'val_accuracy' instead"
    with pytest.raises(ValueError, match=expected):
        mlp.fit(X, LABELS)
    assert not hasattr(mlp, "n_iter_")


def test_monitored_validation_loss_without_validation():
    for callback in (keras.callbacks.EarlyStopping(), keras.callbacks.ReduceLROnPlateau()):
        wanted = rf"{type(callback).__name__} must monitor one of \[.*'loss'.*\]\. Got 'val_loss' instead"
        with pytest.raises(ValueError, match=rf"{wanted}\. No rows are held out; pass validation_data or"):
            regressor(callbacks=[callback], early_stopping=False).fit(X, TARGET)


# Data

STRICT = {"handle_missing": "error", "categorical_features": None}  # else X may have nan, and columns of strings
BAD_ROWS = {
    "NaN": (np.where(np.arange(4) == 1, np.nan, X), ValueError, "Input X contains NaN"),
    "inf": (np.where(np.arange(4) == 1, np.inf, X), ValueError, "Input X contains infinity"),
    "beyond float32": (X * 1e300, ValueError, r"Input X contains infinity or a value too large for dtype\('float32'\)"),
    "1-d": (X[:, 0], ValueError, "Expected 2D array, got 1D array instead"),
    "3-d": (X[:, :, None], ValueError, "Found array with dim 3, while dim <= 2 is required"),
    "no rows": (X[:0], ValueError, r"Found array with 0 sample\(s\)"),
    "no columns": (X[:, :0], ValueError, r"Found array with 0 feature\(s\)"),
    "sparse with nan": (sparse.csr_matrix(np.where(X > 2, np.nan, X)), ValueError, "Input .*contains NaN"),
    "complex": (X + 1j, ValueError, "Complex data not supported"),
    "objects": (np.full((120, 4), "a", object), ValueError, "could not convert string to float: 'a'"),
    "strings": (np.full((120, 4), "a"), ValueError, "could not convert string to float"),
    "string column": (
        lambda: pd.DataFrame(X, columns=list("abcd")).assign(city="Oslo"),
        ValueError,
        "Got strings in the column 'city' and categorical_features=None",
    ),
    "None": (None, ValueError, "Expected 2D array, got scalar array"),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_in_fit(case):
    rows, error, message = BAD_ROWS[case]
    mlp = regressor(**STRICT)
    rows = rows() if callable(rows) else rows
    with pytest.raises(error, match=message):
        mlp.fit(rows, TARGET)
    assert not hasattr(mlp, "n_features_in_")


@pytest.fixture(scope="module")
def fitted():
    return regressor(**STRICT).fit(X, TARGET)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", sorted(set(BAD_ROWS) - {"string column", "no columns"}))
def test_bad_rows_in_predict(case, fitted):
    rows, error, message = BAD_ROWS[case]
    with pytest.raises(error, match=message):
        fitted.predict(rows)


def test_other_columns_in_predict(fitted):
    with pytest.raises(ValueError, match="X has 3 features, but KerasMLPRegressor is expecting 4 features as input"):
        fitted.predict(X[:, :3])
    with pytest.raises(ValueError, match="X has 3 features, but KerasMLPRegressor is expecting 4 features as input"):
        fitted.score(X[:, :3], TARGET)


def test_other_feature_names_in_predict():
    frame = pd.DataFrame(X, columns=list("abcd"))
    mlp = classifier(epochs=1).fit(frame, LABELS)
    for method in (mlp.predict, mlp.predict_proba):
        with pytest.raises(ValueError, match=r"(?s)feature names should match .* unseen at fit time:\n- e"):
            method(frame.rename(columns={"d": "e"}))
        with pytest.raises(ValueError, match="must be in the same order"):
            method(frame[list("dcba")])
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            method(X)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score"])
def test_before_fit(method):
    mlp = classifier()
    arguments = (X, LABELS) if method == "score" else (X,)
    with pytest.raises(NotFittedError, match="This KerasMLPClassifier instance is not fitted yet"):
        getattr(mlp, method)(*arguments)
    assert not hasattr(mlp, "model_")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(np.arange(120) == 1, np.nan, TARGET), "Input y contains NaN"),
        (np.where(np.arange(120) == 1, np.inf, TARGET), "Input y contains infinity"),
        (TARGET + 1j, "Complex data not supported"),
        (np.full(120, "a"), "y must hold numbers"),
        (TARGET[:7], r"inconsistent numbers of samples: \[120, 7\]"),
        (np.zeros((120, 2, 2)), "Found array with dim 3"),
        (None, "requires y to be passed, but the target y is None"),
    ],
    ids=["NaN", "inf", "complex", "strings", "short", "3-d", "None"],
)
def test_bad_targets(y, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(np.arange(120) == 1, np.nan, LABELS), "Input y contains NaN"),
        (np.where(np.arange(120) == 1, None, LABELS), "y.*(NaN|None)|Unknown label type"),
        (LABELS + 1j, "Complex data not supported"),
        (TARGET, "Unknown label type: continuous"),
        (np.column_stack([TARGET, TARGET]), "Unknown label type: continuous-multioutput"),
        (np.column_stack([LABELS + 2, LABELS]), "Unknown label type: multiclass-multioutput.*MultiOutputClassifier"),
        (LABELS[:7], r"inconsistent numbers of samples: \[120, 7\]"),
        (np.zeros((120, 2, 2), int), "Found array with dim 3|Unknown label type"),
        (None, "requires y to be passed, but the target y is None"),
    ],
    ids=["NaN", "None in", "complex", "continuous", "continuous 2", "multiclass 2", "short", "3-d", "None"],
)
def test_bad_labels(y, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, y)


WEIGHTS = {
    "negative": (np.where(np.arange(120) == 1, -1.0, 1.0), r"Negative values in data passed to `sample_weight`"),
    "all negative": (-np.ones(120), r"Negative values in data passed to `sample_weight`"),
    "all zero": (np.zeros(120), "(?i)sample.weights? must contain at least one non-zero number"),
    "NaN": (np.where(np.arange(120) == 1, np.nan, 1.0), "Input sample_weight contains NaN"),
    "inf": (np.where(np.arange(120) == 1, np.inf, 1.0), "Input sample_weight contains infinity"),
    "short": (np.ones(7), r"sample_weight.shape == \(7,\), expected \(120,\)"),
    "2-d": (np.ones((120, 1)), "(?i)sample.weights? must be 1D"),
    "strings": (np.full(120, "a"), "could not convert string to float"),
    "huge": (np.full(120, 1e307), r"sample_weight must have a sum from 1e-100 to 1e\+100.* Got a sum of inf"),
    "tiny": (np.full(120, 1e-310), r"sample_weight must have a sum from 1e-100 to 1e\+100.* Got a sum of 1.2e-308"),
    "masked": (np.ma.array(np.ones(120), mask=np.arange(120) == 1), "sample_weight must hold .* Got masked values"),
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("case", WEIGHTS)
def test_bad_sample_weight(estimator, case):
    weights, message = WEIGHTS[case]
    with pytest.raises(ValueError, match=message):
        make(estimator).fit(X, y_for(estimator), sample_weight=weights)
    with pytest.raises(ValueError, match=message):
        make(estimator).partial_fit(X, y_for(estimator), sample_weight=weights)


@pytest.mark.parametrize("label", [1, "only", True, 2.0])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_one_class(label, early_stopping):
    y = np.full(120, label)
    mlp = classifier(early_stopping=early_stopping).fit(X, y)
    assert mlp.classes_.tolist() == [label]
    np.testing.assert_array_equal(mlp.predict(X), y)
    np.testing.assert_array_equal(mlp.predict_proba(X), np.ones((120, 1)))
    assert mlp.score(X, y) == 1.0
    assert mlp.predict(X).dtype == y.dtype


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_too_few_rows_for_a_validation_split(estimator):
    mlp, y = make(estimator), y_for(estimator)
    with pytest.raises(ValueError, match=r"early_stopping=True needs .*Got n_samples=1 .*early_stopping=False"):
        mlp.fit(X[:1], y[:1])
    assert not hasattr(mlp, "n_iter_")
    assert mlp.set_params(early_stopping=False).fit(X[:1], y[:1]).predict(X[:1]).shape == (1,)
    assert make(estimator).fit(X[:1], y[:1], X_val=X[:2], y_val=y[[0, 0]]).n_iter_ >= 1
    assert make(estimator).fit(X[:2], y[[0, 0]]).n_iter_ >= 1


def test_too_few_rows_in_every_class():
    with pytest.raises(ValueError, match=r"of classes with two rows or more\. Got n_samples=3"):
        classifier().fit(X[:3], ["a", "b", "c"])


# Held-out rows of the user's own


@pytest.mark.parametrize(
    ("change", "name", "fact"),
    [
        ({"y_val": None}, "y_val", "X_val and y_val must be given together. Got y_val=None"),
        ({"X_val": None}, "X_val", "X_val and y_val must be given together. Got X_val=None"),
        (
            {"X_val": None, "y_val": None, "sample_weight_val": np.ones(30)},
            "sample_weight_val",
            "needs X_val and y_val",
        ),
        ({"y_val": np.r_[LABELS[:29], 7]}, "y_val", r"must hold only the classes \[0, 1\]\. Got \[7\]"),
        ({"y_val": np.full(30, "a")}, "y_val", r"must hold only the classes \[0, 1\]\. Got \['a'\]"),
        ({"y_val": MULTILABEL[:30]}, "y_val", r"1d array.*shape \(30, 2\)"),
        ({"y_val": LABELS[:30] * np.nan}, "y_val", "NaN"),
        ({"y_val": LABELS[:7]}, "y_val", r"\[30, 7\]"),
        ({"X_val": X[:30, :3]}, "X_val", "3 features, but KerasMLPClassifier is expecting 4"),
        ({"X_val": X[:30] * np.nan}, "X_val", "NaN"),
        ({"X_val": np.full((30, 4), np.inf)}, "X_val", "infinity"),
        ({"X_val": X[:30, 0]}, "X_val", "1D array"),
        ({"X_val": "abce"}, "X_val", "- e"),
        ({"sample_weight_val": np.full(30, -1.0)}, "sample_weight_val", "Negative values"),
        ({"sample_weight_val": np.full(30, np.nan)}, "sample_weight_val", "NaN"),
        ({"sample_weight_val": np.zeros(30)}, "sample_weight_val", "zero|positive"),
        ({"sample_weight_val": np.ones(7)}, "sample_weight_val", r"\(7,\)"),
    ],
    ids=[
        *("X alone", "y alone", "weights alone", "unseen", "other type", "2-d y", "NaN in y", "short y"),
        *("other columns", "NaN", "inf", "1-d", "other names"),
        *("negative weights", "NaN weights", "zero weights", "short weights"),
    ],
)
def test_bad_held_out_rows(change, name, fact):
    held_out, rows = {"X_val": X[:30], "y_val": LABELS[:30], **change}, X
    if isinstance(held_out["X_val"], str):  # names of columns
        rows = pd.DataFrame(X, columns=list("abcd"))
        held_out["X_val"] = pd.DataFrame(X[:30], columns=list(held_out["X_val"]))
    mlp = classifier(**STRICT)
    with pytest.raises(ValueError, match=f"(?s){fact}") as error:
        mlp.fit(rows, LABELS, **held_out)
    assert name in str(error.value)
    assert not hasattr(mlp, "n_iter_")


@pytest.mark.parametrize("n_classes", [2, 18])
@pytest.mark.parametrize("are_texts", [True, False])
def test_a_number_is_not_the_text_of_it(are_texts, n_classes):
    numbers = np.arange(120) % n_classes * 7
    y, later = (numbers.astype(str), numbers) if are_texts else (numbers, numbers.astype(str))
    with pytest.raises(ValueError, match=r"y_val must hold only the classes \["):
        classifier(epochs=1).fit(X, y, X_val=X, y_val=later)
    mlp = classifier(epochs=1).partial_fit(X, y)
    for labels in (later, np.where(np.arange(120) > 60, y.astype(object), later.astype(object))):
        with pytest.raises(ValueError, match=r"y must hold only the classes \["):
            mlp.partial_fit(X, labels)
    with pytest.raises(ValueError, match=r"y must hold only the classes \["):
        classifier(epochs=1).partial_fit(X, later, classes=np.unique(y))


@pytest.mark.parametrize("values", [MULTILABEL[:30] * 5, -MULTILABEL[:30], MULTILABEL[:30] * 0.5])
def test_held_out_labels_that_are_no_indicators(values):
    with pytest.raises(ValueError, match=r"y_val.*indicator"):
        classifier(epochs=1).fit(X, MULTILABEL, X_val=X[:30], y_val=values)


def test_later_labels_that_are_no_indicators():
    mlp = classifier().partial_fit(X, MULTILABEL)
    with pytest.raises(ValueError, match=r"y.*indicator"):
        mlp.partial_fit(X, MULTILABEL * 5)
    with pytest.raises(ValueError, match=r"y must be a label indicator matrix with 2 columns\. Got shape"):
        mlp.partial_fit(X, LABELS)


# Class weights


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({0: 1, 7: 2}, r"class_weight must be a dict of weights of the classes \[0, 1\]\. Got \[7\]"),
        ({"0": 1}, r"class_weight must be a dict of weights of the classes \[0, 1\]\. Got \['0'\]"),
        ({0: -1}, "class_weight must hold finite weights of at least 0. Got -1 for class 0"),
        ({0: np.nan}, "class_weight must hold finite weights of at least 0. Got nan for class 0"),
        ({0: np.inf}, "class_weight must hold finite weights of at least 0. Got inf for class 0"),
        ({0: "a"}, "class_weight must hold finite weights of at least 0. Got 'a' for class 0"),
        ({0: None}, "class_weight must hold finite weights of at least 0. Got None for class 0"),
        (
            {0: 0, 1: 0},
            "sample_weight must contain at least one non-zero number, times class_weight too. Got a sum of 0",
        ),
        ([{0: 1, 1: 2}], r"class_weight.*dict"),
    ],
)
def test_bad_class_weight(weights, message):
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=weights).fit(X, LABELS)


@pytest.mark.parametrize("weights", [{0: 1, 1: 2}, [{0: 1, 1: 2}], [{0: 1, 1: 2}, {0: 1, 7: 2}]])
def test_bad_class_weight_of_several_labels(weights):
    with pytest.raises(ValueError, match="class_weight"):
        classifier(class_weight=weights).fit(X, MULTILABEL)


# Builders


def build(width, inputs=4):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(width)])


def compile_as_keras_2():
    model = build(1)
    model.compile("adam", "mse", ["mae"])
    return model


def build_two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])


@pytest.mark.parametrize(
    ("estimator", "y", "builder", "error", "message"),
    [
        (KerasMLPRegressor, TARGET, lambda: None, TypeError, "'model' parameter .* keras.Model. It returned None"),
        (KerasMLPRegressor, TARGET, lambda: 3, TypeError, "'model' parameter .* keras.Model. It returned 3"),
        (KerasMLPRegressor, TARGET, lambda: keras.layers.Dense(1), TypeError, "'model' parameter .* returned <Dense"),
        (KerasMLPRegressor, TARGET, lambda: build, TypeError, "'model' parameter .* returned <function build"),
        (
            KerasMLPRegressor,
            TARGET,
            lambda: build(3),
            ValueError,
            r"'model' parameter builds must return an output of shape \(None, 1\) for this y\. Got \(None, 3\)",
        ),
        (
            KerasMLPRegressor,
            np.column_stack([TARGET, TARGET]),
            lambda: build(1),
            ValueError,
            r"output of shape \(None, 2\) for this y\. Got \(None, 1\)",
        ),
        (
            KerasMLPClassifier,
            LABELS,
            lambda: build(3),
            ValueError,
            r"output of shape \(None, 1\) or \(None, 2\) for this y\. Got \(None, 3\)",
        ),
        (
            KerasMLPClassifier,
            np.arange(120) % 3,
            lambda: build(1),
            ValueError,
            r"output of shape \(None, 3\) for this y\. Got \(None, 1\)",
        ),
        (
            KerasMLPRegressor,
            TARGET,
            build_two_outputs,
            ValueError,
            r"output of shape \(None, 1\) .* Got outputs of the shapes \[\(None, 1\), \(None, 1\)\] instead\. Join",
        ),
        (KerasMLPRegressor, TARGET, compile_as_keras_2, ValueError, r"loss_weights.* compile with metrics=\['mae'\]"),
        (KerasMLPRegressor, TARGET, lambda: build(1, inputs=7), ValueError, r"expected shape=\(None, 7\)"),
        (
            KerasMLPRegressor,
            TARGET,
            lambda: keras.Sequential([keras.Input((4,)), keras.layers.Reshape((4, 1)), keras.layers.Flatten()]),
            ValueError,
            "'model' parameter|no trainable weights",
        ),
        (
            KerasMLPRegressor,
            TARGET,
            lambda: keras.Sequential(),
            ValueError,
            "has no layers|a model with layers",
        ),
    ],
    ids=[
        *("None", "number", "layer", "function", "width", "width 2", "binary width", "multiclass width"),
        *("two outputs", "metrics", "inputs", "no weights", "no layers"),
    ],
)
def test_builder_of_something_else(estimator, y, builder, error, message):
    mlp = estimator(**PLAIN_MLP | {"model": builder, "epochs": 1})
    with pytest.raises(error, match=message):
        mlp.fit(X, y)
    assert not hasattr(mlp, "n_features_in_")


def test_builder_that_raises():
    def builder():
        raise LookupError("no weights at home")

    mlp = plain_regressor(model=builder)
    with pytest.raises(LookupError, match="no weights at home"):
        mlp.fit(X, TARGET)
    assert not hasattr(mlp, "n_features_in_")


def test_builder_with_other_arguments():
    with pytest.raises(TypeError, match="unexpected keyword argument 'wide'"):
        plain_regressor(model=build, model__wide=1).fit(X, TARGET)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'width'"):
        plain_regressor(model=build).fit(X, TARGET)


# Interrupted fits


class Raise(keras.callbacks.Callback):
    """Raise an exception at an event."""

    def __init__(self, event, exception):
        super().__init__()
        self.event, self.exception = event, exception

    def _raise(self, event):
        if event == self.event:
            raise self.exception

    def on_train_begin(self, logs=None):
        self._raise("on_train_begin")

    def on_epoch_begin(self, epoch, logs=None):
        self._raise("on_epoch_begin" if epoch else "")

    def on_epoch_end(self, epoch, logs=None):
        self._raise("on_epoch_end" if epoch else "")

    def on_train_end(self, logs=None):
        self._raise("on_train_end")


class RaiseInABatch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise RuntimeError("mine")


EVENTS = ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"]


@pytest.mark.parametrize("exception", [RuntimeError("mine"), KeyboardInterrupt("mine"), SystemExit("mine")], ids=repr)
@pytest.mark.parametrize("event", EVENTS)
def test_callback_that_raises_leaves_the_estimator_unfitted(event, exception):
    mlp = classifier(callbacks=[Raise(event, exception)])
    before = dict(vars(mlp))
    with pytest.raises(type(exception), match="mine"):
        mlp.fit(X, LABELS)
    assert vars(mlp) == before
    with pytest.raises(NotFittedError):
        mlp.predict(X)
    with pytest.raises(type(exception), match="mine"):
        mlp.partial_fit(X, LABELS) if event != "on_epoch_begin" and event != "on_epoch_end" else mlp.fit(X, LABELS)
    assert vars(mlp) == before


@pytest.mark.parametrize(
    ("engine", "warm_start", "event"),
    [
        ("compiled", False, "on_epoch_end"),
        ("compiled", True, "on_epoch_end"),
        ("compiled", True, "on_train_end"),
        ("keras", True, "on_epoch_end"),
    ],
)
def test_callback_that_raises_leaves_an_earlier_fit_as_it_was(engine, warm_start, event):
    mlp = regressor(warm_start=warm_start, engine=engine, epochs=2).fit(X, TARGET)
    predicted, kept = mlp.predict(X), copy.deepcopy(mlp.__getstate__())
    mlp.model_.summary(print_fn=lambda line: None)
    mlp.set_params(callbacks=[Raise(event, KeyboardInterrupt("mine"))])
    with pytest.raises(KeyboardInterrupt, match="mine"):
        mlp.fit(X, -TARGET)
    np.testing.assert_array_equal(mlp.predict(X), predicted)
    assert mlp.history_ == kept["history_"]
    mlp.set_params(callbacks=None)
    assert pickle.dumps(mlp.__getstate__()["_fitted"].states) == pickle.dumps(kept["_fitted"].states)
    np.testing.assert_allclose(mlp.model_.predict(X, verbose=0)[:, 0], predicted, rtol=1e-4, atol=1e-4)


def test_failing_fit_keeps_the_number_of_features():
    mlp = regressor(epochs=1, **STRICT).fit(X, TARGET)
    with pytest.raises(ValueError, match="NaN"):
        mlp.fit(np.full((120, 7), np.nan), TARGET)
    assert mlp.n_features_in_ == 4
    with pytest.raises(RuntimeError, match="mine"):
        mlp.set_params(callbacks=[RaiseInABatch()]).fit(np.hstack([X, X]), TARGET)
    assert mlp.n_features_in_ == 4
    assert mlp.predict(X).shape == (120,)


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_batch_callback_that_raises(engine):
    mlp = regressor(callbacks=[RaiseInABatch()], engine=engine)
    with pytest.raises(RuntimeError, match="mine"):
        mlp.fit(X, TARGET)
    assert not hasattr(mlp, "n_iter_")


@pytest.mark.parametrize("error", [tf.errors.InvalidArgumentError(None, None, "mine")], ids=["InvalidArgumentError"])
def test_tensorflow_error_of_a_callback_is_not_taken_for_the_engines(error, capsys):
    mlp = regressor(callbacks=[Raise("on_epoch_end", error)], verbose=1)
    with pytest.raises(type(error), match="mine"):
        mlp.fit(X, TARGET)
    assert "engine='keras'" not in capsys.readouterr().out


def test_ctrl_c(request):
    # a process in the background may have been started with this signal ignored
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, previous))

    class CtrlC(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            signal.raise_signal(signal.SIGINT)

    mlp = regressor(callbacks=[CtrlC()])
    with pytest.raises(KeyboardInterrupt):
        mlp.fit(X, TARGET)
    assert not hasattr(mlp, "n_iter_")
    mlp.set_params(callbacks=None).fit(X, TARGET)  # learns as if nothing had happened
    np.testing.assert_array_equal(mlp.predict(X), regressor().fit(X, TARGET).predict(X))


# What belongs to the caller


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_nothing_of_the_callers_is_changed(estimator, engine):
    y = y_for(estimator)
    data = {
        "X": X[30:].astype(np.float32),  # what needs no conversion is what might be changed in place
        "y": y[30:].astype(y.dtype),
        "sample_weight": np.linspace(0.0, 2.0, 90),
        "X_val": X[:30].astype(np.float32),
        "y_val": y[:30].copy(),
        "sample_weight_val": np.linspace(0.5, 1.0, 30),
    }
    params = {
        "hidden_layer_sizes": [8],
        "optimizer": keras.optimizers.Adam(0.001),
        "loss": keras.losses.BinaryCrossentropy() if estimator is KerasMLPClassifier else keras.losses.Huber(),
        "metrics": [keras.metrics.MeanSquaredError(name="mse")],
        "callbacks": [
            keras.callbacks.EarlyStopping(monitor="loss", patience=1),
            keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1),
        ],
        "random_state": 0,
        "epochs": 2,
        "engine": engine,
    }
    if estimator is KerasMLPClassifier:
        params["class_weight"] = {0: 1.0, 1: 2.0}
    mlp = estimator(**PLAIN_MLP | params)
    bytes_before = {name: (array.tobytes(), array.dtype, array.flags.writeable) for name, array in data.items()}
    objects = [params["optimizer"], params["loss"], *params["metrics"], *params["callbacks"]]
    before = [copy.copy(vars(obj)) for obj in objects]
    config = params["optimizer"].get_config()
    mlp.fit(**data)
    mlp.predict(data["X"])
    mlp.model_.predict(data["X"], verbose=0)
    mlp.partial_fit(data["X"], data["y"], sample_weight=data["sample_weight"])
    after = {name: (array.tobytes(), array.dtype, array.flags.writeable) for name, array in data.items()}
    assert after == bytes_before
    assert all(mlp.get_params()[name] is value for name, value in params.items())
    assert params["hidden_layer_sizes"] == [8]
    assert params.get("class_weight", {0: 1.0, 1: 2.0}) == {0: 1.0, 1: 2.0}
    assert config == params["optimizer"].get_config()
    assert not params["optimizer"].built
    for obj, attributes in zip(objects, before, strict=True):
        assert {name: value for name, value in vars(obj).items() if value is not attributes.get(name)} == {}, obj


@pytest.mark.parametrize("order", ["C", "F", "strided", "read-only"])
def test_memory_layouts(order, fitted):
    forms = {
        "C": np.ascontiguousarray(X),
        "F": np.asfortranarray(X),
        "strided": np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
        "read-only": X.copy(),
    }
    rows = forms[order]
    y, weights = TARGET.copy(), np.ones(120)
    if order == "read-only":
        for array in (rows, y, weights):
            array.setflags(write=False)
    mlp = regressor().fit(rows, y, sample_weight=weights)
    np.testing.assert_array_equal(mlp.predict(rows), fitted.predict(X))


def test_y_that_float32_does_not_hold():
    with pytest.raises(ValueError, match=r"y and y_val must hold numbers that float32 holds. Got numbers from \["):
        regressor(normalize_y=False).fit(X, TARGET * 1e39)
    with pytest.raises(ValueError, match=r"that float32 holds, less \[.*\] and divided by \[.*\]. Got numbers from"):
        regressor().fit(X, TARGET, X_val=X, y_val=TARGET * 1e300)


@pytest.mark.parametrize(
    "y",
    [np.full(120, "1.5"), ["1.5"] * 120, pd.Series(pd.date_range("2020", periods=120)), np.arange(120, dtype="m8[s]")],
    ids=["strings", "list of strings", "dates", "durations"],
)
def test_y_of_a_regressor_that_holds_no_numbers(y):
    with pytest.raises(ValueError, match=r"y must hold numbers\. Got values of dtype "):
        regressor().fit(X, y)
    with pytest.raises(ValueError, match=r"y_val must hold numbers\. Got values of dtype "):
        regressor().fit(X, TARGET, X_val=X, y_val=y)
