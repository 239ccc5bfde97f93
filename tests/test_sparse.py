"""Sparse and uint8 X: as the same numbers in a dense float32 array."""

import functools
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from sk_mlp import KerasMLPClassifier

RNG = np.random.default_rng(0)
X = RNG.integers(0, 200, (200, 7)) * (RNG.uniform(size=(200, 7)) < 0.3)
X[[3, 150]] = 0  # empty rows
X[7] = 1  # a full one
X = X.astype(np.float32)
Y = np.log1p(X[:, 0]) - np.log1p(X[:, 1]) + 0.1 * RNG.standard_normal(200)
LABELS = np.digitize(Y, [-1, 1])
SMALL = {"n_hidden": 2, "n_neurons": 8, "epochs": 2, "random_state": 0, "learning_rate": 1e-3}


def regressor(**params):
    return plain_regressor(**SMALL | params)


def classifier(**params):
    return plain_classifier(**SMALL | params)


def with_wide_indices(X):
    matrix = sparse.csr_array(X)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def with_zeros(X):
    """Entries that are zero."""
    cells = np.argwhere(np.ones_like(X))
    return sparse.csr_array((X.ravel(), cells.T), X.shape)


def unsorted_with_duplicates(X):
    matrix = sparse.csr_array(X)
    rows = [np.tile(np.arange(a, b)[::-1], 2) for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)]
    order = np.concatenate(rows).astype(int)
    data = (matrix.data[order] / 2, matrix.indices[order], 2 * matrix.indptr)
    return sparse.csr_array(data, X.shape)


