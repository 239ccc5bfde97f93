"""Successive halving and Hyperband."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from plain import plain_regressor
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import PLAIN_MLP, KerasMLPRegressor
from sk_mlp.engine import train
from sk_mlp.model_selection import HyperbandSearchCV, PopulationHalvingSearchCV
from sk_mlp.model_selection._rungs import rungs

RNG = np.random.default_rng(0)
X = 10 * RNG.standard_normal((240, 5)) + 3
Y = X @ RNG.standard_normal(5) + 5 * np.sin(X[:, 0]) + 100
SPACE = {"kerasmlpregressor__learning_rate": loguniform(1e-4, 1e-1)}
ONE_SPLIT = [(np.arange(40), np.arange(40, 60))]  # for Keras' own training, which takes a second for each fit


def pipeline(**params):
    settings = {"hidden_layer_sizes": (8,), "epochs": 9, "random_state": 0, "dropout": 0.1, "lr_schedule": "cosine"}
    return make_pipeline(StandardScaler(), plain_regressor(**settings | params))


@pytest.fixture(scope="module")
def halving():
    search = PopulationHalvingSearchCV(pipeline(), SPACE, n_candidates=9, cv=2, random_state=0)
    return search.fit(X, Y)


def test_rungs_of_halving(halving):
    assert halving.n_candidates_ == [9, 3, 1]
    assert halving.n_epochs_ == [1, 3, 9]
    assert halving.max_epochs_ == 9
    results = halving.cv_results_
    assert len(results["params"]) == 13
    np.testing.assert_array_equal(results["iter"], [0] * 9 + [1] * 3 + [2])
    np.testing.assert_array_equal(results["n_epochs"], [1] * 9 + [3] * 3 + [9])
    np.testing.assert_array_equal(results["bracket"], 0)


def test_the_best_survive(halving):
    results = halving.cv_results_
    scores, params = results["mean_test_score"], [str(candidate) for candidate in results["params"]]
    best = {params[i] for i in np.argsort(-scores[:9])[:3]}
    assert set(params[9:12]) == best
    assert params[12] == params[9 + int(np.argmax(scores[9:12]))]
    assert halving.best_index_ == 12
    assert halving.best_score_ == scores[12]
    assert str(halving.best_params_) == params[12]


def test_survivors_go_on_from_where_they_are(halving):
    """The winner's score is that of the same fit in one go: weights, optimizer, schedule and dropout go on."""
    whole = GridSearchCV(pipeline(), {name: [value] for name, value in halving.best_params_.items()}, cv=2)
    assert halving.best_score_ == pytest.approx(whole.fit(X, Y).best_score_, rel=1e-4)
    np.testing.assert_allclose(halving.predict(X), whole.predict(X), rtol=1e-4)
    assert halving.best_estimator_[-1].n_iter_ == whole.best_estimator_[-1].n_iter_


def test_no_epoch_is_run_twice(monkeypatch):
    epochs = []
    update = train.Run.update
    monkeypatch.setattr(train.Run, "update", lambda run, logs: epochs.append(run.epoch) or update(run, logs))
    PopulationHalvingSearchCV(
        pipeline(early_stopping=False), SPACE, n_candidates=9, cv=2, random_state=0, refit=False
    ).fit(X, Y)
    assert len(epochs) == 2 * (9 * 1 + 3 * 2 + 1 * 6)


def test_times_of_rungs_are_their_own():
    began = time.perf_counter()
    search = PopulationHalvingSearchCV(pipeline(), SPACE, n_candidates=9, cv=2, random_state=0, refit=False).fit(X, Y)
    assert 2 * search.cv_results_["mean_fit_time"].sum() <= time.perf_counter() - began


@pytest.mark.parametrize("cv", [2, 3])
def test_automatic_epochs_are_the_same_for_all(cv):
    """They follow from the batch size and the rows of a fold, and would be 256 for the first candidate otherwise."""
    epochs = []

    def scoring(mlp, X, y):
        epochs.append(len(mlp.history_["loss"]))
        return mlp.score(X, y)

    search = PopulationHalvingSearchCV(
        plain_regressor(hidden_layer_sizes=(2,), batch_size=2, epochs="auto", early_stopping=False, random_state=0),
        {"batch_size": [64, 2, 1]},
        n_candidates=3,
        cv=cv,
        random_state=0,
        scoring=scoring,
        refit=False,
    )
    search.fit(X[:200], Y[:200])
    assert epochs == [search.n_epochs_[0]] * 3 * cv + [search.max_epochs_] * cv


class Narrow(KerasMLPRegressor):
    """Has no parameter for its epochs."""

    def __init__(self, batch_size=2):
        super().__init__(**PLAIN_MLP | {"n_neurons": 2, "epochs": "auto", "random_state": 0, "batch_size": batch_size})


def test_automatic_epochs_of_a_subclass():
    search = PopulationHalvingSearchCV(Narrow(), {"batch_size": [1, 2]}, n_candidates=2, factor=2, cv=2, random_state=0)
    search.fit(X[:200], Y[:200])
    assert search.n_epochs_ == [27, 54]


