"""Names of parameters and attributes in other packages, and what they are called here."""

from collections.abc import Iterable

# Earlier names, of Keras' wrappers and of scikeras.
ALIASES = {"build_fn": "model", "validation_split": "validation_fraction"}
# Attributes of Keras' models and wrappers, and what to use here.
OTHER_ATTRIBUTES = {
    "evaluate": "'model_.evaluate'",
    "history": "'history_'",
    "initialize": "'partial_fit', which also trains for an epoch",
    "initialized_": "sklearn.utils.validation.check_is_fitted",
    "summary": "'model_.summary'",
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


def translated(names: Iterable[str]) -> str:
    """A sentence that translates names of scikit-learn's multilayer perceptrons; empty if there are none."""
    others = "; ".join(f"{name} is {IN_SCIKIT_LEARN[name]}" for name in names if name in IN_SCIKIT_LEARN)
    return others and f" Of the names of scikit-learn's MLP: {others}."
