"""Keys of what a compiled program holds: equal where one may replace the other, different where not."""

import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from plain import plain_regressor, prepared_task

from sk_mlp._estimator.given import GivenRows
from sk_mlp.engine.program import PROGRAMS
from sk_mlp.engine.structure import structure_of, structure_of_model

X = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)
SMALL = {"n_hidden": 1, "n_neurons": 4, "epochs": 2, "early_stopping": False, "random_state": 0}


def sequential(hidden=None, activation="relu", width=4, before=(), after=()):
    hidden = hidden or keras.layers.Dense(width, activation)
    return keras.Sequential([keras.Input((3,)), *before, hidden, *after, keras.layers.Dense(1)])


def functional(activation="relu", join="skip"):
    inputs = keras.Input((3,))
    first = keras.layers.Dense(3, activation)(inputs)
    second = keras.layers.Dense(3, activation)(first)
    joined = keras.layers.Concatenate()({"skip": [inputs, second], "late": [first, second]}[join])
    return keras.Model(inputs, keras.layers.Dense(1)(joined))


def scaling(factor):
    return sequential(before=[keras.layers.Lambda(lambda x: factor * x)])


def scaling_default(factor):
    def scale(x, factor=factor):
        return factor * x

    return sequential(before=[keras.layers.Lambda(scale)])


FACTOR = 1.0


def scaling_global(factor):
    """A function that looks the factor up in its module, whose globals it gets here."""
    function = types.FunctionType((lambda x: FACTOR * x).__code__, {"FACTOR": factor, "__name__": __name__})
    return sequential(before=[keras.layers.Lambda(function)])


def scaling_helper(factor):
    names = {"factor": factor, "__name__": __name__}
    exec("def helper(x):\n    return factor * x\ndef scale(x):\n    return helper(x)\n", names)
    return sequential(before=[keras.layers.Lambda(names["scale"])])


def normalized(mean):
    return sequential(before=[keras.layers.Normalization(mean=[mean] * 3, variance=[1.0] * 3)])


def adapted(mean):
    layer = keras.layers.Normalization()
    layer.adapt(X + mean)
    return sequential(before=[layer])


def activated(slope):
    def sloped(x):
        return keras.ops.leaky_relu(x, slope)

    return sequential(activation=sloped)


def regularized(strength):
    return sequential(keras.layers.Dense(4, "relu", kernel_regularizer=keras.regularizers.L2(strength)))


def dropping(rate):
    return sequential(after=[keras.layers.Dropout(rate)])


def nested(slope):
    return sequential(before=[keras.Sequential([keras.Input((3,)), keras.layers.LeakyReLU(slope)])])


class Scaled(keras.layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs


def own_layer(factor):
    return sequential(before=[Scaled(factor)])


class Subclassed(keras.Model):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.hidden, self.out = keras.layers.Dense(4, "relu"), keras.layers.Dense(1)

    def call(self, inputs):
        return self.out(self.hidden(self.factor * inputs))


def subclassed(factor):
    model = Subclassed(factor)
    model(X)
    return model


def subclassed_by_code(factor):
    """Two classes of one name, which differ in what their call does."""

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = keras.layers.Dense(1)

        def call(self, inputs):
            return self.out(factor * inputs)

    model = Model()
    model(X)
    return model


def half_trainable(n):
    model = sequential()
    model.layers[0].trainable = n > 1
    return model


def precision(n):
    return sequential(keras.layers.Dense(4, "relu", dtype="float64" if n > 1 else "float32"))


BUILDERS = [
    scaling,
    scaling_default,
    scaling_global,
    scaling_helper,
    normalized,
    adapted,
    activated,
    regularized,
    nested,
    own_layer,
    subclassed,
    half_trainable,
    precision,
    lambda n: sequential(width=int(n)),
    lambda n: sequential(activation="relu" if n > 1 else "tanh"),
    lambda n: sequential(activation=keras.ops.relu if n > 1 else keras.ops.tanh),
    lambda n: functional(join="skip" if n > 1 else "late"),
    lambda n: functional(activation="relu" if n > 1 else "elu"),
    lambda n: sequential(after=[keras.layers.BatchNormalization(momentum=0.9 if n > 1 else 0.8)]),
    lambda n: sequential(after=[keras.layers.GaussianNoise(n / 10)]),
]
NAMES = [getattr(builder, "__name__", "") for builder in BUILDERS]


@pytest.mark.parametrize("builder", BUILDERS, ids=NAMES)
def test_what_a_program_holds_counts(builder):
    first, second, other = (structure_of_model(builder(n)) for n in (1.0, 1.0, 2.0))
    assert first == second
    assert hash(first) == hash(second)
    assert first != other


def test_classes_made_anew_do_not_pass_for_each_other():
    assert structure_of_model(subclassed_by_code(1.0)) != structure_of_model(subclassed_by_code(2.0))


def test_dropout_rates_are_data():
    assert structure_of_model(dropping(0.1)) == structure_of_model(dropping(0.5))
    assert structure_of_model(dropping(0.1)) != structure_of_model(sequential())


@pytest.mark.parametrize("initializer", ["zeros", "he_normal", keras.initializers.RandomNormal(stddev=0.3, seed=4)])
def test_initial_weights_are_data(initializer):
    model = sequential(keras.layers.Dense(4, "relu", kernel_initializer=initializer))
    model.set_weights([np.full_like(w, 0.5) for w in model.get_weights()])
    assert structure_of_model(model) == structure_of_model(sequential())


def test_names_do_not_count():
    model = sequential(keras.layers.Dense(4, "relu", name="a_name"))
    assert structure_of_model(model) == structure_of_model(sequential())


def test_neither_training_nor_compiling_changes_the_key():
    model = functional()
    before = structure_of_model(model)
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(X, X[:, 0], epochs=1, verbose=0)
    assert structure_of_model(model) == before == structure_of_model(functional())


# Losses, metrics, functions


def loss_of(delta):
    return lambda y, output: keras.ops.mean(keras.ops.abs(y - output) * delta, axis=-1)


class OwnLoss(keras.losses.Loss):
    def __init__(self, power):
        super().__init__(name="own")
        self.power = power

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** self.power, axis=-1)


