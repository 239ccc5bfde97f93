"""Training that starts from another network's lower layers, or from an autoencoder."""

import pickle

import keras
import numpy as np
import pytest
from optional import pd
from plain import plain_classifier, plain_regressor
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 6)).astype(np.float32)
Y = X[:, 0] * 2 + np.sin(3 * X[:, 1]) + 0.3 * RNG.standard_normal(200)
LABELS = np.digitize(Y, [-1, 1])
SMALL = {"n_hidden": 2, "n_neurons": 8, "epochs": 2, "random_state": 0, "learning_rate": 1e-2}
TINY = {"learning_rate": 1e-12}  # changes float32 weights by nothing that counts


def regressor(**params):
    return plain_regressor(**SMALL | params)


def classifier(**params):
    return plain_classifier(**SMALL | params)


def weights(mlp, layer):
    return mlp.model_.get_layer(layer).get_weights()


def same(ours, theirs, layer, **tolerance):
    pairs = zip(weights(ours, layer), weights(theirs, layer), strict=True)
    return all(np.allclose(a, b, **({"rtol": 0, "atol": 0} | tolerance)) for a, b in pairs)


@pytest.fixture(scope="module")
def source():
    return classifier(random_state=7).fit(X, LABELS)


@pytest.fixture(scope="module")
def normed():
    return classifier(random_state=7, batch_norm=True).fit(X, LABELS)


# Another estimator


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_lower_layers_are_taken_over(source, engine):
    mlp = regressor(init_from=source, engine=engine, **TINY).fit(X, Y)
    assert same(mlp, source, "hidden_1", atol=1e-6)
    assert same(mlp, source, "hidden_2", atol=1e-6)
    fresh = regressor(engine=engine, **TINY).fit(X, Y)
    assert not same(mlp, fresh, "hidden_1", atol=1e-2)
    assert same(mlp, fresh, "output", atol=1e-6), "the others follow from the seed"


def test_as_many_layers_as_asked_for(source):
    one = regressor(init_from=source, init_layers=1, **TINY).fit(X, Y)
    assert same(one, source, "hidden_1", atol=1e-6)
    assert not same(one, source, "hidden_2", atol=1e-2)


def test_as_many_layers_as_both_have(source):
    deeper = regressor(init_from=source, n_hidden=3, **TINY).fit(X, Y)
    assert same(deeper, source, "hidden_2", atol=1e-6)
    shallow = regressor(init_from=source, n_hidden=1, **TINY).fit(X, Y)
    assert same(shallow, source, "hidden_1", atol=1e-6)


def test_other_widths_above_the_layers_taken(source):
    mlp = regressor(init_from=source, init_layers=1, n_neurons=128, hidden_layer_sizes=(8, 5), **TINY).fit(X, Y)
    assert same(mlp, source, "hidden_1", atol=1e-6)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_frozen_for_ever(source, engine):
    mlp = regressor(init_from=source, frozen_epochs=np.inf, init_layers=1, epochs=3, engine=engine).fit(X, Y)
    assert same(mlp, source, "hidden_1")
    free = regressor(init_from=source, init_layers=1, **TINY).fit(X, Y)
    assert not same(mlp, free, "hidden_2", atol=1e-3)
    assert not same(mlp, free, "output", atol=1e-3)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_frozen_norms_keep_their_statistics(normed, engine):
    mlp = regressor(init_from=normed, frozen_epochs=np.inf, batch_norm=True, engine=engine).fit(X, Y)
    for layer in ("hidden_1", "hidden_2", "batch_norm_1", "batch_norm_2"):
        assert same(mlp, normed, layer), layer
    free = regressor(init_from=normed, batch_norm=True, engine=engine).fit(X, Y)
    assert not same(free, normed, "batch_norm_1", atol=1e-4)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_frozen_for_some_epochs(source, engine):
    settings = {"init_from": source, "frozen_epochs": 2, "early_stopping": False, "engine": engine}
    two, three = (regressor(epochs=epochs, **settings).fit(X, Y) for epochs in (2, 3))
    assert same(two, source, "hidden_1")
    assert same(two, source, "hidden_2")
    assert not same(three, source, "hidden_1", atol=1e-4)
    assert not same(three, source, "hidden_2", atol=1e-4)


