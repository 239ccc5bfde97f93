"""Tables with columns of several types, missing values and all."""

import copy
import subprocess
import sys

import keras
import numpy as np
import pytest
from optional import needed, pd, pl
from plain import plain_classifier, plain_regressor
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor
from sk_mlp._network.names import COLUMNS, variables_of
from sk_mlp._tables import plan
from sk_mlp._tables.encoding import ColumnEncoder, in_lanes
from sk_mlp.model_selection import PopulationGridSearchCV

RNG = np.random.default_rng(0)
N = 240
TABLE = pd.DataFrame(
    {
        "income": RNG.lognormal(10, 1, N),
        "age": RNG.integers(18, 90, N).astype(float),
        "town": RNG.choice(["a", "b", "c"], N),
        "sex": RNG.choice(["f", "m"], N),
        "street": RNG.choice([f"s{i:02}" for i in range(30)], N),
        "owner": RNG.random(N) > 0.5,
        "constant": np.full(N, 7.0),
    }
)
TABLE.loc[::7, "age"] = np.nan
TABLE.loc[::9, "town"] = None
TABLE["town"] = TABLE["town"].astype("category")
LABELS = np.where((TABLE.town == "a") ^ (TABLE.sex == "m"), "yes", "no")
TARGET = np.log(TABLE.income.to_numpy()) + (TABLE.sex == "m") * 2.0
SMALL = {"n_hidden": 1, "n_neurons": 16, "learning_rate": 3e-2, "epochs": 40, "random_state": 0}
SCALED = SMALL | {"input_scaling": "robust"}


def test_a_raw_table_is_learned():
    assert plain_classifier(**SCALED).fit(TABLE, LABELS).score(TABLE, LABELS) > 0.95
    assert plain_regressor(**SCALED).fit(TABLE, TARGET).score(TABLE, TARGET) > 0.9


def test_polars_gives_what_pandas_gives():
    of_pandas = plain_classifier(**SCALED).fit(TABLE, LABELS)
    needed("pyarrow")  # by polars
    table = pl.from_pandas(TABLE)
    of_polars = plain_classifier(**SCALED).fit(table, LABELS)
    np.testing.assert_array_equal(of_polars.predict_proba(table), of_pandas.predict_proba(TABLE))


def test_an_object_array_whose_categorical_columns_are_named():
    array = TABLE[["income", "age", "town"]].to_numpy(dtype=object)
    of_array = plain_classifier(categorical_features=[2], **SCALED).fit(array, LABELS)
    of_frame = plain_classifier(**SCALED).fit(TABLE[["income", "age", "town"]], LABELS)
    np.testing.assert_array_equal(
        of_array.predict_proba(array), of_frame.predict_proba(TABLE[["income", "age", "town"]])
    )


def test_the_order_in_which_categories_come_does_not_count():
    mlp = plain_classifier(**SCALED).fit(TABLE, LABELS)
    some = TABLE.iloc[[5, 3, 1]]
    np.testing.assert_allclose(mlp.predict_proba(some), mlp.predict_proba(TABLE)[[5, 3, 1]], rtol=1e-12)
    with_others = some.assign(town=some.town.astype(object).astype(pd.CategoricalDtype(["z", "c", "b", "a"])))
    np.testing.assert_array_equal(mlp.predict_proba(with_others), mlp.predict_proba(some))


def test_unknown_categories_are_all_alike():
    mlp = plain_classifier(**SCALED).fit(TABLE, LABELS)
    rows = TABLE.astype({"town": object}).iloc[:2]
    first, second = (mlp.predict_proba(rows.assign(town=town, street=town)) for town in ("new", "other"))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - mlp.predict_proba(rows.assign(town="a"))).max() > 1e-3


def test_a_category_of_held_out_rows_alone_is_unknown():
    table = TABLE.assign(town=TABLE.town.astype(object).fillna("a"))
    table.loc[0, "town"] = "rare"
    mlp = plain_classifier(**SCALED | {"epochs": 2})
    mlp.fit(table.iloc[1:], LABELS[1:], X_val=table.iloc[:20], y_val=LABELS[:20])
    new = table.iloc[:1].assign(town="new")
    np.testing.assert_array_equal(mlp.predict_proba(table.iloc[:1]), mlp.predict_proba(new))


