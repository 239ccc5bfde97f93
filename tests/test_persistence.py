"""Files of fitted models: what is loaded is what was saved, and what cannot be kept is refused by name."""

import datetime
import decimal
import enum
import errno
import json
import os
import pickle
import zipfile

import joblib
import keras
import numpy as np
import pytest
from optional import pd
from plain import plain_classifier, plain_regressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import (
    KerasMLPClassifier,
    KerasMLPRegressor,
    ModelFileError,
    load_model,
    load_predictor,
    save_model,
)
from sk_mlp._files import archive
from sk_mlp._files.forms import NotKept
from sk_mlp._files.values import Reader, Writer
from sk_mlp.losses import Quantile

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = X[:, 0] + X[:, 1] ** 2
LABELS = np.where(X[:, 0] > 0, "yes", "no")
SMALL = {"hidden_layer_sizes": (4,), "epochs": 2, "random_state": 0}
ALIKE = [number * (2**61 - 1) for number in range(1, 200)]  # integers of one hash


def build(meta, width=4):
    return keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), keras.layers.Dense(width, "relu"), keras.layers.Dense(1)]
    )


def build_graph():
    one, other = keras.Input((2,), name="one"), keras.Input((1,), name="other")
    shared = keras.layers.Dense(2)
    hidden = keras.layers.Concatenate()([shared(one), keras.ops.relu(shared(one)) * 2.0 + other])
    return keras.Model({"one": one, "other": other}, keras.layers.Dense(1)(hidden))


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def double(x):
    return 2 * x


def build_own():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, activation=double), Doubled(), keras.layers.Dense(1)]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=keras.losses.Huber(delta=2.0), metrics=["mae"])
    return model


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 / (1 + keras.ops.cast(step, "float32"))

    def get_config(self):
        return {}


class Sparse(keras.regularizers.Regularizer):
    def __call__(self, x):
        return 0.01 * keras.ops.sum(keras.ops.abs(x))

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable("test_persistence", name="Named")
class Registered(keras.layers.Dense):
    """A layer that Keras knows by another name."""