def test_a_candidate_with_epochs_of_its_own_is_refused():
    space = {"kerasmlpregressor": [plain_regressor(epochs=9), plain_regressor(epochs=30)]}
    search = PopulationHalvingSearchCV(pipeline(), space, n_candidates=2, cv=2, random_state=0)
    with pytest.raises(
        ValueError, match=r"epochs of 'kerasmlpregressor' must be .* 9, .* Got a candidate with epochs=30"
    ):
        search.fit(X, Y)


def test_hyperband():
    scoring = {"scoring": ["r2", "neg_mean_absolute_error"], "refit": "r2"}
    search = HyperbandSearchCV(pipeline(), SPACE, cv=2, random_state=0, **scoring).fit(X, Y)
    assert search.n_candidates_ == [9, 3, 5, 1, 1, 3]
    assert search.n_epochs_ == [1, 3, 3, 9, 9, 9]
    results = search.cv_results_
    np.testing.assert_array_equal(results["iter"], [0] * 9 + [1] * 3 + [0] * 5 + [2, 1] + [0] * 3)
    np.testing.assert_array_equal(np.unique(results["bracket"], return_counts=True)[1], [13, 6, 3])
    last = results["n_epochs"] == 9
    assert search.best_score_ == results["mean_test_r2"][last].max()
    assert {"mean_test_r2", "mean_test_neg_mean_absolute_error"} < set(results)
    again = clone(search).fit(X, Y)
    np.testing.assert_array_equal(again.cv_results_["mean_test_r2"], results["mean_test_r2"])


@pytest.mark.parametrize(
    ("settings", "of_first_rungs"),
    [
        ({}, [9, 5, 3]),
        ({"n_candidates": 17}, [9, 5, 3]),
        ({"n_candidates": 3}, [1, 1, 1]),
        ({"n_candidates": 9}, [4, 3, 2]),
        ({"n_brackets": 2}, [9, 5]),
        ({"n_brackets": 1, "n_candidates": 4}, [4]),
        ({"n_brackets": 2, "n_candidates": 2}, [1, 1]),
    ],
)
def test_hyperband_divides_its_candidates(settings, of_first_rungs):
    search = HyperbandSearchCV(pipeline(), SPACE, **settings, cv=2, random_state=0, refit=False)
    search.fit(X, Y)
    of_brackets = search.cv_results_["bracket"][search.cv_results_["iter"] == 0]
    np.testing.assert_array_equal(np.bincount(of_brackets), of_first_rungs)
    assert max(search.n_epochs_) == 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_candidates": 2}, r"'n_candidates' parameter must be at least the number of brackets, 3\. Got 2"),
        ({"n_brackets": 4}, r"'n_brackets' parameter must be at most 3, with max_epochs_=9, .* Got 4"),
        ({"n_brackets": 0}, "The 'n_brackets' parameter"),
    ],
)
def test_brackets_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        HyperbandSearchCV(pipeline(), SPACE, **settings, cv=2).fit(X, Y)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((81, 3, 1, 81), [1, 3, 9, 27, 81]),
        ((81, 3, 1), [1, 3, 9, 27, 81]),
        ((81, 3, 5), [9, 27, 81]),
        ((100, 3, 1, 27), [4, 11, 33, 100]),
        ((100, 2, 1, 5), [25, 50, 100]),
        ((10, 3, 10), [10]),
        ((100, 3, 1, 1), [100]),
    ],
)
def test_rungs(arguments, expected):
    assert rungs(*arguments) == expected


RATES = [1e-3, 3e-3, 1e-2, 3e-2]


@pytest.mark.parametrize(
    ("search", "n_rates", "settings", "n_candidates", "n_epochs"),
    [
        (PopulationHalvingSearchCV, 4, {}, [4, 1], [3, 9]),
        (PopulationHalvingSearchCV, 2, {}, [2], [9]),
        (PopulationHalvingSearchCV, 4, {"n_candidates": 3}, [3, 1], [3, 9]),
        (HyperbandSearchCV, 4, {}, [4, 1, 3], [3, 9, 9]),  # the first two brackets would be the same
        (HyperbandSearchCV, 2, {}, [2], [9]),
        (HyperbandSearchCV, 4, {"n_candidates": 9}, [4, 1, 3, 1, 1, 2], [1, 3, 3, 9, 9, 9]),
    ],
)
@pytest.mark.filterwarnings("ignore:The total space of parameters . is smaller than the number of candidates")
def test_rungs_are_for_the_candidates_that_there_are(search, n_rates, settings, n_candidates, n_epochs):
    space = {"kerasmlpregressor__learning_rate": RATES[:n_rates]}
    found = search(pipeline(), space, **settings, cv=2, refit=False, random_state=0).fit(X, Y)
    assert (found.n_candidates_, found.n_epochs_) == (n_candidates, n_epochs)


