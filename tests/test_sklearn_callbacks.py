"""scikit-learn's callbacks, those of `set_callbacks`: on both estimators and engines, within and on searches."""

import pickle

import joblib
import keras
import numpy as np
import pytest
import rich
from optional import pd
from plain import plain_classifier, plain_regressor
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp.model_selection import (
    CoarseToFineSearchCV,
    HyperbandSearchCV,
    PopulationGridSearchCV,
    PopulationHalvingSearchCV,
    PopulationRandomizedSearchCV,
)

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((96, 4))
TARGET = 100 + 10 * (X @ [1.0, -2.0, 3.0, 0.5])
LABELS = np.where(TARGET > 100, "high", "low")
RATES = {"learning_rate": [1e-3, 1e-2]}

both_engines = pytest.mark.parametrize("engine", ["compiled", "keras"])


def regressor(**params):
    return plain_regressor(**{"n_hidden": 1, "n_neurons": 5, "epochs": 3, "random_state": 0, **params})


def classifier(**params):
    return plain_classifier(**{"n_hidden": 1, "n_neurons": 5, "epochs": 3, "random_state": 0, **params})


class Recorder:
    """Note every event, and stop or fail where that is asked for."""

    def __init__(self, stop_at=None, fail_at=None):
        self.events, self.stop_at, self.fail_at = [], stop_at, fail_at

    def note(self, event, estimator, context, **arguments):
        self.events.append((event, context.task_name, estimator, context, arguments))
        if self.fail_at == (event, context.task_name):
            raise RuntimeError(f"failed at {event}")

    def setup(self, estimator, context):
        self.note("setup", estimator, context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.note("begin", estimator, context, X=X, y=y, metadata=metadata, fitted=fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.note("end", estimator, context, X=X, y=y, metadata=metadata, fitted=fitted_estimator)
        return context.task_name == "epoch" and context.task_id == self.stop_at

    def teardown(self, estimator, context):
        self.note("teardown", estimator, context)

    def names(self, event):
        return [task for name, task, *_ in self.events if name == event]

    def ends(self, task):
        """Of tasks of this name that have ended: estimator, context and arguments."""
        return [found for event, name, *found in self.events if (event, name) == ("end", task)]


class Propagated(Recorder):
    """One that meta-estimators hand on."""

    max_propagation_depth = None


def events_of(n_epochs):
    epochs = [("begin", "epoch"), ("end", "epoch")] * n_epochs
    return [("setup", "fit"), ("begin", "fit"), *epochs, ("end", "fit"), ("teardown", "fit")]


# An estimator's fit


@both_engines
@pytest.mark.parametrize(("make", "y"), [(regressor, TARGET), (classifier, LABELS)], ids=["regressor", "classifier"])
def test_a_task_for_each_epoch(make, y, engine):
    recorder = Recorder()
    mlp = make(engine=engine, early_stopping=False).set_callbacks(recorder).fit(X, y)
    assert [event[:2] for event in recorder.events] == events_of(3)
    root = recorder.events[0][3]
    assert (root.max_subtasks, root.estimator_name) == (3, type(mlp).__name__)
    for _, _, estimator, context, arguments in recorder.events[1:-1]:
        assert type(estimator) is type(mlp)
        assert arguments["X"] is X
        assert arguments["y"] is y
        assert arguments["metadata"] is None
        assert context in (root, *root)
    epochs = recorder.ends("epoch")
    assert [context.task_id for _, context, _ in epochs] == [0, 1, 2]
    assert [arguments["fitted"].n_iter_ for *_, arguments in epochs] == [1, 2, 3]
    for estimator, _, arguments in (epochs[-1], *recorder.ends("fit")):
        np.testing.assert_array_equal(arguments["fitted"].predict(X), mlp.predict(X))
        assert arguments["fitted"] is not estimator
    assert recorder.ends("fit")[0][0].n_iter_ == 3, "the estimator is fitted when its task ends"
    assert not {name for name in vars(mlp) if "callback" in name} - {"_skl_callbacks", "callbacks"}


@both_engines
def test_scores_of_the_present_weights(engine):
    monitor = callback.ScoringMonitor(scoring=["r2", "neg_mean_absolute_error"])
    weight = np.linspace(0.5, 2, len(X))
    mlp = regressor(engine=engine, patience=1, learning_rate=0.5, epochs=8)
    mlp.set_callbacks(monitor).fit(X, TARGET, sample_weight=weight)
    of_fit, *of_epochs = monitor.get_logs().data
    assert 1 < mlp.n_iter_ < 8
    assert [log["task_id_path"] for log in of_epochs] == [(0, i) for i in range(mlp.n_iter_)]
    assert of_fit["r2"] == of_epochs[mlp.best_epoch_]["r2"] != of_epochs[-1]["r2"]
    assert of_fit["r2"] == pytest.approx(mlp.score(X, TARGET, weight))
    assert {"r2", "neg_mean_absolute_error"} < set(of_epochs[0])


def test_scores_are_those_of_shorter_fits():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    mlp = classifier(early_stopping=False, learning_rate=0.1).set_callbacks(monitor).fit(X, LABELS)
    shorter = [clone(mlp).set_callbacks().set_params(epochs=n).fit(X, LABELS) for n in (1, 2, 3)]
    assert [log["accuracy"] for log in monitor.get_logs().data[1:]] == [short.score(X, LABELS) for short in shorter]


def test_metadata():
    recorder, weight = Recorder(), np.linspace(0.5, 2, len(X))
    regressor().set_callbacks(recorder).fit(X, TARGET, sample_weight=weight, X_val=X[:9], y_val=TARGET[:9])
    assert all(arguments["metadata"] == {"sample_weight": weight} for *_, arguments in recorder.events[1:-1])


def test_names_of_features():
    """Neither are those of a frame missing in the fitted estimators, nor do any remain from a fit before."""
    monitor, frame = callback.ScoringMonitor(scoring="r2"), pd.DataFrame(X, columns=list("abcd"))
    mlp = regressor().set_callbacks(monitor).fit(frame, TARGET)
    assert list(mlp.feature_names_in_) == list("abcd")
    mlp.fit(X, TARGET)
    assert len(monitor.get_logs(select="all")) == 2


class Stop(keras.callbacks.Callback):
    """Keras' callback that stops after the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1


@both_engines
@pytest.mark.parametrize(
    "params",
    [{"epochs": 9, "patience": 1, "learning_rate": 1.0}, {"callbacks": [Stop()]}],
    ids=["early stopping", "a callback of Keras'"],
)
def test_tasks_end_where_training_stops(params, engine):
    recorder = Recorder()
    mlp = regressor(engine=engine, **params).set_callbacks(recorder).fit(X, TARGET)
    assert 1 < mlp.n_iter_ < mlp.epochs
    assert [event[:2] for event in recorder.events] == events_of(mlp.n_iter_)


def test_no_estimator_of_weights_that_are_not_finite():
    recorder, monitor = Recorder(), callback.ScoringMonitor(scoring="r2")
    jump = keras.optimizers.schedules.PiecewiseConstantDecay([5], [1e-2, 1e18])
    mlp = regressor(optimizer="sgd", lr_schedule=jump).set_callbacks(recorder, monitor)
    with pytest.warns(ConvergenceWarning):
        mlp.fit(X, TARGET)
    assert [event[:2] for event in recorder.events] == events_of(mlp.n_iter_)
    assert recorder.ends("epoch")[-1][2]["fitted"] is None
    np.testing.assert_array_equal(recorder.ends("fit")[0][2]["fitted"].predict(X), mlp.predict(X))


@both_engines
def test_a_hook_stops_the_fit(engine):
    recorder = Recorder(stop_at=1)
    mlp = regressor(engine=engine).set_callbacks(recorder).fit(X, TARGET)
    assert mlp.n_iter_ == 2
    assert [event[:2] for event in recorder.events] == events_of(2)


@pytest.mark.parametrize("fail_at", [*events_of(1)], ids=" ".join)
def test_a_hook_that_fails_leaves_the_estimator_as_it_was(fail_at):
    mlp = regressor(warm_start=True).fit(X, TARGET)
    before = dict(vars(mlp))
    recorder = Recorder(fail_at=fail_at)
    with pytest.raises(RuntimeError, match=f"failed at {fail_at[0]}"):
        mlp.set_callbacks(recorder).fit(X, TARGET)
    assert recorder.names("teardown") == ["fit"]
    after = vars(mlp)
    assert after.pop("_skl_callbacks") == [recorder]
    assert after.keys() == before.keys()
    assert all(after[name] is value for name, value in before.items())


def test_bad_data_is_refused_before_any_hook():
    recorder = Recorder()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        regressor().set_callbacks(recorder).fit(X, TARGET[:-1])
    assert recorder.events == []


def test_partial_fit_has_no_tasks():
    recorder = Recorder()
    mlp = regressor().set_callbacks(recorder).partial_fit(X, TARGET).partial_fit(X, TARGET)
    assert recorder.events == []
    assert mlp._skl_callbacks == [recorder]


def test_clone_and_pickle():
    monitor = callback.ScoringMonitor(scoring="r2")
    mlp = regressor().set_callbacks(monitor).fit(X, TARGET)
    assert clone(mlp)._skl_callbacks == [monitor]
    assert mlp.get_params() == regressor().get_params()
    restored = pickle.loads(pickle.dumps(mlp))
    assert restored._skl_callbacks[0].get_logs().data == monitor.get_logs().data
    restored.fit(X, TARGET)
    assert len(restored._skl_callbacks[0].get_logs(select="all")) == 2
    assert not hasattr(mlp.set_callbacks(), "_skl_callbacks")


def test_a_model_and_callbacks_of_the_users_own(no_xla):
    def build(meta):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    monitor, rates = callback.ScoringMonitor(scoring="r2"), []
    decay = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(epoch))
    plain_regressor(build, epochs=2, callbacks=[decay]).set_callbacks(monitor).fit(X, TARGET)
    assert len(monitor.get_logs().data) == 3
    assert rates == [0, 1]


# Around the estimators


@pytest.fixture
def wide(monkeypatch):
    """A terminal in which no line is cut off."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(rich, "_console", None)  # made anew: another test may have made it in a narrow terminal


def bars(capsys):
    """Lines that a progress bar has shown, without their bars, each of which must be complete."""
    lines = capsys.readouterr().out.splitlines()
    assert all("100%" in line for line in lines)
    return [line.split("━")[0].rstrip() for line in lines]


def test_progress_of_an_estimator(capsys, wide):
    regressor(epochs=9, patience=1, learning_rate=1.0).set_callbacks(callback.ProgressBar()).fit(X, TARGET)
    assert bars(capsys) == ["KerasMLPRegressor - fit"]


def test_pipeline(capsys, wide):
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(), regressor()).set_callbacks(recorder, callback.ProgressBar())
    pipeline.fit(X, TARGET)
    assert recorder.names("begin") == ["fit", "fit", "fit", *["epoch"] * 3]
    assert recorder.names("end") == ["fit", *["epoch"] * 3, "fit", "fit"]
    assert not [name for name in vars(pipeline[-1]) if name.startswith("_") and "callback" in name]
    assert bars(capsys) == [
        "Pipeline - fit",
        "  Pipeline - fit-transform-standardscaler | StandardScaler - fit #0",
        "  Pipeline - fit-final-estimator | KerasMLPRegressor - fit #1",
    ]


def test_grid_search_of_scikit_learn(capsys, wide):
    recorder, monitor = Propagated(), callback.ScoringMonitor(scoring="r2")
    search = GridSearchCV(regressor().set_callbacks(monitor), RATES, cv=2)
    search.set_callbacks(recorder, callback.ProgressBar()).fit(X, TARGET)
    assert recorder.names("end").count("epoch") == 5 * 3, "2 candidates, 2 folds and the refit"
    assert len(monitor.get_logs(include_lineage=False).data) == 5 * 4
    assert search.best_estimator_._skl_callbacks == [monitor]
    evaluation = "GridSearchCV - candidate-split-evaluation | KerasMLPRegressor - fit"
    assert bars(capsys) == [
        "GridSearchCV - fit",
        "  GridSearchCV - search #0",
        *(f"    {evaluation} #{i}" for i in range(4)),
        "  GridSearchCV - refit-with-best-params | KerasMLPRegressor - fit #1",
    ]


# On population searches

SPACE = {"learning_rate": loguniform(1e-3, 1e-1)}
CANDIDATES = ["candidates", *["fit"] * 4]  # tasks of 2 candidates on 2 folds
SEARCHES = {
    PopulationGridSearchCV: ({"param_grid": RATES}, ["search", *CANDIDATES[1:], "train"]),
    PopulationRandomizedSearchCV: (
        {"param_distributions": SPACE, "n_iter": 2, "random_state": 0},
        ["search", *CANDIDATES[1:], "train"],
    ),
    PopulationHalvingSearchCV: (
        {"param_distributions": SPACE, "n_candidates": 3, "random_state": 0},
        ["halving-iteration", "train", "candidates", *["fit"] * 6, "halving-iteration", "train", *CANDIDATES[:3]],
    ),
    HyperbandSearchCV: (
        {"param_distributions": SPACE, "random_state": 0},
        [
            *["halving-iteration", "train", "candidates", *["fit"] * 6],
            *["halving-iteration", "train", "candidates", *["fit"] * 6],
        ],
    ),
    CoarseToFineSearchCV: (
        {"param_distributions": SPACE, "n_iter": 2, "n_rounds": 2, "random_state": 0},
        ["round", *CANDIDATES, "train"] * 2,
    ),
}


@pytest.mark.parametrize(("kind", "arguments", "tasks"), [(k, *v) for k, v in SEARCHES.items()])
def test_population_searches(kind, arguments, tasks, capsys, wide):
    recorder, alone = Propagated(), Recorder()
    plain = kind(regressor(), cv=2, **arguments).fit(X, TARGET)
    search = clone(plain).set_callbacks(recorder, alone, callback.ProgressBar()).fit(X, TARGET)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-5, atol=1e-7
    )
    assert not [name for name in vars(search.best_estimator_) if name.startswith("_") and "callback" in name]

    shown = bars(capsys)
    assert shown[0] == f"{kind.__name__} - fit"
    assert shown[-1].endswith("refit-with-best-params | KerasMLPRegressor - fit #1")
    assert [line.split(" - ")[-1].split(" #")[0] for line in shown[2:-1]] == tasks
    assert sum("candidate-split-evaluation | KerasMLPRegressor - fit #" in line for line in shown) == tasks.count("fit")

    for one in (recorder, alone):
        assert sorted(one.names("begin")) == sorted(one.names("end"))
    assert recorder.names("setup") == recorder.names("teardown") == ["fit"]
    assert recorder.names("end").count("fit") == tasks.count("fit") + 2, "those scored, the refit and the search"
    assert alone.names("end").count("candidate-split-evaluation") == tasks.count("fit")


