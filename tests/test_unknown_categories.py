"""Categories that come in another type than in fit, or that fit has not seen."""

import enum
import warnings
from decimal import Decimal

import keras
import numpy as np
import pytest
from optional import pd, pl
from plain import plain_classifier

pytestmark = pytest.mark.usefixtures("no_xla")

N = 60
QUICK = {"n_hidden": 1, "n_neurons": 8, "epochs": 2, "random_state": 0, "input_scaling": "robust"}
LABELS = np.arange(N) % 2
Town = enum.Enum("Town", "U V")


def fit(values, y=LABELS, **params):
    frame = pd.DataFrame({"c": values})
    return plain_classifier(**QUICK | params, categorical_features=["c"]).fit(frame, y)


def codes(mlp, values):
    make = pl.DataFrame if isinstance(values, pl.Series) else pd.DataFrame
    return mlp._check_X(make({"c": values}))[:, 0].tolist()


WHOLE = [1, 2, 30]
SAME = {
    "ints": WHOLE,
    "strings": ["1", "2", "30"],
    "floats": [1.0, 2.0, 30.0],
    "strings of floats": ["1.0", "2.0", "30.0"],
    "bytes": [b"1", b"2", b"30"],
    "numpy": np.array(WHOLE, np.int16),
    "big-endian": np.array(WHOLE, ">i4"),
    "numpy objects": np.array([np.int32(1), np.float32(2), np.str_("30")], dtype=object),
    "decimals": [Decimal(1), Decimal("2.0"), Decimal(30)],
    "nullable": pd.Series(WHOLE, dtype="Int64"),
    "a categorical type": pd.Categorical(["1", "2", "30"]),
    "polars": pl.Series(WHOLE),
    "polars strings": pl.Series(["1", "2", "30"]),
}


