"""Keras' dtype policies: what may not be rounded is not, and every thread and process trains under the caller's."""

import functools
import pickle
from contextlib import contextmanager

import joblib
import keras
import numpy as np
import pytest
from optional import pd
from plain import plain_classifier, plain_regressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import KerasMLPRegressor
from sk_mlp.model_selection import PopulationGridSearchCV

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 3000, 3000)
INCOME = np.exp(RNG.normal(11, 1, 3000))  # half of them above 65,504, where float16 ends
TARGET = (CODES % 2) * 1.0 + (CODES > 2500) * 3.0 + np.log(INCOME) + 100.0
X = RNG.standard_normal((120, 3))
Y = X[:, 0] + np.sin(X[:, 1])
HALVES = ["mixed_float16", "mixed_bfloat16"]
FAST = {"hidden_layer_sizes": (6,), "epochs": 3, "random_state": 0}


def of_codes():
    return pd.DataFrame({"code": pd.Categorical(CODES), "income": INCOME})


@contextmanager
def policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def on_table(**params):
    return KerasMLPRegressor(
        hidden_layer_sizes=(16,), **{"epochs": 4, "ensemble_size": 1, "batch_size": 64, "random_state": 0} | params
    )


@functools.cache
def in_full():
    return on_table().fit(of_codes(), TARGET)


@pytest.mark.parametrize("name", [*HALVES, "float64"])
def test_codes_and_incomes_are_not_rounded(no_xla, name):
    with policy(name):
        mlp = on_table(engine="compiled").fit(of_codes(), TARGET)
        exported, of_table = mlp.to_keras(), mlp.to_keras(include_preprocessing=True)
    assert mlp.score(of_codes(), TARGET) == pytest.approx(in_full().score(of_codes(), TARGET), abs=0.02)
    codes = np.column_stack([of_codes()["code"].cat.codes, INCOME])
    tolerance = {"mixed_float16": 0.03, "mixed_bfloat16": 0.2, "float64": 1e-4}[name]
    table = {"code": CODES[:, None].astype(np.float32), "income": INCOME[:, None].astype(np.float32)}
    for model, x in ((mlp.model_, codes), (exported, codes), (of_table, table)):
        np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], mlp.predict(of_codes()), atol=tolerance)
    for statistics, others in zip(mlp.column_statistics_, in_full().column_statistics_, strict=True):
        for statistic, array in statistics.items():
            np.testing.assert_array_equal(array, others[statistic])


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize(
    "params", [{"dropout": 0.2, "batch_norm": True}, {"skip_connection": True, "hidden_layer_sizes": (6, 5)}]
)
def test_the_engines_agree(no_xla, name, params):
    with policy(name):
        ours, theirs = (plain_regressor(**FAST | params, engine=engine).fit(X, Y) for engine in ("compiled", "keras"))
    if "dropout" not in params:  # whose noise is another one
        np.testing.assert_allclose(ours.history_["loss"], theirs.history_["loss"], rtol=0.02)
    hidden = [layer.dtype_policy.name for layer in ours.model_.layers if layer.name.startswith(("hidden", "batch"))]
    assert set(hidden) == {name}
    assert ours.model_.layers[-1].dtype_policy.name == "float32"


def builder():
    layers = [keras.layers.Dense(6, "relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.1)]
    return keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(3, "softmax")])


def test_a_model_of_the_users(no_xla):
    labels = np.digitize(Y, [-0.5, 0.5])
    with policy("mixed_float16"):
        mlp = plain_classifier(builder, engine="compiled", metrics=["accuracy"], **FAST | {"hidden_layer_sizes": None})
        mlp.fit(X, labels)
    assert {layer.compute_dtype for layer in mlp.model_.layers} == {"float16"}
    np.testing.assert_allclose(mlp.model_.predict(X, verbose=0), mlp.predict_proba(X), atol=2e-3)


