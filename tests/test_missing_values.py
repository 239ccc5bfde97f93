"""Missing values by any name, in whatever holds them."""

from decimal import Decimal

import numpy as np
import pytest
from optional import pa, pd, pl
from plain import plain_classifier, plain_regressor

pytestmark = pytest.mark.usefixtures("no_xla")

RNG = np.random.default_rng(0)
N = 120
NUMBERS = RNG.integers(0, 9, N).astype(float)
IS_MISSING = RNG.random(N) < 0.3
OTHER = RNG.normal(size=N)
TOWN = RNG.choice(["a", "b", "c"], N).astype(object)
LABELS = (OTHER > 0).astype(int)
QUICK = {"n_hidden": 1, "n_neurons": 8, "epochs": 2, "random_state": 0, "input_scaling": "robust"}
WORDS = {
    "None": None,
    "nan": np.nan,
    "float32 nan": np.float32("nan"),
    "pandas.NA": pd.NA,
    "NaT": pd.NaT,
    "numpy's NaT": np.datetime64("NaT", "s"),
    "numpy's NaT of durations": np.timedelta64("NaT", "s"),
    "Decimal nan": Decimal("NaN"),
}
NAN = pd.DataFrame({"a": np.where(IS_MISSING, np.nan, NUMBERS), "b": OTHER})


