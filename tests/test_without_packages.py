"""Where packages that are optional are not installed: what needs none of them works, what needs one says so."""

import subprocess
import sys

import numpy as np
import pytest
from plain import plain_regressor

from sk_mlp.inspection import LossCurveDisplay
from sk_mlp.model_selection import find_learning_rate

X = np.random.default_rng(0).standard_normal((60, 3))
BARE = """
import sys
optional = "distributed matplotlib mlflow optuna pandas polars psutil pyarrow ray tensorboard".split()

class Without:  # among what finds modules
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in optional:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Without)
import numpy as np
import sk_mlp, sk_mlp.inspection, sk_mlp._network.mapped_layers, sk_mlp.losses, sk_mlp.model_selection, sk_mlp.schedules

X = np.random.default_rng(0).standard_normal((60, 3))
mlp = sk_mlp.KerasMLPClassifier(**sk_mlp.PLAIN_MLP | {"epochs": 1}, n_hidden=0).fit(X.tolist(), X[:, 0] > 0)
assert mlp.predict(X).shape == (60,)
table = np.column_stack([X.astype(object), np.where(X[:, 0] > 0, "a", "b")])
mlp = sk_mlp.KerasMLPRegressor(epochs=1, n_hidden=0, categorical_features=[3]).fit(table, X[:, 1])
assert mlp.predict(table).shape == (60,)
"""


@pytest.mark.slow
def test_the_package_itself_needs_none():
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.usefixtures("no_xla")
def test_pictures_need_matplotlib(monkeypatch):
    mlp = plain_regressor(n_hidden=0, epochs=1).fit(X, X[:, 0])
    sweep = find_learning_rate(mlp, X, X[:, 0], n_steps=10)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (LossCurveDisplay([0.9, 0.5]).plot, lambda: LossCurveDisplay.from_estimator(mlp), sweep.plot):
        with pytest.raises(ImportError, match=r"requires matplotlib.*sk_mlp\[plot\]"):
            draw()
