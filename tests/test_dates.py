"""Dates and times as features."""

import datetime as dt
import pickle

import keras
import numpy as np
import pytest
from optional import pa, pd, pl
from plain import plain_classifier, plain_regressor
from sklearn.base import clone

from sk_mlp import KerasMLPRegressor
from sk_mlp._tables.columns import columns_of
from sk_mlp._tables.dates import DateColumn, calendar, seconds_of
from sk_mlp.model_selection import PopulationGridSearchCV

pytestmark = pytest.mark.usefixtures("no_xla")

RNG = np.random.default_rng(0)
N = 240
WHEN = pd.Series(pd.Timestamp("2019-12-30 05:00") + pd.to_timedelta(RNG.integers(0, 2 * 365 * 24, N), unit="h"))
TABLE = pd.DataFrame({"x": RNG.normal(size=N), "when": WHEN})
Y = TABLE["x"] + 1.0 * (WHEN.dt.day_of_week >= 5)
QUICK = {"n_hidden": 1, "n_neurons": 16, "learning_rate": 3e-2, "epochs": 2, "random_state": 0}
QUICK |= {"input_scaling": "robust"}
LEARNS = QUICK | {"epochs": 60, "early_stopping": False}


def frames_of(when):
    """A column of dates in the forms that it comes in."""
    frame = TABLE.assign(when=when)
    return {
        "pandas": frame,
        "pandas, seconds": frame.assign(when=when.astype("datetime64[s]")),
        "pandas, objects": frame.assign(when=pd.Series([at.to_pydatetime() for at in when], dtype=object)),
        "pandas, arrow": frame.assign(when=when.astype("timestamp[us][pyarrow]")),
        "pandas, period": frame.assign(when=when.dt.to_period("h")),
        "polars": pl.from_pandas(frame),
        "polars, ms": pl.from_pandas(frame).with_columns(pl.col("when").cast(pl.Datetime("ms"))),
        "arrow": pa.Table.from_pandas(frame),
    }


@pytest.fixture
def fitted(no_xla):
    return plain_regressor(**QUICK).fit(TABLE, Y)


def test_the_calendar_is_that_of_pandas():
    dates = pd.Series(pd.date_range("1583-02-27", "2400-03-02", freq="797h", unit="s"))
    seconds = (dates.to_numpy("M8[us]") - np.datetime64(0, "us")) / np.timedelta64(1, "s")
    for name, values in calendar(seconds).items():
        np.testing.assert_array_equal(
            values, getattr(dates.dt, {"weekday": "day_of_week"}.get(name, name)), err_msg=name
        )
    assert all(np.isnan(values).all() for values in calendar(np.array([np.nan])).values())


@pytest.mark.parametrize("form", list(frames_of(WHEN)))
def test_every_kind_of_frame_gives_the_same(form, fitted):
    frame = frames_of(WHEN)[form]
    mlp = plain_regressor(**QUICK).fit(frame, Y)
    np.testing.assert_array_equal(mlp.predict(frame), fitted.predict(TABLE))
    np.testing.assert_array_equal(fitted.predict(frame), fitted.predict(TABLE))
    np.testing.assert_array_equal(mlp.predict(TABLE), fitted.predict(TABLE))


@pytest.mark.parametrize(
    "days",
    [
        lambda days: days,
        lambda days: pd.Series(list(days.dt.date), dtype=object),
        lambda days: days.astype("date32[pyarrow]"),
        lambda days: pd.Series(list(days.to_numpy("M8[D]")), dtype=object),
        lambda days: days.dt.to_period("D"),
        lambda days: pl.Series(days.dt.date.to_list()),
        lambda days: pa.array(days.dt.date.to_list()),
        lambda days: pa.array(days.dt.date.to_list(), type=pa.date64()),
    ],
)
def test_a_day_is_a_date(days):
    whole = WHEN.dt.normalize()
    expected = plain_regressor(**QUICK).fit(whole.to_frame("day"), Y).predict(whole.to_frame("day"))
    column = days(whole)
    make = {pl.Series: pl.DataFrame, pd.Series: pd.DataFrame}.get(type(column), pa.table)
    frame = make({"day": column})
    np.testing.assert_array_equal(plain_regressor(**QUICK).fit(frame, Y).predict(frame), expected)


