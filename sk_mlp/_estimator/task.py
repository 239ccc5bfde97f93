"""A fit that is ready to run, and the recipe that it follows."""

from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._estimator.messages import warn
from sk_mlp._estimator.network import Network
from sk_mlp._estimator.settings import Settings
from sk_mlp._keras.loss import mixes_rows as loss_mixes_rows
from sk_mlp._keras.metric_layouts import Output
from sk_mlp._keras.metrics import check_metrics, resolve_metrics
from sk_mlp._keras.resolve import resolve_optimizer
from sk_mlp._network.spec import Blueprint, Fitted, Member
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.table import Table
from sk_mlp._targets.base import Targets
from sk_mlp.engine.compilable import mixes_rows
from sk_mlp.engine.program import padded_size
from sk_mlp.engine.recipe import Recipe, has_data, optimizer_data
from sk_mlp.engine.run import Run
from sk_mlp.engine.structure import structure_of


@dataclass(frozen=True, eq=False)
class Task:
    """A fit that is ready to run.

    Attributes
    ----------
    settings : Settings
    recipe : Recipe
    members : tuple of Member
        One, or those of an ensemble.
    targets : Targets
    table : Table
        Of X's columns.
    previous : Fitted or None
        What to go on from.
    figures : tuple of str
        Names of what is logged in an epoch, without the learning rate.
    has_callbacks : bool
        Whether Keras callbacks are to be called.
    hook_arguments : dict
        Of the hooks of scikit-learn's callbacks; empty without such callbacks.
    shift : ndarray of shape (n_features,) or None
        What has been subtracted from X, if anything.
    of_margins : bool
        Whether the network's output is what a hinge loss is of.
    autoencoder : estimator or None
        That initial weights come from.
    """

    settings: Settings
    recipe: Recipe
    members: tuple[Member, ...]
    targets: Targets
    table: Table
    previous: Fitted | None
    figures: tuple[str, ...]
    has_callbacks: bool
    hook_arguments: dict[str, Any]
    shift: NDArray | None = None
    of_margins: bool = False
    autoencoder: Any = None

    @property
    def first_epoch(self) -> int:
        """Number of the epoch to begin with."""
        return self.settings.first_epoch

    def runs(self) -> list[Run]:
        """The members' runs, about to begin, with schedules of their own that know the epochs before."""
        previous, n = self.previous, len(self.members)
        states = previous.states if previous else [None] * n
        histories = previous.member_histories if previous and self.first_epoch else [{}] * n
        return [
            Run.begin(self.recipe, _with_own_schedule(member, history), self.first_epoch, state)
            for member, state, history in zip(self.members, states, histories, strict=True)
        ]


def _with_own_schedule(member: Member, history: dict[str, Any]) -> Member:
    """The member with a copy of its schedule, which a run changes, after the epochs of its history."""
    schedule = copy(member.schedule)
    for value in history.get(member.monitor, []):
        schedule.observe(member.sign * value)
    return replace(member, schedule=schedule)


def make_recipe(network: Network, X: Matrix, n_rows: int, frozen: tuple[int, ...]) -> Recipe:
    """The recipe that the engines train by.

    Parameters
    ----------
    network : Network
    X : matrix
        All rows; only its kind counts.
    n_rows : int
        Training rows.
    frozen : tuple of int
        Variables that are frozen in the first epochs.
    """
    settings, blueprint, loss = network.settings, network.blueprint, network.loss
    arguments = settings.routed["optimizer"]
    optimizer_class, config = resolve_optimizer(settings.optimizer, arguments)
    if settings.clip_norm is not None:
        config["global_clipnorm"] = settings.clip_norm
    if settings.ema_momentum is not None:
        twice = {name: value for name, value in arguments.items() if name in ("use_ema", "ema_momentum")}
        if twice or config.get("use_ema"):
            raise ValueError(
                "The 'ema_momentum' parameter averages the weights, so the optimizer must not average them too. "
                f"Got ema_momentum={settings.ema_momentum} and {twice or {'use_ema': True}} of the optimizer."
            )
        config |= {"use_ema": True, "ema_momentum": settings.ema_momentum}
    output = Output(network.layout, blueprint.width, loss.of_logits, loss.of_margins)
    make_metrics = partial(resolve_metrics, settings.metrics, settings.routed["metrics"], output)
    metrics = make_metrics()
    structures = [(metric.name, structure_of(metric)) for metric in metrics]
    batch_size = automatic_batch_size(n_rows) if isinstance(settings.batch_size, str) else settings.batch_size
    traced = {name: bool(value) if name in optimizer_data(config) else value for name, value in config.items()}
    rule = repr(sorted(traced.items()))
    row_nonzeros = 1 << int(np.diff(X.indptr).max(initial=1) - 1).bit_length() if issparse(X) else 0
    traits = (
        structure_of(optimizer_class),
        rule,
        None if has_data(optimizer_class) else structure_of(config),
        keras.config.epsilon(),
        structure_of(loss.keras),
        *structures,
        X.dtype.name,
        row_nonzeros and X.indptr.dtype.name,
        row_nonzeros,
        frozen,
        blueprint.exempt,
    )
    return Recipe(
        blueprint=blueprint,
        traits=traits,
        optimizer_class=optimizer_class,
        optimizer_config=config,
        slots=(optimizer_class.__qualname__, rule),
        loss=loss.keras,
        make_metrics=make_metrics,
        of_whole_batches=of_whole_batches(network, metrics, output, X),
        batch_size=min(batch_size, padded_size(n_rows)),
        shuffle=settings.shuffle,
        row_nonzeros=row_nonzeros,
        frozen=frozen,
    )


def of_whole_batches(network: Network, metrics: list[keras.metrics.Metric], output: Output, X: Matrix) -> str:
    """What depends on rows that only fill a batch up, in words; "" if nothing does."""
    if name := check_metrics(metrics, output):
        return f"the metric {name!r}"
    loss = network.loss.keras
    if loss_mixes_rows(loss, *output.example()):
        return f"the loss {loss.name!r}, which compares rows,"
    if network.blueprint.sample is None:
        return ""
    in_training, in_prediction = mixes_rows(network.blueprint, X)
    if in_prediction:
        warn(
            "The 'model' parameter should build a model that predicts each row by itself. Got one that compares rows: "
            "what it predicts for a row depends on the rows that are predicted with it."
        )
    return "the model, which compares rows," if in_training else ""


def automatic_batch_size(n_rows: int) -> int:
    """A 40th of the training rows, as a power of 2."""
    return int(np.clip(2 ** round(np.log2(n_rows / 40)), 32, 256))


def same_paths(fitted: Fitted, blueprint: Blueprint) -> bool:
    """Whether columns still take the same paths as when the state was trained."""
    if fitted.spec is None or blueprint.spec is None:
        return (fitted.spec is None) == (blueprint.spec is None) and fitted.columns == blueprint.columns
    before, now = fitted.spec, blueprint.spec
    are_positive = [spec.output_activation == "exponential" for spec in (before, now)]
    return are_positive[0] == are_positive[1] and all(
        getattr(before, name) == getattr(now, name)
        for name in ("wide_columns", "deep_columns", "skip_connection", "aux_output", "activation")
    )
