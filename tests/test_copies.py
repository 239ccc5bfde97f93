"""Keras objects in parameters, copied and pickled without patches of Keras; seeds that no other thread sees."""

import copy
import functools
import pickle
import random
import subprocess
import sys
import textwrap
import threading

import keras
import numpy as np
import pytest
from optional import cloudpickle
from plain import plain_regressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor
from sk_mlp.model_selection import PopulationGridSearchCV, PopulationHalvingSearchCV

X = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
Y = 2 * X[:, 0] - X[:, 1]
pytestmark = pytest.mark.usefixtures("no_xla")


def regressor(model=None, **params):
    small = {} if model else {"hidden_layer_sizes": (4,)}
    return plain_regressor(model, **small | {"epochs": 2, "random_state": 0} | params)


# Nothing here is registered with Keras


class QuantileLoss(keras.losses.Loss):
    def __init__(self, q=0.5):
        super().__init__()
        self.q = q

    def call(self, y_true, y_pred):
        return keras.ops.maximum(self.q * (y_true - y_pred), (self.q - 1) * (y_true - y_pred))


class ToldQuantileLoss(QuantileLoss):
    def get_config(self):
        return {"q": self.q}

    @classmethod
    def from_config(cls, config):
        return cls(config["q"])


class ScaledError(keras.metrics.Mean):
    def __init__(self, factor=1.0, name="scaled", **kwargs):
        super().__init__(name=name, **kwargs)
        self.factor = factor

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(self.factor * keras.ops.abs(y_true - y_pred), sample_weight=sample_weight)

    def get_config(self):
        return {"factor": self.factor, "name": self.name}


class Untold(ScaledError):
    def get_config(self):
        return {"name": self.name}


class OwnSGD(keras.optimizers.SGD):
    pass


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start):
        self.start = start

    def __call__(self, step):
        return self.start * 0.5 ** keras.ops.cast(step, "float32")

    def get_config(self):
        return {"start": self.start}


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


class OwnModel(keras.Model):
    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.hidden, self.out = keras.layers.Dense(width, "tanh"), keras.layers.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))

    def get_config(self):
        return {"width": self.width}


class Watch(keras.callbacks.Callback):
    def __init__(self, metric):
        super().__init__()
        self.metric = metric


def squashed(x):
    return keras.ops.tanh(x)


def sequential(*hidden):
    return keras.Sequential([keras.Input((3,)), *hidden, keras.layers.Dense(1)])


def compiled_by_own_classes():
    model = sequential()
    model.compile(OwnSGD(1e-3), ToldQuantileLoss(0.5), metrics=[ScaledError(2.0)])
    return model


def built(model):
    model(np.zeros((1, 3), np.float32))
    return model


