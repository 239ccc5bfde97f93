"""Numbers far from 0: dates, timestamps, coordinates. A column and a constant is as good as the column."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from optional import pd, pl
from plain import plain_classifier, plain_regressor, prepared_task
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sk_mlp._estimator.given import GivenRows
from sk_mlp._tables.plan import LARGEST_SCALE
from sk_mlp.model_selection import PopulationGridSearchCV

RNG = np.random.default_rng(0)
DAY = RNG.integers(1, 29, 120).astype(float)
X = np.column_stack([DAY, RNG.standard_normal(120)])
Y = np.sin(DAY / 3) + 0.2 * X[:, 1]
LABELS = (Y > 0).astype(int)
SMALL = {"hidden_layer_sizes": [12], "epochs": 12, "learning_rate": 0.02, "random_state": 0, "input_scaling": "robust"}
DATE = 20180100  # and the day


def regressor(model=None, **params):
    return plain_regressor(model, **SMALL | params)


def classifier(**params):
    return plain_classifier(**SMALL | params)


def plus(constant, table=X):
    return table + np.array([constant, 0.0])


def predicted(mlp, X):
    return mlp.predict_proba(X) if hasattr(mlp, "predict_proba") else mlp.predict(X)


pytestmark = pytest.mark.usefixtures("no_xla")
two_kinds = pytest.mark.parametrize(("make", "y"), [(regressor, Y), (classifier, LABELS)], ids=["numbers", "classes"])
CONSTANTS = [DATE, -3e7, 1.5e9, 1.5e12, 101_325.0 * 400]


@two_kinds
@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_column_and_a_constant_is_the_column(constant, make, y):
    expected = predicted(make().fit(X, y), X)
    np.testing.assert_allclose(predicted(make().fit(plus(constant), y), plus(constant)), expected, atol=2e-3)


@pytest.mark.parametrize(
    "params",
    [
        {"input_scaling": "standard"},
        {"numerical_embedding": "ple", "learned_scale": True},
        {"numerical_embedding": "pbld"},
        {"skip_connection": True, "wide_features": [0], "deep_features": [1]},
        {"skip_connection": True, "aux_output": True},
        {"ensemble_size": 3},
        {"engine": "keras", "epochs": 2},
        {"early_stopping": False},
    ],
    ids=str,
)
def test_whatever_the_network(params):
    weights = np.linspace(0.5, 2, 120)
    expected = regressor(**params).fit(X, Y, weights).predict(X)
    found = regressor(**params).fit(plus(DATE), Y, weights).predict(plus(DATE))
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_no_other_column_is_touched():
    mlp = regressor().fit(X, Y)
    assert mlp._fitted.shift is None
    mlp = regressor().fit(plus(DATE), Y)
    assert mlp._fitted.shift[1] == 0
    assert abs(mlp._fitted.shift[0] - DATE) < 1000


TABLES = {
    "int64": lambda X: X.astype(np.int64),
    "int32": lambda X: X.astype(np.int32),
    "uint32": lambda X: X.astype(np.uint32),
    "big-endian": lambda X: X.astype(">f8"),
    "long double": lambda X: X.astype(np.longdouble),
    "objects": lambda X: X.astype(int).astype(object),
    "lists": lambda X: X.tolist(),
    "columns first": np.asfortranarray,
    "pandas": lambda X: pd.DataFrame(X.astype(int), columns=["date", "other"]),
    "pandas, two types": lambda X: pd.DataFrame({"date": X[:, 0].astype(np.int64), "other": X[:, 1].astype("f4")}),
    "pandas, with missing": lambda X: pd.DataFrame(X.astype(int), columns=["date", "other"]).astype("Int64"),
    "polars": lambda X: pl.DataFrame(X.astype(int), schema=["date", "other"]),
}


@pytest.mark.parametrize("form", TABLES.values(), ids=TABLES)
def test_tables(form):
    whole = np.rint(X * [1, 3]) - [0, -20]
    expected = regressor().fit(whole, Y).predict(whole)
    table = form(plus(DATE, whole))
    np.testing.assert_allclose(regressor().fit(table, Y).predict(table), expected, atol=2e-3)


def test_timestamps():
    expected = regressor().fit(X[:, :1] * 86400, Y).predict(X[:, :1] * 86400)
    for unit in (1, 10**3, 10**9):
        stamps = (X[:, :1].astype(np.int64) * 86400 + 1_514_764_800) * unit
        np.testing.assert_allclose(regressor().fit(stamps, Y).predict(stamps), expected, atol=5e-3)


def test_categories_and_missing_numbers_beside():
    def table(constant):
        days = np.where(np.arange(120) % 7 == 0, np.nan, DAY + constant)
        return pd.DataFrame({"kind": np.where(X[:, 1] > 0, "a", "b"), "date": days, "other": X[:, 1]})

    near, far = regressor().fit(table(0), Y), regressor().fit(table(DATE), Y)
    np.testing.assert_allclose(far.predict(table(DATE)), near.predict(table(0)), atol=2e-3)
    model = far.to_keras(include_preprocessing=True)
    columns = {name: tf.constant(values.to_numpy()[:, None]) for name, values in table(DATE).items()}
    np.testing.assert_allclose(np.ravel(model(columns)), far.predict(table(DATE)), atol=1e-4)


def test_rows_held_out():
    held = {"X_val": X[:40], "y_val": Y[:40]}
    near = regressor().fit(X[40:], Y[40:], **held)
    far = regressor().fit(plus(DATE)[40:], Y[40:], **held | {"X_val": plus(DATE)[:40]})
    np.testing.assert_allclose(far.history_["val_loss"], near.history_["val_loss"], rtol=1e-2)


def test_rows_held_out_in_a_sparse_matrix():
    held = [{"X_val": form(plus(DATE)[:40]), "y_val": Y[:40]} for form in (np.asarray, csr_array)]
    of_dense, of_sparse = (regressor().fit(plus(DATE)[40:], Y[40:], **one).history_ for one in held)
    assert of_dense == of_sparse


def test_a_temperature():
    settings = {"calibrate": True, "epochs": 30}
    near, far = classifier(**settings).fit(X, LABELS), classifier(**settings).fit(plus(DATE), LABELS)
    assert near._fitted.temperature == pytest.approx(far._fitted.temperature, rel=1e-2)


def test_training_goes_on():
    near, far = regressor(warm_start=True).fit(X, Y), regressor(warm_start=True).fit(plus(DATE), Y)
    later = [20.0, 0.0]  # other numbers than those of the first fit
    for _ in range(2):
        near.fit(X + later, Y)
        far.fit(plus(DATE) + later, Y)
    np.testing.assert_allclose(far.predict(plus(DATE)), near.predict(X), atol=1e-2)
    near, far = regressor(), regressor()
    for part in (slice(0, 70), slice(70, 120)):
        near.partial_fit(X[part], Y[part])
        far.partial_fit(plus(DATE)[part], Y[part])
    np.testing.assert_allclose(far.predict(plus(DATE)), near.predict(X), atol=2e-3)


def test_training_starts_from_elsewhere():
    """From a network of another shift, and from an autoencoder, which finds its own."""
    source, far_source = regressor().fit(X, Y), regressor().fit(plus(DATE), Y)
    expected = regressor(init_from=source, epochs=3).fit(X, 2 * Y).predict(X)
    found = regressor(init_from=far_source, epochs=3).fit(plus(DATE), 2 * Y).predict(plus(DATE))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    later = regressor(init_from=far_source, epochs=3).fit(plus(DATE + 1e4), Y)
    center = later.column_statistics_[0]["center"][0]
    assert center == pytest.approx(far_source.column_statistics_[0]["center"][0], abs=1e-2)
    settings = {"pretrain": "autoencoder", "epochs": 3}
    near = regressor(**settings).fit(X, Y, X_unlabeled=X[:9])
    far = regressor(**settings).fit(plus(DATE), Y, X_unlabeled=plus(DATE)[:9])
    np.testing.assert_allclose(far.predict(plus(DATE)), near.predict(X), atol=5e-3)
    features = far.autoencoder_.predict(plus(DATE)) - [DATE, 0]
    np.testing.assert_allclose(features, near.autoencoder_.predict(X), atol=0.2)


def test_statistics_are_in_the_units_of_x():
    near, far = (regressor().fit(plus(c), Y).column_statistics_[0] for c in (0, DATE))
    np.testing.assert_allclose(far["center"] - [DATE, 0], near["center"], atol=1e-5)
    np.testing.assert_allclose(far["fill"], far["center"])
    np.testing.assert_allclose(far["scale"], near["scale"], rtol=1e-6)


@pytest.mark.parametrize("params", [{}, {"skip_connection": True, "ensemble_size": 2, "epochs": 1}], ids=str)
def test_keras_models_take_float64(params, tmp_path):
    rows = plus(1.5e12)
    mlp = regressor(**params).fit(rows, Y)
    expected = mlp.predict(rows)
    mlp.to_keras().save(tmp_path / "model.keras")
    for model in (mlp.model_, mlp.to_keras(), keras.models.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(np.ravel(model(rows)), expected, atol=1e-4)
    np.testing.assert_allclose(np.ravel(model.predict_on_batch(rows)), expected, atol=1e-4)
    table = {"x0": rows[:, :1], "x1": rows[:, 1:].astype(np.float32)}
    data = tf.data.Dataset.from_tensor_slices(table).batch(50)
    model = mlp.to_keras(include_preprocessing=True)
    np.testing.assert_allclose(np.ravel(model.predict(data, verbose=0)), expected, atol=1e-4)


class Predictions(keras.callbacks.Callback):
    """What the model says of some rows, at the end."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def __deepcopy__(self, memo):
        return self

    def on_train_end(self, logs=None):
        self.found = np.ravel(self.model(self.rows))


