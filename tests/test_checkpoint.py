"""Searches that are interrupted go on from their checkpoint."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from optional import pd
from plain import plain_regressor
from scipy.sparse import csr_array
from scipy.stats import loguniform
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from sk_mlp.engine.population import CompiledPopulation
from sk_mlp.model_selection import (
    CoarseToFineSearchCV,
    HyperbandSearchCV,
    PopulationGridSearchCV,
    PopulationHalvingSearchCV,
    PopulationRandomizedSearchCV,
)
from sk_mlp.model_selection._checkpoint import identity
from sk_mlp.model_selection._fits import Session
from sk_mlp.model_selection._folds import Fit, Folds

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
Y = X @ RNG.standard_normal(4) + np.sin(3 * X[:, 0])
SPACE = {"kerasmlpregressor__learning_rate": loguniform(1e-3, 1e-1)}


def pipeline(**params):
    settings = {"hidden_layer_sizes": (4,), "epochs": 9, "lr_schedule": "plateau", "random_state": 0, **params}
    return make_pipeline(StandardScaler(), plain_regressor(**settings))


def searches():
    settings = {"cv": 2, "random_state": 3}
    return {
        "grid": PopulationGridSearchCV(pipeline(), {"kerasmlpregressor__learning_rate": [1e-3, 1e-2, 1e-1]}, cv=2),
        "random": PopulationRandomizedSearchCV(pipeline(), SPACE, n_iter=3, **settings),
        "halving": PopulationHalvingSearchCV(pipeline(), SPACE, n_candidates=3, **settings),
        "hyperband": HyperbandSearchCV(pipeline(), SPACE, min_epochs=3, **settings),
        "coarse to fine": CoarseToFineSearchCV(pipeline(), SPACE, n_iter=2, n_rounds=2, **settings),
    }


def assert_same_results(one, other):
    assert list(one.cv_results_) == list(other.cv_results_)
    for name, values in one.cv_results_.items():
        if not name.endswith("_time"):
            np.testing.assert_equal(other.cv_results_[name], values, err_msg=name)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


@pytest.fixture(scope="module")
def uninterrupted():
    return {name: search.fit(X, Y) for name, search in searches().items()}


@pytest.mark.parametrize("kind", list(searches()))
def test_the_same_call_goes_on(uninterrupted, kind, tmp_path, monkeypatch):
    search = searches()[kind].set_params(checkpoint_dir=tmp_path / "new" / "folder")
    run_epoch, n_epochs = CompiledPopulation.run_epoch, []

    def counted(population, epochs, rates):
        n_epochs.append(len(epochs))
        if stop_after and len(n_epochs) > stop_after:
            raise KeyboardInterrupt
        return run_epoch(population, epochs, rates)

    monkeypatch.setattr(CompiledPopulation, "run_epoch", counted)
    stop_after = 30
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert not hasattr(search, "cv_results_")
    before, stop_after = len(n_epochs), 0
    assert_same_results(search.fit(X, Y), uninterrupted[kind])
    n_epochs.append(-before)
    total = len(n_epochs) - before
    n_epochs.clear()
    assert_same_results(search.fit(X, Y), uninterrupted[kind])
    refit = 9
    assert len(n_epochs) <= refit < total, "nothing but the refit is trained a second time"


def test_rows_that_have_joined_stay_in(tmp_path):
    """A halving search's candidates go on from their checkpoint as from where they paused."""

    def search(folder):
        estimator = pipeline(lr_schedule="cosine", hidden_layer_sizes=(), epochs=27, validation_fraction=0.4)
        grid = {"kerasmlpregressor__learning_rate": [0.03, 0.1, 0.3]}
        return PopulationHalvingSearchCV(
            estimator, grid, n_candidates=3, cv=2, min_epochs=9, random_state=0, checkpoint_dir=folder
        )

    y = X @ [1.0, 2.0, 3.0, 4.0]
    uninterrupted = search(None).fit(X, y)
    assert np.isnan(uninterrupted.best_estimator_[-1].history_["val_loss"][-1])
    search(tmp_path / "search").fit(X, y)
    for path in (tmp_path / "search").glob("*-inf"):
        path.unlink()
    assert_same_results(search(tmp_path / "search").fit(X, y), uninterrupted)


def test_what_was_kept_took_no_time(tmp_path):
    search = searches()["grid"].set_params(refit=False, checkpoint_dir=tmp_path).fit(X, Y)
    began = time.perf_counter()
    search.fit(X, Y)
    assert 2 * search.cv_results_["mean_fit_time"].sum() <= time.perf_counter() - began