def test_frozen_epochs_are_counted_through_partial_fit(source):
    mlp = regressor(init_from=source, frozen_epochs=2)
    for n in (1, 2, 3):
        mlp.partial_fit(X, Y)
        assert same(mlp, source, "hidden_1") == (n <= 2)
    whole = regressor(init_from=source, frozen_epochs=2, epochs=3, early_stopping=False).fit(X, Y)
    np.testing.assert_array_equal(mlp.predict(X), whole.predict(X))


def test_weight_decay_and_momentum_do_not_move_what_is_frozen(source):
    settings = {"optimizer": "sgd", "optimizer__momentum": 0.9, "weight_decay": 0.5, "clip_norm": 1.0}
    mlp = regressor(init_from=source, frozen_epochs=np.inf, **settings).fit(X, Y)
    assert same(mlp, source, "hidden_1")


def test_a_frozen_start_helps():
    """Layers of a network that has learned the same task from many rows, for one with few."""
    rng = np.random.default_rng(1)
    many = rng.standard_normal((2000, 6)).astype(np.float32)
    learned = regressor(epochs=20).fit(many, many[:, 0] * 2 + np.sin(3 * many[:, 1]))
    few, y = X[:30], Y[:30]
    settings = {"epochs": 30, "early_stopping": False}
    started = regressor(init_from=learned, frozen_epochs=np.inf, **settings).fit(few, y)
    alone = regressor(**settings).fit(few, y)
    assert started.score(X[30:], Y[30:]) > alone.score(X[30:], Y[30:]) + 0.1


def test_the_source_stays_as_it_was(source):
    before = source.predict_proba(X)
    regressor(init_from=source).fit(X, Y)
    np.testing.assert_array_equal(source.predict_proba(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).predict_proba(X), before)


def test_clones_start_from_the_same(source):
    mlp = regressor(init_from=source)
    copied = clone(mlp)
    assert copied.init_from is source
    np.testing.assert_array_equal(copied.fit(X, Y).predict(X), mlp.fit(X, Y).predict(X))
    loaded = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(loaded.predict(X), mlp.predict(X))
    np.testing.assert_array_equal(loaded.fit(X, Y).predict(X), mlp.predict(X))


def test_a_frozen_estimator_is_what_it_wraps(source):
    wrapped = regressor(init_from=FrozenEstimator(source)).fit(X, Y)
    np.testing.assert_array_equal(wrapped.predict(X), regressor(init_from=source).fit(X, Y).predict(X))


def test_in_a_pipeline(source):
    pipeline = clone(make_pipeline(StandardScaler(), regressor(init_from=source, frozen_epochs=np.inf))).fit(X, Y)
    assert same(pipeline[-1], source, "hidden_1")


