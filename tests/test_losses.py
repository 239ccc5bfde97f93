"""Losses: which fit which y, and units that do not matter."""

import functools

import keras
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor

from sk_mlp.losses import Quantile

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (200, 3)).astype(np.float32)
TWO, THREE, LABELS = (X[:, 0] > 0).astype(int), np.argmax(X, axis=1), (X > 0).astype(int)
POSITIVE = np.exp(1 + X[:, 0] + 0.5 * X[:, 1] ** 2)
SMALL = {"n_hidden": 1, "n_neurons": 16, "random_state": 0}
pytestmark = pytest.mark.usefixtures("no_xla")


def word(loss):
    """Its name as part of a test's, which must not hold an address."""
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


# Losses of classes


class OwnDivergence(keras.losses.KLDivergence):
    pass


OF_ALL_CLASSES = [
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "kl_divergence",
    "kld",
    "KLDivergence",
    "cosine_similarity",
    keras.losses.KLDivergence,
    keras.losses.CategoricalFocalCrossentropy(),
    keras.losses.categorical_hinge,
    functools.partial(keras.losses.categorical_crossentropy, label_smoothing=0.1),
    OwnDivergence(name="own"),
]


@pytest.mark.parametrize("loss", OF_ALL_CLASSES, ids=word)
@pytest.mark.parametrize(
    ("y", "wanted"),
    [(TWO, "a single output for binary y"), (LABELS, "each label by itself for a label indicator matrix")],
    ids=["two", "labels"],
)
def test_losses_that_compare_classes_are_refused(loss, y, wanted):
    with pytest.raises(ValueError, match=f"'loss' parameter must be a loss of {wanted}.*which compares outputs of all"):
        plain_classifier(**SMALL, loss=loss).fit(X, y)


def test_such_a_loss_that_a_builder_has_compiled_is_refused():
    def build():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="sigmoid")])
        model.compile(keras.optimizers.Adam(1e-3), "kld")
        return model

    with pytest.raises(ValueError, match=r"each label by itself.*Got 'kld', which compares"):
        plain_classifier(build).fit(X, LABELS)


@pytest.mark.parametrize("loss", ["mape", "msle", keras.losses.Circle(), keras.losses.CTC()], ids=word)
@pytest.mark.parametrize("y", [TWO, THREE, LABELS], ids=["two", "three", "labels"])
def test_losses_of_no_classes_are_refused(loss, y):
    with pytest.raises(ValueError, match="'loss' parameter must be a loss for classes"):
        plain_classifier(**SMALL, loss=loss).fit(X, y)


def share_of_row(y_true, y_pred):
    """A cross-entropy of all classes: of a single column, it is the same whatever the output."""
    share = y_pred / keras.ops.sum(y_pred, axis=-1, keepdims=True)
    return -keras.ops.sum(y_true * keras.ops.log(share), axis=-1)


def test_own_loss_that_learns_nothing_of_one_output():
    with pytest.raises(ValueError, match="which is the same for all outputs"):
        plain_classifier(**SMALL, loss=share_of_row).fit(X, TWO)
    plain_classifier(**SMALL, loss=share_of_row, epochs=1).fit(X, THREE)


def test_smoothed_labels_of_a_hinge():
    with pytest.raises(ValueError, match=r"label_smoothing=0.1 needs a loss of probabilities.*Got 'hinge'"):
        plain_classifier(**SMALL, loss="hinge", label_smoothing=0.1).fit(X, TWO)


def of_numbers(n_outputs):
    return lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(n_outputs)])


