"""MLflow's autologging: a fit of ours is a run, as one of scikit-learn's estimators is."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = """
import json, sys, warnings
import mlflow, mlflow.sklearn, numpy as np, pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sk_mlp import PLAIN_MLP, KerasMLPRegressor
from sk_mlp.engine.program import Program
from sk_mlp.model_selection import CoarseToFineSearchCV, PopulationGridSearchCV, PopulationHalvingSearchCV

Program.jit_compile = False
mlflow.set_tracking_uri(sys.argv[1])
X = np.random.default_rng(0).standard_normal((60, 3))
Y = X[:, 0]
RATES = {"learning_rate": [1e-3, 1e-2]}
histories, models = {}, {}

def mlp(**params):
    settings = PLAIN_MLP | {"epochs": 3, "n_neurons": 4, "early_stopping": True, "random_state": 0}
    return KerasMLPRegressor(**settings | params)

def bare():
    histories["bare"] = mlp(metrics=["mae"]).fit(X, Y).history_

def within_a_run():
    with mlflow.start_run(run_name="mine"):
        mlp().fit(X, Y)

def pipeline():
    make_pipeline(StandardScaler(), mlp()).fit(X, Y)

def grid():
    PopulationGridSearchCV(mlp(), RATES, cv=2, refit=False).fit(X, Y)

def halving():
    PopulationHalvingSearchCV(mlp(), RATES, n_candidates=2, cv=2, refit=False).fit(X, Y)

def one_by_one():
    CoarseToFineSearchCV(mlp(engine="keras", epochs=1), RATES, n_iter=1, n_rounds=1, cv=2, refit=False).fit(X, Y)

def failing():
    try:
        mlp(patience=-1).fit(X, Y)
    except ValueError:
        pass

def with_model():
    mlflow.sklearn.autolog(log_models=True)
    table = pd.DataFrame({"a b": X[:, 0], "town": np.where(Y > 0, "u", "v")})
    fitted = mlp().fit(table, Y)
    (model,) = mlflow.search_logged_models(output_format="list")
    loaded = mlflow.sklearn.load_model(model.model_uri)
    mlflow.sklearn.autolog(log_models=False)
    models["autolog"] = [
        np.array_equal(loaded.predict(table), fitted.predict(table)),
        mlflow.models.get_model_info(model.model_uri).signature.to_dict(),
    ]

def by_hand():
    table = pd.DataFrame({"a b": X[:, 0], "town": np.where(Y > 0, "u", "v")})
    fitted = mlp().fit(table, Y)
    signature = mlflow.models.infer_signature(table, fitted.predict(table))
    for serialization in ("cloudpickle", "pickle"):
        info = mlflow.sklearn.log_model(
            fitted, name="model", signature=signature, serialization_format=serialization, pip_requirements=["sk_mlp"]
        )
        served = mlflow.pyfunc.load_model(info.model_uri).predict(table)
        models[serialization] = [
            np.array_equal(mlflow.sklearn.load_model(info.model_uri).predict(table), fitted.predict(table)),
            np.array_equal(served, fitted.predict(table)),
            info.signature.inputs.input_names(),
        ]

def disabled():
    mlflow.sklearn.autolog(disable=True)
    mlp().fit(X, Y)

warnings.simplefilter("ignore")
mlp().fit(X, Y)  # before it is on
mlflow.sklearn.autolog(log_models=False)
client, found = mlflow.MlflowClient(), {}
for work in (bare, within_a_run, pipeline, grid, halving, one_by_one, failing, with_model, by_hand, disabled):
    work()
    runs = client.search_runs(["0"])
    found[work.__name__] = [
        {
            "status": run.info.status,
            "name": run.data.tags.get("estimator_name"),
            "run_name": run.info.run_name,
            "class": run.data.tags.get("estimator_class"),
            "params": run.data.params,
            "history": {
                name: [[metric.step, metric.value] for metric in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
        }
        for run in runs
    ]
    for run in runs:
        client.delete_run(run.info.run_id)
print(json.dumps([found, histories, models]))
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Runs of each piece of work, and histories; in a process of its own, for autologging patches scikit-learn."""
    folder = tmp_path_factory.mktemp("mlflow")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "MLFLOW_ALLOW_FILE_STORE": "true"}
    arguments = [sys.executable, "-c", SCRIPT, (folder / "runs").as_uri()]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=300, env=environment, cwd=folder)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="MLflow is not installed: pip install mlflow-skinny"
)


@pytest.mark.slow
@needs_mlflow
def test_a_fit_is_a_run(logged):
    runs, histories, _ = logged
    (bare,) = runs["bare"]
    assert (bare["name"], bare["class"]) == ("KerasMLPRegressor", "sk_mlp.regressor.KerasMLPRegressor")
    assert bare["status"] == "FINISHED"
    assert {"epochs": "3", "n_neurons": "4", "batch_size": "32"}.items() <= bare["params"].items()
    assert {"loss", "val_loss", "val_mae", "learning_rate"} <= bare["history"].keys()
    for name, values in histories["bare"].items():
        assert bare["history"][name] == [[epoch, value] for epoch, value in enumerate(values)], name
    (mine,) = runs["within_a_run"]
    assert (mine["run_name"], mine["class"]) == ("mine", bare["class"])
    assert mine["history"]["val_loss"] == bare["history"]["val_loss"]
    (failing,) = runs["failing"]
    assert (failing["status"], failing["class"]) == ("FAILED", bare["class"])
    assert runs["disabled"] == []


@pytest.mark.slow
@needs_mlflow
def test_a_fit_within_another_makes_no_run_of_its_own(logged):
    runs, *_ = logged
    assert [run["name"] for run in runs["pipeline"]] == ["Pipeline"]
    assert sorted(run["name"] for run in runs["grid"]) == [*["KerasMLPRegressor"] * 2, "PopulationGridSearchCV"]
    assert not any(run["history"].get("val_loss") for run in runs["grid"])  # MLflow's own, of cv_results_
    assert runs["halving"] == runs["one_by_one"] == []


@pytest.mark.slow
@needs_mlflow
def test_models_are_logged_with_their_signature_and_loaded_again(logged):
    *_, models = logged
    is_same, signature = models["autolog"]
    assert is_same
    inputs = [(column["name"], column["type"]) for column in json.loads(signature["inputs"])]
    assert inputs == [("a b", "double"), ("town", "string")]
    assert models["cloudpickle"] == models["pickle"] == [True, True, ["a b", "town"]]