def test_one_of_two_categories_that_no_row_to_train_on_has_is_unknown():
    table = TABLE[["age", "owner"]].assign(owner=False)
    table.loc[0, "owner"] = True
    held_out = {"X_val": table.iloc[:20], "y_val": LABELS[:20]}
    mlp = plain_classifier(**SCALED | {"epochs": 2})
    mlp.fit(table, LABELS, sample_weight=np.r_[0, np.ones(N - 1)], **held_out)
    np.testing.assert_array_equal(
        mlp.predict_proba(table.iloc[:1]), mlp.predict_proba(table.iloc[:1].assign(owner=False))
    )


@pytest.mark.parametrize("fill", [1e20, 9.97e36])
def test_huge_numbers_are_trained_on_as_they_are_predicted_from(fill):
    """As some formats write a missing number."""
    values = RNG.standard_normal((N, 2)) * 1e-3
    values[::5, 0] = fill
    y = values[:, 1] * 1e3 + 3.0 * (values[:, 0] == fill)
    settings = SCALED | {"numerical_embedding": "ple", "early_stopping": False}
    mlp = plain_regressor(**settings).fit(values, y)
    assert mlp.score(values, y) > 0.8
    in_keras = np.asarray(mlp.model_(values.astype(np.float32)))[:, 0]
    np.testing.assert_allclose(in_keras, mlp.predict(values), rtol=1e-3, atol=1e-3)


def test_numbers_that_begin_with_missing_ones():
    """pandas keeps whole numbers from a database as objects; the first hundred say nothing."""
    late = pd.Series([None] * 150 + list(range(90)), dtype=object)
    mlp = plain_regressor(**SCALED | {"epochs": 1}).fit(TABLE[["age"]].assign(late=late), TARGET)
    assert not mlp.categories_
    mlp = plain_regressor(**SCALED | {"epochs": 1, "categorical_features": None})
    mlp.fit(TABLE[["age"]].assign(late=late), TARGET)


def test_missing_categories_of_an_object_array():
    rows = TABLE[["age", "town"]].astype(object).to_numpy()
    missing = rows.copy()
    missing[pd.isna(missing)] = pd.NA
    missing[:, 0] = rows[:, 0]
    settings = SCALED | {"categorical_features": [1], "epochs": 2}
    one, other = (plain_classifier(**settings).fit(X, LABELS) for X in (rows, missing))
    np.testing.assert_array_equal(one.predict_proba(rows), other.predict_proba(missing))


def test_missing_numbers_are_filled_with_the_median_of_the_training_rows():
    table = TABLE[["age", "sex"]]
    with_feature = plain_classifier(**SCALED | {"epochs": 3}).fit(table, LABELS)
    filled = plain_classifier(handle_missing="impute", **SCALED | {"epochs": 3}).fit(table, LABELS)
    median = filled.column_statistics_[0]["fill"][0]
    rows = table.iloc[:3].assign(age=[np.nan, median, 50.0])
    same, other = (mlp.predict_proba(rows.assign(sex="m")) for mlp in (filled, with_feature))
    np.testing.assert_allclose(same[0], same[1], rtol=1e-6)
    assert abs(other[0, 0] - other[1, 0]) > 1e-4
    with pytest.raises(ValueError, match="contains NaN"):
        plain_classifier(handle_missing="error", **SCALED).fit(table, LABELS)


def test_statistics_are_those_of_the_training_rows():
    X = RNG.normal(size=(200, 2)) * [1, 1e6]
    y = X[:, 0]
    mlp = plain_regressor(**SCALED | {"epochs": 1}).fit(X[:100], y[:100], X_val=X[100:] * 50, y_val=y[100:])
    low, median, high = np.quantile(X[:100].astype(np.float32), [0.25, 0.5, 0.75], axis=0, method="inverted_cdf")
    np.testing.assert_allclose(mlp.column_statistics_[0]["center"], median, rtol=1e-6)
    np.testing.assert_allclose(mlp.column_statistics_[0]["scale"], 1 / (high - low), rtol=1e-6)