@pytest.mark.parametrize(
    ("n_outputs", "y", "loss"),
    [
        (1, TWO, "binary_crossentropy"),
        (2, TWO, "sparse_categorical_crossentropy"),
        (3, THREE, "sparse_categorical_crossentropy"),
        (3, LABELS, "binary_crossentropy"),
    ],
)
@pytest.mark.parametrize("params", [{}, {"input_scaling": "standard"}, {"ensemble_size": 2}], ids=str)
def test_the_default_loss_is_one_of_logits_for_a_model_without_an_activation(n_outputs, y, loss, params):
    params = {"epochs": 2, "random_state": 0, **params}
    mlp = plain_classifier(of_numbers(n_outputs), **params).fit(X, y)
    of_logits = plain_classifier(of_numbers(n_outputs), **params, loss=loss, loss__from_logits=True).fit(X, y)
    np.testing.assert_array_equal(mlp.predict_proba(X), of_logits.predict_proba(X))
    assert mlp.model_.evaluate(X, y, verbose=0) == of_logits.model_.evaluate(X, y, verbose=0)


def test_a_loss_of_probabilities_for_a_model_without_an_activation_warns():
    def build():
        model = of_numbers(1)()
        model.compile(loss="binary_crossentropy")
        return model

    for mlp in (
        plain_classifier(build, epochs=1),
        plain_classifier(of_numbers(1), epochs=1, loss="binary_crossentropy"),
    ):
        with pytest.warns(UserWarning, match=r"'binary_crossentropy' takes probabilities, but .* from_logits=True"):
            mlp.fit(X, TWO)


def test_a_model_that_is_not_compiled_has_the_loss_of_its_width():
    mlp = plain_classifier(lambda: keras.Sequential([keras.layers.Dense(2, "softmax")]), epochs=1).fit(X, TWO)
    assert np.isfinite(mlp.model_.evaluate(X, TWO, verbose=0))


def test_loss_of_logits_for_a_model_of_probabilities():
    def build():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])

    with pytest.raises(ValueError, match=r"must be a loss of probabilities for a 'model' that ends in a sigmoid"):
        plain_classifier(build, loss="binary_crossentropy", loss__from_logits=True).fit(X, TWO)


@pytest.mark.parametrize(
    "loss", ["binary_crossentropy", "hinge", keras.losses.kl_divergence, "cosine_similarity"], ids=word
)
def test_losses_that_are_not_of_numbers_are_refused(loss):
    with pytest.raises(ValueError, match=r"'loss' parameter must be a loss (for|of single) numbers"):
        plain_regressor(**SMALL, loss=loss).fit(X, POSITIVE)


def test_regression_of_shares():
    def build():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])

    mlp = plain_regressor(build, loss="binary_crossentropy", epochs=30, learning_rate=0.05, random_state=0)
    assert mlp.fit(X, 1 / (1 + np.exp(-3 * X[:, 0]))).score(X, 1 / (1 + np.exp(-3 * X[:, 0]))) > 0.95


@pytest.mark.parametrize(
    ("loss", "engine"), [("binary_crossentropy", "compiled"), ("binary_focal_crossentropy", "keras")]
)
def test_binary_losses_of_three_classes_are_of_their_probabilities(loss, engine):
    mlp = plain_classifier(**SMALL, loss=loss, metrics=[loss], epochs=2, engine=engine).fit(X, THREE)
    np.testing.assert_allclose(mlp.history_["val_loss"], mlp.history_[f"val_{loss}"], rtol=1e-5)


# Units


def linear():
    layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((3,)), *layers])


def relative_error(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) / y_true, axis=-1)


def own_logarithmic(y_true, y_pred):
    difference = keras.ops.log1p(y_true) - keras.ops.log1p(keras.ops.maximum(y_pred, 0))
    return keras.ops.mean(difference**2, axis=-1)


UNITS = [1.0, 3e5, 1e-3]
MAPE, MSLE = keras.losses.MeanAbsolutePercentageError, keras.losses.MeanSquaredLogarithmicError


