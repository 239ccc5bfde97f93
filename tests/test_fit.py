"""What fitting does with rows, weights, kinds of targets, metrics, losses and models."""

import copy
import inspect
import pickle

import keras
import numpy as np
import pytest
import sklearn.datasets
import threadpoolctl
from optional import pd
from plain import plain_classifier, plain_regressor
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor, losses

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
TARGET = X @ [1.0, -2.0, 3.0, 0.5] + 0.1 * RNG.standard_normal(120)
LABELS = (X[:, 0] + RNG.standard_normal(120) > 0.5).astype(int)
CLASSES = np.array(["low", "middle", "top"])[np.digitize(TARGET, [-2, 2])]
MULTILABEL = np.column_stack([X[:, 0] > 0, X[:, 1] + X[:, 2] > 0.5]).astype(int)
TARGETS = np.column_stack([TARGET * 1e6 + 1e9, X[:, 0] * 1e-6])
POSITIVE = np.exp(TARGET / 4)
SPLIT = {"X": X[30:], "X_val": X[:30]}
FULL_BATCH = {"batch_size": 120, "shuffle": False, "early_stopping": False}


def regressor(**params):
    return plain_regressor(**{"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **params})


def classifier(**params):
    return plain_classifier(**{"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **params})


def output(mlp, rows=X):
    return mlp.predict_proba(rows) if isinstance(mlp, KerasMLPClassifier) else mlp.predict(rows)


KINDS = {
    "regression": (regressor, TARGET),
    "several targets": (regressor, TARGETS),
    "binary": (classifier, LABELS),
    "multiclass": (classifier, CLASSES),
    "multilabel": (classifier, MULTILABEL),
}
every_kind = pytest.mark.parametrize(("make", "y"), KINDS.values(), ids=KINDS)
two_kinds = pytest.mark.parametrize(("make", "y"), [KINDS["regression"], KINDS["binary"]], ids=["regression", "binary"])


# partial_fit


@every_kind
def test_partial_fit_is_an_epoch_of_fit(make, y):
    mlp = make(epochs=50)
    for n in (1, 2, 3):
        assert mlp.partial_fit(X, y) is mlp
        assert (mlp.n_iter_, mlp.best_epoch_) == (n, n - 1)
    same = make(epochs=3, early_stopping=False).fit(X, y)
    np.testing.assert_array_equal(output(mlp), output(same))
    assert mlp.history_ == same.history_


def test_partial_fit_is_an_epoch_of_fit_with_dropout_and_normalization():
    params = {"dropout": 0.3, "batch_norm": True}
    mlp = regressor(**params)
    for _ in range(3):
        mlp.partial_fit(X, TARGET)
    np.testing.assert_array_equal(mlp.predict(X), regressor(**params, early_stopping=False).fit(X, TARGET).predict(X))


def test_partial_fit_on_other_rows():
    mlp = regressor(learning_rate=0.02)
    for _ in range(40):
        for part in np.array_split(np.arange(120), 3):
            mlp.partial_fit(X[part], TARGET[part])
    assert mlp.n_iter_ == 120
    assert mlp.score(X, TARGET) > 0.9
    assert mlp.partial_fit(X[:1], TARGET[:1]).n_iter_ == 121


def test_partial_fit_with_classes():
    mlp = classifier().partial_fit(X[:10], np.full(10, "top"), classes=["top", "low", "middle"])
    assert mlp.classes_.tolist() == ["low", "middle", "top"]
    assert mlp.predict_proba(X).shape == (120, 3)
    assert mlp.partial_fit(X, CLASSES).n_iter_ == 2
    with pytest.raises(ValueError, match=r"y must hold only the classes .* Got \['huge'\] as well"):
        mlp.partial_fit(X, np.full(120, "huge"))
    assert mlp.n_iter_ == 2


def test_partial_fit_with_classes_that_do_not_cover_y():
    with pytest.raises(ValueError, match=r"y must hold only the classes \['low', 'middle'\]\. Got \['top'\] as well"):
        classifier().partial_fit(X, CLASSES, classes=["low", "middle"])


def test_partial_fit_with_other_classes_than_before():
    mlp = classifier().partial_fit(X, LABELS, classes=[0, 1])
    assert mlp.partial_fit(X, LABELS, classes=[1, 0]).n_iter_ == 2
    with pytest.raises(ValueError, match=r"classes.*\[0, 1, 2\]"):
        mlp.partial_fit(X, LABELS, classes=[0, 1, 2])


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (LABELS, 3, "classes must hold all labels that may come. Got 3"),
        (LABELS, [0, 1, np.nan], "classes must hold all labels that may come. Got .*NaN"),
        (LABELS, [0, 1, "a"], "classes must hold all labels that may come. Got .*Mix"),
        (LABELS, ["0", "1"], r"y must hold only the classes \['0', '1'\]. Got \[0, 1\] as well|\[1, 0\]"),
        (MULTILABEL, [1, 2], r"classes must be the numbers of y's columns, \[0, 1\]. Got \[1, 2\]"),
    ],
    ids=["a number", "nan", "of two types", "of another type", "of columns"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_partial_fit_with_classes_that_are_none(y, classes, message):
    with pytest.raises(ValueError, match=message):
        classifier().partial_fit(X, y, classes=classes)


def test_partial_fit_of_the_regressor_takes_no_classes():
    assert list(inspect.signature(KerasMLPRegressor.partial_fit).parameters) == ["self", "X", "y", "sample_weight"]


@two_kinds
def test_partial_fit_goes_on_from_fit(make, y):
    mlp = make(epochs=5, learning_rate=0.01).fit(X, y)
    before, n, predicted = copy.deepcopy(mlp.history_), mlp.n_iter_, output(mlp)
    mlp.partial_fit(X, y)
    assert mlp.n_iter_ == n + 1
    assert mlp.best_epoch_ == n
    assert mlp.history_["loss"][:n] == before["loss"]
    assert 0 < np.abs(output(mlp) - predicted).max() < 0.3 * np.ptp(predicted)


def test_history_keeps_an_entry_an_epoch_through_partial_fit():
    mlp = regressor().fit(X, TARGET)
    before = mlp.history_["val_loss"]
    mlp.set_params(metrics=["mean_absolute_error"]).partial_fit(X, TARGET)
    assert {name: len(values) for name, values in mlp.history_.items()} == dict.fromkeys(mlp.history_, 4)
    assert mlp.history_["val_loss"][:3] == before


@two_kinds
@pytest.mark.parametrize("copied", [lambda mlp: pickle.loads(pickle.dumps(mlp)), copy.deepcopy], ids=["pickle", "deep"])
def test_partial_fit_goes_on_from_a_copy(copied, make, y):
    mlp = make().partial_fit(X, y).partial_fit(X, y)
    other = copied(mlp)
    np.testing.assert_array_equal(output(other), output(mlp))
    mlp.partial_fit(X, y)
    assert other.n_iter_ == 2
    other.partial_fit(X, y)
    np.testing.assert_array_equal(output(other), output(mlp))
    assert other.history_ == mlp.history_


def test_clone_starts_anew():
    mlp = regressor().partial_fit(X, TARGET)
    fresh = clone(mlp)
    assert not hasattr(fresh, "n_iter_")
    np.testing.assert_array_equal(fresh.partial_fit(X, TARGET).predict(X), mlp.predict(X))


@pytest.mark.parametrize("schedule", ["cosine", "coslog4", "one_cycle"])
@pytest.mark.parametrize("epochs", ["auto", 3])
def test_partial_fit_learns_after_the_schedules_end(schedule, epochs):
    mlp = regressor(lr_schedule=schedule, epochs=epochs).fit(X, TARGET)
    mlp.set_params(epochs=mlp.n_iter_)
    before = mlp.predict(X)
    mlp.partial_fit(X, TARGET)
    assert mlp.history_["learning_rate"][-1] == pytest.approx(mlp.learning_rate)
    assert np.abs(mlp.predict(X) - before).max() > 1e-3 * np.ptp(before)


def test_partial_fit_remembers_a_plateau(no_xla):
    """The loss stands still, at such a rate: so it does not fall for an epoch, each time."""
    mlp = regressor(lr_schedule="plateau", lr_schedule__patience=1, learning_rate=1e-12)
    for _ in range(6):
        mlp.partial_fit(X, TARGET)
    rates = mlp.history_["learning_rate"]
    assert rates[-1] < rates[0]
    loss = mlp.history_["loss"]
    n_halved = sum(now >= min(loss[:i]) for i, now in enumerate(loss[:-1]) if i)
    np.testing.assert_allclose(rates[-1], 1e-12 * 0.5**n_halved)


def test_partial_fit_follows_a_schedule_to_its_end():
    mlp = regressor(lr_schedule="cosine", epochs=2)
    for _ in range(2):
        mlp.partial_fit(X, TARGET)
    first, second = mlp.history_["learning_rate"]
    assert first > 1.5 * second


def test_fit_leaves_attributes_of_the_users_alone():
    mlp = regressor()
    mlp.tag, mlp._note = "run 7", "mine"
    for _ in range(2):
        assert (mlp.fit(X, TARGET).tag, mlp._note) == ("run 7", "mine")


def test_partial_fit_with_weights():
    weights = np.r_[np.ones(60), np.zeros(60)]
    mlp, same = regressor(), regressor()
    for _ in range(2):
        mlp.partial_fit(X, TARGET, sample_weight=weights)
        same.partial_fit(X[:60], TARGET[:60])
    np.testing.assert_array_equal(mlp.predict(X), same.predict(X))


def test_fit_after_partial_fit_starts_anew():
    mlp = regressor().partial_fit(X[:, :2], TARGETS).fit(X, TARGET)
    np.testing.assert_array_equal(mlp.predict(X), regressor().fit(X, TARGET).predict(X))
    assert (mlp.n_features_in_, mlp.n_outputs_, mlp.n_iter_) == (4, 1, 3)


# Warm starts


@two_kinds
def test_warm_start_goes_on(make, y):
    cold = make(epochs=3, early_stopping=False, learning_rate=0.02).fit(X, y)
    warm = clone(cold).set_params(warm_start=True)
    np.testing.assert_array_equal(output(warm.fit(X, y)), output(cold))
    warm.fit(X, y)
    assert warm.n_iter_ == 3
    assert warm.history_["loss"][0] < cold.history_["loss"][-1]
    twice = make(early_stopping=False, learning_rate=0.02, warm_start=True, epochs=1)
    for _ in range(2):
        twice.fit(X, y)
    assert twice.history_["loss"][0] < cold.history_["loss"][0]


def test_without_warm_start_each_fit_is_the_first():
    mlp = regressor().fit(X, -TARGET)
    np.testing.assert_array_equal(mlp.fit(X, TARGET).predict(X), regressor().fit(X, TARGET).predict(X))


def test_warm_start_takes_another_learning_rate():
    mlp = regressor(warm_start=True, early_stopping=False).fit(X, TARGET)
    predicted = mlp.predict(X)
    mlp.set_params(learning_rate=1e-12).fit(X, TARGET)
    np.testing.assert_allclose(mlp.predict(X), predicted, rtol=1e-5)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"hidden_layer_sizes": (9,)}),
        ({}, {"batch_norm": True}),
        ({"hidden_layer_sizes": (2, 4)}, {"hidden_layer_sizes": (3, 2)}),  # as many weights, in other places
        ({}, {"activation": "tanh"}),
        ({}, {"optimizer": "sgd"}),
        ({}, {"optimizer": "adadelta"}),  # two slots a weight, as adam, but other ones
        ({}, {"input_scaling": "standard"}),
        ({"input_scaling": "standard"}, {"input_scaling": None}),
        ({}, {"handle_missing": "impute"}),
        ({}, {"loss": "poisson"}),
        ({"loss": "msle"}, {"loss": "mse"}),
        ({}, {"loss": "mape"}),  # y less its mean has no ratios
    ],
    ids=str,
)
def test_warm_start_of_another_network(first, then):
    rows = np.where(X > 2, np.nan, X) if "handle_missing" in then else X
    mlp = regressor(warm_start=True, **first).fit(rows, POSITIVE)
    predicted = mlp.predict(rows)
    with pytest.raises(ValueError, match="The network or the optimizer has changed since the last fit"):
        mlp.set_params(**then).fit(rows, POSITIVE)
    np.testing.assert_array_equal(mlp.predict(rows), predicted)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"input_scaling": "standard"}, {"input_scaling": "auto"}),
        ({}, {"loss": "mae"}),
        ({"loss": "poisson"}, {"loss": "msle"}),
        ({"normalize_y": False}, {"loss": "mape"}),
    ],
    ids=str,
)
def test_warm_start_of_the_same_network(first, then):
    mlp = regressor(warm_start=True, **first).fit(X, POSITIVE)
    assert mlp.set_params(**then).fit(X, POSITIVE).n_iter_ == 3