def test_in_a_search(source):
    """scikit-learn clones the candidates' values, which takes the fit away from all but a FrozenEstimator."""
    other = classifier(random_state=8).fit(X, LABELS)
    grid = {"init_from": [None, FrozenEstimator(source), FrozenEstimator(other)]}
    search = GridSearchCV(regressor(), grid, cv=2, error_score="raise").fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 3
    grid = {"frozen_epochs": [0, 1, np.inf]}
    search = GridSearchCV(regressor(init_from=source), grid, cv=2, error_score="raise").fit(X, Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3


def test_only_the_first_fit_of_a_warm_start_takes_layers(source):
    mlp = regressor(init_from=source, warm_start=True).fit(X, Y)
    first = weights(mlp, "hidden_1")[0]
    mlp.set_params(**TINY).fit(X, Y)
    np.testing.assert_allclose(weights(mlp, "hidden_1")[0], first, atol=1e-6)


BAD_SOURCES = {
    "unfitted": (lambda source: {"init_from": classifier()}, NotFittedError, "is not fitted yet"),
    "no network": (
        lambda source: {"init_from": StandardScaler().fit(X)},
        ValueError,
        r"init_from must be a fitted KerasMLPClassifier or KerasMLPRegressor .* Got StandardScaler\(\)",
    ),
    "a builder's": (
        lambda source: {"init_from": plain_regressor(linear, epochs=1).fit(X, Y)},
        ValueError,
        "init_from must be a fitted .* with the built-in network",
    ),
    "other width": (
        lambda source: {"init_from": source, "n_neurons": 9},
        ValueError,
        r"init_from must have the same features, .* widths in the 2 lowest .* widths \(9, 9\)\). Got "
        r".*widths \(8, 8\)",
    ),
    "other features": (
        lambda source: {"init_from": source, "deep_features": [0, 1]},
        ValueError,
        r"init_from must have the same features, .*\(2 features.* Got 6 features",
    ),
    "other norms": (
        lambda source: {"init_from": source, "batch_norm": True},
        ValueError,
        "init_from must have the same .*batch_norm=True.* Got 6 features, batch_norm=False",
    ),
    "more layers than there are": (
        lambda source: {"init_from": source, "init_layers": 3, "n_hidden": 3},
        ValueError,
        "init_from must have the same .* in the 3 lowest hidden layers",
    ),
    "for a builder": (
        lambda source: {"init_from": source, "model": linear},
        ValueError,
        "init_from needs the built-in network. Got model=<function linear",
    ),
    "no hidden layers": (
        lambda source: {"init_from": source, "n_hidden": 0},
        ValueError,
        "init_from needs a network with at least one hidden layer. Got none",
    ),
    "both": (
        lambda source: {"init_from": source, "pretrain": "autoencoder"},
        ValueError,
        "init_from and pretrain must not be given both. Got KerasMLPClassifier",
    ),
    "frozen_epochs alone": (
        lambda source: {"frozen_epochs": 3},
        ValueError,
        "frozen_epochs and init_layers need init_from or pretrain. Got frozen_epochs=3",
    ),
    "init_layers alone": (lambda source: {"init_layers": 1}, ValueError, "init_layers=1 without"),
    "negative": (lambda source: {"init_from": source, "frozen_epochs": -1}, ValueError, "The 'frozen_epochs' param"),
    "no layers": (lambda source: {"init_from": source, "init_layers": 0}, ValueError, "The 'init_layers' parameter"),
    "pretrain's own parameters alone": (lambda source: {"pretrain__epochs": 3}, ValueError, "pretrain=None"),
    "pretrain for a builder": (
        lambda source: {"pretrain": "autoencoder", "model": linear},
        ValueError,
        "pretrain needs the built-in network",
    ),
    "pretrain without hidden layers": (
        lambda source: {"pretrain": "autoencoder", "n_hidden": 0},
        ValueError,
        "pretrain needs a network with at least one hidden layer",
    ),
    "an unknown parameter for pretrain": (
        lambda source: {"pretrain": "autoencoder", "pretrain__epoch": 3},
        ValueError,
        "pretrain='autoencoder' could not be trained: .*epoch",
    ),
    "other pretraining": (lambda source: {"pretrain": "pca"}, ValueError, "The 'pretrain' parameter"),
}


def linear():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])


@pytest.mark.parametrize(("params", "error", "message"), BAD_SOURCES.values(), ids=BAD_SOURCES)
def test_bad_starts(source, params, error, message):
    mlp = regressor(**params(source))
    with pytest.raises(error, match=message):
        mlp.fit(X, Y)
    assert not hasattr(mlp, "n_features_in_")
    assert not hasattr(mlp, "autoencoder_")


def test_features_of_another_number(source):
    with pytest.raises(ValueError, match=r"init_from must have the same features, .*\(5 features.* Got 6 features"):
        regressor(init_from=source).fit(X[:, :5], Y)