def test_arrays_and_lists_of_dates():
    array = WHEN.to_numpy("M8[s]")[:, None]
    expected = plain_regressor(**QUICK).fit(array, Y).predict(array)
    objects = np.array([at.to_pydatetime() for at in WHEN], dtype=object)[:, None]
    for X in (objects, objects.tolist(), array.astype("M8[ns]"), array.astype(">M8[s]")):
        np.testing.assert_array_equal(plain_regressor(**QUICK).fit(X, Y).predict(X), expected)
    np.testing.assert_array_equal(plain_regressor(**QUICK).fit(WHEN.to_frame(), Y).predict(WHEN.to_frame()), expected)
    mixed = np.column_stack([TABLE["x"].to_numpy(object), objects])
    mlp = plain_regressor(**QUICK).fit(mixed, Y)
    np.testing.assert_array_equal(mlp.predict(mixed), plain_regressor(**QUICK).fit(TABLE, Y).predict(TABLE))


@pytest.mark.parametrize(
    ("part", "labels"),
    [
        ("weekday", WHEN.dt.day_of_week >= 5),
        ("hour", WHEN.dt.hour < 8),
        ("month", WHEN.dt.month.between(4, 9)),
        ("day", WHEN.dt.day > 20),
        ("year", WHEN.dt.year == 2020),
        ("seconds", pd.Timestamp("2020-07-15 12:00") < WHEN),
    ],
)
def test_what_depends_on_a_part_is_learned(part, labels):
    frame = WHEN.to_frame("when")
    mlp = plain_classifier(**LEARNS | {"epochs": 100}).fit(frame, labels)
    assert mlp.score(frame, labels) > 0.97


def test_a_network_without_scaling_learns_from_dates_too():
    frame = WHEN.to_frame("when")
    mlp = plain_classifier(**LEARNS | {"input_scaling": None, "epochs": 150}).fit(frame, WHEN.dt.day_of_week >= 4)
    assert mlp.score(frame, WHEN.dt.day_of_week >= 4) > 0.95


def test_what_is_constant_drops_out_and_what_is_learned_is_of_rows_with_weight():
    days = pd.Series(pd.date_range("2021-03-01", periods=N // 8, freq="D").repeat(8))
    frame = pd.DataFrame({"when": days.to_numpy(), "x": TABLE["x"]})
    mlp = plain_regressor(**QUICK).fit(frame, Y)
    assert mlp._fitted.table.dates[0].features == ("seconds", "day", "weekday")
    assert mlp.n_features_in_ == 2
    assert mlp.feature_names_in_.tolist() == ["when", "x"]
    early = frame.copy()
    early.loc[0, "when"] = pd.Timestamp("1999-12-31 13:00")
    weights = np.r_[0.0, np.ones(N - 1)]
    weighted = plain_regressor(**QUICK).fit(early, Y, sample_weight=weights)
    assert weighted._fitted.table.dates == mlp._fitted.table.dates


def test_missing_dates_are_missing_numbers(fitted):
    when = WHEN.where(RNG.random(N) > 0.3)
    y = TABLE["x"] + 2.0 * when.isna()
    frame = TABLE.assign(when=when)
    mlp = plain_regressor(**LEARNS).fit(frame, y)
    assert mlp.score(frame, y) > 0.95
    objects = when.astype(object)
    for word in (None, pd.NaT, pd.NA, np.nan, np.datetime64("NaT", "s")):
        column = pd.Series([word if pd.isna(date) else date for date in objects], dtype=object)
        np.testing.assert_array_equal(mlp.predict(TABLE.assign(when=column)), mlp.predict(frame))
    np.testing.assert_array_equal(mlp.predict(pl.from_pandas(frame)), mlp.predict(frame))
    missing = (np.nan, None, pd.NaT)
    outputs = [fitted.predict(TABLE.iloc[:3].assign(when=pd.Series([word] * 3, dtype=object))) for word in missing]
    outputs.append(fitted.predict(TABLE.iloc[:3].assign(when=np.nan)))
    np.testing.assert_array_equal(outputs[1:], outputs[:-1])
    with pytest.raises(ValueError, match=r"contains NaN.* columns? \[?'when'"):
        plain_regressor(**QUICK, handle_missing="error").fit(frame, y)


def test_dates_outside_those_of_fit_predict_sensibly(fitted):
    outside = pd.Series(np.array(["1900-01-01", "1969-12-31T23:00", "2100-06-01"], "M8[s]"))
    frame = TABLE.iloc[:3].assign(when=outside)
    assert (np.abs(fitted.predict(frame)) < 20).all()
    far = pl.DataFrame({"x": [0.0, 0.0], "when": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)]})
    assert (np.abs(fitted.predict(far)) < 20).all()