def test_a_loss_is_checked_wherever_training_goes_on():
    counts = regressor(loss="poisson").partial_fit(X, POSITIVE)
    with pytest.raises(ValueError, match="y must be at least 0 for loss='poisson'"):
        counts.partial_fit(X, -POSITIVE)
    numbers = regressor(warm_start=True).fit(X, TARGET)
    with pytest.raises(ValueError, match="loss"):
        numbers.set_params(loss="binary_crossentropy").fit(X, TARGET)


def test_warm_start_with_other_data():
    mlp = classifier(warm_start=True, epochs=1).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"y must hold only the classes \[0, 1\]\. Got \[2\]"):
        mlp.fit(X, LABELS + 1)
    with pytest.raises(ValueError, match="X has 3 features, but KerasMLPClassifier is expecting 4"):
        mlp.fit(X[:, :3], LABELS)
    assert mlp.fit(X[:50], LABELS[:50]).n_iter_ == 1


# Sample weights


@two_kinds
@pytest.mark.parametrize("scale", [0.5, 3.0, 1e-30, 1e30])
def test_scale_of_weights_does_not_count(scale, make, y):
    weights = np.linspace(0.1, 1.0, 120)
    with np.errstate(under="ignore"):
        scaled = make().fit(X, y, sample_weight=weights * scale)
    np.testing.assert_allclose(output(scaled), output(make().fit(X, y, sample_weight=weights)), rtol=1e-4, atol=1e-5)


