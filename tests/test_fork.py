"""Processes that are forked after TensorFlow has started: a clear error in place of waiting forever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import multiprocessing, warnings
import joblib, keras, numpy as np
from sklearn.model_selection import cross_val_score
from sk_mlp.engine.program import Program
from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor
from sk_mlp.model_selection import PopulationGridSearchCV

def build():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])

X = np.random.default_rng(0).standard_normal((60, 3))
Y = X[:, 0]
plain = KerasMLPRegressor(**PLAIN_MLP | {"epochs": 2}, n_neurons=4, random_state=0)
own = KerasMLPRegressor(build, **PLAIN_MLP | {"epochs": 2}, random_state=0)
WORK = {
    "fit": lambda: plain.fit(X, Y),
    "fit another structure": lambda: plain.set_params(n_neurons=5).fit(X, Y),
    "fit a classifier": lambda: KerasMLPClassifier(random_state=0).fit(X, Y > 0),
    "partial_fit": lambda: plain.partial_fit(X, Y),
    "predict": lambda: plain.predict(X),
    "model_": lambda: plain.model_,
    "to_keras": lambda: plain.to_keras(),
    "fit an own model": lambda: own.fit(X, Y),
    "predict by an own model": lambda: own.predict(X),
    "search": lambda: PopulationGridSearchCV(plain, {"learning_rate": [0.1]}, cv=2, error_score="raise").fit(X, Y),
}

def call(name, send):
    try:
        WORK[name]()
        send.send("done")
    except Exception as error:
        send.send(f"{type(error).__name__}: {error}")

def in_child(name):
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=call, args=(name, send), daemon=True)
    child.start()
    print(name, "|", receive.recv() if receive.poll(30) else "waits forever", flush=True)
    child.kill()

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    Program.jit_compile = False
    in_child("fit")  # before TensorFlow has started
    plain.fit(X, Y), own.fit(X, Y), plain.model_, own.predict(X)
    for name in list(WORK)[1:]:
        in_child(name)
    with joblib.parallel_config(backend="multiprocessing"):
        try:
            cross_val_score(plain, X, Y, cv=2, n_jobs=2, error_score="raise")
        except Exception as error:
            print("joblib |", f"{type(error).__name__}: {error}", flush=True)
    plain.fit(X, Y)
    print("parent | done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (tmp_path / "out").open("w+") as out:  # not a pipe, which joblib's helper process would keep open for a while
        subprocess.run([sys.executable, "-c", SCRIPT], stdout=out, stderr=out, timeout=120, env=environment)
        out.seek(0)
        lines = out.read().splitlines()
    found = dict(line.split(" | ") for line in lines if " | " in line)
    assert [name for name, outcome in found.items() if outcome == "done"] == ["fit", "predict", "parent"], lines
    others = {name: outcome for name, outcome in found.items() if outcome != "done"}
    assert len(others) == 9
    for name, outcome in others.items():
        assert outcome.startswith("RuntimeError: "), name
        assert "forked after TensorFlow had started" in outcome, name
        assert "'loky'" in outcome and "'spawn'" in outcome, name