def build_with_own_parts():
    model = keras.Sequential(
        [keras.Input((3,)), Registered(2, "relu", kernel_regularizer=Sparse()), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(Halving()), squares)
    return model


def squares(y_true, y_pred):
    return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


class Tone(enum.StrEnum):
    LOW = "low"
    HIGH = "high"


class Builder:
    """An object that builds."""

    def __call__(self):
        return build({"n_features_in_": 3})


class OwnRegressor(type(plain_regressor())):
    """A class of the user's own."""


class Passing(KerasMLPClassifier):
    """One with a parameter of its own, which passes all others on."""

    def __init__(self, width=4, **others):
        self.width = width
        super().__init__(**others)


class Deriving(KerasMLPClassifier):
    """One with few parameters."""

    def __init__(self, width=4):
        self.width = width
        super().__init__(hidden_layer_sizes=[width], epochs=2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.mlp"


@pytest.fixture(scope="module")
def classifier():
    """A fitted ensemble; not to be changed."""
    return KerasMLPClassifier(ensemble_size=2, warm_start=True, **SMALL).fit(X, LABELS)


@pytest.fixture(scope="module")
def regressor():
    return plain_regressor(warm_start=True, **SMALL).fit(X, Y)


def reloaded(estimator, path, **given):
    save_model(estimator, path)
    return load_model(path, given)


def test_an_estimator_whose_arrays_lie_in_a_file(classifier, path):
    joblib.dump(classifier, path.with_suffix(".joblib"))
    mapped = joblib.load(path.with_suffix(".joblib"), mmap_mode="r")
    np.testing.assert_array_equal(reloaded(mapped, path).predict_proba(X), classifier.predict_proba(X))


def test_what_is_loaded_is_what_was_saved(classifier, path):
    loaded = reloaded(classifier, path)
    assert type(loaded) is KerasMLPClassifier
    assert loaded.get_params() == classifier.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(loaded.classes_, classifier.classes_)
    assert loaded.classes_.dtype == classifier.classes_.dtype
    for name in ("history_", "n_iter_", "best_epoch_", "n_features_in_", "categories_"):
        assert getattr(loaded, name) == getattr(classifier, name)
    assert vars(loaded).keys() == vars(classifier).keys()
    np.testing.assert_allclose(loaded.to_keras()(X), classifier.to_keras()(X), rtol=1e-6)
    copy = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(copy.predict_proba(X), classifier.predict_proba(X))
    with pytest.raises(NotFittedError):
        clone(loaded).predict(X)


@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
def test_training_goes_on_as_if_there_had_been_no_file(classifier, path, go_on):
    mlp, loaded = pickle.loads(pickle.dumps(classifier)), reloaded(classifier, path)
    for one in (mlp, loaded):
        getattr(one, go_on)(X, LABELS)
    np.testing.assert_array_equal(loaded.predict_proba(X), mlp.predict_proba(X))
    assert loaded.history_ == mlp.history_


def test_the_same_model_has_the_same_bytes(classifier, path, tmp_path):
    again = tmp_path / "again.mlp"
    save_model(reloaded(classifier, path), again)
    assert again.read_bytes() == path.read_bytes()


def test_a_table_with_categories_and_dates(path):
    n = len(X)
    frame = pd.DataFrame(
        {
            "number": np.where(np.arange(n) % 7, X[:, 0], np.nan),
            "word": RNG.choice(["a", "b", None], n),
            "when": pd.date_range("2020-01-31", periods=n, tz="Europe/Paris"),
            "bin": pd.cut(X[:, 1], 3),
            "flag": X[:, 2] > 0,
        }
    )
    mlp = plain_classifier(
        **SMALL,
        input_scaling="robust",
        categorical_features=make_column_selector(dtype_exclude=[np.number, "datetimetz"]),
    ).fit(frame, LABELS)
    loaded = reloaded(mlp, path)
    np.testing.assert_array_equal(loaded.predict_proba(frame), mlp.predict_proba(frame))
    np.testing.assert_array_equal(loaded.feature_names_in_, mlp.feature_names_in_)
    for name, values in mlp.categories_.items():
        assert loaded.categories_[name].tolist() == values.tolist()
        assert [type(value) for value in loaded.categories_[name]] == [type(value) for value in values]


@pytest.mark.parametrize(
    "params",
    [
        {"loss": keras.losses.Huber(delta=0.3)},
        {"loss": Quantile(0.2), "metrics": [keras.metrics.MeanAbsoluteError(name="mine")]},
        {"loss": keras.losses.mean_absolute_error, "optimizer": keras.optimizers.Adam(beta_1=0.8)},
        {"loss": squares, "optimizer": keras.optimizers.SGD, "optimizer__momentum": np.float64(0.9)},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)},
        {"hold_out": GroupKFold(n_splits=3), "random_state": np.random.RandomState(3)},
        {"callbacks": keras.callbacks.EarlyStopping, "callbacks__patience": 3, "callbacks__monitor": "loss"},
        {"model": build, "width": 3, "metrics": ("mae",)},
        {"model": build_own, "learning_rate": 0.01},
        {"model": build_graph, "input_columns": {"one": [0, 2], "other": [1]}},
        {"model": build({"n_features_in_": 3})},
    ],
    ids=lambda params: next(iter(params)) + str(len(params)),
)
def test_parameters_of_every_kind(path, params):
    mlp = plain_regressor(**SMALL | params)
    mlp.fit(X, Y, groups=np.arange(60) // 6) if "hold_out" in params else mlp.fit(X, Y)
    own = {
        "build": build,
        "build_graph": build_graph,
        "build_own": build_own,
        "Doubled": Doubled,
        "double": double,
        "squares": squares,
    }
    save_model(mlp, path)
    loaded = load_model(path, own)
    again = path.with_name("again.mlp")
    save_model(loaded, again)
    assert again.read_bytes() == path.read_bytes()
    np.testing.assert_array_equal(loaded.predict(X), mlp.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).predict(X), mlp.predict(X))
    if "input_columns" not in params:
        shown = loaded.model_.predict(X, verbose=0)[:, 0]
        np.testing.assert_allclose(shown, mlp.predict(X), rtol=1e-4, atol=1e-5)
    assert loaded.get_params().keys() == mlp.get_params().keys()
    for one in (mlp, loaded):
        one.partial_fit(X, Y)
    np.testing.assert_array_equal(loaded.predict(X), mlp.predict(X))
    if "loss" in params and not callable(getattr(params["loss"], "__code__", None)):
        assert getattr(loaded.loss, "_fn_kwargs", None) == getattr(mlp.loss, "_fn_kwargs", None)