def test_the_defaults_of_the_other_kind_of_estimator():
    small = {"n_neurons": 4, "epochs": 1, "ensemble_size": 1}
    source = KerasMLPRegressor(**small).fit(X, Y)
    with pytest.raises(ValueError, match=r"parametric_activation=False.* Got .*parametric_activation=True"):
        KerasMLPClassifier(**small, init_from=source).fit(X, Y > 0)


# An autoencoder


def pretrained(**params):
    return regressor(**{"pretrain": "autoencoder", "pretrain__epochs": 3} | params)


def test_a_single_column():
    assert pretrained().fit(X[:, :1], Y).autoencoder_.n_features_in_ == 1


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_the_start_is_the_autoencoders_lower_half(engine):
    mlp = pretrained(frozen_epochs=np.inf, engine=engine).fit(X, Y)
    autoencoder = mlp.autoencoder_
    assert isinstance(autoencoder, KerasMLPRegressor)
    assert autoencoder.n_outputs_ == autoencoder.n_features_in_ == 6
    assert autoencoder.n_iter_ == 3
    for layer in ("hidden_1", "hidden_2"):
        assert same(mlp, autoencoder, layer)
    assert not same(mlp, regressor(engine=engine, **TINY).fit(X, Y), "hidden_1", atol=1e-3)


def test_the_autoencoder_mirrors_the_network():
    mlp = pretrained(hidden_layer_sizes=(10, 6, 4), n_hidden=3, n_neurons=128, pretrain__learning_rate=3e-3).fit(X, Y)
    assert [w.shape[1] for w in mlp.autoencoder_.model_.get_weights()[::2]] == [10, 6, 4, 6, 10, 6]
    assert mlp.autoencoder_.history_["learning_rate"] == [3e-3] * 3


