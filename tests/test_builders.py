"""Programs that people already have: a function builds the model, its arguments are searched by their own names."""

import functools
import pickle

import keras
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor
from sk_mlp.model_selection import PopulationGridSearchCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 4)).astype(np.float32)
Y = 2 * (X[:, 0] - X[:, 1] ** 2) + 3
NUMBERS = (Y > 2).astype(int) + (Y > 4)
pytestmark = pytest.mark.usefixtures("no_xla")


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=(4,)):
    model = keras.Sequential([keras.layers.InputLayer(shape=input_shape)])
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate))
    return model


def build_plain(units=5, dropout_rate=0.0, n_outputs=1, out=None):
    """Not compiled."""
    layers = [keras.layers.Dense(units, "tanh"), keras.layers.Dropout(dropout_rate)]
    return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(n_outputs, out)])


def regressor(model=build_model, **params):
    return KerasMLPRegressor(model, **{"epochs": 2, "random_state": 0} | params)


def widths(mlp):
    return [layer.units for layer in mlp.model_.layers if isinstance(layer, keras.layers.Dense)]


# The builder's arguments


class Built:
    def __init__(self, depth=1):
        self.depth = depth

    def __call__(self, units=5):
        return build_plain(units)

    def method(self, units=5):
        return build_plain(units)


class Network(keras.Model):
    def __init__(self, units=5):
        super().__init__()
        self.hidden, self.out = keras.layers.Dense(units), keras.layers.Dense(1)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


@pytest.mark.parametrize(
    "builder",
    [
        build_plain,
        functools.partial(build_plain, dropout_rate=0.1),
        Built(),
        Built().method,
        lambda units=5: build_plain(units),
    ],
    ids=["function", "partial", "object", "method", "lambda"],
)
@pytest.mark.parametrize("name", ["units", "model__units"])
def test_builders_of_any_kind_get_their_arguments(builder, name):
    mlp = regressor(builder, **{name: np.int64(7)}).fit(X, Y)
    assert widths(mlp) == [7, 1]
    assert widths(clone(mlp).fit(X, Y)) == [7, 1]
    assert widths(regressor(builder).fit(X, Y)) == [5, 1]


def test_a_class_is_a_builder():
    mlp = regressor(Network, units=7).fit(X, Y)
    assert mlp._fitted.weights()[0].shape == (4, 7)


@pytest.mark.parametrize("n_hidden", [1, 2, 3])  # the builder's default, another, the built-in network's default
def test_a_name_of_ours_is_passed_on(n_hidden):
    assert widths(regressor(n_hidden=n_hidden, n_neurons=7).fit(X, Y)) == [7] * n_hidden + [1]
    assert widths(regressor(model__n_hidden=n_hidden).fit(X, Y)) == [30] * n_hidden + [1]


def test_parameters_are_those_of_the_builder_until_they_are_set():
    mlp = regressor()
    params = mlp.get_params()
    assert (params["n_hidden"], params["learning_rate"], params["input_shape"]) == (1, 3e-3, (4,))
    assert mlp.input_shape == (4,)
    assert "input_shape" in repr(mlp)
    mlp.set_params(n_hidden=2, input_shape=(3,))
    assert (mlp.get_params()["n_hidden"], mlp.get_params()["input_shape"]) == (2, (3,))
    copy = pickle.loads(pickle.dumps(clone(mlp)))
    assert (copy.n_hidden, copy.input_shape) == (2, (3,))


def test_a_builders_default_of_what_trains_holds_for_training_too():
    def build(epochs=3, patience=None, shuffle=False, n_neurons=5):
        return build_model(n_neurons=n_neurons)

    mlp = KerasMLPRegressor(build, random_state=0)
    shown = {name: mlp.get_params()[name] for name in ("epochs", "patience", "shuffle", "n_neurons")}
    assert shown == {"epochs": 3, "patience": "auto", "shuffle": True, "n_neurons": 5}
    again = KerasMLPRegressor(**mlp.get_params())
    assert [one.fit(X, Y).n_iter_ for one in (mlp, clone(mlp), again)] == [3, 3, 3]
    assert mlp.fit(X, Y, epochs=1).n_iter_ == 1
    assert clone(mlp).set_params(model__epochs=7, patience=1).get_params()["epochs"] == "auto"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("alpha", "alpha is weight_decay"), ("n_neuron", "'n_neurons'.*takes"), ("n_neuron__a", "")],
)
def test_names_that_are_set_later_get_the_hints_of_the_constructor(name, hint):
    with pytest.raises(ValueError, match=f"Invalid parameter {name!r}.*{hint}"):
        regressor().set_params(**{name: 1})
    with pytest.raises(ValueError, match=f"Invalid parameter {name!r}.*{hint}"):
        GridSearchCV(make_pipeline(regressor()), {f"kerasmlpregressor__{name}": [1]}).fit(X, Y)