def test_what_the_caller_must_give_is_said(path):
    save_model(plain_regressor(build_own, epochs=1, learning_rate=0.01, random_state=0).fit(X, Y), path)
    with pytest.raises(ModelFileError, match=r"custom_objects=\{.*'Doubled': Doubled"):
        load_model(path)
    with pytest.raises(ModelFileError, match=r"custom_objects=\{'double': double\}"):
        load_model(path, {"build_own": build_own, "Doubled": Doubled})
    with pytest.raises(TypeError, match="The 'custom_objects' parameter must be a dict"):
        load_model(path, [build_own])
    with pytest.raises(ModelFileError, match="the built-in network only"):
        load_predictor(path)


@pytest.mark.parametrize(
    ("params", "given"),
    [
        ({"optimizer": keras.optimizers.Adam(Halving())}, {"Halving": Halving}),
        (
            {"model": build_with_own_parts},
            {
                "Halving": Halving,
                "Sparse": Sparse,
                "build_with_own_parts": build_with_own_parts,
                "squares": squares,
                "test_persistence>Named": Registered,
            },
        ),
    ],
    ids=["optimizer", "model"],
)
def test_objects_of_the_users_own_within_those_of_keras(path, params, given):
    mlp = KerasMLPRegressor(ensemble_size=1, epochs=1, random_state=0, **params).fit(X, Y)
    save_model(mlp, path)
    with pytest.raises(ModelFileError, match=r"custom_objects=\{.*'Halving': Halving") as raised:
        load_model(path)
    assert "Named': Named" in str(raised.value) or "model" not in params
    loaded = load_model(path, given)
    for one in (mlp, loaded, again := pickle.loads(pickle.dumps(loaded))):
        one.partial_fit(X, Y)
    np.testing.assert_array_equal(loaded.predict(X), mlp.predict(X))
    np.testing.assert_array_equal(again.predict(X), mlp.predict(X))


def test_what_is_given_is_a_function_or_class(path):
    save_model(plain_regressor(build_own, epochs=1, learning_rate=0.01, random_state=0).fit(X, Y), path)
    with pytest.raises(ModelFileError, match=r"custom_objects\['build_own'\] must be a function or class. Got None"):
        load_model(path, {"build_own": None, "Doubled": Doubled, "double": double})


def test_a_class_of_the_users_own(path):
    mlp = OwnRegressor(**SMALL | {"ensemble_size": 1}).fit(X, Y)
    save_model(mlp, path)
    with pytest.raises(ModelFileError, match="'OwnRegressor': OwnRegressor"):
        load_model(path)
    assert type(load_model(path, {"OwnRegressor": OwnRegressor})) is OwnRegressor
    np.testing.assert_array_equal(load_predictor(path).predict(X), mlp.predict(X))


def test_where_the_initial_weights_came_from(regressor, path):
    for source in (regressor, FrozenEstimator(regressor)):
        mlp = plain_regressor(**SMALL, init_from=source).fit(X, Y)
        loaded = reloaded(mlp, path)
        assert type(loaded.init_from) is type(source)
        np.testing.assert_array_equal(loaded.init_from.predict(X), regressor.predict(X))
        np.testing.assert_array_equal(clone(loaded).fit(X, Y).predict(X), clone(mlp).fit(X, Y).predict(X))


