"""The estimators' parameters: scikit-learn's conventions, and parameters named destination__argument besides."""

import functools
import inspect
import warnings
from abc import ABC
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from operator import attrgetter
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sk_mlp._estimator.other_names import ALIASES, OTHER_ATTRIBUTES, check_values, translated
from sk_mlp._network.activations import HIDDEN_ACTIVATIONS
from sk_mlp._network.builder_arguments import (
    OF_TRAINING,
    OWNABLE,
    REQUIRED,
    arguments_of,
    has_known_arguments,
    is_routed,
    known_names,
    offers_taken,
)

AUTO = StrOptions({"auto"})
PASSED_ON = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# Classes of Keras whose objects parameters may be, besides what their constraints say.
KERAS_TYPES = {
    "optimizer": "optimizers.Optimizer",
    "learning_rate": "optimizers.schedules.LearningRateSchedule",
    "lr_schedule": "optimizers.schedules.LearningRateSchedule",
    "loss": "losses.Loss",
    "metrics": "metrics.Metric",
    "callbacks": "callbacks.Callback",
}


class Parameters(BaseEstimator, ABC):
    """Parameters of multilayer perceptrons: constructor, names, what they may be. Abstract."""

    _parameter_constraints: dict = {
        "model": [callable, None],
        "categorical_features": [StrOptions({"auto"}), str, Integral, slice, callable, "array-like", None],
        "handle_missing": [StrOptions({"indicator", "impute", "error"})],
        "input_scaling": [StrOptions({"auto", "robust", "standard"}), None],
        "numerical_embedding": [StrOptions({"auto", "pbld", "plr", "ple"}), None],
        "learned_scale": ["boolean", StrOptions({"auto"})],
        "n_hidden": [Interval(Integral, 0, None, closed="left"), AUTO],
        "n_neurons": [Interval(Integral, 1, None, closed="left"), AUTO],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions({"auto", *HIDDEN_ACTIVATIONS})],
        "parametric_activation": ["boolean", AUTO],
        "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "batch_norm": ["boolean", AUTO],
        "kernel_initializer": [str],
        "skip_connection": ["boolean", AUTO],
        "wide_features": [str, Integral, slice, callable, "array-like", None],
        "deep_features": [str, Integral, slice, callable, "array-like", None],
        "aux_output": ["boolean", AUTO],
        "aux_loss_weight": [Interval(Real, 0, 1, closed="left")],
        "input_columns": [dict, list, tuple, None],
        "init_from": [HasMethods("fit"), None],
        "init_layers": [Interval(Integral, 1, None, closed="left"), None],
        "frozen_epochs": [Interval(Real, 0, None, closed="both")],
        "pretrain": [StrOptions({"autoencoder"}), None],
        "optimizer": [str, type],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), AUTO],
        "weight_decay": [Interval(Real, 0, None, closed="left"), AUTO],
        "lr_schedule": [str, callable, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "ema_momentum": [Interval(Real, 0, 1, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "hold_out": [StrOptions({"random", "last", "group"}), HasMethods(["split", "get_n_splits"])],
        "patience": [Interval(Integral, 1, None, closed="left"), AUTO],
        "min_delta": [Interval(Real, 0, None, closed="left")],
        "monitor": [str],
        "shuffle": ["boolean"],
        "loss": [str, callable, None],
        "metrics": [list, tuple, dict, str, callable, None],
        "callbacks": [list, tuple, dict, callable, None],
        "ensemble_size": [Interval(Integral, 1, None, closed="left"), AUTO],
        "engine": [StrOptions({"auto", "compiled", "keras"})],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model,
        *,
        categorical_features,
        handle_missing,
        input_scaling,
        numerical_embedding,
        learned_scale,
        n_hidden,
        n_neurons,
        hidden_layer_sizes,
        activation,
        parametric_activation,
        dropout,
        batch_norm,
        kernel_initializer,
        skip_connection,
        wide_features,
        deep_features,
        aux_output,
        aux_loss_weight,
        input_columns,
        init_from,
        init_layers,
        frozen_epochs,
        pretrain,
        optimizer,
        learning_rate,
        weight_decay,
        lr_schedule,
        clip_norm,
        ema_momentum,
        batch_size,
        epochs,
        early_stopping,
        validation_fraction,
        hold_out,
        patience,
        min_delta,
        monitor,
        shuffle,
        loss,
        metrics,
        callbacks,
        ensemble_size,
        engine,
        warm_start,
        random_state,
        verbose,
        **routed,
    ):
        self.model = model
        self.categorical_features = categorical_features
        self.handle_missing = handle_missing
        self.input_scaling = input_scaling
        self.numerical_embedding = numerical_embedding
        self.learned_scale = learned_scale
        self.n_hidden = n_hidden
        self.n_neurons = n_neurons
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.parametric_activation = parametric_activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.kernel_initializer = kernel_initializer
        self.skip_connection = skip_connection
        self.wide_features = wide_features
        self.deep_features = deep_features
        self.aux_output = aux_output
        self.aux_loss_weight = aux_loss_weight
        self.input_columns = input_columns
        self.init_from = init_from
        self.init_layers = init_layers
        self.frozen_epochs = frozen_epochs
        self.pretrain = pretrain
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.clip_norm = clip_norm
        self.ema_momentum = ema_momentum
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.hold_out = hold_out
        self.patience = patience
        self.min_delta = min_delta
        self.monitor = monitor
        self.shuffle = shuffle
        self.loss = loss
        self.metrics = metrics
        self.callbacks = callbacks
        self.ensemble_size = ensemble_size
        self.engine = engine
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self._routed = {}  # not as attributes: scikit-learn allows none besides those of the signature
        self._take_routed(routed)

    def _take_routed(self, routed: dict) -> None:
        """Keep what the signature lacks; raise an error for what the builder lacks too, as far as that is known."""
        self._take_aliases(routed, {name for name in ALIASES.values() if name in self._names_set()})
        self._routed = routed
        arguments = arguments_of(self.model)
        unexpected = [name for name in self._routed if not is_routed(name) and name not in arguments]
        if unexpected and has_known_arguments(self.model):
            advice = translated(unexpected) or known_names(unexpected[0], _signature(type(self)), self.model)
            wrong = f"got an unexpected keyword argument {unexpected[0]!r}"
            raise TypeError(f"{type(self).__name__}.__init__() {wrong}.{advice}")

    def _take_aliases(self, params: dict, taken: Collection[str]) -> None:
        """Set parameters that are given by an earlier name; ``taken`` are those that are given by their own."""
        for alias in [name for name in ALIASES if name in params]:
            name, value = ALIASES[alias], params.pop(alias)
            if name in taken:
                raise ValueError(f"{alias} is another name of {name!r}, so only one may be given. Got both.")
            if alias == "build_fn":
                warnings.warn(f"{alias!r} is an earlier name: use {name!r}.", FutureWarning, stacklevel=5)
            setattr(self, name, value)

    def __getattr__(self, name):
        routed = self.__dict__.get("_routed", {})
        if name in routed:
            return routed[name]
        if not name.startswith("_") and self.__dict__.get("model") is not None:
            by_prefix, arguments = f"model__{name}", arguments_of(self.model)
            if name in arguments and (by_prefix in routed or arguments[name] is not REQUIRED):
                return routed.get(by_prefix, arguments[name])
        hint = f". Did you mean {OTHER_ATTRIBUTES[name]}?" if name in OTHER_ATTRIBUTES else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def _own_values(self) -> dict[str, Any]:
        """The parameters that have a name in the signature, as they are."""
        return {name: vars(self)[name] for name in defaults_of(type(self)) if name in vars(self)}

    def _names_set(self, values: Mapping[str, Any] | None = None) -> set[str]:
        """Names of the parameters, or of ``values``, that are not at their defaults."""
        defaults = defaults_of(type(self))
        values = self._own_values() if values is None else values
        return {name for name, value in values.items() if not _is_default(value, defaults[name])}

    def _values(self) -> dict[str, Any]:
        """All parameters by name, as they are."""
        return {**self._own_values(), **self._routed}

    def _get_param_names(self):
        arguments = {name for name, default in arguments_of(self.model).items() if default is not REQUIRED}
        own = _signature(type(self))
        return [*own, *sorted({*self._routed, *arguments} - set(own))]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters by name: those of the signature, those that are passed on, and a builder's arguments.

        An argument of the function that builds the model has its default until it is set.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of parameters that are estimators.

        Returns
        -------
        dict
            Values by name.
        """
        params = BaseEstimator.get_params(self, deep=deep)
        if self.model is not None:
            unset = params.keys() - self._names_set()
            for name, default in arguments_of(self.model).items():
                value = self._routed.get(f"model__{name}", default)
                if name in unset and name in OWNABLE and value is not REQUIRED:
                    params[name] = value
            params |= {name: value for name, value in self._in_place().items() if name in unset}
        return params

    def _in_place(self) -> dict[str, Any]:
        """Defaults of a builder's arguments that hold for training, too, where the estimator's own is "auto"."""
        found = {name: value for name, value in arguments_of(self.model).items() if name in OF_TRAINING}
        for_both = {name: value for name, value in found.items() if f"model__{name}" not in self._routed}
        return {name: value for name, value in for_both.items() if value not in (None, REQUIRED)}

    def _validate_names(self) -> None:
        """Raise an error for parameters of unknown names."""
        arguments = arguments_of(self.model)
        self._refuse_foreign(name for name in self._routed if name not in arguments)
        for name, value in self._routed.items():
            destination = name.split("__")[0]
            if destination in ("model", "metrics", "callbacks", "pretrain") and getattr(self, destination) is None:
                if destination == "metrics" and "compile_kwargs" in offers_taken(self.model):
                    continue
                raise ValueError(
                    f"{name}={value!r} is an argument of {destination!r}, which must be given. Got {destination}=None."
                )
            if not is_routed(name) and name not in arguments:
                raise self._unknown(name, self.model)

    def _refuse_foreign(self, names: Iterable[str]) -> None:
        """Raise an error for names of other packages, with the translation of each."""
        theirs = [name for name in names if translated([name])]
        if theirs:
            wrong = f"Invalid parameter {theirs[0]!r} for estimator {type(self).__name__}."
            raise ValueError(f"{wrong}{translated(theirs)}")

    def _unknown(self, name: str, model: Any) -> ValueError:
        """The error for a name that is no parameter, nor an argument of the model's builder."""
        advice = known_names(name, _signature(type(self)), model)
        return ValueError(f"Invalid parameter {name!r} for estimator {type(self).__name__}.{advice}")

    @classmethod
    def _check_values(cls, values: dict[str, Any]) -> None:
        """Raise scikit-learn's error for a value that is not valid."""
        check_values(_constraints(cls), values, cls.__name__)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, routed ones (``optimizer__beta_1=0.95``) and a builder's arguments too.

        Parameters
        ----------
        **params : dict
            New values by name.

        Returns
        -------
        KerasMLPClassifier or KerasMLPRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            For a name that is no parameter.
        """
        self._take_aliases(params, params.keys())
        model = params.get("model", self.model)
        own = self._own_values().keys()
        arguments = {
            *arguments_of(model),
            *self._get_param_names(),
        } - own  # of a builder that is replaced in the same call
        passed_on = {name: value for name, value in params.items() if is_routed(name) or name in arguments}
        known = {*self._get_param_names(), *passed_on}
        unknown = {name.split("__")[0]: name for name in params if not {name, name.split("__")[0]} & known}
        self._refuse_foreign(unknown.values())
        for name in unknown.values():
            raise self._unknown(name, model)
        BaseEstimator.set_params(self, **{name: value for name, value in params.items() if name not in passed_on})
        for name in params:  # what is set last holds
            other = name.removeprefix("model__") if name.startswith("model__") else f"model__{name}"
            if other in self._routed and other not in params:
                self._routed = {key: value for key, value in self._routed.items() if key != other}
            elif other in self._own_values() and name.startswith("model__") and other not in params:
                setattr(self, other, defaults_of(type(self))[other])
        self._routed = {**self._routed, **passed_on}
        return self


@functools.cache  # it takes 0.6 ms, and a search asks for it several times a fit
def _signature(cls: type) -> Mapping[str, inspect.Parameter]:
    """The constructor's parameters by name: those of its base too, where it passes on ``*args`` or ``**keywords``."""
    own = inspect.signature(cls).parameters
    named = {name: parameter for name, parameter in own.items() if parameter.kind not in PASSED_ON}
    if len(named) == len(own):
        return named
    bases = [base for base in cls.__mro__[1:] if "__init__" in vars(base) and issubclass(base, Parameters)]
    return {
        **named,
        **{name: value for base in bases[:1] for name, value in _signature(base).items() if name not in named},
    }


@functools.cache
def defaults_of(cls: type) -> dict[str, Any]:
    """Defaults of the parameters in the first class that has them: other defaults of a subclass count as set."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if "__init__" in vars(base) and issubclass(base, Parameters):
            for parameter in list(_signature(base).values()):
                if found.get(parameter.name, parameter.empty) is parameter.empty:  # of the base they have none
                    found[parameter.name] = parameter.default
    return found


@functools.cache
def _constraints(cls: type) -> dict[str, list]:
    """Constraints of the parameters, with those of Keras' classes."""
    import keras  # not before something is trained

    constraints = dict(cls._parameter_constraints)  # type: ignore[attr-defined]
    for name, kind in KERAS_TYPES.items():
        own = constraints[name]
        words = [value for value in own if value is None or isinstance(value, StrOptions)]
        constraints[name] = [*(value for value in own if value not in words), attrgetter(kind)(keras), *words]
    return constraints


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) in (str, int, float, bool) and value == default)