def test_time_zones():
    berlin = WHEN.dt.tz_localize("Europe/Berlin", ambiguous=True, nonexistent="shift_forward")
    frame = TABLE.assign(when=berlin)
    mlp = plain_regressor(**QUICK).fit(frame, Y)
    expected = mlp.predict(frame)
    same = {
        "another zone": TABLE.assign(when=berlin.dt.tz_convert("Asia/Tokyo")),
        "objects": TABLE.assign(when=berlin.dt.tz_convert("UTC").astype(object)),
        "polars": pl.from_pandas(frame),
        "arrow": pa.Table.from_pandas(frame),
        "pandas of arrow": TABLE.assign(when=berlin.astype("timestamp[us, tz=Europe/Berlin][pyarrow]")),
    }
    for name, other in same.items():
        np.testing.assert_array_equal(mlp.predict(other), expected, err_msg=name)
    fixed = TABLE.assign(when=WHEN.dt.tz_localize(dt.timezone(dt.timedelta(hours=-3.5))))
    mlp_of_offset = plain_regressor(**QUICK).fit(fixed, Y)
    objects = fixed.assign(when=pd.Series(list(fixed["when"].dt.tz_convert("UTC")), dtype=object))
    np.testing.assert_array_equal(mlp_of_offset.predict(objects), mlp_of_offset.predict(fixed))
    for other in (pa.Table.from_pandas(fixed), pl.from_pandas(fixed.assign(when=fixed["when"].dt.tz_convert("UTC")))):
        np.testing.assert_array_equal(mlp_of_offset.predict(other), mlp_of_offset.predict(fixed))
    of_objects = plain_regressor(**QUICK).fit(TABLE.assign(when=berlin.astype(object)), Y)
    np.testing.assert_array_equal(of_objects.predict(TABLE.assign(when=berlin.dt.tz_convert("UTC"))), expected)
    of_texts = plain_regressor(**QUICK).fit(TABLE.assign(when=[dt.datetime.fromisoformat(str(d)) for d in berlin]), Y)
    np.testing.assert_array_equal(of_texts.predict(frame), expected)  # +01:00 and +02:00
    by_clock = plain_regressor(**QUICK).fit(TABLE.assign(when=berlin.dt.tz_localize(None)), Y)
    np.testing.assert_array_equal(by_clock.predict(TABLE.assign(when=berlin.dt.tz_localize(None))), expected)
    with pytest.raises(ValueError, match=r"Column 'when' of X must hold dates with a time zone, as in fit. Got none"):
        mlp.predict(TABLE)
    with pytest.raises(ValueError, match=r"Column 'when' of X must hold dates with no time zone.*Got Europe/Berlin"):
        by_clock.predict(frame)
    with pytest.raises(
        ValueError, match=r"'when' of X must hold dates that can be given in .*'Mars/Phobos'. Got 'Europe"
    ):
        seconds_of(next(columns_of(frame[["when"]])), "Mars/Phobos")
    both = pd.Series([*WHEN[:100], *berlin[100:]], dtype=object)
    with pytest.raises(ValueError, match=r"'when' of X must hold dates that all have a time zone, or none. Got both"):
        plain_regressor(**QUICK).fit(TABLE.assign(when=both), Y)