@every_kind
def test_weights_of_one(make, y):
    np.testing.assert_array_equal(output(make().fit(X, y, sample_weight=np.ones(120))), output(make().fit(X, y)))


@every_kind
@pytest.mark.parametrize("params", [{}, FULL_BATCH], ids=["minibatches", "full batch"])
def test_weight_of_zero_removes_a_row(params, make, y):
    weights = (np.arange(120) % 4 > 0).astype(float)
    kept = weights > 0
    weighted = make(**params).fit(X, y, sample_weight=weights)
    removed = make(**params).fit(X[kept], y[kept])
    np.testing.assert_allclose(output(weighted), output(removed), rtol=1e-5, atol=1e-6)


def test_weight_of_zero_removes_a_row_with_balanced_classes():
    weights = np.where(LABELS == 1, np.arange(120) % 2, 1.0)
    params = {"class_weight": "balanced", **FULL_BATCH}
    weighted = classifier(**params).fit(X, LABELS, sample_weight=weights)
    removed = classifier(**params).fit(X[weights > 0], LABELS[weights > 0])
    np.testing.assert_allclose(output(weighted), output(removed), rtol=1e-5)


@two_kinds
def test_weight_of_two_is_a_row_twice(make, y):
    counts = np.arange(120) % 3 + 1
    params = {**FULL_BATCH, "batch_size": 1000, "learning_rate": 0.01}
    weighted = make(**params).fit(X, y, sample_weight=counts)
    repeated = make(**params).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(output(weighted), output(repeated), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "form", [list, lambda w: pd.Series(w), lambda w: w.astype(int), lambda w: w.astype(np.float32)]
)
def test_forms_of_weights(form):
    weights = np.where(LABELS == 1, 3.0, 1.0)
    expected = classifier().fit(X, LABELS, sample_weight=weights)
    np.testing.assert_array_equal(output(classifier().fit(X, LABELS, sample_weight=form(weights))), output(expected))
    np.testing.assert_array_equal(
        output(classifier().fit(X, LABELS, sample_weight=2.0)), output(classifier().fit(X, LABELS))
    )


