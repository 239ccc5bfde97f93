"""The user's own builder of a Keras model: calling it, checking what it returns, and knowing it again."""

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import keras
from keras.src.models.functional import Functional

from sk_mlp._compat import accepts_kwargs, has_param, route_params
from sk_mlp._resolve import plain, resolve_loss, resolve_optimizer
from sk_mlp.network import layers_of


def compile_arguments(params: Mapping[str, Any], default_loss: str) -> dict[str, Any]:
    """Fresh optimizer and loss, as the estimator's parameters describe them, for ``model.compile``."""
    optimizer_class, config = resolve_optimizer(params)
    decay = {"weight_decay": float(params["weight_decay"])} if params["weight_decay"] else {}
    return {
        "optimizer": optimizer_class(**config, learning_rate=float(params["learning_rate"]), **decay),
        "loss": resolve_loss(params, default_loss),
    }


def call_builder(
    builder: Callable,
    params: Mapping[str, Any],
    meta: dict[str, Any],
    n_features: int,
    widths: tuple[int, ...],
    default_loss: str,
) -> keras.Model:
    """Build the user's model and check that it fits the data.

    Parameters
    ----------
    builder : callable
        Gets the routed parameters ``model__...``, and ``meta``, ``params`` and ``compile_kwargs`` where it takes them.
    params : mapping
        The estimator's parameters.
    meta : dict
        What is known of the data: n_features_in_, n_outputs_, target_type_, and for labels classes_, n_classes_.
    n_features : int
    widths : tuple of int
        Output widths that fit y.
    default_loss : str

    Raises
    ------
    TypeError
        If no Keras model is returned.
    ValueError
        If its output does not fit the data.
    """
    arguments = {k: plain(v) for k, v in route_params(params, "model", pass_filter=set(), strict=True).items()}
    offers = {
        "meta": lambda: meta,
        "params": lambda: dict(params),
        "compile_kwargs": lambda: compile_arguments(params, default_loss),
    }
    for name, offer in offers.items():
        if has_param(builder, name) or accepts_kwargs(builder):
            arguments[name] = offer()
    model = builder(**arguments)
    if not isinstance(model, keras.Model):
        raise TypeError(f"The 'model' parameter must be a function that returns a keras.Model. It returned {model!r}.")
    if not model.built:
        model.build((None, n_features))
    if not model.layers and not model.weights:
        raise ValueError("The 'model' parameter must be a function that returns a model with layers. It has none.")
    output = model(keras.KerasTensor((None, n_features)))
    if not isinstance(output, keras.KerasTensor) or len(output.shape) != 2 or output.shape[1] not in widths:
        shape = getattr(output, "shape", output)
        raise ValueError(
            f"The model that the 'model' parameter builds must return an output of shape (None, {widths[0]})"
            + "".join(f" or (None, {width})" for width in widths[1:])
            + f" for this y. Got {shape} instead."
        )
    return model


def output_width(model: keras.Model, n_features: int) -> int:
    """Number of columns of a model's output."""
    return model(keras.KerasTensor((None, n_features))).shape[1]


def has_linear_output(model: keras.Model) -> bool:
    """Whether the last layer lets any number through, so that it can learn a standardised target."""
    layers = [layer for layer in layers_of(model) if layer.weights or hasattr(layer, "activation")]
    activation = getattr(layers[-1], "activation", None) if layers else None
    return activation is None or activation is keras.activations.linear


def structure_key(model: keras.Model) -> Hashable:
    """A key that is equal for models of one structure: names do not count, nor do dropout rates, which are data.

    A subclassed model, whose code nobody can compare, equals only itself; so does one that cannot be serialised.
    """
    if not isinstance(model, (keras.Sequential, Functional)):
        return object()
    try:
        config = json.dumps(keras.saving.serialize_keras_object(_structure(model.get_config())), sort_keys=True)
    except (NotImplementedError, TypeError, ValueError):
        return object()
    for number, layer in enumerate([model, *layers_of(model)]):
        config = config.replace(f'"{layer.name}"', f'"#{number}"')
    return tuple(type(layer) for layer in layers_of(model)), config


def _structure(config: Any) -> Any:
    if isinstance(config, dict):
        without = ("rate",) if config.get("class_name") == "Dropout" else ()
        return {
            key: {k: v for k, v in value.items() if k not in without}
            if key == "config" and without
            else _structure(value)
            for key, value in config.items()
        }
    return [_structure(item) for item in config] if isinstance(config, (list, tuple)) else config