def test_columns_are_scaled_in_full_before_a_model_of_the_users(no_xla):
    def build():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(6, "relu"), keras.layers.Dense(1)])

    def fitted(factor):
        mlp = KerasMLPRegressor(build, loss="mse", input_scaling="robust", epochs=2, random_state=0)
        return mlp.fit(factor * X, Y)

    factor = 2.0**20  # beyond what float16 holds
    with policy("mixed_float16"):
        near, far = fitted(1.0), fitted(factor)
    np.testing.assert_allclose(far.predict(factor * X), near.predict(X), atol=1e-2)
    np.testing.assert_allclose(far.model_.predict(factor * X, verbose=0)[:, 0], far.predict(factor * X), atol=1e-2)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "int8_from_float32"])
def test_a_policy_that_does_not_train_is_refused(name):
    with policy(name), pytest.raises(ValueError, match=f"policy must be one of .* Got '{name}'"):
        plain_regressor(**FAST).fit(X, Y)


def test_numbers_that_half_precision_does_not_hold():
    frame = pd.DataFrame({"income": np.linspace(1, 7e4, 120), "year": np.linspace(2000, 2020, 120)})
    with policy("mixed_float16"), pytest.raises(ValueError, match=r"within \+-65504 .*Got 70000 in column 'income'"):
        plain_regressor(**FAST).fit(frame, Y)
    with (
        policy("mixed_bfloat16"),
        pytest.warns(UserWarning, match=r"columns \['year'\] lose their differences") as caught,
    ):
        plain_regressor(**FAST).fit(frame, Y)
    assert [warning.filename for warning in caught] == [__file__]


def scores(search):
    grid = {"learning_rate": [1e-2, 3e-2]}
    return search(plain_regressor(**FAST), grid, cv=2, refit=False).fit(X, Y).cv_results_["mean_test_score"]


@pytest.fixture(scope="module")
def one_after_the_other():
    """Scores in full precision and in half."""
    found = []
    for name in ("float32", "mixed_bfloat16"):
        with policy(name):
            found.append(scores(GridSearchCV))
    assert (found[0] != found[1]).all()
    return found


@pytest.mark.parametrize("settings", [{}, {"backend": "threading", "n_jobs": 2}], ids=str)
@pytest.mark.parametrize("search", [GridSearchCV, PopulationGridSearchCV])
def test_threads_have_the_callers_policy(one_after_the_other, search, settings):
    for name, expected in zip(("float32", "mixed_bfloat16"), one_after_the_other, strict=True):
        with policy(name), joblib.parallel_config(**settings):
            np.testing.assert_allclose(scores(search), expected, rtol=1e-6)


@pytest.mark.slow
def test_processes_have_the_callers_policy(one_after_the_other):
    with policy("mixed_bfloat16"), joblib.parallel_config(n_jobs=2):
        for search in (GridSearchCV, PopulationGridSearchCV):
            np.testing.assert_allclose(scores(search), one_after_the_other[1], rtol=1e-6)


def test_the_members_of_an_ensemble_have_the_callers_policy():
    with policy("mixed_bfloat16"):
        one_by_one = [member.fit(X, Y) for member in [plain_regressor(**FAST, ensemble_size=2)] * 2]
        pipeline = make_pipeline(StandardScaler(), plain_regressor(**FAST, ensemble_size=2))
        with joblib.parallel_config(backend="threading"):
            assert len(cross_val_score(pipeline, X, Y, cv=2, n_jobs=2)) == 2
    mlp = one_by_one[0]
    again = pickle.loads(pickle.dumps(mlp))  # a network keeps its precision, whatever that of the process has become
    for model in (mlp.model_, again.model_):
        policies = {
            layer.dtype_policy.name for member in model.layers if hasattr(member, "layers") for layer in member.layers
        }
        assert policies == {"mixed_bfloat16", "float32"}
    np.testing.assert_array_equal(again.predict(X), mlp.predict(X))


def test_a_clone_in_the_same_thread_has_its_present_policy():
    with policy("mixed_bfloat16"):
        cloned = clone(plain_regressor(**FAST))
    expected = plain_regressor(**FAST).fit(X, Y).predict(X)
    np.testing.assert_array_equal(cloned.fit(X, Y).predict(X), expected)
    assert vars(cloned).keys() == vars(plain_regressor(**FAST).fit(X, Y)).keys()
