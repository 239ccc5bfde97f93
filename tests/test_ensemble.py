"""Several networks in one estimator, and temperature scaling."""

import pickle

import numpy as np
import pytest
from plain import plain_classifier, plain_regressor, prepared_task
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.model_selection import GridSearchCV

from sk_mlp._estimator.given import GivenRows
from sk_mlp._estimator.split import hold_outs, member_seeds
from sk_mlp._network.forward import network_output
from sk_mlp._targets.temperature import fit_temperature
from sk_mlp.model_selection import PopulationGridSearchCV

X, Y = make_regression(200, 5, noise=20.0, random_state=0)
X = X.astype(np.float32)
_, LABELS = make_classification(200, 5, flip_y=0.3, random_state=0)
X_LABELS = make_classification(200, 5, flip_y=0.3, random_state=0)[0]
SMALL = {"n_hidden": 1, "n_neurons": 8, "learning_rate": 1e-2, "epochs": 8, "random_state": 0}


def member_outputs(mlp, rows):
    fitted = mlp._fitted
    return [network_output(fitted.spec, fitted.named_weights(m), rows) for m in range(len(fitted.states))]


def test_the_output_is_the_mean_of_the_members():
    mlp = plain_regressor(ensemble_size=3, **SMALL).fit(X, Y)
    outputs = member_outputs(mlp, X)
    assert len(outputs) == 3
    assert np.ptp(outputs, axis=0).min() > 0
    np.testing.assert_allclose(mlp.predict(X), mlp._fitted.targets.decode(np.mean(outputs, axis=0)), rtol=1e-12)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mlp)).predict(X), mlp.predict(X))


def test_the_first_member_is_the_single_network():
    single = plain_regressor(normalize_y=False, **SMALL).fit(X, Y)
    together = plain_regressor(normalize_y=False, ensemble_size=2, **SMALL).fit(X, Y)
    np.testing.assert_allclose(member_outputs(together, X)[0], member_outputs(single, X)[0], rtol=1e-5)


def test_each_member_weighs_the_rows_that_it_holds_out_by_themselves():
    """Else the loss of one that holds out heavy rows alone would be taken for a bad network's."""
    weights = np.ones(200)
    weights[::20] = 100
    settings = SMALL | {"normalize_y": False, "ensemble_size": 4}
    heavy = plain_regressor(**settings).fit(X, Y / 100, sample_weight=weights).history_["val_loss"]
    assert np.all(heavy < 4 * np.array(plain_regressor(**settings).fit(X, Y / 100).history_["val_loss"]))
    assert np.all(heavy > 0.25 * np.array(plain_regressor(**settings).fit(X, Y / 100).history_["val_loss"]))
    task = prepared_task(plain_regressor(**settings), GivenRows(X, Y, weights), early_stopping=True)
    for member in task.members:
        for part in (member.train, member.validation):
            np.testing.assert_allclose(member.rows.weights[part].mean(), 1, rtol=1e-5)
    unweighted = prepared_task(plain_regressor(**settings), GivenRows(X, Y), early_stopping=True)
    assert len({id(member.rows) for member in unweighted.members}) == 1


def test_the_temperature_is_of_what_is_averaged():
    """Of logits, where these are the output."""
    settings = SMALL | {"ensemble_size": 4, "calibrate": True, "epochs": 40, "patience": 40}
    mlp = plain_classifier(**settings, loss="binary_crossentropy", loss__from_logits=True)
    mlp.fit(X_LABELS[:60], LABELS[:60], X_val=X_LABELS[60:], y_val=LABELS[60:])
    logits = [z * mlp._fitted.temperature for z in member_outputs(mlp, X_LABELS[60:])]
    held_out = [(np.arange(140), LABELS[60:, None], np.ones(140))]
    of_mean = fit_temperature([expit(np.mean(logits, axis=0))], held_out, False)
    of_probabilities = fit_temperature([np.mean(expit(logits), axis=0)], held_out, False)
    assert mlp._fitted.temperature == pytest.approx(of_mean, rel=1e-3)
    assert abs(of_probabilities / of_mean - 1) > 0.01