def test_epochs_of_a_population():
    recorder = Recorder()
    grid = {"learning_rate": [1e-3, 1e-2], "epochs": [2, 5], "early_stopping": [False]}
    PopulationGridSearchCV(regressor(), grid, cv=2).set_callbacks(recorder).fit(X, TARGET)
    epochs = [context for _, context, _ in recorder.ends("epoch")]
    assert [context.task_id for context in epochs] == list(range(5))
    assert {context.parent.task_name for context in epochs} == {"train"}
    assert {context.estimator_name for context in epochs} == {"PopulationGridSearchCV"}


def test_metadata_of_a_population():
    recorder, weight = Propagated(), np.linspace(0.5, 2, len(X))
    search = PopulationGridSearchCV(regressor(), RATES, cv=2, refit=False).set_callbacks(recorder)
    search.fit(X, TARGET, sample_weight=weight)
    *of_fits, of_search = [arguments["metadata"]["sample_weight"] for *_, arguments in recorder.ends("fit")]
    assert [len(part) for part in of_fits] == [48] * 4
    assert of_search is weight


def test_a_hook_that_fails_while_a_population_is_trained():
    recorder = Recorder(fail_at=("end", "epoch"))
    search = PopulationGridSearchCV(regressor(), RATES, cv=2).set_callbacks(recorder)
    with pytest.raises(RuntimeError, match="failed at end"):
        search.fit(X, TARGET)
    assert recorder.names("teardown") == ["fit"]
    assert not hasattr(search, "best_estimator_")