def test_a_clone_with_another_builder_has_that_ones_defaults():
    other = clone(regressor()).set_params(model=lambda n_hidden=3: build_model(n_hidden, 6))
    assert widths(other.fit(X, Y)) == [6, 6, 6, 1]


def test_what_is_set_last_holds():
    mlp = regressor(build_plain, model__units=3).set_params(units=4)
    assert widths(mlp.fit(X, Y)) == [4, 1]
    assert widths(mlp.set_params(model__units=6).fit(X, Y)) == [6, 1]


SEARCHES = {
    "grid": lambda mlp, grid: GridSearchCV(mlp, grid, cv=2),
    "random": lambda mlp, grid: RandomizedSearchCV(mlp, grid, n_iter=4, cv=2, random_state=0),
    "population": lambda mlp, grid: PopulationGridSearchCV(mlp, grid, cv=2),
    "n_jobs=2": lambda mlp, grid: GridSearchCV(mlp, grid, cv=2, n_jobs=2),
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_searches_try_networks_that_differ(search):
    found = search(regressor(), {"n_hidden": [0, 1], "n_neurons": [3, 5]}).fit(X, Y)
    assert len(set(found.cv_results_["mean_test_score"])) >= 3  # without a hidden layer, widths are the same
    best = found.best_params_
    assert widths(found.best_estimator_) == [best["n_neurons"]] * best["n_hidden"] + [1]


def test_searches_agree():
    grid, words = (
        {"n_neurons": [3, 5], "learning_rate": [1e-4, 1e-3]},
        {"epochs": 3, "validation_data": (X[:40], Y[:40])},
    )
    words["callbacks"] = [keras.callbacks.EarlyStopping(patience=2)]
    searches = [search(regressor(), grid, cv=2).fit(X, Y, **words) for search in (GridSearchCV, PopulationGridSearchCV)]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)
    assert {len(search.best_estimator_.history_["loss"]) for search in searches} == {3}


def test_in_a_pipeline_and_other_meta_estimators():
    pipeline = make_pipeline(StandardScaler(), regressor(build_plain))
    search = GridSearchCV(pipeline, {"kerasmlpregressor__units": [2, 3]}, cv=2)
    search.fit(X, Y, kerasmlpregressor__epochs=1)
    assert search.best_estimator_[-1].n_iter_ == 1
    several = MultiOutputRegressor(regressor(build_plain, units=3)).fit(X, np.stack([Y, -Y], 1))
    assert widths(several.estimators_[1]) == [3, 1]