@pytest.mark.parametrize(
    "make",
    [
        keras.losses.Huber,
        loss_of,
        OwnLoss,
        lambda n: functools.partial(keras.losses.huber, delta=n),
        lambda n: OwnLoss(n).call,
        lambda n: keras.metrics.AUC(num_thresholds=int(100 * n)),
        lambda n: keras.metrics.MeanMetricWrapper(loss_of(n), name="mine"),
        lambda n: keras.losses.MeanSquaredError() if n > 1 else keras.losses.MeanAbsoluteError(),
        lambda n: keras.losses.MeanSquaredError(reduction="sum" if n > 1 else "sum_over_batch_size"),
        lambda n: np.full(3, n),
        lambda n: keras.ops.convert_to_tensor([n]),
        lambda n: {"a": [n], "b": (1, {2})},
        lambda n: {1, n + 1},
        lambda n: np.float32(n),
        lambda n: np.float32 if n > 1 else np.float64,
    ],
)
def test_keys_of_values(make):
    first, second, other = (structure_of(make(n)) for n in (1.0, 1.0, 2.0))
    assert first == second
    assert hash(first) == hash(second)
    assert first != other


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0.0, -0.0), ("1", 1), ([1, 2], (1, 2)), (None, "None")]
)
def test_values_that_python_takes_for_equal_or_writes_alike(one, other):
    assert structure_of(one) != structure_of(other)


class Settings:
    """What a user's function may look numbers up in."""

    factor = 1.0

    @staticmethod
    def scaled(x):
        return FACTOR * x


settings, module = Settings(), types.ModuleType("settings_of_a_user")
module.inner = Settings()


def of_an_object(y, output):
    return settings.factor * keras.ops.mean(keras.ops.abs(y - output), -1)


def of_a_class(y, output):
    return Settings.factor * keras.ops.mean(keras.ops.abs(y - output), -1)


def of_a_module(y, output):
    return module.inner.factor * keras.ops.mean(keras.ops.abs(y - output), -1)


def of_a_class_in_a_closure():
    held = Settings
    return lambda y, output: held.factor * keras.ops.mean(keras.ops.abs(y - output), -1)


class OfClassAttribute(keras.losses.Loss):
    factor = 1.0

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean(keras.ops.abs(y_true - y_pred), -1)


class OwnSGD(keras.optimizers.SGD):
    factor = 1.0

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient * self.factor, variable, learning_rate)


@pytest.mark.parametrize(
    ("thing", "changed"),
    [
        (of_an_object, settings),
        (of_a_class, Settings),
        (of_a_module, module.inner),
        (of_a_class_in_a_closure(), Settings),
        (OfClassAttribute(), OfClassAttribute),
        (OwnSGD, OwnSGD),
    ],
    ids=["object", "class", "module", "class in a closure", "attribute of a class", "optimizer"],
)
def test_what_has_changed_in_place_counts(thing, changed, monkeypatch):
    before = structure_of(thing)
    assert structure_of(thing) == before
    monkeypatch.setattr(changed, "factor", 2.0)
    assert structure_of(thing) != before


class Computed:
    """A configuration whose parts, and their parts, are made when they are asked for."""

    def __init__(self, **numbers):
        self.numbers = numbers

    def __getattr__(self, name):
        if name.startswith("_") or name == "numbers":
            raise AttributeError(name)
        return self.numbers.get(name) or Computed(**self.numbers)


computed = Computed(first=1.0, second=2.0)


def of_two_parts(y, output):
    def other(error):
        return computed.second * error

    return computed.first * computed.a.b.c.d.e.f.g.h.i.j.k(y) + other(output)


@pytest.mark.parametrize("name", ["first", "second"])
def test_attributes_that_are_computed(name, monkeypatch):
    key = structure_of(of_two_parts)
    assert structure_of(of_two_parts) == key
    monkeypatch.setitem(computed.numbers, name, 3.0)
    assert structure_of(of_two_parts) != key


