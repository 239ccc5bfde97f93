"""What Keras' `fit` does with a model of the user's own is done by the compiled engine as well, or left to Keras."""

import importlib

import keras
import numpy as np
import pytest
from optional import needed
from plain import plain_classifier, plain_regressor, prepared_task

from sk_mlp import exceptions
from sk_mlp._estimator.given import GivenRows
from sk_mlp._keras import inner
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.inspection import LossCurveDisplay

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 4)).astype(np.float32)
X0 = np.where(np.arange(150)[:, None] % 5 == 4, 0, X)  # with rows for a mask
Y = X[:, 0] - X[:, 1] ** 2
LABELS = np.where(Y > 0, "high", "low")
SETTINGS = {"epochs": 4, "learning_rate": 1e-2, "random_state": 0, "shuffle": False}


def sequential(*layers):
    """A builder of these layers, each made by a function."""
    return lambda: keras.Sequential([keras.Input((4,)), *(layer() for layer in layers)])


def dense(units=1, **params):
    return lambda: keras.layers.Dense(units, **params)


def assert_engines_agree(builder, make=plain_regressor, y=Y, **params):
    fits = [make(builder, engine=engine, **SETTINGS | params).fit(X, y) for engine in ("compiled", "keras")]
    for name, values in fits[1].history_.items():
        np.testing.assert_allclose(fits[0].history_[name], values, rtol=1e-4, err_msg=name)
    return fits[0]


@pytest.mark.parametrize("constraint", ["non_neg", "max_norm", "unit_norm"])
def test_constraints_hold(constraint):
    builder = sequential(dense(6, activation="relu", kernel_constraint=constraint), dense(bias_constraint="non_neg"))
    mlp = assert_engines_agree(builder)
    kernel = mlp.model_.get_weights()[0]
    np.testing.assert_allclose(kernel, np.asarray(keras.constraints.get(constraint)(kernel)), atol=1e-6)


def batch_loss():
    class Adding(keras.layers.Layer):
        def call(self, inputs):
            self.add_loss(keras.ops.mean(keras.ops.square(inputs)))
            return inputs

    return Adding()


class OwnNorm(keras.layers.BatchNormalization):
    pass


class OwnStep(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)

    def call(self, inputs):
        return self.out(inputs)

    def compute_loss(self, *arguments, **named):
        return 0.5 * super().compute_loss(*arguments, **named)


def own_step():
    model = OwnStep()
    model(X[:1])
    return model


def patched():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    compute_loss = model.compute_loss
    model.compute_loss = lambda *arguments, **named: 0.5 * compute_loss(*arguments, **named)
    return model


class Centred(keras.layers.Layer):
    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, axis=0)


class Following(keras.layers.Layer):
    """Subtracts a mean that it follows, in a way of its own."""

    def build(self, input_shape):
        self.mean = self.add_weight(shape=(input_shape[-1],), initializer="zeros", trainable=False)

    def call(self, inputs, training=False):
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * keras.ops.mean(inputs, axis=0))
        return inputs - self.mean


def looking_up():
    inputs = keras.Input((4,))
    found = keras.layers.IntegerLookup(vocabulary=[0, 1, 2], output_mode="multi_hot")(keras.ops.cast(inputs, "int64"))
    return keras.Model(inputs, keras.layers.Dense(1)(found))


LEFT_TO_KERAS = {
    "activity_regularizer": sequential(dense(6, activity_regularizer="l2"), dense()),
    "add_loss": sequential(dense(6), batch_loss, dense()),
    "own batch normalization": sequential(dense(6), OwnNorm, dense()),
    "own compute_loss": own_step,
    "own compute_loss of an object": patched,
    "layer that compares rows": sequential(Centred, dense()),
    "layer whose state is of rows": sequential(Following, dense()),
    "operation that compares rows": sequential(
        lambda: keras.layers.Lambda(lambda x: x - keras.ops.mean(x, 0)), dense()
    ),
    "spectral normalization": sequential(lambda: keras.layers.SpectralNormalization(keras.layers.Dense(3)), dense()),
    "lookup table": looking_up,
    "masked rows": sequential(lambda: keras.layers.Masking(0.0), dense()),
}