class Watcher(Recorder):
    """Note what the estimator that a hook is given knows, and what its parameters are."""

    def note(self, event, estimator, context, **arguments):
        if type(estimator) is PopulationGridSearchCV:
            known = {"best_params_", "best_estimator_", "cv_results_"} & {*vars(estimator)}
            self.events.append((event, context.task_name, estimator, known, estimator.get_params(deep=False)))
        if self.fail_at == (event, context.task_name):
            raise RuntimeError("failed")


def test_hooks_get_the_search_itself_with_what_it_has_learned():
    """Its parameters are those that the user has set at all times, and others see the callbacks that it has."""
    watcher = Watcher()
    search = PopulationGridSearchCV(regressor(), RATES, cv=2, n_jobs=2).set_callbacks(watcher)
    parameters = search.get_params(deep=False)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, TARGET)
    assert watcher.events[0][0] == "setup" and watcher.events[-1][0] == "teardown"
    assert all(estimator is search and given == parameters for *_, estimator, _, given in watcher.events)
    known = {(event, task): known for event, task, _, known, _ in watcher.events}
    assert known["begin", "search"] == set()
    assert known["end", "refit-with-best-params"] == {"best_params_", "best_estimator_"}
    assert known["end", "fit"] == {"best_params_", "best_estimator_", "cv_results_"}
    assert search._skl_callbacks == [watcher]


