"""Frozen descriptions of what to build and how to train it. Plain Python."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._network.layout import State, StateLayout
from sk_mlp._network.names import COLUMNS, OUTPUT, WIDE_COLUMNS, variable
from sk_mlp._tables.plan import ColumnPlan
from sk_mlp._tables.selection import Inputs
from sk_mlp._tables.table import Table
from sk_mlp._targets.base import Targets
from sk_mlp._targets.dropout import DropoutRule
from sk_mlp._targets.intervals import HeldOut

if TYPE_CHECKING:
    import keras

    from sk_mlp.schedules import Schedule


@dataclass(frozen=True)
class NetworkSpec:
    """Structure of a multilayer perceptron: all that decides its graph, and no data.

    Attributes
    ----------
    n_features, n_outputs : int
    hidden_layer_sizes : tuple of int
        Neurons of each hidden layer; empty for a linear model.
    activation : str
        Keras name.
    batch_norm : bool
        Batch normalization before each activation.
    dropout : bool
        Whether there are dropout layers after the activations; their rate is data.
    output_activation : {"exponential", "linear", "sigmoid", "softmax"}
    kernel_initializer : str
        Keras name, or "auto".
    skip_connection : bool
        Whether the inputs are joined to the last hidden layer.
    wide_columns, deep_columns : tuple of int or None
        Which of the inputs are joined to the last hidden layer, and which go into the first; None for all.
    aux_output : bool
        Whether a second output is trained on the last hidden layer alone.
    deep_plan, wide_plan : ColumnPlan or None
        How those inputs are encoded before; None for as they are. A plan names its columns itself.
    parametric_activation : bool
        Whether each hidden neuron learns how much of the activation it takes.
    policy : str
        Name of Keras' dtype policy for the hidden layers.
    """

    n_features: int
    n_outputs: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    batch_norm: bool
    dropout: bool
    output_activation: str
    kernel_initializer: str = "auto"
    skip_connection: bool = False
    wide_columns: tuple[int, ...] | None = None
    deep_columns: tuple[int, ...] | None = None
    aux_output: bool = False
    deep_plan: ColumnPlan | None = None
    wide_plan: ColumnPlan | None = None
    parametric_activation: bool = False
    policy: str = "float32"

    @property
    def takes_missing(self) -> bool:
        """Whether each path can do with missing numbers."""
        return self.deep_plan is not None and (self.wide_plan is not None or not self.skip_connection)

    @property
    def numeric_columns(self) -> dict[str, list[int]]:
        """The columns of numbers that layers encode, by the layer's name."""
        plans = {COLUMNS: self.deep_plan, WIDE_COLUMNS: self.wide_plan}
        return {layer: list(plan.numeric) for layer, plan in plans.items() if plan and plan.numeric}

    @property
    def n_deep(self) -> int:
        """How many features go into the first hidden layer."""
        if self.deep_plan is not None:
            return self.deep_plan.width
        return self.n_features if self.deep_columns is None else len(self.deep_columns)

    @property
    def n_kernel_weights(self) -> int:
        """How many weights the hidden layers and the main output have, without biases and norms."""
        widths = [self.n_deep, *self.hidden_layer_sizes, self.n_outputs]
        return sum(a * b for a, b in pairwise(widths))