@pytest.mark.parametrize("scaling", ["robust", "standard"])
def test_a_column_of_another_unit_changes_nothing(scaling):
    X = RNG.normal(size=(200, 3))
    y = X[:, 0]
    settings = SMALL | {"input_scaling": scaling, "epochs": 5}
    ours = plain_regressor(**settings).fit(X, y).predict(X)
    np.testing.assert_allclose(plain_regressor(**settings).fit(X * 1024, y).predict(X * 1024), ours, rtol=1e-6)
    constant = np.hstack([X, np.full((200, 1), 1e9)])
    assert np.isfinite(plain_regressor(**settings).fit(constant, y).predict(constant)).all()


@pytest.mark.parametrize("embedding", ["ple", "plr", "pbld"])
def test_embeddings_learn_what_is_not_linear(embedding):
    X = RNG.uniform(-3, 3, size=(400, 1))
    y = np.cos(1.5 * X[:, 0])
    settings = SCALED | {"n_hidden": 0, "epochs": 60}
    plain = plain_regressor(**settings).fit(X, y).score(X, y)
    assert plain_regressor(numerical_embedding=embedding, **settings).fit(X, y).score(X, y) > plain + 0.2


@pytest.mark.parametrize("n_classes", [2, 3])
def test_bins_are_divided_where_y_changes(n_classes):
    X = np.random.default_rng(0).random((400, 1))
    steps = [0.731, 0.317][: n_classes - 1]
    labels = sum((X[:, 0] > step).astype(int) for step in steps)
    settings = SMALL | {"epochs": 1, "numerical_embedding": "ple", "early_stopping": False}
    for net in (plain_classifier(**settings).fit(X, labels), plain_regressor(**settings).fit(X, labels)):
        boundaries = np.asarray(net.model_.get_layer("columns").boundaries)[0]
        for step in steps:
            below, above = X[step > X].max(), X[step < X].min()
            assert ((boundaries >= below) & (boundaries <= above)).any()


def test_a_number_above_all_trained_ones_counts_as_the_largest_of_them():
    """A column of few distinct values has fewer bins than the arrays have room for; what is left is never trained."""
    X = np.tile(np.arange(3.0), 80)[:, None]
    net = plain_classifier(numerical_embedding="ple", **SMALL).fit(X, X[:, 0] > 1)
    encoding = net.model_.get_layer("columns")
    of_keras = np.asarray(encoding(np.array([[2.0], [3.0]], np.float32)))[:, 1:]  # the first is the number itself
    np.testing.assert_array_equal(of_keras[1], of_keras[0])
    learned = variables_of(COLUMNS, net._fitted.named_weights(0))
    in_numpy = ColumnEncoder(net._fitted.spec.deep_plan, [learned])(in_lanes(np.array([[2.0], [3.0]], np.float32)))
    np.testing.assert_array_equal(in_numpy[0, 0, 1:, 1], in_numpy[0, 0, 1:, 0])


FORMS = [
    {"numerical_embedding": "ple", "learned_scale": True, "parametric_activation": True},
    {"numerical_embedding": "plr", "input_scaling": "standard"},
    {"numerical_embedding": "pbld", "batch_norm": True, "ensemble_size": 2},
    {"skip_connection": True, "deep_features": ["age", "town", "street"], "wide_features": ["income", "sex"]},
    {"input_scaling": None},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form)))
def test_both_engines_and_the_keras_model_agree(form):
    settings = SCALED | {"epochs": 3} | form
    ours = plain_classifier(**settings).fit(TABLE, LABELS)
    keras_fit = plain_classifier(engine="keras", **settings).fit(TABLE, LABELS)
    np.testing.assert_allclose(ours.history_["loss"], keras_fit.history_["loss"], rtol=1e-4)
    codes = ours._check_X(TABLE)
    np.testing.assert_allclose(np.asarray(ours.model_(codes))[:, 0], ours.predict_proba(TABLE)[:, 1], atol=1e-5)