def test_the_autoencoder_that_the_initial_weights_came_from(path):
    mlp = plain_regressor(**SMALL, pretrain="autoencoder").fit(X, Y)
    loaded = reloaded(mlp, path)
    np.testing.assert_array_equal(loaded.predict(X), mlp.predict(X))
    np.testing.assert_array_equal(loaded.autoencoder_.predict(X), mlp.autoencoder_.predict(X))
    np.testing.assert_array_equal(load_predictor(path).predict(X), mlp.predict(X))
    assert vars(loaded).keys() == vars(mlp).keys()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"callbacks": [keras.callbacks.EarlyStopping(monitor="loss")]}, "'callbacks' parameter .* use its class"),
        ({"lr_schedule": lambda epoch: 1.0}, "'lr_schedule' parameter cannot be kept .* a lambda has no name"),
        ({"callbacks": keras.callbacks.CSVLogger, "callbacks__filename": os.devnull}, "'callbacks' parameter"),
        ({"model": Builder()}, "'model' parameter cannot be kept .* use a function or a class"),
        ({"model": Builder().__call__}, "'model' parameter cannot be kept .* use a function or a class"),
    ],
)
def test_parameters_that_cannot_be_kept(path, params, message):
    mlp = plain_regressor(**SMALL | params).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        save_model(mlp, path)
    assert not path.exists()


def test_categories_that_cannot_be_kept(path):
    tones = pd.Series([Tone.LOW, Tone.HIGH] * 30, dtype=object)
    mlp = KerasMLPRegressor(ensemble_size=1, **SMALL).fit(pd.DataFrame({"tone": tones}), Y)
    with pytest.raises(ValueError, match=r"A category of X, or .* cannot be kept in a file: <Tone.HIGH: 'high'> of"):
        save_model(mlp, path)


def test_a_model_without_an_input(path):
    mlp = KerasMLPRegressor(keras.Sequential([keras.layers.Dense(1)]), epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"'model' parameter cannot be kept .* let it begin with keras\.Input"):
        save_model(mlp, path)


def test_a_layer_that_holds_code(path):
    def with_lambda():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1), keras.layers.Lambda(double)])

    mlp = plain_regressor(with_lambda, epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"The network of the 'model' parameter cannot be kept .*Lambda"):
        save_model(mlp, path)


def test_things_that_are_no_fitted_estimator(regressor, path):
    with pytest.raises(NotFittedError):
        save_model(plain_regressor(), path)
    search = GridSearchCV(make_pipeline(StandardScaler(), regressor), {})
    for other, message in [
        (search, "Got 'GridSearchCV' instead. Of a search, take best_estimator_"),
        (
            make_pipeline(StandardScaler(), regressor),
            r"Of a Pipeline, take the last step \(pipeline\[-1\]\), or .*skops",
        ),
        (StandardScaler(), "Got 'StandardScaler' instead. Other estimators, .*skops"),
        (CalibratedClassifierCV(plain_classifier(), cv=2), "Got 'CalibratedClassifierCV' instead. Other estimators"),
        (KerasMLPClassifier, "Got a class"),
        (None, "must be a fitted KerasMLPClassifier or KerasMLPRegressor"),
    ]:
        with pytest.raises(TypeError, match=message):
            save_model(other, path)


