"""Displays of searches and of sweeps over the learning rate, and searches as studies of Optuna's."""

import itertools

import numpy as np
import pytest
from optional import mpl
from plain import plain_classifier
from scipy.stats import loguniform, randint
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp.inspection import LearningRateDisplay, SearchDisplay
from sk_mlp.inspection._parameter_axes import ParameterAxis
from sk_mlp.model_selection import (
    HyperbandSearchCV,
    PopulationHalvingSearchCV,
    PopulationRandomizedSearchCV,
    one_minus,
    to_optuna_study,
)
from sk_mlp.model_selection._learning_rate import LearningRateSweep
from sk_mlp.model_selection._results import candidates_of

X, LABELS = load_iris(return_X_y=True)
RATE = "plain__learning_rate"


@pytest.fixture(autouse=True)
def pyplot():
    mpl.use("Agg")
    yield mpl.pyplot
    mpl.pyplot.close("all")


def mlp():
    return plain_classifier(n_hidden=1, n_neurons=4, epochs=4, random_state=0)


@pytest.fixture(scope="module")
def random():
    space = {
        "kerasmlpclassifier__learning_rate": loguniform(1e-4, 1),
        "kerasmlpclassifier__n_neurons": randint(2, 9),
        "kerasmlpclassifier__activation": ["relu", "tanh", "elu"],
        "kerasmlpclassifier__ema_momentum": one_minus(loguniform(1e-3, 1e-1)),
        "kerasmlpclassifier__batch_size": [16, 32, 64],
        "standardscaler__with_mean": [True],
    }
    pipeline = make_pipeline(StandardScaler(), mlp())
    return PopulationRandomizedSearchCV(pipeline, space, n_iter=8, cv=2, random_state=0).fit(X, LABELS)


@pytest.fixture(scope="module")
def hyperband():
    space = {"learning_rate": loguniform(1e-4, 1)}
    return HyperbandSearchCV(mlp(), space, cv=2, factor=2, random_state=0).fit(X, LABELS)


def legend_of(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def test_a_panel_for_each_hyperparameter_that_varies(random):
    display = SearchDisplay.from_search(random)
    labels = [ax.get_xlabel() for ax in display.axes_]
    assert labels == ["activation", "batch_size", "1 - ema_momentum", "learning_rate", "n_neurons"]
    assert [ax.get_xscale() for ax in display.axes_] == ["linear", "linear", "log", "log", "linear"]
    assert display.axes_[2].xaxis.get_inverted()
    assert display.axes_[0].get_ylabel() == "mean score"
    shown = np.sort(np.concatenate([points.get_offsets()[:, 0] for points in display.axes_[3].collections]))
    np.testing.assert_allclose(
        shown, np.sort(random.cv_results_["param_kerasmlpclassifier__learning_rate"].astype(float))
    )
    (best,) = display.axes_[3].lines
    assert best.get_xdata()[0] == random.best_params_["kerasmlpclassifier__learning_rate"]
    assert best.get_ydata()[0] == random.best_score_


def test_within_axes_of_the_users(random, pyplot):
    figure, (left, right) = pyplot.subplots(1, 2)
    name = "kerasmlpclassifier__learning_rate"
    assert SearchDisplay.from_search(random, parameters=[name], ax=left).ax_ is left
    display = SearchDisplay.from_search(random, parameters=[name, "kerasmlpclassifier__n_neurons"], ax=right)
    assert len(display.axes_) == 2
    assert display.figure_ is figure


@pytest.mark.parametrize("layout", ["none", "tight", "constrained"])
def test_panels_in_the_place_of_axes_leave_room_for_labels(random, layout, pyplot):
    figure, (_, right) = pyplot.subplots(1, 2, figsize=(10, 5), layout=layout)
    names = [f"kerasmlpclassifier__{name}" for name in ("activation", "batch_size", "learning_rate", "n_neurons")]
    panels = SearchDisplay.from_search(random, parameters=names, ax=right).axes_
    figure.canvas.draw()
    for upper, lower in zip(panels[:2], panels[2:], strict=True):
        assert upper.xaxis.label.get_window_extent().y0 > lower.bbox.y1


def test_a_map_of_two(random):
    names = ["kerasmlpclassifier__learning_rate", "kerasmlpclassifier__n_neurons"]
    display = SearchDisplay.from_search(random, kind="map", parameters=names)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("learning_rate", "n_neurons")
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "linear")
    np.testing.assert_allclose(np.sort(display.ax_.collections[0].get_array()), np.sort(display.scores))
    assert legend_of(display) == [f"best: {random.best_score_:.4g}"]


