"""The estimators' parameters: scikit-learn's ways, and those named destination__argument besides."""

import functools
import inspect
from abc import ABC
from collections.abc import Mapping
from numbers import Integral, Real

import keras
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sk_mlp._compat import BaseWrapper
from sk_mlp._messages import did_you_mean
from sk_mlp.engine.predict import ACTIVATIONS

# The plain network of textbooks: no preprocessing, one network, nothing that regularises but early stopping.
PLAIN_MLP = {
    "input_scaling": None,
    "numerical_embedding": None,
    "learned_scale": False,
    "activation": "relu",
    "parametric_activation": False,
    "dropout": 0.0,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "lr_schedule": None,
    "batch_size": 32,
    "epochs": 100,
    "patience": 10,
    "ensemble_size": 1,
}
ROUTED = ("model", "optimizer", "lr_schedule", "loss", "metrics", "callbacks", "pretrain")


class Parameters(BaseWrapper, ABC):
    """Parameters of multilayer perceptrons: constructor, names, what they may be. Abstract."""

    _parameter_constraints: dict = {
        "model": [callable, None],
        "categorical_features": [StrOptions({"auto"}), str, Integral, slice, callable, "array-like", None],
        "handle_missing": [StrOptions({"indicator", "impute", "error"})],
        "input_scaling": [StrOptions({"auto", "robust", "standard"}), None],
        "numerical_embedding": [StrOptions({"auto", "pbld", "plr", "ple"}), None],
        "learned_scale": ["boolean", StrOptions({"auto"})],
        "n_hidden": [Interval(Integral, 0, None, closed="left")],
        "n_neurons": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS) - {"exponential", "linear", "softmax"})],
        "parametric_activation": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "batch_norm": ["boolean"],
        "kernel_initializer": [str],
        "skip_connection": ["boolean"],
        "wide_features": [str, Integral, slice, callable, "array-like", None],
        "deep_features": [str, Integral, slice, callable, "array-like", None],
        "aux_output": ["boolean"],
        "aux_loss_weight": [Interval(Real, 0, 1, closed="left")],
        "input_columns": [dict, list, tuple, None],
        "init_from": [HasMethods("fit"), None],
        "init_layers": [Interval(Integral, 1, None, closed="left"), None],
        "frozen_epochs": [Interval(Real, 0, None, closed="both")],
        "pretrain": [StrOptions({"autoencoder"}), None],
        "optimizer": [str, type, keras.optimizers.Optimizer],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [str, callable, keras.optimizers.schedules.LearningRateSchedule, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "ema_momentum": [Interval(Real, 0, 1, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "hold_out": [StrOptions({"random", "last", "group"}), HasMethods(["split", "get_n_splits"])],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "min_delta": [Interval(Real, 0, None, closed="left")],
        "monitor": [str],
        "shuffle": ["boolean"],
        "loss": [str, callable, keras.losses.Loss, None],
        "metrics": [list, tuple, dict, str, callable, keras.metrics.Metric, None],
        "callbacks": [list, tuple, dict, callable, keras.callbacks.Callback, None],
        "ensemble_size": [Interval(Integral, 1, None, closed="left")],
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
        # Not as attributes: scikit-learn allows none besides those of the signature. Names are judged by fit.
        self._routed = routed

    def __getattr__(self, name):
        routed = self.__dict__.get("_routed", {})
        if name in routed:
            return routed[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _get_param_names(self):
        named = _signature(type(self)).values()
        return [*(p.name for p in named if p.kind != p.VAR_KEYWORD), *sorted(self._routed)]

    def _validate_names(self) -> None:
        signature = _signature(type(self))
        for name, value in self._routed.items():
            destination = name.split("__")[0]
            if destination in ("model", "metrics", "callbacks", "pretrain") and getattr(self, destination) is None:
                raise ValueError(
                    f"{name}={value!r} is an argument of {destination!r}, which must be given. Got {destination}=None."
                )
            if not _is_routed(name):
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}.{did_you_mean(name, signature)}"
                    f" Arguments that are passed on are named {'__..., '.join(ROUTED)}__... ."
                )

    def set_params(self, **params):
        """Set parameters, routed ones (``optimizer__beta_1=0.95``) too.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a name that is no parameter.
        """
        BaseEstimator.set_params(self, **{k: v for k, v in params.items() if not _is_routed(k)})
        self._routed = {**self._routed, **{k: v for k, v in params.items() if _is_routed(k)}}
        return self

    __repr__ = BaseEstimator.__repr__

    def _layer_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        if sizes is None:
            return (int(self.n_neurons),) * int(self.n_hidden)
        sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
        for size in sizes:
            if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
                raise ValueError(
                    f"hidden_layer_sizes must hold integers of at least 1. Got {self.hidden_layer_sizes!r}."
                )
        signature = _signature(type(self))
        contradicts = {"n_hidden": len(sizes) != self.n_hidden, "n_neurons": set(sizes) - {self.n_neurons}}
        for name, contradiction in contradicts.items():
            value = getattr(self, name)
            if contradiction and value != signature[name].default:
                raise ValueError(
                    f"hidden_layer_sizes stands for n_hidden and n_neurons, so {name} must not contradict it. "
                    f"Got hidden_layer_sizes={self.hidden_layer_sizes!r} and {name}={value!r}; set "
                    "hidden_layer_sizes=None to use n_hidden and n_neurons."
                )
        return tuple(int(size) for size in sizes)


@functools.cache  # a search asks for it several times a fit, at 0.6 ms
def _signature(cls: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def _is_routed(name: str) -> bool:
    return name.split("__")[0] in ROUTED and "__" in name
