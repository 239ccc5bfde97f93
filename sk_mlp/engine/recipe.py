"""What both engines train: a model, an optimizer, a loss and metrics, and the layout of their state."""

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from sk_mlp._estimator.messages import CHANGED, counted
from sk_mlp._keras.inner import BaseOptimizer, TFOptimizer
from sk_mlp._network.build import random_variables, seed_states, weights_of
from sk_mlp._network.layout import State, StateLayout
from sk_mlp._network.spec import Blueprint, Member

# Numbers of an optimizer that its update rule only calculates with: they are data. What also decides what the rule does
# (amsgrad, nesterov, clipnorm, ...) is part of the program's structure, and so is whether momentum is zero.
OPTIMIZER_DATA = ("beta_1", "beta_2", "ema_momentum", "epsilon", "global_clipnorm", "momentum", "rho")


def has_data(optimizer_class: type) -> bool:
    """Whether an optimizer's numbers are data. The rule of a user's class may do anything with them."""
    return optimizer_class.__module__.startswith("keras.")


def optimizer_data(config: dict[str, Any]) -> dict[str, float]:
    """The numbers of an optimizer's configuration that may differ between members, and 1 - each of them.

    In float32, 1 - 0.999 would be wrong by 1e-5; the differences are taken here, in float64.
    """
    names = [name for name in OPTIMIZER_DATA if name != "ema_momentum" or config.get("use_ema")]
    numbers = {name: float(config[name]) for name in names if config.get(name)}
    return numbers | {f"1 - {name}": 1.0 - number for name, number in numbers.items()}


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to make the Keras objects that are trained.

    Attributes
    ----------
    blueprint : Blueprint
        Of the network.
    traits : tuple
        Equal for recipes whose compiled programs may be shared, if their networks are of one structure.
    optimizer_class : type
    optimizer_config : dict
        Without ``learning_rate`` and ``weight_decay``, which are data.
    slots : tuple
        Equal for optimizers whose states hold the same things.
    loss : keras.losses.Loss
    make_metrics : callable () -> list of keras.metrics.Metric
    batch_size : int
    shuffle : bool
    row_nonzeros : int
        For sparse X, no row of which has more entries; 0 for dense X.
    frozen : tuple of int
        Numbers of the network's variables that a member's ``frozen_epochs`` is about.
    of_whole_batches : str
        What depends on the rows that fill a batch up, whatever their weight, in words; "" if nothing does.
    """

    blueprint: Blueprint
    traits: tuple
    optimizer_class: type
    optimizer_config: dict[str, Any]
    slots: tuple
    loss: keras.losses.Loss
    make_metrics: Callable[[], list]
    batch_size: int
    shuffle: bool
    row_nonzeros: int = 0
    frozen: tuple[int, ...] = ()
    of_whole_batches: str = ""

    @property
    def key(self) -> Hashable:
        """Equal for recipes whose compiled programs may be shared."""
        return self.blueprint.structure, self.batch_size, *self.traits


def layout_of(variables: list[keras.Variable], n_weights: int, averages: list[int]) -> StateLayout:
    """Where these variables lie in a state; arguments as in `StateLayout`."""
    return StateLayout(
        names=tuple("/".join(variable.path.split("/")[-2:]) for variable in variables),
        shapes=tuple(tuple(variable.shape) for variable in variables),
        dtypes=tuple(np.dtype(variable.dtype).name for variable in variables),
        n_weights=n_weights,
        averages=tuple(averages),
    )


class WithoutDistribution(TFOptimizer):
    """Keras' own optimizer code without the tf.distribute layer that the TensorFlow backend puts over it.

    That layer needs tf.Variables, while these methods work on values within a keras.StatelessScope.

    Attributes
    ----------
    decays : list of ndarray of bool
        For each variable, which of its elements decay.
    """

    decays: list[np.ndarray]

    def _apply_weight_decay(self, variables):
        for variable in variables:
            decays = self.decays[self._get_variable_index(variable)]
            if decays.any():
                factor = self.weight_decay * self.learning_rate
                share = factor if decays.all() else factor * decays.astype(variable.dtype)
                variable.assign(variable - variable * share)

    _backend_update_step = BaseOptimizer._backend_update_step
    _overwrite_model_variables_with_average_value = BaseOptimizer._overwrite_model_variables_with_average_value
    _var_key = BaseOptimizer._var_key
    add_variable_from_reference = BaseOptimizer.add_variable_from_reference
    assign = BaseOptimizer.assign
    assign_add = BaseOptimizer.assign_add
    assign_sub = BaseOptimizer.assign_sub
    stateless_apply = BaseOptimizer.stateless_apply


def stateless(optimizer_class: type) -> type:
    """A subclass of a Keras optimizer class whose ``stateless_apply`` works on the TensorFlow backend."""
    return type(f"Stateless{optimizer_class.__name__}", (optimizer_class, WithoutDistribution), {})


def make_optimizer(
    recipe: Recipe, cls: type, variables: list[keras.Variable], exempt: Sequence[keras.Variable] = ()
) -> keras.optimizers.Optimizer:
    """The recipe's optimizer, as an object of this class, built on these variables, of which some do not decay."""
    optimizer = cls(**recipe.optimizer_config, **needed_rate(cls))
    optimizer.weight_decay = 0.0  # a number, not None: the rule must contain the decay, whose size is data
    if exempt:
        optimizer.exclude_from_weight_decay(var_list=list(exempt))
    optimizer.build(variables)
    for value in list(vars(optimizer).values()):  # Nadam does not list its running product of betas
        if isinstance(value, keras.Variable) and not any(value is v for v in optimizer.variables):
            optimizer._track_variable(value)
    return optimizer


