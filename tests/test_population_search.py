"""Population searches: the results of scikit-learn's searches, trained together."""

import copy
import pickle
import re
import warnings

import keras
import numpy as np
import pytest
import sklearn
from plain import plain_classifier, plain_regressor
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV, ShuffleSplit
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils.fixes import parse_version

from sk_mlp import KerasMLPRegressor
from sk_mlp.model_selection import PopulationGridSearchCV, PopulationRandomizedSearchCV, _fits

RNG = np.random.default_rng(0)
X = 10 * RNG.standard_normal((240, 5)) + 3
Y = X @ RNG.standard_normal(5) + 5 * np.sin(X[:, 0]) + 100
LABELS = np.array(["low", "middle", "high"])[np.digitize(Y, [90, 110])]
GROUPS = np.arange(240) % 7
FAST = {"hidden_layer_sizes": (8,), "epochs": 4, "learning_rate": 1e-2, "random_state": 0}


def pipeline(estimator=plain_regressor, **params):
    return Pipeline([("scale", StandardScaler()), ("mlp", estimator(**FAST | params))])


def assert_same(ours, theirs, tolerance=1e-4):
    """All of `cv_results_` but the times."""
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, values in theirs.cv_results_.items():
        if name.startswith(("mean", "std", "split")) and not name.endswith("time"):
            np.testing.assert_allclose(ours.cv_results_[name], values, rtol=tolerance, atol=1e-7, err_msg=name)
        elif not name.endswith("time"):
            assert repr(ours.cv_results_[name]) == repr(values), name  # estimators among the values are equal in this
    for name in ("best_index_", "best_params_", "n_splits_", "multimetric_"):
        assert repr(getattr(ours, name, None)) == repr(getattr(theirs, name, None)), name


def both(ours, theirs, estimator, *arguments, fit_params=None, y=Y, **settings):
    """Fit a population search and its namesake."""
    fitted = [
        search(clone(estimator), *arguments, **settings).fit(X, y, **fit_params or {}) for search in (ours, theirs)
    ]
    assert_same(*fitted)
    return fitted


DISTRIBUTIONS = {
    "mlp__learning_rate": loguniform(1e-3, 1e-1),
    "mlp__weight_decay": loguniform(1e-5, 1e-2),
    "mlp__dropout": [0.0, 0.1, 0.2],
    "mlp__n_hidden": [0, 1],
    "scale": [StandardScaler(), MinMaxScaler(), "passthrough"],
}


@pytest.fixture(scope="module")
def random_searches():
    return both(
        PopulationRandomizedSearchCV,
        RandomizedSearchCV,
        pipeline(hidden_layer_sizes=None, n_hidden=2, n_neurons=8),
        DISTRIBUTIONS,
        n_iter=7,
        cv=3,
        random_state=1,
        return_train_score=True,
    )


def test_random_search_equals_its_namesake(random_searches):
    ours, theirs = random_searches
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4)
    assert ours.score(X, Y) == pytest.approx(theirs.score(X, Y), rel=1e-4)
    assert ours.best_estimator_[-1].n_iter_ == 4
    assert (ours.cv_results_["mean_fit_time"] > 0).all()


def test_grid_search_equals_its_namesake():
    grid = [{"mlp__learning_rate": [1e-3, 1e-2]}, {"mlp__batch_size": [16], "mlp__shuffle": [True, False]}]
    settings = {"scoring": ["r2", "neg_mean_absolute_error"], "refit": "r2", "cv": KFold(2)}
    both(PopulationGridSearchCV, GridSearchCV, pipeline(), grid, **settings)


def test_classification_with_early_stopping():
    grid = {"mlp__class_weight": [None, "balanced"], "mlp__label_smoothing": [0.0, 0.1], "mlp__patience": [1, 3]}
    settings = {"scoring": "neg_log_loss", "cv": 2}
    ours, theirs = both(PopulationGridSearchCV, GridSearchCV, pipeline(plain_classifier), grid, y=LABELS, **settings)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


