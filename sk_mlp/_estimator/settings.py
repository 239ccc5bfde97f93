"""All that holds for a fit, in one value: parameters, Keras' arguments of `fit`, and what a user's model brings.

`settings_of` makes it from the estimator, once a fit. `with_compiled` adds what a user's model was compiled with.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from sk_mlp._estimator.defaults import N_HIDDEN, N_NEURONS, WITH_A_MODEL
from sk_mlp._estimator.fit_words import NO_WORDS, FitWords
from sk_mlp._estimator.other_names import OTHER_HOOKS
from sk_mlp._estimator.rates import RATES, settled_rates
from sk_mlp._keras.policy import policy_of_fit
from sk_mlp._keras.resolve import resolve_optimizer
from sk_mlp._keras.routing import routed_to
from sk_mlp._network.builder_arguments import (
    OF_COMPILE,
    OF_THE_BUILT_IN,
    OWNABLE,
    ROUTED,
    arguments_of,
    chosen,
    is_routed,
    name_of,
)
from sk_mlp._network.compiled import Compiled, flat

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP

INTEGERS = ("batch_size", "epochs", "patience", "ensemble_size", "init_layers")
FLOATS = (
    *("dropout", "aux_loss_weight", "frozen_epochs", "learning_rate", "weight_decay", "clip_norm", "ema_momentum"),
    *("validation_fraction", "min_delta", "label_smoothing"),
)
TRUTHS = (
    *("learned_scale", "parametric_activation", "batch_norm", "skip_connection", "aux_output", "early_stopping"),
    *("shuffle", "warm_start", "normalize_y", "calibrate"),
)
TYPES: Mapping[str, Callable] = {
    **dict.fromkeys(INTEGERS, int),
    **dict.fromkeys(FLOATS, float),
    **dict.fromkeys(TRUTHS, bool),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """Everything that is known of a fit before its rows are looked at.

    The fields from ``model`` on are the parameters of these names, checked, with numbers in Python's types. "auto" is
    left where the rows decide. A parameter that only one of the estimators has does nothing for the other.

    Attributes
    ----------
    owner : type
        The estimator's class.
    told : frozenset of str
        Parameters that the user has set.
    routed : dict of str to dict
        Parameters named ``destination__argument``, by destination.
    builder_arguments : dict
        Arguments of the function that builds the user's model, as far as they are set.
    others : dict
        Further parameters: arguments of that function, by their own names, and what a subclass has besides.
    policy : DTypePolicy
        Keras', under which the network is made.
    called : list
        Keras callbacks given to `fit`, beside the estimator's own.
    held_out_share : float or None
        Of the rows to hold out, said in `fit`; None for ``validation_fraction``, where the fit stops early.
    first_epoch : int
    last_epoch : int or None
        For a fit of some epochs out of many.
    layer_sizes : tuple of int
        Neurons of the built-in network's hidden layers.
    """

    owner: type["BaseKerasMLP"]
    told: frozenset[str]
    routed: Mapping[str, dict[str, Any]]
    builder_arguments: Mapping[str, Any]
    others: Mapping[str, Any]
    policy: keras.DTypePolicy
    called: list
    held_out_share: float | None
    first_epoch: int = 0
    last_epoch: int | None = None
    layer_sizes: tuple[int, ...]

    model: Any
    categorical_features: Any
    handle_missing: str
    input_scaling: str | None
    numerical_embedding: str | None
    learned_scale: bool | str
    n_hidden: Any
    n_neurons: Any
    hidden_layer_sizes: Any
    activation: str
    parametric_activation: bool
    dropout: float | str
    batch_norm: bool
    kernel_initializer: str
    skip_connection: bool
    wide_features: Any
    deep_features: Any
    aux_output: bool
    aux_loss_weight: float
    input_columns: Any
    init_from: Any
    init_layers: int | None
    frozen_epochs: float
    pretrain: str | None
    optimizer: Any
    learning_rate: Any
    weight_decay: Any
    lr_schedule: Any
    clip_norm: float | None
    ema_momentum: float | None
    batch_size: int | str
    epochs: int | str
    early_stopping: bool | str
    validation_fraction: float
    hold_out: Any
    patience: int
    min_delta: float
    monitor: str
    shuffle: bool
    loss: Any
    metrics: Any
    callbacks: Any
    ensemble_size: int
    engine: str
    warm_start: bool
    random_state: Any
    verbose: Any
    class_weight: Any = None
    label_smoothing: float = 0.0
    calibrate: bool = False
    normalize_y: bool = False

    @property
    def learn_targets(self) -> Callable:
        """The function that finds out what y is: `learn_labels` or `learn_numbers`."""
        return self.owner._learn_targets

    @property
    def stops_early(self) -> bool:
        """Whether held-out rows decide when the fit stops."""
        return bool(self.early_stopping)

    @property
    def allows_missing(self) -> bool:
        """Whether X may lack numbers."""
        return self.model is None and self.pretrain is None and self.handle_missing != "error"

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by the names that the user has for them."""
        own = {field.name: getattr(self, field.name) for field in fields(self)[FIRST_PARAMETER:]}
        foreign = {name for name in ONLY_ONE_HAS if name not in self.owner._parameter_constraints}
        routed = {f"{to}__{name}": value for to, arguments in self.routed.items() for name, value in arguments.items()}
        return {name: value for name, value in own.items() if name not in foreign} | {**self.others} | routed


