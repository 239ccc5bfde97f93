"""Searchers of other projects, unchanged, on our estimators; and what is broken in them, until it is mended."""

import sys

import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from sklearn.base import is_classifier
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 4)) * 3 + 10
TARGET = 50 + 30 * X[:, 0] + 15 * X[:, 1] + RNG.standard_normal(150)
LABELS = np.where(X[:, 0] > 10, "high", "low")
SMALL = {"n_hidden": 1, "n_neurons": 8, "epochs": 5, "random_state": 0}
RATES = 1e-4, 1e-1


def installed(module, package):
    return pytest.importorskip(module, reason=f"{package} is not installed: pip install 'sk_mlp[searchers]'")


def regressor(**params):
    return Pipeline([("scale", StandardScaler()), ("mlp", plain_regressor(**SMALL | params))])


def classifier(**params):
    return Pipeline([("scale", StandardScaler()), ("mlp", plain_classifier(**SMALL | params))])


def mean_score(pipeline, params, y, cv=2):
    return cross_val_score(pipeline.set_params(**params), X, y, cv=cv, error_score="raise").mean()


def assert_is_the_best_fit(search, pipeline, y):
    """The searcher's score is scikit-learn's own, and its best estimator a fit with these parameters on all rows."""
    best = search.best_params_
    assert RATES[0] <= best["mlp__learning_rate"] <= RATES[1]
    assert best["mlp__n_neurons"] in (7, 8)
    assert search.best_score_ == pytest.approx(mean_score(pipeline, best, y), rel=1e-6)
    np.testing.assert_array_equal(search.predict(X), pipeline.fit(X, y).predict(X))
    assert search.best_estimator_["mlp"].model_.layers[0].units == best["mlp__n_neurons"]


# scikit-optimize


def test_bayes_search():
    skopt = installed("skopt", "scikit-optimize")
    space = {
        "mlp__learning_rate": skopt.space.Real(*RATES, prior="log-uniform"),
        "mlp__n_neurons": skopt.space.Integer(7, 8),
        "mlp__optimizer__beta_1": skopt.space.Categorical([0.8, 0.9]),
    }
    settings = {"n_initial_points": 2}  # the other two come from its model of the scores
    search = skopt.BayesSearchCV(regressor(), space, optimizer_kwargs=settings, n_iter=4, cv=2, random_state=0)
    search.fit(X, TARGET)
    assert_is_the_best_fit(search, regressor(), TARGET)
    np.testing.assert_array_equal(search.optimizer_results_[0].func_vals, -search.cv_results_["mean_test_score"])


def test_bayes_search_in_a_cross_validation():
    skopt = installed("skopt", "scikit-optimize")
    space = {"mlp__learning_rate": RATES}
    nested = skopt.BayesSearchCV(classifier(), space, n_iter=1, cv=2, random_state=0)
    assert is_classifier(nested)
    assert cross_val_score(nested, X, LABELS, cv=2, error_score="raise").shape == (2,)


# Optuna

# It reports to a module of Optuna that is on its way out: github.com/optuna/optuna/pull/6668.
optuna_search = pytest.mark.filterwarnings(
    "ignore:OptunaSearchCV is experimental", "ignore:`optuna.terminator` module has been deprecated:FutureWarning"
)


@optuna_search
def test_optuna_search():
    optuna, integration = installed("optuna", "optuna"), installed("optuna_integration", "optuna-integration")
    space = {
        "mlp__learning_rate": optuna.distributions.FloatDistribution(*RATES, log=True),
        "mlp__n_neurons": optuna.distributions.IntDistribution(7, 8),
    }
    settings = {"n_trials": 3, "cv": 2, "random_state": 0, "error_score": "raise"}
    search = integration.OptunaSearchCV(classifier(), space, **settings).fit(X, LABELS)
    assert_is_the_best_fit(search, classifier(), LABELS)
    assert search.classes_.tolist() == ["high", "low"]
    assert search.score(X, LABELS) == np.mean(search.predict(X) == LABELS)