@pytest.mark.parametrize(
    ("loss", "figure"),
    [
        ("mape", lambda y, p: 100 * np.mean(np.abs(y - p) / y)),
        (MAPE, lambda y, p: 100 * np.mean(np.abs(y - p) / y)),
        (keras.losses.mean_absolute_percentage_error, lambda y, p: 100 * np.mean(np.abs(y - p) / y)),
        (relative_error, lambda y, p: np.mean(np.abs(y - p) / y)),
        ("msle", lambda y, p: np.mean((np.log1p(y) - np.log1p(np.maximum(p, 0))) ** 2)),
        (MSLE(name="any"), lambda y, p: np.mean((np.log1p(y) - np.log1p(np.maximum(p, 0))) ** 2)),
        (own_logarithmic, lambda y, p: np.mean((np.log1p(y) - np.log1p(np.maximum(p, 0))) ** 2)),
    ],
    ids=["mape", "its class", "its function", "own", "msle", "its object", "own logarithmic"],
)
@pytest.mark.parametrize("model", [None, linear])
def test_losses_of_ratios_do_not_depend_on_units(loss, figure, model):
    settings = SMALL | {"epochs": 40, "learning_rate": 5e-3, "patience": 40, "loss": loss, "normalize_y": True}
    errors = []
    for unit in UNITS:
        y = unit * POSITIVE
        mlp = plain_regressor(model, **settings).fit(X[50:], y[50:], X_val=X[:50], y_val=y[:50])
        predicted = mlp.predict(X[:50])
        errors.append(np.mean(np.abs(predicted - y[:50]) / y[:50]))
        best = mlp.history_["val_loss"][mlp.best_epoch_]
        np.testing.assert_allclose(best, figure(y[:50], predicted), rtol=1e-2)  # in the loss's own meaning
    assert max(errors) < (0.15 if loss is not own_logarithmic else 0.3)  # which is flat where its network begins
    assert max(errors) < 1.5 * min(errors)


def test_engines_agree_on_losses_of_ratios():
    y = 1e3 * np.c_[POSITIVE, 10 * POSITIVE]
    one, other = (
        plain_regressor(**SMALL, loss="msle", epochs=3, engine=engine).fit(X, y) for engine in ("compiled", "keras")
    )
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(one.history_[name], other.history_[name], rtol=1e-4)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-3)


def test_weights_count_for_the_units_of_ratios():
    weights = RNG.integers(1, 3, 200)
    twice = np.repeat(np.arange(200), weights)
    settings = SMALL | {"loss": "mape", "epochs": 1, "early_stopping": False}
    one = plain_regressor(**settings).fit(X, POSITIVE, sample_weight=weights)
    other = plain_regressor(**settings).fit(X[twice], POSITIVE[twice])
    scales = [mlp._fitted.targets.scale for mlp in (one, other)]
    np.testing.assert_allclose(*scales, rtol=1e-12)


def test_y_that_a_loss_of_ratios_is_not_defined_for():
    with pytest.raises(ValueError, match=r"y must not be 0 for loss='mean_absolute_percentage_error'.* Got 1 zeros"):
        plain_regressor(**SMALL, loss="mape").fit(X, np.r_[0.0, POSITIVE[1:]])
    with pytest.raises(ValueError, match="y must be at least 0 for loss='mean_squared_logarithmic_error'"):
        plain_regressor(**SMALL, loss="msle").fit(X, -POSITIVE)


def test_loss_of_ratios_that_a_builder_has_compiled():
    def build():
        model = linear()
        model.compile(keras.optimizers.Adam(5e-3), "mape")
        return model

    settings = {"epochs": 40, "random_state": 0, "learning_rate": 5e-3, "normalize_y": True}
    predicted = plain_regressor(build, **settings).fit(X, 3e5 * POSITIVE).predict(X)
    assert np.mean(np.abs(predicted / (3e5 * POSITIVE) - 1)) < 0.15


@pytest.mark.parametrize("quantile", [0.9, [0.1, 0.9]])
def test_quantile_loss_in_keras_of_a_y_without_columns(quantile):
    loss, y = Quantile(quantile), np.array([1.0, 2.0, 4.0], np.float32)
    output = np.column_stack([y - 1] * np.size(quantile))
    assert float(loss(y, output)) == float(loss(y[:, None], output)) == pytest.approx(np.mean(quantile))
