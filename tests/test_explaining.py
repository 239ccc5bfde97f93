"""What explains scikit-learn's estimators explains these, on raw tables."""

import time

import numpy as np
import pytest
from optional import needed, pd
from plain import plain_regressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.preprocessing import OrdinalEncoder

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.usefixtures("no_xla")


def raw_table():
    colours = RNG.choice(["red", "green", "blue"], 120)
    table = pd.DataFrame({"size": RNG.normal(size=120), "age": RNG.exponential(size=120), "colour": colours})
    return table, (2 * table["size"] + (colours == "red") * table["age"]).to_numpy()


@pytest.mark.filterwarnings("ignore")  # of shap and numba about themselves
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_shap_values_of_a_raw_table_add_up_to_the_prediction(kind):
    shap = needed("shap")
    table, y = raw_table()
    estimator = KerasMLPRegressor if kind == "regression" else KerasMLPClassifier
    mlp = estimator(n_neurons=8, epochs=5, ensemble_size=1, random_state=0)
    mlp.fit(table, y if kind == "regression" else np.where(y > 0, "high", "low"))
    of_rows = mlp.predict if kind == "regression" else mlp.predict_proba
    encoder = OrdinalEncoder().fit(table[["colour"]])

    def predict(numbers):
        rows = pd.DataFrame(numbers, columns=table.columns)
        return of_rows(rows.assign(colour=encoder.inverse_transform(rows[["colour"]])[:, 0]))

    numbers = table.assign(colour=encoder.transform(table[["colour"]])[:, 0]).to_numpy(float)
    explanation = shap.Explainer(predict, shap.maskers.Independent(numbers[:20], max_samples=20), seed=0)(numbers[:5])
    together = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(together, of_rows(table[:5]), rtol=1e-9, atol=1e-9)
    assert abs(explanation.values).max() > 0.01


def test_partial_dependence_on_a_column_of_strings():
    table, y = raw_table()
    mlp = KerasMLPRegressor(n_neurons=16, epochs=30, ensemble_size=1, random_state=0).fit(table, y)
    found = partial_dependence(mlp, table, ["colour"], categorical_features=["colour"])
    values = dict(zip(found["grid_values"][0], found["average"][0], strict=True))
    assert max(values, key=values.get) == "red"


def test_permutation_importance_of_many_columns_takes_seconds():
    X = RNG.normal(size=(10_000, 30)).astype(np.float32)
    y = X[:, 0] + X[:, 1]
    mlp = plain_regressor(n_hidden=2, n_neurons=32, epochs=5, learning_rate=1e-2, random_state=0).fit(
        X[:1000], y[:1000]
    )
    begin = time.perf_counter()
    importance = permutation_importance(mlp, X, y, n_repeats=1, random_state=0)
    assert time.perf_counter() - begin < 30
    assert set(np.argsort(importance.importances_mean)[-2:]) == {0, 1}
