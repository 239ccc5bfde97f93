"""Paths of chosen columns, an auxiliary output, and models with several inputs."""

import pickle

import keras
import numpy as np
import pytest
from optional import pd, pl
from plain import plain_classifier, plain_regressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sk_mlp.engine.program import PROGRAMS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 6)).astype(np.float32)
Y = X[:, 0] * 2 + np.sin(3 * X[:, 1]) + 0.3 * RNG.standard_normal(200)
LABELS = np.digitize(Y, [-1, 1])
NAMES = list("abcdef")
FRAMES = {"pandas": lambda: pd.DataFrame(X, columns=NAMES), "polars": lambda: pl.DataFrame(X, schema=NAMES)}
SMALL = {"n_hidden": 2, "n_neurons": 8, "epochs": 2, "random_state": 0, "learning_rate": 1e-2}
PATHS = {"wide_features": slice(0, 2), "deep_features": slice(2, 6), "skip_connection": True}


def regressor(**params):
    return plain_regressor(**SMALL | params)


@pytest.fixture(scope="module")
def by_slices():
    return regressor(**PATHS).fit(X, Y)


# Wide and deep


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    ("wide", "deep"),
    [
        (["a", "b"], ["c", "d", "e", "f"]),
        ([0, 1], [2, 3, 4, 5]),
        ([0, 1], [-4, -3, -2, -1]),
        (slice("a", "b"), slice("c", None)),
        (np.arange(6) < 2, [False, False, True, True, True, True]),
        (lambda X: ["a", "b"], lambda X: [name for name in X.columns if name > "b"]),
    ],
    ids=["names", "numbers", "negative numbers", "slices", "masks", "functions"],
)
def test_columns_by_any_means(frame, wide, deep, by_slices):
    rows = FRAMES[frame]()
    named = regressor(skip_connection=True, wide_features=wide, deep_features=deep).fit(rows, Y)
    assert named.history_ == by_slices.history_
    np.testing.assert_array_equal(named.predict(rows), by_slices.predict(X))


def test_one_column():
    scalar = regressor(skip_connection=True, wide_features=3, deep_features=2).fit(X, Y)
    listed = regressor(skip_connection=True, wide_features=[3], deep_features=[2]).fit(X, Y)
    named = regressor(skip_connection=True, wide_features="d", deep_features="c").fit(FRAMES["pandas"](), Y)
    np.testing.assert_array_equal(scalar.predict(X), listed.predict(X))
    np.testing.assert_array_equal(scalar.predict(X), named.predict(FRAMES["pandas"]()))
    assert [w.shape for w in scalar.model_.get_layer("hidden_1").get_weights()] == [(1, 8), (8,)]


def test_each_path_sees_its_own_columns(by_slices):
    hidden, output = (by_slices.model_.get_layer(name).get_weights()[0] for name in ("hidden_1", "output"))
    assert hidden.shape == (4, 8)
    assert output.shape == (2 + 8, 1)
    moved = X.copy()
    moved[:, 0] += 1  # goes through the wide path alone, which is linear
    difference = by_slices.predict(moved) - by_slices.predict(X)
    np.testing.assert_allclose(difference, difference[0], rtol=1e-4)
    assert abs(difference[0]) > 1e-3
    moved = X.copy()
    moved[:, 3] += 1  # through the deep one
    assert np.ptp(by_slices.predict(moved) - by_slices.predict(X)) > 1e-3


def test_a_column_that_is_on_no_path_does_not_matter():
    fitted = regressor(skip_connection=True, wide_features=[0], deep_features=[1, 2]).fit(X, Y)
    moved = X.copy()
    moved[:, 3:] = 1e6
    np.testing.assert_array_equal(fitted.predict(moved), fitted.predict(X))


def test_paths_may_overlap_and_keep_their_order():
    """As in the textbook: wide 0-4, deep 2-7."""
    fitted = regressor(skip_connection=True, wide_features=[3, 0, 2], deep_features=[5, 2]).fit(X, Y)
    shuffled = X[:, [5, 2, 3, 0, 1, 4]]
    other = regressor(skip_connection=True, wide_features=[2, 3, 1], deep_features=[0, 1]).fit(shuffled, Y)
    np.testing.assert_array_equal(fitted.predict(X), other.predict(shuffled))