MODELS = {
    "sequential": lambda: sequential(keras.layers.Dense(4, "relu")),
    "own layer": lambda: sequential(Doubled()),
    "own activation": lambda: sequential(keras.layers.Dense(4, squashed)),
    "own class": lambda: built(OwnModel(5)),
    "compiled": compiled_by_own_classes,
}
COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@every_copy
@pytest.mark.parametrize("kind", MODELS)
def test_a_model_that_is_a_parameter(kind, copied):
    model = MODELS[kind]()
    other = copied(regressor(model, warm_start=True))
    assert other.model is not model
    for ours, theirs in zip(other.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(other.model(X), model(X), rtol=1e-6)
    mlp = regressor(model).fit(X, Y)
    np.testing.assert_array_equal(copied(mlp).predict(X), mlp.predict(X))
    np.testing.assert_array_equal(copied(mlp).fit(X, Y).predict(X), mlp.predict(X))


@every_copy
def test_objects_of_own_classes(copied):
    params = {
        "loss": QuantileLoss(0.9),
        "optimizer": OwnSGD(1e-3, momentum=0.5),
        "metrics": {"a": [ScaledError(3.0)]},
        "callbacks": [Watch(ScaledError(4.0))],
    }
    for mlp in (copied(regressor(**params)), copied(regressor(**params).fit(X, Y))):
        assert mlp.loss.q == 0.9
        assert (type(mlp.optimizer), float(mlp.optimizer.momentum)) == (OwnSGD, 0.5)
        assert mlp.metrics["a"][0].factor == 3
        assert mlp.callbacks[0].metric.factor == 4
        assert mlp.loss is not params["loss"]
        assert mlp.metrics["a"][0] is not params["metrics"]["a"][0]


@every_copy
def test_objects_that_are_arguments_of_a_builder(copied):
    def build(loss=None, optimizer=None):
        model = sequential()
        model.compile(optimizer, loss)
        return model

    optimizer = OwnSGD(Halving(1e-2))
    builder = functools.partial(build, loss=QuantileLoss(0.9)) if copied is not COPIES["pickle"] else sequential
    mlp = (
        regressor(builder, model__optimizer=optimizer, learning_rate="auto")
        if builder is not sequential
        else regressor(sequential)
    )
    mlp.fit(X, Y)
    other = copied(mlp)
    np.testing.assert_array_equal(other.predict(X), mlp.predict(X))
    np.testing.assert_array_equal(other.fit(X, Y).predict(X), mlp.predict(X))


def test_a_shallow_copy_shares_its_parameters():
    model, loss = sequential(), QuantileLoss(0.9)
    mlp = copy.copy(regressor(model, loss=loss, metrics=[ScaledError(2.0)]).fit(X, Y))
    assert mlp.model is model
    assert mlp.loss is loss
    assert mlp._fitted.make_model.args[1].args[0] is model


def test_a_metric_whose_configuration_lacks_an_argument_is_not_pickled_as_another_one():
    with pytest.raises(
        TypeError, match=r"'scaled' cannot be copied or pickled: get_config\(\) of Untold does not hold"
    ):
        pickle.dumps(regressor(metrics=[Untold(2.0)]))
    assert clone(regressor(metrics=[Untold(2.0)])).metrics[0].factor == 2


GRID = {"loss": [QuantileLoss(0.1), QuantileLoss(0.9)]}


@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_population_searches_over_objects(n_jobs):
    search = PopulationGridSearchCV(regressor(), GRID, cv=2, n_jobs=n_jobs).fit(X, Y)
    assert [params["loss"].q for params in search.cv_results_["params"]] == [0.1, 0.9]
    low, high = (regressor(loss=loss).fit(X[30:], Y[30:]).score(X[:30], Y[:30]) for loss in GRID["loss"])
    np.testing.assert_allclose(search.cv_results_["split0_test_score"], [low, high], rtol=1e-5)
    assert search.best_estimator_.loss.q == search.best_params_["loss"].q
    if n_jobs is None:
        halving = PopulationHalvingSearchCV(regressor(), GRID, n_candidates=2, cv=2, factor=2, random_state=0).fit(X, Y)
        assert halving.best_estimator_.loss.q in (0.1, 0.9)


@pytest.mark.slow
def test_other_processes_get_objects():
    params = {"loss": QuantileLoss(0.9), "optimizer": OwnSGD(1e-3), "metrics": [ScaledError(2.0)]}
    for mlp in (regressor(**params), regressor(MODELS["own layer"](), loss=QuantileLoss(0.9))):
        here, there = (cross_val_score(mlp, X, Y, cv=2, n_jobs=n_jobs) for n_jobs in (None, 2))
        np.testing.assert_allclose(here, there, rtol=1e-6)


def test_a_search_of_scikit_learn_wants_registered_classes():
    with pytest.raises(TypeError):  # Keras' own
        GridSearchCV(regressor(), GRID, cv=2, error_score="raise").fit(X, Y)
    grid = {"loss": [keras.losses.Huber(1.0), keras.losses.Huber(2.0)]}
    assert GridSearchCV(regressor(), grid, cv=2).fit(X, Y).best_params_["loss"] is not None


# Other packages


FRESH = """
import keras

KINDS = keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer
{before}
attributes = [dict(vars(kind)) for kind in KINDS]
reducing = [(kind.__reduce__, getattr(kind, "__deepcopy__", None)) for kind in KINDS]

import sk_mlp.classifier
from sk_mlp import KerasMLPRegressor

KerasMLPRegressor(lambda: keras.Sequential([keras.layers.Dense(1)]), epochs=1).fit([[1.0]] * 20, range(20))
assert attributes == [dict(vars(kind)) for kind in KINDS]
assert reducing == [(kind.__reduce__, getattr(kind, "__deepcopy__", None)) for kind in KINDS]
{after}
"""
BY_SCIKERAS = "import scikeras\nassert keras.Model.__reduce__.__module__ == 'scikeras._saving_utils'"
BY_KERAS = """
import sys
assert "scikeras" not in sys.modules
assert all(kind.__reduce__.__module__.startswith("keras.") for kind in KINDS)
assert not any(hasattr(kind, "__deepcopy__") for kind in KINDS)
"""


@pytest.mark.parametrize(
    ("before", "after"), [("", BY_KERAS + BY_SCIKERAS), (BY_SCIKERAS, BY_SCIKERAS)], ids=["ours", "theirs before"]
)
def test_classes_of_keras_are_as_they_were(before, after):
    program = textwrap.dedent(FRESH).format(before=before, after=after)
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_copies_where_scikeras_has_changed_keras():
    program = f"import scikeras, pytest, sys\nsys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {__file__!r}, "
    program += "'-k', 'compiled or own_classes', '-n', '0']))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-3000:]


@pytest.mark.parametrize("cls", [KerasMLPClassifier, KerasMLPRegressor])
def test_nothing_of_a_wrapper_is_left(cls):
    mlp = cls()
    leftovers = {"initialize", "initialized_", "target_encoder", "feature_encoder", "scorer", "__name__", "_more_tags"}
    assert not leftovers & set(dir(mlp))
    with pytest.raises(AttributeError, match=r"no attribute 'initialize'\. Did you mean 'partial_fit'"):
        mlp.initialize(X)
    assert mlp.current_epoch == 0
    y = Y if cls is KerasMLPRegressor else Y > 0
    assert mlp.set_params(epochs=2).fit(X, y).current_epoch == 2
    assert mlp.partial_fit(X, y).current_epoch == 3


# Seeds of a builder


def drawn_by_keras():
    return [keras.initializers.GlorotUniform().seed, keras.random.SeedGenerator().state.numpy().tolist()]


def test_no_other_thread_sees_the_seeds_of_a_builder():
    within, done = threading.Event(), threading.Event()

    def build():
        within.set()
        assert done.wait(60)
        return sequential(keras.layers.Dense(4), keras.layers.Dropout(0.5))

    alone = regressor(lambda: sequential(keras.layers.Dense(4), keras.layers.Dropout(0.5))).fit(X, Y)
    random.seed(3)
    np.random.seed(3)
    keras.utils.set_random_seed(3)
    expected = random.getstate(), np.random.get_state()[1].tolist()
    drawn = drawn_by_keras()
    keras.utils.set_random_seed(3)
    fitted = []
    thread = threading.Thread(target=lambda: fitted.append(regressor(build).fit(X, Y)))
    thread.start()
    assert within.wait(60)  # it builds
    assert (random.getstate(), np.random.get_state()[1].tolist()) == expected
    assert drawn_by_keras() == drawn
    done.set()
    thread.join()
    np.testing.assert_array_equal(fitted[0].predict(X), alone.predict(X))
    assert sys.modules["keras.src.random.seed_generator"].python_random is random