# Class weights


def test_class_weight_is_a_weight_of_rows():
    weighted = classifier(class_weight={1: 5.0, 0: 0.5}).fit(X, LABELS)
    same = classifier().fit(X, LABELS, sample_weight=np.where(LABELS == 1, 5.0, 0.5))
    np.testing.assert_array_equal(output(weighted), output(same))


def test_class_weight_multiplies_sample_weight():
    weights = np.linspace(0.1, 1.0, 120)
    both = classifier(class_weight={1: 4.0}).fit(X, LABELS, sample_weight=weights)
    same = classifier().fit(X, LABELS, sample_weight=weights * np.where(LABELS == 1, 4.0, 1.0))
    np.testing.assert_array_equal(output(both), output(same))


@pytest.mark.parametrize("y", [LABELS, np.where(LABELS == 1, "sick", "fit"), LABELS == 1, LABELS * 2])
def test_class_weight_shifts_predictions(y):
    of_one = np.unique(y)[0 if y.dtype.kind == "U" and "sick" < "fit" else 1]
    params = {"epochs": 30, "learning_rate": 0.02}
    share = [
        np.mean(classifier(class_weight=weights, **params).fit(X, y).predict(X) == of_one)
        for weights in ({of_one: 0.1}, None, {of_one: 10.0})
    ]
    assert share[0] < share[1] < share[2]


def test_balanced_class_weight_of_held_out_rows():
    """It is that of the classes in the rows that train."""
    y, y_val = np.repeat([0, 1], [50, 10]), np.repeat([0, 1], [10, 10])
    held_out = {"X_val": X[60:80], "y_val": y_val}
    balanced = classifier(class_weight="balanced").fit(X[:60], y, **held_out)
    explicit = classifier(class_weight={0: 0.6, 1: 3.0}).fit(X[:60], y, **held_out)
    np.testing.assert_allclose(balanced.history_["val_loss"], explicit.history_["val_loss"], rtol=1e-5)


def test_balanced_class_weight():
    y = (X[:, 0] + RNG.standard_normal(120) > 1.5).astype(int)
    n = np.bincount(y)
    params = {"early_stopping": False, "epochs": 20, "learning_rate": 0.02}
    balanced = classifier(class_weight="balanced", **params).fit(X, y)
    explicit = classifier(class_weight={0: 60 / n[0], 1: 60 / n[1]}, **params).fit(X, y)
    np.testing.assert_allclose(output(balanced), output(explicit), rtol=1e-5)
    assert balanced.predict(X).mean() > 1.5 * classifier(**params).fit(X, y).predict(X).mean()


def test_class_of_weight_zero():
    mlp = classifier(class_weight={"low": 0.0}).fit(X, CLASSES)
    assert mlp.classes_.tolist() == ["low", "middle", "top"]
    assert mlp.predict_proba(X).shape == (120, 3)


def test_class_weight_of_several_labels():
    tables = [{0: 1.0, 1: 5.0}, {0: 2.0, 1: 1.0}]
    weights = np.where(MULTILABEL[:, 0] == 1, 5.0, 1.0) * np.where(MULTILABEL[:, 1] == 1, 1.0, 2.0)
    mlp = classifier(class_weight=tables).fit(X, MULTILABEL)
    same = classifier().fit(X, MULTILABEL, sample_weight=weights)
    np.testing.assert_array_equal(output(mlp), output(same))
    assert np.isfinite(output(classifier(class_weight="balanced").fit(X, MULTILABEL))).all()


# Kinds of targets


@pytest.mark.parametrize(
    "names",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], object),
        np.array([False, True]),
        np.array([-1, 1]),
        np.array([2.0, 7.0]),
        np.array([10**12, 10**12 + 1]),
    ],
    ids=["str", "object", "bool", "signs", "floats", "large"],
)
def test_names_of_two_classes(names):
    mlp = classifier().fit(X, names[LABELS])
    assert mlp.classes_.dtype == names.dtype
    np.testing.assert_array_equal(mlp.classes_, names)
    np.testing.assert_array_equal(mlp.predict(X), names[classifier().fit(X, LABELS).predict(X)])
    np.testing.assert_array_equal(output(mlp), output(classifier().fit(X, LABELS)))
    assert mlp.predict(X).dtype == names.dtype
    assert mlp.n_outputs_ == 1