def test_to_keras_takes_the_table_itself(tmp_path):
    mlp = plain_classifier(**SCALED | {"epochs": 3, "ensemble_size": 2}).fit(TABLE, LABELS)
    model = mlp.to_keras(include_preprocessing=True)
    model.save(tmp_path / "table.keras")
    loaded = keras.models.load_model(tmp_path / "table.keras")
    strings = {name: TABLE[name].astype(object).fillna("").astype(str).to_numpy() for name in ("town", "sex", "street")}
    strings["town"][3] = "new"
    columns = {name: TABLE[name].to_numpy(np.float32) for name in ("income", "age", "owner", "constant")} | strings
    inputs = {name: keras.ops.convert_to_tensor(column.tolist())[:, None] for name, column in columns.items()}
    table = TABLE.assign(town=strings["town"]).replace({"town": {"": None}})
    np.testing.assert_allclose(np.asarray(loaded(inputs))[:, 0], mlp.predict_proba(table)[:, 1], atol=1e-5)
    matrix = mlp.to_keras()(mlp._check_X(TABLE))
    np.testing.assert_allclose(np.asarray(matrix)[:, 0], mlp.predict_proba(TABLE)[:, 1], atol=1e-5)


def test_what_was_learned_is_in_attributes():
    mlp = plain_classifier(**SCALED | {"epochs": 1, "ensemble_size": 2}).fit(TABLE, LABELS)
    assert list(mlp.categories_) == ["town", "sex", "street", "owner"]
    assert mlp.categories_["town"].tolist() == ["a", "b", "c"]
    assert [set(statistics) for statistics in mlp.column_statistics_] == [{"fill", "center", "scale"}] * 2


def test_a_search_over_a_table():
    grid = {"learning_rate": [1e-2, 3e-2]}
    mlp = plain_classifier(**SCALED | {"epochs": 5})
    search = PopulationGridSearchCV(mlp, grid, cv=2).fit(TABLE, LABELS)
    alone = cross_val_score(mlp.set_params(learning_rate=1e-2), TABLE, LABELS, cv=2)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][0], alone.mean(), atol=1e-4)


def test_training_goes_on_with_the_categories_of_the_first_fit():
    mlp = plain_classifier(warm_start=True, **SCALED | {"epochs": 2}).fit(TABLE, LABELS)
    categories = mlp.categories_
    with pytest.warns(UserWarning, match="Column 'town' of X has 50 values out of 50 that are none of the categories"):
        mlp.fit(TABLE.iloc[:50].assign(town="other"), LABELS[:50])
    assert mlp.categories_.keys() == categories.keys()
    assert mlp.categories_["town"].tolist() == ["a", "b", "c"]


BAD = [
    ({"categorical_features": ["nowhere"]}, TABLE, "categorical_features must name columns of X"),
    ({"categorical_features": None}, TABLE, "Got strings in the column 'sex' and categorical_features=None"),
    ({"handle_missing": "drop"}, TABLE, "The 'handle_missing' parameter"),
    ({"input_scaling": "minmax"}, TABLE, "The 'input_scaling' parameter"),
    ({"pretrain": "autoencoder"}, TABLE, "need the built-in network, without 'pretrain'"),
]


@pytest.mark.parametrize(("params", "table", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_tables(params, table, message):
    with pytest.raises(ValueError, match=message):
        plain_classifier(**SCALED | params).fit(table, LABELS)


def test_a_function_may_name_no_categories():
    numbers = TABLE.select_dtypes("number")
    mlp = plain_classifier(**SCALED | {"epochs": 1}, categorical_features=lambda X: []).fit(numbers, LABELS)
    assert not mlp.categories_
    named = plain_classifier(**SCALED | {"epochs": 1}, categorical_features=lambda X: ["town"])
    assert [*named.fit(numbers.assign(town=TABLE["town"]), LABELS).categories_] == ["town"]


def test_a_table_of_other_columns_to_predict():
    mlp = plain_classifier(**SCALED | {"epochs": 1}).fit(TABLE, LABELS)
    with pytest.raises(ValueError, match="feature names"):
        mlp.predict(TABLE.rename(columns={"age": "years"}))
    with pytest.raises(ValueError, match="Column 'age' of X must hold numbers"):
        mlp.predict(TABLE.assign(age="old"))
    needed("pyarrow")  # by polars
    polars = pl.from_pandas(TABLE)
    mlp = plain_classifier(**SCALED | {"epochs": 1}).fit(polars, LABELS)
    with pytest.raises(ValueError, match="Column 'age' of X must hold numbers"):
        mlp.predict(polars.with_columns(age=pl.lit("old")))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        plain_classifier(**SCALED, categorical_features=[0]).fit(np.arange(N), LABELS)


@pytest.mark.parametrize("estimator", [KerasMLPClassifier, KerasMLPRegressor])
def test_the_defaults_take_a_raw_table(estimator):
    y = LABELS if estimator is KerasMLPClassifier else TARGET
    mlp = estimator(ensemble_size=2, random_state=0).fit(TABLE, y)
    assert mlp.score(TABLE, y) > 0.9


@pytest.mark.parametrize("estimator", [KerasMLPClassifier, KerasMLPRegressor])
def test_a_model_of_the_users_own_takes_the_defaults(estimator):
    X, y = RNG.normal(size=(60, 3)), np.arange(60) % 2

    def build(meta):
        return keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(meta["n_outputs_"])])

    assert len(estimator(build, epochs=1, ensemble_size=2).fit(X, y)._fitted.states) == 2