def test_any_keyword_reaches_a_builder_by_its_prefix_only():
    def build(**kwargs):
        return build_plain(**kwargs)

    assert widths(regressor(build, model__units=3).fit(X, Y)) == [3, 1]
    with pytest.raises(TypeError, match="unexpected keyword argument 'units'"):
        regressor(build, units=3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"activation": "tanh"},
            r"activation='tanh' applies only to the built-in network.*build_model\(\).*n_hidden.*n_neurons",
        ),
        ({"hidden_layer_sizes": (8,)}, "hidden_layer_sizes=.8,. applies only to the built-in network"),
        ({"batch_norm": True}, "batch_norm=True applies only"),
        ({"n_neuron": 3}, "unexpected keyword argument 'n_neuron'.* Did you mean 'n_neurons'.*takes .*'input_shape'"),
        ({"inputshape": 3}, "unexpected keyword argument 'inputshape'.* Did you mean 'input_shape'"),
        ({"model__n_neuron": 3}, "unexpected keyword argument 'n_neuron'.*Did you mean 'n_neurons'"),
        ({"n_hidden": 1, "model__n_hidden": 2}, "n_hidden and model__n_hidden are the same argument"),
        ({"optimizer": "adam"}, "optimizer='adam' must not contradict what the model has been compiled with, SGD"),
        ({"optimizer__momentum": 0.5}, "optimizer__momentum=0.5 must not contradict .* momentum=0.0"),
        ({"weight_decay": 0.5}, "'weight_decay' parameter must be that of optimizer=SGD, 0.0. Got 0.5"),
        ({"solver": "adam", "alpha": 0.1}, "solver is optimizer.*alpha is weight_decay"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_a_model_cannot_do_is_refused_by_name(params, message):
    mlp = None
    with pytest.raises((ValueError, TypeError), match=message):
        mlp = regressor(**params)
        mlp.fit(X, Y)
    assert not hasattr(mlp, "n_features_in_")


def test_a_rate_against_that_of_a_builder_without_one():
    def build():
        return build_model(learning_rate=0.01)

    assert regressor(build, learning_rate=0.01).fit(X, Y).n_iter_ == 2
    with pytest.raises(ValueError, match=r"'learning_rate' parameter must be that of optimizer=SGD, 0.01.* Got 0.5"):
        regressor(build, learning_rate=0.5).fit(X, Y)


def test_values_that_only_the_builder_understands():
    def build(activation="relu", dropout=None):
        assert (activation, dropout) == ("softsign", [0.1])
        return build_plain()

    regressor(build, activation="softsign", dropout=[0.1]).fit(X, Y)


def test_values_of_plain_mlp_give_way_to_those_for_the_builder():
    def build(activation="tanh"):
        assert activation == "sigmoid"
        return build_plain()

    KerasMLPRegressor(build, **PLAIN_MLP | {"epochs": 1}, model__activation="sigmoid").fit(X, Y)


# The model is the user's


def test_one_network_in_units_of_its_own():
    mlp = regressor(epochs=5).fit(X, Y)
    assert len(mlp._fitted.states) == 1
    assert not mlp._fitted.targets.is_standardised
    error = np.mean((mlp.predict(X) - Y) ** 2)
    assert mlp.model_.evaluate(X, Y, verbose=0) == pytest.approx(error, rel=1e-4)
    assert 0.5 * error < mlp.history_["loss"][-1] < 2 * error


def test_what_the_estimator_is_told_besides_is_done():
    params = {"ensemble_size": 2, "lr_schedule": "cosine", "batch_size": 50, "normalize_y": True}
    mlp = regressor(epochs=3, **params).fit(X, Y)
    assert len(mlp._fitted.states) == 2
    assert mlp._fitted.targets.is_standardised
    assert mlp.history_["learning_rate"][0] > mlp.history_["learning_rate"][-1]


def test_a_loss_and_metrics_besides_those_that_are_compiled():
    mlp = regressor(loss="mae", metrics=["mse"], normalize_y=True).fit(X, Y)
    figures = mlp.model_.evaluate(X, Y, verbose=0, return_dict=True)
    error = mlp.predict(X) - Y
    assert figures == pytest.approx({"loss": np.mean(np.abs(error)), "mse": np.mean(error**2)}, rel=1e-4)
    assert {"loss", "mse"} < mlp.history_.keys()


@pytest.mark.parametrize("scaling", ["robust", "standard"])
def test_columns_are_scaled_before_a_model(scaling):
    far = 1e6 + 100 * X.astype(float) @ np.diag([1, 10, 100, 1000])
    mlp = regressor(input_scaling=scaling, ensemble_size=2).fit(far, Y)
    np.testing.assert_allclose(
        mlp.predict(far), regressor(input_scaling=scaling, ensemble_size=2).fit(X, Y).predict(X), rtol=1e-3
    )
    np.testing.assert_allclose(np.asarray(mlp.model_(far))[:, 0], mlp.predict(far), rtol=1e-4)
    assert mlp.column_statistics_[0]["center"] == pytest.approx(far.mean(axis=0), rel=2e-2)
    copy = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(copy.predict(far), mlp.predict(far))
    assert clone(mlp).set_params(warm_start=True).fit(far, Y).fit(far, Y).n_iter_ == 2
    with pytest.raises(ValueError, match=r"input_scaling='.*' needs a dense X"):
        regressor(input_scaling=scaling).fit(csr_array(X), Y)


@pytest.mark.parametrize("params", [{}, {"ensemble_size": 2}, {"input_scaling": "robust"}], ids=str)
def test_a_model_is_saved_with_its_optimizer(tmp_path, params):
    mlp = regressor(epochs=1, **params).fit(X, Y)
    mlp.model_.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")  # a warning, of an optimizer's variables, is an error
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(np.mean((mlp.predict(X) - Y) ** 2), rel=1e-4)


def test_an_optimizer_that_is_given_stays_as_it_was():
    def build(optimizer):
        model = build_model()
        model.compile(optimizer, "mse")
        optimizer.learning_rate = 0.5
        return model

    given = keras.optimizers.Adam(0.1)
    regressor(build, optimizer=given, epochs=1, ensemble_size=2).fit(X, Y)
    assert float(given.learning_rate) == pytest.approx(0.1)
    assert not given.built


@pytest.mark.parametrize("contained", [lambda y: y, lambda y: [y], lambda y: {"y": y}], ids=["bare", "list", "dict"])
def test_columns_are_scaled_before_the_inputs_of_a_model(contained):
    def build():
        left, right = keras.Input((1,), name="left"), keras.Input((3,), name="right")
        output = keras.layers.Dense(1)(keras.layers.concatenate([left, right]))
        model = keras.Model([left, right], contained(output))
        model.compile("sgd", "mse", metrics=["mae"])
        return model

    mlp = regressor(build, input_columns={"left": [3], "right": slice(0, 3)}, input_scaling="robust").fit(1e3 * X, Y)
    np.testing.assert_allclose(mlp.model_.predict(1e3 * X, verbose=0)[:, 0], mlp.predict(1e3 * X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_training_is_that_of_keras_fit(engine):
    def build():
        model = build_model(learning_rate=1e-3)
        model.compile(
            optimizer=keras.optimizers.AdamW(
                keras.optimizers.schedules.ExponentialDecay(1e-2, 5, 0.5), weight_decay=0.1
            ),
            loss=["mae"],
            loss_weights=[0.25] if False else 0.25,
            metrics=["mse", keras.metrics.RootMeanSquaredError()],
        )
        for layer, weights in zip(model.layers, START, strict=True):
            layer.set_weights(weights)
        return model

    rng = np.random.default_rng(0)
    START = [[rng.standard_normal((4, 30)), np.zeros(30)], [rng.standard_normal((30, 1)), np.zeros(1)]]
    mlp = regressor(build, early_stopping=False, shuffle=False, epochs=4, engine=engine).fit(X, Y)
    model = build()
    history = model.fit(X, Y, epochs=4, shuffle=False, verbose=0).history
    for name in ("loss", "mse", "root_mean_squared_error"):
        np.testing.assert_allclose(mlp.history_[name], history[name], rtol=1e-4)
    np.testing.assert_allclose(mlp.predict(X), model.predict(X, verbose=0)[:, 0], rtol=1e-4)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "sgd", "optimizer__learning_rate": 0.1, "optimizer__momentum": 0.5},
        {"optimizer": "sgd", "learning_rate": 0.1, "optimizer__momentum": 0.5},
        {"optimizer": keras.optimizers.SGD(0.1, momentum=0.5)},
        {
            "optimizer": keras.optimizers.SGD,
            "learning_rate": 0.1,
            "optimizer__learning_rate": 0.1,
            "optimizer__momentum": 0.5,
        },
    ],
    ids=["prefix", "name", "object", "both"],
)
def test_a_model_that_is_not_compiled_takes_what_the_estimator_says(params):
    mlp = regressor(build_plain, loss="mae", **params).fit(X, Y)
    assert mlp.history_["learning_rate"] == pytest.approx([0.1, 0.1])
    config = mlp.model_.optimizer.get_config()
    assert (type(mlp.model_.optimizer), config["momentum"]) == (keras.optimizers.SGD, 0.5)
    assert mlp.model_.evaluate(X, Y, verbose=0) == pytest.approx(np.mean(np.abs(mlp.predict(X) - Y)), rel=1e-4)