@pytest.mark.filterwarnings("ignore:The 'model' parameter should build a model that predicts each row by itself")
@pytest.mark.parametrize("builder", LEFT_TO_KERAS.values(), ids=LEFT_TO_KERAS)
def test_what_is_left_to_keras(builder):
    fits = [plain_regressor(builder, engine=engine, **SETTINGS).fit(X0, Y) for engine in ("auto", "keras")]
    assert fits[0].history_ == fits[1].history_
    with pytest.raises(
        exceptions.NotCompilableError, match=r"needs Keras' fit|fill up a batch|needs whole batches|XLA"
    ):
        plain_regressor(builder, engine="compiled", **SETTINGS).fit(X0, Y)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.GaussianNoise(0.1),
        lambda: keras.layers.Dropout(0.2),
        keras.layers.BatchNormalization,
        keras.layers.LayerNormalization,
        lambda: keras.layers.SpectralNormalization(keras.layers.Dense(3)),
    ],
    ids=["noise", "dropout", "batch normalization", "layer normalization", "spectral normalization"],
)
def test_layers_that_do_not_compare_rows(layer):
    builder = sequential(dense(3), layer, dense())
    task = prepared_task(plain_regressor(builder, **SETTINGS), GivenRows(X, Y))
    assert why_not_compilable(task.recipe, []) is None


def test_layers_are_judged_by_columns_that_are_scaled():
    with pytest.raises(exceptions.NotCompilableError, match="the model, which compares rows, needs whole batches"):
        plain_regressor(sequential(Following, dense()), engine="compiled", input_scaling="robust", **SETTINGS).fit(X, Y)


def test_a_model_that_compares_rows_in_prediction():
    with pytest.warns(
        UserWarning, match="should build a model that predicts each row by itself. Got one that compares"
    ):
        plain_regressor(sequential(Centred, dense()), **SETTINGS | {"epochs": 1}).fit(X, Y)


def test_scaling_before_a_model_of_its_own_steps():
    with pytest.raises(ValueError, match="'input_scaling' parameter must be None for a model with a compute_loss"):
        plain_regressor(own_step, input_scaling="robust", **SETTINGS).fit(X, Y)


def test_a_model_without_trainable_weights():
    with pytest.raises(ValueError, match="must build a model with trainable weights"):
        plain_regressor(sequential(dense(trainable=False)), **SETTINGS).fit(X, Y)


# Losses


def balanced_by_batch(y, output):
    """Squares, by the size of a batch's y."""
    return keras.ops.mean(keras.ops.square(y - output), -1) / keras.ops.mean(keras.ops.square(y))


def test_a_loss_that_compares_rows():
    settings = {"loss": balanced_by_batch, "n_neurons": 4, "n_hidden": 1, **SETTINGS}
    fits = [plain_regressor(engine=engine, **settings).fit(X, Y) for engine in ("auto", "keras")]
    assert fits[0].history_ == fits[1].history_
    with pytest.raises(exceptions.NotCompilableError, match="the loss 'balanced_by_batch', which compares rows, needs"):
        plain_regressor(engine="compiled", **settings).fit(X, Y)


def test_a_loss_that_leaves_out_a_class():
    settings = {"loss": keras.losses.SparseCategoricalCrossentropy(ignore_class=1), "n_neurons": 4, "n_hidden": 1}
    settings |= SETTINGS
    labels = np.digitize(Y, [-1, 0])
    fits = [plain_classifier(engine=engine, **settings).fit(X, labels) for engine in ("auto", "keras")]
    assert fits[0].history_ == fits[1].history_


# Optimizers


class Sign(keras.optimizers.Optimizer):
    """Its constructor takes nothing else."""

    def __init__(self, learning_rate=0.01):
        super().__init__(learning_rate=learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, learning_rate * keras.ops.sign(gradient))


class Momenta(keras.optimizers.Optimizer):
    """It has no constructor of its own."""

    def build(self, variables):
        super().build(variables)
        self.velocities = [[self.add_variable_from_reference(v, name="velocity")] for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        (velocity,) = self.velocities[self._get_variable_index(variable)]
        self.assign(velocity, 0.9 * velocity + gradient)
        self.assign_sub(variable, learning_rate * velocity)


@pytest.mark.parametrize("optimizer", [Sign, Sign(0.01), Momenta], ids=["class", "object", "nested state"])
def test_optimizers_of_ones_own(optimizer):
    settings = {"n_neurons": 4, "n_hidden": 1, **SETTINGS}
    ours, theirs = (
        plain_regressor(optimizer=optimizer, engine=engine, **settings).fit(X, Y) for engine in ("auto", "keras")
    )
    np.testing.assert_allclose(ours.history_["loss"], theirs.history_["loss"], rtol=1e-4)


def test_an_optimizer_around_another_one():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))
    with pytest.raises(ValueError, match="'optimizer' parameter must be an optimizer with a learning rate of its own"):
        plain_regressor(optimizer=optimizer).fit(X, Y)


def test_a_dropout_layer_that_is_called_twice_drops_differently():
    def build():
        drop, inputs = keras.layers.Dropout(0.5), keras.Input((4,))
        difference = keras.layers.Subtract()([drop(inputs), drop(inputs)])
        return keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(difference))

    before = build().get_weights()[0]
    mlp = plain_regressor(build, engine="compiled", **SETTINGS).fit(X, Y)
    assert np.abs(mlp.model_.get_weights()[0] - before).max() > 1e-4, "equal masks would leave nothing to learn from"


