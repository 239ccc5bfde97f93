"""Names that other packages have for what is here."""

from collections.abc import Iterable

# Earlier names, of Keras' wrappers and of scikeras.
ALIASES = {"build_fn": "model", "validation_split": "validation_fraction"}
# What Keras' models and wrappers have, and where it is here.
OTHER_ATTRIBUTES = {
    "evaluate": "'model_.evaluate'",
    "history": "'history_'",
    "initialize": "'partial_fit', which also trains for an epoch",
    "initialized_": "sklearn.utils.validation.check_is_fitted",
    "summary": "'model_.summary'",
}
# What scikit-learn's multilayer perceptrons call otherwise.
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
    """What names of scikit-learn's multilayer perceptrons are called here, as a sentence; empty if there are none."""
    others = "; ".join(f"{name} is {IN_SCIKIT_LEARN[name]}" for name in names if name in IN_SCIKIT_LEARN)
    return others and f" Of the names of scikit-learn's MLP: {others}."