def test_paths_that_are_none(regressor, tmp_path):
    for act in (lambda path: save_model(regressor, path), load_model, load_predictor):
        with pytest.raises(ValueError, match=r"must be a file's\. Got the folder"):
            act(tmp_path)
        for wrong in (None, 3, b"x"):
            with pytest.raises(TypeError, match="The 'path' parameter must be a str or path-like"):
                act(wrong)
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        save_model(regressor, tmp_path / "no" / "model.mlp")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "model.mlp")
    for wrong in (f"{tmp_path}/models/", "a\0b"):
        with pytest.raises(ValueError, match=r"The 'path' parameter must be a file's\. Got .* instead"):
            save_model(regressor, wrong)
    save_model(regressor, tmp_path / ("n" * 255))
    assert os.listdir(tmp_path) == ["n" * 255]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_stays_one(regressor, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for act in (lambda path: save_model(regressor, path), load_model, load_predictor):
        with pytest.raises(ValueError, match=r"must be a file's\. Got .*pipe' instead, which is not a file"):
            act(pipe)
    assert pipe.is_fifo()


@pytest.mark.skipif(os.name != "posix", reason="other systems keep permissions elsewhere")
def test_who_may_read_a_file_stays_as_it_was(regressor, path):
    save_model(regressor, path)
    path.chmod(0o600)
    save_model(regressor, path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_the_file_that_was_there(regressor, classifier, path, monkeypatch):
    save_model(regressor, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive.os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        save_model(classifier, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_link_stays_one(regressor, tmp_path):
    (tmp_path / "target.mlp").write_text("")
    (tmp_path / "link.mlp").symlink_to(tmp_path / "target.mlp")
    save_model(regressor, tmp_path / "link.mlp")
    assert (tmp_path / "link.mlp").is_symlink()
    load_predictor(tmp_path / "target.mlp")


def test_files_that_are_too_large(regressor, path):
    save_model(regressor, path)
    with pytest.raises(ModelFileError, match="and max_bytes=1000"):
        load_model(path, max_bytes=1000)
    for wrong in (None, "1000", 0, float("nan"), True):
        with pytest.raises(ValueError, match="The 'max_bytes' parameter must be a number above 0"):
            load_predictor(path, max_bytes=wrong)


def with_text(path, change):
    """The file with another text, whose checksums are right."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    text = json.loads(members[archive.TEXT])
    change(text)
    encoded = members[archive.TEXT] = json.dumps(text).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
        file.comment = archive.hashlib.sha256(encoded).hexdigest().encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.update(format=2), "of format 2; .* Install a newer version"),
        (lambda text: text.update(format="1"), "of format '1'"),
        (lambda text: text.update(kind="run"), "It holds a run, and a model is wanted"),
        (lambda text: text.update(kind="\ud800"), r"It holds a \\ud800, and a model is wanted"),
        (lambda text: text["content"].update({"class": "os.system"}), "an estimator of the unknown class"),
        (lambda text: text["content"]["parameters"].update(n_wishes=3), "parameters that .* does not have"),
        (lambda text: fitted_of(text).update(best_epoch="3"), "Fitted.best_epoch is '3'"),
        (lambda text: text["content"]["learned"].pop("_fitted"), "damaged"),
        (lambda text: fitted_of(text)["table"]["Table"].update(n_features=10**12), "other columns than X"),
        (lambda text: spec_of(text).update(hidden_layer_sizes={"tuple": [9]}), "damaged"),
        (lambda text: spec_of(text).update(n_features="3"), "NetworkSpec.n_features is '3'"),
        (lambda text: spec_of(text).update(code="print()"), "fields of NetworkSpec that this version"),
        (lambda text: text["content"]["parameters"].update(loss={"eval": "1"}), "a value of the type 'eval'"),
        (
            lambda text: text["content"]["parameters"].update(loss={"Fraction": "1e9999999"}),
            "It is damaged: .*1e9999999",
        ),
        (
            lambda text: text["content"]["parameters"].update(loss={"slice": {"range": [0, 10**10, 1]}}),
            "a range of 10000",
        ),
        (lambda text: text["content"]["parameters"].update(loss={"set": ALIKE}), "too many values of the same hash"),
        (
            lambda text: text["content"]["parameters"].update(loss={"dict": [[key, 0] for key in ALIKE]}),
            "too many values of the same hash",
        ),
        (
            lambda text: fitted_of(text)["table"]["Table"].update(categories={"dict": [[0, {"tuple": ALIKE}]]}),
            "too many values of the same hash",
        ),
        (
            lambda text: text["content"]["parameters"].update(
                loss=of_keras("keras.metrics", "AUC", num_thresholds=2e9)
            ),
            "keras.metrics.AUC in a model, which is refused",
        ),
        (
            lambda text: text["content"]["parameters"].update(
                loss=of_keras("keras.metrics", "MeanIoU", num_classes=10**6)
            ),
            "keras.metrics.MeanIoU in a model, which is refused",
        ),
        (lambda text: text["content"]["parameters"].update(loss={"keras_name": "keras.utils.get_file"}), "refused"),
        (lambda text: text["content"]["parameters"].update(loss={"named": "getcwd"}), "'getcwd': getcwd"),
        (lambda text: text["content"]["parameters"].update(loss=of_keras("os", "system")), "'system': system"),
        (lambda text: text["content"]["parameters"].update(loss=of_keras("keras.layers", "Lambda")), "refused"),
        (lambda text: text["content"]["parameters"].update(loss=of_keras("keras.utils", "get_file")), "refused"),
        (lambda text: text["content"]["parameters"].update(loss=of_keras("builtins", "__lambda__")), "refused"),
        (lambda text: text["content"]["parameters"].update(loss={"partial": [{"keras_name": 0}, [], 0]}), "not given"),
    ],
)
def test_texts_that_somebody_has_written(regressor, path, change, message):
    save_model(regressor, path)
    with_text(path, change)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda dense: dense["config"].update(units=2**40), "layers of its network have other sizes than the weights"),
        (lambda dense: dense["config"].update(units="many"), "damaged"),
        (lambda dense: dense.update(class_name="Lambda"), "refused"),
        (lambda dense: dense.update(config={}), "damaged"),
    ],
)
def test_networks_that_somebody_has_written(path, change, message):
    def change_text(text):
        config = fitted_of(text)["make_model"]["keras_maker"][0]
        change(config["config"]["layers"][-1])

    save_model(plain_regressor(build, epochs=1, random_state=0).fit(X, Y), path)
    with_text(path, change_text)
    with pytest.raises(ModelFileError, match=message):
        load_model(path, {"build": build})


def test_models_that_somebody_has_written_as_parameters(path):
    """A small file may not make a large network, neither of a template nor in place of another parameter."""

    def larger(text):
        change = text["content"]["parameters"]["model"]["keras_model"][0]["keras_maker"][0]
        change["config"]["layers"][-1]["config"]["units"] = 2**40

    def elsewhere(text):
        parameters = text["content"]["parameters"]
        parameters["loss"] = {"keras": parameters["model"]["keras_model"][0]["keras_maker"][0]}

    def built(text):
        dense = keras.saving.serialize_keras_object(keras.layers.Dense(2**20))
        text["content"]["parameters"]["loss"] = {"keras": dense | {"build_config": {"input_shape": [None, 2**20]}}}

    template = plain_regressor(build({"n_features_in_": 3}), epochs=1, random_state=0).fit(X, Y)
    for change, message in ((larger, "other sizes than the weights"), (elsewhere, "a model within a parameter")):
        save_model(template, path)
        with_text(path, change)
        with pytest.raises(ModelFileError, match=message):
            load_model(path)
    save_model(template, path)
    with_text(path, built)
    assert not load_model(path).loss.built


def test_columns_that_somebody_has_written(path):
    when = pd.DataFrame({"when": pd.date_range("2020-01-31", periods=60), "x": X[:, 0]})
    mlp = KerasMLPRegressor(ensemble_size=1, **SMALL).fit(when, Y)

    def shorter(text):
        ((_, date),) = fitted_of(text)["table"]["Table"]["dates"]["dict"]
        date["DateColumn"]["scale"]["tuple"].pop()

    for change in (shorter, lambda text: fitted_of(text).update(shift={"array": 0})):
        save_model(mlp, path)
        with_text(path, change)
        for load in (load_model, load_predictor):
            with pytest.raises(ModelFileError, match="damaged"):
                load(path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory"),
        (ImportError("No module named 'pandas'"), "cannot be imported: No module named 'pandas'"),
        (OSError(errno.EIO, "Input/output error"), "The system says: .*Input/output error"),
        (IndexError("out of range"), "It is damaged: out of range"),
    ],
)
def test_what_is_no_damage_is_not_called_so(error, message):
    with pytest.raises(ModelFileError, match=message) as raised, archive.refusing("model.mlp"):
        raise error
    assert ("damaged" in str(raised.value)) == isinstance(error, IndexError)


def spec_of(text):
    return fitted_of(text)["spec"]["NetworkSpec"]


def fitted_of(text):
    return text["content"]["learned"]["_fitted"]["Fitted"]


def of_keras(module, name, **config):
    return {"keras": {"module": module, "class_name": name, "config": config, "registered_name": None}}


@pytest.mark.parametrize(
    "value",
    [
        (1, "a", None, True, 2.5, [3, (4,)]),
        {1: "a", "b": (2.0,), None: float("-inf"), (1, 2): b"\xff", 2: 1e-320},
        np.arange(6.0).reshape(2, 3).T,
        np.array(["a", None, 3.5], dtype=object),
        np.array([], dtype=object),
        np.array(["äß", ""]),
        np.zeros((0, 3), np.float32),
        [np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("é"), np.datetime64("2020-01-01", "D")],
        [np.dtype("<f4"), np.float32, np.number, object, int],
        [datetime.datetime(2020, 1, 2, 3, 4, 5, 6), datetime.date(2020, 2, 29), datetime.time(3, 4)],
        [datetime.timedelta(days=-3, microseconds=5), decimal.Decimal("1.10"), 2j, slice(1, None), range(3)],
        [{1, 2}, frozenset("ab"), "\ud800", 10**40],
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back_as_they_were(value):
    writer = Writer()
    text = json.loads(json.dumps(writer.of(value), allow_nan=False))
    found = Reader(writer.arrays).of(text)
    assert repr(found) == repr(value)
    np.testing.assert_equal(found, value)
    if isinstance(value, np.ndarray):
        assert found.dtype == value.dtype


def test_a_number_that_is_none():
    writer = Writer()
    assert np.isnan(Reader([]).of(writer.of(float("nan"))))


def test_zones_of_dates():
    from zoneinfo import ZoneInfo

    fixed = datetime.timezone(datetime.timedelta(hours=2))
    for zone in (ZoneInfo("Europe/Paris"), fixed, datetime.UTC):
        value = datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=zone)
        found = Reader([]).of(Writer().of(value))
        assert (found, found.fold, found.utcoffset()) == (value, 1, value.utcoffset())


def test_values_of_pandas():
    values = [
        pd.Timestamp("2020-01-02 03:04:05.123456789"),
        pd.Timestamp("2020-01-02", tz="Europe/Paris"),
        pd.Timedelta("3 days 2 ns"),
        pd.Period("2020Q3"),
        pd.Interval(0.5, 1.5),
    ]
    found = Reader([]).of(json.loads(json.dumps(Writer().of(values))))
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_values_that_hold_themselves():
    value = []
    value.append(value)
    with pytest.raises(NotKept, match="without end"):
        Writer().of(value)
    with pytest.raises(NotKept, match=r"of type builtins\.object"):
        Writer().of(object())


@pytest.mark.parametrize("estimator", [Passing(5, n_hidden=1, epochs=2), Deriving(5)], ids=["passing", "deriving"])
def test_subclasses_with_parameters_of_their_own(estimator, path, no_xla):
    loaded = reloaded(estimator.fit(X, LABELS), path, **{type(estimator).__name__: type(estimator)})
    assert loaded.get_params() == estimator.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))
    with pytest.raises(ModelFileError, match=r"custom_objects\['(Passing|Deriving)'\] must be a class"):
        load_model(path, {type(estimator).__name__: squares})