@dataclass(frozen=True, eq=False)
class Blueprint:
    """How to make the network of a fit, and what is known of it.

    Attributes
    ----------
    make : callable () -> keras.Model
    spec : NetworkSpec or None
        None for a user's own model.
    sample : keras.Model or None
        The user's model; its weights are the initial ones.
    structure : hashable
        Equal for networks of which one may replace the other in a compiled program.
    width : int
        Columns of the main output.
    rates : list of float
        Of the dropout layers.
    columns : None, dict or tuple
        Columns of X for each input.
    n_weights : int
        Roughly.
    exempt : tuple of int or None
        Which trainable variables are exempt from weight decay; None for vectors.
    plan : ColumnPlan or None
        How X is scaled before a user's own model gets it.
    """

    make: Callable[[], Any]
    spec: NetworkSpec | None
    sample: "keras.Model | None"
    structure: Hashable
    width: int
    rates: list[float]
    columns: Inputs
    n_weights: int
    exempt: tuple[int, ...] | None = None
    plan: ColumnPlan | None = None

    @property
    def numeric_columns(self) -> dict[str, list[int]]:
        """The columns of numbers in X that layers scale, by the layer's name."""
        if self.spec is not None:
            return self.spec.numeric_columns
        return {COLUMNS: list(self.plan.numeric)} if self.plan else {}

    @property
    def n_heads(self) -> int:
        """2 with an auxiliary output, else 1."""
        return 2 if self.spec is not None and self.spec.aux_output else 1


@dataclass(frozen=True, eq=False)
class Rows:
    """Data to train on. Members may share them.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features), float32 or uint8, or csr_array
    y : ndarray of shape (n_rows, n_columns), float32 or int32
    weights : ndarray of shape (n_rows,), float32
        Of each row, mean 1 over the training rows and over the validation rows.
    y_mean, y_scale : ndarray of shape (n_columns,), float64
        ``y * y_scale + y_mean`` is y in the user's units, in which metrics are computed.
    """

    X: Any
    y: NDArray
    weights: NDArray
    y_mean: NDArray
    y_scale: NDArray


@dataclass(frozen=True, eq=False)
class Member:
    """All that may differ between the members of a population.

    Attributes
    ----------
    seed : int
        Decides initial weights, the order of the rows and dropout.
    rows : Rows
    train, validation : ndarray of int
        Numbers of this member's rows; ``validation`` may be empty.
    learning_rate : float
    schedule : Schedule
        Factors of the learning rate, step by step.
    hyper : dict of str to float
        ``weight_decay``, ``label_smoothing`` and ``smoothed_label``, ``aux_loss_weight``, dropout rates, the
        optimizer's own numbers, and for a loss of the user's units ``y_mean/0``, ``y_scale/0``, ..., by name.
    epochs : int
        The last epoch's number + 1.
    patience : int or None
        Epochs without improvement of ``monitor`` after which to stop; None for never.
    min_delta : float
        What counts as an improvement.
    monitor : str
        Name of the figure that decides when to stop and which epoch to keep.
    sign : int
        1 if the figure is to fall, -1 if it is to rise.
    ideal : float or None
        The least that the figure, times its sign, can be, where that is known.
    keeps_best : bool
        Whether to keep the epoch of the best figure, rather than the last one, with ``patience``.
    initial : dict of int to ndarray
        Initial values of some of the network's variables, by number; the others are drawn from the seed.
    frozen_epochs : float
        Until which epoch the recipe's frozen variables stay as they are.
    learned : dict of str to ndarray
        What is known of X's columns: values of variables that no step changes, by layer and name.
    dropout_rule : DropoutRule or None
        What the dropout rates follow, if they adapt.
    join_below : float
        Loss on the held-out rows, below which they join the training rows for good, if the schedule ends with the fit;
        -inf for never.
    n_held_out : float
        How many rows are held out, counted as often as they occur.
    """

    seed: int
    rows: Rows
    train: NDArray
    validation: NDArray
    learning_rate: float
    schedule: "Schedule"
    hyper: dict[str, float]
    epochs: int
    patience: int | None
    min_delta: float
    monitor: str = "val_loss"
    sign: int = 1
    ideal: float | None = None
    keeps_best: bool = True
    initial: dict[int, NDArray] = field(default_factory=dict)
    frozen_epochs: float = 0
    learned: dict[str, NDArray] = field(default_factory=dict)
    dropout_rule: DropoutRule | None = None
    join_below: float = -np.inf
    n_held_out: float = 0

    @property
    def may_join(self) -> bool:
        """Whether its held-out rows may come to train."""
        return self.join_below > -np.inf and self.schedule.ends_with_fit

    @property
    def most_rows(self) -> int:
        """The largest number of rows that it may train on."""
        return len(self.train) + (len(self.validation) if self.may_join else 0)

    def joined(self) -> "Member":
        """The member that trains on the held-out rows too, to its last epoch."""
        return replace(self, train=np.concatenate([self.train, self.validation]), patience=None)