def test_a_search_whose_refit_fails_stays_as_it_was():
    search = PopulationGridSearchCV(regressor(), RATES, cv=2).fit(X, TARGET)
    before = {name: value for name, value in vars(search).items()}
    with pytest.raises(RuntimeError, match="failed"):
        search.set_callbacks(Watcher(fail_at=("end", "refit-with-best-params"))).fit(X[:60], TARGET[:60])
    assert {name: value for name, value in vars(search).items() if name != "_skl_callbacks"} == before


class Pickler(Propagated):
    """Note what another process would get of an estimator's callbacks."""

    def note(self, event, estimator, context, **arguments):
        if not isinstance(estimator, PopulationGridSearchCV):
            self.events.append(pickle.loads(pickle.dumps(estimator._skl_callbacks)))


def test_callbacks_of_a_search_can_be_sent_to_other_processes():
    """They go with the estimators that are fitted there, and the search does not."""
    pickler = Pickler()
    PopulationGridSearchCV(regressor(), RATES, cv=2).set_callbacks(pickler).fit(X, TARGET)
    assert pickler.events and all([type(callback) for callback in sent] == [Pickler] for sent in pickler.events)


def test_population_search_of_a_pipeline(capsys, wide):
    def score(estimator, X, y):
        assert not [name for name in vars(estimator[-1]) if name.startswith("_") and "callback" in name]
        return estimator.score(X, y)

    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", regressor())])
    grid = {"mlp__learning_rate": [1e-3, 1e-2]}
    search = PopulationGridSearchCV(pipeline, grid, cv=2, scoring=score, error_score="raise")
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, TARGET)
    shown = bars(capsys)
    assert sum("candidate-split-evaluation | Pipeline - fit" in line for line in shown) == 4
    assert shown[-1].endswith("Pipeline - fit-final-estimator | KerasMLPRegressor - fit #1")