@pytest.mark.parametrize("params", [PATHS, PATHS | {"aux_output": True}], ids=["one output", "two outputs"])
def test_model_is_the_same_network_and_saves(params, tmp_path):
    fitted = regressor(**params).fit(X, Y)
    fitted.model_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for model in (fitted.model_, loaded):
        output = model.predict(X, verbose=0)
        main = output[0] if "aux_output" in params else output
        np.testing.assert_allclose(main[:, 0], fitted.predict(X), rtol=1e-4, atol=1e-4)
    assert {type(layer).__module__.split(".")[0] for layer in loaded.layers} == {"keras"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"wide_features": [0]}, r"wide_features=\[0\] needs skip_connection=True"),
        (
            {"wide_features": [6], "skip_connection": True},
            r"wide_features must name columns of X \(0 to 5\). Got \[6\]",
        ),
        ({"deep_features": ["a"]}, "deep_features must name columns of X"),
        ({"deep_features": []}, "deep_features must name at least one column of X, and each once. Got none"),
        ({"deep_features": [1, 1]}, r"deep_features must .* each once. Got a column twice: \[1, 1\]"),
        ({"deep_features": [1, -5]}, "deep_features must .* each once. Got a column twice"),
        ({"deep_features": lambda X: []}, "deep_features must name at least one column"),
        ({"deep_features": np.zeros(6, bool)}, "deep_features must name at least one column"),
        ({"deep_features": [0], "n_hidden": 0}, r"deep_features=\[0\] needs a deep path"),
        ({"aux_output": True, "n_hidden": 0}, "aux_output=True needs a deep path: at least one hidden layer. Got none"),
        ({"aux_loss_weight": 1.0, "aux_output": True}, "The 'aux_loss_weight' parameter"),
        ({"input_columns": ([0], [1])}, r"input_columns names .* Got model=None; use wide_features and deep_features"),
    ],
)
def test_bad_paths(params, message):
    mlp = regressor(**params)
    with pytest.raises(ValueError, match=message):
        mlp.fit(X, Y)
    assert not hasattr(mlp, "n_features_in_")


def test_an_unknown_name_is_told_beside_the_known_ones():
    with pytest.raises(ValueError, match=r"deep_features must name columns of X \(\['a', 'b', .*Got \['age'\]"):
        regressor(deep_features=["age"]).fit(FRAMES["pandas"](), Y)


# Auxiliary output


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_losses_of_both_outputs(weight, engine):
    history = regressor(aux_output=True, aux_loss_weight=weight, engine=engine).fit(X, Y).history_
    for part in ("", "val_"):
        main, aux = (np.array(history[f"{part}{name}_loss"]) for name in ("output", "aux_output"))
        np.testing.assert_allclose(history[f"{part}loss"], (1 - weight) * main + weight * aux, rtol=1e-5)
        assert (main != aux).all()


def test_the_auxiliary_loss_trains_the_hidden_layers():
    """The output that predicts has the weights of a network without another one only if the other does not count."""
    settings = {"early_stopping": False, "optimizer": "sgd", "learning_rate": 0.05}
    alone = regressor(**settings).fit(X, Y)
    hidden = alone.model_.get_layer("hidden_1").get_weights()[0]
    moved = []
    for weight in (0.0, 0.1, 0.6):
        beside = regressor(aux_output=True, aux_loss_weight=weight, **settings).fit(X, Y)
        moved.append(np.abs(beside.model_.get_layer("hidden_1").get_weights()[0] - hidden).max())
    assert moved[0] < moved[1] < moved[2]


def test_an_output_that_does_not_count_is_not_trained():
    one, five = (regressor(aux_output=True, aux_loss_weight=0.0, epochs=epochs).fit(X, Y) for epochs in (1, 5))
    kernels = [mlp.model_.get_layer("aux_output").get_weights()[0] for mlp in (one, five)]
    np.testing.assert_array_equal(*kernels)
    assert (
        regressor(aux_output=True, epochs=5).fit(X, Y).model_.get_layer("aux_output").get_weights()[0][0, 0]
        != (kernels[0][0, 0])
    )


def test_metrics_and_monitor_are_of_the_main_output():
    fitted = regressor(aux_output=True, metrics=["mse"], monitor="val_output_loss", epochs=4).fit(X, Y)
    history = fitted.history_
    assert fitted.best_epoch_ == np.argmin(history["val_output_loss"])
    scale = np.array(history["val_mse"]) / history["val_output_loss"]
    np.testing.assert_allclose(scale, scale[0], rtol=1e-4)  # y's variance


