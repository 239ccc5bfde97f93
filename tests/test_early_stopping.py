"""Early stopping: what is held out, when training stops, which weights are kept; and that a seed decides all of it."""

import random
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from joblib import parallel_config
from keras.src.backend.common import global_state
from plain import plain_classifier, plain_regressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import cross_val_predict

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
TARGET = 5 + 3 * (X @ [1.0, -2.0, 3.0, 0.5] + RNG.standard_normal(120))
LABELS = (RNG.permutation(120) < 30).astype(int)  # a quarter of ones, without regard to X
TRAIN, HELD = slice(30, None), slice(30)


def classifier(**params):
    return plain_classifier(**{"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **params})


def regressor(model=None, **params):
    return plain_regressor(model, **{"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **params})


def mean_target(y_true, y_pred):
    """A metric that shows which rows it is computed on."""
    return y_true[:, 0]


def share_of_class_1(y_true, y_pred):
    return y_true[:, 1]


def share_of_class_2(y_true, y_pred):
    return y_true[:, 2]


def expected_stop(losses, patience, min_delta):
    """Number of epochs and the kept one, by the rule as docs/early_stopping.md states it."""
    best, best_epoch = np.inf, -1
    for epoch, loss in enumerate(losses):
        if loss < best - min_delta:
            best, best_epoch = loss, epoch
        elif epoch - best_epoch >= patience:
            return epoch + 1, best_epoch
    return len(losses), best_epoch


# What is held out


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_held_out_rows_are_stratified(seed):
    mlp = classifier(metrics=[mean_target], epochs=1, random_state=seed).fit(X, LABELS)
    assert mlp.history_["val_mean_target"] == [0.25]
    assert mlp.history_["mean_target"] == [0.25]


def test_held_out_rows_of_many_classes_are_stratified():
    y = np.repeat(["a", "b", "c"], [60, 36, 24])
    mlp = classifier(metrics=[share_of_class_1, share_of_class_2], validation_fraction=0.25, epochs=1).fit(X, y)
    for part in ("", "val_"):
        np.testing.assert_allclose(mlp.history_[f"{part}share_of_class_1"], 0.3, rtol=1e-6)
        np.testing.assert_allclose(mlp.history_[f"{part}share_of_class_2"], 0.2, rtol=1e-6)


def test_class_with_one_member_is_trained_on():
    y = np.where(np.arange(120) == 77, "rare", np.where(LABELS, "b", "a"))
    mlp = classifier(metrics=[share_of_class_1, share_of_class_2], epochs=1).fit(X, y)
    assert mlp.classes_.tolist() == ["a", "b", "rare"]
    np.testing.assert_allclose(mlp.history_["share_of_class_2"], 1 / 108, rtol=1e-6)
    assert mlp.history_["val_share_of_class_2"] == [0.0]
    assert mlp.predict_proba(X).shape == (120, 3)


def test_more_classes_than_held_out_rows():
    y = np.arange(120) % 40
    mlp = classifier(epochs=1).fit(X, y)  # 12 rows cannot hold one of each of 40 classes
    assert len(mlp.classes_) == 40
    assert len(mlp.history_["val_loss"]) == 1


def test_seed_decides_what_is_held_out():
    means = [
        regressor(metrics=[mean_target], epochs=1, random_state=seed).fit(X, TARGET).history_["val_mean_target"][0]
        for seed in (0, 1, 2, 0, 1, 2)
    ]
    assert means[:3] == means[3:]
    assert len(set(means)) == 3


def test_validation_fraction():
    mlp = regressor(metrics=[mean_target], epochs=1, validation_fraction=0.5)
    mlp.fit(X, np.arange(120.0))
    held_out, trained = mlp.history_["val_mean_target"][0], mlp.history_["mean_target"][0]
    np.testing.assert_allclose((held_out + trained) / 2, 59.5, rtol=1e-5)  # halves of equal size


@pytest.mark.parametrize(("engine", "early_stopping"), [("compiled", True), ("compiled", False), ("keras", True)])
def test_own_held_out_rows(engine, early_stopping):
    mlp = regressor(metrics=[mean_target], early_stopping=early_stopping, engine=engine, epochs=2)
    mlp.fit(X[TRAIN], TARGET[TRAIN], X_val=X[HELD], y_val=TARGET[HELD])
    np.testing.assert_allclose(mlp.history_["mean_target"], TARGET[TRAIN].mean(), rtol=1e-5)  # all of X trains
    np.testing.assert_allclose(mlp.history_["val_mean_target"], TARGET[HELD].mean(), rtol=1e-5)


def test_held_out_rows_do_not_influence_training():
    one, other = (
        regressor(early_stopping=False).fit(X[TRAIN], TARGET[TRAIN], X_val=x_val, y_val=y_val)
        for x_val, y_val in ((X[HELD], TARGET[HELD]), (1e3 * X[HELD], 1e6 * TARGET[HELD]))
    )
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_array_equal(
        one.predict(X), regressor(early_stopping=False).fit(X[TRAIN], TARGET[TRAIN]).predict(X)
    )


# Held-out rows that join the others

EXACT = X @ [1.0, -2.0, 3.0, 0.5]
ANNEALED = {"hidden_layer_sizes": (), "epochs": 40, "learning_rate": 0.05, "lr_schedule": "cosine"}
ANNEALED |= {"validation_fraction": 0.25}


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_held_out_rows_of_what_is_nearly_exact_join_the_others(engine):
    mlp = regressor(**ANNEALED, engine=engine, metrics=[mean_target]).fit(X, EXACT)
    alone = np.isfinite(mlp.history_["val_loss"])
    n_alone = np.count_nonzero(alone)
    assert 5 < n_alone < 40
    assert alone[:n_alone].all(), "from then on they are no held-out rows"
    assert (np.array(mlp.history_["val_loss"])[alone] < 0.01).tolist() == [False] * (n_alone - 1) + [True]
    trained_on = mlp.history_["mean_target"]
    np.testing.assert_allclose(trained_on[n_alone:], EXACT.mean(), rtol=1e-4)  # all rows
    assert not np.isclose(trained_on[n_alone - 1], EXACT.mean(), rtol=1e-2)
    assert (mlp.n_iter_, mlp.best_epoch_) == (40, 39)


def test_members_of_an_ensemble_join_one_by_one():
    mlp = regressor(**ANNEALED, ensemble_size=3).fit(X, EXACT)
    alone = [regressor(**ANNEALED, early_stopping=True, ensemble_size=3).fit(X, EXACT)]
    n_alone = np.count_nonzero(np.isfinite(mlp.history_["val_loss"]))
    assert 5 < n_alone < 40
    assert mlp.history_["val_loss"][:5] == alone[0].history_["val_loss"][:5]
    assert mean_squared_error(EXACT, mlp.predict(X)) < mean_squared_error(EXACT, alone[0].predict(X))


@pytest.mark.parametrize(
    "settings",
    [
        {"lr_schedule": None},
        {"lr_schedule": "plateau"},
        {"loss": "huber"},
        {"validation_fraction": 0.1},  # 12 rows
        {"monitor": "val_mean_target", "metrics": [mean_target]},
        {"callbacks": [keras.callbacks.LambdaCallback()]},
    ],
)
def test_where_auto_is_to_stop_early(settings):
    auto, early = (
        regressor(**ANNEALED | settings, early_stopping=value, patience=40).fit(X, EXACT) for value in ("auto", True)
    )
    assert np.isfinite(auto.history_["val_loss"]).all()
    np.testing.assert_array_equal(auto.predict(X), early.predict(X))


def test_rows_do_not_join_where_callbacks_of_fit_look_at_them():
    mlp = regressor(**ANNEALED, patience=40).fit(X, EXACT, callbacks=[keras.callbacks.LambdaCallback()])
    assert np.isfinite(mlp.history_["val_loss"]).all()


def test_rows_of_the_users_own_never_join():
    mlp = regressor(**ANNEALED).fit(X[TRAIN], EXACT[TRAIN], X_val=X[HELD], y_val=EXACT[HELD])
    assert min(mlp.history_["val_loss"]) < 0.01
    assert np.isfinite(mlp.history_["val_loss"]).all()


def builder(meta, activation, loss):
    layers = [keras.Input((meta["n_features_in_"],)), keras.layers.Dense(1, activation)]
    model = keras.Sequential(layers)
    if loss:
        model.compile("adam", loss)
    return model


@pytest.mark.parametrize(("activation", "loss"), [("sigmoid", None), (None, "huber"), (None, "mae")])
def test_a_small_loss_is_not_taken_for_a_small_share_of_the_variance(activation, loss):
    y = 0.5 + 0.01 * RNG.standard_normal(120)
    mlp = regressor(builder, model__activation=activation, model__loss=loss, lr_schedule="cosine", epochs=9)
    mlp.set_params(validation_fraction=0.25).fit(X, y)
    assert np.isfinite(mlp.history_["val_loss"]).all()


def test_a_constant_column_does_not_count_as_explained():
    y = np.column_stack([TARGET, *np.ones((199, 120))])
    mlp = regressor(**ANNEALED).fit(X, y)
    assert min(mlp.history_["val_loss"]) < 0.01
    assert np.isfinite(mlp.history_["val_loss"]).all()


def test_weighted_rows_never_join():
    mlp = regressor(**ANNEALED).fit(X, EXACT, sample_weight=np.arange(1, 121))
    assert min(mlp.history_["val_loss"]) < 0.01
    assert np.isfinite(mlp.history_["val_loss"]).all()


def test_noisy_targets_are_stopped_early():
    auto, early = (regressor(**ANNEALED, early_stopping=value).fit(X, TARGET) for value in ("auto", True))
    np.testing.assert_array_equal(auto.predict(X), early.predict(X))


# Which weights are kept


@pytest.mark.parametrize(("engine", "batch_norm"), [("compiled", False), ("compiled", True), ("keras", True)])
def test_regressor_keeps_the_best_epoch(engine, batch_norm):
    mlp = regressor(epochs=40 if engine == "compiled" else 15, learning_rate=0.1, engine=engine, batch_norm=batch_norm)
    mlp.set_params(patience=4).fit(X[TRAIN], TARGET[TRAIN], X_val=X[HELD], y_val=TARGET[HELD])
    losses = mlp.history_["val_loss"]
    assert mlp.best_epoch_ == np.argmin(losses) < mlp.n_iter_ - 1  # so that there is something to restore
    loss = mean_squared_error(TARGET[HELD], mlp.predict(X[HELD])) / TARGET[TRAIN].var()
    np.testing.assert_allclose(loss, min(losses), rtol=1e-4)
    in_keras = mlp.model_.predict(X[HELD], verbose=0)[:, 0]
    np.testing.assert_allclose(in_keras, mlp.predict(X[HELD]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("engine", "n_classes"), [("compiled", 2), ("compiled", 3), ("keras", 2)])
def test_classifier_keeps_the_best_epoch(engine, n_classes):
    y = np.where(X[:, 0] + RNG.standard_normal(120) > 0, "yes", "no").astype(object)
    y[X[:, 1] > 1] = ["no", "maybe"][n_classes - 2]
    weights = np.linspace(0.5, 3, 30)
    mlp = classifier(epochs=40 if engine == "compiled" else 15, learning_rate=0.2, patience=4, engine=engine)
    mlp.fit(X[TRAIN], y[TRAIN], X_val=X[HELD], y_val=y[HELD], sample_weight_val=weights)
    losses = mlp.history_["val_loss"]
    assert mlp.best_epoch_ == np.argmin(losses) < mlp.n_iter_ - 1
    loss = log_loss(y[HELD], np.clip(mlp.predict_proba(X[HELD]), 1e-7, 1 - 1e-7), sample_weight=weights)
    np.testing.assert_allclose(loss, min(losses), rtol=1e-4)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_a_held_out_row_of_weight_0_is_left_out(engine):
    weights = np.ones(30)
    weights[0] = 0.0
    strange = X[HELD].copy()
    strange[0] = 1e30
    fitted = [
        regressor(engine=engine, epochs=2, metrics=["mae"]).fit(X[TRAIN], TARGET[TRAIN], X_val=x, y_val=y, **others)
        for x, y, others in (
            (strange, TARGET[HELD], {"sample_weight_val": weights}),
            (X[HELD][1:], TARGET[HELD][1:], {}),
        )
    ]
    assert fitted[0].history_ == fitted[1].history_


def test_multilabel_keeps_the_best_epoch():
    y = np.column_stack([X[:, 0] > 0, X[:, 1] > RNG.standard_normal(120)]).astype(int)
    mlp = classifier(epochs=40, learning_rate=0.2, patience=4)
    mlp.fit(X[TRAIN], y[TRAIN], X_val=X[HELD], y_val=y[HELD])
    p = np.clip(mlp.predict_proba(X[HELD]), 1e-7, 1 - 1e-7)
    loss = -np.mean(np.where(y[HELD] == 1, np.log(p), np.log1p(-p)))
    np.testing.assert_allclose(loss, min(mlp.history_["val_loss"]), rtol=1e-4)


# When training stops


@pytest.fixture(scope="module")
def validation_losses():
    """Of 60 epochs, without stopping: restless, with a minimum early on."""
    mlp = regressor(epochs=60, learning_rate=0.1, early_stopping=False)
    mlp.fit(X[TRAIN], TARGET[TRAIN], X_val=X[HELD], y_val=TARGET[HELD])
    assert mlp.n_iter_ == 60
    return mlp.history_["val_loss"]


@pytest.mark.parametrize("patience", [1, 2, 5, 15, 1000])
@pytest.mark.parametrize("min_delta", [0.0, 1e-3, 0.05, 1e9])
def test_patience_and_min_delta(patience, min_delta, validation_losses):
    mlp = regressor(epochs=60, learning_rate=0.1, patience=patience, min_delta=min_delta)
    mlp.fit(X[TRAIN], TARGET[TRAIN], X_val=X[HELD], y_val=TARGET[HELD])
    expected = expected_stop(validation_losses, patience, min_delta)
    assert (mlp.n_iter_, mlp.best_epoch_) == expected
    np.testing.assert_array_equal(mlp.history_["val_loss"], validation_losses[: mlp.n_iter_])
    loss = mean_squared_error(TARGET[HELD], mlp.predict(X[HELD])) / TARGET[TRAIN].var()
    np.testing.assert_allclose(loss, validation_losses[mlp.best_epoch_], rtol=1e-4)


@pytest.mark.parametrize("held_out", [False, True])
def test_without_early_stopping_the_last_epoch_is_kept(held_out):
    rows = {"X_val": X[HELD], "y_val": TARGET[HELD]} if held_out else {}
    mlp = regressor(epochs=30, learning_rate=0.1, early_stopping=False, patience=1).fit(X[TRAIN], TARGET[TRAIN], **rows)
    assert (mlp.n_iter_, mlp.best_epoch_) == (30, 29)
    assert ("val_loss" in mlp.history_) == held_out
    if held_out:
        loss = mean_squared_error(TARGET[HELD], mlp.predict(X[HELD])) / TARGET[TRAIN].var()
        np.testing.assert_allclose(loss, mlp.history_["val_loss"][-1], rtol=1e-4)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_stops_at_a_perfect_score(engine):
    mlp = regressor(hidden_layer_sizes=(), optimizer="sgd", learning_rate=0.3, epochs=300, patience=300, engine=engine)
    y = X @ [1.0, -2.0, 3.0, 0.5]
    mlp.fit(X, y)
    assert mlp.n_iter_ < 100
    assert mlp.history_["val_loss"][-1] < 1.2e-7 < min(mlp.history_["val_loss"][:-1])
    assert mlp.best_epoch_ == mlp.n_iter_ - 1
    assert mlp.score(X, y) > 0.999999


def squared_error(y_true, y_pred):
    return tf.square(y_true[:, 0] - y_pred[:, 0])


def squared_error_less_five(y_true, y_pred):
    return tf.square(y_true[:, 0] - y_pred[:, 0]) - 5.0


def test_negative_loss_is_not_taken_for_perfect():
    one, other = (regressor(loss=loss, epochs=12).fit(X, TARGET) for loss in (squared_error, squared_error_less_five))
    np.testing.assert_allclose(np.array(other.history_["val_loss"]) + 5, one.history_["val_loss"], rtol=1e-5)
    assert other.n_iter_ == one.n_iter_
    np.testing.assert_allclose(other.predict(X), one.predict(X), rtol=1e-5)


def counts_network():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="exponential")])


def test_poisson_regression_trains():
    y = np.round(np.exp(3 + 0.3 * X[:, 0]))  # the loss of counts this large is below zero from the start
    mlp = plain_regressor(model=counts_network, loss="poisson", learning_rate=0.03, epochs=60, random_state=0)
    assert mlp.fit(X, y).score(X, y) > 0.8


# Divergence


@pytest.mark.parametrize(("engine", "early_stopping"), [("compiled", True), ("compiled", False), ("keras", True)])
def test_divergence_from_the_first_epoch_on(engine, early_stopping):
    mlp = regressor(optimizer="sgd", learning_rate=1e6, engine=engine, early_stopping=early_stopping, epochs=20)
    with pytest.raises(ValueError, match=r"no longer finite after epoch 1.*learning_rate.*1000000\.0"):
        mlp.fit(X, TARGET)
    with pytest.raises(NotFittedError):
        mlp.predict(X)
    mlp.set_params(learning_rate=1e-2).fit(X, TARGET)
    predicted = mlp.predict(X)
    with pytest.raises(ValueError, match="no longer finite"):
        mlp.set_params(learning_rate=1e6).fit(X, TARGET)
    np.testing.assert_array_equal(mlp.predict(X), predicted)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_divergence_later_keeps_the_last_good_weights(early_stopping):
    jump = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-2 if epoch < 3 else 1e30)
    params = {"optimizer": "sgd", "learning_rate": 1e-2, "early_stopping": early_stopping}
    mlp = regressor(**params, epochs=20, callbacks=[jump])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # NumPy's about Keras variables
        warnings.simplefilter("always", ConvergenceWarning)
        mlp.fit(X, TARGET)
    assert ["no longer finite after epoch 4" in str(warning.message) for warning in caught] == [True]
    assert [warning.filename for warning in caught] == [__file__]
    assert not np.isfinite(mlp.history_["loss"][-1])
    assert all(np.isfinite(weights).all() for weights in mlp.model_.get_weights())
    assert (mlp.n_iter_, mlp.best_epoch_) == (4, 2)
    np.testing.assert_allclose(mlp.predict(X), regressor(**params, epochs=3).fit(X, TARGET).predict(X), rtol=1e-5)


def test_diverging_partial_fit_changes_nothing():
    mlp = regressor(optimizer="sgd", learning_rate=1e-2).partial_fit(X, TARGET)
    predicted = mlp.predict(X)
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        mlp.set_params(learning_rate=1e30).partial_fit(X, TARGET)
    np.testing.assert_array_equal(mlp.predict(X), predicted)
    mlp.set_params(learning_rate=1e-2).partial_fit(X, TARGET)
    assert np.isfinite(mlp.predict(X)).all()
    assert (mlp.predict(X) != predicted).any()


def test_rows_too_large_to_learn_from():
    with pytest.raises(ValueError, match="scale X"):
        regressor().fit(X * 1e30, TARGET)


@pytest.mark.parametrize("scale", [1e-30, 1e15])
def test_classifier_of_rows_of_any_scale(scale):
    mlp = classifier().fit(X * scale, LABELS)
    assert np.isfinite(mlp.predict_proba(X * scale)).all()


# History


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_history_has_an_entry_an_epoch(engine):
    mlp = regressor(epochs=8, patience=3, learning_rate=0.1, metrics=["mae", mean_target], engine=engine)
    mlp.fit(X, TARGET)
    history = mlp.history_
    assert set(history) == {"loss", "mae", "mean_target", "val_loss", "val_mae", "val_mean_target", "learning_rate"}
    assert {len(values) for values in history.values()} == {mlp.n_iter_}
    assert all(type(value) is float for values in history.values() for value in values)
    np.testing.assert_allclose(history["learning_rate"], 0.1, rtol=1e-6)
    assert mlp.best_epoch_ == np.argmin(history["val_loss"])


def test_history_belongs_to_the_user():
    mlp = regressor().fit(X, TARGET)
    predicted = mlp.predict(X)
    mlp.history_["loss"].clear()
    np.testing.assert_array_equal(mlp.predict(X), predicted)
    assert len(regressor().fit(X, TARGET).history_["loss"]) == 3


# Random state


def with_dropout():
    hidden = keras.layers.Dense(8, "relu")
    return keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dropout(0.3), keras.layers.Dense(1)])


