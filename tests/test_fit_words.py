"""Keras' own words in `fit`: they hold for that fit, and pass through everything around the estimator."""

import keras
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor
from sk_mlp.model_selection import HyperbandSearchCV, PopulationGridSearchCV, PopulationHalvingSearchCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 4)).astype(np.float32)
Y = X[:, 0] - X[:, 1] ** 2
LABELS = np.where(Y > 0, "high", "low")
SMALL = PLAIN_MLP | {"n_hidden": 1, "n_neurons": 8, "epochs": 3, "random_state": 0, "learning_rate": 1e-2}
VALIDATION = (X[:50], Y[:50])
pytestmark = pytest.mark.usefixtures("no_xla")


def regressor(**params):
    return KerasMLPRegressor(**SMALL | params)


def classifier(**params):
    return KerasMLPClassifier(**SMALL | params)


def build(units=5):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, "tanh"), keras.layers.Dense(1)])


@pytest.mark.parametrize("model", [None, build], ids=["built-in", "builder"])
def test_words_are_the_parameters_for_one_fit(model):
    settings = {"random_state": 0, "learning_rate": 1e-2} if model else SMALL
    words = {"epochs": 2, "batch_size": 50, "shuffle": False, "verbose": 0, "validation_split": 0.3}
    params = {name: value for name, value in words.items() if name != "validation_split"} | {"validation_fraction": 0.3}
    mlp = KerasMLPRegressor(model, **settings)
    before = mlp.get_params()
    mlp.fit(X, Y, **words)
    expected = KerasMLPRegressor(model, **settings | params).fit(X, Y)
    np.testing.assert_array_equal(mlp.predict(X), expected.predict(X))
    assert mlp.get_params() == before
    assert mlp.fit(X, Y, epochs=1).n_iter_ == 1


@pytest.mark.parametrize("weights", [(), (np.arange(50.0),)], ids=["two", "three"])
def test_validation_data(weights):
    mlp = regressor().fit(X, Y, validation_data=VALIDATION + weights)
    same = regressor().fit(X, Y, None, *VALIDATION, *weights)
    assert mlp.history_ == same.history_


def test_validation_split_without_early_stopping():
    mlp = regressor(early_stopping=False).fit(X, Y, validation_split=0.2)
    assert len(mlp.history_["val_loss"]) == 3
    assert mlp.best_epoch_ == 2
    assert "val_loss" not in regressor().fit(X, Y, validation_split=0).history_
    assert "val_loss" not in regressor().fit(X, Y, validation_split=0.0).history_


def test_class_weight_by_label_and_by_number():
    by_label = classifier().fit(X, LABELS, class_weight={"high": 3.0, "low": 0.5})
    by_number = classifier().fit(X, LABELS, class_weight={0: 3.0, 1: 0.5})
    of_estimator = classifier(class_weight={"high": 3.0, "low": 0.5}).fit(X, LABELS)
    for mlp in (by_number, of_estimator):
        np.testing.assert_array_equal(mlp.predict_proba(X), by_label.predict_proba(X))
    assert np.abs(classifier().fit(X, LABELS).predict_proba(X) - by_label.predict_proba(X)).max() > 0.01


class Count(keras.callbacks.Callback):
    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        type(self).epochs += 1


def test_callbacks_are_called_beside_the_estimators_own(monkeypatch):
    monkeypatch.setattr(Count, "epochs", 0)
    regressor(callbacks=[Count()]).fit(X, Y, callbacks=[Count()])
    regressor().fit(X, Y, callbacks=Count())
    assert Count.epochs == 9


@pytest.mark.parametrize(
    ("engine", "monitor", "restores"),
    [
        *(("auto", monitor, restores) for monitor in ("val_loss", "loss", "val_mae") for restores in (True, False)),
        *(("keras", "val_mae", restores) for restores in (True, False)),
    ],
)
def test_early_stopping_of_the_users_replaces_ours(engine, monitor, restores):
    """As Keras itself does it: `ByKeras` is called by Keras' own code."""

    class ByKeras(keras.callbacks.EarlyStopping):
        pass

    params = {"epochs": 25, "learning_rate": 0.1, "engine": engine, "metrics": ["mae"]}
    fits = [
        regressor(**params).fit(
            X, Y, validation_data=VALIDATION, callbacks=[cls(monitor, patience=2, restore_best_weights=restores)]
        )
        for cls in (keras.callbacks.EarlyStopping, ByKeras)
    ]
    assert fits[0].history_ == fits[1].history_
    np.testing.assert_allclose(fits[0].predict(X), fits[1].predict(X), rtol=1e-6)
    assert fits[0].best_epoch_ == fits[1].best_epoch_
    if not restores:
        assert fits[0].best_epoch_ == fits[0].n_iter_ - 1