def needed_rate(optimizer_class: type) -> dict[str, float]:
    """A learning rate, no matter which, for a class that cannot be made without."""
    for base in [cls for cls in optimizer_class.__mro__ if "__init__" in vars(cls)]:
        parameters = inspect.signature(vars(base)["__init__"]).parameters
        if "learning_rate" in parameters:
            rate = parameters["learning_rate"]
            return {"learning_rate": 1e-3} if rate.default is rate.empty else {}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break  # which does not pass any on
    return {}


def is_exempt(recipe: Recipe, number: int, shape: tuple[int, ...]) -> bool:
    """Whether a trainable variable is exempt from decay: vectors (biases, norms) are, or what the user has exempted."""
    exempt = recipe.blueprint.exempt
    return len(shape) < 2 if exempt is None else number in exempt


def averages_of(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The variables that hold moving averages of the weights; empty if the optimizer takes none."""
    return optimizer._model_variables_moving_average if getattr(optimizer, "use_ema", False) else []


class Parts:
    """A recipe's Keras objects, made once.

    Parameters
    ----------
    recipe : Recipe

    Attributes
    ----------
    model, optimizer, loss, metrics
        The optimizer is built on the model's variables.
    variables : list of keras.Variable
        Trainable, then non-trainable ones of the model, then the optimizer's: the order of a state.
    layout : StateLayout
    weighs_norm : bool
        Whether rows count in batch normalization as their weights say, and not once each, as in a user's model.
    """

    def __init__(self, recipe: Recipe):
        blueprint = recipe.blueprint
        self.model = blueprint.make()
        self.columns, self.n_heads = blueprint.columns, blueprint.n_heads
        self.row_nonzeros, self.frozen = recipe.row_nonzeros, recipe.frozen
        self.loss = recipe.loss
        self.metrics = recipe.make_metrics()
        trainable = self.model.trainable_variables
        if not trainable:
            raise ValueError(
                "The 'model' parameter must build a model with trainable weights. Got one without any, "
                f"and {counted(len(self.model.non_trainable_variables), 'other variable')}."
            )
        exempt = [v for i, v in enumerate(trainable) if is_exempt(recipe, i, v.shape)]
        self.optimizer = make_optimizer(recipe, recipe.optimizer_class, trainable, exempt)
        self.n_trainable = len(trainable)
        weights = weights_of(self.model)
        self.n_weights = len(weights)
        self.variables = [*weights, *self.optimizer.variables]
        index = {id(variable): i for i, variable in enumerate(self.variables)}
        averages = [index[id(variable)] for variable in averages_of(self.optimizer)]
        self.layout = layout_of(self.variables, self.n_weights, averages)
        for metric in self.metrics:  # some make their variables, or more of them, when they first see an output
            with contextlib.suppress(Exception):
                example = getattr(metric, "example", lambda: 2 * [np.zeros((2, blueprint.width), np.float32)])
                metric.update_state(*example())
            check_result(metric)
            metric.reset_state()
        self.metric_start = [[np.asarray(v) for v in metric.variables] for metric in self.metrics]
        self.built_with = [np.asarray(variable) for variable in self.variables]
        self.weighs_norm = own = blueprint.sample is None
        self.redrawn = [(index[id(v)], init) for v, init in random_variables(self.model)] if own else []
        self.seeded = [index[id(v)] for v in seed_states(self.model) if id(v) in index] if own else []
        self._remember_draws()

    def _remember_draws(self) -> None:
        self._drawn = functools.lru_cache(maxsize=2)(self._draw)  # a search's candidates often have the same seed

    def narrowed(self, shapes: list[tuple[int, ...]]) -> "Parts":
        """Parts of the same network with variables of these shapes; only for its layout and `start`."""
        parts = copy.copy(self)
        parts.layout = replace(self.layout, shapes=tuple(shapes))
        parts.built_with = [a[tuple(map(slice, shape))] for a, shape in zip(self.built_with, shapes, strict=True)]
        parts._remember_draws()
        return parts

    def start(self, member: Member, state: State | None) -> State:
        """The state from which a member trains: the given one, or one from its seed; at its learning rate."""
        if state and (len(state.floats), len(state.ints)) != (self.layout.n_floats, self.layout.n_ints):
            raise ValueError(CHANGED)
        arrays = self.layout.unpack(state) if state else self._initial_arrays(member)
        rate = self.index(self.optimizer._learning_rate)
        arrays[rate] = np.array(member.learning_rate, arrays[rate].dtype)
        return self.layout.pack(arrays)

    def _initial_arrays(self, member: Member) -> list[np.ndarray]:
        """Initial weights and optimizer slots that follow from the member alone."""
        arrays = list(self._drawn(member.seed))
        for i, name in enumerate(self.layout.names[: self.n_weights]):
            if name in member.learned:
                arrays[i] = member.learned[name]
        for i, array in member.initial.items():
            if i >= self.n_weights or np.size(array) != np.size(arrays[i]):
                raise ValueError(
                    "The 'model' parameter must be a function that builds the same network at each call with the same "
                    f"arguments. Got variables of the sizes {[np.size(a) for a in member.initial.values()]} and then "
                    f"{[np.size(a) for a in arrays[: self.n_weights]]}; sizes that vary are arguments of the function."
                )
            arrays[i] = array
        for i, average in enumerate(self.layout.averages):
            arrays[average] = arrays[i]
        return arrays

    def _draw(self, seed: int) -> list[np.ndarray]:
        """The variables' initial values that follow from a seed."""
        arrays = list(self.built_with)
        seeds = np.random.SeedSequence(seed).generate_state(len(self.redrawn) + len(self.seeded)) >> 1
        for (i, initializer), part in zip(self.redrawn, seeds, strict=False):
            config = {**initializer.get_config(), "seed": int(part)}
            arrays[i] = np.asarray(type(initializer).from_config(config)(arrays[i].shape, dtype=arrays[i].dtype))
        for i, part in zip(self.seeded, seeds[len(self.redrawn) :], strict=True):
            arrays[i] = np.array([part, 0], arrays[i].dtype)
        return arrays

    def read(self) -> State:
        """The variables' present values."""
        return self.layout.pack([np.asarray(variable) for variable in self.variables])

    def write(self, state: State) -> None:
        """Set the variables."""
        for variable, array in zip(self.variables, self.layout.unpack(state), strict=True):
            variable.assign(array)

    def index(self, variable: keras.Variable) -> int:
        """Number of a variable in ``variables``."""
        return next(i for i, other in enumerate(self.variables) if other is variable)

    @property
    def log_names(self) -> list[str]:
        """Names of an epoch's figures over the training rows; those over the validation rows have ``val_`` before."""
        return [*loss_names(self.n_heads), *(metric.name for metric in self.metrics)]


def loss_names(n_heads: int) -> list[str]:
    """Names of the losses: the whole one, and those of each output where there are several."""
    return ["loss", "output_loss", "aux_output_loss"] if n_heads > 1 else ["loss"]


def check_result(metric: keras.metrics.Metric) -> None:
    """Raise for a metric whose result is not a single number."""
    result = metric.result()
    if isinstance(result, dict) or np.ndim(result):
        inner = getattr(metric, "metric", metric)
        averages = {"average": "'macro', 'micro' or 'weighted'", "class_aggregation": "'uniform_average'"}
        hint = "".join(f" Set its {n} to {v}." for n, v in averages.items() if getattr(inner, n, "") is None)
        raise ValueError(
            f"The 'metrics' parameter must hold metrics that return a single number. The metric {metric.name!r} "
            f"returns {result if isinstance(result, dict) else np.asarray(result).tolist()!r}.{hint}"
        )