FIRST_PARAMETER = [field.name for field in fields(Settings)].index("model")
ONLY_ONE_HAS = ("class_weight", "label_smoothing", "calibrate", "normalize_y")


def settings_of(estimator: "BaseKerasMLP", words: FitWords = NO_WORDS) -> Settings:
    """The settings of a fit.

    Parameters
    ----------
    estimator : estimator
        Is left as it is.
    words : FitWords
        What the user has said in `fit`.

    Raises
    ------
    ValueError, TypeError
        For names and values that no fit can do with.
    """
    refuse_hooks(estimator)
    values = {**estimator._own_values(), **words.parameters}
    told = estimator._names_set(values)
    estimator._validate_names()
    model, passed_on = values["model"], estimator._routed
    owned = arguments_of(model).keys() & OWNABLE
    checked = values.keys() - owned
    estimator._check_values({name: values[name] for name in checked & told})  # defaults are valid
    arguments: Mapping[str, Any] = {}
    if model is not None:
        # A value that asks for nothing, as in PLAIN_MLP, gives way to one that is for the builder alone.
        own = {
            name: values[name]
            for name in told
            if f"model__{name}" not in passed_on or not _asks_for_nothing(name, values[name])
        }
        values |= {name: value for name, value in estimator._in_place().items() if name not in told}
        arguments = chosen(model, passed_on, own)
        refuse_what_is_built_in(own, model)
    defaults = estimator._built_in_defaults if model is None else WITH_A_MODEL
    values |= {n: v for n, v in defaults.items() if n in values and is_auto(values[n]) and n not in RATES}
    if is_auto(values.get("calibrate")):
        values["calibrate"] = values["ensemble_size"] > 1
    known = {field.name for field in fields(Settings)}
    others = {name: value for name, value in passed_on.items() if not is_routed(name)}
    settings = Settings(
        owner=type(estimator),
        told=frozenset(told),
        routed={to: routed_to(passed_on, to) if passed_on else {} for to in ROUTED},
        builder_arguments=arguments,
        others={name: value for name, value in values.items() if name not in known} | others,
        policy=policy_of_fit(estimator),
        called=_flat(words.callbacks),
        held_out_share=words.validation_split,
        layer_sizes=layer_sizes(values) if model is None else (),
        **{n: _cast(n, value) if n in checked else value for n, value in values.items() if n in known},
    )
    return settings if model is not None else with_rates(settings, settings.told)


def refuse_hooks(estimator: "BaseKerasMLP") -> None:
    """Raise an error for what a subclass overrides in other packages' wrappers: it would be passed over in silence."""
    overridden = set().union(*map(vars, type(estimator).__mro__))
    for name, instead in OTHER_HOOKS.items():
        if name in overridden and (name != "__call__" or estimator.model is None):
            raise TypeError(
                f"{type(estimator).__name__} has {name}, as subclasses of Keras' wrappers and scikeras' do, which is "
                f"not used here. {instead}."
            )


def _cast(name: str, value: Any) -> Any:
    """A number in Python's type."""
    return TYPES[name](value) if name in TYPES and isinstance(value, (Real, np.bool_)) else value


