"""`to_onnx`: onnxruntime predicts as the estimator does."""

import json
import os
import pickle
import subprocess
import sys
from itertools import pairwise

import keras
import numpy as np
import pytest
from optional import needed, pd, pl
from plain import plain_classifier, plain_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor, __version__, to_onnx
from sk_mlp._network import forward
from sk_mlp._network.spec import NetworkSpec
from sk_mlp.model_selection import PopulationGridSearchCV

onnx, ort = needed("onnx"), needed("onnxruntime")
from sk_mlp._onnx.graph import Graph  # noqa: E402
from sk_mlp._onnx.model import IR_VERSION, OPSETS  # noqa: E402
from sk_mlp._onnx.network import ACTIVATIONS, network_output  # noqa: E402

pytestmark = pytest.mark.usefixtures("no_xla")

N_TRAIN, N_TEST = 60, 60
QUICK = {"n_hidden": 1, "n_neurons": 8, "epochs": 1, "early_stopping": False, "random_state": 0}
X, Y = load_iris(return_X_y=True)
NAMED = pd.DataFrame(X, columns=["a", "b", "c", "d"])
NUMPY_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(string)": object}


def feeds_of(session, X):
    """A frame, or a matrix, as the inputs of a session."""
    if not hasattr(X, "columns"):
        (single,) = session.get_inputs()
        return {single.name: X.astype(NUMPY_TYPES[single.type])}
    feeds = {}
    for put in session.get_inputs():
        column = X[put.name]
        if put.type == "tensor(string)":
            values = ["" if pd.isna(value) else str(value) for value in column]
        elif column.dtype.kind == "M":
            values = np.where(column.isna(), np.nan, (column - pd.Timestamp(0)) / pd.Timedelta(seconds=1))
        else:
            values = column
        feeds[put.name] = np.asarray(values, NUMPY_TYPES[put.type])[:, None]
    return feeds


def outputs_of(mlp, X, folder):
    """What onnxruntime makes of a table, by the outputs' names."""
    path = folder / "model.onnx"
    model = to_onnx(mlp, path)
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(path.read_bytes())
    return dict(zip([put.name for put in session.get_outputs()], session.run(None, feeds_of(session, X)), strict=True))


def assert_same(mlp, X, folder):
    outputs = outputs_of(mlp, X, folder)
    if hasattr(mlp, "classes_"):
        np.testing.assert_allclose(outputs["probabilities"], mlp.predict_proba(X), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(outputs["label"], mlp.predict(X))
    else:
        expected = mlp.predict(X)
        size = np.abs(expected).max(axis=0)  # predictions are computed in float32
        found = outputs["variable"].reshape(expected.shape)
        np.testing.assert_allclose(found / size, expected / size, rtol=0, atol=1e-5)


def numbers(rng, n):
    values = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 4) + rng.choice([0.0, 5.0])
    return np.round(values, rng.integers(0, 8))


def with_missing(rng, values, word):
    return np.where(rng.random(len(values)) < rng.choice([0.0, 0.1, 0.4]), word, values)


def dates(rng, n):
    days = rng.integers(-20_000, 30_000, n) if rng.random() < 0.5 else rng.integers(0, 400, n)
    seconds = days * 86_400 + rng.integers(0, 86_400, n)
    return pd.Series(with_missing(rng, seconds.astype("M8[s]"), np.datetime64("NaT", "s")))


def strings(rng, n):
    values = [f"{'größer '[: rng.integers(0, 8)]}{code}" for code in range(int(rng.choice([2, 5, 30])))]
    return pd.Series(with_missing(rng, rng.choice(np.array(values, object), n), None), dtype=object)


