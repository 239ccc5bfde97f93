"""The forward pass in numpy: the same as Keras', and of each row by itself."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from sk_mlp._network import forward
from sk_mlp._network.build import build_network, weights_of
from sk_mlp._network.forward import Forward
from sk_mlp._network.spec import NetworkSpec
from sk_mlp._tables.plan import ColumnPlan, learn_columns

RNG = np.random.default_rng(0)
N = 150
X = RNG.normal(size=(N, 5)).astype(np.float32)
X[:, 1] = 3.0
X[::7, 2] = np.nan
X[:, 3] = RNG.integers(-2, 3, N)
X[:, 4] = RNG.integers(-2, 20, N)
Y = RNG.normal(size=(N, 1))
PLAIN = NetworkSpec(5, 2, (6, 4), "mish", batch_norm=False, dropout=False, output_activation="linear")
SLOTS = ((3, 0, -9), (3, 1, 2), (3, -1, -9))
COLUMNS = ColumnPlan((2, 0, 1), indicators=(0,), slots=SLOTS, embedded=((4, 18),), clip=True)
NUMBERS = ColumnPlan((0, 1))


def with_plan(**parts):
    return {"deep_plan": ColumnPlan(**vars(COLUMNS) | parts)}


NETWORKS = {
    "relu": {"activation": "relu"},
    "linear model": {"hidden_layer_sizes": ()},
    "one neuron": {"hidden_layer_sizes": (1, 3), "n_outputs": 1},
    "softmax": {"output_activation": "softmax", "n_outputs": 3},
    "norm, parametric": {"batch_norm": True, "parametric_activation": True},
    "wide and deep": {"skip_connection": True, "wide_columns": (0, 4), "deep_columns": (3, 1), "aux_output": True},
    "columns": with_plan(),
    "ple": with_plan(embedding="ple", learned_scale=True),
    "ple, not clipped": with_plan(embedding="ple", clip=False),
    "plr": with_plan(embedding="plr"),
    "pbld": with_plan(embedding="pbld", indicators=()),
    "ple, wide": with_plan(embedding="ple") | {"skip_connection": True, "wide_plan": NUMBERS, "aux_output": True},
    "ple, linear model": with_plan(embedding="ple") | {"hidden_layer_sizes": ()},
    "half precision": {"policy": "mixed_float16"},
}


def members_of(spec, n):
    """Keras networks of random weights, which know the columns of rows of their own, and their variables by name."""
    models, members = [], []
    for m in range(n):
        rows = np.arange(m, N, m + 1)
        model = build_network(spec)
        names = ["/".join(variable.path.split("/")[-2:]) for variable in weights_of(model)]
        weights = {name: RNG.normal(size=v.shape) * 0.7 for name, v in zip(names, weights_of(model), strict=True)}
        weights |= {name: np.abs(array) + 0.1 for name, array in weights.items() if "variance" in name}
        weights |= {name: array / 96 for name, array in weights.items() if name.endswith("factor")}
        for layer, plan in {"columns": spec.deep_plan, "wide_columns": spec.wide_plan}.items():
            if plan:
                scaling = "robust" if plan.clip else "standard"
                learned = learn_columns(plan, X, Y, rows, np.ones(N), np.ones(N), scaling)
                weights |= {f"{layer}/{name}": array for name, array in learned.items()}
        for variable, name in zip(weights_of(model), names, strict=True):
            variable.assign(weights[name].astype(np.float32))
        models.append(model)
        members.append({name: array.astype(np.float32) for name, array in weights.items()})
    return models, members


def rows_of(spec):
    return X if spec.deep_plan else np.nan_to_num(X)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    spec = NetworkSpec(**vars(PLAIN) | NETWORKS[request.param])
    return spec, *members_of(spec, 3)


def test_every_network_is_that_of_keras(network):
    spec, models, members = network
    found = Forward(spec, members).of_members(rows_of(spec))
    for output, model in zip(found, models, strict=True):
        expected = model(rows_of(spec))
        expected = np.asarray(expected[0] if isinstance(expected, list) else expected)
        tolerance = 3e-2 if "16" in spec.policy else 2e-5
        np.testing.assert_allclose(output, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
    np.testing.assert_allclose(Forward(spec, members).mean(rows_of(spec)), found.mean(axis=0), rtol=1e-12)


def test_a_row_is_by_itself(network, monkeypatch):
    """Alone, in any part of X, in whichever place; also when several threads share the rows."""
    spec, _, members = network
    rows = rows_of(spec)
    expected = Forward(spec, members).mean(rows)
    monkeypatch.setattr(forward, "CHUNK", 1)  # blocks are chunks
    monkeypatch.setattr(forward, "_n_threads", lambda: 3)
    output = Forward(spec, members)
    np.testing.assert_array_equal(output.mean(rows), expected)
    for begin, end in ((0, 1), (149, 150), (5, 6), (3, 19), (20, 67), (1, 150)):
        np.testing.assert_array_equal(output.mean(rows[begin:end]), expected[begin:end])
        np.testing.assert_array_equal(output.of_members(rows[begin:end]), output.of_members(rows)[:, begin:end])
    np.testing.assert_array_equal(output.mean(np.repeat(rows[:1], 40, axis=0)), np.repeat(expected[:1], 40, axis=0))


@pytest.mark.parametrize("name", ["relu", "linear model", "wide and deep", "norm, parametric"])
def test_sparse_and_small_integers(name):
    spec = NetworkSpec(**vars(PLAIN) | NETWORKS[name])
    members = members_of(spec, 2)[1]
    rows = RNG.integers(0, 4, (N, 5)).astype(np.uint8)
    expected = Forward(spec, members).mean(rows.astype(np.float32))
    np.testing.assert_array_equal(Forward(spec, members).mean(rows), expected)
    of_sparse = Forward(spec, members).mean(csr_array(rows))
    np.testing.assert_allclose(of_sparse, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(Forward(spec, members).mean(csr_array(rows)[7:8]), of_sparse[7:8])


def test_numbers_on_the_boundaries_of_bins():
    """And within 1e-6 of them, where bins may be as narrow as that."""
    spec = NetworkSpec(**vars(PLAIN) | with_plan(numeric=(0,), indicators=(), embedding="ple"))
    models, members = members_of(spec, 2)
    rows = np.zeros((9, 5), np.float32)
    rows[:, 0] = [*np.quantile(X[:, 0], [0, 0.25, 0.5, 0.75, 1]), X[0, 0], np.nextafter(X[0, 0], 9), 1e9, -1e9]
    expected = [np.asarray(model(rows)) for model in models]
    np.testing.assert_allclose(Forward(spec, members).of_members(rows), expected, rtol=1e-4, atol=1e-4)


PROGRAM = """
import sys
import numpy as np
from sk_mlp._network.forward import _Product
rng = np.random.default_rng(0)
for n_inputs, n in ((3, 1), (30, 30), (128, 128), (210, 128), (128, 300), (784, 300), (5000, 9)):
    product = _Product(rng.normal(size=(2, n_inputs, n)))
    row = rng.normal(size=(n_inputs, 1)).astype(np.float32)
    h = np.repeat(np.repeat(row, 16, axis=1)[None, None], 3, axis=1)
    result = product(h)
    assert (result == result[:, :1, :, :1]).all(), (n_inputs, n)
    sys.stdout.write(result[:, 0, :, 0].tobytes().hex())
"""


@pytest.mark.parametrize("processor", ["", "Haswell", "Nehalem"])
def test_products_are_the_same_in_every_place_and_with_every_number_of_threads(processor):
    """For each of the instruction sets that OpenBLAS has: the variable is its own, and others ignore it."""
    found = set()
    for n_threads in (1, 2, 5):
        settings = {"OPENBLAS_NUM_THREADS": str(n_threads)} | ({"OPENBLAS_CORETYPE": processor} if processor else {})
        env = os.environ | settings | {"PYTHONPATH": str(Path(__file__).parents[1])}
        run = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
        found.add(run.stdout)
    assert len(found) == 1
    assert len(found.pop()) > 1000