def test_the_warning_that_there_are_fewer_candidates_names_the_caller():
    space = [{"learning_rate": RATES[:2]}, {"weight_decay": [0.0]}]
    search = PopulationHalvingSearchCV(plain_regressor(epochs=2, random_state=0), space, cv=2, refit=False)
    with pytest.warns(UserWarning, match="parameters 3 is smaller than the number of candidates 27") as caught:
        search.fit(X[:60], Y[:60])
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("search", [HyperbandSearchCV, PopulationHalvingSearchCV])
def test_more_epochs_at_least_than_there_are(search):
    with pytest.raises(ValueError, match=r"'min_epochs' parameter must be at most the epochs .* 9\. Got 10"):
        search(pipeline(), SPACE, min_epochs=10, cv=2).fit(X, Y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_candidate_that_diverges_does_not_survive():
    space = {"kerasmlpregressor__learning_rate": [1e18, 1e-2, 3e-2]}
    search = PopulationHalvingSearchCV(
        pipeline(optimizer="sgd", lr_schedule=None), space, n_candidates=3, cv=2, random_state=0
    )
    with pytest.warns(Warning, match="The loss was no longer finite"):
        search.fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).sum() == 1
    assert search.best_params_["kerasmlpregressor__learning_rate"] < 1


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_bracket_whose_candidates_all_diverge():
    space = {"kerasmlpregressor__learning_rate": Drawn([1e-2, 1e-2, 2e-2, 1e18, 1e18])}
    search = HyperbandSearchCV(
        pipeline(optimizer="sgd", lr_schedule=None, epochs=3), space, n_candidates=4, n_brackets=2, cv=2, random_state=0
    )
    with pytest.warns(Warning, match="The loss was no longer finite"):
        results = search.fit(X, Y).cv_results_
    assert np.isnan(results["mean_test_score"][results["bracket"] == 1]).all()
    assert search.best_params_["kerasmlpregressor__learning_rate"] < 1


class Drawn:
    """A distribution that draws these, one after the other; the first for a look at the epochs."""

    def __init__(self, values):
        self.values = iter(values)

    def rvs(self, random_state=None):
        return next(self.values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"param_distributions": {"kerasmlpregressor__epochs": [3]}}, "must not name 'kerasmlpregressor__epochs'"),
        ({"param_distributions": []}, r"'param_distributions' parameter must be a dict or a list of them\. Got \[\]"),
        ({"factor": 1}, "The 'factor' parameter"),
        ({"n_candidates": 0}, "The 'n_candidates' parameter"),
        ({"min_epochs": 0}, "The 'min_epochs' parameter"),
        ({"param_distributions": {"kerasmlpregressor__oops": loguniform(1, 2)}}, "Invalid parameter 'oops'"),
    ],
)
def test_bad_input(settings, message):
    with pytest.raises(ValueError, match=message):
        PopulationHalvingSearchCV(**{"estimator": pipeline(), "param_distributions": SPACE} | settings).fit(X, Y)


@pytest.mark.parametrize("search", [HyperbandSearchCV, PopulationHalvingSearchCV])
def test_epochs_of_networks_that_train_one_by_one(search):
    searching = search(pipeline(engine="keras", epochs=3), SPACE, cv=ONE_SPLIT, random_state=0, refit=False)
    if search is PopulationHalvingSearchCV:
        searching.set_params(n_candidates=3)
    with pytest.warns(UserWarning, match="trained one by one"):
        searching.fit(X[:60], Y[:60])
    assert searching.max_epochs_ == 3
    assert searching.n_candidates_[0] == 3


def test_epochs_of_a_builder_that_needs_what_candidates_set():
    def build(width):
        return keras.Sequential([keras.Input((5,)), keras.layers.Dense(width, "relu"), keras.layers.Dense(1)])

    search = PopulationHalvingSearchCV(
        plain_regressor(build, epochs=3, random_state=0), {"model__width": [4, 5, 6]}, n_candidates=3, cv=2, refit=False
    )
    assert search.fit(X[:60], Y[:60]).n_epochs_ == [1, 3]


class Uncompilable(keras.layers.Layer):
    def call(self, inputs):
        return tf.ensure_shape(tf.numpy_function(lambda x: 2 * x, [inputs], tf.float32), inputs.shape)


def test_what_cannot_be_compiled_is_trained_once():
    def build():
        return keras.Sequential([keras.Input((5,)), Uncompilable(), keras.layers.Dense(1)])

    estimator = plain_regressor(build, epochs=9, random_state=0)
    search = PopulationHalvingSearchCV(
        estimator, {"learning_rate": [1e-3, 1e-2, 1e-1]}, n_candidates=3, cv=ONE_SPLIT, refit=False, random_state=0
    )
    with pytest.warns(UserWarning, match="3 fits are trained one by one, to the last epoch at their first rung"):
        search.fit(X[:60], Y[:60])


def test_an_estimator_without_a_network_is_refused():
    with pytest.raises(ValueError, match=r"estimator must have a KerasMLPClassifier or .*Got Ridge"):
        PopulationHalvingSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, cv=2).fit(X, Y)