CONFIGURATIONS = {
    "plain": {},
    "dropout": {"dropout": 0.3, "batch_norm": True},
    "builder": {"model": with_dropout, "hidden_layer_sizes": None},
    "keras": {"engine": "keras", "dropout": 0.3, "batch_norm": True},
}


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_same_seed_same_model_whatever_the_generators_of_the_process(configuration):
    params = CONFIGURATIONS[configuration]
    fits = []
    for seed, of_process in ((3, 1), (3, 2), (4, 1)):
        keras.utils.set_random_seed(of_process)
        fits.append(regressor(**params, **{"random_state": seed}).fit(X, TARGET))
    first, again, other = fits
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    assert first.history_ == again.history_
    assert (first.predict(X) != other.predict(X)).all()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_generators_of_the_process_are_not_changed(configuration):
    drawn = []
    for work in (lambda: None, lambda: regressor(**CONFIGURATIONS[configuration]).fit(X, TARGET).model_):
        keras.utils.set_random_seed(7)
        # Which Keras < 3.9 leaves as it is.
        global_state.set_global_attribute("global_seed_generator", keras.random.SeedGenerator(7))
        work()
        drawn.append([random.random(), np.random.random(), *tf.random.uniform((3,)).numpy()])
        drawn[-1] += keras.random.uniform((3,)).numpy().tolist()
    assert drawn[0] == drawn[1]