def test_the_rate_of_keras_for_an_optimizer():
    assert regressor(build_plain, optimizer="sgd").fit(X, Y).history_["learning_rate"] == pytest.approx([0.01] * 2)


def test_a_schedule_for_a_rate():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.1, 0.01])
    for params in (
        {"learning_rate": schedule},
        {"optimizer__learning_rate": schedule},
        {"optimizer": keras.optimizers.SGD(schedule)},
    ):
        mlp = regressor(build_plain, **{"optimizer": "sgd"} | params).fit(X, Y)
        assert mlp.history_["learning_rate"] == pytest.approx([0.1, 0.01])


def test_builders_compile_with_what_they_are_offered():
    def build(meta, compile_kwargs, units=5):
        model = build_plain(units)
        model.compile(**compile_kwargs)
        return model

    mlp = regressor(
        build, optimizer="sgd", optimizer__learning_rate=0.05, optimizer__momentum=0.5, metrics=["mae"], loss="mse"
    )
    mlp.fit(X, Y)
    assert mlp.history_["learning_rate"] == pytest.approx([0.05, 0.05])
    assert {"loss", "mae", "val_mae"} < mlp.history_.keys()


# A model in place of a builder


@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_model_is_a_template(is_compiled):
    model = build_model(2, 6) if is_compiled else build_plain()
    before = model.get_weights()
    first, second = (regressor(model, random_state=seed).fit(X, Y) for seed in (0, 0))
    other = regressor(model, random_state=1).fit(X, Y)
    for weights, array in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, array)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert np.abs(first.predict(X) - other.predict(X)).max() > 0
    assert clone(first).model is model
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first)).predict(X), first.predict(X))
    cross_val_score(first, X, Y, cv=2, n_jobs=2)


