"""Names of parameters and attributes in other packages, and what they are called here."""

from collections.abc import Iterable
from typing import Any

from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

# Earlier names, of Keras' wrappers and of scikeras.
ALIASES = {"build_fn": "model", "validation_split": "validation_fraction"}
# Attributes of Keras' models, of wrappers and of other estimators, and what to use here.
OTHER_ATTRIBUTES = {
    "best_iteration_": "'best_epoch_'",
    "best_loss_": "history_['val_loss'][best_epoch_]",
    "best_validation_score_": "history_['val_loss'][best_epoch_]",
    "coefs_": "'model_.get_weights'",
    "evals_result_": "'history_'",
    "evaluate": "'model_.evaluate'",
    "feature_importances_": "sklearn.inspection.permutation_importance",
    "get_weights": "'model_.get_weights'",
    "history": "'history_'",
    "initialize": "'partial_fit', which also trains for an epoch",
    "initialized_": "sklearn.utils.validation.check_is_fitted",
    "intercepts_": "'model_.get_weights'",
    "layers": "'model_.layers'",
    "loss_": "history_['loss'][-1]",
    "loss_curve_": "history_['loss']",
    "module_": "'model_'",
    "n_classes_": "len(classes_)",
    "predict_classes": "'predict'",
    "save": "sk_mlp.save_model, or 'model_.save'",
    "save_model": "sk_mlp.save_model, or 'model_.save'",
    "save_weights": "'model_.save_weights'",
    "summary": "'model_.summary'",
    "validation_scores_": "history_['val_loss']",
}
# Methods and properties of subclasses of Keras' wrappers and scikeras', which nothing calls here, and what to do.
OTHER_HOOKS = {
    "_keras_build_fn": "Pass a function, or a method of another object, as 'model'",
    "__call__": "Pass a function, or an object that is not the estimator, as 'model'",
    "feature_encoder": "Put the transformer before the estimator, in a Pipeline",
    "target_encoder": "Encode y before fit; TransformedTargetRegressor does it for numbers",
    "scorer": "Override score, or give searches a scoring",
}
# Parameters of scikit-learn's multilayer perceptrons that have another name here.
IN_SCIKIT_LEARN = {
    "solver": "optimizer='adam' or 'sgd'",
    "alpha": "weight_decay",
    "learning_rate_init": "learning_rate, a number",
    "power_t": "lr_schedule, such as 'step'",
    "max_iter": "epochs",
    "tol": "min_delta",
    "momentum": "optimizer__momentum",
    "nesterovs_momentum": "optimizer__nesterov",
    "beta_1": "optimizer__beta_1",
    "beta_2": "optimizer__beta_2",
    "epsilon": "optimizer__epsilon",
    "n_iter_no_change": "patience",
    "max_fun": "nothing, as no optimizer counts calls of the loss",
}


# Parameters of Keras' wrappers, scikeras, skorch and gradient boosting. Those that end in "__" are prefixes.
IN_OTHER_PACKAGES = {
    "cat_features": "categorical_features",
    "compile__": "optimizer__..., loss__... and metrics__...",
    "criterion": "loss",
    "decay": "lr_schedule",
    "device": "nothing, as TensorFlow chooses it",
    "early_stopping_rounds": "patience",
    "eval_set": "validation_data of fit",
    "initial_epoch": "nothing: go on by partial_fit, or by fit with warm_start=True",
    "iterations": "epochs",
    "iterator_train__": "batch_size and shuffle",
    "lr": "learning_rate",
    "max_epochs": "epochs",
    "module": "model",
    "module__": "model__...",
    "n_jobs": "nothing, as TensorFlow takes all cores",
    "nb_epoch": "epochs",
    "predict__": "nothing, as neither batches nor words change predictions",
    "run_eagerly": "nothing; engine='keras' trains with Keras' own fit",
    "score__": "nothing; searches have a scoring",
    "seed": "random_state",
    "steps_per_epoch": "nothing, as an epoch is one pass over all rows",
    "train_split": "validation_fraction, or hold_out",
    "validation_batch_size": "nothing, as batches do not change validation",
    "validation_data": "an argument of fit",
    "workers": "nothing, as X and y are arrays",
}
# Values of parameters in scikit-learn's MLP and in Keras, and what to set here.
OTHER_VALUES = {
    ("activation", "identity"): "n_hidden=0",
    ("activation", "logistic"): "activation='sigmoid'",
    ("batch_size", -1): "a number as large as the table",
    ("batch_size", None): "batch_size='auto'",
    ("learning_rate", "adaptive"): "lr_schedule='plateau'",
    ("learning_rate", "constant"): "lr_schedule=None",
    ("learning_rate", "invscaling"): "lr_schedule, a function of the epoch",
    ("optimizer", None): "optimizer='auto'",
    ("validation_fraction", 0): "early_stopping=False, to hold out no rows",
}


def translated(names: Iterable[str]) -> str:
    """Sentences that translate names of other packages; empty if there are none."""
    names = list(names)
    of_sklearn = [f"{name} is {IN_SCIKIT_LEARN[name]}" for name in names if name in IN_SCIKIT_LEARN]
    in_others = {name: _in_other_packages(name) for name in names if name not in IN_SCIKIT_LEARN}
    of_others = [f"{name} is {meaning}" for name, meaning in in_others.items() if meaning]
    parts = {"scikit-learn's MLP": of_sklearn, "other packages": of_others}
    return "".join(f" Of the names of {whose}: {'; '.join(found)}." for whose, found in parts.items() if found)


def _in_other_packages(name: str) -> str:
    prefix, separator, _ = name.partition("__")
    return IN_OTHER_PACKAGES.get(prefix + separator, "")


def check_values(constraints: dict[str, list], values: dict[str, Any], owner: str) -> None:
    """Raise scikit-learn's error for a value that is not valid, and say what it is here if other packages have it."""
    try:
        validate_parameter_constraints(constraints, values, caller_name=owner)
    except InvalidParameterError as error:
        name = str(error).split("'")[1]  # The '...' parameter of
        raise InvalidParameterError(f"{error}{_translated_value(name, values[name])}") from None


def _translated_value(name: str, value: Any) -> str:
    """A sentence that says what a value of other packages is here; empty if that is not known."""
    if name == "model" and isinstance(value, (list, tuple)):
        return " Sizes of hidden layers are the parameter hidden_layer_sizes."
    if name == "early_stopping" and hasattr(value, "on_epoch_end"):
        return " Callbacks are the parameter callbacks."
    known = [meaning for (owner, theirs), meaning in OTHER_VALUES.items() if owner == name and _is(value, theirs)]
    return f" {name}={value!r} of other packages is {known[0]}." if known else ""


def _is(value: Any, other: Any) -> bool:
    return value is other or (isinstance(value, (str, int, float)) and not isinstance(value, bool) and value == other)