def test_callbacks_see_a_model_of_x_itself():
    watch = Predictions(plus(DATE))
    mlp = regressor(callbacks=[watch], early_stopping=False).fit(plus(DATE), Y)
    np.testing.assert_allclose(watch.found, mlp.predict(plus(DATE)), atol=1e-4)


@pytest.mark.parametrize("constant", [0, DATE])
def test_a_population_search_is_single_fits(constant):
    rows = plus(constant)
    for estimator, prefix in ((regressor(epochs=3), ""), (make_pipeline(FunctionTransformer(), regressor()), "*__")):
        name = prefix.replace("*", "kerasmlpregressor") + "learning_rate"
        grid, settings = {name: [1e-3, 1e-2]}, {"cv": 3}
        ours = PopulationGridSearchCV(estimator, grid, **settings).fit(rows, Y)
        theirs = GridSearchCV(clone(estimator), grid, **settings).fit(rows, Y)
        found, expected = (search.cv_results_["mean_test_score"] for search in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_rows_of_no_fold_may_hold_anything():
    rows, cv = plus(DATE), [(np.arange(10, 80), np.arange(80, 119))] * 2
    expected = PopulationGridSearchCV(regressor(epochs=2), {"learning_rate": [1e-2]}, cv=cv, refit=False).fit(rows, Y)
    rows[119] = 1e300
    found = PopulationGridSearchCV(regressor(epochs=2), {"learning_rate": [1e-2]}, cv=cv, refit=False).fit(rows, Y)
    scores = (search.cv_results_["mean_test_score"] for search in (found, expected))
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("value", [1e39, -1e300, np.inf])
@pytest.mark.parametrize("make", [regressor, plain_regressor])
def test_numbers_that_are_too_large_are_refused_with_their_column(value, make):
    rows = pd.DataFrame(X.copy(), columns=["day", "other"])  # pandas 2 would share X
    mlp = make().fit(rows, Y)
    rows.loc[7, "other"] = value
    wrong = r"contains infinity or a value too large for dtype.*, in the column 'other'"
    for call in (lambda: make().fit(rows, Y), lambda: mlp.predict(rows), lambda: mlp.partial_fit(rows, Y)):
        with pytest.raises(ValueError, match=wrong):
            call()
    with pytest.raises(ValueError, match=f"The held-out rows .* are not valid: Input X {wrong}"):
        make().fit(pd.DataFrame(X, columns=rows.columns), Y, X_val=rows, y_val=Y)
    with pytest.raises(ValueError, match=r"in the column 1"):
        make().fit(rows.to_numpy(), Y)


def test_missing_numbers_are_refused_with_their_column():
    rows = pd.DataFrame(X.copy(), columns=["day", "other"])
    rows.loc[3, "day"] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN, in the column 'day'"):
        regressor(handle_missing="error").fit(rows, Y)


def test_what_is_constant_but_for_rounding_has_no_part():
    constant = np.full(120, 0.3)
    constant[::3] = 0.1 + 0.2
    for scaling in ("robust", "standard"):
        mlp = regressor(input_scaling=scaling, epochs=1).fit(np.column_stack([constant, X[:, 1]]), Y)
        assert mlp.column_statistics_[0]["scale"][0] == 0


def builder():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)])