def test_the_autoencoder_learns_to_put_out_the_features():
    mlp = pretrained(n_neurons=20, pretrain__epochs=60).fit(X, Y)
    losses = mlp.autoencoder_.history_["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert mlp.autoencoder_.score(X, X) > 0.5


def test_the_autoencoder_of_chosen_columns():
    mlp = pretrained(deep_features=[4, 1, 2]).fit(X, Y)
    assert mlp.autoencoder_.n_features_in_ == 3


def test_pretraining_is_reproducible():
    first, second, other = (pretrained(random_state=seed).fit(X, Y).predict(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_held_out_rows_do_not_pretrain():
    """What is held out must not leak into the start."""
    moved = X[160:].copy()
    moved[:, 2] += 1
    fits = [pretrained().fit(X[:160], Y[:160], X_val=X_val, y_val=Y[160:]) for X_val in (X[160:], moved)]
    assert same(fits[0].autoencoder_, fits[1].autoencoder_, "hidden_1")


def test_rows_without_labels_count():
    plain = pretrained().fit(X[:40], Y[:40])
    more = pretrained().fit(X[:40], Y[:40], X_unlabeled=X[40:])
    assert not same(plain.autoencoder_, more.autoencoder_, "hidden_1", atol=1e-4)
    assert not np.allclose(plain.predict(X), more.predict(X))
    again = pretrained().fit(X[:40], Y[:40], X_unlabeled=X[40:])
    np.testing.assert_array_equal(again.predict(X), more.predict(X))


def test_an_autoencoder_is_better_by_rows_without_labels():
    """Features near a curved line, which few rows do not show."""
    rng = np.random.default_rng(0)
    line = rng.uniform(-1, 1, (800, 1)) * rng.standard_normal(6) * 3 + rng.standard_normal(6)
    rows = np.tanh(line) + 0.1 * rng.standard_normal((800, 6))
    settings = {"batch_size": 16, "pretrain__epochs": 15, "pretrain__early_stopping": False}
    few = pretrained(**settings).fit(rows[:20], Y[:20])
    many = pretrained(**settings).fit(rows[:20], Y[:20], X_unlabeled=rows[20:600])
    scores = [mlp.autoencoder_.score(rows[600:], rows[600:]) for mlp in (few, many)]
    assert scores[1] > scores[0] + 0.1


def test_rows_without_labels_in_any_form():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    named = pretrained().fit(frame[:40], Y[:40], X_unlabeled=frame[40:])
    plain = pretrained().fit(X[:40], Y[:40], X_unlabeled=X[40:].astype(float).tolist())
    np.testing.assert_array_equal(named.predict(frame), plain.predict(X))


def test_a_pretrained_classifier_is_cloned_pickled_and_searched():
    mlp = classifier(pretrain="autoencoder", pretrain__epochs=3).fit(X, LABELS)
    copied = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(copied.predict_proba(X), mlp.predict_proba(X))
    assert same(copied.autoencoder_, mlp.autoencoder_, "hidden_1")
    cloned = clone(mlp)
    assert not hasattr(cloned, "autoencoder_")
    np.testing.assert_array_equal(cloned.fit(X, LABELS).predict_proba(X), mlp.predict_proba(X))
    search = GridSearchCV(classifier(pretrain="autoencoder"), {"pretrain__epochs": [1, 3]}, cv=2).fit(X, LABELS)
    assert search.best_estimator_.autoencoder_.n_iter_ == search.best_params_["pretrain__epochs"]


def test_partial_fit_pretrains_once():
    mlp = pretrained(frozen_epochs=1)
    autoencoder = mlp.partial_fit(X, Y).autoencoder_
    assert same(mlp, autoencoder, "hidden_1")
    assert mlp.partial_fit(X, Y).autoencoder_ is autoencoder
    assert not same(mlp, autoencoder, "hidden_1", atol=1e-4)


@pytest.mark.parametrize(
    ("params", "unlabeled", "message"),
    [
        ({"pretrain": None}, X, r"X_unlabeled is for pretrain='autoencoder'. Got pretrain=None"),
        ({}, X[:, :5], r"X_unlabeled is not valid: X has 5 features, but KerasMLPRegressor is expecting 6"),
        ({}, np.where(X > 2, np.nan, X), "X_unlabeled is not valid: Input X contains NaN"),
        ({}, X[:0], "X_unlabeled is not valid: Found array with 0 sample"),
        ({}, sparse.csr_array(X), "pretrain='autoencoder' needs a dense X"),
    ],
)
def test_bad_rows_without_labels(params, unlabeled, message):
    mlp = regressor(**{"pretrain": "autoencoder"} | params)
    with pytest.raises(ValueError, match=message):
        mlp.fit(X, Y, X_unlabeled=unlabeled)
    assert not hasattr(mlp, "n_features_in_")


def test_names_of_rows_without_labels():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    with pytest.raises(ValueError, match="X_unlabeled is not valid: The feature names should match"):
        pretrained().fit(frame, Y, X_unlabeled=frame.rename(columns={"a": "z"}))


def test_a_sparse_matrix_cannot_pretrain():
    with pytest.raises(ValueError, match=r"pretrain='autoencoder' needs a dense X.* call toarray\(\)"):
        pretrained().fit(sparse.csr_array(X), Y)


def test_frozen_layers_of_the_defaults_are_compiled():
    settings = {"n_neurons": 8, "epochs": 2, "ensemble_size": 1, "engine": "compiled", "random_state": 0}
    source = KerasMLPRegressor(**settings).fit(X, Y)
    for ema_momentum in (None, 0.9):
        mlp = KerasMLPRegressor(**settings, init_from=source, frozen_epochs=np.inf, ema_momentum=ema_momentum)
        mlp.fit(X, Y)
        for name in ("columns", "hidden_1"):
            pairs = zip(
                mlp.model_.get_layer(name).get_weights(), source.model_.get_layer(name).get_weights(), strict=True
            )
            for mine, theirs in pairs:
                np.testing.assert_array_equal(mine, theirs)
