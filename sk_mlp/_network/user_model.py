"""The network that a user's own function builds."""

import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import keras

from sk_mlp._estimator.messages import counted
from sk_mlp._keras.copies import copied, unknown_to_keras
from sk_mlp._keras.inner import Functional
from sk_mlp._keras.loss import resolve_loss
from sk_mlp._keras.policy import exact, under_policy
from sk_mlp._keras.resolve import resolve_optimizer
from sk_mlp._keras.seeds import seeded
from sk_mlp._network.build import give_statistics, layers_of, statistics_of
from sk_mlp._network.builder_arguments import arguments_of, name_of
from sk_mlp._network.compiled import compile_like, compiled_by_user, own_step
from sk_mlp._network.mapped_layers import dropout_layers
from sk_mlp._network.names import COLUMNS
from sk_mlp._network.spec import Blueprint
from sk_mlp._tables.plan import ColumnPlan
from sk_mlp._tables.selection import Inputs, to_inputs
from sk_mlp.engine.structure import structure_of_user_model
from sk_mlp.layers import ColumnEncoding


def blueprint_of_builder(
    make: Callable[[], keras.Model], n_features: int, columns: Inputs, plan: ColumnPlan | None
) -> Blueprint:
    """The blueprint of a user's own model, with the plan by which X's columns are scaled, if they are."""
    model = make()
    rates = [float(layer.rate) for layer in dropout_layers(model)]
    width = symbolic_output(model, n_features, columns).shape[1]
    structure = structure_of_user_model(model, columns)
    exempt = None
    if told := compiled_by_user(model):  # as its optimizer has it
        decays = told.optimizer._use_weight_decay
        exempt = tuple(i for i, variable in enumerate(model.trainable_variables) if not decays(variable))
    return Blueprint(make, None, model, structure, width, rates, columns, model.count_params(), exempt, plan)


def symbolic_output(model: keras.Model, n_features: int, columns: Inputs) -> Any:
    """The symbolic output of a model for rows of ``n_features``."""
    if columns is None and isinstance(model, Functional) and len(model.inputs) > 1:
        raise ValueError(
            "The 'input_columns' parameter must say which columns of X each input takes, as a list of lists of columns "
            f"or a dict by names, for a 'model' with the inputs {[tensor.name for tensor in model.inputs]}. Got None."
        )
    rows = keras.KerasTensor((None, n_features))
    try:
        inputs = to_inputs(rows, columns, lambda _, numbers: keras.KerasTensor((None, len(numbers))))
        output = model(inputs)
        if isinstance(model, Functional):  # its symbolic call does not look at the widths
            for expected, given in zip(model.inputs, model._standardize_inputs(inputs), strict=True):
                if expected.shape[-1] != given.shape[-1]:
                    raise ValueError(f"its input {expected.name!r} is {expected.shape[-1]} wide.")
        return output
    except Exception as error:  # the call runs the code of the user's layers
        named = columns.items() if isinstance(columns, dict) else enumerate(columns or ())
        groups = {name: len(numbers) for name, numbers in named}
        raise ValueError(
            "The model that the 'model' parameter builds must take "
            + ("all features in one input" if columns is None else f"inputs of the widths {groups} (input_columns)")
            + f". Got a model that does not, for X with {counted(n_features, 'feature')}: {error}"
        ) from error


def fresh_optimizer(optimizer: Any, arguments: Mapping[str, Any], rate: Any, decay: Any) -> keras.optimizers.Optimizer:
    """The optimizer that the parameters describe, as ``model.compile`` takes it."""
    cls, config = resolve_optimizer(optimizer, arguments)
    return cls(**config, learning_rate=float(rate), **({"weight_decay": float(decay)} if decay else {}))


def compile_kwargs(optimizer: tuple, loss: tuple, metrics: Any) -> dict[str, Any]:
    """Arguments of ``model.compile`` that the parameters describe, as scikeras makes them.

    Parameters
    ----------
    optimizer, loss : tuple
        Arguments of `fresh_optimizer` and `resolve_loss`.
    metrics
    """
    return {"optimizer": fresh_optimizer(*optimizer), "loss": resolve_loss(*loss), "metrics": metrics}


_returned: weakref.WeakSet = weakref.WeakSet()  # models that builders have returned