@pytest.mark.parametrize("y", [LABELS > 1, LABELS, np.eye(3, dtype=int)[LABELS]], ids=["binary", "multi", "multilabel"])
def test_auxiliary_output_of_a_classifier(y):
    mlp = plain_classifier(**SMALL, **PATHS, aux_output=True, metrics=["accuracy"]).fit(X, y)
    probabilities = mlp.predict_proba(X)
    output = mlp.model_.predict(X, verbose=0)[0]
    np.testing.assert_allclose(probabilities[:, -output.shape[1] :], output, atol=1e-4)
    assert {"output_loss", "aux_output_loss", "val_accuracy"} <= set(mlp.history_)


def test_auxiliary_output_for_several_targets():
    y = np.column_stack([Y, 1e3 * X[:, 3]])
    mlp = regressor(aux_output=True).fit(X, y)
    np.testing.assert_allclose(mlp.predict(X), mlp.model_.predict(X, verbose=0)[0], rtol=1e-3, atol=1e-3)


# Builders


def two_inputs(width=8):
    wide, deep = keras.Input((2,), name="wide"), keras.Input((4,), name="deep")
    hidden = keras.layers.Dense(width, "relu")(deep)
    return keras.Model([wide, deep], keras.layers.Dense(1)(keras.layers.Concatenate()([wide, hidden])))


def two_named_inputs(width=8):
    model = two_inputs(width)
    return keras.Model(dict(zip(("wide", "deep"), model.inputs, strict=True)), model.output)


class TwoPaths(keras.Model):
    """A subclassed model of two inputs, in a tuple or a dict."""

    def __init__(self, width):
        super().__init__()
        self.hidden = keras.layers.Dense(width, "relu")
        self.out = keras.layers.Dense(1)

    def call(self, inputs):
        wide, deep = (inputs["wide"], inputs["deep"]) if isinstance(inputs, dict) else inputs
        return self.out(keras.ops.concatenate([wide, self.hidden(deep)], axis=1))


def subclassed(width=8):
    return TwoPaths(width)


class Plain(keras.Model):
    """A subclassed model of one input."""

    def __init__(self, width):
        super().__init__()
        self.hidden = keras.layers.Dense(width, "relu")
        self.out = keras.layers.Dense(1)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


def plain(width=8):
    return Plain(width)


IN_ORDER = (slice(0, 2), slice(2, 6))
BY_NAME = {"wide": slice(0, 2), "deep": [2, 3, 4, 5]}
BUILDERS = {
    "functional, tuple": (two_inputs, IN_ORDER),
    "functional, list": (two_inputs, list(IN_ORDER)),
    "functional, dict by the inputs' names": (two_inputs, BY_NAME),
    "functional of a dict": (two_named_inputs, BY_NAME),
    "subclassed, tuple": (subclassed, IN_ORDER),
    "subclassed, dict": (subclassed, BY_NAME),
    "subclassed, one input": (plain, None),
}
every_builder = pytest.mark.parametrize(("builder", "columns"), BUILDERS.values(), ids=BUILDERS)
BUILT = {"epochs": 2, "random_state": 0, "learning_rate": 1e-2}