@optuna_search
def test_optuna_search_prunes_by_epochs_of_partial_fit():
    optuna, integration = installed("optuna", "optuna"), installed("optuna_integration", "optuna-integration")
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for rate in (0.1, 1e-4):
        study.enqueue_trial({"learning_rate": rate})
    space = {"learning_rate": optuna.distributions.FloatDistribution(*RATES, log=True)}
    search = integration.OptunaSearchCV(
        plain_classifier(**SMALL), space, study=study, n_trials=2, max_iter=4, enable_pruning=True, cv=2
    )
    search.fit(StandardScaler().fit_transform(X), LABELS)
    assert [trial.state.name for trial in search.trials_] == ["COMPLETE", "PRUNED"]
    assert [len(trial.intermediate_values) for trial in search.trials_] == [4, 2]
    assert search.best_params_ == {"learning_rate": 0.1}


@optuna_search
def test_optuna_search_is_not_taken_for_a_classifier():
    # It tells its kind as scikit-learn before 1.6 wanted it, so the outer folds are not stratified by themselves. When
    # this fails, it is mended: take the note out of docs/searching.md.
    optuna, integration = installed("optuna", "optuna"), installed("optuna_integration", "optuna-integration")
    space = {"learning_rate": optuna.distributions.FloatDistribution(*RATES, log=True)}
    search = integration.OptunaSearchCV(plain_classifier(**SMALL), space, n_trials=1, cv=2)
    assert not is_classifier(search)
    assert set(cross_val_predict(search, X, LABELS, cv=KFold(2))) <= {"high", "low"}


def study_of(storage, make):
    """A study of three rates, of which the second is hopeless; it prunes by the median of the trials before."""
    optuna = installed("optuna", "optuna")
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    study = optuna.create_study(storage=storage, pruner=pruner)
    for rate in (3e-2, 1e-4, 1e-1):
        study.enqueue_trial({"learning_rate": rate})
    fits = []

    def objective(trial):
        fits.append(make(trial, trial.suggest_float("learning_rate", *RATES, log=True)))
        return min(fits[-1].fit(X, TARGET)["mlp"].history_["val_loss"])

    study.optimize(objective, n_trials=3)
    return study, fits


@pytest.mark.parametrize("name", ["KerasPruningCallback", "TFKerasPruningCallback"])
def test_optuna_prunes_by_epochs(name, tmp_path):
    optuna, integration = installed("optuna", "optuna"), installed("optuna_integration", "optuna-integration")
    callback = getattr(integration, name)
    storages = optuna.storages
    study, fits = study_of(
        storages.JournalStorage(storages.journal.JournalFileBackend(str(tmp_path / "study.log"))),
        lambda trial, rate: regressor(learning_rate=rate, callbacks=[callback(trial, "val_loss")], engine="compiled"),
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert [list(trial.intermediate_values) for trial in study.trials] == [[0, 1, 2, 3, 4], [0, 1], [0, 1, 2, 3, 4]]
    for number in (0, 2):
        reported = list(study.trials[number].intermediate_values.values())
        assert reported == pytest.approx(fits[number]["mlp"].history_["val_loss"])
    assert not hasattr(fits[1]["mlp"], "history_")
    assert study.best_params == {"learning_rate": 0.1}


def test_optuna_does_not_prune_a_study_in_memory():
    # A fit works on deep copies of its callbacks, as `clone` does, and a copied trial brings a copy of the storage in
    # memory along: the study hears of nothing. When this fails, take the note out of docs/searching.md.
    callback = installed("optuna_integration", "optuna-integration").KerasPruningCallback
    study, _ = study_of(
        None, lambda trial, rate: regressor(learning_rate=rate, callbacks=[callback(trial, "val_loss")])
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert [trial.intermediate_values for trial in study.trials] == [{}] * 3


# sklearn-genetic-opt


def genetic_search(pipeline):
    genetic = installed("sklearn_genetic", "sklearn-genetic-opt")
    grid = {
        "mlp__learning_rate": genetic.space.Continuous(*RATES, distribution="log-uniform", random_state=0),
        "mlp__n_neurons": genetic.space.Integer(7, 8, random_state=0),
    }
    settings = {"population_size": 4, "generations": 1, "verbose": False, "error_score": "raise"}
    return genetic.GASearchCV(pipeline, param_grid=grid, cv=2, **settings)


def test_genetic_search():
    search = genetic_search(classifier()).fit(X, LABELS)
    assert_is_the_best_fit(search, classifier(), LABELS)
    assert search.score(X, LABELS) == np.mean(search.predict(X) == LABELS)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])