def test_a_warm_start_goes_on_from_a_models_weights():
    model = build_model()
    predicted = model.predict(X, verbose=0)[:, 0]
    mlp = regressor(model, warm_start=True, optimizer__learning_rate=3e-3, epochs=1).fit(X, Y)
    assert mlp.history_["loss"][0] < 1.1 * np.mean((predicted - Y) ** 2)
    builds_on = regressor(build_plain(), warm_start=True, epochs=1, learning_rate=1e-12).fit(X, Y)
    np.testing.assert_allclose(builds_on.predict(X), builds_on.model.predict(X, verbose=0)[:, 0], atol=1e-5)


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_a_builder_that_returns_the_same_model_again(engine):
    model = build_model()
    before = model.get_weights()
    mlp = regressor(lambda: model, engine=engine).fit(X, Y)
    np.testing.assert_allclose(mlp.model_.predict(X, verbose=0)[:, 0], mlp.predict(X), rtol=1e-4)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


# y as tutorials have it


def classify(out, loss, n_outputs, compiled):
    def build():
        model = build_plain(n_outputs=n_outputs, out=out)
        if compiled:
            model.compile("adam", loss, metrics=["accuracy"])
        return model

    params = {} if compiled else {"loss": loss}
    return KerasMLPClassifier(build, epochs=30, learning_rate="auto" if compiled else 1e-3, random_state=0, **params)


WORDS = np.array(["bad", "fair", "good"])[NUMBERS]
DUMMIES = keras.utils.to_categorical(NUMBERS)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy", "kl_divergence"])
@pytest.mark.parametrize("y", [NUMBERS, WORDS, DUMMIES], ids=["numbers", "words", "dummies"])
def test_labels_of_three_classes(y, loss, compiled):
    mlp = classify("softmax", loss, 3, compiled).fit(X, y)
    assert mlp.predict(X).shape == y.shape
    expected = np.mean(np.argmax(mlp.predict_proba(X), 1) == NUMBERS)
    assert mlp.score(X, y) == pytest.approx(expected)
    np.testing.assert_allclose(mlp.predict_proba(X).sum(1), 1)
    if compiled:
        assert mlp.history_["accuracy"][-1] > 0.3
    if y is DUMMIES:
        assert mlp.predict(X).dtype.kind == "i"
        mlp.fit(X, y, validation_data=(X[:50], y[:50]))


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
def test_dummies_and_a_softmax_are_classes_whatever_the_loss(loss):
    mlp = classify("softmax", loss, 3, True).fit(X, DUMMIES, epochs=1)
    assert (mlp.predict(X).sum(axis=1) == 1).all()
    assert mlp.score(X, DUMMIES) == np.mean(np.argmax(mlp.predict_proba(X), 1) == NUMBERS)
    assert (classify("sigmoid", loss, 3, True).fit(X, DUMMIES, epochs=1).predict(X).sum(axis=1) != 1).any()


def test_dummies_of_the_built_in_network():
    mlp = KerasMLPClassifier(**PLAIN_MLP | {"epochs": 3}, loss="categorical_crossentropy").fit(X, DUMMIES)
    assert mlp.predict(X).shape == DUMMIES.shape
    with pytest.raises(ValueError, match="y_val must have 3 columns, as in fit, with one 1 in each row"):
        mlp.fit(X, DUMMIES, validation_data=(X, np.ones_like(DUMMIES)))


@pytest.mark.parametrize(
    "out", [("sigmoid", 1, "binary_crossentropy"), ("softmax", 2, "sparse_categorical_crossentropy")]
)
def test_labels_of_two_classes(out):
    activation, n, loss = out
    for y in (NUMBERS > 0, (NUMBERS > 0).astype(float), np.array(["M", "R"])[(NUMBERS > 0).astype(int)]):
        mlp = classify(activation, loss, n, True).fit(X, y)
        assert mlp.predict_proba(X).shape == (150, 2)
        assert set(mlp.predict(X)) <= set(y)