@pytest.mark.parametrize(
    ("name", "of"), [("random_state", "search"), ("estimator__kerasmlpregressor__random_state", "kerasmlpregressor")]
)
def test_chance_is_refused(name, of, tmp_path):
    """A network would go on with other rows held out, a search with other candidates."""
    search = searches()["random"].set_params(checkpoint_dir=tmp_path / "new", **{name: None})
    with pytest.raises(ValueError, match=f"every random_state must be .*Got random_state=None of {of}"):
        search.fit(X, Y)
    assert not (tmp_path / "new").exists()


def test_a_transformer_that_draws_is_noticed(tmp_path):
    """The network that was kept has learned from other numbers."""

    def search(seed):
        estimator = make_pipeline(GaussianRandomProjection(2, random_state=seed), *pipeline())
        return PopulationGridSearchCV(estimator, {}, cv=2, refit=False, checkpoint_dir=tmp_path / str(seed))

    assert search(0).fit(X, Y).best_score_ == search(0).fit(X, Y).best_score_
    search(None).fit(X, Y)
    with pytest.raises(ValueError, match=r"other rows; where .* a transformer draws, its random_state must be an"):
        search(None).fit(X, Y)


def test_rows_are_the_same_in_one_process_and_in_several():
    """In one, all folds are parts of the same X."""
    folds = Folds(plain_regressor(), X, Y, [np.arange(50, 120)], {})
    sessions = [Session([Fit(plain_regressor(random_state=0), {}, 0, 0)], data) for data in (folds, dict(folds))]
    members = [session._runs[fit][0][0].task.members[0] for session in sessions for fit in session._runs]
    assert len(members[0].rows.X) > len(members[1].rows.X)
    assert len({session._rows_of(member) for session, member in zip(sessions, members, strict=True)}) == 1


def test_frames_that_somebody_has_looked_at():
    search, table = PopulationGridSearchCV(plain_regressor(), {}), pd.DataFrame(X).assign(kind=list("uv") * 60)
    before = identity(search, table, Y, {}, [])
    table.iloc[[1, 2]]  # pandas keeps where it has looked
    table.to_numpy()
    assert identity(search, table, Y, {}, []) == before
    assert identity(search, table.assign(kind=list("vu") * 60), Y, {}, []) != before
    assert identity(search, table.rename(columns={"kind": "sort"}), Y, {}, []) != before
    assert identity(search, table.assign(kind=[[1]] * 120), Y, {}, []) != before


def test_a_generator_among_the_parameters(tmp_path):
    """It has an address, which is another one in the next process, and a state, which is what counts."""

    def search(seed):
        estimator = pipeline(random_state=np.random.RandomState(seed))
        grid = {"kerasmlpregressor__learning_rate": [1e-2]}
        return PopulationGridSearchCV(estimator, grid, cv=2, checkpoint_dir=tmp_path / "search")

    assert_same_results(search(0).fit(X, Y), search(0).fit(X, Y))
    with pytest.raises(ValueError, match="one of another estimator"):
        search(1).fit(X, Y)


KILLED = """
import sys
import numpy as np
sys.path.insert(0, {tests!r})
import test_checkpoint
search = test_checkpoint.searches()["random"].set_params(
    checkpoint_dir={folder!r}, estimator__kerasmlpregressor__epochs=2000
)
search.fit(test_checkpoint.X, test_checkpoint.Y)
"""


@pytest.mark.slow
def test_after_a_kill(tmp_path):
    """The process is killed as soon as one network is done."""
    folder = tmp_path / "search"
    code = KILLED.format(tests=os.path.dirname(__file__), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        for _ in range(1200):
            done = list(folder.glob("*-*-inf")) if folder.exists() else []
            if done or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 0 < len(done) < 6
    times = {path: path.stat().st_mtime_ns for path in done}
    search = searches()["random"].set_params(estimator__kerasmlpregressor__epochs=2000)
    resumed = search.set_params(checkpoint_dir=folder).fit(X, Y)
    assert times == {path: path.stat().st_mtime_ns for path in done}, "they were not trained again"
    assert_same_results(resumed, search.set_params(checkpoint_dir=None).fit(X, Y))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search's folder, when it has ended."""
    folder = tmp_path_factory.mktemp("finished")
    searches()["random"].set_params(checkpoint_dir=folder).fit(X, Y)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(folder, search, message, data=(X, Y)):
    """The search does not start, and the folder stays as it is."""
    before = contents(folder)
    with pytest.raises(ValueError, match=message):
        search.set_params(checkpoint_dir=str(folder)).fit(*data)
    assert contents(folder) == before


def test_processes_share_the_folder(finished, uninterrupted, tmp_path):
    search = searches()["random"].set_params(checkpoint_dir=tmp_path, n_jobs=2).fit(X, Y)
    assert_same_results(search, uninterrupted["random"])
    kept = contents(tmp_path)
    assert set(kept) == set(contents(finished))
    assert_same_results(search.set_params(n_jobs=None).fit(X, Y), uninterrupted["random"])
    assert contents(tmp_path) == kept


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimator__kerasmlpregressor__batch_size": 16}, "the same search. Got .* with one of another estimator"),
        ({"cv": 3}, "one of another splits"),
        ({"random_state": 4}, "other candidates or other rows; where a search or a transformer draws"),
    ],
)
def test_the_folder_of_another_search_is_refused(finished, changes, message):
    refused(finished, searches()["random"].set_params(**changes), message)


