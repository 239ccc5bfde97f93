"""One estimator predicts in many threads, while others are fitted, and in other processes: the same to the last bit."""

from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor

from sk_mlp._network import forward

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype(np.float32)
Y = X[:, 0] * X[:, 1]
SMALL = {"n_hidden": 1, "n_neurons": 8, "epochs": 3, "random_state": 0}
ENSEMBLE = SMALL | {"input_scaling": "robust", "numerical_embedding": "ple", "ensemble_size": 8, "activation": "mish"}


@pytest.fixture(scope="module")
def fitted():
    return plain_regressor(**ENSEMBLE).fit(X, Y)


def test_a_row_is_predicted_alone_as_among_others(fitted):
    """Also its mean: numpy adds up eight numbers in another order than eight rows of them."""
    together = fitted.predict(X[:60], return_std=True)
    for i in range(60):
        alone = fitted.predict(X[i : i + 1], return_std=True)
        assert (alone[0][0], alone[1][0]) == (together[0][i], together[1][i])
        assert fitted.predict(X[i : i + 1])[0] == together[0][i]


def test_threads_predict_while_others_fit(fitted, monkeypatch):
    expected = fitted.predict(X)
    monkeypatch.setattr(forward, "CHUNK", 1)  # blocks are chunks, which threads share
    monkeypatch.setattr(forward, "_n_threads", lambda: 2)
    forward._MADE.pop(fitted._fitted)  # all threads find nothing made
    with ThreadPoolExecutor(12) as threads:
        fits = [threads.submit(plain_classifier(**SMALL).fit, X, i / 10 < Y) for i in range(4)]
        found = list(threads.map(lambda i: fitted.predict(X[i % 7 :]), range(40)))
        for fit in fits:
            fit.result(timeout=120)
    for i, output in enumerate(found):
        np.testing.assert_array_equal(output, expected[i % 7 :])


def test_processes_predict_the_same(fitted):
    """Those of loky, which do not know what this one has made. tests/test_fork.py has forked ones."""
    for output in joblib.Parallel(n_jobs=2)(joblib.delayed(fitted.predict)(X) for _ in range(2)):
        np.testing.assert_array_equal(output, fitted.predict(X))