def test_init_from_an_estimator_of_other_categories_is_refused():
    source = plain_classifier(**SCALED | {"epochs": 1}).fit(TABLE, LABELS)
    settings = SCALED | {"epochs": 1, "init_from": source}
    plain_classifier(**settings).fit(TABLE, LABELS)
    with pytest.raises(ValueError, match="init_from must have been fitted on the same categories"):
        plain_classifier(**settings).fit(TABLE.assign(sex=TABLE.sex.map({"f": "w", "m": "x"})), LABELS)


def test_init_from_an_estimator_that_is_not_fitted_is_refused_with_categories():
    with pytest.raises((ValueError, NotFittedError), match="fitted"):
        plain_classifier(**SCALED | {"epochs": 1, "init_from": plain_classifier(**SCALED)}).fit(TABLE, LABELS)


def test_numbers_that_are_categories_in_a_population_search():
    X = np.column_stack([RNG.choice([0.1, 0.2, 0.3], N), RNG.normal(size=N)])
    y = np.where(X[:, 0] == 0.2, "yes", "no")
    search = PopulationGridSearchCV(
        plain_classifier(**SCALED | {"categorical_features": [0]}), {"learning_rate": [3e-2]}, cv=2
    )
    assert search.fit(X, y).best_score_ == 1.0


def test_sparse_rows_for_a_network_of_dense_ones():
    X = np.where(RNG.random((N, 3)) < 0.3, 0, RNG.normal(size=(N, 3)))
    mlp = plain_regressor(**SCALED | {"epochs": 2}).fit(X, X[:, 0], X_val=X[:50], y_val=X[:50, 0])
    np.testing.assert_array_equal(mlp.predict(csr_array(X)), mlp.predict(X))
    held_out = plain_regressor(**SCALED | {"epochs": 2}).fit(X, X[:, 0], X_val=csr_array(X[:50]), y_val=X[:50, 0])
    np.testing.assert_array_equal(held_out.predict(X), mlp.predict(X))


@pytest.mark.parametrize(
    "params",
    [
        {"numerical_embedding": "plr"},
        {"learned_scale": True},
        {"input_scaling": "robust"},
        {"categorical_features": [0]},
    ],
    ids=lambda params: next(iter(params)),
)
def test_what_needs_dense_rows_is_refused_for_sparse_ones(params):
    X = csr_array(np.eye(30, 3))
    with pytest.raises(ValueError, match=rf"{next(iter(params))}=.* needs a dense X. Got a sparse matrix"):
        KerasMLPRegressor(**params).fit(X, np.arange(30.0))


def test_a_rare_category_is_known_however_many_rows_there_are(monkeypatch):
    monkeypatch.setattr(plan, "SAMPLE", 10)
    town = np.array(["a"] * 150 + ["b"] * 80 + ["c"] * 10, dtype=object)[:, None]
    mlp = plain_classifier(**SCALED | {"categorical_features": [0], "early_stopping": False}).fit(town, town[:, 0])
    assert mlp.predict(town[-1:]) == "c"