@dataclass(frozen=True, eq=False)
class Trained:
    """What training one member has produced.

    Attributes
    ----------
    state : State
        Of the epoch that was kept.
    history : dict of str to list of float
        One entry an epoch.
    best_epoch : int
        Number of the epoch that was kept, -1 for the initial weights.
    stopped_by : {"epochs", "patience", "perfect", "non-finite", "callback"}
    layout : StateLayout
        Where each variable lies in the state.
    """

    state: State
    history: dict[str, list[float]]
    best_epoch: int
    stopped_by: str
    layout: StateLayout


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fitted estimator predicts with, and goes on from. Free of Keras and TensorFlow objects.

    Attributes
    ----------
    states : tuple of State
        One, or those of an ensemble's members.
    layout : StateLayout
        Where each variable lies in a state.
    spec : NetworkSpec or None
        None for a user's own model.
    make_model : callable () -> keras.Model or None
        Of a user's own model; the built-in network follows from the spec.
    targets : Targets
        What is known of y.
    table : Table
        What is known of X's columns.
    slots : tuple
        Name of the optimizer's class and the part of its configuration that decides what the state holds.
    loss_of_margins : bool
        Whether the network's output is below 0 for one class, and above for the other, as hinge losses have it.
    loss_of_logits : bool
        Whether the network's output is what comes before a sigmoid or softmax.
    columns : None, dict or tuple
        Columns of X for each input of the model.
    frozen : tuple of int
        Numbers of the variables that ``frozen_epochs`` is about.
    temperature : float
        By which the output's logits are divided.
    shift : ndarray of shape (n_features,), float64, or None
        What is subtracted from X before it becomes float32, if anything.
    history : dict of str to list of float
        Figures of all members together, an entry an epoch.
    member_histories : list of dict
        Those of each member, its best epoch, and what has stopped it.
    best_epoch : int
        Number of the epoch that is kept, of all members the last one.
    dropout : float
        Rate of the built-in network's dropout layers, as Keras models of it have it.
    held_out : HeldOut or None
        What a regressor puts out for rows that it has not been trained on, if there are any.
    """

    states: tuple[State, ...]
    layout: StateLayout
    spec: NetworkSpec | None
    make_model: Callable[[], Any] | None
    targets: Targets
    table: Table
    slots: tuple
    loss_of_logits: bool
    loss_of_margins: bool
    columns: Inputs
    frozen: tuple[int, ...]
    history: dict[str, list[float]]
    member_histories: list[dict[str, Any]]
    best_epoch: int
    temperature: float = 1.0
    shift: NDArray | None = None
    dropout: float = 0.0
    held_out: HeldOut | None = None

    def attributes(self) -> dict[str, Any]:
        """Public attributes of a fitted estimator, but the network."""
        return {
            **self.table.attributes(),
            **self.targets.attributes(),
            "history_": self.history,
            "member_histories_": self.member_histories,
            "n_iter_": len(self.history["loss"]),
            "best_epoch_": self.best_epoch,
        }

    def weights(self, m: int = 0) -> list[NDArray]:
        """Member m's variables of the network to predict with: trainable, then non-trainable ones."""
        arrays = self.layout.weights(self.states[m])
        if self.temperature == 1:
            return arrays
        by_name = zip(self.layout.names, arrays, strict=False)
        scaled, of_output = np.float32(self.temperature), variable(OUTPUT, "")
        return [array / scaled if name.startswith(of_output) else array for name, array in by_name]

    def named_weights(self, m: int) -> dict[str, NDArray]:
        """Member m's variables by layer and name."""
        return dict(zip(self.layout.names, self.weights(m), strict=False))