@pytest.mark.parametrize("search", [GridSearchCV, PopulationGridSearchCV])
def test_through_searches(search):
    words = {"epochs": 2, "validation_data": VALIDATION, "callbacks": [keras.callbacks.EarlyStopping(patience=1)]}
    found = search(regressor(), {"n_neurons": [4, 8]}, cv=2).fit(X, Y, **words)
    assert found.best_estimator_.n_iter_ <= 2
    assert found.best_estimator_.get_params()["epochs"] == 3


def test_through_pipelines_and_cross_validation():
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", regressor())]).fit(X, Y, mlp__epochs=1)
    assert pipeline[-1].n_iter_ == 1
    fits = cross_validate(regressor(), X, Y, cv=2, params={"epochs": 1}, return_estimator=True)["estimator"]
    assert [mlp.n_iter_ for mlp in fits] == [1, 1]


def test_by_metadata_routing():
    with config_context(enable_metadata_routing=True):
        mlp = regressor().set_fit_request(epochs=True, validation_data=True)
        assert make_pipeline(StandardScaler(), mlp).fit(X, Y, epochs=1, validation_data=VALIDATION)[-1].n_iter_ == 1


@pytest.mark.parametrize("search", [PopulationHalvingSearchCV, HyperbandSearchCV])
def test_epochs_belong_to_the_rungs(search):
    with pytest.raises(ValueError, match="epochs must not be given to fit: this search sets them from rung to rung"):
        search(regressor(), {"n_neurons": [4, 8]}, cv=2).fit(X, Y, epochs=4)


def test_words_by_prefix():
    mlp = regressor(fit__epochs=2, fit__batch_size=50)
    assert clone(mlp).fit(X, Y).n_iter_ == 2
    assert mlp.fit(X, Y, epochs=1).n_iter_ == 1


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"epochs": "many"}, ValueError, r"'epochs' parameter .* Got 'many'"),
        ({"epochs": 0}, ValueError, r"'epochs' parameter .* Got 0"),
        ({"batch_size": 0.5}, ValueError, r"'batch_size' parameter .* Got 0.5"),
        ({"shuffle": "batch"}, ValueError, r"'shuffle' parameter .* Got 'batch'"),
        ({"verbose": "loud"}, ValueError, r"'verbose' parameter .* Got 'loud'"),
        (
            {"callbacks": ["EarlyStopping"]},
            TypeError,
            "'callbacks' .* must hold Keras callbacks .* Got 'EarlyStopping'",
        ),
        ({"callbacks": 3}, TypeError, "'callbacks' parameter must hold Keras callbacks"),
        ({"validation_split": 1.5}, ValueError, r"validation_split must be a float in \[0, 1\).* Got 1.5"),
        ({"validation_split": "0.1"}, ValueError, "validation_split must be a float"),
        ({"validation_data": X}, ValueError, r"validation_data must be a tuple .* Got ndarray"),
        ({"validation_data": (X,)}, ValueError, r"validation_data must be a tuple .* Got tuple of length 1"),
        ({"validation_data": (X[:, :3], Y)}, ValueError, "3 features"),
        ({"validation_data": (X[:5], Y)}, ValueError, "inconsistent numbers of samples"),
        ({"validation_data": VALIDATION, "validation_split": 0.1}, ValueError, "must not both be given"),
        ({"validation_data": VALIDATION, "X_val": X, "y_val": Y}, ValueError, "validation_data is the same as X_val"),
        ({"steps_per_epoch": 5}, TypeError, "steps_per_epoch of Keras' Model.fit is not supported: .*batch_size"),
        ({"initial_epoch": 5}, TypeError, "initial_epoch of Keras' Model.fit is not supported: .*partial_fit"),
        ({"validation_steps": 5}, TypeError, "validation_steps of Keras"),
        ({"epoch": 5}, TypeError, "unexpected keyword argument 'epoch'.*Did you mean 'epochs'"),
        ({"class_weight": {0: 1}}, TypeError, "class_weight is for classifiers"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_words_leave_everything_as_it_was(words, error, message):
    mlp = regressor()
    before = mlp.get_params()
    with pytest.raises(error, match=message):
        mlp.fit(X, Y, **words)
    assert not hasattr(mlp, "n_features_in_")
    assert mlp.get_params() == before


def test_words_of_keras_that_are_none_ask_for_nothing():
    assert regressor(fit__steps_per_epoch=None).fit(X, Y, epochs=1, validation_steps=None).n_iter_ == 1


def test_validation_labels_that_training_does_not_have():
    with pytest.raises(ValueError, match="must hold only the classes"):
        classifier().fit(X, LABELS, validation_data=(X[:3], ["high", "low", "medium"]))
    with pytest.raises(ValueError, match=r"class_weight must .* Got .'medium'."):
        classifier().fit(X, LABELS, class_weight={"medium": 2})