def test_a_model_of_a_table_with_any_names():
    table = pd.DataFrame(RNG.normal(size=(40, 3)), columns=["table", "mlp", "codes_0"])
    mlp = plain_regressor(**SCALED | {"epochs": 1}).fit(table, table["mlp"])
    columns = {name: table[[name]].to_numpy(np.float32) for name in table}
    output = mlp.to_keras(include_preprocessing=True).predict(columns, verbose=0)
    np.testing.assert_allclose(output[:, 0], mlp.predict(table), rtol=1e-4, atol=1e-5)
    speeds = table.rename(columns={"mlp": "km/h", "codes_0": "km_h"})
    mlp = plain_regressor(**SCALED | {"epochs": 1}).fit(speeds, table["mlp"])
    columns = {"table": columns["table"], "km_h_1": columns["mlp"], "km_h": columns["codes_0"]}
    np.testing.assert_allclose(
        mlp.to_keras(include_preprocessing=True).predict(columns, verbose=0), output, rtol=1e-4, atol=1e-5
    )


def test_a_model_of_a_table_for_a_builder_with_several_inputs():
    def build():
        parts = [keras.Input((1,)), keras.Input((2,))]
        return keras.Model(parts, keras.layers.Dense(1)(keras.layers.Concatenate()(parts)))

    table = pd.DataFrame(RNG.normal(size=(40, 3)), columns=["a", "b", "c"])
    mlp = plain_regressor(build, epochs=1, input_columns=(["b"], ["a", "c"])).fit(table, table["b"])
    columns = {name: table[[name]].to_numpy(np.float32) for name in table}
    output = mlp.to_keras(include_preprocessing=True).predict(columns, verbose=0)
    np.testing.assert_allclose(output[:, 0], mlp.predict(table), rtol=1e-4, atol=1e-5)


def test_keras_loads_a_saved_model_in_another_process(tmp_path):
    params = {"epochs": 1, "parametric_activation": True, "loss": "quantile", "loss__quantile": [0.1, 0.9]}
    mlp = plain_regressor(**SCALED | params).fit(TABLE[["income"]], TARGET)
    mlp.model_.save(tmp_path / "mlp.keras")
    code = f"import keras, sk_mlp.layers; keras.models.load_model({str(tmp_path / 'mlp.keras')!r})"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "values",
    [
        RNG.choice(16_777_216 + np.arange(4), N),  # as float32, 16,777,217 is 16,777,216
        pd.cut(TABLE["income"], 4),
        pd.Series([1, "1"] * (N // 2), dtype=object),
    ],
    ids=["large numbers", "intervals", "a number and its name"],
)
def test_categories_that_a_keras_model_cannot_tell_apart(values):
    table = pd.DataFrame({"x": TABLE["income"], "which": pd.Categorical(values)})
    mlp = plain_classifier(**SCALED | {"epochs": 1}).fit(table, LABELS)
    with pytest.raises(
        ValueError, match=r"Categories must be strings or numbers, and differ as .* in the column 'which'"
    ):
        mlp.to_keras(include_preprocessing=True)


def test_complex_numbers_are_refused():
    with pytest.raises(
        ValueError, match=r"Column 'c' of X must hold numbers, or be one of categorical_features. Got .*omplex"
    ):
        plain_classifier(**SCALED).fit(TABLE[["town"]].assign(c=1j), LABELS)


def test_training_does_not_go_on_with_other_columns():
    mlp = plain_regressor(**SCALED | {"epochs": 1, "numerical_embedding": "ple"}, warm_start=True).fit(TABLE, TARGET)
    for change in ({"input_scaling": "standard"}, {"numerical_embedding": None}, {"learned_scale": True}):
        with pytest.raises(ValueError, match="The network or the optimizer has changed since the last fit"):
            clone_of_fitted = copy.deepcopy(mlp).set_params(**change)
            clone_of_fitted.fit(TABLE, TARGET)


def test_a_row_without_weight_is_left_out_with_its_categories():
    table = TABLE.assign(town=TABLE["town"].astype(object).where(TABLE.index != 3, "elsewhere"))
    weights = (table["town"] != "elsewhere").to_numpy(float)
    weighted = plain_classifier(**SCALED | {"epochs": 3}).fit(table, LABELS, sample_weight=weights)
    without = plain_classifier(**SCALED | {"epochs": 3}).fit(table[weights > 0], LABELS[weights > 0])
    assert "elsewhere" not in weighted.categories_["town"]
    np.testing.assert_array_equal(weighted.predict_proba(table), without.predict_proba(table))