def test_probabilities():
    for y in (LABELS, CLASSES):
        mlp = classifier(epochs=20, learning_rate=0.02).fit(X, y)
        probabilities = mlp.predict_proba(X)
        assert probabilities.dtype == np.float64
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
        np.testing.assert_array_equal(mlp.classes_[probabilities.argmax(axis=1)], mlp.predict(X))
        assert mlp.score(X, y) == accuracy_score(y, mlp.predict(X)) > 0.6
        assert mlp.predict_proba(X[:1]).shape == (1, len(mlp.classes_))


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, sparse.csr_matrix, lambda y: pd.DataFrame(y)])
def test_several_labels(form):
    mlp = classifier(epochs=40, learning_rate=0.05).fit(X, form(MULTILABEL))
    predicted = mlp.predict(X)
    assert predicted.shape == (120, 2)
    assert predicted.dtype == int
    np.testing.assert_array_equal(predicted, mlp.predict_proba(X) > 0.5)
    assert mlp.classes_.tolist() == [0, 1]
    assert mlp.n_outputs_ == 2
    assert mlp.score(X, MULTILABEL) > 0.6
    assert np.mean(predicted == MULTILABEL) > 0.85


@pytest.mark.parametrize("y", [TARGETS, TARGETS[:, :1]], ids=["columns", "a column"])
@pytest.mark.filterwarnings("ignore:A column-vector y:sklearn.exceptions.DataConversionWarning")
def test_numbers_in_a_sparse_matrix(y):
    of_sparse = regressor().partial_fit(X, sparse.csc_array(y)).partial_fit(X, sparse.csr_matrix(y))
    np.testing.assert_array_equal(of_sparse.predict(X), regressor().partial_fit(X, y).partial_fit(X, y).predict(X))


def test_several_labels_held_out_in_a_sparse_matrix():
    dense = classifier().fit(**SPLIT, y=MULTILABEL[30:], y_val=MULTILABEL[:30])
    held_out = classifier().fit(**SPLIT, y=sparse.csr_matrix(MULTILABEL[30:]), y_val=sparse.csr_matrix(MULTILABEL[:30]))
    np.testing.assert_array_equal(output(held_out), output(dense))


def test_several_targets_of_different_units():
    mlp = regressor(epochs=100, learning_rate=0.05).fit(X, TARGETS)
    assert mlp.predict(X).shape == (120, 2)
    assert mlp.n_outputs_ == 2
    assert min(r2_score(TARGETS, mlp.predict(X), multioutput="raw_values")) > 0.95
    np.testing.assert_allclose(mlp.predict(X[:1]), mlp.predict(X)[:1], rtol=1e-6)
    frame = regressor().fit(X, pd.DataFrame(TARGETS, columns=["a", "b"]))
    np.testing.assert_array_equal(frame.predict(X), regressor().fit(X, TARGETS).predict(X))


def test_column_of_targets():
    with pytest.warns(UserWarning, match="column-vector y was passed"):
        mlp = regressor().fit(X, TARGET[:, None])
    np.testing.assert_array_equal(mlp.predict(X), regressor().fit(X, TARGET).predict(X))


@pytest.mark.parametrize("value", [0.0, 1.0, -7.3, 1e-12, 1e12, 0.1 + 0.2])
def test_constant_target(value):
    mlp = regressor(epochs=1).fit(X, np.full(120, value))
    assert np.isfinite(mlp.predict(X)).all()
    np.testing.assert_allclose(mlp.predict(X).mean(), value, atol=5)


# Units


@pytest.mark.parametrize(("scale", "shift"), [(1e6, 1e9), (1e-6, 0), (2.0**40, 0), (1e-3, 1e6), (1.0, 1e9), (1e20, 0)])
def test_predictions_are_in_the_units_of_y(scale, shift):
    plain = regressor(epochs=5).fit(X, TARGET)
    mlp = regressor(epochs=5).fit(X, TARGET * scale + shift)
    np.testing.assert_allclose((mlp.predict(X) - shift) / scale, plain.predict(X), atol=1e-4)
    np.testing.assert_allclose(mlp.history_["val_loss"], plain.history_["val_loss"], rtol=1e-4)
    assert mlp.predict(X).dtype == np.float64


@pytest.mark.parametrize("y", [TARGET.astype(np.float32), (TARGET * 10).astype(int), TARGET > 0])
def test_types_of_targets(y):
    mlp = regressor().fit(X, y)
    np.testing.assert_array_equal(mlp.predict(X), regressor().fit(X, y.astype(float)).predict(X))
    assert mlp.predict(X).dtype == np.float64


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, int, bool])
def test_types_of_rows(kind):
    rows = (X * 2).astype(kind)
    mlp = regressor().fit(rows, TARGET)
    np.testing.assert_array_equal(mlp.predict(rows), regressor().fit(rows.astype(float), TARGET).predict(rows))


METRICS = {
    "MeanAbsoluteError": mean_absolute_error,
    "MeanSquaredError": mean_squared_error,
    "RootMeanSquaredError": root_mean_squared_error,
    "R2Score": r2_score,
}