def test_rungs_of_hyperband(hyperband):
    display = SearchDisplay.from_search(hyperband, kind="rungs")
    *lines, best = display.ax_.lines
    results = hyperband.cv_results_
    assert len(lines) == len({params["learning_rate"] for params in results["params"]})
    assert sorted({x for line in lines for x in line.get_xdata()}) == sorted(set(results["n_epochs"]))
    assert best.get_ydata()[0] == hyperband.best_score_
    assert best.get_xdata()[0] == 4
    assert len({line.get_marker() for line in lines}) == len(set(results["bracket"])) == 3
    assert display.ax_.get_xlabel() == "epochs"
    assert legend_of(display)[0].startswith("bracket 1: ")


def test_candidates_of_a_halving_search_are_shown_once(hyperband):
    display = SearchDisplay.from_search(hyperband)
    n_points = sum(len(points.get_offsets()) for points in display.ax_.collections)
    assert n_points == len({params["learning_rate"] for params in hyperband.cv_results_["params"]})
    assert "stopped before" in [points.get_label() for points in display.ax_.collections]


def test_best_so_far_by_time(random, hyperband):
    display = SearchDisplay.from_search(random, kind="time", name="random")
    (line,) = display.ax_.lines
    assert np.all(np.diff(line.get_ydata()) >= 0)
    assert line.get_ydata()[-1] == random.best_score_
    assert line.get_xdata()[-1] == pytest.approx(2 * random.cv_results_["mean_fit_time"].sum())
    other = SearchDisplay.from_search(hyperband, kind="time", name="hyperband", ax=display.ax_)
    assert other.ax_.lines[1].get_linestyle() != line.get_linestyle()
    assert other.ax_.lines[1].get_color() != line.get_color()
    assert "hyperband: best so far" in " ".join(legend_of(other))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the test scores")
def test_searches_of_scikit_learn_with_failures_and_several_metrics():
    grid = [{"C": [1e-3, 1e-1, 10.0, -1.0]}, {"tol": [1e-4], "C": [1.0], "fit_intercept": [False, True]}]
    scoring = ["accuracy", "neg_log_loss"]
    search = GridSearchCV(LogisticRegression(max_iter=1000), grid, cv=2, scoring=scoring, refit="accuracy").fit(
        X, LABELS
    )
    display = SearchDisplay.from_search(search, metric="neg_log_loss")
    assert [ax.get_xlabel() for ax in display.axes_] == ["C", "fit_intercept"]
    assert display.axes_[0].get_ylabel() == "mean neg_log_loss"
    assert "failed: 1" in [points.get_label() for points in display.axes_[0].collections]
    with pytest.raises(ValueError, match=r"'metric' parameter must be one of 'accuracy', 'neg_log_loss'\. Got 'f1'"):
        SearchDisplay.from_search(search, metric="f1")


def test_far_outliers_are_marked_and_leave_room():
    scores = [0.9, 0.91, 0.92, 0.93, -1e9]
    axes = SearchDisplay.from_search(ridge_search()).parameters
    display = SearchDisplay(scores, {"alpha": axes["alpha"]}, np.ones(5)).plot()
    assert display.ax_.get_ylim()[0] > 0.7
    assert "lower: 1" in [points.get_label() for points in display.ax_.collections]


def test_scores_that_are_tied_at_the_top_hide_no_others():
    axes = {"alpha": SearchDisplay.from_search(ridge_search()).parameters["alpha"]}
    display = SearchDisplay([1.0, 1 - 1e-16, 1.0, 0.9, 0.8], axes, np.ones(5)).plot()
    assert display.ax_.get_ylim()[0] < 0.8
    assert not any("lower" in points.get_label() for points in display.ax_.collections)
    low, high = SearchDisplay([1.0, 1 - 1e-16, 1.0, 1.0, 1.0], axes, np.ones(5)).plot().ax_.get_ylim()
    assert high - low > 0.1


