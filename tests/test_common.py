"""scikit-learn's own checks, over both estimators, or one, in fourteen configurations.

The checks are about the estimators' manners, on data of all shapes, for each of which XLA would compile a program for
seconds: most configurations run the same programs as TensorFlow graphs. Plain networks and the defaults are compiled,
as they are everywhere else.
"""

import keras
import pytest
from sklearn.base import BaseEstimator, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import SkipTest, parametrize_with_checks

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor

BY_CONSTRUCTION = "a weight of 2 is not a row twice: the rows fall into other minibatches or other held-out parts"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": BY_CONSTRUCTION,
    "check_sample_weight_equivalence_on_sparse_data": BY_CONSTRUCTION,
}
PLAIN = PLAIN_MLP | {"n_hidden": 2, "n_neurons": 100}
SMALL = PLAIN_MLP | {"n_hidden": 1, "n_neurons": 20, "learning_rate": 1e-2}


def common_checks(
    expected_failures=EXPECTED_FAILURES, estimators=(KerasMLPClassifier, KerasMLPRegressor), only="check_", **params
):
    """Parametrize a test with both estimators, so configured, and each of scikit-learn's checks of such names."""
    mark = parametrize_with_checks(
        [estimator(**params) for estimator in estimators],
        expected_failed_checks=lambda estimator: expected_failures,
    )
    name_of_check = mark.kwargs["ids"]

    def name(value):
        return type(value).__name__ if isinstance(value, BaseEstimator) else name_of_check(value)

    names, cases = mark.args
    chosen = [case for case in cases if only in name_of_check(getattr(case, "values", case)[1])]
    return pytest.mark.parametrize(names, chosen, ids=name)


def run(check, estimator):
    """Run a check, which may be skipped only if it is skipped for scikit-learn's own MLP as well."""
    try:
        check(estimator)
    except SkipTest:
        peer = (MLPClassifier if is_classifier(estimator) else MLPRegressor)(max_iter=5, tol=1e9, n_iter_no_change=1)
        with pytest.raises(SkipTest):
            check(peer)
        raise


def two_branches(meta, width=16):
    """Build a functional model, wide and deep, for any target."""
    classification = meta["target_type_"] in ("binary", "multiclass", "multilabel-indicator")
    activation = "linear"
    if classification:
        activation = "softmax" if meta["target_type_"] == "multiclass" else "sigmoid"
    inputs = keras.layers.Input((meta["n_features_in_"],))
    deep = keras.layers.Dense(width, activation="relu")(inputs)
    joined = keras.layers.Concatenate()([inputs, deep])
    return keras.Model(inputs, keras.layers.Dense(meta["n_outputs_"], activation=activation)(joined))


@common_checks()
def test_defaults(estimator, check):
    run(check, estimator)


@common_checks(**PLAIN)
def test_plain(estimator, check):
    run(check, estimator)


@common_checks(**SMALL | {"early_stopping": False, "epochs": 50})
def test_no_early_stopping(estimator, check, no_xla):
    run(check, estimator)


@common_checks(**SMALL | {"batch_norm": True, "dropout": 0.1})
def test_batch_norm_and_dropout(estimator, check, no_xla):
    run(check, estimator)


@common_checks(optimizer="sgd", optimizer__momentum=0.9, optimizer__nesterov=True, **SMALL)
def test_sgd(estimator, check, no_xla):
    run(check, estimator)


@common_checks(model=two_branches, model__width=20, **PLAIN_MLP | {"learning_rate": 1e-2})
def test_builder(estimator, check, no_xla):
    run(check, estimator)


def double_precision(meta):
    """Build a small model that is trained in float64: the check of sample weights compares to a relative 1e-7."""
    activation = "linear"
    if "classes_" in meta:
        activation = "softmax" if meta["target_type_"] == "multiclass" else "sigmoid"
    inputs = keras.layers.Input((meta["n_features_in_"],))
    hidden = keras.layers.Dense(20, activation="tanh", dtype="float64")(inputs)
    return keras.Model(inputs, keras.layers.Dense(meta["n_outputs_"], activation, dtype="float64")(hidden))


@common_checks(
    expected_failures={},
    only="sample_weight_equivalence",
    model=double_precision,
    early_stopping=False,
    shuffle=False,
    **PLAIN_MLP | {"batch_size": 10_000, "epochs": 50, "learning_rate": 1e-2},
)
def test_full_batch(estimator, check):
    run(check, estimator)


# Functions of X, for the checks come with any number of features.


def lower_half(X):
    return slice(0, -(-X.shape[1] // 2))


def upper_half(X):
    return slice(X.shape[1] // 2, None)


def two_inputs(meta, width=20):
    """Build a functional model of the two halves of the features, for any target."""
    activation = "linear"
    if "classes_" in meta:
        activation = "softmax" if meta["target_type_"] == "multiclass" else "sigmoid"
    n = meta["n_features_in_"]
    inputs = [keras.layers.Input((-(-n // 2),)), keras.layers.Input((n - n // 2,))]
    branches = [keras.layers.Dense(width, activation="relu")(part) for part in inputs]
    joined = keras.layers.Concatenate()(branches)
    return keras.Model(inputs, keras.layers.Dense(meta["n_outputs_"], activation=activation)(joined))


# One estimator each: what differs between the two is covered above, and each check compiles programs of its own.


@pytest.mark.slow
@common_checks(estimators=[KerasMLPClassifier], engine="keras", **SMALL | {"epochs": 5, "learning_rate": 5e-2})
def test_keras_engine(estimator, check):
    run(check, estimator)


@common_checks(
    estimators=[KerasMLPRegressor],
    skip_connection=True,
    wide_features=lower_half,
    deep_features=upper_half,
    **SMALL | {"epochs": 50},
)
def test_wide_and_deep(estimator, check, no_xla):
    run(check, estimator)


@common_checks(estimators=[KerasMLPClassifier], aux_output=True, aux_loss_weight=0.3, **SMALL | {"epochs": 50})
def test_aux_output(estimator, check, no_xla):
    run(check, estimator)


@common_checks(
    estimators=[KerasMLPRegressor], **SMALL | {"lr_schedule": "one_cycle", "epochs": 30, "learning_rate": 3e-2}
)
def test_one_cycle(estimator, check, no_xla):
    run(check, estimator)


@common_checks(estimators=[KerasMLPClassifier], label_smoothing=0.1, class_weight="balanced", **SMALL | {"epochs": 50})
def test_label_smoothing_and_class_weight(estimator, check, no_xla):
    run(check, estimator)


@common_checks(estimators=[KerasMLPRegressor], pretrain="autoencoder", pretrain__epochs=2, **SMALL | {"epochs": 50})
def test_autoencoder_start(estimator, check, no_xla):
    run(check, estimator)


@common_checks(
    estimators=[KerasMLPClassifier],
    model=two_inputs,
    input_columns=(lower_half, upper_half),
    **PLAIN_MLP | {"epochs": 50, "learning_rate": 1e-2},
)
def test_several_inputs(estimator, check, no_xla):
    run(check, estimator)
