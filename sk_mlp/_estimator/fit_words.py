"""Keras' own arguments of `fit`: they hold for one fit and leave the estimator's parameters as they are."""

from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from sk_mlp._estimator.messages import did_you_mean
from sk_mlp._estimator.other_names import translated

# Words that are also parameters of the estimator.
PARAMETERS = ("epochs", "batch_size", "verbose", "class_weight", "shuffle")
WORDS = (*PARAMETERS, "callbacks", "validation_data", "validation_split")
OTHERS = ("sample_weight", "X_val", "y_val", "sample_weight_val", "X_unlabeled", "groups")  # that `fit` has
# Arguments of `Model.fit` that a fit here does not have, and what to use in their place.
REFUSED = {
    "initial_epoch": "call partial_fit, or fit again with warm_start=True, to go on",
    "steps_per_epoch": "an epoch is one pass over all rows; set batch_size",
    "validation_steps": "all validation rows are used; pass fewer in validation_data",
    "validation_batch_size": "validation does not depend on the size of its batches; leave it out",
    "validation_freq": "validation is part of each epoch; leave it out",
    "x": "pass X",
    "max_queue_size": "X and y are arrays and need no queue; leave it out",
    "workers": "training runs in one program; leave it out",
    "use_multiprocessing": "training runs in one program; leave it out",
}


@dataclass(frozen=True)
class FitWords:
    """Keras' arguments of `fit`, checked.

    Attributes
    ----------
    parameters : dict
        Values that replace those of the estimator's parameters for this fit.
    callbacks : callback, list, tuple or CallbackList
        Beside the estimator's own.
    validation_split : float or None
        Share of the rows to hold out; 0 for none.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    callbacks: Any = ()
    validation_split: float | None = None


NO_WORDS = FitWords()


def refuse_unknown(words: dict[str, Any], by_prefix: dict[str, Any]) -> None:
    """Raise an error for words that `fit` does not know; ``by_prefix`` are those of parameters named ``fit__...``."""
    for prefix, given in (("", words), ("fit__", by_prefix)):
        for name, value in given.items():
            if name in REFUSED and value is None:  # Keras' defaults ask for nothing
                continue
            if name in REFUSED:
                raise TypeError(f"{prefix}{name} of Keras' Model.fit is not supported: {REFUSED[name]}. Got {value!r}.")
            if not prefix or name not in WORDS:
                hint = translated([name]) or did_you_mean(name, (*WORDS, *OTHERS, *REFUSED))
                if prefix and name.startswith("callbacks__"):
                    hint = f" Set callbacks=... and {name}=... in place of fit__callbacks=... and fit__{name}=... ."
                raise TypeError(
                    f"fit got an unexpected keyword argument {prefix + name!r}. "
                    f"Keras' words that it knows are {sorted(WORDS)}.{hint}"
                )


def checked(words: dict[str, Any]) -> FitWords:
    """The words that are not None.

    Raises
    ------
    TypeError, ValueError
        For values of another kind.
    """
    said = {name: value for name, value in words.items() if value is not None}
    parameters = {name: said[name] for name in PARAMETERS if name in said}
    if parameters.get("verbose") == "auto":
        parameters["verbose"] = 1
    split = said.get("validation_split")
    if split is not None and (not isinstance(split, Real) or isinstance(split, bool) or not 0 <= float(split) < 1):
        raise ValueError(f"validation_split must be a float in [0, 1), the share of rows to hold out. Got {split!r}.")
    return FitWords(parameters, said.get("callbacks", ()), None if split is None else float(split))


def held_out_rows(validation_data: Any, others: tuple, split: float | None) -> tuple:
    """The rows to hold out, as (X, y, weights), given as ``validation_data`` or by ``others``, these three.

    Raises
    ------
    ValueError
        If they are given in two ways, or are not (X, y) or (X, y, weights).
    """
    if validation_data is None:
        if split and any(part is not None for part in others):
            raise ValueError(f"validation_split={split} and X_val, y_val must not both be given. Got both.")
        return others
    if any(part is not None for part in others):
        raise ValueError("validation_data is the same as X_val, y_val and sample_weight_val. Got both.")
    if split:
        raise ValueError(f"validation_data and validation_split={split} must not both be given. Got both.")
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        n = f" of length {len(validation_data)}" if isinstance(validation_data, (tuple, list)) else ""
        raise ValueError(
            "validation_data must be a tuple (X_val, y_val) or (X_val, y_val, sample_weight_val). "
            f"Got {type(validation_data).__name__}{n}."
        )
    return (*validation_data, None)[:3]