def call_builder(
    source: Any,
    arguments: Mapping[str, Any],
    offers: Mapping[str, Callable[[], Any]],
    n_features: int,
    columns: Inputs,
    widths: tuple[int, ...],
    seed: int,
    plan: ColumnPlan | None,
) -> keras.Model:
    """Build the user's model and check that it fits the data.

    Parameters
    ----------
    source : callable or keras.Model
        Of a model, a copy with new weights is made.
    arguments : mapping
        Of the callable, as the user has set them.
    offers : mapping of str to callable
        Which make further arguments, for each call anew.
    n_features : int
    columns : None, dict or tuple
        Columns of X for each input.
    widths : tuple of int
        Output widths that fit y.
    seed : int
        What all that Keras draws without a seed follows from.
    plan : ColumnPlan or None
        How X is scaled before, within the model that is returned, which then takes all columns in one input.

    Raises
    ------
    TypeError
        If no Keras model is returned.
    ValueError
        If its output does not fit the data.
    """
    with seeded(seed):
        model = renewed(source) if isinstance(source, keras.Model) else _called(source, arguments, offers)
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"The 'model' parameter must be a function that returns a keras.Model. It returned {model!r}."
            )
        if model in _returned:  # at an earlier call
            model = renewed(model)
        _returned.add(model)
        if not model.layers and not model.weights:
            raise ValueError("The 'model' parameter must be a function that returns a model with layers. It has none.")
        model = without_containers(model, columns)
        output = symbolic_output(model, n_features, columns)
    if not isinstance(output, keras.KerasTensor) or len(output.shape) != 2 or output.shape[1] not in widths:
        outputs = [getattr(tensor, "shape", tensor) for tensor in keras.tree.flatten(output)]
        several = f"outputs of the shapes {outputs}"
        got, advice = (outputs[0], "") if len(outputs) == 1 else (several, " Join them by a Concatenate layer.")
        raise ValueError(
            f"The model that the 'model' parameter builds must return an output of shape (None, {widths[0]})"
            + "".join(f" or (None, {width})" for width in widths[1:])
            + f" for this y. Got {got} instead.{advice}"
        )
    return model if plan is None else with_scaling(model, plan, n_features, columns)


def with_scaling(model: keras.Model, plan: ColumnPlan, n_features: int, columns: Inputs) -> keras.Model:
    """A model that scales X's columns and passes them to another model, which is a part of it.

    Raises
    ------
    ValueError
        If Keras' `fit` would call methods of that model's own.
    """
    if name := own_step(model):
        raise ValueError(
            f"The 'input_scaling' parameter must be None for a model with a {name} of its own, which a model that "
            f"scales would not call. Got {name_of(model)}; put a scaler before the estimator."
        )
    with under_policy(exact(model.dtype_policy.name)):  # only what comes after may have half precision
        features = keras.Input((n_features,), name="features")
        scaled = ColumnEncoding(asdict(plan), name=COLUMNS)(features)
        parts = to_inputs(scaled, columns, lambda x, numbers: keras.ops.take(x, list(numbers), axis=1))
        scaling = keras.Model(features, model(parts), name=model.name)
    compile_like(scaling, model)
    return scaling


def _called(source: Callable, arguments: Mapping[str, Any], offers: Mapping[str, Callable[[], Any]]) -> Any:
    own = {name: _fresh(value) for name, value in arguments.items()}
    return source(**own, **{name: make() for name, make in offers.items()})


def _fresh(value: Any) -> Any:
    """A copy of an optimizer, since each model needs one of its own; other values as they are."""
    return copied(value) if isinstance(value, keras.optimizers.Optimizer) else value


def renewed(model: keras.Model) -> keras.Model:
    """A copy of a model with new weights, compiled in the same way; what its layers were adapted to stays."""
    try:
        copy = _made_again(model)
    except Exception as error:  # from the configuration of a user's layer
        raise ValueError(
            "The 'model' parameter must be a model that can be cloned, since copies of it are trained. Cloning "
            f"{name_of(model)} fails: {error} Pass a function that returns a new model at each call."
        ) from error
    if statistics := statistics_of(model):
        give_statistics(copy, statistics)
    compile_like(copy, model)
    return copy


def _made_again(model: keras.Model) -> keras.Model:
    is_graph = isinstance(model, (keras.Sequential, Functional))
    if not is_graph and (known := arguments_of(type(model)).keys()) <= model.get_config().keys():
        # Keras itself fails for a class whose constructor does not also take the arguments of keras.Model.
        return type(model)(**{name: value for name, value in model.get_config().items() if name in known})
    with keras.utils.custom_object_scope(unknown_to_keras(model)):
        return keras.models.clone_model(model)


def without_containers(model: keras.Model, columns: Inputs) -> keras.Model:
    """The model, with a single input or output taken out of its list, tuple or dict."""
    if type(model) not in (keras.Model, Functional) or len(model.outputs) != 1:
        return model
    several = columns is not None or len(model.inputs) != 1
    bare_inputs = several or isinstance(model._inputs_struct, keras.KerasTensor)
    if bare_inputs and isinstance(model._outputs_struct, keras.KerasTensor):
        return model
    bare = keras.Model(model._inputs_struct if bare_inputs else model.inputs[0], model.outputs[0], name=model.name)
    compile_like(bare, model)
    return bare


PASSING = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Rescaling,
    keras.layers.Reshape,
)


def has_linear_output(model: keras.Model) -> bool:
    """Whether the last layer lets any number through, so that it can learn a standardised target."""
    layers = [layer for layer in layers_of(model) if layer.weights or hasattr(layer, "activation")]
    last = layers[-1] if layers else None
    if getattr(model, "outputs", None):
        operation = model.outputs[0]._keras_history.operation
        if isinstance(operation, keras.Model):
            return has_linear_output(operation)
        last = last if isinstance(operation, PASSING) else operation
        if not hasattr(last, "activation") and not getattr(last, "weights", None):
            return False  # an operation, or a layer such as ReLU
    activation = getattr(last, "activation", None)
    return activation is None or activation is keras.activations.linear