@pytest.mark.parametrize("zone", ["Europe/Berlin", None])
def test_to_keras_takes_seconds_since_1970(zone, tmp_path):
    when = WHEN.where(RNG.random(N) > 0.1).dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    frame = TABLE.assign(when=when, town=RNG.choice(["a", "b"], N))
    mlp = plain_regressor(**QUICK | {"ensemble_size": 2}).fit(frame, Y)
    mlp.to_keras(include_preprocessing=True).save(tmp_path / "dates.keras")
    model = keras.models.load_model(tmp_path / "dates.keras")
    by_clock = when.dt.tz_localize(None)
    seconds = (by_clock - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
    inputs = {
        "x": keras.ops.convert_to_tensor(frame[["x"]].to_numpy("f4")),
        "when": keras.ops.convert_to_tensor(seconds.to_numpy("f8")[:, None], "float64"),
        "town": keras.ops.convert_to_tensor(frame[["town"]].to_numpy().tolist()),
    }
    np.testing.assert_allclose(np.asarray(model(inputs))[:, 0], mlp.predict(frame), rtol=1e-4, atol=1e-4)
    matrix = mlp._check_numbers(frame)
    np.testing.assert_allclose(np.asarray(mlp.model_(matrix))[:, 0], mlp.predict(frame), rtol=1e-4, atol=1e-4)


def test_paths_take_all_that_is_made_of_a_date():
    settings = QUICK | {"skip_connection": True, "wide_features": ["when"], "deep_features": ["x", "when"]}
    mlp = plain_regressor(**settings).fit(TABLE.assign(other=1.0), Y)
    spec = mlp._fitted.spec
    assert spec.wide_columns == (1, 3, 4, 5, 6, 7)
    assert spec.deep_columns == (0, 1, 3, 4, 5, 6, 7)
    only_x = plain_regressor(**QUICK | {"deep_features": ["x"]}).fit(TABLE, Y)
    np.testing.assert_array_equal(only_x.predict(TABLE), only_x.predict(TABLE.assign(when=WHEN[::-1].to_numpy())))


def test_dates_survive_pickling_and_are_kept_when_training_goes_on(fitted):
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(TABLE), fitted.predict(TABLE))
    later = TABLE.assign(when=WHEN + pd.Timedelta(days=4000))
    for mlp in (
        plain_regressor(**QUICK, warm_start=True).fit(TABLE, Y).fit(later, Y),
        plain_regressor(**QUICK).partial_fit(TABLE, Y).partial_fit(later, Y),
    ):
        assert mlp._fitted.table.dates == fitted._fitted.table.dates
    refitted = clone(fitted).fit(later, Y)
    assert refitted._fitted.table.dates[1].first[0] > fitted._fitted.table.dates[1].first[0]