def functional(last):
    def build():
        inputs = keras.Input((4,))
        return keras.Model(inputs, last(keras.layers.Dense(1)(inputs)))

    return build


OUTPUTS = {
    "dense": (sequential(dense()), True),
    "linear activation": (sequential(dense(), lambda: keras.layers.Activation("linear")), True),
    "reshaped": (sequential(dense(), lambda: keras.layers.Reshape((1,))), True),
    "nested": (sequential(dense(3), lambda: keras.Sequential([keras.layers.Dense(3)]), dense()), True),
    "activation": (sequential(dense(activation="softplus")), False),
    "layer": (sequential(dense(), keras.layers.ReLU), False),
    "function": (sequential(dense(), lambda: keras.layers.Lambda(keras.ops.exp)), False),
    "operation": (functional(keras.ops.softplus), False),
    "nested activation": (functional(lambda x: keras.Sequential([keras.layers.ReLU()])(x)), False),
}


@pytest.mark.parametrize(("builder", "is_linear"), OUTPUTS.values(), ids=OUTPUTS)
def test_y_is_standardised_for_an_output_of_any_number_alone(builder, is_linear):
    mlp = plain_regressor(builder, normalize_y=True, **SETTINGS | {"epochs": 1}).fit(X, Y + 50)
    assert mlp._fitted.targets.is_standardised == is_linear


# Callbacks


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize(
    ("make", "y", "metric"), [(plain_classifier, LABELS, "accuracy"), (plain_regressor, Y, "mae")], ids=["up", "down"]
)
def test_callbacks_know_which_way_a_metric_goes(engine, make, y, metric):
    """With Keras' default, mode="auto"."""
    stop = keras.callbacks.EarlyStopping(f"val_{metric}", patience=2, restore_best_weights=True)
    settings = {"metrics": [metric], "callbacks": [stop], "early_stopping": True, "patience": 50}
    mlp = make(engine=engine, **SETTINGS | settings | {"epochs": 30, "learning_rate": 0.1}).fit(X, y)
    values = mlp.history_[f"val_{metric}"]
    best = np.argmax(values) if metric == "accuracy" else np.argmin(values)
    assert len(values) == min(30, best + 3)


def compiled_builder(compile_kwargs):
    model = sequential(dense(5, activation="relu"), dense(activation="sigmoid"))()
    model.compile(**compile_kwargs)
    return model


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_callbacks_set_the_rate_where_the_builder_compiles(engine):
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate)
    mlp = plain_classifier(compiled_builder, engine=engine, callbacks=[halve], **SETTINGS).fit(X, LABELS)
    np.testing.assert_allclose(mlp.history_["learning_rate"], 1e-2 * 0.5 ** np.arange(1, 5), rtol=1e-6)


@pytest.mark.parametrize("ensemble_size", [1, 2])
def test_model_has_the_loss_of_its_builder(ensemble_size):
    def build():
        model = sequential(dense())()
        model.compile(keras.optimizers.SGD(1e-2), keras.losses.Huber(delta=0.3))
        return model

    mlp = plain_regressor(build, ensemble_size=ensemble_size, **SETTINGS | {"weight_decay": 0.0}).fit(X, Y)
    assert type(mlp.model_.optimizer) is keras.optimizers.SGD
    expected = keras.losses.Huber(delta=0.3)(Y, mlp.predict(X))
    assert mlp.model_.evaluate(X, Y, verbose=0) == pytest.approx(float(expected), rel=1e-4)


def test_a_change_of_keras_precision_is_another_program():
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        plain_regressor(n_neurons=7, **SETTINGS).fit(X, Y)
    finally:
        keras.config.set_dtype_policy(before)
    in_full = plain_regressor(n_neurons=7, **SETTINGS).fit(X, Y)
    by_keras = plain_regressor(n_neurons=7, engine="keras", **SETTINGS).fit(X, Y)
    np.testing.assert_allclose(in_full.history_["loss"], by_keras.history_["loss"], rtol=1e-5)


def test_the_curve_of_a_fit_that_went_on():
    needed("matplotlib")
    mlp = plain_regressor(**SETTINGS | {"early_stopping": True}).fit(X, Y)
    display = LossCurveDisplay.from_estimator(mlp.partial_fit(X, Y))
    assert "nan" not in display.best_.get_label()


def test_another_backend_of_keras(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(
        ImportError, match=r"must have the backend 'tensorflow', by which .* Got 'torch'; set the environ"
    ):
        importlib.reload(inner)