@pytest.mark.parametrize("model", [None, builder], ids=["own", "builder"])
@pytest.mark.parametrize("form", [np.asarray, lambda X: X.astype(np.int64), pd.DataFrame], ids=["f8", "i8", "pandas"])
def test_a_network_that_takes_x_as_it_is_warns(form, model):
    mlp = plain_regressor(model, epochs=1)
    with pytest.warns(UserWarning, match=r"The columns \[.*\b0\b.*\] of X lose digits.*StandardScaler"):
        mlp.fit(form(plus(DATE)), Y)
    make_pipeline(StandardScaler(), mlp).fit(form(plus(DATE)), Y)  # no warning
    mlp.fit(form(X), Y)
    mlp.fit(plus(DATE).astype(np.float32), Y)  # whose digits are lost already
    mlp.fit(plus(2000.0), Y)


def test_narrow_numbers_are_used_as_they_are():
    for dtype in (np.float32, np.uint8):
        rows = np.abs(X).astype(dtype)
        assert prepared_task(plain_regressor(), GivenRows(rows, Y), early_stopping=True).members[0].rows.X is rows
        assert prepared_task(regressor(), GivenRows(rows, Y), early_stopping=True).members[0].rows.X is rows


@pytest.mark.parametrize("scaling", ["robust", "standard"])
def test_numbers_too_small_to_divide_by(scaling):
    mlp = regressor(input_scaling=scaling, epochs=2).fit(X * 1e-310, Y)
    assert np.isfinite(mlp.predict(X * 1e-310)).all()
    assert mlp.column_statistics_[0]["scale"].max() <= 1.0001 * LARGEST_SCALE


# y


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("exponent", [-1000, 600])
def test_numbers_of_any_size_are_learned(exponent, engine):
    """Their squares are none that float64 holds."""
    unit = 2.0**exponent
    mlp, other = (regressor(engine=engine, ensemble_size=2).fit(X, y) for y in (Y, Y * unit))
    np.testing.assert_array_equal(other.predict(X), mlp.predict(X) * unit)
    for found, wanted in zip(other.predict(X, return_std=True), mlp.predict(X, return_std=True), strict=True):
        np.testing.assert_array_equal(found, wanted * unit)