COLUMNS = {
    "number": lambda rng, n: with_missing(rng, numbers(rng, n), np.nan),
    "skewed": lambda rng, n: np.exp(3 * rng.standard_normal(n)),
    "far": lambda rng, n: 20_180_000 + rng.integers(0, 1000, n) / 4,
    "whole": lambda rng, n: rng.integers(0, 5, n),
    "constant": lambda rng, n: np.full(n, 7.25),
    "text": strings,
    "truth": lambda rng, n: rng.random(n) > 0.3,
    "codes": lambda rng, n: pd.Series(rng.choice([3, 5, 10**8, 10**8 + 1], n)).astype("category"),
    "shares": lambda rng, n: pd.Series(with_missing(rng, rng.choice([0.1, 0.25, -2.0], n), np.nan)).astype("category"),
    "when": dates,
}


def mixed_table(seed):
    """A table of some columns of most kinds, and five targets."""
    rng = np.random.default_rng(seed)
    n = N_TRAIN + N_TEST
    kinds = [*COLUMNS, *rng.choice(list(COLUMNS), 3)]
    rng.shuffle(kinds)
    frame = pd.DataFrame({f"{kind} {i}": COLUMNS[kind](rng, n) for i, kind in enumerate(kinds[:10])})
    for name in frame:
        if frame[name].dtype == object:
            frame.loc[frame.index[-5:], name] = ["unknown", "1", "1.0", None, "True"]
    score = rng.standard_normal(n)
    targets = {
        "binary": np.where(score > 0, "yes", "no"),
        "multiclass": np.digitize(score, [-0.5, 0.5]),
        "multilabel": np.stack([score > 0, score < 1], axis=1).astype(int),
        "number": score * 100 + 3,
        "numbers": np.stack([score, 1e6 + score**2], axis=1),
    }
    return frame, targets


VARIANTS = [
    {},
    {"ensemble_size": 3, "numerical_embedding": "ple"},
    {"numerical_embedding": "plr", "handle_missing": "impute"},
    {"numerical_embedding": "pbld", "learned_scale": True, "parametric_activation": True},
    {"skip_connection": True, "batch_norm": True, "activation": "mish"},
]


@pytest.mark.parametrize("seed", range(20))
def test_mixed_tables(seed, tmp_path):
    frame, targets = mixed_table(seed)
    kind = list(targets)[seed % 5]
    y = targets[kind][:N_TRAIN]
    estimator = KerasMLPRegressor if kind.startswith("number") else KerasMLPClassifier
    mlp = estimator(**QUICK | VARIANTS[seed // 4 % 5]).fit(frame[:N_TRAIN], y)
    assert_same(mlp, frame, tmp_path)


RNG = np.random.default_rng(0)
PLAIN = NetworkSpec(5, 2, (4, 3), "relu", batch_norm=False, dropout=False, output_activation="linear")
NETWORKS = [
    *({"activation": name} for name in forward.ACTIVATIONS),
    *({"output_activation": name} for name in ("exponential", "sigmoid", "softmax")),
    {"hidden_layer_sizes": ()},
    {"batch_norm": True, "parametric_activation": True, "activation": "selu"},
    {"skip_connection": True, "wide_columns": (0, 4), "deep_columns": (3, 1)},
    {"skip_connection": True, "aux_output": True},
]


@pytest.mark.parametrize("parts", NETWORKS, ids=str)
def test_every_kind_of_network(parts):
    spec = NetworkSpec(**vars(PLAIN) | parts)
    widths = [spec.n_deep, *spec.hidden_layer_sizes]
    n_wide = (len(spec.wide_columns or range(5)) if spec.skip_connection else 0) + widths[-1]
    shapes = {"output/kernel": (n_wide, 2), "output/bias": (2,)}
    for i, (n, width) in enumerate(pairwise(widths), start=1):
        shapes |= {f"hidden_{i}/kernel": (n, width), f"hidden_{i}/bias": (width,), f"activation_{i}/share": (width,)}
        norm = ("gamma", "beta", "moving_mean", "moving_variance")
        shapes |= {f"batch_norm_{i}/{name}": (width,) for name in norm}
    members = [{name: RNG.uniform(0, 1, shape) - 0.3 for name, shape in shapes.items()} for _ in range(2)]
    for weights in members:
        weights |= {name: np.abs(array) for name, array in weights.items() if "variance" in name}
    rows = np.array([*RNG.normal(size=(20, 5)), [3.0] * 5, [-3.0] * 5])
    graph = Graph()
    values = graph.input("X", np.float64, 5)
    stacked = {name: np.stack([weights[name] for weights in members]) for name in shapes}
    graph.output("out", network_output(spec, stacked, values), np.float64, [None, 2])
    session = ort.InferenceSession(graph.model("network", OPSETS, IR_VERSION).SerializeToString())
    expected = np.mean([forward.network_output(spec, weights, rows) for weights in members], axis=0)
    np.testing.assert_allclose(session.run(None, {"X": rows})[0], expected, rtol=1e-5, atol=1e-6)


def test_activations_are_those_of_the_network():
    assert list(ACTIVATIONS) == list(forward.ACTIVATIONS)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "hinge"},
        {"loss": keras.losses.BinaryCrossentropy(from_logits=True)},
        {"ensemble_size": 4, "early_stopping": True, "validation_fraction": 0.4, "epochs": 3, "calibrate": True},
    ],
    ids=["margins", "logits", "temperature"],
)
def test_what_makes_probabilities_of_outputs(params, tmp_path):
    mlp = KerasMLPClassifier(**QUICK | {"n_neurons": 16, "learning_rate": 0.1} | params).fit(X, Y > 1)
    assert params.get("ensemble_size") is None or mlp._fitted.temperature != 1
    assert_same(mlp, X, tmp_path)


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        (Y * 5 - 5, np.int64),
        (Y == 1, np.int64),
        (Y + 1.0, np.int64),
        (np.array(["é", "", "b"])[Y], object),
        (np.array(["x"] * 150, object), object),
        (np.eye(3)[Y], np.int64),
    ],
    ids=["numbers", "truth", "floats", "strings", "one class", "one-hot"],
)
def test_labels(y, dtype, tmp_path):
    mlp = plain_classifier(**QUICK).fit(X, y)
    assert_same(mlp, X, tmp_path)
    assert outputs_of(mlp, X, tmp_path)["label"].dtype == dtype