def test_meta_has_scikeras_keys():
    seen = {}

    def build(meta):
        seen.update(meta)
        return build_plain(n_outputs=3, out="softmax")

    KerasMLPClassifier(build, epochs=1).fit(X, WORDS)
    expected = {"n_features_in_": 4, "n_classes_": 3, "X_shape_": X.shape, "X_dtype_": X.dtype, "y_dtype_": WORDS.dtype}
    expected |= {"y_ndim_": 1, "n_outputs_expected_": 1, "target_type_": "multiclass"}
    assert {name: seen[name] for name in expected} == expected
    assert list(seen["target_encoder_"].transform(["good"])) == [2]


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_margins_of_hinge_losses(loss):
    def build():
        model = build_plain(out="tanh")
        model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
        return model

    labels = X[:, 0] > 0
    mlp = KerasMLPClassifier(build, epochs=30, early_stopping=False, random_state=0).fit(X, labels)
    margins = mlp.model_.predict(X, verbose=0)[:, 0]
    np.testing.assert_array_equal(mlp.predict(X), margins > 0)
    np.testing.assert_allclose(mlp.predict_proba(X)[:, 1], np.clip((margins + 1) / 2, 0, 1), atol=1e-6)
    assert mlp.history_["accuracy"][-1] == pytest.approx(mlp.score(X, labels), abs=0.03)


# Earlier names


def test_build_fn_and_validation_split():
    with pytest.warns(FutureWarning, match="'build_fn' is an earlier name: use 'model'"):
        mlp = KerasMLPRegressor(build_fn=build_plain, validation_split=0.3, epochs=1)
    assert (mlp.model, mlp.validation_fraction) == (build_plain, 0.3)
    mlp.set_params(validation_split=0.2)
    assert clone(mlp).validation_fraction == 0.2
    with pytest.raises(ValueError, match="build_fn is another name of 'model'"):
        KerasMLPRegressor(build_plain, build_fn=build_plain)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("_keras_build_fn", "Pass a function"),
        ("__call__", "Pass a function"),
        ("feature_encoder", "in a Pipeline"),
        ("target_encoder", "Encode y"),
        ("scorer", "Override score"),
    ],
)
def test_what_subclasses_of_other_wrappers_override_is_not_passed_over(name, advice):
    Subclass = type("Subclass", (KerasMLPRegressor,), {name: lambda self, *args: build_plain()})
    with pytest.raises(TypeError, match=f"Subclass has {name}, .* {advice}"):
        Subclass(epochs=1).fit(X, Y)


@pytest.mark.parametrize("ensemble_size", [1, 2])
def test_a_builder_of_another_network_at_each_call(ensemble_size):
    widths = iter(range(41, 99))  # of no program that another test has left
    with pytest.raises(ValueError, match=r"must be a function that builds the same network at each call .* sizes"):
        regressor(lambda: build_plain(next(widths)), ensemble_size=ensemble_size).fit(X, Y)


def test_random_search_over_the_rate_of_the_builder():
    search = RandomizedSearchCV(regressor(), {"learning_rate": loguniform(1e-5, 1e-3)}, n_iter=2, cv=2, random_state=0)
    search.fit(X, Y)
    assert search.best_estimator_.history_["learning_rate"][0] == pytest.approx(search.best_params_["learning_rate"])


@pytest.mark.slow
def test_test_losses_are_those_of_keras_fit():
    """Over some seeds of the initial weights; the orders of rows differ."""

    def build(seed):
        initial = [keras.initializers.GlorotUniform(seed + number) for number in range(2)]
        layers = [keras.layers.Dense(30, "relu", kernel_initializer=initial[0])]
        model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1, kernel_initializer=initial[1])])
        model.compile("sgd", "mse")
        return model

    train, test = (X[:100], Y[:100]), (X[100:], Y[100:])
    mlp = regressor(build, early_stopping=False, epochs=12, batch_size=10)
    ours, theirs = [], []
    for seed in range(5):
        ours.append(mlp.set_params(seed=seed).fit(*train).model_.evaluate(*test, verbose=0))
        model = build(seed)
        model.fit(*train, epochs=12, batch_size=10, verbose=0)
        theirs.append(model.evaluate(*test, verbose=0))
    assert np.median(ours) == pytest.approx(np.median(theirs), rel=0.05)
