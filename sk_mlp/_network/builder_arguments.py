"""Arguments of the function that builds a user's own model: they are parameters of the estimator, too."""

import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from sk_mlp._estimator.messages import did_you_mean

# What the estimator offers a builder that has an argument of that name, as in scikeras.
OFFERED = ("meta", "params", "compile_kwargs")
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
REQUIRED = inspect.Parameter.empty
# Parameters of the built-in network. Each has values that ask for nothing, which may be set beside a model.
OF_THE_BUILT_IN = {
    "n_hidden": (),
    "n_neurons": (),
    "hidden_layer_sizes": (None,),
    "activation": ("relu",),  # as PLAIN_MLP has it
    "parametric_activation": (False,),
    "dropout": (0,),
    "batch_norm": (False,),
    "kernel_initializer": (),
    "skip_connection": (False,),
    "wide_features": (None,),
    "deep_features": (None,),
    "aux_output": (False,),
    "aux_loss_weight": (),
    "handle_missing": ("error",),
    "numerical_embedding": (None,),
    "learned_scale": (False,),
    "calibrate": (False,),
}
# Parameters that ``model.compile`` takes: a builder may have arguments of these names, for values of any kind.
OF_COMPILE = ("optimizer", "learning_rate", "weight_decay", "loss", "metrics")
OWNABLE = {*OF_THE_BUILT_IN, *OF_COMPILE}
# Destinations of parameters named destination__argument.
ROUTED = ("model", "optimizer", "lr_schedule", "loss", "metrics", "callbacks", "pretrain", "fit")
OF_TRAINING = ("batch_size", "epochs", "patience")  # "auto" of these gives way to a builder's default


def is_model(thing: Any) -> bool:
    """Whether something is a keras.Model; nothing is while nobody has imported Keras."""
    known = sys.modules.get("keras")
    return known is not None and isinstance(thing, known.Model)


def arguments_of(model: Any) -> dict[str, Any]:
    """Names of the arguments of a builder, with their defaults, or `REQUIRED`; none of a keras.Model itself.

    Parameters
    ----------
    model : callable, keras.Model or None
        A function, method, partial, class, or an object with ``__call__``.
    """
    parameters = [p for p in _parameters(model) if p.kind in NAMED]
    return {p.name: p.default for p in parameters if p.name not in (*OFFERED, "model")}


def has_known_arguments(model: Any) -> bool:
    """Whether Python can say which arguments a builder takes; None and a keras.Model itself take none."""
    return _signature_of(model) is not None


def offers_taken(model: Any) -> list[str]:
    """Which of the estimator's offers a builder has an argument for."""
    return [p.name for p in _parameters(model) if p.kind in NAMED and p.name in OFFERED]


def takes_any(model: Any) -> bool:
    """Whether a builder has ``**kwargs``."""
    return any(p.kind == p.VAR_KEYWORD for p in _parameters(model))


def _parameters(model: Any) -> list[inspect.Parameter]:
    return _signature_of(model) or []


def _signature_of(model: Any) -> list[inspect.Parameter] | None:
    if model is None or is_model(model):
        return []
    try:
        return list(inspect.signature(model).parameters.values())
    except (TypeError, ValueError):  # of compiled functions, for example, and of what is no function
        return None


def is_routed(name: str) -> bool:
    """Whether a parameter's name says where it goes: destination__argument."""
    return name.split("__")[0] in ROUTED and "__" in name


def known_names(name: str, own: Iterable[str], model: Any) -> str:
    """Sentences that help with an unknown name: like names among ``own`` and the builder's, and all prefixes."""
    arguments = arguments_of(model)
    of_model = f" {name_of(model)} takes {list(arguments)}." if arguments else ""
    if takes_any(model) and not is_routed(name):
        of_model += f" {name_of(model)} gets any other argument by its prefix: model__{name}."
    return (
        f"{did_you_mean(name, [*own, *arguments])}{of_model}"
        f" Arguments that are passed on are named {'__..., '.join(ROUTED)}__... ."
    )


def name_of(model: Any) -> str:
    """What to call a builder or model in messages."""
    if is_model(model):
        return f"the model {model.name!r}"
    name = getattr(model, "__name__", None) or getattr(getattr(model, "func", None), "__name__", None)
    return f"{name or type(model).__name__}()"


def chosen(model: Any, routed: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a builder that the user sets, by name.

    Parameters
    ----------
    model : callable
    routed : mapping
        Parameters that the estimator's signature lacks; those named ``model__...`` are for the builder alone.
    own : mapping
        Those of the signature that the user has set.

    Raises
    ------
    ValueError
        If an argument has two values.
    TypeError
        For a name that the builder does not have, and for an argument that it needs and has no value.
    """
    known = arguments_of(model)
    by_prefix = {name.removeprefix("model__"): v for name, v in routed.items() if name.startswith("model__")}
    by_name = {name: value for name, value in {**own, **routed}.items() if name in known}
    for name in by_name.keys() & by_prefix.keys():
        if by_name[name] is not by_prefix[name] and repr(by_name[name]) != repr(by_prefix[name]):
            raise ValueError(
                f"{name} and model__{name} are the same argument of {name_of(model)} and must not differ. Got "
                f"{by_name[name]!r} and {by_prefix[name]!r}."
            )
    unknown = [name for name in by_prefix if name not in known]
    if unknown and not takes_any(model):
        name = unknown[0]
        raise TypeError(
            f"model__{name}={by_prefix[name]!r} is for {name_of(model)}, which would get an unexpected keyword "
            f"argument {name!r}. Its arguments are {list(known)}.{did_you_mean(name, known)}"
        )
    given = by_name | by_prefix
    missing = [name for name, default in known.items() if default is REQUIRED and name not in given]
    if missing:
        raise TypeError(
            f"{name_of(model)} is missing 1 required positional argument: {missing[0]!r}. Give it to the estimator as "
            f"{missing[0]}=... or model__{missing[0]}=... ."
        )
    return given