def test_a_positive_target(tmp_path):
    assert_same(plain_regressor(**QUICK, loss="poisson").fit(X, Y), X, tmp_path)


def test_quantiles_that_would_cross(tmp_path):
    mlp = plain_regressor(**QUICK, loss="quantile", loss__quantile=[0.4, 0.5, 0.6], ensemble_size=2).fit(X, Y)
    assert np.any(np.diff(mlp._output(X)) < 0)
    assert_same(mlp, X, tmp_path)


def test_columns_without_names_are_one_matrix(tmp_path):
    assert_same(plain_regressor(**QUICK).fit(X, Y), X, tmp_path)
    model = to_onnx(plain_classifier(**QUICK).fit(X, Y), tmp_path / "model")
    (single,) = model.graph.input
    assert (single.name, single.type.tensor_type.elem_type) == ("X", onnx.TensorProto.FLOAT)
    assert [put.name for put in model.graph.output] == ["label", "probabilities"]
    far = np.c_[X, 20_180_000 + 4 * X[:, 0]]
    mlp = KerasMLPRegressor(**QUICK).fit(far, Y)
    assert to_onnx(mlp, tmp_path / "model").graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    assert_same(mlp, far, tmp_path)


def test_columns_of_objects_without_names(tmp_path):
    table = np.c_[X[:, :2].astype(object), np.array(["a", "b", "c"])[Y]]
    mlp = KerasMLPClassifier(**QUICK, categorical_features=[2]).fit(table, Y)
    to_onnx(mlp, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    assert [(put.name, put.type) for put in session.get_inputs()] == [
        ("x0", "tensor(float)"),
        ("x1", "tensor(float)"),
        ("x2", "tensor(string)"),
    ]
    frame = pd.DataFrame(table, columns=["x0", "x1", "x2"])
    found = session.run(["probabilities"], feeds_of(session, frame))[0]
    np.testing.assert_allclose(found, mlp.predict_proba(table), atol=1e-6)


def test_names_of_columns_and_outputs(tmp_path):
    frame = NAMED.set_axis(["label", "add_2", "größe, x/y", "constant_1"], axis=1)
    mlp = plain_classifier(**QUICK).fit(frame, Y)
    outputs = outputs_of(mlp, frame, tmp_path)
    assert list(outputs) == ["output_label", "probabilities"]
    np.testing.assert_array_equal(outputs["output_label"], mlp.predict(frame))
    frame = pl.DataFrame({"": X[:, 0], "b": X[:, 1]})
    with pytest.raises(ValueError, match=r"must differ and not be empty, .* Got \[''\]"):
        to_onnx(plain_classifier(**QUICK).fit(frame, Y), tmp_path / "model")


@pytest.mark.parametrize(
    ("values", "unseen"),
    [
        ([True, False], []),
        ([0.1, 0.2, 0.3], [0.15, np.nan]),
        ([2.0**24, 2.0**24 + 1, -1.0], [2.0**24 + 2]),
        ([1e300, 2e300, np.inf], [-np.inf, np.nan, 3.0]),
        ([1, 2, 3], [1.5, np.nan]),
    ],
)
def test_categories_that_are_numbers(values, unseen, tmp_path):
    column = np.array([*np.resize(values, 150 - len(unseen)), *unseen])
    frame = pd.DataFrame({"a": X[:, 0], "code": column})
    mlp = KerasMLPClassifier(**QUICK, categorical_features=["code"]).fit(
        frame[: 150 - len(unseen)], Y[: len(Y) - len(unseen)]
    )
    assert_same(mlp, frame, tmp_path)


def test_categories_beside_an_empty_string_and_other_spellings(tmp_path):
    column = np.resize(np.array(["", "1", "2.0", "true", "False", "a"], object), 150)
    frame = pd.DataFrame({"a": X[:, 0], "code": column})
    mlp = KerasMLPClassifier(**QUICK).fit(frame, Y)
    others = ["1.0", "2", "True", "TRUE", "false", "01", "A", "", "nan", "a "]
    assert_same(mlp, frame[:10].assign(code=others), tmp_path)


def test_columns_of_which_nothing_is_known(tmp_path):
    frame = pd.DataFrame({"a": X[:, 0], "empty": np.full(150, None), "never": np.nan})
    assert_same(KerasMLPClassifier(**QUICK).fit(frame, Y), frame, tmp_path)
    strings = pd.DataFrame({"text": np.resize(["a", "b"], 150).astype(object)})
    assert_same(KerasMLPClassifier(**QUICK).fit(strings, Y), strings, tmp_path)


def test_what_the_file_says_of_itself(tmp_path):
    frame = pd.DataFrame({"a": X[:, 0], "when": pd.Timestamp("2020-01-01", tz="Europe/Paris")})
    frame["when"] += pd.to_timedelta(np.arange(150), unit="D")
    model = to_onnx(KerasMLPRegressor(**QUICK).fit(frame, Y), tmp_path / "model.onnx")
    kept = onnx.load(tmp_path / "model.onnx")
    assert kept == model
    assert (kept.producer_name, kept.producer_version) == ("sk_mlp", __version__)
    assert "a (number, float32); when (date, float64, seconds since 1970" in kept.doc_string
    said = {entry.key: entry.value for entry in kept.metadata_props}
    assert said["estimator"] == "KerasMLPRegressor"
    assert json.loads(said["columns"]) == [
        {"name": "a", "kind": "number", "type": "float32"},
        {"name": "when", "kind": "date", "type": "float64", "time zone": "Europe/Paris"},
    ]


def test_a_batch_of_no_rows_and_of_one(tmp_path):
    mlp = KerasMLPClassifier(**QUICK, numerical_embedding="ple").fit(NAMED, Y)
    to_onnx(mlp, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    assert session.run(["probabilities"], feeds_of(session, NAMED[:0]))[0].shape == (0, 3)
    assert_same(mlp, NAMED[:1], tmp_path)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda mlp: plain_classifier(), NotFittedError, "not fitted"),
        (lambda mlp: make_pipeline(StandardScaler(), mlp), TypeError, r"Got a Pipeline instead; pass its last step"),
        (lambda mlp: GridSearchCV(mlp, {}), TypeError, r"GridSearchCV, instead; pass its best_estimator_"),
        (lambda mlp: PopulationGridSearchCV(mlp, {"epochs": [1]}), TypeError, r"pass its best_estimator_"),
        (lambda mlp: TransformedTargetRegressor(mlp), TypeError, r"must be a KerasMLPClassifier or .* Got Transformed"),
        (lambda mlp: LogisticRegression(), TypeError, r"Got LogisticRegression\(\) instead"),
        (lambda mlp: None, TypeError, r"Got None instead"),
        (lambda mlp: type(mlp), TypeError, r"Got <class .*> instead"),
    ],
)
def test_what_is_not_exported(make, error, message, tmp_path):
    with pytest.raises(error, match=message):
        to_onnx(make(plain_classifier(**QUICK)), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_model_of_ones_own_is_not_exported(tmp_path):
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax")])
    mlp = plain_classifier(model, epochs=1, early_stopping=False).fit(X, Y)
    with pytest.raises(ValueError, match=r"needs the built-in network.*to_keras\(\).export"):
        to_onnx(mlp, tmp_path / "model")


def test_labels_and_categories_that_onnx_has_not(tmp_path):
    mlp = plain_classifier(**QUICK).fit(X, np.array([2**63, 2**63 + 5], np.uint64)[Y // 2])
    with pytest.raises(ValueError, match=r"Labels must be strings or whole numbers.*9223372036854775808"):
        to_onnx(mlp, tmp_path / "model")
    frame = pd.DataFrame({"a": X[:, 0], "code": np.resize([2**62, 2**62 + 1], 150)})
    mlp = KerasMLPClassifier(**QUICK, categorical_features=["code"]).fit(frame, Y)
    with pytest.raises(ValueError, match=r"differ as float64.*in the column 'code'; make them strings"):
        to_onnx(mlp, tmp_path / "model")


def test_paths(tmp_path, monkeypatch):
    mlp = plain_classifier(**QUICK).fit(X, Y)
    for path in (tmp_path, ""):
        with pytest.raises(ValueError, match=r"'path' parameter must be a file's. Got the folder"):
            to_onnx(mlp, path)
    with pytest.raises(FileNotFoundError, match=r"The folder .*none' does not exist; make it first"):
        to_onnx(mlp, tmp_path / "none" / "model.onnx")
    for path in (None, 3, b"model.onnx"):
        with pytest.raises(TypeError, match=r"'path' parameter must be a str or path-like"):
            to_onnx(mlp, path)
    place = tmp_path / "model.onnx"
    place.write_bytes(b"before")

    def full(*args):
        raise OSError("No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(os, "replace", full)
        to_onnx(mlp, place)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
    (tmp_path / "link").symlink_to(place)
    to_onnx(mlp, str(tmp_path / "link"))
    assert onnx.load(place).producer_name == "sk_mlp"


def test_without_onnx(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"to_onnx requires onnx.*sk_mlp\[onnx\]"):
        to_onnx(plain_classifier(**QUICK).fit(X, Y), tmp_path / "model")


WITHOUT_KERAS = """
import pickle, sys
import sk_mlp

class Without:  # among what finds modules
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("tensorflow", "keras"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Without)
with open(sys.argv[1], "rb") as file:
    sk_mlp.to_onnx(pickle.load(file), sys.argv[2])
"""


def test_neither_keras_nor_tensorflow_is_needed(tmp_path):
    mlp = plain_classifier(**QUICK).fit(X, Y)
    model = to_onnx(mlp, tmp_path / "here.onnx")
    (tmp_path / "mlp.pickle").write_bytes(pickle.dumps(mlp))
    arguments = [sys.executable, "-c", WITHOUT_KERAS, tmp_path / "mlp.pickle", tmp_path / "there.onnx"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert onnx.load(tmp_path / "there.onnx") == model
