"""`to_keras(include_preprocessing=True)` as a SavedModel and for LiteRT, whatever the columns' names are."""

import numpy as np
import pytest
import tensorflow as tf
from optional import pd
from plain import plain_classifier, plain_regressor

from sk_mlp import KerasMLPClassifier
from sk_mlp._tables.names import exported_names
from sk_mlp.layers import TableModel

pytestmark = pytest.mark.usefixtures("no_xla")

N = 60
RNG = np.random.default_rng(0)
QUICK = {"n_hidden": 1, "n_neurons": 8, "epochs": 1, "early_stopping": False, "random_state": 0, "ensemble_size": 2}
Y = RNG.integers(0, 2, N)
NAMES = ["a b", "1st", "größe", "x/y", "self", "_x", "A", "a", "class", "a_b"]
EXPORTED = ["a_b_0", "x_1st", "gr_e", "x_y", "x_self", "x", "A", "a_7", "x_class", "a_b"]


def tensors(X, dtypes):
    """Columns of a frame, in their order, as inputs of these types take them."""
    columns = []
    for (_, column), dtype in zip(X.items(), dtypes, strict=True):
        if dtype in (tf.string, "string"):
            columns.append(tf.constant([["" if pd.isna(value) else value] for value in column]))
        else:
            is_date = column.dtype.kind == "M"
            seconds = (column - pd.Timestamp(0)) / pd.Timedelta(seconds=1) if is_date else column
            columns.append(tf.constant(seconds.to_numpy(tf.as_dtype(dtype).as_numpy_dtype)[:, None]))
    return columns


def test_names_that_are_exported():
    assert exported_names(NAMES) == EXPORTED
    assert exported_names(["价格", "", "0", "x_0", "X_0", "x_0 "]) == ["x_", "x__1", "x_0_2", "x_0", "X_0_4", "x_0_5"]
    assert exported_names(["b", "a", "training"]) == ["b", "a", "training"]


def test_a_saved_model_takes_columns_of_any_names(tmp_path):
    X = pd.DataFrame(RNG.normal(size=(N, len(NAMES))), columns=NAMES)
    X["1st"] = RNG.choice(np.array(["u", "v", None], object), N)
    X["größe"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 10**6, N), unit="min")
    X["self"] = 20_180_000 + RNG.integers(0, 1000, N)
    X["A"] = X["A"].where(X["A"] > 0)
    mlp = KerasMLPClassifier(**QUICK, numerical_embedding="pbld").fit(X, Y)
    model = mlp.to_keras(include_preprocessing=True)
    assert type(model) is TableModel
    assert list(model.input) == [name.replace("/", "_") for name in NAMES]
    columns = tensors(X, [put.dtype for put in model.input.values()])
    expected = mlp.predict_proba(X)[:, 1]
    np.testing.assert_allclose(model(dict(zip(model.input, columns, strict=True)))[:, 0], expected, atol=1e-5)
    model.export(tmp_path / "saved", verbose=False)
    serve = tf.saved_model.load(tmp_path / "saved").signatures["serving_default"]
    (output,) = serve(**dict(zip(EXPORTED, columns, strict=True))).values()
    np.testing.assert_allclose(output[:, 0], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("make", [plain_classifier, plain_regressor, KerasMLPClassifier])
def test_lite_rt_runs_tables_of_numbers_and_strings(make, tmp_path):
    X = pd.DataFrame({"x 1": RNG.normal(size=N), "town": RNG.choice(np.array(["u", "v", None], object), N)})
    X["code"] = pd.Categorical(RNG.choice([3, 5, 8], N))
    mlp = make(**QUICK).fit(X, Y)
    model = mlp.to_keras(include_preprocessing=True)
    model.export(tmp_path / "saved", verbose=False)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved")).convert()
    run = tf.lite.Interpreter(model_content=content).get_signature_runner("serving_default")
    columns = tensors(X, [put.dtype for put in model.input.values()])
    (output,) = run(
        **{name: column.numpy() for name, column in zip(["x_1", "town", "code"], columns, strict=True)}
    ).values()
    expected = mlp.predict_proba(X)[:, 1] if hasattr(mlp, "classes_") else mlp.predict(X)
    np.testing.assert_allclose(output[:, 0], expected, rtol=1e-4, atol=1e-5)