def test_the_same_seed_gives_the_same_ensemble():
    mlp = plain_regressor(ensemble_size=3, **SMALL)
    np.testing.assert_array_equal(clone(mlp).fit(X, Y).predict(X), mlp.fit(X, Y).predict(X))


def test_pairs_of_members_hold_out_other_rows():
    seeds = member_seeds(0, 24)
    assert len(set(seeds)) == 24
    splits = hold_outs(100, 0.1, seeds, np.arange(100) % 3)
    held_out = [set(validation) for _, validation in splits]
    assert held_out[::2] == held_out[1::2]
    assert all(not held_out[i] & held_out[j] for i in range(0, 18, 2) for j in range(0, i, 2))
    assert all(set(train) == set(range(100)) - rows for (train, _), rows in zip(splits, held_out, strict=True))
    assert {len(rows) for rows in held_out} == {10}


def test_histories_are_averaged():
    mlp = plain_regressor(ensemble_size=3, early_stopping=False, **SMALL).fit(X, Y)
    assert mlp.n_iter_ == len(mlp.history_["loss"]) == 8


def test_training_goes_on_with_all_members():
    mlp = plain_regressor(ensemble_size=2, warm_start=True, **SMALL).fit(X, Y)
    before = member_outputs(mlp, X)
    after = member_outputs(mlp.partial_fit(X, Y), X)
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(before, after, strict=True))
    with pytest.raises(ValueError, match="ensemble_size must be that of the last fit, 2"):
        mlp.set_params(ensemble_size=3).fit(X, Y)


def test_partial_fit_keeps_the_calibration():
    above = np.where(Y > 0, "above", "below")
    mlp = plain_classifier(ensemble_size=2, calibrate=True, **SMALL).fit(X, above)
    temperature = mlp._fitted.temperature
    assert temperature != 1
    assert mlp.partial_fit(X, above)._fitted.temperature == temperature


def test_a_population_search_over_ensembles_is_scikit_learns():
    mlp, grid = plain_regressor(ensemble_size=2, **SMALL), {"learning_rate": [1e-3, 1e-2]}
    ours = PopulationGridSearchCV(mlp, grid, cv=2).fit(X, Y)
    theirs = GridSearchCV(mlp, grid, cv=2).fit(X, Y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-4, atol=1e-4
    )


def test_keras_callbacks_see_each_member():
    from keras.callbacks import EarlyStopping

    mlp = plain_regressor(ensemble_size=2, callbacks=[EarlyStopping(monitor="loss", min_delta=1e9)], **SMALL)
    assert mlp.fit(X, Y).n_iter_ == 2
    assert len(mlp._fitted.states) == 2


@pytest.mark.parametrize("true_temperature", [0.5, 2.0])
@pytest.mark.parametrize("kind", ["binary", "one-hot", "sparse", "multilabel"])
def test_the_temperature_that_was_put_in_is_found(kind, true_temperature):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(20_000, 1 if kind == "binary" else 3)) * 2
    if kind in ("binary", "multilabel"):
        labels, p = rng.random(z.shape) < expit(z), expit(z * true_temperature)
    else:
        codes = np.array([rng.choice(3, p=row) for row in softmax(z, axis=1)])
        labels, p = (np.eye(3)[codes] if kind == "one-hot" else codes[:, None]), softmax(z * true_temperature, axis=1)
    exclusive = kind in ("one-hot", "sparse")
    found = fit_temperature([p], [(np.arange(len(z)), labels.astype(int), np.ones(len(z)))], exclusive)
    assert found == pytest.approx(true_temperature, rel=0.05)