@pytest.mark.parametrize(
    ("engine", "names"),
    [("compiled", list(METRICS)[:3]), ("compiled", ["R2Score"]), ("keras", list(METRICS))],
    ids=["compiled", "R2, compiled", "keras"],
)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e6, 1e7)])
def test_metrics_are_in_the_units_of_y(scale, shift, engine, names):
    y = TARGET * scale + shift
    metrics = [getattr(keras.metrics, name)(name=name) for name in names]
    mlp = regressor(metrics=metrics, engine=engine).fit(**SPLIT, y=y[30:], y_val=y[:30])
    predicted = mlp.predict(X[:30])
    for name in names:
        figure = mlp.history_[f"val_{name}"][mlp.best_epoch_]
        np.testing.assert_allclose(figure, METRICS[name](y[:30], predicted), rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_metrics_of_classes(engine):
    metrics = [
        "accuracy",
        keras.metrics.AUC(num_thresholds=2000, name="auc"),
        keras.metrics.Precision(name="precision"),
    ]
    state = [np.asarray(variable) for metric in metrics[1:] for variable in metric.variables]
    mlp = classifier(metrics=metrics, engine=engine, epochs=2)
    for _ in range(2):
        mlp.fit(**SPLIT, y=LABELS[30:], y_val=LABELS[:30])
        best = {name: values[mlp.best_epoch_] for name, values in mlp.history_.items()}
        np.testing.assert_allclose(best["val_accuracy"], mlp.score(X[:30], LABELS[:30]), rtol=1e-6)
        np.testing.assert_allclose(best["val_auc"], roc_auc_score(LABELS[:30], output(mlp)[:30, 1]), atol=0.01)
    after = [np.asarray(variable) for metric in metrics[1:] for variable in metric.variables]
    assert all(np.array_equal(a, b) for a, b in zip(state, after, strict=True))


@pytest.mark.parametrize(("y", "kind"), [(CLASSES, "multiclass"), (MULTILABEL, "multilabel")])
def test_accuracy_of(y, kind):
    mlp = classifier(metrics=["accuracy"], epochs=2).fit(**SPLIT, y=y[30:], y_val=y[:30])
    expected = np.mean(mlp.predict(X[:30]) == y[:30])
    np.testing.assert_allclose(mlp.history_["val_accuracy"][mlp.best_epoch_], expected, rtol=1e-6)


def test_metric_of_several_numbers():
    with pytest.raises((ValueError, TypeError), match=r"single number. The metric 'f1'"):
        classifier(metrics=[keras.metrics.F1Score(name="f1")]).fit(X, LABELS)


# Losses


@pytest.mark.parametrize(
    ("loss", "same"),
    [
        ("mse", "mean_squared_error"),
        ("MSE", "mean_squared_error"),
        ("MeanSquaredError", "mean_squared_error"),
        ("mae", "mean_absolute_error"),
        (keras.losses.mean_squared_error, "mean_squared_error"),
        (keras.losses.MeanSquaredError, "mean_squared_error"),
    ],
    ids=["short", "capitals", "class name", "other short", "function", "class"],
)
def test_names_of_losses(loss, same):
    one, other = (regressor(loss=name, epochs=2).fit(X, TARGET) for name in (loss, same))
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-5)


@pytest.mark.parametrize("name", ["poisson", "mape", "msle"])
def test_losses_of_positive_targets(name):
    y = np.exp(3 + 0.3 * X[:, 0])
    mlp = regressor(loss=name, epochs=300, learning_rate=0.05, patience=50).fit(X, y)
    assert mlp.score(X, y) > 0.8


@pytest.mark.parametrize(
    "loss",
    [
        "categorical_crossentropy",
        keras.losses.CategoricalCrossentropy(),
        keras.losses.categorical_crossentropy,
        keras.losses.sparse_categorical_crossentropy,
    ],
    ids=["name", "object", "function", "sparse function"],
)
def test_forms_of_crossentropy(loss):
    one, other = (classifier(loss=form).fit(X, CLASSES) for form in (loss, None))
    np.testing.assert_allclose(output(one), output(other), rtol=1e-4)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": keras.losses.BinaryCrossentropy(from_logits=True)},
        {"loss": "binary_crossentropy", "loss__from_logits": True},
        {"loss__from_logits": True},
    ],
    ids=["object", "name", "default"],
)
def test_loss_of_logits(params):
    # the network is the estimator's own, so its output has to follow the loss
    mlp = classifier(epochs=30, learning_rate=0.02, **params).fit(X, LABELS)
    expected = classifier(epochs=30, learning_rate=0.02).fit(X, LABELS)
    np.testing.assert_allclose(output(mlp), output(expected), atol=1e-3)


def logits_network(compiled):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    if compiled:
        model.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("compiled", [False, True])
def test_builder_of_logits(compiled):
    loss = None if compiled else keras.losses.BinaryCrossentropy(from_logits=True)
    mlp = plain_classifier(logits_network, model__compiled=compiled, loss=loss, epochs=2, random_state=0)
    probabilities = mlp.fit(X, LABELS).predict_proba(X)
    logits = mlp.model_.predict(X, verbose=0)[:, 0]
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-logits)), rtol=1e-5)


def compiled_network(loss):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), loss)
    return model


def test_builder_that_compiles_by_a_short_name():
    one, other = (
        plain_regressor(compiled_network, model__loss=loss, learning_rate=0.01, epochs=2, random_state=0).fit(X, TARGET)
        for loss in ("mse", "mean_squared_error")
    )
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-6)