def test_ticks_of_whole_numbers_are_whole():
    axis = ParameterAxis("n_hidden", list(range(11)), "linear")
    panels = SearchDisplay(np.linspace(0, 1, 11), dict.fromkeys("abc", axis), np.ones(11)).plot().axes_
    assert all(tick == round(tick) for tick in panels[0].get_xticks())


def test_candidates_that_have_drawn_the_same():
    space = {"n_neurons": randint(4, 6)}
    search = PopulationHalvingSearchCV(mlp(), space, n_candidates=6, factor=2, cv=2, random_state=0, refit=False)
    found = candidates_of(search.fit(X, LABELS))
    assert len(found) == 6
    assert sorted(row for rows in found for row in rows) == list(range(len(search.cv_results_["params"])))
    assert all((np.diff(search.cv_results_["iter"][rows]) == 1).all() for rows in found)


def ridge_search():
    search = RandomizedSearchCV(Ridge(), {"alpha": loguniform(1e-3, 10)}, n_iter=5, cv=2, random_state=0)
    return search.fit(X, LABELS)


def test_many_categories_do_not_overlap():
    axis = ParameterAxis("kind", [f"category number {i}" for i in range(25)], "categories")
    display = SearchDisplay(np.linspace(0, 1, 25), {"a": axis, "b": axis}, np.ones(25))
    for kind in ("parameters", "map"):
        display.plot(kind=kind).figure_.canvas.draw()
        for labels in (display.ax_.get_xticklabels(), display.ax_.get_yticklabels() if kind == "map" else []):
            boxes = [label.get_window_extent() for label in labels if label.get_text()]
            assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


@pytest.mark.parametrize("kind", ["parameters", "map", "time"])
def test_a_search_without_any_score_has_no_best(kind):
    axes = {name: ParameterAxis(name, [1, 2], "linear") for name in "ab"}
    display = SearchDisplay([np.nan, np.nan], axes, np.ones(2)).plot(kind=kind)
    assert not any(word in " ".join(legend_of(display)) for word in ("nan", "inf"))


def test_what_cannot_be_drawn(random):
    with pytest.raises(ValueError, match="'kind' parameter must be one of 'parameters', 'map', 'rungs', 'time'"):
        SearchDisplay.from_search(random, kind="surface")
    with pytest.raises(ValueError, match="searches by halving"):
        SearchDisplay.from_search(random, kind="rungs")
    with pytest.raises(ValueError, match=r"'parameters' parameter .* Got \['depth'\]"):
        SearchDisplay.from_search(random, parameters=["depth"])
    with pytest.raises(ValueError, match="must be 2 names"):
        SearchDisplay.from_search(ridge_search(), kind="map")
    with pytest.raises(ValueError, match="Got None, where alpha alone has several values"):
        SearchDisplay.from_search(ridge_search(), kind="map")
    with pytest.raises(TypeError, match="'search' parameter must be a search"):
        SearchDisplay.from_search(Ridge())
    for kind in ("parameters", "map", "time"):
        with pytest.raises(TypeError, match=r"'ax' parameter must be a matplotlib\.axes\.Axes or None"):
            SearchDisplay.from_search(random, kind=kind, ax=mpl.pyplot.subplots(1, 2)[1])
    with pytest.raises(NotFittedError):
        SearchDisplay.from_search(GridSearchCV(Ridge(), {"alpha": [1.0]}))


@pytest.mark.parametrize("kind", ["parameters", "map", "time"])
def test_no_label_is_clipped(kind, random):
    figure = SearchDisplay.from_search(random, kind=kind).figure_
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for ax in filter(lambda ax: ax.get_visible(), figure.axes):
        texts = [ax.xaxis.label, ax.yaxis.label]
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            ticks = axis.get_major_ticks()
            texts += [tick.label1 for tick in ticks if min(limits) <= tick.get_loc() <= max(limits)]
        for text in texts:
            box = text.get_window_extent()
            if text.get_text() and text.get_visible():
                assert box.x0 >= -1, text
                assert box.y0 >= -1, text
                assert box.x1 <= width + 1, text
                assert box.y1 <= height + 1, text