def with_word(values, word):
    filled = np.array(values, dtype=object)
    filled[IS_MISSING] = [word] * IS_MISSING.sum()
    return filled


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("town", [None, TOWN], ids=["numbers", "and categories"])
def test_a_missing_number_has_many_names(word, town):
    of_nan, frame = (NAN, NAN.assign(a=pd.Series(with_word(NUMBERS, word), dtype=object)))
    if town is not None:
        of_nan, frame = of_nan.assign(town=town), frame.assign(town=town)
    mlp = plain_classifier(**QUICK).fit(of_nan, LABELS)
    expected = mlp.predict_proba(of_nan)
    np.testing.assert_array_equal(mlp.predict_proba(frame), expected)
    held_out = {"X_val": frame, "y_val": LABELS}
    with_val = plain_classifier(**QUICK).fit(of_nan, LABELS, **held_out | {"X_val": of_nan}).predict_proba(of_nan)
    np.testing.assert_array_equal(plain_classifier(**QUICK).fit(frame, LABELS).predict_proba(frame), expected)
    np.testing.assert_array_equal(
        plain_classifier(**QUICK).fit(of_nan, LABELS, **held_out).predict_proba(of_nan), with_val
    )
    if town is None:
        array = frame.to_numpy(dtype=object)
        for X in (array, array.tolist()):
            mlp = plain_classifier(**QUICK).fit(X, LABELS)
            np.testing.assert_array_equal(mlp.predict_proba(X), expected)
            mlp.partial_fit(X, LABELS)


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_a_missing_category_has_many_names(word):
    frames = [NAN.assign(town=pd.Series(with_word(TOWN, missing), dtype=object)) for missing in (None, word)]
    mlp = plain_classifier(**QUICK).fit(frames[0], LABELS)
    assert mlp.categories_["town"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(mlp.predict_proba(frames[1]), mlp.predict_proba(frames[0]))
    other = plain_classifier(**QUICK).fit(frames[1], LABELS)
    np.testing.assert_array_equal(other.predict_proba(frames[0]), mlp.predict_proba(frames[0]))
    array = plain_classifier(**QUICK, categorical_features=[2]).fit(frames[1].to_numpy(dtype=object), LABELS)
    np.testing.assert_array_equal(array.predict_proba(frames[0].to_numpy(dtype=object)), mlp.predict_proba(frames[0]))


WHOLE = [None if gone else int(number) for gone, number in zip(IS_MISSING, NUMBERS, strict=True)]
DECIMALS = [None if number is None else Decimal(number) for number in WHOLE]
COLUMNS = {
    "Int64": pd.Series(WHOLE, dtype="Int64"),
    "Float64": pd.Series(WHOLE, dtype="Float64"),
    "int64[pyarrow]": pd.Series(WHOLE, dtype="int64[pyarrow]"),
    "decimal[pyarrow]": pd.Series(DECIMALS, dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
    "objects of decimals": pd.Series(DECIMALS, dtype=object),
    "polars": pl.Series(WHOLE),
    "polars decimals": pl.Series(DECIMALS),
    "arrow": pa.array(WHOLE),
    "arrow decimals": pa.array(DECIMALS),
    "arrow half": pa.array(None if number is None else np.float16(number) for number in WHOLE),
}
INT128 = getattr(pl, "Int128", None)  # of polars >= 1.18
if INT128:
    COLUMNS["polars Int128"] = pl.Series(WHOLE, dtype=INT128)


def frame_with(column, **others):
    make = (
        pd.DataFrame if isinstance(column, pd.Series) else pl.DataFrame if isinstance(column, pl.Series) else pa.table
    )
    return make({"a": column, **others})


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("others", [{"b": OTHER}, {"b": OTHER, "town": TOWN.tolist()}], ids=["numbers", "categories"])
def test_columns_that_can_have_nulls(column, others):
    of_nan = pd.DataFrame({"a": NAN["a"], **others})
    frame = frame_with(column, **others)
    mlp = plain_classifier(**QUICK).fit(of_nan, LABELS)
    expected = mlp.predict_proba(of_nan)
    np.testing.assert_array_equal(mlp.predict_proba(frame), expected)
    np.testing.assert_array_equal(plain_classifier(**QUICK).fit(frame, LABELS).predict_proba(frame), expected)


@pytest.mark.parametrize("missing", [None, pd.NA])
def test_truth_values_that_can_be_missing(missing):
    values = [missing if gone else bool(number > 4) for gone, number in zip(IS_MISSING, NUMBERS, strict=True)]
    none = [None if value is missing else value for value in values]
    frames = [
        pd.DataFrame({"a": pd.Series(values, dtype=object)}),
        pd.DataFrame({"a": pd.Series(values, dtype="boolean")}),
        pd.DataFrame({"a": pd.Series(none, dtype="bool[pyarrow]")}),
        pl.DataFrame({"a": none}),
        pa.table({"a": none}),
    ]
    fitted = [plain_classifier(**QUICK).fit(frame, LABELS) for frame in frames]
    assert {tuple(mlp.categories_["a"]) for mlp in fitted} == {(False, True)}
    outputs = [mlp.predict_proba(frame) for mlp in fitted for frame in frames]
    np.testing.assert_array_equal(outputs[1:], outputs[:-1])


def test_masked_values_are_missing():
    masked = np.ma.array(np.column_stack([NUMBERS, OTHER]), mask=np.column_stack([IS_MISSING, np.zeros(N, bool)]))
    outputs = [plain_classifier(**QUICK).fit(X, LABELS).predict_proba(X) for X in (masked, NAN.to_numpy())]
    np.testing.assert_array_equal(*outputs)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        plain_regressor(**QUICK).fit(NAN, masked[:, 0])


@pytest.mark.parametrize("dtype", ["m8[ns]", "M8[ns]", "M8[D]", "m8[h]"])
def test_masked_dates_and_durations_are_those_of_other_arrays(dtype):
    X = np.stack([np.arange(N), np.arange(N)[::-1]], axis=1).astype(dtype[:2] + "[D]").astype(dtype)
    masked = np.ma.array(X, mask=np.eye(N, 2, dtype=bool))
    missing = np.where(masked.mask, np.array("NaT", dtype), X)
    outputs = [plain_regressor(**QUICK).fit(table, OTHER).predict(table) for table in (masked, missing)]
    np.testing.assert_array_equal(*outputs)
    mlp = plain_regressor(**QUICK).fit(X, OTHER)
    np.testing.assert_array_equal(mlp.predict(masked)[2:], mlp.predict(X)[2:])


def test_a_column_whose_name_is_that_of_masks():
    frame = pd.DataFrame({"a": NUMBERS, "_mask": LABELS})
    mlp = plain_classifier(**QUICK).fit(frame, LABELS)
    assert mlp.feature_names_in_.tolist() == ["a", "_mask"]
    of_array = plain_classifier(**QUICK).fit(frame.to_numpy(), LABELS)
    np.testing.assert_array_equal(mlp.predict_proba(frame), of_array.predict_proba(frame.to_numpy()))
    targets = frame[["_mask"]].assign(other=OTHER)
    assert plain_regressor(**QUICK).fit(frame, targets).predict(frame).shape == targets.shape


def test_a_column_of_nothing():
    b = OTHER
    for frame in (
        pd.DataFrame({"a": pd.Series([None] * N, dtype=object), "b": b}),
        pd.DataFrame({"a": pd.Series([None] * N, dtype=pd.ArrowDtype(pa.null())), "b": b}),
        pd.DataFrame({"a": np.nan, "b": b}),
        pl.DataFrame({"a": [None] * N, "b": b}),
        pa.table({"a": pa.nulls(N), "b": b}),
    ):
        mlp = plain_regressor(**QUICK).fit(frame, OTHER)
        assert np.isfinite(mlp.predict(frame)).all()


def test_nan_is_refused_by_the_column_s_name_where_it_is_to_be():
    strict = QUICK | {"handle_missing": "error"}
    for frame in (NAN, NAN.assign(town=TOWN), pl.from_pandas(NAN), frame_with(COLUMNS["Int64"], b=OTHER)):
        with pytest.raises(ValueError, match=r"^Input X contains NaN.* columns? \[?'a'"):
            plain_classifier(**strict).fit(frame, LABELS)
    with pytest.raises(ValueError, match=r"^Input X contains NaN.*columns? \[?0"):
        plain_classifier(**strict).fit(NAN.to_numpy(), LABELS)
    both = NAN.assign(b=NAN["a"])
    mlp = plain_classifier(**strict).fit(NAN.fillna(0), LABELS)
    with pytest.raises(ValueError, match=r"^Input X contains NaN.*columns \[?'a', 'b'"):
        mlp.predict(both)


@pytest.mark.parametrize("number", [np.inf, -np.inf])
@pytest.mark.parametrize("town", [{}, {"town": TOWN}], ids=["numbers", "and categories"])
def test_infinite_numbers_are_refused_by_the_column_s_name(number, town):
    frame = NAN.assign(**town)
    wrong = frame.assign(b=np.r_[number, OTHER[1:]])
    settings = QUICK | ({"categorical_features": [2]} if town else {})
    mlp = plain_classifier(**QUICK).fit(frame, LABELS)
    forms = (wrong, wrong.astype({"b": object}), pl.from_pandas(wrong), pa.Table.from_pandas(wrong))
    for form in forms:
        for attempt in (
            lambda form=form: mlp.predict(form),
            lambda form=form: plain_classifier(**QUICK).fit(form, LABELS),
            lambda form=form: plain_classifier(**QUICK).fit(frame, LABELS, X_val=form, y_val=LABELS),
        ):
            with pytest.raises(ValueError, match=r"Input X contains infinity.* columns? \[?'b'"):
                attempt()
    for array in (wrong.to_numpy(), wrong.to_numpy(dtype=object), wrong.to_numpy(dtype=object).tolist()):
        with pytest.raises(ValueError, match=r"Input X contains infinity.* columns? \[?1"):
            plain_classifier(**settings).fit(array, LABELS)


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_missing_targets_are_refused(word):
    labels, numbers = with_word(TOWN, word), with_word(OTHER, word)
    for y in (labels, labels.tolist(), pd.Series(labels)):
        with pytest.raises(ValueError, match="Input y contains NaN"):
            plain_classifier(**QUICK).fit(NAN, y)
        with pytest.raises(ValueError, match=r"held-out rows .* Input y contains NaN"):
            plain_classifier(**QUICK).fit(NAN, TOWN, X_val=NAN, y_val=y)
    for y in (numbers, pd.Series(numbers), np.column_stack([numbers, numbers])):
        with pytest.raises(ValueError, match="Input y contains NaN"):
            plain_regressor(**QUICK).fit(NAN, y)


@pytest.mark.parametrize("y", [*COLUMNS.values(), pd.Series(with_word(TOWN, None)).astype("category")])
def test_missing_targets_of_columns_are_refused(y):
    if isinstance(y, pl.Series) and INT128 and y.dtype == INT128:
        y = y.cast(pl.Int64)  # the former has no way to numpy
    for estimator in (plain_classifier(**QUICK), plain_regressor(**QUICK)):
        with pytest.raises(ValueError, match="Input y contains NaN"):
            estimator.fit(NAN, y)
