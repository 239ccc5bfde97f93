"""Frames of sparse columns are tables, made dense; sparse matrices are taken as they are, with a warning of scales."""

import warnings

import numpy as np
import pytest
import scipy.sparse as scipy_sparse
from optional import pd
from plain import plain_classifier, plain_regressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sk_mlp import KerasMLPRegressor
from sk_mlp._tables import sparse
from sk_mlp.model_selection import PopulationGridSearchCV

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "age": np.where(RNG.random(90) < 0.5, 0.0, RNG.uniform(20, 60, 90)),
        "income": np.where(RNG.random(90) < 0.5, 0.0, RNG.uniform(2e4, 9e4, 90)),
        "children": np.where(RNG.random(90) < 0.6, 0, RNG.integers(1, 4, 90)),
    }
)
Y = TABLE["age"] / 20 + (TABLE["income"] / 5e4) ** 2
SMALL = {"hidden_layer_sizes": [8], "epochs": 5, "random_state": 0, "input_scaling": "auto"}
pytestmark = pytest.mark.usefixtures("no_xla")


def regressor(**params):
    return plain_regressor(**SMALL | params)


def of_sparse_columns(table):
    return table.astype(pd.SparseDtype("float64", 0.0))


def with_a_dense_column(table):
    return of_sparse_columns(table).assign(age=table["age"])


def of_sparse_types(table):
    table = table.assign(income=pd.arrays.SparseArray(table["income"].to_numpy(np.float32), fill_value=0))
    return table.assign(children=pd.arrays.SparseArray(table["children"].to_numpy(), fill_value=0))


FORMS = [of_sparse_columns, with_a_dense_column, of_sparse_types]
every_form = pytest.mark.parametrize("form", FORMS)


@every_form
def test_as_the_dense_frame(form):
    table, held = form(TABLE), {"X_val": form(TABLE[:20]), "y_val": Y[:20]}
    expected = regressor().fit(TABLE, Y)
    found = regressor().fit(table, Y)
    assert found._fitted.spec.deep_plan == expected._fitted.spec.deep_plan
    np.testing.assert_allclose(found.predict(table), expected.predict(TABLE), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(expected.predict(table), expected.predict(TABLE))
    val = regressor().fit(TABLE, Y, **held).history_["val_loss"]
    np.testing.assert_allclose(val, regressor().fit(TABLE, Y, X_val=TABLE[:20], y_val=Y[:20]).history_["val_loss"])
    for mlp, rows in ((expected, TABLE), (found, table)):
        mlp.partial_fit(rows, Y)
    np.testing.assert_allclose(found.predict(table), expected.predict(TABLE), rtol=1e-4, atol=1e-4)
    assert found.feature_names_in_.tolist() == list(TABLE)


def test_the_defaults_do_as_well_as_on_the_dense_frame():
    mlp = KerasMLPRegressor(n_hidden=1, n_neurons=32, epochs=60, ensemble_size=1, random_state=0)
    assert mlp.fit(of_sparse_columns(TABLE), Y).score(TABLE, Y) > 0.9


def test_missing_values_truth_values_and_strings():
    table = TABLE.assign(age=TABLE["age"].where(TABLE["age"] > 0), town=np.where(TABLE["children"] > 0, "a", "b"))
    table["rich"] = TABLE["income"] > 5e4
    thin = table.assign(
        age=pd.arrays.SparseArray(table["age"]), rich=pd.arrays.SparseArray(table["rich"], fill_value=False)
    )
    expected, found = regressor().fit(table, Y), regressor().fit(thin, Y)
    assert found.categories_.keys() == expected.categories_.keys() == {"town", "rich"}
    np.testing.assert_allclose(found.predict(thin), expected.predict(table), rtol=1e-4, atol=1e-4)


def test_searches():
    grid, table = {"learning_rate": [1e-3, 1e-2]}, of_sparse_columns(TABLE)
    ours = PopulationGridSearchCV(regressor(), grid, cv=2).fit(table, Y)
    theirs = GridSearchCV(regressor(), grid, cv=2).fit(TABLE, Y)
    found, expected = (search.cv_results_["mean_test_score"] for search in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_what_does_not_fit_in_memory(monkeypatch):
    table, mlp = of_sparse_columns(TABLE), regressor(epochs=1).fit(TABLE, Y)
    monkeypatch.setattr(sparse, "available_memory", lambda: 1000.0)
    wrong = r"X is a frame of sparse columns.* must fit in memory. Got .*\(90, 3\), of 0.0 GB when dense"
    for call in (lambda: regressor().fit(table, Y), lambda: mlp.predict(table), lambda: mlp.partial_fit(table, Y)):
        with pytest.raises(ValueError, match=wrong):
            call()
    monkeypatch.undo()
    assert 1e8 < sparse.available_memory() < 1e14
    huge = pd.DataFrame.sparse.from_spmatrix(scipy_sparse.csr_array((10**9, 9000 // 900)))
    assert huge.shape == (10**9, 10)
    monkeypatch.setattr(sparse, "available_memory", lambda: 16e9)
    with pytest.raises(ValueError, match=r"of 80.0 GB when dense, where 16.0 GB are available"):
        sparse.dense_frame(huge)


@pytest.mark.parametrize("kind", [scipy_sparse.csr_matrix, scipy_sparse.csc_array, scipy_sparse.coo_array])
def test_a_matrix_of_unlike_columns_warns_once(kind):
    matrix = kind(TABLE.to_numpy())
    with pytest.warns(UserWarning, match="columns of X differ in scale by a factor of .*MaxAbsScaler") as caught:
        mlp = regressor(epochs=1).fit(matrix, Y)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mlp.predict(matrix)
        mlp.partial_fit(matrix, Y)
        make_pipeline(MaxAbsScaler(), regressor(epochs=1)).fit(matrix, Y)
        regressor(epochs=1).fit(scipy_sparse.csr_array(TABLE[["age", "children"]]), Y)
        plain_classifier(epochs=1).fit(scipy_sparse.csr_array(np.eye(90, 3)), Y > 1)
