"""Models of layers that know something which is neither a weight nor in their configuration."""

import pickle

import keras
import numpy as np
import pytest
from plain import plain_regressor
from sklearn.base import clone

from sk_mlp import load_model, save_model
from sk_mlp.engine.structure import structure_of_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32) * 5 + 100
Y = X[:, 0] / 5
SMALL = {"epochs": 2, "random_state": 0, "learning_rate": 1e-2}
pytestmark = pytest.mark.usefixtures("no_xla")


def normalized():
    layer = keras.layers.Normalization()
    layer.adapt(X)
    return keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])


def normalized_within():
    layer = keras.layers.Normalization(axis=None)
    layer.adapt(X)
    inner = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(3, "relu")])
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(1)(inner(inputs)))


def with_given_statistics():
    layer = keras.layers.Normalization(mean=X.mean(axis=0), variance=X.var(axis=0))
    return keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])


def in_bins():
    layer = keras.layers.Discretization(num_bins=4, output_mode="one_hot")
    layer.adapt(X[:, :1])
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(1)(layer(inputs[:, :1])))


def attentive():
    inputs = keras.Input((4,))
    pairs = keras.layers.Reshape((2, 2))(inputs / 100.0)
    hidden = keras.layers.MultiHeadAttention(1, 2, dropout=0.1)(pairs, pairs)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(hidden)))


BINS = keras.layers.Discretization(bin_boundaries=[0.0], output_mode="one_hot")
BUILDERS = [normalized, normalized_within, with_given_statistics, attentive]
if BINS.compute_output_spec(keras.KerasTensor((None, 1))).shape == (None, 2):  # Keras 3.8 says (None, 1)
    BUILDERS.append(in_bins)


@pytest.mark.parametrize("is_template", [False, True], ids=["function", "template"])
@pytest.mark.parametrize("build", BUILDERS)
def test_what_has_been_adapted_stays_so(build, is_template, tmp_path):
    mlp = plain_regressor(build() if is_template else build, **SMALL).fit(X, Y)
    predicted = mlp.predict(X)
    assert predicted.std() > 1e-3
    for model in (mlp.model_, mlp.to_keras()):
        np.testing.assert_allclose(np.asarray(model(X))[:, 0], predicted, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mlp)).predict(X), predicted)
    np.testing.assert_array_equal(clone(mlp).fit(X, Y).predict(X), predicted)
    save_model(mlp, tmp_path / "model.mlp")
    loaded = load_model(tmp_path / "model.mlp", {} if is_template else {build.__name__: build})
    for one in (loaded, pickle.loads(pickle.dumps(loaded))):
        np.testing.assert_array_equal(one.predict(X), predicted)
    np.testing.assert_allclose(np.asarray(loaded.to_keras()(X))[:, 0], predicted, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(loaded.partial_fit(X, Y).predict(X), mlp.partial_fit(X, Y).predict(X))


@pytest.mark.parametrize("build", BUILDERS)
def test_the_key_of_a_structure_is_that_of_the_same_model_again(build):
    assert structure_of_model(build()) == structure_of_model(build())


def test_what_has_been_adapted_counts_in_the_key_of_a_structure():
    layer = keras.layers.Normalization()
    layer.adapt(2 * X)
    other = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    assert structure_of_model(normalized()) != structure_of_model(other)


def test_a_layer_named_as_a_word_of_configurations():
    def named(name):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.1, name=name), keras.layers.Dense(1)])

    assert structure_of_model(named("rate")) == structure_of_model(named("dropout_7"))
    assert structure_of_model(named("units")) == structure_of_model(named("linear"))


def test_a_model_of_another_policy(tmp_path):
    def build():
        with_policy = keras.DTypePolicy("mixed_bfloat16")
        return keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(3, dtype=with_policy), keras.layers.Dense(1, dtype="float32")]
        )

    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        mlp = plain_regressor(build, **SMALL).fit(X / 100, Y)
    finally:
        keras.config.set_dtype_policy(before)
    save_model(mlp, tmp_path / "model.mlp")
    loaded = load_model(tmp_path / "model.mlp", {"build": build})
    np.testing.assert_array_equal(loaded.predict(X / 100), mlp.predict(X / 100))