def test_held_out_rows_that_join_the_others():
    y = X @ np.arange(1.0, 1 + X.shape[1])
    settings = {"lr_schedule": "cosine", "epochs": 20, "hidden_layer_sizes": (), "validation_fraction": 0.25}
    grid = {"mlp__learning_rate": [0.03, 0.1], "mlp__early_stopping": ["auto", True]}
    ours, _ = both(PopulationGridSearchCV, GridSearchCV, pipeline(**settings), grid, y=y, cv=2)
    losses = ours.best_estimator_[-1].history_["val_loss"]
    assert np.isnan(losses[-1])


def spread(estimator, X, y):
    """Score by what a fitted estimator has learned."""
    return {"bias": float(estimator[-1].model_.get_weights()[-1][0]), "r2": estimator.score(X, y)}


def test_callable_scoring_and_refit():
    settings = {"scoring": spread, "refit": lambda results: int(np.argmax(results["mean_test_r2"])), "cv": 2}
    both(PopulationGridSearchCV, GridSearchCV, pipeline(), {"mlp__learning_rate": [1e-2, 3e-2]}, **settings)


@pytest.mark.parametrize("filler", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("first", [0, 40], ids=["in no fold", "in a test fold"])
def test_rows_that_no_fit_gets_change_nothing(first, filler):
    def scores(filler):
        x, y, weights = X.copy(), Y.copy(), np.ones(240)
        for array in (x, y, weights):
            array[:40] = filler
        halves = np.arange(40, 140), np.arange(140, 240)
        cv = [halves, halves[::-1]] if first == 0 else [(half, np.arange(40)) for half in halves]
        return (
            PopulationGridSearchCV(
                plain_regressor(**FAST), {"learning_rate": [1e-3, 1e-2]}, cv=cv, scoring=by_clean_rows
            )
            .set_params(refit=False)
            .fit(x, y, sample_weight=weights)
            .cv_results_["mean_test_score"]
        )

    def by_clean_rows(estimator, x, y, sample_weight=None):
        return estimator.score(X, Y)

    np.testing.assert_array_equal(scores(filler), scores(1.0))


def test_groups_and_sample_weight():
    fit_params = {"groups": GROUPS, "mlp__sample_weight": np.where(Y > 100, 3.0, 0.5)}
    grid, settings = {"mlp__learning_rate": [1e-2, 3e-2]}, {"cv": GroupKFold(2)}
    ours, _ = both(PopulationGridSearchCV, GridSearchCV, pipeline(), grid, fit_params=fit_params, **settings)
    plain = PopulationGridSearchCV(pipeline(), grid, **settings).fit(X, Y, groups=GROUPS)
    assert not np.allclose(plain.cv_results_["mean_test_score"], ours.cv_results_["mean_test_score"])


@pytest.mark.skipif(parse_version(sklearn.__version__) < parse_version("1.8"), reason="GridSearchCV itself raises")
def test_metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = plain_regressor(**FAST).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        fit_params = {"sample_weight": np.where(Y > 100, 3.0, 0.5)}
        grid = {"kerasmlpregressor__learning_rate": [1e-2, 3e-2]}
        estimator = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), mlp)
        both(PopulationGridSearchCV, GridSearchCV, estimator, grid, fit_params=fit_params, cv=2)


def test_splits_that_differ_at_each_call():
    """All candidates are trained and scored on the same rows."""
    cv = ShuffleSplit(2, random_state=np.random.RandomState(0))
    search = PopulationGridSearchCV(pipeline(), {"mlp__min_delta": [0.0, 0.0]}, cv=cv).fit(X, Y)
    scores = search.cv_results_["split0_test_score"]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)


def test_splits_from_an_iterator():
    grid, splits = {"mlp__learning_rate": [1e-2]}, list(KFold(2).split(X))
    ours, theirs = (
        search(pipeline(), grid, cv=iter(splits)).fit(X, Y) for search in (PopulationGridSearchCV, GridSearchCV)
    )
    assert_same(ours, theirs)


