"""Searches in other processes: loky's workers, those of a Dask cluster, and Ray's."""

import os
import signal
import sys
import threading
import time

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from optional import cloudpickle, psutil
from plain import plain_regressor
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp.engine.program import PROGRAMS
from sk_mlp.model_selection import PopulationGridSearchCV, PopulationHalvingSearchCV, PopulationRandomizedSearchCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 4))
Y = X @ RNG.standard_normal(4) + 10
RATES = {"mlp__learning_rate": loguniform(1e-3, 1e-1)}
GRID = {"mlp__learning_rate": [1e-3, 1e-2]}
FOLDS = {"cv": KFold(2), "refit": False}
RANDOM = {"n_iter": 3, "random_state": 0, **FOLDS}

pytestmark = pytest.mark.slow  # each process takes seconds to import TensorFlow


def pipeline(*steps, **params):
    small = {"n_hidden": 1, "n_neurons": 5, "epochs": 4, "random_state": 0}
    return Pipeline([*steps, ("scale", StandardScaler()), ("mlp", plain_regressor(**small | params))])


def scores(search):
    results = search.fit(X, Y).cv_results_
    return {name: values for name, values in results.items() if "_test_" in name}


def assert_equal_scores(found, expected):
    """Bit by bit."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


class Fuse(TransformerMixin, BaseEstimator):
    """Kill the first process that trains behind it, if a file is there; the file is renamed, with the process' number.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path):
        self.path = path

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        try:
            os.rename(self.path, f"{self.path}.{os.getpid()}")
        except FileNotFoundError:
            return self
        threading.Thread(target=self._burn, daemon=True).start()
        return self

    def _burn(self):
        while True:
            for frame in sys._current_frames().values():
                while frame:
                    if frame.f_code.co_name == "run_epoch":
                        os.kill(os.getpid(), signal.SIGKILL)
                    frame = frame.f_back
            time.sleep(1e-3)

    def transform(self, X):
        return X


def assert_survives(search, fuse, **config):
    """The scores are those of an undisturbed search, though a process of this backend is killed while it trains."""
    search.set_params(estimator__mlp__n_neurons=7)  # which no process has compiled: that takes long enough to be killed
    expected = scores(clone(search).set_params(n_jobs=1))
    fuse.touch()
    with joblib.parallel_config(**config):
        found = scores(search)
    (burnt,) = fuse.parent.iterdir()
    killed = int(burnt.suffix[1:])
    assert killed != os.getpid()
    assert not psutil.pid_exists(killed)
    assert_equal_scores(found, expected)


# loky

TASKS, SEEN = [], set()


def count(estimator, X, y):
    """Score by how many tasks and programs this process has had."""
    TASKS.append(estimator)
    SEEN.update(PROGRAMS.values())
    return {"pid": os.getpid(), "tasks": len(TASKS), "programs": len(SEEN)}


def test_loky_workers_keep_their_programs():
    get_reusable_executor().shutdown(wait=True)  # its workers may have programs of other tests
    most = {}
    for search in (GridSearchCV(pipeline(), GRID, **FOLDS), RandomizedSearchCV(pipeline(), RATES, **RANDOM)):
        results = search.set_params(scoring=count, n_jobs=2).fit(X, Y).cv_results_
        for split in range(2):
            columns = (results[f"split{split}_test_{name}"] for name in ("pid", "tasks", "programs"))
            for pid, *counts in zip(*columns, strict=True):
                most[pid] = max(most.get(pid, counts), counts)
    assert os.getpid() not in most
    assert sum(tasks for tasks, _ in most.values()) == 10
    assert all(programs == 1 for _, programs in most.values()), "all are of one structure"


# Dask


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'sk_mlp[distributed]'")
    # Any free port: with None it serves nothing, but takes 8787 all the same, and warns where others have it.
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.parametrize(
    "search",
    [
        RandomizedSearchCV(pipeline(), RATES, **RANDOM),
        PopulationRandomizedSearchCV(pipeline(), RATES, **RANDOM),
        PopulationGridSearchCV(pipeline(), GRID, **FOLDS),
    ],
    ids=lambda search: type(search).__name__,
)
def test_dask(client, search):
    with joblib.parallel_config(backend="dask"):
        found = scores(clone(search))
    assert_equal_scores(found, scores(search))


def process(estimator, X, y):
    """Score by where it is done."""
    return os.getpid()


@pytest.mark.parametrize(
    ("search", "n_tasks"),
    [
        (PopulationGridSearchCV(pipeline(), GRID, scoring=process, **FOLDS), 2),
        (PopulationHalvingSearchCV(pipeline(), RATES, n_candidates=3, scoring=process, **FOLDS), 0),
    ],
    ids=["all at once", "halving"],
)
def test_dask_workers_get_the_rows_of_their_share(client, monkeypatch, search, n_tasks):
    tasks, spread, submit, scatter = [], [], client.submit, client.scatter
    monkeypatch.setattr(client, "submit", lambda *args, **kw: tasks.append(kw["tasks"]) or submit(*args, **kw))
    monkeypatch.setattr(client, "scatter", lambda *args, **kw: spread.append(args) or scatter(*args, **kw))
    with joblib.parallel_config(backend="dask"):
        results = search.fit(X, Y).cv_results_
    assert not spread
    sent = [cloudpickle.dumps(task) for task in tasks]
    halves = sorted([row.tobytes() in task for row in X] for task in sent)
    assert halves == [[False] * 75 + [True] * 75, [True] * 75 + [False] * 75][:n_tasks]
    assert set(results["mean_test_score"]) == {os.getpid()}, "scored here, where all rows are"


def test_dask_sends_the_lost_share_to_another_worker(client, tmp_path):
    fuse = tmp_path / "fuse"
    search = PopulationRandomizedSearchCV(pipeline(("fuse", Fuse(str(fuse)))), RATES, **RANDOM)
    assert_survives(search, fuse, backend="dask")
    client.wait_for_workers(2)  # it is started again


# Ray

left_open = pytest.mark.filterwarnings("ignore::ResourceWarning")  # its processes, and their log files


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'sk_mlp[distributed]'")
    from ray.util.joblib import register_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # its processes import this file
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        register_ray()
        yield ray
        ray.shutdown()


@left_open
def test_ray(ray):
    search = RandomizedSearchCV(pipeline(), RATES, **RANDOM)
    with joblib.parallel_config(backend="ray", n_jobs=2):
        found = scores(clone(search))
    assert_equal_scores(found, scores(search))


@left_open
def test_ray_starts_a_killed_process_again(ray, tmp_path):
    fuse = tmp_path / "fuse"
    search = PopulationRandomizedSearchCV(pipeline(("fuse", Fuse(str(fuse)))), RATES, **RANDOM)
    again = {"max_restarts": 1, "max_task_retries": 1}
    assert_survives(search, fuse, backend="ray", n_jobs=2, ray_remote_args=again)
