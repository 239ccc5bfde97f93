"""What predicts without TensorFlow: to the last bit as the estimator, for every table that it takes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from optional import pa, pd, pl
from plain import plain_classifier, plain_regressor
from scipy.sparse import coo_array, csc_matrix, csr_array, dok_array

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor, Predictor, load_predictor, save_model

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 3))
LABELS = np.where(X[:, 0] > 0, "yes", "no")
SMALL = {"hidden_layer_sizes": (4,), "epochs": 2, "random_state": 0}
WITHOUT = ("keras", "tensorflow", "sklearn", "scikeras", "pandas", "rich")


def mixed():
    return pd.DataFrame(
        {
            "number": np.where(np.arange(N) % 7, X[:, 0], np.nan),
            "count": np.arange(20180000, 20180000 + N),
            "word": RNG.choice(["a", "b", None], N),
            "when": pd.date_range("2020-01-31", periods=N),
            "flag": X[:, 2] > 0,
        }
    )


@pytest.fixture(scope="module")
def classifier():
    return KerasMLPClassifier(ensemble_size=2, **SMALL).fit(X, LABELS)


@pytest.fixture(scope="module")
def of_frame():
    return KerasMLPRegressor(ensemble_size=2, skip_connection=True, **SMALL).fit(mixed(), X[:, :2])


def assert_same(mlp, tables):
    predictor = Predictor.from_estimator(mlp)
    for table in tables:
        of_classifiers = ("predict_proba", "predict_log_proba") if hasattr(mlp, "classes_") else ()
        for method in ("predict", "predict_members", *of_classifiers):
            found, wanted = (getattr(one, method)(table) for one in (predictor, mlp))
            np.testing.assert_array_equal(found, wanted, err_msg=f"{method} of a {type(table)}")
            assert found.dtype == wanted.dtype


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_arrays_and_frames_of_numbers(classifier):
    whole = np.rint(10 * X)
    assert_same(
        classifier,
        [
            X,
            X[:1],
            X.tolist(),
            X.astype(np.float32),
            np.asfortranarray(X.astype(np.float16)),
            X.astype(object),
            X > 0,
            whole.astype(np.int8),
            whole.astype(np.uint8),
            whole.astype(np.int64),
            np.where(X > 1, np.nan, X),
            csr_array(whole),
            csc_matrix(whole.astype(np.int64)),
            coo_array(X.astype(np.float32)),
            dok_array(whole),
            pd.DataFrame(X),
            pd.DataFrame(X.astype(np.float32)).assign(**{"2": 1}).iloc[:, [0, 1, 3]].set_axis([0, 1, 2], axis=1),
            pd.DataFrame(whole).astype({0: "Int64", 1: bool}),
            pd.DataFrame(pd.DataFrame(whole).astype(pd.SparseDtype(float, 0))),
            pl.DataFrame(X, schema=["a", "b", "c"]),
            pl.DataFrame(whole, schema=["a", "b", "c"]).cast({"a": pl.Int32, "b": pl.Float32}),
            pa.table({"a": X[:, 0], "b": whole[:, 1].astype(int), "c": X[:, 2]}),
        ],
    )


@pytest.mark.filterwarnings("ignore:Column 'word' of X has 60 values:UserWarning")
def test_frames_of_everything(of_frame):
    frame = mixed()
    assert_same(
        of_frame,
        [
            frame,
            frame[::-1],
            frame.assign(word="new"),
            frame.assign(number=np.nan),
            pl.from_pandas(frame),
            pa.Table.from_pandas(frame, preserve_index=False),
        ],
    )


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_rows_without_names(of_frame):
    assert_same(of_frame, [mixed().to_numpy(), mixed().to_numpy().tolist()])


def records(frame):
    """Rows as a web service gets them, with names in another order."""
    return json.loads(frame.iloc[:, ::-1].to_json(orient="records", date_format="iso", double_precision=15))


def test_rows_as_dicts_of_json(of_frame):
    predictor, frame = Predictor.from_estimator(of_frame), mixed()
    wanted = of_frame.predict(frame)
    np.testing.assert_allclose(predictor.predict(records(frame)), wanted, rtol=1e-5)  # pandas writes 15 digits
    for rows in (frame.to_dict("records"), tuple(frame.assign(when=frame["when"].dt.date).to_dict("records"))):
        np.testing.assert_array_equal(predictor.predict(rows), wanted)
        np.testing.assert_array_equal(predictor.predict_members(rows[:1])[:, 0], of_frame.predict_members(frame)[:, 0])
    frame = pd.DataFrame(X, columns=list("abc"))
    strict = plain_regressor(**SMALL, handle_missing="error").fit(frame, X[:, 0])
    row = {"c": X[0, 2], "a": X[0, 0], "b": X[0, 1]}
    assert Predictor.from_estimator(strict).predict([row]) == strict.predict(frame[:1])
    with pytest.raises(ValueError, match="contains NaN, in the column 'b'"):
        Predictor.from_estimator(strict).predict([{"a": 1, "b": None, "c": 2}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("word"), "In row 1 of X:\nFeature names seen at fit time, yet now missing:\n- word"),
        (lambda row: row.update(more=1), "In row 1 of X:\nFeature names unseen at fit time:\n- more"),
        (lambda row: row.update({3: 1, "x": 2}), "unseen at fit time:\n- 3\n- x"),
        (lambda row: row.update(when="31.05.2020"), "Column 'when' of X must hold dates as in ISO 8601.*'31.05.2020'"),
        (lambda row: row.update(when="2020-05-31T00:00Z"), "Column 'when' of X must hold dates that all have a time"),
        (lambda row: row.update(when=20200531), "Column 'when' of X must hold dates, as in fit. Got 20200531"),
        (lambda row: row.update(number="x"), "Column 'number' of X must hold numbers"),
        (lambda row: row.update(number=[1]), "Column 'number' of X must hold numbers"),
        (lambda row: row.update(word=["a"]), "Column 'word' of X must hold strings, numbers or bools"),
        (lambda row: row.update(number=1e300), "too large for dtype.*'number'"),
    ],
)
def test_wrong_rows_of_json(of_frame, change, message):
    rows = records(mixed())[:2]
    change(rows[1])
    with pytest.raises(ValueError, match=f"(?s){message}"):
        Predictor.from_estimator(of_frame).predict(rows)


def test_dicts_that_are_no_rows(of_frame, classifier):
    predictor, rows = Predictor.from_estimator(of_frame), records(mixed())
    for one, table, message in [
        (predictor, rows[0], "X must be a list of dicts, one for each row. Got a single dict"),
        (predictor, [rows[0], [1, 2, 3, 4, 5]], "X must be a list of dicts, or of lists. Got a list in row 1"),
        (Predictor.from_estimator(classifier), [{"a": 1, "b": 2, "c": 3}], "X had no names of columns in fit"),
        (of_frame, rows, "Got dicts; make a frame of them"),
        (of_frame, rows[0], "Got dicts; make a frame of them"),
    ]:
        with pytest.raises(ValueError, match=message):
            one.predict(table)


@pytest.mark.parametrize(
    ("make", "params", "table", "y"),
    [
        (plain_classifier, {}, X, LABELS),
        (plain_classifier, {"loss": "binary_crossentropy", "loss__from_logits": True}, X, LABELS),
        (plain_classifier, {"loss": "hinge"}, X, LABELS),
        (plain_classifier, {"batch_norm": True}, csr_array(np.rint(X)), np.arange(N) % 3),
        (plain_classifier, {}, np.rint(X).astype(np.uint8), X > 0),
        (plain_classifier, {}, X, np.eye(3, dtype=int)[np.arange(N) % 3]),
        (plain_classifier, {}, X, np.zeros(N)),
        (plain_regressor, {"hidden_layer_sizes": ()}, X, X[:, 0]),
        (plain_regressor, {"input_scaling": "standard", "wide_features": [0], "skip_connection": True}, X, X[:, :2]),
        (plain_regressor, {"handle_missing": "error"}, X.astype(np.float32), X[:, 0]),
    ],
)
def test_kinds_of_y_and_networks(make, params, table, y):
    assert_same(make(**SMALL | params).fit(table, y), [table, table[:1]])


def test_what_is_known_of_the_fit(classifier, of_frame):
    predictor = Predictor.from_estimator(classifier)
    np.testing.assert_array_equal(predictor.classes_, classifier.classes_)
    assert predictor.n_features_in_ == 3
    assert not hasattr(predictor, "feature_names_in_")
    predictor = Predictor.from_estimator(of_frame)
    np.testing.assert_array_equal(predictor.feature_names_in_, of_frame.feature_names_in_)
    assert not hasattr(predictor, "classes_")
    assert not hasattr(predictor, "predict_proba")
    with pytest.raises(AttributeError, match="has no predict_proba"):
        predictor.predict_proba(mixed())


def test_wrong_tables(classifier, of_frame):
    predictor, of_names = Predictor.from_estimator(classifier), Predictor.from_estimator(of_frame)
    frame = mixed()
    for one, table, message in [
        (predictor, X[:, :2], "X has 2 features, but Predictor is expecting 3"),
        (predictor, X[0], "Expected 2D array, got 1D array instead"),
        (predictor, coo_array(X[0]), r"Expected 2D input, got input with shape \(3,\)"),
        (predictor, X[:0], r"Found array with 0 sample\(s\) .* required by Predictor"),
        (predictor, X[:, :0], r"Found array with 0 feature\(s\) .* required by Predictor"),
        (predictor, np.where(X > 1, np.inf, X), "contains infinity"),
        (predictor, X * 1e200, "too large for dtype"),
        (predictor, csr_array(np.where(X > 1, np.nan, X)), "contains NaN"),
        (predictor, X + 1j, "Complex data"),
        (predictor, "abc", "2D array"),
        (of_names, frame.assign(when="x"), "'when' of X must hold dates"),
        (of_names, frame.assign(number="x"), "'number' of X must hold numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            one.predict(table)
    strict = plain_regressor(**SMALL, handle_missing="error").fit(X, X[:, 0])
    with pytest.raises(ValueError, match="contains NaN"):
        Predictor.from_estimator(strict).predict(np.where(X > 1, np.nan, X))


def test_the_shape_of_a_table_without_rows_or_columns(of_frame):
    for one in (of_frame, Predictor.from_estimator(of_frame)):
        with pytest.raises(
            ValueError, match=r"0 sample\(s\) \(shape=\(0, 5\)\) while .* required by " + type(one).__name__
        ):
            one.predict(mixed()[:0])
    with pytest.raises(ValueError, match=r"0 feature\(s\) \(shape=\(60, 0\)\) while .* required by KerasMLPRegressor"):
        plain_regressor(**SMALL).fit(mixed()[[]], X[:, 0])


def test_without_scikit_learn_too_numbers_are_refused_by_their_column(classifier, monkeypatch):
    predictor = Predictor.from_estimator(classifier)
    monkeypatch.setitem(sys.modules, "sklearn.utils", None)
    with pytest.raises(ValueError, match="contains NaN, infinity or a number that is too large, in the column 1"):
        predictor.predict(np.where([False, True, False], np.inf, X))


def test_names_of_other_columns(of_frame):
    frame = mixed()
    more = frame.assign(**{f"more{i}": 1 for i in range(6)})
    for table in [frame.iloc[:, ::-1], frame.rename(columns={"word": "text"}), frame.drop(columns="when"), more]:
        messages = []
        for one in (of_frame, Predictor.from_estimator(of_frame)):
            with pytest.raises(ValueError, match="The feature names should match") as raised:
                one.predict(table)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]


def test_names_beside_none(classifier, of_frame):
    for mlp, table, message in [
        (
            classifier,
            pd.DataFrame(X, columns=list("abc")),
            "X has feature names, but {} was fitted without feature names",
        ),
        (of_frame, mixed().to_numpy(), "X does not have valid feature names, but {} was fitted with feature names"),
    ]:
        for one in (mlp, Predictor.from_estimator(mlp)):
            with pytest.warns(UserWarning, match=message.format(type(one).__name__)) as warned:
                one.predict(table)
            assert [str(w.message) for w in warned] == [message.format(type(one).__name__)]
            assert warned[0].filename == __file__ or one is mlp  # scikit-learn's warnings are of its own lines


@pytest.mark.parametrize(
    ("y", "loss"),
    [(X[:, 0], {}), (X[:, :2], {}), (X[:, 0], {"loss": "quantile", "loss__quantile": (0.1, 0.5, 0.9)})],
    ids=["one column", "two columns", "quantiles"],
)
def test_how_sure_a_regressor_is(y, loss, tmp_path):
    noisy = y + RNG.normal(size=y.shape)
    mlp = plain_regressor(**SMALL | loss, ensemble_size=3, validation_fraction=0.3, early_stopping=True).fit(X, noisy)
    save_model(mlp, tmp_path / "model.mlp")
    for predictor in (Predictor.from_estimator(mlp), load_predictor(tmp_path / "model.mlp")):
        for found, wanted in zip(*(predictions(one) for one in (predictor, mlp)), strict=True):
            np.testing.assert_array_equal(found, wanted)
        with pytest.raises(ValueError, match="The 'coverage' parameter must be at most"):
            predictor.predict_interval(X, 0.9999)


def predictions(one):
    return [*one.predict(X, return_std=True), *one.predict_interval(X, 0.8)]


def test_how_sure_others_are_is_asked_in_other_ways(classifier, of_frame):
    with pytest.raises(TypeError, match="return_std=True is for regressors"):
        Predictor.from_estimator(classifier).predict(X, return_std=True)
    with pytest.raises(AttributeError, match="A classifier's predictor has no predict_interval; use predict_proba"):
        Predictor.from_estimator(classifier).predict_interval(X)
    single = Predictor.from_estimator(plain_regressor(**SMALL, early_stopping=False).fit(X, X[:, 0]))
    with pytest.raises(ValueError, match="return_std=True needs an ensemble"):
        single.predict(X, return_std=True)
    with pytest.raises(ValueError, match="predict_interval needs held-out rows"):
        single.predict_interval(X)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_tables_that_scikit_learn_refuses(classifier, of_frame):
    for mlp, table, message in [
        (of_frame, mixed().rename(columns={"word": 3}), "Feature names are only supported if all"),
        (classifier, np.matrix(X), "np.matrix is not supported"),
        (classifier, np.matrix(X.astype(object)), "np.matrix is not supported"),
    ]:
        for one in (mlp, Predictor.from_estimator(mlp)):
            with pytest.raises(TypeError, match=message):
                one.predict(table)


def test_other_things_have_no_predictor():
    with pytest.raises(TypeError, match="must be a fitted KerasMLPClassifier"):
        Predictor.from_estimator(3)


ALONE = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {without!r}:
            raise ImportError(f"{{name}} is not to be imported")
sys.meta_path.insert(0, Refused())
from sk_mlp import load_predictor
predictor = load_predictor({path!r})
rows = [{{"number": None, "count": 20180003, "word": "a", "when": "2020-02-01", "flag": True}}]
print(predictor.predict(rows).tolist())
"""


def test_a_process_that_has_neither_tensorflow_nor_scikit_learn(of_frame, tmp_path):
    path = str(tmp_path / "model.mlp")
    save_model(of_frame, path)
    code = ALONE.format(without=WITHOUT, path=path)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    frame = mixed().iloc[:1].assign(number=np.nan, count=20180003, word="a", when=pd.Timestamp("2020-02-01"), flag=True)
    assert shown.strip() == str(of_frame.predict(frame).tolist())
    assert load_predictor(path).predict(frame).tolist() == of_frame.predict(frame).tolist()
