"""Weights & Biases' Keras callback logs a fit."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = """
import json
import numpy as np
import wandb
from wandb.integration.keras import WandbMetricsLogger
from sk_mlp import PLAIN_MLP, KerasMLPClassifier
from sk_mlp.engine.program import Program

Program.jit_compile = False
X = np.random.default_rng(0).standard_normal((60, 3))
settings = PLAIN_MLP | {"epochs": 3, "n_neurons": 4, "early_stopping": True, "random_state": 0}
with wandb.init(project="p", mode="offline") as run:
    mlp = KerasMLPClassifier(**settings, metrics=["accuracy"], callbacks=[WandbMetricsLogger()]).fit(X, X[:, 0] > 0)
    print(json.dumps([dict(run.summary), mlp.history_]))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="Weights & Biases is not installed: pip install wandb")
def test_a_fit_is_logged(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "WANDB_SILENT": "true"}
    arguments = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    logged, history = json.loads(done.stdout.splitlines()[-1])
    assert logged["epoch/epoch"] == 2
    assert {"loss", "val_loss", "accuracy", "val_accuracy", "learning_rate"} <= history.keys()
    for name, values in history.items():
        assert logged[f"epoch/{name}"] == pytest.approx(values[-1]), name