# What looks alike but is not: no program of one may serve the other


def quantile_loss(q):
    def loss(y_true, y_pred):
        error = y_true - y_pred
        return keras.ops.mean(keras.ops.maximum(q * error, (q - 1) * error), axis=-1)

    return loss


class QuantileLoss(keras.losses.Loss):
    def __init__(self, q):
        super().__init__(name="quantile")
        self.q = q

    def call(self, y_true, y_pred):
        return quantile_loss(self.q)(y_true, y_pred)


@pytest.mark.parametrize("loss", [quantile_loss, QuantileLoss])
def test_losses_of_one_name(loss):
    y = TARGET + 5 * RNG.standard_normal(120)
    low, high = (
        regressor(loss=loss(q), epochs=60, learning_rate=0.05, early_stopping=False).fit(X, y).predict(X)
        for q in (0.1, 0.9)
    )
    assert np.mean(y < low) < 0.3
    assert np.mean(y < high) > 0.7


class OwnMetric(keras.metrics.MeanSquaredError):
    def __init__(self, factor=1, name="own"):
        super().__init__(name=name)
        self.factor = factor

    def get_config(self):
        return {"factor": self.factor, "name": self.name}


class OwnSGD(keras.optimizers.SGD):
    pass


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda mlp: pickle.loads(pickle.dumps(mlp)), clone])
def test_copies_keep_objects_of_classes_that_keras_does_not_know(copied):
    objects = {"loss": QuantileLoss(0.9), "optimizer": OwnSGD(1e-3, momentum=0.5), "metrics": [OwnMetric(3)]}
    params = copied(regressor(**objects, weight_decay=0.0)).get_params()
    assert (type(params["loss"]), params["loss"].q) == (QuantileLoss, 0.9)
    assert (type(params["optimizer"]), float(params["optimizer"].momentum)) == (OwnSGD, 0.5)
    assert (type(params["metrics"][0]), params["metrics"][0].factor) == (OwnMetric, 3)
    assert copied(regressor(loss=losses.Quantile(0.9))).loss.quantile == 0.9


def test_keras_loads_a_saved_model_of_our_own_loss(tmp_path):
    mlp = regressor(loss="quantile:0.9").fit(X, TARGET)
    mlp.model_.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0)[:, 0], mlp.predict(X), rtol=1e-4, atol=1e-4)
    assert loaded.loss.quantile == 0.9


def scaled_error(factor):
    def error(y_true, y_pred):
        return factor * keras.ops.abs(y_true - y_pred)

    return error


def test_metrics_of_one_name():
    one, ten = (regressor(metrics=[scaled_error(factor)]).fit(X, TARGET).history_["error"] for factor in (1.0, 10.0))
    np.testing.assert_allclose(ten, 10 * np.array(one), rtol=1e-5)


class Count(keras.metrics.Metric):
    """Batches, times a factor that no configuration tells of."""

    def __init__(self, factor, name="count", **kwargs):
        super().__init__(name=name, **kwargs)
        self.factor = factor
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(self.factor)

    def result(self):
        return self.total


def test_metric_without_a_configuration():
    for factor in (1.0, 2.0):
        mlp = regressor(metrics=[Count(factor)], epochs=1, early_stopping=False).fit(X, TARGET)
        assert mlp.history_["count"] == [4 * factor]


def network_of(kind, factor):
    def scaled(x):
        return factor * x

    inputs = keras.Input((4,))
    if kind == "activation":
        return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(4, activation=scaled)(inputs)))
    if kind == "lambda":
        return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Lambda(scaled)(inputs)))
    if kind == "normalization":
        layer = keras.layers.Normalization()
        layer.adapt(X * factor)
        return keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.set_weights([np.full((4, 1), factor), np.zeros(1)])
    return model


@pytest.mark.parametrize("kind", ["activation", "lambda", "normalization", "pretrained"])
def test_models_that_look_alike(kind):
    losses = {
        engine: [
            plain_regressor(network_of, model__kind=kind, model__factor=factor, epochs=1, random_state=0, engine=engine)
            .fit(X, TARGET)
            .history_["val_loss"]
            for factor in (0.5, 50.0)
        ]
        for engine in ("compiled", "keras")
    }
    np.testing.assert_allclose(losses["compiled"], losses["keras"], rtol=1e-3)
    assert losses["compiled"][0] != losses["compiled"][1]


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_weights_that_a_builder_sets_are_the_initial_ones(engine):
    mlp = plain_regressor(
        network_of, model__kind="pretrained", model__factor=3.0, epochs=1, learning_rate=1e-9, engine=engine
    )
    weights = mlp.fit(X, TARGET).model_.get_weights()
    np.testing.assert_allclose(weights[0], 3.0, rtol=1e-5)


# The stock model


def all_layers_are_stock(model):
    layers = model._flatten_layers()
    return all(type(layer).__module__.startswith("keras.") for layer in layers)


ACTIVATIONS = ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_model_predicts_as_the_estimator_for_every_activation(activation):
    mlp = regressor(activation=activation, epochs=1).fit(X, TARGET * 100 + 1000)
    np.testing.assert_allclose(mlp.model_.predict(X, verbose=0)[:, 0], mlp.predict(X), rtol=1e-5, atol=1e-3)
    far = X * 1e3  # where a formula that is wrong for large numbers shows
    np.testing.assert_allclose(mlp.model_.predict(far, verbose=0)[:, 0], mlp.predict(far), rtol=1e-4, atol=0.1)