# Learning rates


def sweep(blow_up):
    rates = np.geomspace(1e-4, 1, 30)
    losses = np.where(rates < 0.3, 1 - rates, 50.0)
    return LearningRateSweep(rates, losses, losses, blow_up, 0.15)


@pytest.mark.parametrize("blow_up", [None, 0.3])
def test_a_sweep(blow_up):
    display = LearningRateDisplay.from_sweep(sweep(blow_up), name="SGD")
    assert len(display.lines_) == (3 if blow_up is None else 4)
    assert display.lines_[2].get_xdata()[0] == 0.15
    assert 0.8 < display.lines_[2].get_ydata()[0] < 0.9, "on the curve"
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_ylim()[1] < 2, "what comes after the blow-up would hide the rest"
    assert "SGD: suggestion: 0.15" in legend_of(display)
    with pytest.raises(TypeError, match="'sweep' parameter must be a LearningRateSweep"):
        LearningRateDisplay.from_sweep([1.0])


def test_a_sweep_that_only_rises():
    rates, losses = np.geomspace(1e-4, 1, 30), np.linspace(0.7, 9, 30)
    low, high = LearningRateDisplay(rates, losses, losses, 1e-6, blow_up=1e-4).plot().ax_.get_ylim()
    assert high - low > 0.05


# Optuna


def test_a_study_of_a_search(random):
    optuna = pytest.importorskip("optuna")
    study = to_optuna_study(random)
    assert study.best_value == random.best_score_
    assert study.best_params == random.best_params_
    spaces = study.trials[0].distributions
    assert spaces["kerasmlpclassifier__learning_rate"].log
    assert isinstance(spaces["kerasmlpclassifier__n_neurons"], optuna.distributions.IntDistribution)
    assert spaces["kerasmlpclassifier__activation"].choices
    assert optuna.importance.get_param_importances(study)


def test_a_study_of_a_halving_search(hyperband):
    optuna = pytest.importorskip("optuna")
    study = to_optuna_study(hyperband)
    results = hyperband.cv_results_
    states = [trial.state for trial in study.trials]
    assert states.count(optuna.trial.TrialState.COMPLETE) == (results["n_epochs"] == 4).sum()
    assert states.count(optuna.trial.TrialState.PRUNED) > 0
    assert max(len(trial.intermediate_values) for trial in study.trials) == results["iter"].max() + 1
    best = study.best_trial
    assert (best.value, best.params) == (hyperband.best_score_, hyperband.best_params_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the test scores")
def test_a_study_of_values_that_optuna_cannot_store_and_of_failures():
    optuna = pytest.importorskip("optuna")
    grid = {"C": [1.0, -1.0], "class_weight": [None, {0: 1.0, 1: 2.0, 2: 1.0}]}
    study = to_optuna_study(GridSearchCV(LogisticRegression(max_iter=1000), grid, cv=2, refit=False).fit(X, LABELS))
    states = [trial.state for trial in study.trials]
    assert states.count(optuna.trial.TrialState.FAIL) == 2
    assert {trial.params["class_weight"] for trial in study.trials} == {None, "{0: 1.0, 1: 2.0, 2: 1.0}"}
    with pytest.raises(TypeError, match="'search' parameter"):
        to_optuna_study(LogisticRegression())


@pytest.mark.parametrize("kind", ["parameters", "map", "rungs", "time", "rates"])
def test_titles_meet_no_legend(kind, hyperband, random):
    if kind == "rates":
        display = LearningRateDisplay([0.1, 0.2], [1.0, 0.5], [1.0, 0.7], 0.1, blow_up=0.2).plot()
    else:
        display = SearchDisplay.from_search(random if kind == "map" else hyperband, kind=kind)
    title = display.ax_.set_title("A title")
    display.figure_.canvas.draw()
    legend = display.legend_.get_window_extent()
    assert legend.y1 < display.ax_.xaxis.label.get_window_extent().y0
    assert title.get_window_extent().y0 > display.ax_.bbox.y1
    assert legend.y0 >= 0
