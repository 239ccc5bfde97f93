"""The engine's own dropout noise and batch normalization, and that nothing of them stays in a model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from plain import plain_regressor

from sk_mlp._network.mapped_layers import Batch, CounterDropout, WeighedBatchNormalization, engine_layers, uniform


def test_noise_is_uniform_and_independent():
    draws = np.stack([uniform(tf.constant(key), [64, 50]).numpy().ravel() for key in range(50)])
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    expected = draws.size / 20
    assert np.sum((counts - expected) ** 2 / expected) < 43.8  # chi2(19) at 0.001
    correlations = np.corrcoef(draws) - np.eye(50)
    assert np.abs(correlations).max() < 5 / np.sqrt(draws.shape[1])
    neighbours = np.corrcoef(draws[:, 1:].ravel(), draws[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(draws.size)


@pytest.fixture
def model():
    layers = keras.layers
    return keras.Sequential([layers.Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5)])


def test_the_model_has_its_own_layers_back(model):
    batch = Batch(tf.constant([True]), tf.constant(1), {0: tf.constant(0.5)})
    with engine_layers(model, batch):
        assert [type(layer) for layer in model.layers] == [WeighedBatchNormalization, CounterDropout]
    assert [type(layer) for layer in model.layers] == [keras.layers.BatchNormalization, keras.layers.Dropout]
    with pytest.raises(RuntimeError), engine_layers(model, batch):
        raise RuntimeError
    assert [type(layer) for layer in model.layers] == [keras.layers.BatchNormalization, keras.layers.Dropout]


def test_padding_does_not_count(model):
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    padded = np.concatenate([x, np.full((4, 3), 1e6, np.float32)])
    no_dropout = {0: tf.constant(0.0)}
    with engine_layers(model, Batch(tf.range(10) < 6, tf.constant(1), no_dropout)):
        ours = model(padded, training=True).numpy()[:6]
    ours_mean = model.layers[0].moving_mean.numpy()
    model.layers[0].moving_mean.assign(np.zeros(3))
    theirs = keras.Sequential(model.layers[:1])(x, training=True).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(ours_mean, model.layers[0].moving_mean.numpy(), atol=1e-6)


def test_dropout_keeps_the_mean(model):
    x = np.ones((4000, 3), np.float32)
    with engine_layers(model, Batch(tf.ones(4000, bool), tf.constant(7), {0: tf.constant(0.3)})):
        out = model.layers[1](x, training=True).numpy()
        assert np.array_equal(model.layers[1](x, training=False).numpy(), x)
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs(out.mean() - 1) < 0.03


def test_three_dropout_layers_compile_without_a_warning():
    x = np.random.default_rng(0).standard_normal((60, 3))
    plain_regressor(n_hidden=3, n_neurons=4, dropout=0.2, epochs=1, engine="compiled").fit(x, x[:, 0])
