"""What tells parameters apart when a search goes on from its checkpoint, in this process or another."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from plain import plain_regressor
from scipy.sparse import csr_array
from scipy.stats import loguniform
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp.model_selection._identity import described, digest

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
SMALL = {"hidden_layer_sizes": (2,), "epochs": 1}
FACTOR = 2


def builder(width):
    def build():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(width), keras.layers.Dense(1)])

    return build


def by_global(epoch):
    return FACTOR**-epoch


def fitted(seed):
    return plain_regressor(**SMALL, random_state=seed).fit(X, X[:, 0])


def columns(last):
    return make_pipeline(ColumnTransformer([("a", "passthrough", [*range(34), last])]), plain_regressor())


def optimizer(momentum):
    return plain_regressor(optimizer=keras.optimizers.SGD(1e-3, momentum=momentum))


# What makes a value, and two arguments for which it is not the same.
MADE = {
    "optimizer": (optimizer, 0.5, 0.9),
    "class": (lambda cls: {"optimizer": cls}, keras.optimizers.SGD, keras.optimizers.Adam),
    "schedule": (lambda rate: keras.optimizers.schedules.ExponentialDecay(rate, 9, 0.5), 0.1, 0.2),
    "loss": (lambda delta: [keras.losses.Huber(delta)], 1.0, 2.0),
    "callback": (lambda patience: keras.callbacks.EarlyStopping(patience=patience), 1, 2),
    "closure": (lambda width: plain_regressor(builder(width)), 2, 3),
    "default": (lambda factor: lambda epoch, rate=factor: rate**epoch, 1, 2),
    "partial": (lambda factor: partial(pow, factor), 1, 2),
    "long list": (columns, 34, 35),
    "seed": (np.random.RandomState, 1, 2),
    "array": (lambda n: {"sizes": np.full(2000, n)}, 1, 2),
    "distribution": (lambda high: RandomizedSearchCV(plain_regressor(), {"a": loguniform(1, high)}), 2, 3),
    "type": (lambda n: {"n": n}, 1, 1.0),
    "start": (lambda seed: plain_regressor(init_from=fitted(seed)), 0, 1),
    "frozen": (lambda seed: make_pipeline(FrozenEstimator(StandardScaler().fit(X + seed)), plain_regressor()), 0, 1),
}


@pytest.mark.parametrize("name", MADE)
def test_another_value(name):
    make, one, other = MADE[name]
    assert described(make(one)) == described(make(one))
    assert described(make(one)) != described(make(other))


def test_a_global_that_a_function_uses(monkeypatch):
    before = described(by_global)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3)
    assert described(by_global) != before


def by_helper(epoch):
    return [helper(part) for part in range(epoch)]


def helper(part):
    return FACTOR * part


def test_functions_beside_a_function_and_what_inner_ones_use(monkeypatch):
    before = described(by_helper)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3)
    assert described(by_helper) != before
    monkeypatch.undo()
    assert described(by_helper) == before
    monkeypatch.setattr(sys.modules[__name__], "helper", by_global)
    assert described(by_helper) != before


def test_what_does_not_count():
    start = described(plain_regressor(init_from=fitted(0)))
    fitted(1)  # Keras numbers optimizers and their variables
    assert described(plain_regressor(init_from=fitted(0))) == start
    assert described(fitted(0)) == described(plain_regressor(**SMALL, random_state=0)), "clones are not fitted"
    assert described(optimizer(0.5)) == described(optimizer(0.5)), "Keras numbers its optimizers"
    rows = csr_array(X)
    before = described(rows)
    assert rows.has_canonical_format  # which scipy keeps in the matrix
    assert described(rows) == before
    assert described(csr_array(2 * X)) != before
    itself = [1]
    itself.append(itself)
    assert "itself" in described(itself)


def test_another_process():
    code = "import test_identity as t; print(*[t.digest(make(one)) for make, one, _ in t.MADE.values()])"
    folder = Path(__file__).parent
    found = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    own = {name: digest(make(one)) for name, (make, one, _) in MADE.items()}
    assert dict(zip(MADE, found.stdout.split(), strict=True)) == own