def test_static_methods_count(monkeypatch):
    before = structure_of(Settings)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    assert structure_of(Settings) != before


class OfVariable(keras.losses.Loss):
    def __init__(self, value):
        super().__init__()
        self.factor = keras.Variable(value, trainable=False)

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean(keras.ops.abs(y_true - y_pred), -1)


def loss_of_variable(value):
    factor = keras.Variable(value, trainable=False)
    return lambda y, output: factor * keras.ops.mean(keras.ops.abs(y - output), -1)


@pytest.mark.parametrize("make", [OfVariable, loss_of_variable])
def test_a_variable_that_is_no_weight(make):
    """A program holds it, and reads its value at each call: so a callback may change it."""
    first, other = make(1.0), make(1.0)
    assert structure_of(first) == structure_of(first) != structure_of(other)
    fits = [plain_regressor(loss=loss, **SMALL).fit(X, X[:, 0]) for loss in (first, make(3.0))]
    np.testing.assert_allclose(fits[1].history_["loss"][0], 3 * fits[0].history_["loss"][0], rtol=0.01)


class DampedSGD(keras.optimizers.SGD):
    """A rule that does more with a number than to calculate with it when it steps."""

    def __init__(self, learning_rate=0.01, momentum=0.0, **kwargs):
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.damping = 1 - momentum

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient * self.damping * (2.0 if self.momentum > 0.7 else 1.0), variable, learning_rate)


def test_numbers_of_an_optimizer_of_ones_own():
    for momentum in (0.9, 0.5):
        settings = SMALL | {"optimizer": DampedSGD, "optimizer__momentum": momentum, "learning_rate": 0.1}
        ours, theirs = (plain_regressor(**settings, engine=e).fit(X, X[:, 0]) for e in ("compiled", "keras"))
        np.testing.assert_allclose(ours.history_["loss"], theirs.history_["loss"], rtol=1e-4)


def test_the_epsilon_of_keras():
    def key():
        return prepared_task(plain_regressor(), GivenRows(X, X[:, 0])).recipe.key

    before = key()
    keras.config.set_epsilon(1e-3)
    try:
        assert key() != before
    finally:
        keras.config.set_epsilon(1e-7)
    assert key() == before


def test_an_object_that_holds_itself():
    holder = types.SimpleNamespace(a=1)
    holder.itself = holder
    assert structure_of(holder) == structure_of(holder)
    array = np.empty(1, object)
    assert structure_of({"a": array}) == structure_of({"a": array})


# What follows from it


@pytest.mark.parametrize("builder", [scaling, scaling_global, normalized, activated, own_layer, subclassed])
def test_a_fit_gets_the_program_of_its_own_builder(builder):
    """Each fit by the compiled engine is that of Keras, whichever was compiled before."""
    name = {"normalized": "mean", "activated": "slope"}.get(builder.__name__, "factor")
    y = X[:, 0] + X[:, 1] ** 2
    PROGRAMS.clear()
    for value in (0.5, 2.0):
        settings = {"model": builder, f"model__{name}": value, "epochs": 1, "random_state": 0}
        ours, theirs = (plain_regressor(**settings, engine=engine).fit(X, y) for engine in ("compiled", "keras"))
        np.testing.assert_allclose(ours.history_["loss"], theirs.history_["loss"], rtol=1e-4)
    assert len(PROGRAMS) == 2
    plain_regressor(**settings | {"random_state": 3}, engine="compiled").fit(X, y)
    assert len(PROGRAMS) == 2


@pytest.mark.parametrize("is_global", [False, True])
def test_a_variable_that_is_not_of_keras(is_global):
    def builder(value):
        variable = tf.Variable(value, trainable=False)
        names = {"factor": variable, "__name__": __name__}
        of_globals = types.FunctionType((lambda x: factor * x).__code__, names)  # noqa: F821
        scale = of_globals if is_global else lambda x: variable * x
        return lambda: sequential(before=[keras.layers.Lambda(scale)])

    first, other = builder(2.0), builder(2.0)
    assert structure_of_model(first()) == structure_of_model(first()) != structure_of_model(other())
    settings = {"epochs": 1, "random_state": 0}
    fits = [plain_regressor(first, **settings, engine=engine).fit(X, X[:, 0]) for engine in ("compiled", "keras")]
    np.testing.assert_allclose(*(fit.history_["loss"] for fit in fits), rtol=1e-4)


class WithoutHash:
    """What a user's function may know by a global name; an object of another library, say."""

    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def __hash__(self):
        raise TypeError("unhashable")


def test_an_object_whose_hash_raises():
    def builder(value):
        names = {"held": WithoutHash(value), "__name__": __name__}
        scale = types.FunctionType((lambda x: held.factor * x).__code__, names)  # noqa: F821
        return lambda: sequential(before=[keras.layers.Lambda(scale)])

    first = builder(2.0)
    assert structure_of_model(first()) != structure_of_model(first()), "nothing tells whether it has changed"
    assert np.isfinite(plain_regressor(first, epochs=1, random_state=0).fit(X, X[:, 0]).predict(X)).all()
