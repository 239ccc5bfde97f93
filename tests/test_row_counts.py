"""A weight of 2 is a row twice, wherever rows are counted, in every setting without randomness."""

import numpy as np
import pytest
from optional import pd
from plain import plain_classifier, plain_regressor, prepared_task

from sk_mlp._estimator.given import GivenRows
from sk_mlp._tables import bins, plan

RNG = np.random.default_rng(0)
N = 150
X = np.column_stack(
    [
        RNG.standard_normal(N),
        np.where(RNG.random(N) < 0.6, 0.0, RNG.exponential(size=N)),  # a spike
        np.where(RNG.random(N) < 0.2, np.nan, RNG.standard_normal(N)),
        np.round(2 * RNG.standard_normal(N)),
        20180100 + RNG.integers(1, 29, N),
    ]
)
Y = np.sin(3 * X[:, 0]) + 0.3 * RNG.standard_normal(N)
COUNTS = RNG.integers(0, 5, N)
FULL_BATCH = {
    "input_scaling": "robust",
    "numerical_embedding": "ple",
    "hidden_layer_sizes": [8],
    "batch_size": 1000,
    "epochs": 15,
    "learning_rate": 0.01,
    "shuffle": False,
    "early_stopping": False,
    "random_state": 0,
}
TARGETS = {
    "numbers": (plain_regressor, Y),
    "several numbers": (plain_regressor, np.column_stack([Y, X[:, 1]])),
    "two classes": (plain_classifier, (Y > 0.2).astype(int)),
    "three classes": (plain_classifier, np.digitize(Y, [-0.3, 0.5])),
    "several labels": (plain_classifier, np.column_stack([Y > 0, X[:, 0] > 0.5]).astype(int)),
}
pytestmark = pytest.mark.usefixtures("no_xla")
every_target = pytest.mark.parametrize("target", TARGETS)


def repeated(*arrays):
    return [np.repeat(array, COUNTS, axis=0) for array in arrays]


def learned(mlp, X, y, weights=None):
    """What a fit learns of the columns, and the units of y."""
    task = prepared_task(mlp, GivenRows(X, y, weights), early_stopping=False)
    units = {name: getattr(task.targets, name, None) for name in ("mean", "scale")}
    return {**task.members[0].learned, **units}


def assert_same(weighted, of_repeated):
    assert weighted.keys() == of_repeated.keys()
    for name, array in of_repeated.items():
        if array is not None:
            np.testing.assert_allclose(weighted[name], array, rtol=1e-6, atol=1e-6, err_msg=name)


@every_target
@pytest.mark.parametrize("scaling", ["robust", "standard"])
@pytest.mark.parametrize("handle_missing", ["indicator", "impute"])
def test_statistics(target, scaling, handle_missing):
    make, y = TARGETS[target]
    mlp = make(**FULL_BATCH | {"input_scaling": scaling, "handle_missing": handle_missing})
    assert_same(learned(mlp, X, y, COUNTS), learned(mlp, *repeated(X, y)))


@pytest.mark.parametrize("n_cuts", [5, 20])
def test_bins_of_more_values_than_cuts(n_cuts, monkeypatch):
    monkeypatch.setattr(bins, "N_CUTS", n_cuts)
    mlp = plain_regressor(**FULL_BATCH)
    assert_same(learned(mlp, X, Y, COUNTS), learned(mlp, *repeated(X, Y)))


@pytest.mark.parametrize("sample", [40, 200, 299])
def test_a_sample_of_the_rows(sample, monkeypatch):
    monkeypatch.setattr(plan, "SAMPLE", sample)
    mlp = plain_classifier(**FULL_BATCH, class_weight={0: 1, 1: 2.5})
    y = (Y > 0.2).astype(int)
    assert sample < COUNTS.sum()
    assert_same(learned(mlp, X, y, COUNTS), learned(mlp, *repeated(X, y)))


def test_a_sample_is_as_the_whole():
    values = RNG.standard_normal(400_000)[:, None]
    rows, weights, counts = plan.drawn_rows(np.arange(len(values)), np.ones(len(values)), np.ones(len(values)))
    assert len(rows) == len(np.unique(rows)) == plan.SAMPLE
    assert counts.sum() == weights.sum() == plan.SAMPLE
    np.testing.assert_allclose(np.quantile(values[rows], [0.1, 0.5]), np.quantile(values, [0.1, 0.5]), atol=0.02)
    heavy = np.where(np.arange(60_000) < 10, 1000.0, 1.0)
    rows, weights, counts = plan.drawn_rows(np.arange(60_000), 2 * heavy, heavy)
    np.testing.assert_allclose(weights, 2 * counts)
    assert counts[:10].sum() == pytest.approx(plan.SAMPLE * 10_000 / 69_990, rel=0.01)