def test_the_temperature_of_an_ensemble_follows_from_pairs():
    n_rows, n_members = 40_000, 8
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n_rows, 1)) * 2
    labels, weights = (rng.random(z.shape) < expit(z)).astype(int), np.ones(n_rows)
    members = [expit(z + rng.normal(size=z.shape)) for _ in range(n_members)]  # each right but for its own noise
    parts = np.repeat(np.array_split(np.arange(n_rows), n_members // 2), 2, axis=0)
    from_pairs = fit_temperature(
        [p[rows] for p, rows in zip(members, parts, strict=True)], [(rows, labels, weights) for rows in parts], False
    )
    of_all = fit_temperature(members, [(np.arange(n_rows), labels, weights)] * n_members, False)
    of_one = fit_temperature(members[:1], [(np.arange(n_rows), labels, weights)], False)
    assert of_all < 0.95
    assert of_one > 1.1
    assert from_pairs == pytest.approx(of_all, rel=0.05)


def test_calibration_lowers_the_log_loss_of_held_out_rows():
    settings = SMALL | {
        "epochs": 200,
        "n_neurons": 64,
        "early_stopping": True,
        "patience": 200,
        "metrics": ["accuracy"],
    }
    settings |= {"monitor": "val_accuracy", "validation_fraction": 0.5}
    raw = plain_classifier(calibrate=False, **settings).fit(X_LABELS, LABELS)
    scaled = plain_classifier(calibrate=True, **settings).fit(X_LABELS, LABELS)
    temperature = scaled._fitted.temperature
    assert temperature > 1.1
    np.testing.assert_allclose(
        logit(scaled.predict_proba(X_LABELS)[:, 1]), logit(raw.predict_proba(X_LABELS)[:, 1]) / temperature, rtol=1e-3
    )
    np.testing.assert_array_equal(scaled.predict(X_LABELS), raw.predict(X_LABELS))
    in_keras = np.asarray(scaled.model_(X_LABELS.astype(np.float32)))[:, 0]
    np.testing.assert_allclose(in_keras, scaled.predict_proba(X_LABELS)[:, 1], atol=1e-5)


def test_calibration_of_several_classes():
    labels = np.argmax(X_LABELS[:, :3] + np.random.default_rng(0).normal(size=(200, 3)) * 2, axis=1)
    mlp = plain_classifier(calibrate=True, **SMALL | {"epochs": 100, "validation_fraction": 0.3}).fit(X_LABELS, labels)
    p = mlp.predict_proba(X_LABELS)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    untouched = mlp.set_params(calibrate=False).fit(X_LABELS, labels).predict_proba(X_LABELS)
    ratio = log_softmax(np.log(p), axis=1) - np.log(p)
    assert np.abs(ratio).max() < 1e-6
    assert np.abs(p - untouched).max() > 1e-6


def test_calibrate_with_a_model_of_the_users_own_is_refused():
    import keras

    def build(meta):
        return keras.Sequential([keras.layers.Input((meta["n_features_in_"],)), keras.layers.Dense(1, "sigmoid")])

    with pytest.raises(ValueError, match="calibrate=True applies only to the built-in network"):
        plain_classifier(build, calibrate=True, epochs=1).fit(X_LABELS, LABELS)


def test_several_labels_are_calibrated_one_by_one_even_where_each_row_has_one():
    p = np.array([[0.9, 0.9], [0.9, 0.9]] * 5_000)
    labels = np.array([[1, 0], [0, 1]] * 5_000)
    found = fit_temperature([p], [(np.arange(10_000), labels, np.ones(10_000))], exclusive=False)
    assert found == pytest.approx(10, rel=1e-2)  # p should be 0.5


def test_few_rows_that_are_all_right_do_not_make_it_certain():
    def found(n_rows):
        return fit_temperature(
            [np.full((n_rows, 1), 0.9)], [(np.arange(n_rows), np.ones((n_rows, 1)), np.ones(n_rows))], False
        )

    assert 0.5 < found(20) < 1
    assert found(20_000) < 0.25
