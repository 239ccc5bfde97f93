"""Whatever holds a table: frames of several libraries, byte orders, and what is no table."""

import pickle
from decimal import Decimal

import keras
import numpy as np
import pytest
import sklearn
from optional import pa, pd, pl
from plain import plain_classifier, plain_regressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sk_mlp.model_selection import PopulationGridSearchCV

pytestmark = pytest.mark.usefixtures("no_xla")

RNG = np.random.default_rng(0)
N = 120
NUMBERS = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(size=N) * 100})
TABLE = NUMBERS.assign(town=RNG.choice(["u", "v", "w"], N))
LABELS = (NUMBERS["a"] > 0).to_numpy(int)
QUICK = {"n_hidden": 1, "n_neurons": 8, "epochs": 2, "random_state": 0, "input_scaling": "robust"}
BOTH = pytest.mark.parametrize("table", [NUMBERS, TABLE], ids=["numbers", "with categories"])

# Byte orders


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">f2", ">i8", ">i2", ">u4"])
def test_numbers_of_the_other_byte_order(dtype):
    array = np.abs(NUMBERS.to_numpy() * 10).astype(dtype)
    native = array.astype(array.dtype.newbyteorder("="))
    forms = {
        "array": (lambda X: X, {}),
        "frame": (lambda X: pd.DataFrame(X, columns=["a", "b"]), {}),
        "table": (lambda X: pd.DataFrame(X, columns=["a", "b"]).assign(town=TABLE["town"]), {}),
        "unscaled": (lambda X: pd.DataFrame(X / X.max(), columns=["a", "b"]).astype(dtype), {"input_scaling": None}),
        "categories": (lambda X: X // 100, {"categorical_features": [1]}),
    }
    for name, (make, params) in forms.items():
        mlp = plain_classifier(**QUICK | params).fit(make(native), LABELS)
        swapped = plain_classifier(**QUICK | params).fit(
            make(array),
            LABELS.astype(">i4"),
            sample_weight=np.ones(N, ">f4"),
        )
        np.testing.assert_array_equal(swapped.predict_proba(make(native)), mlp.predict_proba(make(native)), name)
        np.testing.assert_array_equal(mlp.predict_proba(make(array)), mlp.predict_proba(make(native)), name)
        held_out = {"X_val": make(array), "y_val": LABELS.astype(">i2"), "sample_weight_val": np.ones(N, ">f8")}
        assert np.isfinite(plain_classifier(**QUICK | params).fit(make(native), LABELS, **held_out).best_epoch_)
    assert pickle.loads(pickle.dumps(swapped)).predict(make(native)).dtype == swapped.predict(make(native)).dtype
    outputs = [plain_regressor(**QUICK).fit(X, X[:, 0]).predict(X) for X in (array, native)]
    np.testing.assert_array_equal(*outputs)
    by_parts = [plain_classifier(**QUICK).partial_fit(X, LABELS).partial_fit(X, LABELS) for X in (array, native)]
    np.testing.assert_array_equal(*(mlp.predict_proba(native) for mlp in by_parts))


def test_a_table_of_a_fits_file():
    """Its records are of the other byte order, strings are bytes."""
    records = np.zeros(N, [("a", ">f4"), ("b", ">i2"), ("town", "S1"), ("good", "?")])
    records["a"], records["b"], records["town"] = NUMBERS["a"], NUMBERS["b"], TABLE["town"].to_numpy("S")
    frame = pd.DataFrame(records)
    native = frame.assign(a=frame["a"].astype("f4"), b=frame["b"].astype("i2"), town=TABLE["town"])
    outputs = [plain_classifier(**QUICK).fit(X, LABELS).predict_proba(native) for X in (frame, native)]
    np.testing.assert_array_equal(*outputs)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        plain_classifier(**QUICK).fit(records, LABELS)


# Bytes

BYTES = [value.encode() for value in TABLE["town"]]


@pytest.mark.parametrize(
    "frame",
    [
        NUMBERS.assign(town=pd.Series(BYTES, dtype=object)),
        NUMBERS.assign(town=pd.Categorical(BYTES)),
        NUMBERS.assign(town=pd.Series(BYTES, dtype=pd.ArrowDtype(pa.binary()))),
        pl.from_pandas(NUMBERS).with_columns(town=pl.Series(BYTES)),
        pa.Table.from_pandas(NUMBERS).append_column("town", pa.array(BYTES)),
    ],
    ids=["pandas", "categories", "pandas of arrow", "polars", "arrow"],
)
def test_bytes_are_categories(frame):
    mlp = plain_classifier(**QUICK).fit(TABLE, LABELS)
    expected = mlp.predict_proba(TABLE)
    of_bytes = plain_classifier(**QUICK).fit(frame, LABELS)
    assert of_bytes.categories_["town"].tolist() == [b"u", b"v", b"w"]
    for one in (of_bytes, mlp):
        np.testing.assert_array_equal(one.predict_proba(frame), expected)
        np.testing.assert_array_equal(one.predict_proba(TABLE), expected)
    with pytest.raises(ValueError, match=r"[Cc]olumn 'town'"):
        plain_classifier(**QUICK, categorical_features=None).fit(frame, LABELS)


# Arrow


def arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


@BOTH
def test_arrow_tables_are_frames_as_others_are(table):
    mlp = plain_classifier(**QUICK).fit(table, LABELS)
    of_arrow = plain_classifier(**QUICK).fit(arrow(table), pa.array(LABELS), sample_weight=pa.array(np.ones(N)))
    assert of_arrow.feature_names_in_.tolist() == list(table)
    for one in (mlp, of_arrow):
        for X in (table, arrow(table), pl.from_pandas(table), arrow(table).slice(0), pa.RecordBatch.from_pandas(table)):
            np.testing.assert_array_equal(one.predict_proba(X), mlp.predict_proba(table))
        with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
            one.predict(arrow(table.rename(columns={"a": "c"})))
        with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
            one.predict(arrow(table[list(table)[::-1]]))
        with pytest.raises(ValueError, match="yet now missing"):
            one.predict(arrow(table[["a"]]))
    val = plain_classifier(**QUICK).fit(arrow(table), LABELS, X_val=arrow(table), y_val=LABELS)
    assert val.history_ == plain_classifier(**QUICK).fit(table, LABELS, X_val=table, y_val=LABELS).history_


def test_whole_numbers_that_float64_rounds_are_those_of_other_frames():
    frame = pd.DataFrame({"id": (np.arange(N) << 40) + 2**60 + 1, "town": TABLE["town"].to_numpy()})
    mlp = plain_classifier(**QUICK).fit(frame, LABELS)
    null = frame.assign(id=frame["id"].astype("Int64").where(frame.index > 3))
    for X in (frame, null):
        for form in (arrow(X), X.convert_dtypes(dtype_backend="pyarrow"), pl.from_pandas(X)):
            np.testing.assert_array_equal(mlp.predict_proba(form), mlp.predict_proba(X))


def test_arrow_columns_by_name():
    names = {"categorical_features": ["town"], "skip_connection": True, "wide_features": ["b"]}
    names |= {"deep_features": ["a", "town"]}
    mlp = plain_classifier(**QUICK | names).fit(arrow(TABLE), LABELS)
    expected = plain_classifier(**QUICK | names).fit(TABLE, LABELS)
    np.testing.assert_array_equal(mlp.predict_proba(arrow(TABLE)), expected.predict_proba(TABLE))
    dictionary = arrow(TABLE).set_column(2, "town", arrow(TABLE)["town"].dictionary_encode())
    np.testing.assert_array_equal(mlp.predict_proba(dictionary), expected.predict_proba(TABLE))
    with pytest.raises(ValueError, match=r"deep_features must name columns of X \(\['a', 'b', 'town'\]\)"):
        plain_classifier(**QUICK | names | {"deep_features": ["nowhere"]}).fit(arrow(TABLE), LABELS)


def test_searches_over_arrow_tables():
    mlp = plain_classifier(**QUICK)
    search = PopulationGridSearchCV(mlp, {"learning_rate": [1e-2]}, cv=2).fit(arrow(TABLE), LABELS)
    np.testing.assert_allclose(
        search.best_score_, cross_val_score(mlp.set_params(learning_rate=1e-2), arrow(TABLE), LABELS, cv=2).mean()
    )


# What is no table of numbers, categories and dates

INTERVALS = pd.Series(pd.IntervalIndex.from_breaks(np.arange(N + 1.0)))
STRANGE = {
    "intervals": NUMBERS.assign(v=INTERVALS),
    "objects of intervals": NUMBERS.assign(v=INTERVALS.astype(object)),
    "lists": NUMBERS.assign(v=[[1, 2]] * N),
    "dicts": NUMBERS.assign(v=[{"x": 1}] * N),
    "complex numbers": NUMBERS.assign(v=1j),
    "objects of complex numbers": NUMBERS.assign(v=pd.Series([1j] * N, dtype=object)),
    "numbers and dates": NUMBERS.assign(v=pd.Series([1.0, pd.Timestamp(0)] * (N // 2), dtype=object)),
    "dates and durations": NUMBERS.assign(v=pd.Series([pd.Timedelta(1), pd.Timestamp(0)] * (N // 2), dtype=object)),
    "durations and numbers": NUMBERS.assign(v=pd.Series([pd.Timedelta(1), 1.0] * (N // 2), dtype=object)),
    "polars lists": pl.from_pandas(NUMBERS).with_columns(v=pl.Series([[1, 2]] * N)),
    "polars structs": pl.from_pandas(NUMBERS).with_columns(v=pl.Series([{"x": 1}] * N)),
    "polars objects": pl.from_pandas(NUMBERS).with_columns(v=pl.Series([object()] * N, dtype=pl.Object)),
    "arrow lists": arrow(NUMBERS).append_column("v", pa.array([[1]] * N)),
    "arrow structs": arrow(NUMBERS).append_column("v", pa.array([{"x": 1}] * N)),
}


@pytest.mark.parametrize("frame", STRANGE.values(), ids=STRANGE)
def test_columns_of_something_else_are_refused_by_name(frame):
    with pytest.raises(ValueError, match=r"[Cc]olumn 'v' (of X must hold numbers|of dtype)"):
        plain_classifier(**QUICK).fit(frame, LABELS)
    for more in ({}, {"town": TABLE["town"]}):
        if more and not isinstance(frame, pd.DataFrame):
            continue
        mlp = plain_classifier(**QUICK).fit(NUMBERS.assign(v=1.0, **more), LABELS)
        with pytest.raises(ValueError, match=r"[Cc]olumn 'v' of X must hold numbers.*Got"):
            mlp.predict(frame.assign(**more) if more else frame)


def test_intervals_are_categories_by_name():
    frame = pd.DataFrame({"v": pd.cut(NUMBERS["a"], 3).astype(object)})
    mlp = plain_classifier(**QUICK, categorical_features=["v"]).fit(frame, LABELS)
    assert len(mlp.categories_["v"]) == 3


@BOTH
def test_names_that_come_twice_are_refused(table):
    twice = table.rename(columns={"b": "a"})
    mlp = plain_classifier(**QUICK).fit(table, LABELS)
    with pytest.raises(ValueError, match=r"(?s)unique column names.*'a'"):
        plain_classifier(**QUICK).fit(twice, LABELS)
    with pytest.raises(ValueError, match=r"(?s)unique column names.*'a'|now missing:\n- b"):  # scikit-learn < 1.8
        mlp.predict(twice)


@BOTH
def test_lazy_frames_are_refused(table):
    lazy = pl.from_pandas(table).lazy()
    mlp = plain_classifier(**QUICK).fit(table, LABELS)
    for attempt in (lambda: plain_classifier(**QUICK).fit(lazy, LABELS), lambda: mlp.predict(lazy)):
        with pytest.raises(ValueError, match=r"X must be in memory. Got a polars LazyFrame; call collect()"):
            attempt()


@pytest.mark.parametrize(
    ("make", "n"),
    [
        (lambda frame: frame.iloc[0], "1D"),
        (lambda frame: frame["a"], "1D"),
        (lambda frame: pl.from_pandas(frame)["a"], "1D"),
        (lambda frame: arrow(frame)["a"], "1D"),
        (lambda frame: frame.to_numpy()[0], "1D"),
        (lambda frame: frame.iloc[0].tolist(), "1D"),
        (lambda frame: frame.to_numpy()[:, None], "3D"),
        (lambda frame: frame.to_numpy()[:, None].tolist(), "3D"),
        (lambda frame: frame.to_records(index=False), "1D"),
        (lambda frame: [[1.0, 2.0], [3.0]], "1D"),
        (lambda frame: [], "1D"),
        (lambda frame: "abc", "scalar"),
        (lambda frame: 1.0, "scalar"),
        (lambda frame: None, "scalar"),
    ],
)
@BOTH
def test_what_has_no_rows_and_columns_is_refused(make, n, table):
    X = make(table)
    mlp = plain_classifier(**QUICK).fit(table, LABELS)
    for attempt in (
        lambda: plain_classifier(**QUICK).fit(X, LABELS),
        lambda: plain_classifier(**QUICK, categorical_features=[0]).fit(X, LABELS),
        lambda: mlp.predict(X),
        lambda: mlp.partial_fit(X, LABELS),
    ):
        with pytest.raises(ValueError, match=f"^Expected 2D array, got {n} array instead"):
            attempt()
    if X is not None:
        with pytest.raises(ValueError, match=r"held-out rows .* are not valid: Expected 2D array"):
            plain_classifier(**QUICK).fit(table, LABELS, X_val=X, y_val=LABELS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda frame: frame.iloc[0].to_dict(), "Got dicts; make a frame of them"),
        (lambda frame: frame.to_dict("list"), "Got dicts; make a frame of them"),
        (lambda frame: frame.to_dict("records"), "Got dicts; make a frame of them"),
        (lambda frame: [frame[["a"]].to_numpy(), frame[["b"]].to_numpy()], "Got 2 tables.* input_columns"),
        (lambda frame: (frame[["a"]], frame), "Got 2 tables.* input_columns"),
        (lambda frame: np.zeros((N, 4, 4, 1)), r"array with dim 4.* X.reshape\(len\(X\), -1\)"),
    ],
)
def test_what_keras_would_take_is_refused_with_what_to_do(make, message):
    mlp = plain_classifier(**QUICK).fit(NUMBERS, LABELS)
    for attempt in (
        lambda: plain_classifier(**QUICK).fit(make(NUMBERS), LABELS),
        lambda: plain_classifier(**QUICK).fit(NUMBERS, LABELS, validation_data=(make(NUMBERS), LABELS)),
        lambda: mlp.predict(make(NUMBERS)),
    ):
        with pytest.raises(ValueError, match=message):
            attempt()


def test_lists_hold_what_objects_hold():
    rows = TABLE.astype(object).to_numpy()
    settings = QUICK | {"categorical_features": [2]}
    mlp = plain_classifier(**settings).fit(rows, LABELS)
    of_list = plain_classifier(**settings).fit(rows.tolist(), LABELS.tolist())
    np.testing.assert_array_equal(of_list.predict_proba(rows.tolist()), mlp.predict_proba(rows))
    np.testing.assert_array_equal(mlp.predict_proba(TABLE.to_numpy().tolist()), mlp.predict_proba(rows))
    decimals = [[Decimal(1), 2.0], [Decimal("NaN"), 1]] * (N // 2)
    assert np.isfinite(plain_classifier(**QUICK).fit(decimals, LABELS).predict_proba(decimals)).all()
    with pytest.raises(ValueError, match=r"Column 2 of X must hold numbers.*could not convert string to float"):
        plain_classifier(**QUICK).fit(rows.tolist(), LABELS)
    with pytest.raises(ValueError, match=r"Column 0 of X must hold numbers.*could not convert string to float"):
        plain_classifier(**QUICK).fit(TABLE[["town"]].to_numpy("U"), LABELS)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pretrain": "autoencoder"}, r"Categorical columns of X, \['town'\], need the built-in network"),
        ({"categorical_features": None}, "Got strings in the column 'town'"),
    ],
)
def test_what_needs_numbers_names_the_columns_that_are_none(params, message):
    with pytest.raises(ValueError, match=message):
        plain_classifier(**QUICK | {"input_scaling": None} | params).fit(TABLE, LABELS)


TRUTHS = {
    "pandas": pd.get_dummies,
    "nullable": lambda table: pd.get_dummies(table).astype({"town_u": "boolean"}),
    "objects": lambda table: pd.get_dummies(table).astype({"town_v": object}),
    "polars": lambda table: pl.from_pandas(pd.get_dummies(table)),
    "pyarrow": lambda table: pa.Table.from_pandas(pd.get_dummies(table)),
}


@pytest.mark.parametrize("make", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize(
    "params",
    [{"model": lambda: keras.Sequential([keras.layers.Dense(1, "sigmoid")])}, {"pretrain": "autoencoder"}],
    ids=["model", "pretrain"],
)
def test_truth_values_are_numbers_to_what_needs_numbers(make, params):
    params = {**QUICK, "input_scaling": None, **params}
    mlp = plain_classifier(**params).fit(make(TABLE), LABELS, X_val=make(TABLE), y_val=LABELS)
    numbers = pd.get_dummies(TABLE).astype(float)
    of_numbers = plain_classifier(**params).fit(numbers, LABELS, X_val=numbers, y_val=LABELS)
    np.testing.assert_array_equal(mlp.predict_proba(make(TABLE)), of_numbers.predict_proba(numbers))
    assert mlp.categories_ == {}


# y


@pytest.mark.parametrize("dtype", ["Int64", "int64[pyarrow]", "boolean", "bool[pyarrow]"])
def test_labels_of_types_that_may_be_missing(dtype):
    labels = LABELS.astype(bool) if "bool" in dtype else LABELS + 2**60
    y = pd.Series(labels, dtype=dtype)
    mlp = plain_classifier(**QUICK).fit(NUMBERS, y, X_val=NUMBERS, y_val=y)
    np.testing.assert_array_equal(mlp.classes_, np.unique(labels))
    assert mlp.predict(NUMBERS).dtype == labels.dtype


# What comes before, in a pipeline


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_transformers_that_are_set_to_return_frames(output):
    make = {"pandas": lambda table: table, "polars": pl.from_pandas}[output]
    table = make(TABLE.assign(a=TABLE["a"].where(TABLE["a"] > -1)))
    columns = ColumnTransformer([("n", SimpleImputer(), ["a", "b"])], remainder="passthrough")
    pipeline = make_pipeline(columns, plain_classifier(**QUICK))
    with sklearn.config_context(transform_output=output):
        search = GridSearchCV(pipeline, {"kerasmlpclassifier__n_neurons": [4]}, cv=2).fit(table, LABELS)
        best = search.best_estimator_
        assert best[-1].feature_names_in_.tolist() == ["n__a", "n__b", "remainder__town"]
        assert [*best[-1].categories_] == ["remainder__town"]
        expected = best.predict_proba(table)
    scaled = pd.DataFrame({"n__a": TABLE["a"], "n__b": TABLE["b"], "remainder__town": TABLE["town"]})
    scaled["n__a"] = scaled["n__a"].where(scaled["n__a"] > -1).fillna(best[0].transformers_[0][1].statistics_[0])
    np.testing.assert_array_equal(best[-1].predict_proba(make(scaled)), expected)
    with sklearn.config_context(transform_output=output):
        voting = VotingClassifier([("a", pipeline), ("b", make_pipeline(columns, plain_classifier(**QUICK)))])
        assert voting.fit(table, LABELS).predict(table).shape == (N,)