def test_random_state_objects():
    fits = [regressor(random_state=np.random.RandomState(5)).fit(X, TARGET) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].predict(X), fits[1].predict(X))
    shared = np.random.RandomState(5)
    one, two = (regressor(random_state=shared).fit(X, TARGET).predict(X) for _ in range(2))
    np.testing.assert_array_equal(one, fits[0].predict(X))
    assert (one != two).all()


def test_without_random_state_each_fit_differs():
    mlp = regressor(random_state=None)
    assert (mlp.fit(X, TARGET).predict(X) != mlp.fit(X, TARGET).predict(X)).all()


def test_results_do_not_depend_on_threads():
    mlp = regressor(dropout=0.3, batch_norm=True)
    alone = cross_val_predict(mlp, X, TARGET, cv=4)
    with parallel_config(backend="threading"):
        np.testing.assert_array_equal(cross_val_predict(mlp, X, TARGET, cv=4, n_jobs=2), alone)


def test_a_small_loss_in_the_units_of_y_is_not_taken_for_perfect():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    settings = {"n_neurons": 5, "n_hidden": 1, "epochs": 6, "random_state": 0}
    mlp = plain_regressor(metrics=["mse"], monitor="val_mse", **settings).fit(X, 1e-4 * X[:, 0])
    assert mlp.history_["val_mse"][0] < 1e-7
    assert mlp.n_iter_ == 6