@pytest.mark.parametrize(
    "form", [list, lambda part: range(part[0], part[-1] + 1), lambda part: np.isin(range(240), part)]
)
@pytest.mark.parametrize("estimator", [pipeline(), plain_regressor(**FAST)], ids=["pipeline", "bare"])
def test_splits_in_other_forms_than_arrays(estimator, form):
    splits = [(np.arange(120), np.arange(120, 240)), (np.arange(120, 240), np.arange(120))]
    name = "mlp__learning_rate" if isinstance(estimator, Pipeline) else "learning_rate"
    searches = [PopulationGridSearchCV(clone(estimator), {name: [1e-2]}, cv=cv) for cv in (splits, None)]
    searches[1].set_params(cv=[tuple(map(form, split)) for split in splits])
    assert_same(*(search.fit(X, Y) for search in searches))


class ByDate(KFold):
    """A splitter that wants to know more than the groups."""

    def split(self, X, y=None, groups=None, dates=None):
        assert dates is not None
        return super().split(X[np.argsort(dates)])

    def get_n_splits(self, X=None, y=None, groups=None, dates=None):
        return self.n_splits


@pytest.mark.skipif(parse_version(sklearn.__version__) < parse_version("1.8"), reason="GridSearchCV itself raises")
def test_metadata_of_a_splitter():
    with sklearn.config_context(enable_metadata_routing=True):
        cv, params = ByDate(2).set_split_request(dates=True), {"dates": np.arange(240)}
        both(PopulationGridSearchCV, GridSearchCV, pipeline(), {"mlp__dropout": [0.0]}, cv=cv, fit_params=params)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_candidate_whose_network_cannot_be_made_takes_error_score():
    """What is wrong shows when it is about to be trained."""
    grid = [{"mlp__metrics": [None]}, {"mlp__metrics": [[keras.metrics.F1Score()]], "mlp__n_hidden": [1]}]
    estimator = pipeline(plain_classifier)
    with pytest.warns(Warning, match="must hold metrics that return a single number"):
        search = PopulationGridSearchCV(estimator, grid, cv=2, refit=False).fit(X, LABELS)
    np.testing.assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True])


DIVERGING = {"mlp__learning_rate": [1e-2, 1e18]}


@pytest.mark.parametrize("error_score", [-77, "raise"])
def test_a_candidate_without_a_finite_epoch_takes_error_score(error_score):
    def searches():
        for search in (PopulationGridSearchCV, GridSearchCV):
            yield search(pipeline(optimizer="sgd"), DIVERGING, cv=2, error_score=error_score)

    if error_score == "raise":
        for search in searches():
            with pytest.raises(ValueError, match="The loss was no longer finite after epoch 1"):
                search.fit(X, Y)
        return
    with pytest.warns(FitFailedWarning, match="The loss was no longer finite after epoch 1"):
        ours, theirs = (search.fit(X, Y) for search in searches())
    assert_same(ours, theirs)
    assert ours.cv_results_["mean_test_score"][1] == -77
    assert ours.best_index_ == 0


def test_a_candidate_that_diverges_later_scores_by_its_best_epoch():
    jump = keras.optimizers.schedules.PiecewiseConstantDecay([12], [1e-2, 1e18])
    with pytest.warns(ConvergenceWarning, match="no longer finite after epoch 4"):
        both(PopulationGridSearchCV, GridSearchCV, pipeline(optimizer="sgd"), {"mlp__lr_schedule": [None, jump]}, cv=2)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_parameter_that_is_not_valid_takes_error_score():
    with pytest.warns(FitFailedWarning, match="The 'n_neurons' parameter"):
        search = PopulationGridSearchCV(
            pipeline(hidden_layer_sizes=None, n_hidden=2), {"mlp__n_neurons": [-1, 8]}, cv=2
        ).fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert np.isfinite(search.cv_results_["mean_test_score"][1])