@pytest.mark.parametrize("kind", [PopulationGridSearchCV, PopulationHalvingSearchCV])
def test_callbacks_of_the_estimator_that_is_searched(kind):
    monitor, recorder = callback.ScoringMonitor(scoring="r2"), Propagated()
    arguments, _ = SEARCHES[kind]
    search = kind(regressor().set_callbacks(monitor), cv=2, **arguments).set_callbacks(recorder)
    with pytest.warns(UserWarning, match="fits are trained one by one.*because of scikit-learn's callbacks"):
        search.fit(X, TARGET)
    n_fits = 2 * search.n_candidates_[0] if kind is PopulationHalvingSearchCV else 4
    assert sum(len(run.data) for run in monitor.get_logs(select="all")) == (n_fits + 1) * 4
    assert search.best_estimator_._skl_callbacks == [monitor]


@pytest.mark.filterwarnings("ignore:4 fits are trained one by one")
def test_callbacks_that_must_be_set_on_the_search():
    for kind in (GridSearchCV, PopulationGridSearchCV):
        with pytest.raises(ValueError, match="Register them directly on the meta-estimator"):
            kind(regressor().set_callbacks(Propagated()), RATES, cv=2).fit(X, TARGET)


@both_engines
def test_an_ensemble_stops_with_its_first_member(engine):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    mlp = classifier(engine=engine, epochs=5, ensemble_size=2, early_stopping=engine == "compiled")
    assert mlp.set_callbacks(monitor).fit(X, LABELS).n_iter_ == 5  # scored with the calibration of that member
    assert len(monitor.get_logs().data) == 11, "the fit, and the epochs of both members"
    stopping = clone(mlp).set_callbacks(Recorder(stop_at=1))
    assert stopping.fit(X, LABELS).n_iter_ == 2


def test_progress_of_an_ensemble_is_even():
    """Epochs of all members are tasks of the fit, which knows how many there are."""
    recorder = Recorder()
    regressor(ensemble_size=3, early_stopping=False).set_callbacks(recorder).fit(X, TARGET)
    ((_, fit, _),) = recorder.ends("fit")
    assert [context.task_id for _, context, _ in recorder.ends("epoch")] == list(range(9))
    assert fit.max_subtasks == 9