def test_whole_weights_of_columns_with_categories():
    kinds = pd.Series(RNG.choice(list("abc"), N), dtype="category")
    table = pd.DataFrame({"kind": kinds, "number": X[:, 0], "gap": X[:, 2]})
    many = table.loc[np.repeat(np.arange(N), COUNTS)].reset_index(drop=True)
    mlp = plain_regressor(**FULL_BATCH)
    assert_same(learned(mlp, table, Y, COUNTS), learned(mlp, many, np.repeat(Y, COUNTS)))


@every_target
def test_predictions(target):
    make, y = TARGETS[target]
    weighted = make(**FULL_BATCH).fit(X, y, COUNTS)
    of_repeated = make(**FULL_BATCH).fit(*repeated(X, y))
    how = "predict_proba" if make is plain_classifier else "predict"
    np.testing.assert_allclose(getattr(weighted, how)(X), getattr(of_repeated, how)(X), atol=1e-4)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_batch_normalization(engine):
    mlp = plain_regressor(**FULL_BATCH | {"batch_norm": True, "engine": engine, "epochs": 5})
    weighted = mlp.fit(X, Y, COUNTS).predict(X)
    np.testing.assert_allclose(weighted, mlp.fit(*repeated(X, Y)).predict(X), atol=1e-3)  # Adam makes much of rounding
    assert np.abs(weighted - mlp.fit(X, Y).predict(X)).max() > 0.01  # so that counts do matter


@pytest.mark.parametrize("target", ["two classes", "three classes", "several labels"])
def test_balanced_classes_and_rows_held_out(target):
    make, y = TARGETS[target]
    mlp = make(**FULL_BATCH | {"early_stopping": True, "patience": 99}, class_weight="balanced", calibrate=True)
    held = {"X_val": X[:60], "y_val": y[:60], "sample_weight_val": COUNTS[:60]}
    weighted = mlp.fit(X[60:], y[60:], COUNTS[60:], **held)
    rows, labels = (np.repeat(array[60:], COUNTS[60:], axis=0) for array in (X, y))
    held = {f"{name}_val": np.repeat(array[:60], COUNTS[:60], axis=0) for name, array in (("X", X), ("y", y))}
    other = make(**mlp.get_params()).fit(rows, labels, **held)
    np.testing.assert_allclose(weighted.history_["val_loss"], other.history_["val_loss"], rtol=1e-4)
    assert weighted._fitted.temperature == pytest.approx(other._fitted.temperature, rel=1e-3)
    np.testing.assert_allclose(weighted.predict_proba(X), other.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("weight", [3, 2.5])
def test_weights_of_classes_count_as_those_of_rows(weight):
    y = (Y > 0.2).astype(int)
    of_rows = learned(plain_classifier(**FULL_BATCH), X, y, np.where(y == 1, weight, 1))
    assert_same(of_rows, learned(plain_classifier(**FULL_BATCH, class_weight={1: weight}), X, y))
    mlp = plain_classifier(**FULL_BATCH, class_weight={1: weight})
    assert_same(learned(mlp, X, y, COUNTS), learned(mlp, *repeated(X, y)))


@every_target
def test_only_ratios_of_other_weights_count(target):
    make, y = TARGETS[target]
    weights = np.linspace(0.1, 1, N)
    of_them, of_more = (learned(make(**FULL_BATCH), X, y, weights * factor) for factor in (1, 7.3))
    assert_same(of_them, of_more)
    assert_same(learned(make(**FULL_BATCH), X, y, np.ones(N)), learned(make(**FULL_BATCH), X, y))


def test_bins_are_where_a_decision_tree_divides():
    from sklearn.tree import DecisionTreeRegressor

    for n, kind in ((30, 0), (400, 1), (3000, 2)):
        x = RNG.standard_normal(n) if kind else np.round(3 * RNG.standard_normal(n))
        x = np.unique(x.astype(np.float32))
        weights = RNG.uniform(0.5, 2, len(x))
        y = np.column_stack([np.sin(3 * x), x > 0.4])[:, : kind + 1] + RNG.standard_normal((len(x), 1))
        tree = DecisionTreeRegressor(max_leaf_nodes=48, min_weight_fraction_leaf=8 / n, random_state=0)
        tree.fit(x[:, None], y, weights)
        found = bins.divisions(x, y * weights[:, None], weights, 8 / n * weights.sum(), 48)
        np.testing.assert_array_equal(np.sort(found), np.sort(tree.tree_.threshold[tree.tree_.feature >= 0]))