@every_builder
def test_builders_train_compiled_as_by_keras(builder, columns):
    mlp = plain_regressor(builder, input_columns=columns, engine="compiled", **BUILT).fit(X, Y)
    by_keras = clone(mlp).set_params(engine="keras").fit(X, Y)
    for name, values in by_keras.history_.items():
        np.testing.assert_allclose(mlp.history_[name], values, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(mlp.predict(X), by_keras.predict(X), rtol=1e-3, atol=1e-3)
    assert mlp.history_["loss"][1] < mlp.history_["loss"][0]


@every_builder
def test_a_second_fit_of_a_builder_compiles_nothing(builder, columns):
    PROGRAMS.clear()
    mlp = plain_regressor(builder, input_columns=columns, engine="compiled", **BUILT).fit(X, Y)
    clone(mlp).set_params(random_state=1, learning_rate=2e-2, weight_decay=0.1).fit(X, Y)
    assert len(PROGRAMS) == 1
    clone(mlp).set_params(model__width=7).fit(X, Y)
    assert len(PROGRAMS) == 2


@every_builder
def test_builders_are_pickled_and_cloned(builder, columns):
    mlp = plain_regressor(builder, input_columns=columns, **BUILT).fit(X, Y)
    copied = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(copied.predict(X), mlp.predict(X))
    np.testing.assert_array_equal(clone(mlp).fit(X, Y).predict(X), mlp.predict(X))
    copied.partial_fit(X, Y)
    assert copied.n_iter_ == mlp.n_iter_ + 1


def test_inputs_by_name_and_in_order_are_the_same_network():
    frame = FRAMES["pandas"]()
    names = {"deep": list("cdef"), "wide": lambda X: list(X.columns[:2])}
    by_name = plain_regressor(two_named_inputs, input_columns=names, **BUILT).fit(frame, Y)
    in_order = plain_regressor(two_inputs, input_columns=IN_ORDER, **BUILT).fit(X, Y)
    np.testing.assert_array_equal(by_name.predict(frame), in_order.predict(X))


@pytest.mark.parametrize("ensemble_size", [1, 2])
@pytest.mark.parametrize(
    ("builder", "columns"), [(two_inputs, IN_ORDER), (two_inputs, BY_NAME), (two_named_inputs, BY_NAME)]
)
def test_model_of_several_inputs_predicts_the_same_and_saves(builder, columns, ensemble_size, tmp_path):
    mlp = plain_regressor(builder, input_columns=columns, ensemble_size=ensemble_size, **BUILT).fit(X, Y)
    parts = [X[:, :2], X[:, 2:]]
    inputs = dict(zip(("wide", "deep"), parts, strict=True)) if isinstance(columns, dict) else parts
    mlp.model_.save(tmp_path / "model.keras")
    for model in (mlp.model_, keras.saving.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(model.predict(inputs, verbose=0)[:, 0], mlp.predict(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("builder", "columns", "message"),
    [
        (two_inputs, None, r"'input_columns' parameter must say .* inputs \['.*', '.*'\]. Got None"),
        (two_inputs, ([0, 1, 2], [3, 4, 5]), r"inputs of the widths {0: 3, 1: 3} \(input_columns\)"),
        (two_inputs, ([0, 1],), r"inputs of the widths {0: 2}"),
        (two_named_inputs, {"wide": [0, 1], "depth": [2, 3, 4, 5]}, "inputs of the widths {'wide': 2, 'depth': 4}"),
        (two_inputs, ([0, 1], [2, 3, 4, 9]), r"input_columns\[1\] must name columns of X"),
        (two_inputs, {"wide": [0, 1], "deep": []}, r"input_columns\['deep'\] must name at least one column"),
        (two_inputs, (), r"input_columns must hold the columns of at least one input. Got \(\)"),
    ],
)
def test_bad_input_columns(builder, columns, message):
    with pytest.raises(ValueError, match=message):
        plain_regressor(builder, input_columns=columns, **BUILT).fit(X, Y)


# Copies and searches


@pytest.mark.parametrize(
    "params", [PATHS, {"aux_output": True, "aux_loss_weight": 0.3}, {"skip_connection": True, "wide_features": max}]
)
def test_own_networks_are_cloned_and_pickled(params):
    if params.get("wide_features") is max:
        params = params | {"wide_features": first_two}
    mlp = regressor(**params).fit(X, Y)
    copied = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(copied.predict(X), mlp.predict(X))
    assert copied.history_ == mlp.history_
    np.testing.assert_array_equal(clone(copied).fit(X, Y).predict(X), mlp.predict(X))
    assert copied.partial_fit(X, Y).n_iter_ == mlp.n_iter_ + 1


def first_two(X):
    return [0, 1]


@pytest.mark.parametrize(
    ("mlp", "grid"),
    [
        (regressor(aux_output=True), {"aux_loss_weight": [0.0, 0.3, 0.9]}),
        (regressor(skip_connection=True, n_hidden=1), {"wide_features": [["a", "b"], ["c"], None]}),
        (regressor(n_hidden=1), {"deep_features": [[0, 1, 2], slice("d", None)]}),
        (
            plain_regressor(two_inputs, **BUILT),
            {"input_columns": [(["a", "b"], list("cdef")), (["e", "f"], list("abcd"))]},
        ),
        (plain_regressor(subclassed, input_columns=BY_NAME, **BUILT), {"model__width": [2, 8]}),
    ],
    ids=["aux_loss_weight", "wide_features", "deep_features", "input_columns", "model__width"],
)
def test_grid_search(mlp, grid):
    search = GridSearchCV(mlp, grid, cv=2).fit(FRAMES["pandas"](), Y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == len(scores)
    ((name, value),) = search.best_params_.items()
    assert getattr(search.best_estimator_, name) == value


def test_training_goes_on_only_where_the_columns_are_the_same():
    mlp = regressor(**PATHS, warm_start=True).fit(X, Y)
    before = mlp.predict(X)
    mlp.set_params(wide_features=slice(1, 3))
    with pytest.raises(ValueError, match="The network or the optimizer has changed"):
        mlp.fit(X, Y)
    np.testing.assert_array_equal(mlp.predict(X), before)