def test_unknown_parameters_fail_before_any_training(monkeypatch):
    monkeypatch.setattr(_fits, "train_cohorts", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ValueError, match="Invalid parameter 'n_neuron'"):
        PopulationGridSearchCV(pipeline(), {"mlp__n_neuron": [8]}, cv=2).fit(X, Y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_scorer_that_raises_is_as_in_scikit_learn():
    def scorer(estimator, X, y):
        raise RuntimeError("no score")

    with pytest.warns(UserWarning, match="no score"):
        search = PopulationGridSearchCV(pipeline(), {"mlp__learning_rate": [1e-2]}, cv=2, scoring=scorer, refit=False)
        assert np.isnan(search.fit(X, Y).cv_results_["mean_test_score"]).all()
    with pytest.raises(RuntimeError, match="no score"):
        search.set_params(error_score="raise").fit(X, Y)


class Stop(keras.callbacks.Callback):
    """Stop after the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1


@pytest.mark.parametrize(
    ("params", "reason"), [({"engine": "keras"}, "engine='keras'"), ({"callbacks": [Stop()]}, "callbacks")]
)
def test_what_is_trained_one_by_one(params, reason):
    grid = {"mlp__learning_rate": [1e-2, 3e-2]}
    with pytest.warns(UserWarning, match=f"4 fits are trained one by one, which takes longer, because of {reason}"):
        ours = PopulationGridSearchCV(pipeline(**params), grid, cv=2).fit(X, Y)
    assert_same(ours, GridSearchCV(pipeline(**params), grid, cv=2).fit(X, Y))


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (TransformedTargetRegressor(pipeline(), transformer=StandardScaler()), "regressor__mlp"),
        (VotingRegressor([("a", pipeline()), ("b", pipeline(random_state=1))]), "a__mlp"),
        (plain_regressor(**FAST), ""),
        (make_pipeline(StandardScaler(), pipeline()), "pipeline__mlp"),
    ],
    ids=["transformed target", "voting", "bare", "pipeline in a pipeline"],
)
def test_wherever_the_network_is(estimator, name):
    grid = {f"{name}__learning_rate".lstrip("_"): [1e-2, 3e-2]}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        both(PopulationGridSearchCV, GridSearchCV, estimator, grid, cv=2)


def test_an_estimator_that_wants_predictions_while_it_is_fitted():
    stack = StackingRegressor([("mlp", pipeline())], final_estimator=LinearRegression(), cv=2)
    with pytest.warns(UserWarning, match="2 fits are trained one by one.*because of StackingRegressor, which wants"):
        both(PopulationGridSearchCV, GridSearchCV, stack, {"mlp__mlp__learning_rate": [1e-2]}, cv=2)


@pytest.mark.parametrize(
    "estimator",
    [
        CalibratedClassifierCV(pipeline(plain_classifier), cv=2),
        MultiOutputClassifier(pipeline(plain_classifier)),
        ClassifierChain(plain_classifier(**FAST)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_meta_estimators_ask_of_a_classifier_right_after_its_fit(estimator):
    y = LABELS == "low" if isinstance(estimator, CalibratedClassifierCV) else np.column_stack([Y > 100, Y > 110])
    name = "estimator__learning_rate" if isinstance(estimator, ClassifierChain) else "estimator__mlp__learning_rate"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*trained one by one")
        both(PopulationGridSearchCV, GridSearchCV, estimator, {name: [1e-3, 1e-2]}, cv=KFold(2), y=y)


def test_a_search_within_a_search():
    """The inner one would take an estimator that cannot predict yet for a failure, and go on."""
    inner = GridSearchCV(pipeline(), {"mlp__learning_rate": [1e-4, 3e-2]}, cv=2)
    with pytest.warns(UserWarning, match="2 fits are trained one by one.*because of GridSearchCV, which wants"):
        ours, _ = both(PopulationGridSearchCV, GridSearchCV, inner, {"estimator__mlp__batch_size": [32]}, cv=2)
    assert ours.best_estimator_.best_params_ == {"mlp__learning_rate": 3e-2}


def by_history(estimator, X, y):
    return -min(estimator.history_["val_loss"])


def test_a_search_within_a_search_that_scores_by_what_a_fit_has_learned():
    inner = GridSearchCV(plain_regressor(**FAST), {"learning_rate": [1e-5, 3e-2]}, cv=2, scoring=by_history)
    within = Pipeline([("scale", StandardScaler()), ("search", inner)])
    with pytest.warns(UserWarning, match="2 fits are trained one by one"):
        ours, _ = both(PopulationGridSearchCV, GridSearchCV, within, {"search__cv": [2]}, cv=2)
    assert ours.best_estimator_[-1].best_params_ == {"learning_rate": 3e-2}


class Twice(RegressorMixin, BaseEstimator):
    """Fit an estimator, and then do something with it."""

    def __init__(self, mlp=None, then=None):
        self.mlp, self.then = mlp, then

    def fit(self, X, y):
        self.mlp_ = clone(self.mlp).fit(X, y)
        self.mlp_ = self.then(self.mlp_, X, y) or self.mlp_
        return self

    def predict(self, X):
        return self.mlp_.predict(X)


@pytest.mark.parametrize(
    "then",
    [
        lambda mlp, X, y: mlp.set_params(warm_start=True).fit(X, y),
        lambda mlp, X, y: mlp.partial_fit(X, y),
        lambda mlp, X, y: copy.deepcopy(mlp),
        lambda mlp, X, y: mlp.set_params(epochs=9 if hasattr(mlp, "n_iter_") else 1).fit(X, y),
    ],
    ids=["warm start", "partial_fit", "deepcopy", "hasattr"],
)
def test_going_on_from_a_fit_within_a_fit(then):
    with pytest.warns(UserWarning, match="4 fits are trained one by one.*because of Twice, which wants"):
        estimator = Twice(plain_regressor(**FAST), then)
        both(PopulationGridSearchCV, GridSearchCV, estimator, {"mlp__learning_rate": [1e-3, 1e-2]}, cv=2)


class Counted(type(plain_regressor())):
    """Knows how many rows it was fitted on."""

    def fit(self, X, y):
        super().fit(X, y)
        self.n_rows_ = len(X)
        return self


def test_what_a_subclass_learns():
    def scoring(estimator, X, y):
        return estimator.n_rows_

    estimator = Counted(**plain_regressor(**FAST).get_params())
    both(PopulationGridSearchCV, GridSearchCV, estimator, {"learning_rate": [1e-3, 1e-2]}, cv=3, scoring=scoring)


def test_a_search_stays_as_it_is_while_it_runs_and_where_it_fails():
    seen = []

    def scoring(estimator, X, y):
        seen.append((search.estimator, search.n_jobs, search.cv))
        return 0.0

    mlp = plain_regressor(**FAST)
    search = PopulationGridSearchCV(mlp, {"learning_rate": [1e-3]}, cv=2, scoring=scoring, refit=False)
    before = dict(vars(search))
    with pytest.raises(ValueError, match="infinity"):
        search.fit(np.full_like(X, np.inf), Y)
    assert vars(search) == before
    search.fit(X, Y)
    assert seen == [(mlp, None, 2)] * 2
    assert {name for name in vars(search) if name not in before} >= {"cv_results_", "n_splits_"}


class InPlace(Twice):
    """Writes into X."""

    def fit(self, X, y):
        X *= 2
        return super().fit(X, y)


class InPlaceMLP(type(plain_regressor())):
    """Writes into X."""

    def fit(self, X, y):
        X *= 2
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (InPlace(plain_regressor(**FAST), lambda *_: None), "mlp__"),
        (InPlaceMLP(**plain_regressor(**FAST).get_params()), ""),
        (make_pipeline(StandardScaler(), InPlaceMLP(**plain_regressor(**FAST).get_params())), "inplacemlp__"),
    ],
    ids=["meta-estimator", "subclass", "pipeline"],
)
def test_estimators_that_write_into_x(estimator, name):
    grid = {f"{name}learning_rate": [1e-3, 1e-2, 2e-2]}
    searches = [search(estimator, grid, cv=2, refit=False) for search in (PopulationGridSearchCV, GridSearchCV)]
    assert_same(*(search.fit(X.copy(), Y) for search in searches))


def test_folds_with_rows_that_come_twice():
    """Such a row may be trained on and held out, with another weight each."""
    rng = np.random.default_rng(1)
    cv = [(rng.integers(0, 240, 160), np.arange(80 * i, 80 * i + 80)) for i in range(2)]
    weights = {"sample_weight": rng.uniform(0.1, 10, 240)}
    estimator = plain_regressor(**FAST | {"epochs": 12, "patience": 2})
    for name in ("learning_rate", "weight_decay"):
        both(PopulationGridSearchCV, GridSearchCV, estimator, {name: [1e-3, 1e-2]}, cv=cv, fit_params=weights)


@pytest.mark.filterwarnings("ignore:4 fits are trained one by one")
def test_divergence_within_an_estimator_that_wants_predictions_takes_error_score():
    stack = StackingRegressor([("mlp", pipeline(optimizer="sgd"))], final_estimator=LinearRegression(), cv=2)
    search = PopulationGridSearchCV(stack, {"mlp__mlp__learning_rate": [1e-2, 1e18]}, cv=2, error_score=-77)
    with pytest.warns(FitFailedWarning, match="The loss was no longer finite"):
        scores = search.fit(X, Y).cv_results_["mean_test_score"]
    assert scores[0] > -77 == scores[1]


SHIFT = ("shift", MinMaxScaler(copy=False))


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (lambda steps: Pipeline(steps), ""),
        (lambda steps: TransformedTargetRegressor(Pipeline(steps)), "regressor__"),
        (lambda steps: Pipeline([SHIFT, ("all", Pipeline(steps))]), "all__"),
        (lambda steps: VotingRegressor([("a", Pipeline(steps)), ("b", Pipeline([SHIFT, *steps]))]), "a__"),
        (lambda steps: Pipeline([("f", FunctionTransformer(lambda X: np.add(X, 1, out=X))), *steps]), ""),
    ],
    ids=["pipeline", "transformed target", "pipeline in a pipeline", "voting", "function"],
)
def test_transformers_that_write_into_x(estimator, name):
    steps = [("scale", StandardScaler(copy=False)), ("mlp", plain_regressor(**FAST))]
    grid = {f"{name}scale__with_std": [True, False], f"{name}mlp__learning_rate": [1e-3, 1e-2]}
    before = X.copy()
    for rows in (X, X.astype(np.float32)):
        searches = [
            search(estimator(steps), grid, cv=2, refit=False) for search in (PopulationGridSearchCV, GridSearchCV)
        ]
        assert_same(*(search.fit(rows, Y) for search in searches))
    np.testing.assert_array_equal(X, before)


def test_an_estimator_without_a_network():
    both(PopulationGridSearchCV, GridSearchCV, LinearRegression(), {"fit_intercept": [True, False]}, cv=2)


class Counting(TransformerMixin, BaseEstimator):
    """Add a number, and count the fits."""

    fits = 0

    def __init__(self, add=0.0):
        self.add = add

    def fit(self, X, y=None):
        Counting.fits += 1
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X + self.add


def test_transformers_are_fitted_once_a_fold_and_setting():
    estimator = Pipeline([("count", Counting()), ("scale", StandardScaler()), ("mlp", plain_regressor(**FAST))])
    grid = {"count__add": [0.0, 1.0], "mlp__learning_rate": [1e-3, 1e-2, 3e-2]}
    Counting.fits = 0
    PopulationGridSearchCV(estimator, grid, cv=2, refit=False).fit(X, Y)
    assert Counting.fits == 4, "2 folds, 2 settings"


def test_the_search_stays_an_ordinary_one():
    estimator = pipeline()
    search = PopulationGridSearchCV(estimator, {"mlp__learning_rate": [1e-2]}, cv=2, n_jobs=1)
    before = search.get_params(deep=False)
    search.fit(X, Y)
    assert search.get_params(deep=False) == before
    assert search.estimator is estimator
    assert not hasattr(estimator[-1], "n_features_in_"), "the estimator itself is not fitted"
    assert estimator.memory is search.best_estimator_.memory is None
    assert type(clone(search)) is PopulationGridSearchCV
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).predict(X), search.predict(X))
    assert not any("sk_mlp" in str(value) for value in vars(search.scorer_._estimator).values() if callable(value))
    failed = PopulationGridSearchCV(estimator, {"mlp__oops": [1]}, cv=2)
    with pytest.raises(ValueError, match="oops"):
        failed.fit(X, Y)
    assert failed.estimator is estimator
    assert set(vars(failed)) <= {*before, "param_grid", "_checked_cv_orig", "n_splits_"}


def test_a_class_in_place_of_an_estimator_is_refused():
    with pytest.raises(TypeError, match="provide an instance of scikit-learn estimator instead of a class"):
        PopulationGridSearchCV(KerasMLPRegressor, {"n_neurons": [4]}).fit(X, Y)


def test_bad_settings_are_refused_as_in_scikit_learn():
    with pytest.raises(ValueError, match="The 'n_jobs' parameter"):
        PopulationGridSearchCV(pipeline(), {"mlp__learning_rate": [1e-2]}, n_jobs="two").fit(X, Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PopulationGridSearchCV(pipeline(), {"mlp__learning_rate": [1e-2]}).fit(X, Y[:-1])


@pytest.mark.slow
def test_processes(random_searches):
    ours, _ = random_searches
    assert_same(clone(ours).set_params(n_jobs=2).fit(X, Y), ours, tolerance=1e-5)


class NoMessenger(Exception):
    """Cannot be pickled."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


class Failing(TransformerMixin, BaseEstimator):
    """A transformer that may fail."""

    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, X, y=None):
        if self.fails:
            raise NoMessenger("no", "luck")
        return self

    def transform(self, X):
        return X


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_an_error_that_cannot_leave_its_process():
    estimator = make_pipeline(Failing(), plain_regressor(**FAST))
    search = PopulationGridSearchCV(estimator, {"failing__fails": [False, True]}, cv=2, n_jobs=2, refit=False)
    with pytest.warns(FitFailedWarning, match="NoMessenger: no luck"):
        scores = search.fit(X, Y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(np.isnan(scores), [False, True])


def test_progress(capsys):
    search = PopulationGridSearchCV(pipeline(), {"mlp__learning_rate": [1e-2, 3e-2]}, cv=2, refit=False)
    search.fit(X, Y)
    assert not capsys.readouterr().out
    search.set_params(verbose=1).fit(X, Y)
    before, after = capsys.readouterr().out.splitlines()
    assert before == "Fitting 2 folds for each of 2 candidates, totalling 4 fits"
    assert re.fullmatch(r"networks 4/4, best val_loss [\d.]+, structures 1, [\d.]+ s", after)


@pytest.mark.parametrize(("estimator", "n_matrices"), [(plain_regressor(**FAST), 1), (pipeline(), 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_folds_share_x_and_row_numbers(monkeypatch, estimator, n_matrices, dtype):
    """A pipeline scales each fold's rows in its own way; without one, all folds are parts of the same X."""
    held, cohorts_of = [], _fits.cohorts_of
    monkeypatch.setattr(_fits, "cohorts_of", lambda runs, share: held.extend(runs) or cohorts_of(runs, share))
    name = "learning_rate" if n_matrices == 1 else "mlp__learning_rate"
    PopulationGridSearchCV(estimator, {name: [1e-3, 1e-2]}, cv=3, refit=False).fit(X.astype(dtype), Y)
    assert len(held) == 6
    assert len({id(run.member.rows.X) for run in held}) == n_matrices
    assert len({id(run.member.train) for run in held}) == (3 if n_matrices == 1 else 1), "equal splits, once"