def test_a_population_search_over_a_table_with_dates():
    grid = {"learning_rate": [1e-2, 3e-2]}
    mlp = plain_regressor(**QUICK | {"epochs": 3})
    search = PopulationGridSearchCV(mlp, grid, cv=2).fit(TABLE, Y)
    alone = [
        clone(mlp).set_params(learning_rate=1e-2).fit(TABLE.iloc[train], Y.iloc[train]).score(TABLE.iloc[test], Y[test])
        for train, test in ((range(N // 2, N), range(N // 2)), (range(N // 2), range(N // 2, N)))
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][0], np.mean(alone), atol=1e-3)
    array = WHEN.to_numpy("M8[s]")[:, None]
    assert PopulationGridSearchCV(mlp, grid, cv=2).fit(array, Y).predict(array).shape == (N,)


def test_durations_and_times_of_day_are_seconds():
    hours = RNG.integers(0, 23, N)
    lasting = pd.Series(pd.to_timedelta(hours, unit="h")).where(RNG.random(N) > 0.1)
    expected = plain_regressor(**QUICK).fit((lasting / pd.Timedelta(seconds=1)).to_frame("v"), Y)
    expected = expected.predict((lasting / pd.Timedelta(seconds=1)).to_frame("v"))
    time = [None if pd.isna(value) else dt.time(int(value / pd.Timedelta(hours=1))) for value in lasting]
    objects = pd.Series([None if pd.isna(value) else value.to_pytimedelta() for value in lasting], dtype=object)
    for X in (
        lasting.to_frame("v"),
        objects.to_frame("v"),
        pd.DataFrame({"v": lasting.astype("duration[us][pyarrow]")}),
        pd.DataFrame({"v": pd.Series(time, dtype=object)}),
        pl.DataFrame({"v": pl.Series(lasting)}),
        pl.DataFrame({"v": time}, schema={"v": pl.Time}),
        pa.table({"v": pa.array(lasting)}),
        pa.table({"v": pa.array(time)}),
        lasting.to_numpy()[:, None],
        objects.to_numpy()[:, None],
    ):
        np.testing.assert_array_equal(plain_regressor(**QUICK).fit(X, Y).predict(X), expected)


def test_a_column_of_dates_in_fit_alone_or_in_predict_alone_is_refused_by_name(fitted):
    numbers = plain_regressor(**QUICK).fit(TABLE.assign(when=1.0), Y)
    towns = pd.Series(["a", "b"] * (N // 2))
    for frame in (TABLE, pl.from_pandas(TABLE), pa.Table.from_pandas(TABLE)):
        with pytest.raises(ValueError, match=r"Column 'when' of X must hold numbers.*Got dates"):
            numbers.predict(frame)
    for column in (TABLE["x"], towns, WHEN.astype(str), (WHEN - WHEN[0])):
        with pytest.raises(ValueError, match=r"Column 'when' of X must hold dates, as in fit. Got"):
            fitted.predict(TABLE.assign(when=column))
    of_array = plain_regressor(**QUICK).fit(TABLE["x"].to_numpy()[:, None], Y)
    with pytest.raises(ValueError, match=r"Column 0 of X must hold numbers.*Got dates"):
        of_array.predict(WHEN.to_numpy()[:, None])


@pytest.mark.parametrize(
    "params", [{"pretrain": "autoencoder"}, {"model": keras.Sequential}], ids=["pretrain", "model"]
)
def test_what_needs_numbers_refuses_dates_by_name(params):
    with pytest.raises(ValueError, match=r"Date columns of X, \['when'\], need the built-in network, without"):
        KerasMLPRegressor(**params).fit(TABLE, Y)
    with pytest.raises(ValueError, match=r"Date columns of X, \[0\], need the built-in network, without"):
        KerasMLPRegressor(**params).fit(WHEN.to_numpy()[:, None], Y)


def test_init_from_an_estimator_that_makes_something_else_of_dates_is_refused(fitted):
    plain_regressor(**QUICK, init_from=fitted).fit(TABLE, Y)
    days = TABLE.assign(when=pd.date_range("2020-01-01", periods=N, freq="D"))
    with pytest.raises(ValueError, match=r"init_from must have been fitted on the same columns of dates"):
        plain_regressor(**QUICK, init_from=fitted).fit(days, Y)


def test_init_from_an_estimator_of_earlier_dates(fitted):
    later = TABLE.assign(when=WHEN + pd.Timedelta(days=400))
    mlp = plain_regressor(**QUICK, init_from=fitted).fit(later, Y)
    centers = [one.column_statistics_[0]["center"][1] + one._fitted.table.dates[1].first[0] for one in (fitted, mlp)]
    np.testing.assert_allclose(*centers, rtol=0, atol=10)  # seconds, float32
    unscaled = QUICK | {"input_scaling": None}
    earlier = plain_regressor(**unscaled).fit(TABLE, Y)
    plain_regressor(**unscaled, init_from=earlier).fit(TABLE, Y)
    with pytest.raises(ValueError, match=r"init_from must .* without scaling over the same time"):
        plain_regressor(**unscaled, init_from=earlier).fit(later, Y)


def test_dates_that_are_categories_by_name_stay_categories():
    days = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"] * (N // 3)))
    frame = pd.DataFrame({"day": days})
    labels = (days == "2020-01-02").to_numpy()
    mlp = plain_classifier(**LEARNS, categorical_features=["day"]).fit(frame, labels)
    assert len(mlp.categories_["day"]) == 3
    assert mlp.score(pl.from_pandas(frame), labels) == mlp.score(frame, labels) == 1.0


def test_a_column_whose_dates_are_all_missing():
    frame = TABLE.assign(when=pd.Series([pd.NaT] * N, dtype="datetime64[us]"))
    mlp = plain_regressor(**QUICK).fit(frame, Y)
    assert mlp._fitted.table.dates == {1: DateColumn("", ("seconds",), (0.0,), (1.0,))}
    assert np.isfinite(mlp.predict(TABLE)).all()


def test_to_keras_of_dates_alone():
    days = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=N, freq="min")})
    for frame in (days, days.assign(when=days["when"].dt.floor("h"))):
        mlp = plain_regressor(**QUICK).fit(frame, Y)
        seconds = frame["when"].to_numpy("M8[s]").astype("f8")[:, None]
        output = mlp.to_keras(include_preprocessing=True)({"when": keras.ops.convert_to_tensor(seconds, "float64")})
        np.testing.assert_allclose(np.asarray(output)[:, 0], mlp.predict(frame), rtol=1e-4, atol=1e-4)