@pytest.mark.xfail(
    sys.version_info < (3, 12),
    raises=RuntimeError,
    strict=True,
    # As github.com/rodrigo-arenas/Sklearn-genetic-opt/issues/127 was, by another parameter.
    reason="the last sklearn-genetic-opt for Python 3.11, 0.12, replaces warm_start_configs=None in its constructor",
)
def test_genetic_search_in_a_cross_validation():
    search = genetic_search(classifier())
    assert cross_val_score(search, X, LABELS, cv=2, error_score="raise").shape == (2,)


# hyperopt


def test_fmin():
    hyperopt = installed("hyperopt", "hyperopt")
    space = {
        "mlp__learning_rate": hyperopt.hp.loguniform("learning_rate", *np.log(RATES)),
        "mlp__n_neurons": hyperopt.hp.choice("n_neurons", [7, 8]),
        "mlp__epochs": hyperopt.hp.uniformint("epochs", 2, 5),
    }
    trials = hyperopt.Trials()
    found = hyperopt.fmin(
        lambda params: -mean_score(regressor(), params, TARGET),
        space,
        algo=hyperopt.tpe.suggest,
        max_evals=4,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    best = hyperopt.space_eval(space, found)
    assert RATES[0] <= best["mlp__learning_rate"] <= RATES[1]
    assert best["mlp__n_neurons"] in (7, 8)
    assert len(set(trials.losses())) == 4
    assert min(trials.losses()) == -mean_score(regressor(), best, TARGET)
    fitted = regressor().set_params(**best).fit(X, TARGET)
    assert fitted["mlp"].n_iter_ == best["mlp__epochs"]


# KerasTuner


# It asks for its thread's name in the way of Python before 3.10.
@pytest.mark.filterwarnings("ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning:keras_tuner")
@pytest.mark.parametrize("make", [lambda **params: plain_regressor(**SMALL | params), regressor], ids=["mlp", "pipe"])
def test_sklearn_tuner(make, tmp_path):
    keras_tuner = installed("keras_tuner", "keras-tuner")
    folds = KFold(2)

    def build(hp):
        return make(learning_rate=hp.Float("rate", *RATES, sampling="log"), n_neurons=hp.Int("neurons", 7, 8))

    goal = keras_tuner.Objective("score", "max")
    oracle = keras_tuner.oracles.RandomSearchOracle(goal, max_trials=3, seed=0)
    tuner = keras_tuner.SklearnTuner(oracle, build, cv=folds, directory=tmp_path)
    tuner.search(X, TARGET)
    (best,) = tuner.get_best_hyperparameters()
    (trial,) = oracle.get_best_trials()
    assert RATES[0] <= best["rate"] <= RATES[1]
    assert best["neurons"] in (7, 8)
    assert trial.score == mean_score(build(best), {}, TARGET, cv=folds)
    (model,) = tuner.get_best_models()  # it keeps that of the last fold, pickled
    rows = list(folds.split(X))[-1][0]
    np.testing.assert_array_equal(model.predict(X), build(best).fit(X[rows], TARGET[rows]).predict(X))