def test_the_folder_of_another_kind_of_search_is_refused(finished):
    refused(finished, searches()["halving"], "one of another kind")


def test_other_data_are_refused(finished):
    refused(finished, searches()["random"], "one of another data", (X, Y + 1))


def test_scoring_and_the_like_may_change(finished, uninterrupted):
    search = searches()["random"].set_params(checkpoint_dir=finished, scoring="neg_mean_absolute_error").fit(X, Y)
    assert search.best_score_ != uninterrupted["random"].best_score_


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    refused(tmp_path, searches()["random"], "checkpoint_dir must be empty or hold a checkpoint")


def test_a_folder_of_a_process_that_was_killed_at_once(uninterrupted, tmp_path):
    (tmp_path / "search.json.123").write_text('{"kind"')
    assert_same_results(searches()["random"].set_params(checkpoint_dir=tmp_path).fit(X, Y), uninterrupted["random"])


def test_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(ValueError, match="checkpoint_dir must be a folder"):
        searches()["random"].set_params(checkpoint_dir=path).fit(X, Y)
    with pytest.raises(ValueError, match="The 'checkpoint_dir' parameter"):
        searches()["random"].set_params(checkpoint_dir=3).fit(X, Y)


@pytest.mark.parametrize("content", [pickle.dumps(print), b"", b"PK\x03\x04"])
def test_files_of_another_kind_are_refused(finished, tmp_path, content):
    """Nothing is unpickled: earlier versions wrote pickles."""
    for path, known in contents(finished).items():
        assert path == "search.json" or known.startswith(b"PK")
        (tmp_path / path).write_bytes(content if path == "0-0-inf" else known)
    refused(tmp_path, searches()["random"], "checkpoint_dir must hold a whole checkpoint.* a bad 0-0-inf")


def test_folders_of_earlier_versions_are_refused(finished, tmp_path):
    manifest = json.loads(contents(finished)["search.json"])
    (tmp_path / "search.json").write_text(json.dumps(manifest | {"format": "3"}))
    refused(tmp_path, searches()["random"], "one of another format")


@pytest.mark.parametrize("name", ["search.json", "0-0-inf"])
@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: content[:40] + b"?" + content[41:]])
def test_a_corrupt_folder_is_refused(finished, tmp_path, name, damage):
    for path, content in contents(finished).items():
        (tmp_path / path).write_bytes(damage(content) if path == name else content)
    refused(tmp_path, searches()["random"], "checkpoint_dir must hold")


def test_candidates_that_look_the_same(tmp_path):
    """Only the last of many columns differs, which `repr` leaves out."""

    def search(last):
        wide = np.concatenate([np.repeat(X, 9, axis=1), Y[:, None]], axis=1)
        estimator = plain_regressor(hidden_layer_sizes=(4,), epochs=2, random_state=0)
        grid = {"deep_features": [[*range(33), last]]}
        return PopulationGridSearchCV(estimator, grid, cv=2, refit=False, checkpoint_dir=tmp_path).fit(wide, Y)

    first = search(33)
    assert search(33).best_score_ == first.best_score_
    with pytest.raises(ValueError, match="other candidates"):
        search(36)


def test_sparse_rows_that_somebody_has_looked_at():
    search = PopulationGridSearchCV(plain_regressor(), {"learning_rate": [1e-2]})
    rows = csr_array(X)
    before = identity(search, rows, Y, {}, [])
    assert rows.has_canonical_format  # which scipy keeps in the matrix
    assert identity(search, rows, Y, {}, []) == before
    assert identity(search, 2 * rows, Y, {}, []) != before