@pytest.mark.parametrize("later", SAME.values(), ids=SAME)
@pytest.mark.parametrize("first", ["ints", "strings", "floats", "bytes", "strings of floats", "decimals"])
def test_whole_numbers_are_the_same_in_any_type(first, later):
    mlp = fit(list(SAME[first]) * (N // 3))
    orders = [list(SAME[first]).index(value) for value in mlp.categories_["c"]]
    assert [orders[int(code)] for code in codes(mlp, later)] == [0, 1, 2]


TRUTH = {
    "truth values": [False, True],
    "numpy's": np.array([np.bool_(False), np.bool_(True)], dtype=object),
    "strings": ["False", "True"],
    "small letters": ["false", "true"],
    "capitals": ["FALSE", "TRUE"],
    "bytes": [b"False", b"True"],
    "nullable": pd.Series([False, True], dtype="boolean"),
    "numbers": [0, 1],
    "polars": pl.Series([False, True]),
}


@pytest.mark.parametrize("later", TRUTH.values(), ids=TRUTH)
@pytest.mark.parametrize("first", ["truth values", "strings", "small letters", "bytes"])
def test_truth_values_are_the_same_in_any_type(first, later):
    mlp = fit(list(TRUTH[first]) * (N // 2))
    assert codes(mlp, later) == [0, 1]


@pytest.mark.parametrize(
    ("known", "values", "expected"),
    [
        (["a", "b"], [b"a", b"b", b"c"], [0, 1, -2]),
        ([b"a", b"b\xff"], ["a", "b\xff", b"b\xff"], [0, -2, 1]),
        ([0.1, 0.5], ["0.1", "0.5", "0.50"], [0, 1, 1]),
        ([0.1, 0.2], np.array([0.1, 0.2, 0.3], np.float32), [0, 1, -2]),
        (np.array([0.1, 0.2], np.float32), [0.1, 0.2, 0.3], [0, 1, -2]),
        (["0.1", "0.2"], np.array([0.1, 0.2], np.float32), [0, 1]),
        (["01", "02"], [1, 2, 1.0], [0, 1, 0]),
        ([1, 2], ["01", "2", "3"], [0, 1, -2]),
        ([-1, 1e-7], ["-1", "1e-07"], [0, 1]),
    ],
    ids=str,
)
def test_values_that_are_the_same(known, values, expected):
    known = list(known)
    mlp = fit((known * N)[:N])
    order = [known.index(value) for value in mlp.categories_["c"]]
    assert [code if code < 0 else order[int(code)] for code in codes(mlp, values)] == expected


@pytest.mark.parametrize(
    ("known", "values"),
    [
        ([1, "1"], ["1.0", b"1"]),  # either
        (["1", "1.0"], [Decimal("1.00"), b"01"]),
        (["1.1", "1.2"], ["1.10", "1.20"]),  # versions
        (["1", "2"], ["01", "+1", " 1", "1.00", "1_0", "one", "１"]),
        (["true", "True"], ["TRUE"]),
        ([2**53, 1], [2**53 + 1, str(2**53 + 1)]),
        ([123456792, 5], [123456789.5]),
        ([0.1, 0.1 + 1e-12], np.array([0.1], np.float32)),
        ([123456789.25, 1.0], [123456789.26, "123456789.27"]),
        (["nan", "inf"], [np.inf, "NaN"]),
        (["a", "b"], [1, 2.5, True, ("a",), pd.Timestamp(0)]),
        ([pd.Timestamp(0), pd.Timestamp(1)], ["1970-01-01", 0]),
    ],
    ids=str,
)
def test_values_that_are_not_the_same_or_might_be_two(known, values):
    mlp = fit((known * N)[:N])
    values = pd.Series(list(values), dtype=object)
    assert codes(mlp, values) == [-2] * len(values)


def test_exact_matches_come_first():
    mlp = fit([1, "1", "1.0"] * (N // 3))
    known = list(mlp.categories_["c"])
    values = pd.Series([1, "1", "1.0", 1.0, True], dtype=object)
    assert [known[int(code)] for code in codes(mlp, values)] == [1, "1", "1.0", 1, 1]


def test_predictions_held_out_rows_and_partial_fit_know_the_same_values():
    ints = np.array([1, 2, 3] * (N // 3))
    y = (ints == 2).astype(int)
    settings = {"epochs": 60, "learning_rate": 0.05}
    strings = pd.DataFrame({"c": ints.astype(str)})
    mlp = fit(ints, y, **settings)
    assert mlp.score(strings, y) == 1.0
    frame = pd.DataFrame({"c": ints})
    params = QUICK | {"categorical_features": ["c"]}
    histories = [
        plain_classifier(**params).fit(frame, y, X_val=X_val, y_val=y).history_["val_loss"]
        for X_val in (frame, strings)
    ]
    assert histories[0] == histories[1]
    outputs = [
        plain_classifier(**params).partial_fit(frame, y).partial_fit(more, y).predict_proba(frame)
        for more in (frame, strings)
    ]
    np.testing.assert_array_equal(*outputs)
    array = plain_classifier(**QUICK | {"categorical_features": [0]}).fit(ints[:, None], y)
    for X in (
        ints.astype("S")[:, None],
        ints.astype("U")[:, None],
        ints[:, None].astype(object),
        ints[:, None].tolist(),
    ):
        np.testing.assert_array_equal(array.predict_proba(X), array.predict_proba(ints[:, None]))


def test_a_column_of_which_most_is_unknown_is_warned_of_by_name():
    mlp = fit(["a", "b", "c", "d"] * (N // 4))
    message = (
        r"Column 'c' of X has 11 values out of 20 that are none of the categories which fit has learned: 'x', 'y'. "
        r"Learned were 'a', 'b', 'c' and 1 others."
    )
    strange = pd.DataFrame({"c": ["x"] * 6 + ["y"] * 5 + ["a"] * 9 + [None] * 30})
    for attempt in (
        lambda: mlp.predict(strange),
        lambda: mlp.partial_fit(strange, LABELS[:50]),
        lambda: plain_classifier(**QUICK).fit(
            pd.DataFrame({"c": ["a", "b", "c", "d"] * 10}), LABELS[:40], X_val=strange, y_val=LABELS[:50]
        ),
    ):
        with pytest.warns(UserWarning, match=message) as warned:
            attempt()
        assert warned[0].filename == __file__
    array = plain_classifier(**QUICK, categorical_features=[1]).fit(np.tile([[0.0, 1.0], [1.0, 2.0]], (30, 1)), LABELS)
    with pytest.warns(UserWarning, match=r"Column 1 of X has 12 values out of 12 .*: 5.0. Learned were 1.0, 2.0"):
        array.predict(np.full((12, 2), 5.0))


def test_few_unknown_values_are_not_warned_of():
    mlp = fit(["a", "b"] * (N // 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mlp.predict(pd.DataFrame({"c": ["x"] * 9}))
        mlp.predict(pd.DataFrame({"c": ["x"] * 30 + ["a"] * 30}))
        mlp.predict(pd.DataFrame({"c": [None] * 30}))
        fit(["x"] * 40 + ["a"] * 20)
        weights = np.r_[np.zeros(40), np.ones(20)]
        plain_classifier(**QUICK).fit(pd.DataFrame({"c": ["x"] * 40 + ["a"] * 20}), LABELS, sample_weight=weights)


@pytest.mark.parametrize(
    ("known", "texts", "codes"),
    [
        (["1", "2"], ["1", "2.0", "01", "", "3"], [0, 1, -2, -1, -2]),
        ([1, "b"], ["1.0", "1", "b", "c"], [0, 0, 1, -2]),
        (["1", "1.0"], ["1", "1.0"], [0, 1]),
        (["False", "True"], ["true", "FALSE", "True"], [1, 0, 1]),
        ([b"a", b"b"], ["a", "b", "c"], [0, 1, -2]),
    ],
    ids=str,
)
def test_the_keras_model_of_a_table_knows_the_same_strings(known, texts, codes, tmp_path):
    mlp = fit((known * N)[:N])
    mlp.to_keras(include_preprocessing=True).save(tmp_path / "table.keras")
    model = keras.models.load_model(tmp_path / "table.keras")
    output = np.asarray(model({"c": keras.ops.convert_to_tensor([[text] for text in texts])}))
    expected = np.asarray(mlp.model_(np.array(codes, np.float32)[:, None]))
    np.testing.assert_allclose(output, expected, atol=1e-6)


def test_bytes_that_are_no_text_are_refused_by_the_keras_model():
    mlp = fit([b"\xff", b"a"] * (N // 2))
    with pytest.raises(ValueError, match=r"Categories must be strings or numbers.* in the column 'c'"):
        mlp.to_keras(include_preprocessing=True)


def test_values_that_cannot_be_categories_are_refused_by_name():
    mlp = fit(["a", "b"] * (N // 2))
    lists = pd.DataFrame({"c": [["a"], ["b"]]})
    with pytest.raises(ValueError, match=r"Column 'c' of X must hold strings, numbers or bools. Got"):
        mlp.predict(lists)
    without_order = pd.Series([Town.U, Town.V] * (N // 2), dtype=object)
    complex_numbers = pd.Series(["a", 1j, 2j] * (N // 3), dtype=object)
    for values in ([["a"], ["b"]] * (N // 2), without_order, pd.Categorical(without_order), complex_numbers):
        with pytest.raises(ValueError, match=r"Column 'c' of X must hold strings, numbers or bools. Got"):
            fit(values)


def test_whole_numbers_beyond_all_floats_are_categories_but_no_numbers():
    values = pd.Series([10**400, 1] * (N // 2), dtype=object)
    frame = values.to_frame("c").assign(d=0.0)
    mlp = plain_classifier(**QUICK, categorical_features=["c"]).fit(frame, LABELS)
    assert mlp.categories_["c"].tolist() == [1, 10**400]
    same = frame.assign(c=pd.Series([10**400, "1"] * (N // 2), dtype=object))
    np.testing.assert_array_equal(mlp.predict_proba(same), mlp.predict_proba(frame))
    with pytest.raises(ValueError, match=r"Column 'c' of X must hold numbers, .* too large to convert to float"):
        plain_classifier(**QUICK).fit(frame, LABELS)