FORMS = {
    "csr matrix": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "csc matrix": sparse.csc_matrix,
    "csc array": sparse.csc_array,
    "coo array": sparse.coo_array,
    "lil array": sparse.lil_array,
    "int64 indices": with_wide_indices,
    "explicit zeros": with_zeros,
    "duplicates": unsorted_with_duplicates,
    "float64": lambda X: sparse.csr_array(X.astype(float)),
    "integers": lambda X: sparse.csr_array(X.astype(np.int64)),
    "uint8 csr": lambda X: sparse.csr_array(X.astype(np.uint8)),
    "uint8 csc": lambda X: sparse.csc_matrix(X.astype(np.uint8)),
    "uint8 dense": lambda X: X.astype(np.uint8),
    "int dense": lambda X: X.astype(int),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def assert_same(ours, theirs, rows):
    assert ours.history_.keys() == theirs.history_.keys()
    for name, values in theirs.history_.items():
        np.testing.assert_allclose(ours.history_[name], values, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(output(ours, rows), output(theirs, X), rtol=1e-4, atol=1e-5)


def output(mlp, rows):
    return mlp.predict_proba(rows) if isinstance(mlp, KerasMLPClassifier) else mlp.predict(rows)


@pytest.fixture(scope="module")
def dense_regressor():
    return regressor().fit(X, Y)


@pytest.fixture(scope="module")
def dense_classifier():
    return classifier().fit(X, LABELS)


def test_the_forms_are_the_same_matrix():
    for name, form in FORMS.items():
        matrix = form(X)
        np.testing.assert_array_equal(matrix.toarray() if sparse.issparse(matrix) else matrix, X, err_msg=name)
    assert with_zeros(X).nnz == X.size
    assert with_wide_indices(X).indptr.dtype == np.int64


@every_form
def test_a_regressor(form, dense_regressor):
    rows = form(X)
    mlp = regressor().fit(rows, Y)
    assert_same(mlp, dense_regressor, rows)
    assert mlp.score(rows, Y) == pytest.approx(dense_regressor.score(X, Y), rel=1e-6)
    assert_same(mlp, dense_regressor, X)
    expected = dense_regressor.predict(X)
    np.testing.assert_allclose(dense_regressor.predict(rows), expected, atol=1e-6 * np.abs(expected).max())


@every_form
def test_a_classifier(form, dense_classifier):
    rows = form(X)
    mlp = classifier().fit(rows, LABELS)
    assert_same(mlp, dense_classifier, rows)
    np.testing.assert_array_equal(mlp.predict(rows), dense_classifier.predict(X))
    assert mlp.score(rows, LABELS) == dense_classifier.score(X, LABELS)


@pytest.mark.parametrize("name", ["csr matrix", "uint8 csr", "uint8 dense"])
def test_the_rows_stay_as_they_are(name):
    rows = FORMS[name](X)
    before = pickle.dumps(rows)
    regressor().fit(rows, Y).predict(rows)
    assert pickle.dumps(rows) == before


@pytest.mark.parametrize("name", ["csr matrix", "csc array", "uint8 csr", "uint8 dense"])
@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_both_engines(name, engine, dense_regressor):
    rows = FORMS[name](X)
    mlp = regressor(engine=engine).fit(rows, Y)
    for figure, values in dense_regressor.history_.items():
        np.testing.assert_allclose(mlp.history_[figure], values, rtol=1e-4, err_msg=figure)


@pytest.mark.parametrize("name", ["csr matrix", "coo array", "uint8 csr", "uint8 dense"])
def test_rows_held_out(name):
    form = FORMS[name]
    mlp = regressor().fit(form(X[50:]), Y[50:], X_val=form(X[:50]), y_val=Y[:50])
    theirs = regressor().fit(X[50:], Y[50:], X_val=X[:50], y_val=Y[:50])
    assert_same(mlp, theirs, form(X))
    mixed = regressor().fit(form(X[50:]), Y[50:], X_val=X[:50].astype(float), y_val=Y[:50])
    assert_same(mixed, theirs, form(X))
    mixed = regressor().fit(X[50:], Y[50:], X_val=form(X[:50]), y_val=Y[:50])
    assert_same(mixed, theirs, form(X))


@pytest.mark.parametrize("name", ["csr matrix", "uint8 csr", "uint8 dense"])
def test_partial_fit(name):
    rows = FORMS[name](X)
    ours, theirs = classifier(), classifier()
    for part in (slice(0, 90), slice(90, 200)):
        ours.partial_fit(rows[part], LABELS[part], classes=[0, 1, 2])
        theirs.partial_fit(X[part], LABELS[part], classes=[0, 1, 2])
    assert_same(ours, theirs, rows)


def test_a_fit_goes_on_in_another_form():
    mlp, theirs = regressor(warm_start=True).fit(sparse.csr_array(X), Y), regressor(warm_start=True).fit(X, Y)
    for rows in (X.astype(np.uint8), sparse.csc_array(X), X):
        mlp.fit(rows, Y)
        theirs.fit(X, Y)
    assert_same(mlp, theirs, X)


def test_weights_of_rows_and_classes():
    weight = np.random.default_rng(0).uniform(0.5, 2, 200)
    weight[:20] = 0
    settings = {"class_weight": {0: 2.0, 1: 1.0, 2: 0.5}, "label_smoothing": 0.1}
    mlp = classifier(**settings).fit(sparse.csr_array(X), LABELS, weight)
    assert_same(mlp, classifier(**settings).fit(X, LABELS, weight), sparse.csr_array(X))


ARCHITECTURES = {
    "paths": {"skip_connection": True, "wide_features": [0, 3], "deep_features": slice(1, 7), "batch_norm": True},
    "aux_output": {"aux_output": True},
    "linear": {"n_hidden": 0},
    "dropout": {"dropout": 0.3},
    "several targets": {},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures(name):
    y = np.column_stack([Y, 2 - Y]) if name == "several targets" else Y
    mlp = regressor(**ARCHITECTURES[name]).fit(sparse.csr_array(X), y)
    assert_same(mlp, regressor(**ARCHITECTURES[name]).fit(X, y), sparse.csr_array(X))


def test_no_entry_at_all():
    nothing = np.zeros_like(X)
    mlp = regressor().fit(sparse.csr_array(nothing), Y)
    np.testing.assert_allclose(mlp.predict(nothing), regressor().fit(nothing, Y).predict(nothing), rtol=1e-4)


def two_inputs():
    wide, deep = keras.Input((2,)), keras.Input((5,))
    hidden = keras.layers.Dense(8, "relu")(deep)
    return keras.Model([wide, deep], keras.layers.Dense(1)(keras.layers.Concatenate()([wide, hidden])))


def one_input():
    return keras.Sequential([keras.Input((7,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])


def of_builder(builder, engine):
    columns = (slice(0, 2), slice(2, 7)) if builder is two_inputs else None
    return plain_regressor(builder, input_columns=columns, epochs=2, random_state=0, engine=engine)


@functools.cache
def on_dense_rows(builder, engine):
    return of_builder(builder, engine).fit(X, Y)


@pytest.mark.parametrize("name", ["csc matrix", "uint8 csr", "uint8 dense"])
@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("builder", [one_input, two_inputs])
def test_builders(builder, engine, name):
    rows = FORMS[name](X)
    assert_same(of_builder(builder, engine).fit(rows, Y), on_dense_rows(builder, engine), rows)


def test_copies_and_scores():
    rows = sparse.csr_matrix(X)
    mlp = regressor().fit(rows, Y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mlp)).predict(rows), mlp.predict(rows))
    np.testing.assert_array_equal(clone(mlp).fit(rows, Y).predict(rows), mlp.predict(rows))
    scores = cross_val_score(regressor(), rows, Y, cv=2)
    np.testing.assert_allclose(scores, cross_val_score(regressor(), X, Y, cv=2), rtol=1e-3, atol=1e-4)


def test_the_tag_says_so():
    assert regressor().__sklearn_tags__().input_tags.sparse
    assert not regressor(pretrain="autoencoder").__sklearn_tags__().input_tags.sparse


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (sparse.csr_array(np.where(X > 190, np.nan, X)), "Input X contains NaN"),
        (sparse.csr_array(np.where(X > 190, np.inf, X)), "Input X contains infinity"),
        (sparse.csr_array((0, 7)), "minimum of 1 is required"),
    ],
)
def test_bad_rows(rows, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(rows, Y[: rows.shape[0]])


def test_another_width():
    mlp = regressor().fit(sparse.csr_array(X), Y)
    with pytest.raises(ValueError, match="X has 6 features, but KerasMLPRegressor is expecting 7"):
        mlp.predict(sparse.csr_array(X[:, :6]))


MEASURE = """
import resource, sys
import numpy as np
from scipy import sparse
import keras, tensorflow
from sk_mlp import PLAIN_MLP, KerasMLPClassifier

plain = PLAIN_MLP | {"n_hidden": 2, "n_neurons": 16, "epochs": 1}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # MiB

KerasMLPClassifier(**plain).fit(np.random.default_rng(0).random((64, 3)), np.arange(64) % 10)
before = peak()
rng = np.random.default_rng(0)
places = np.repeat(np.arange(60_000), 10), rng.integers(10_000, size=600_000)
X = sparse.csr_array((rng.random(600_000, np.float32), places), (60_000, 10_000))
y = np.arange(60_000) % 10
mlp = KerasMLPClassifier(**plain | {"batch_size": 256, "random_state": 0, "engine": sys.argv[1]}).fit(X, y)
mlp.predict(X)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read from the resource module")
@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_memory_of_a_large_sparse_matrix(engine):
    """60,000 x 10,000 would take 2.2 GiB as a dense float32 matrix."""
    done = subprocess.run([sys.executable, "-c", MEASURE, engine], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 1024