@every_kind
def test_model_predicts_as_the_estimator_for_every_kind_of_target(make, y):
    mlp = make().fit(X, y)
    model = mlp.model_
    assert all_layers_are_stock(model)
    assert model.compiled
    expected = output(mlp)
    if len(getattr(mlp, "classes_", ())) == 2 and y.ndim == 1:
        expected = expected[:, 1:]
    # Keras computes in float32: an output near 0 is a sum of terms near 1, exact to 1e-7 of those.
    np.testing.assert_allclose(model.predict(X, verbose=0), expected.reshape(120, -1), rtol=1e-5, atol=1e-6)


@two_kinds
def test_model_with_normalization_and_dropout(make, y, tmp_path):
    mlp = make(batch_norm=True, dropout=0.3, hidden_layer_sizes=(8, 8), epochs=5, learning_rate=0.05).fit(X, y)
    assert {type(layer).__name__ for layer in mlp.model_.layers} >= {"BatchNormalization", "Dropout", "Dense"}
    assert all_layers_are_stock(mlp.model_)
    expected = output(mlp)[:, 1] if make is classifier else mlp.predict(X)
    np.testing.assert_allclose(mlp.model_.predict(X, verbose=0)[:, 0], expected, rtol=1e-4, atol=1e-5)
    mlp.model_.save(tmp_path / "mlp.keras")
    loaded = keras.models.load_model(tmp_path / "mlp.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0)[:, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("builder", [None, network_of])
def test_what_is_done_to_the_model_does_not_change_the_estimator(builder):
    params = {"model__kind": "lambda", "model__factor": 1.0, "hidden_layer_sizes": None} if builder else {}
    mlp = regressor(model=builder, **params).fit(X, TARGET)
    predicted = mlp.predict(X)
    mlp.model_.set_weights([np.zeros_like(weights) for weights in mlp.model_.get_weights()])
    np.testing.assert_array_equal(mlp.predict(X), predicted)
    assert not np.allclose(mlp.model_.predict(X, verbose=0)[:, 0], predicted)
    mlp.model_.fit(X, TARGET, verbose=0)
    np.testing.assert_array_equal(mlp.predict(X), predicted)
    assert np.abs(mlp.fit(X, -TARGET).model_.predict(X, verbose=0)[:, 0] - mlp.predict(X)).max() < 1e-4


def test_builder_predicts_as_its_model():
    mlp = regressor(model=network_of, hidden_layer_sizes=None, model__kind="lambda", model__factor=1.0)
    mlp.fit(X, TARGET * 100 + 1000)
    np.testing.assert_allclose(mlp.model_.predict(X, verbose=0)[:, 0], mlp.predict(X), rtol=1e-5)
    np.testing.assert_array_equal(mlp.predict(X[:1]), mlp.predict(X)[:1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1e10, 1e30])
def test_no_overflow_in_predictions_far_away(scale, activation):
    mlp = regressor(activation=activation, epochs=1).fit(X, TARGET)
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(mlp.predict(X * scale)).all()
    mlp = classifier(epochs=1).fit(X, LABELS)
    with np.errstate(all="raise", under="ignore"):
        probabilities = mlp.predict_proba(X * scale)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


@every_kind
def test_prediction_of_a_row_does_not_depend_on_its_neighbours(make, y):
    mlp = make().fit(X, y)
    many = np.vstack([X] * 40)
    np.testing.assert_allclose(output(mlp, many)[:120], output(mlp), rtol=1e-12)
    np.testing.assert_allclose(output(mlp, X[7:8]), output(mlp)[7:8], rtol=1e-12)


# BLAS splits the products of wide networks by threads, so that their last bits differ.
def test_predictions_do_not_depend_on_the_number_of_threads():
    X, y = sklearn.datasets.make_classification(750, 784, random_state=0)
    mlp = classifier(hidden_layer_sizes=(300, 100), epochs=1, batch_size=256).fit(X, y)
    with threadpoolctl.threadpool_limits(1):  # as joblib sets it for the processes of n_jobs=2
        alone = mlp.predict_proba(X)
    with threadpoolctl.threadpool_limits(2):
        np.testing.assert_array_equal(mlp.predict_proba(X), alone)


def test_class_weight_where_a_class_does_not_occur():
    mlp = classifier(class_weight={1: 5.0}).partial_fit(X, np.zeros(len(X), int), classes=[0, 1])
    assert mlp.classes_.tolist() == [0, 1]
    no_row = MULTILABEL.copy()
    no_row[:, 0] = 0
    classifier(class_weight=[{1: 5.0}] + [{}] * (no_row.shape[1] - 1)).fit(X, no_row)


def test_class_weight_of_digits_as_strings():
    weights = {"0": 0.5, "1": 5.0}
    of_strings = classifier(class_weight=weights).fit(X, LABELS.astype(str))
    of_numbers = classifier(class_weight={int(label): w for label, w in weights.items()}).fit(X, LABELS)
    np.testing.assert_array_equal(of_strings.predict_proba(X), of_numbers.predict_proba(X))
