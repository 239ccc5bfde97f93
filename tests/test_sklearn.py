"""What people do with an estimator in scikit-learn: searches, pipelines, ensembles, frames, metadata, pickles."""

import copy
import hashlib
import io
import pickle
import pickletools
import subprocess
import sys
import textwrap

import joblib
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from optional import cloudpickle, pd, pl
from plain import plain_classifier, plain_regressor
from scipy.stats import loguniform, reciprocal
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer, log_loss, mean_squared_error, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

from sk_mlp import KerasMLPClassifier
from sk_mlp.model_selection import PopulationGridSearchCV

# One structure for most of the tests: compiled once.
SMALL = {"n_hidden": 1, "n_neurons": 8, "learning_rate": 3e-2, "epochs": 8, "random_state": 0}
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def labels():
    """Rows of two classes that a line separates."""
    return make_classification(120, 4, n_informative=4, n_redundant=0, class_sep=2.0, random_state=0)


@pytest.fixture(scope="module")
def numbers():
    """Rows whose target depends on the first two of four columns."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 4))
    return X, 50 + 30 * X[:, 0] + 15 * X[:, 1] + rng.normal(size=120)


@pytest.fixture(scope="module")
def wrong_labels(labels):
    """Labels of which half are turned round, and weights that leave those out."""
    X, y = labels
    turned = np.random.RandomState(0).permutation(len(y)) < len(y) // 2
    return X, np.where(turned, 1 - y, y), np.where(turned, 0.0, 1.0)


def classifier(**params):
    return plain_classifier(**{**SMALL, **params})


def regressor(**params):
    return plain_regressor(**{**SMALL, **params})


# Searches


def test_grid_search_takes_the_better_candidate(labels):
    grid = {"learning_rate": [1e-7, 3e-2], "optimizer__beta_1": [0.8, 0.9]}
    search = GridSearchCV(classifier(), grid, cv=3, error_score="raise").fit(*labels)
    assert search.best_params_["learning_rate"] == 3e-2
    assert search.best_score_ > 0.8
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    best = search.best_estimator_
    assert (
        best.model_.optimizer.beta_1
        == best.get_params()["optimizer__beta_1"]
        == search.best_params_["optimizer__beta_1"]
    )


@pytest.mark.parametrize(
    "rates",
    [reciprocal(3e-4, 3e-2), loguniform(3e-4, 3e-2), reciprocal(3e-4, 3e-2).rvs(1000, random_state=0).tolist()],
    ids=["reciprocal", "loguniform", "list"],
)
def test_randomized_search_takes_distributions_lists_and_numpy_scalars(labels, rates):
    space = {"learning_rate": rates, "n_neurons": np.arange(7, 9), "n_hidden": [1], "epochs": np.array([2, 3])}
    search = RandomizedSearchCV(classifier(), space, n_iter=4, cv=2, error_score="raise", random_state=0).fit(*labels)
    drawn = np.array(search.cv_results_["param_learning_rate"].tolist())
    assert len(set(drawn)) == 4
    assert ((drawn >= 3e-4) & (drawn <= 3e-2)).all()
    best = search.best_estimator_
    assert best.model_.layers[0].units == search.best_params_["n_neurons"]
    assert best.n_iter_ == search.best_params_["epochs"]
    assert_allclose(float(best.model_.optimizer.learning_rate), search.best_params_["learning_rate"], rtol=1e-6)


def test_halving_search_over_samples(labels):
    space = {"learning_rate": loguniform(1e-4, 1e-1)}
    search = HalvingRandomSearchCV(
        classifier(), space, min_resources=40, factor=3, cv=2, error_score="raise", random_state=0
    ).fit(*labels)
    assert search.n_resources_ == [40, 120]
    assert search.best_score_ > 0.7


def test_halving_search_over_epochs(numbers):
    space = {"learning_rate": loguniform(1e-5, 1e-1)}
    search = HalvingRandomSearchCV(
        regressor(early_stopping=False),
        space,
        resource="epochs",
        min_resources=2,
        max_resources=18,
        factor=3,
        cv=2,
        error_score="raise",
        random_state=0,
    ).fit(*numbers)
    assert search.n_resources_ == [2, 6, 18]
    assert search.best_estimator_.n_iter_ == 18
    assert search.best_params_["learning_rate"] > 1e-3


def test_cross_validate(numbers):
    results = cross_validate(
        regressor(epochs=30),
        *numbers,
        cv=3,
        scoring=["r2", "neg_mean_squared_error"],
        return_train_score=True,
        return_estimator=True,
        error_score="raise",
    )
    assert results["test_r2"].min() > 0.5
    assert results["train_neg_mean_squared_error"].max() < 0
    assert len({estimator.history_["loss"][-1] for estimator in results["estimator"]}) == 3


def test_learning_curve_fits_and_goes_on(labels):
    sizes, _, refitted = learning_curve(classifier(), *labels, train_sizes=[20, 80], cv=3, error_score="raise")
    assert sizes.tolist() == [20, 80]
    assert refitted[-1].mean() > 0.8
    _, _, continued = learning_curve(
        classifier(), *labels, train_sizes=[20, 80], cv=3, exploit_incremental_learning=True, error_score="raise"
    )
    assert np.isfinite(continued).all()
    assert not np.array_equal(continued, refitted)


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "n_neurons"), [("loky", 9), ("threading", 10)])
def test_scores_do_not_depend_on_n_jobs(labels, backend, n_neurons):
    grid = {"learning_rate": [1e-3, 1e-2], "dropout": [0.0, 0.3]}

    def search(n_jobs):
        with joblib.parallel_config(backend, n_jobs=n_jobs):
            mlp = classifier(n_neurons=n_neurons)
            return GridSearchCV(mlp, grid, cv=2, scoring="neg_log_loss", error_score="raise").fit(*labels)

    two, one = search(2), search(1)  # in this order, so that the two jobs also compile side by side
    for name in ("split0_test_score", "split1_test_score"):
        assert_array_equal(two.cv_results_[name], one.cv_results_[name])
    assert len(set(one.cv_results_["split0_test_score"])) == 4
    assert_array_equal(two.predict_proba(labels[0]), one.predict_proba(labels[0]))


# Pipelines and columns


def test_pipeline_with_scaler(labels):
    X, y = labels
    X = X * 1e3 + 1e5
    pipeline = Pipeline([("scaler", StandardScaler()), ("mlp", classifier())]).fit(X, y)
    assert pipeline.score(X, y) > 0.8
    scaled = StandardScaler().fit_transform(X)
    assert_array_equal(pipeline.predict_proba(X), classifier().fit(scaled, y).predict_proba(scaled))
    pipeline.set_params(mlp__epochs=1, mlp__optimizer__beta_1=0.8).fit(X, y)
    assert pipeline["mlp"].n_iter_ == 1
    search = GridSearchCV(pipeline, {"mlp__learning_rate": [1e-7, 3e-2]}, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_ == {"mlp__learning_rate": 3e-2}


def test_column_transformer(numbers):
    X, y = numbers
    frame = pd.DataFrame(X, columns=NAMES).assign(town=np.where(X[:, 3] > 0, "north", "south"))
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), NAMES), ("towns", OneHotEncoder(drop="first"), ["town"])]
    )
    y = y + 300 * (frame["town"] == "north")
    pipeline = make_pipeline(columns, regressor(epochs=30)).fit(frame, y)
    assert pipeline.score(frame, y) > 0.8
    assert pipeline[-1].n_features_in_ == 5


def test_transformed_target(numbers):
    X, y = numbers
    y = np.exp(y / 30)
    mlp = TransformedTargetRegressor(regressor(epochs=30), func=np.log, inverse_func=np.exp).fit(X, y)
    assert (mlp.predict(X) > 0).all()
    assert_array_equal(mlp.predict(X), np.exp(regressor(epochs=30).fit(X, np.log(y)).predict(X)))


# Meta-estimators

CLASSIFIER_METAS = {
    "bagging": lambda mlp: BaggingClassifier(mlp, n_estimators=3, random_state=0),
    "adaboost": lambda mlp: AdaBoostClassifier(mlp, n_estimators=3, random_state=0),
    "voting": lambda mlp: VotingClassifier([("mlp", mlp), ("linear", LogisticRegression())], voting="soft"),
    "stacking": lambda mlp: StackingClassifier([("mlp", mlp), ("linear", LogisticRegression())], cv=2),
    "calibrated": lambda mlp: CalibratedClassifierCV(mlp, cv=2),
    "one-vs-rest": OneVsRestClassifier,
}
REGRESSOR_METAS = {
    "bagging": lambda mlp: BaggingRegressor(mlp, n_estimators=3, random_state=0),
    "adaboost": lambda mlp: AdaBoostRegressor(mlp, n_estimators=3, random_state=0),
    "voting": lambda mlp: VotingRegressor([("mlp", mlp), ("linear", LinearRegression())]),
    "stacking": lambda mlp: StackingRegressor([("mlp", mlp), ("linear", LinearRegression())], cv=2),
}


@pytest.mark.parametrize("name", CLASSIFIER_METAS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_meta_classifier(name, n_classes):
    X, y = make_classification(
        120,
        4,
        n_informative=4,
        n_redundant=0,
        n_classes=n_classes,
        n_clusters_per_class=1,
        class_sep=2.0,
        random_state=0,
    )
    y = np.array(["red", "green", "blue"])[y]
    meta = CLASSIFIER_METAS[name](classifier()).fit(X, y)
    assert meta.score(X, y) > 0.8
    assert meta.predict_proba(X).shape == (120, n_classes)
    assert set(meta.predict(X)) == set(y)


@pytest.mark.parametrize("name", REGRESSOR_METAS)
def test_meta_regressor(numbers, name):
    meta = REGRESSOR_METAS[name](regressor(epochs=30)).fit(*numbers)
    assert meta.score(*numbers) > 0.8
    assert meta.predict(numbers[0]).shape == (120,)


def test_members_of_an_ensemble_differ(labels):
    bagging = BaggingClassifier(classifier(random_state=None), n_estimators=3, max_samples=1.0, random_state=0)
    bagging.fit(*labels)
    assert len({tuple(member.history_["loss"]) for member in bagging.estimators_}) == 3


def test_multi_output_classifier(labels):
    X, y = labels
    Y = np.column_stack([y, np.digitize(X[:, 0], [-1, 1])])
    meta = MultiOutputClassifier(classifier(epochs=20)).fit(X, Y)
    assert [len(mlp.classes_) for mlp in meta.estimators_] == [2, 3]
    assert (meta.predict(X) == Y).mean(axis=0).min() > 0.7


def test_multi_output_regressor():
    X, Y = make_regression(120, 4, n_informative=4, n_targets=2, random_state=0)
    mlp = regressor(epochs=30)
    assert MultiOutputRegressor(mlp).fit(X, Y).score(X, Y) > 0.8
    assert mlp.fit(X, Y).predict(X).shape == (120, 2)


# Selection and inspection


def test_sequential_feature_selector_finds_the_features(numbers):
    selector = SequentialFeatureSelector(regressor(epochs=30), n_features_to_select=2, cv=2).fit(*numbers)
    assert selector.get_support().tolist() == [True, True, False, False]


def test_permutation_importance_ranks_the_features(numbers):
    mlp = regressor(epochs=30).fit(*numbers)
    importance = permutation_importance(mlp, *numbers, n_repeats=3, random_state=0).importances_mean
    assert importance[0] > importance[1] > importance[2:].max()


def test_partial_dependence_rises(numbers):
    mlp = regressor(epochs=30).fit(*numbers)
    curve = partial_dependence(mlp, numbers[0], [0], grid_resolution=5)
    assert (np.diff(curve["average"][0]) > 0).all()


def test_partial_dependence_of_a_class(labels):
    curve = partial_dependence(classifier().fit(*labels), labels[0], [0], grid_resolution=5, response_method="auto")
    assert curve["average"].shape == (1, 5)
    assert ((curve["average"] >= 0) & (curve["average"] <= 1)).all()


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "neg_mean_squared_error"])
def test_scorers(labels, numbers, scoring):
    X, y = numbers if scoring == "neg_mean_squared_error" else labels
    mlp = (regressor if scoring == "neg_mean_squared_error" else classifier)().fit(X, y)
    by_hand = {
        "roc_auc": lambda: roc_auc_score(y, mlp.predict_proba(X)[:, 1]),
        "neg_log_loss": lambda: -log_loss(y, mlp.predict_proba(X)),
        "neg_mean_squared_error": lambda: -mean_squared_error(y, mlp.predict(X)),
    }
    assert get_scorer(scoring)(mlp, X, y) == by_hand[scoring]()
    assert np.isfinite(cross_val_score(mlp, X, y, scoring=scoring, cv=2, error_score="raise")).all()


def test_cross_val_predict_probabilities(labels):
    probabilities = cross_val_predict(classifier(), *labels, cv=2, method="predict_proba")
    assert_allclose(probabilities.sum(axis=1), 1)
    assert roc_auc_score(labels[1], probabilities[:, 1]) > 0.8


# Metadata


def test_sample_weight_without_routing(wrong_labels):
    X, y, weight = wrong_labels
    weighted = classifier().fit(X, y, sample_weight=weight).predict_proba(X)
    assert not np.array_equal(weighted, classifier().fit(X, y).predict_proba(X))
    search = GridSearchCV(classifier(), {"epochs": [8]}, cv=2, error_score="raise").fit(X, y, sample_weight=weight)
    assert_array_equal(search.predict_proba(X), weighted)
    pipeline = Pipeline([("as_is", "passthrough"), ("mlp", classifier())]).fit(X, y, mlp__sample_weight=weight)
    assert_array_equal(pipeline.predict_proba(X), weighted)


def test_sample_weight_with_routing(wrong_labels):
    X, y, weight = wrong_labels
    weighted = classifier().fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        mlp = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(mlp, {"epochs": [8]}, cv=2, error_score="raise").fit(X, y, sample_weight=weight)
        assert_array_equal(search.predict_proba(X), weighted.predict_proba(X))
        assert search.score(X, y, sample_weight=weight) == weighted.score(X, y, sample_weight=weight)
        assert search.score(X, y, sample_weight=weight) > search.score(X, y)
        pipeline = Pipeline([("as_is", "passthrough"), ("mlp", mlp)]).fit(X, y, sample_weight=weight)
        assert_array_equal(pipeline.predict_proba(X), weighted.predict_proba(X))
        scores = cross_validate(mlp, X, y, params={"sample_weight": weight}, cv=2, error_score="raise")["test_score"]
        assert scores.min() > 0.7


def test_weights_that_nobody_asked_for_are_refused_with_routing(wrong_labels):
    X, y, weight = wrong_labels
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(classifier(), {"epochs": [8]}, cv=2, error_score="raise")
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            search.fit(X, y, sample_weight=weight)


def test_requests_survive_clone_and_fit(labels):
    with config_context(enable_metadata_routing=True):
        asked = {"sample_weight": True, "X_val": True, "y_val": True}
        mlp = classifier().set_fit_request(**asked)
        for other in (clone(mlp), mlp.fit(*labels)):
            requests = other.get_metadata_routing().fit.requests
            others = ("sample_weight_val", "X_unlabeled", "epochs", "batch_size", "verbose", "callbacks", "shuffle")
            others += ("validation_data", "validation_split", "class_weight")
            assert requests == asked | dict.fromkeys(others) | {"groups": False}


def test_pipeline_transforms_validation_rows(numbers):
    X, y = numbers
    X, X_val, y, y_val = X[:80] * 100 + 5, X[80:] * 100 + 5, y[:80], y[80:]
    with config_context(enable_metadata_routing=True):
        mlp = regressor(epochs=30, patience=3).set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scaler", StandardScaler()), ("mlp", mlp)], transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(X)
    by_hand = regressor(epochs=30, patience=3).fit(scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val)
    assert pipeline["mlp"].history_ == by_hand.history_
    assert_array_equal(pipeline.predict(X_val), by_hand.predict(scaler.transform(X_val)))
    best = by_hand.best_epoch_
    assert min(by_hand.history_["val_loss"]) == by_hand.history_["val_loss"][best]


# Frames


@pytest.mark.parametrize("make", [pd, pl], ids=["pandas", "polars"])
def test_frames(numbers, make):
    X, y = numbers
    frame, series = make.DataFrame(dict(zip(NAMES, X.T, strict=True))), make.Series(y)
    mlp = regressor().fit(frame, series, sample_weight=make.Series(np.ones(len(y))))
    assert mlp.feature_names_in_.tolist() == NAMES
    assert_array_equal(mlp.predict(frame), regressor().fit(X, y).predict(X))
    assert cross_val_score(mlp, frame, series, cv=2, error_score="raise").shape == (2,)
    with pytest.raises(ValueError, match="feature names should match"):
        mlp.predict(frame.rename({"a": "z"}, **({"axis": 1} if make is pd else {})))
    with pytest.raises(ValueError, match="in the same order"):
        mlp.predict(frame[NAMES[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        mlp.predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        mlp.fit(frame, series, X_val=frame[[*NAMES[1:], "a"]], y_val=series)


@pytest.mark.parametrize("make", [pd, pl], ids=["pandas", "polars"])
def test_labels_in_frames(labels, make):
    X, y = labels
    names = np.array(["no", "yes"])[y]
    frame = make.DataFrame(dict(zip(NAMES, X.T, strict=True)))
    mlp = classifier().fit(frame, make.Series(names))
    assert mlp.classes_.tolist() == ["no", "yes"]
    assert_array_equal(mlp.predict(frame), classifier().fit(X, names).predict(X))
    assert mlp.score(frame, make.Series(names)) > 0.8


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_names_from_set_output(numbers, output):
    X, y = numbers
    frame = pd.DataFrame(X, columns=NAMES)
    pipeline = make_pipeline(StandardScaler(), regressor()).set_output(transform=output).fit(frame, y)
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    plain = make_pipeline(StandardScaler(), regressor()).fit(frame, y)
    assert not hasattr(plain[-1], "feature_names_in_")
    assert_array_equal(pipeline.predict(frame), plain.predict(frame))


@pytest.mark.usefixtures("no_xla")
def test_predict_log_proba(labels):
    X, y = labels
    for target in (y, np.c_[y == y[0], X[:, :2] > 0].astype(int)):  # classes, and several labels
        mlp = classifier(epochs=1).fit(X, target)
        assert_allclose(np.exp(mlp.predict_log_proba(X)), mlp.predict_proba(X), rtol=1e-12)
    for other in (GridSearchCV, PopulationGridSearchCV):
        search = other(make_pipeline(StandardScaler(), classifier(epochs=1)), {}, cv=2).fit(X, y)
        assert_allclose(search.predict_log_proba(X), np.log(search.predict_proba(X)), rtol=1e-12)


@pytest.mark.usefixtures("no_xla")
def test_predict_log_proba_of_certainty(labels):
    X, y = labels
    found = classifier(epochs=1).fit(X, np.zeros(len(y), int)).predict_log_proba(X)
    assert_array_equal(found, np.zeros((len(y), 1)))
    y = (y == y[0]).astype(int)
    found = classifier(epochs=1).fit(X, y).predict_log_proba(1e9 * X)  # without a warning, as of a logarithm of 0
    assert np.isneginf(found).any()
    assert not np.isnan(found).any()


# Parameters, copies and pickles


def test_routed_parameters():
    mlp = classifier(optimizer="sgd", optimizer__momentum=0.9)
    assert mlp.get_params()["optimizer__momentum"] == 0.9
    assert mlp.set_params(optimizer__momentum=0.5, optimizer__nesterov=True) is mlp
    copied = clone(mlp)
    assert copied.get_params() == mlp.get_params()
    assert copied.get_params()["optimizer__momentum"] == 0.5
    with pytest.raises(ValueError, match="momentum"):
        mlp.set_params(momentum=0.5)
    assert "optimizer__momentum=0.5" in repr(mlp)


def test_clone_is_unfitted(labels):
    mlp = classifier().fit(*labels)
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(mlp))
    assert_array_equal(clone(mlp).fit(*labels).predict_proba(labels[0]), mlp.predict_proba(labels[0]))


def deep(meta, width=8):
    """Build a model."""
    return keras.Sequential(
        [
            keras.layers.Input((meta["n_features_in_"],)),
            keras.layers.Dense(width, activation="tanh"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def through_joblib(estimator):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


ROUND_TRIPS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": through_joblib,
    "cloudpickle": lambda estimator: pickle.loads(cloudpickle.dumps(estimator)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
@pytest.mark.parametrize(
    ("model", "engine"), [(None, "compiled"), (deep, "compiled"), (deep, "keras")], ids=["own", "builder", "keras"]
)
def test_round_trip(labels, name, model, engine):
    X, y = labels
    mlp = classifier(model=model, engine=engine, epochs=2).fit(X, y)
    before = mlp.predict_proba(X)
    assert mlp.model_.count_params() == 49  # a model that is made must not be in the way
    loaded = ROUND_TRIPS[name](mlp)
    assert_array_equal(loaded.predict_proba(X), before)
    assert_allclose(loaded.model_.predict(X, verbose=0)[:, 0], before[:, 1], atol=1e-6)
    assert loaded.get_params() == mlp.get_params()
    assert loaded.history_ == mlp.history_
    assert_array_equal(loaded.partial_fit(X, y).predict_proba(X), mlp.partial_fit(X, y).predict_proba(X))
    assert not np.array_equal(loaded.predict_proba(X), before)


@pytest.mark.parametrize("model", [None, deep], ids=["own", "builder"])
def test_no_tensorflow_object_in_the_pickle(labels, model):
    mlp = classifier(model=model).fit(*labels)
    mlp.predict(labels[0])
    assert mlp.model_ is not None
    strings = [argument for _, argument, _ in pickletools.genops(pickle.dumps(mlp)) if isinstance(argument, str)]
    assert "sk_mlp._network.spec" in strings
    assert not [string for string in strings if string.startswith(("tensorflow", "keras"))]


def test_local_builder_travels_by_cloudpickle(labels):
    mlp = classifier(model=lambda meta: deep(meta, width=8), epochs=2).fit(*labels)
    loaded = pickle.loads(cloudpickle.dumps(mlp))
    assert_array_equal(loaded.predict_proba(labels[0]), mlp.predict_proba(labels[0]))


def test_unfitted_estimator_pickles(labels):
    loaded = pickle.loads(pickle.dumps(classifier(optimizer__beta_1=0.8)))
    assert_array_equal(
        loaded.fit(*labels).predict_proba(labels[0]),
        classifier(optimizer__beta_1=0.8).fit(*labels).predict_proba(labels[0]),
    )


# Reproducibility

FINGERPRINT = """
    import hashlib
    from sklearn.datasets import make_classification
    from sk_mlp import PLAIN_MLP, KerasMLPClassifier

    X, y = make_classification(120, 4, n_informative=4, n_redundant=0, class_sep=2.0, random_state=0)
    small = {"n_hidden": 1, "n_neurons": 8, "learning_rate": 3e-2, "epochs": 8, "dropout": 0.2, "random_state": 0}
    mlp = KerasMLPClassifier(**PLAIN_MLP | small)
    print(hashlib.sha256(mlp.fit(X, y).predict_proba(X).tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_same_seed_in_two_processes(labels):
    processes = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(FINGERPRINT)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    prints = [process.communicate()[0].strip() for process in processes]
    mlp = classifier(dropout=0.2)
    here = hashlib.sha256(mlp.fit(*labels).predict_proba(labels[0]).tobytes()).hexdigest()
    assert prints == [here, here]
    other = classifier(dropout=0.2, random_state=1).fit(*labels)
    assert not np.array_equal(other.predict_proba(labels[0]), mlp.predict_proba(labels[0]))


# Subclasses


class Passing(KerasMLPClassifier):
    """Has a parameter of its own, and passes all others on."""

    def __init__(self, width=4, **others):
        self.width = width
        super().__init__(**others)


class Needing(Passing):
    """Has a parameter without a default."""

    def __init__(self, needed, *args, **others):
        self.needed = needed
        super().__init__(*args, **others)


class Deriving(KerasMLPClassifier):
    """Has a few parameters, from which others follow; notes something before it trains."""

    def __init__(self, width=4, epochs=2):
        self.width = width
        super().__init__(hidden_layer_sizes=[width], epochs=epochs, batch_size=32)

    def fit(self, X, y):
        self.widest_ = np.max(X)
        return super().fit(X, y)


def test_a_subclass_that_passes_parameters_on():
    estimator = Passing(width=7, n_neurons=5, optimizer__beta_1=0.8)
    params = estimator.get_params()
    assert params == {**KerasMLPClassifier(n_neurons=5, optimizer__beta_1=0.8).get_params(), "width": 7}
    assert clone(estimator).get_params() == params
    assert estimator.set_params(width=9, epochs=3).get_params() == params | {"width": 9, "epochs": 3}
    with pytest.raises(TypeError, match="Did you mean 'dropout'"):
        Passing(dropuot=0.1)
    again = clone(Needing(Ellipsis, width=3, n_neurons=5))
    assert (again.needed, again.width, again.n_neurons) == (Ellipsis, 3, 5)


def test_a_subclass_that_derives_parameters(no_xla):
    assert clone(Deriving(width=7)).get_params() == {"width": 7, "epochs": 2}
    X = np.random.default_rng(0).normal(size=(40, 4))
    estimator = Deriving().fit(pd.DataFrame(X, columns=NAMES), X[:, 0] > 0)
    assert_array_equal(estimator.feature_names_in_, NAMES)
    estimator.fit(X, X[:, 0] > 0)
    assert estimator.widest_ == X.max()
    assert not hasattr(estimator, "feature_names_in_")