def _flat(callbacks: Any) -> list:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def layer_sizes(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Neurons of the built-in network's hidden layers.

    Raises
    ------
    ValueError
        If the parameters contradict each other.
    """
    sizes = given = values["hidden_layer_sizes"]
    if sizes is None:
        n_hidden, n_neurons = (
            default if is_auto(values[name]) else int(values[name])
            for name, default in (("n_hidden", N_HIDDEN), ("n_neurons", N_NEURONS))
        )
        return (n_neurons,) * n_hidden
    sizes = sizes.tolist() if isinstance(sizes, np.ndarray) else sizes  # which is a number itself if it has no axis
    sizes = list(sizes) if isinstance(sizes, Iterable) else [sizes]
    for size in sizes:
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"hidden_layer_sizes must hold integers of at least 1. Got {given!r}.")
    contradicts = {
        "n_hidden": (len(sizes) != values["n_hidden"], N_HIDDEN),
        "n_neurons": (set(sizes) - {values["n_neurons"]}, N_NEURONS),
    }
    for name, (contradiction, default) in contradicts.items():
        value = values[name]
        if contradiction and value not in ("auto", default):
            raise ValueError(
                f"hidden_layer_sizes replaces n_hidden and n_neurons, so {name} must not contradict it. "
                f"Got hidden_layer_sizes={given!r} and {name}={value!r}; set "
                "hidden_layer_sizes=None to use n_hidden and n_neurons."
            )
    return tuple(int(size) for size in sizes)


def refuse_what_is_built_in(own: Mapping[str, Any], model: Any) -> None:
    """Raise an error for parameters that shape the built-in network, beside a model that does not take them."""
    known = arguments_of(model)
    for name in OF_THE_BUILT_IN:
        if name in own and name not in known and not _asks_for_nothing(name, own[name]):
            takes = f"takes {list(known)}" if known else "takes no arguments"
            raise ValueError(
                f"{name}={own[name]!r} applies only to the built-in network. Got model={name_of(model)} besides, which "
                f"{takes}; set {name} back to its default."
            )


def _asks_for_nothing(name: str, value: Any) -> bool:
    return any(_same(value, nothing) for nothing in OF_THE_BUILT_IN.get(name, ()))


def _same(value: Any, other: Any) -> bool:
    return value is other or (type(value) in (str, int, float, bool) and value == other)


def is_auto(value: Any) -> bool:
    """Whether a parameter has been left at "auto"."""
    return isinstance(value, str) and value == "auto"


def with_rates(settings: Settings, told: Collection[str]) -> Settings:
    """Settings with the learning rate, its schedule and the weight decay that hold, wherever the user has said them.

    Parameters
    ----------
    settings : Settings
    told : collection of str
        Which parameters are meant for the optimizer, rather than for the function that builds the model.

    Raises
    ------
    ValueError
        If they are said in two ways that differ.
    """
    rates = settled_rates(settings, told)
    check_values(settings.owner, {name: rates[name] for name in RATES})
    of_optimizer = {name: value for name, value in settings.routed["optimizer"].items() if name not in RATES}
    return replace(settings, **rates, routed={**settings.routed, "optimizer": of_optimizer})


def check_values(owner: Any, values: dict[str, Any]) -> None:
    """Raise scikit-learn's error for a value that is not valid."""
    owner._check_values(values)


def with_compiled(settings: Settings, compiled: Compiled | None, has_weights: bool) -> Settings:
    """Settings with what the user's model was compiled with, and what the estimator is told besides.

    Parameters
    ----------
    settings : Settings
    compiled : Compiled or None
    has_weights : bool
        Whether rows have weights.

    Raises
    ------
    ValueError
        If both say different things.
    """
    owned = arguments_of(settings.model)
    told = {name for name in OF_COMPILE if name in settings.told and name not in owned}
    if compiled is None:
        check_values(settings.owner, {name: getattr(settings, name) for name in OF_COMPILE})
        return with_rates(settings, told)
    arguments = settings.routed["optimizer"]
    if "optimizer" in told:
        cls = resolve_optimizer(settings.optimizer, arguments)[0]
        if cls is not type(compiled.optimizer):
            raise _against("optimizer", settings.optimizer, type(compiled.optimizer).__name__)
    config = compiled.optimizer.get_config()
    for name, value in arguments.items():
        if name not in RATES and not (name in config and _same(value, config[name])):
            raise _against(f"optimizer__{name}", value, f"{name}={config.get(name)!r}")
    settings = with_rates(replace(settings, optimizer=compiled.optimizer), told)
    settings = replace(settings, routed={**settings.routed, "optimizer": {}})
    if "loss" not in told:
        if of_loss := settings.routed["loss"]:
            raise _against("loss__...", of_loss, repr(compiled.loss))
        settings = replace(settings, loss=compiled.loss)
    if compiled.weighted_metrics and has_weights:
        raise ValueError(
            "Metrics are computed without weights, so a model must not be compiled with weighted_metrics where rows "
            f"have weights. Got {compiled.weighted_metrics}; use metrics."
        )
    own = [*compiled.metrics, *compiled.weighted_metrics]
    return replace(settings, metrics=[*own, *told_besides(settings, compiled)[1]] or None)


def told_besides(settings: Settings, compiled: Compiled) -> tuple[Any, list]:
    """What an estimator is told beside its compiled model: a loss in place of the model's, or None, and metrics."""
    told = settings.told - arguments_of(settings.model).keys()
    metrics = flat(settings.metrics) if "metrics" in told else []
    own = [*compiled.metrics, *compiled.weighted_metrics]
    others = [metric for metric in metrics if not any(metric is o or _same(metric, o) for o in own)]
    return (settings.loss if "loss" in told else None), others


def _against(name: str, value: Any, theirs: str) -> ValueError:
    return ValueError(
        f"{name}={value!r} must not contradict what the model has been compiled with, {theirs}. Set it back to its "
        "default, or let the function that builds the model have it as an argument."
    )
