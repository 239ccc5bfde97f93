"""Many fits in one process: no memory is kept, and no fit is slower than the ones before."""

import gc
import time

import numpy as np
import pytest
from optional import psutil
from plain import plain_regressor


@pytest.mark.slow
def test_memory_and_time_of_many_fits():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 8))
    y = X[:, 0] + rng.standard_normal(1000)
    process, resident, seconds = psutil.Process(), [], []
    gc.collect()
    gc.freeze()  # what other tests have left behind need not be looked through after every fit
    for seed, learning_rate in enumerate(np.geomspace(1e-4, 1e-2, 120)):
        start = time.perf_counter()
        plain_regressor(n_hidden=2, n_neurons=10, epochs=3, learning_rate=learning_rate, random_state=seed).fit(X, y)
        seconds.append(time.perf_counter() - start)
        gc.collect()
        resident.append(process.memory_info().rss / 2**20)
    gc.unfreeze()
    assert resident[-1] - resident[20] < 15, "MiB"
    assert np.median(seconds[-20:]) < 2 * np.median(seconds[20:40])
