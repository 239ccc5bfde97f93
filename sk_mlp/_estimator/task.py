"""A fit that is ready to run, and the recipe that it follows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._keras.loss import is_of_logits, is_of_margins
from sk_mlp._keras.metric_layouts import Output
from sk_mlp._keras.metrics import check_metrics, resolve_metrics
from sk_mlp._keras.resolve import resolve_optimizer, routed_to
from sk_mlp._network.spec import Blueprint, Fitted, Member, Rows
from sk_mlp._tables.selection import Matrix
from sk_mlp._targets.kinds import Targets
from sk_mlp.engine.program import padded_size
from sk_mlp.engine.recipe import Recipe, optimizer_data
from sk_mlp.engine.run import Run
from sk_mlp.engine.structure import structure_of


@dataclass(frozen=True, eq=False)
class Task:
    """A fit that is ready to run.

    Attributes
    ----------
    recipe : Recipe
    members : tuple of Member
        One, or those of an ensemble.
    targets : ClassTargets or RegressionTargets
    previous : Fitted or None
        What to go on from.
    first_epoch : int
    figures : tuple of str
        Names of what is logged in an epoch, without the learning rate.
    hook_arguments : dict
        Of the hooks of scikit-learn's callbacks; empty without such callbacks.
    has_callbacks : bool
        Whether Keras callbacks are to be called.
    shift : ndarray of shape (n_features,) or None
        What has been subtracted from X, if anything.
    """

    recipe: Recipe
    members: tuple[Member, ...]
    targets: Targets
    previous: Fitted | None
    first_epoch: int
    figures: tuple[str, ...]
    hook_arguments: dict[str, Any]
    has_callbacks: bool = False
    shift: NDArray | None = None

    def runs(self) -> list[Run]:
        """The members' runs, about to begin."""
        states = self.previous.states if self.previous else [None] * len(self.members)
        return [
            Run.begin(self.recipe, member, self.first_epoch, state)
            for member, state in zip(self.members, states, strict=True)
        ]


def make_recipe(
    params: Mapping[str, Any],
    blueprint: Blueprint,
    loss: keras.losses.Loss,
    layout: str | None,
    X: Matrix,
    n_rows: int,
    frozen: tuple[int, ...],
) -> Recipe:
    """What the engines train.

    Parameters
    ----------
    params : mapping
        The estimator's parameters.
    blueprint : Blueprint
    loss : keras.losses.Loss
    layout : str or None
        How y is encoded, as in `resolve_metrics`.
    X : matrix
        All rows; only its kind counts.
    n_rows : int
        Training rows.
    frozen : tuple of int
        Variables that are frozen in the first epochs.
    """
    optimizer_class, config = resolve_optimizer(params)
    if params["clip_norm"] is not None:
        config["global_clipnorm"] = float(params["clip_norm"])
    if params["ema_momentum"] is not None:
        twice = {name: v for name, v in routed_to(params, "optimizer").items() if name in ("use_ema", "ema_momentum")}
        if twice or config.get("use_ema"):
            raise ValueError(
                "The 'ema_momentum' parameter averages the weights, so the optimizer must not average them too. "
                f"Got ema_momentum={params['ema_momentum']} and {twice or {'use_ema': True}} of the optimizer."
            )
        config |= {"use_ema": True, "ema_momentum": float(params["ema_momentum"])}
    output = Output(layout, blueprint.width, is_of_logits(loss), is_of_margins(loss, blueprint.sample))
    make_metrics = partial(resolve_metrics, params, layout, output.width, output.of_logits, output.of_margins)
    metrics = make_metrics()
    structures = [(metric.name, structure_of(metric)) for metric in metrics]
    needs_whole_batches = check_metrics(metrics, output)
    batch_size = automatic_batch_size(n_rows) if params["batch_size"] == "auto" else int(params["batch_size"])
    traced = {name: bool(value) if name in optimizer_data(config) else value for name, value in config.items()}
    rule = repr(sorted(traced.items()))
    row_nonzeros = 1 << int(np.diff(X.indptr).max(initial=1) - 1).bit_length() if issparse(X) else 0
    traits = (
        optimizer_class,
        rule,
        structure_of(loss),
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
        loss=loss,
        make_metrics=make_metrics,
        metric_of_whole_batches=needs_whole_batches,
        batch_size=min(batch_size, padded_size(n_rows)),
        shuffle=bool(params["shuffle"]),
        row_nonzeros=row_nonzeros,
        frozen=frozen,
    )


def rows_of_members(rows: Rows, splits: list[tuple[NDArray, NDArray]], mean: float) -> list[Rows]:
    """Each member's rows, with weights of this mean over those that it trains on and over those that it holds out.

    Members whose weights are the same share them.
    """
    found: list[Rows] = []
    for parts in splits:
        weights = rows.weights.copy()
        for part in parts:
            weights[part] *= mean * len(part) / max(weights[part].sum(), np.finfo(float).tiny)
        weights = weights.astype(np.float32)
        same = (others for others in found if np.array_equal(others.weights, weights))
        found.append(next(same, None) or replace(rows, weights=weights))
    return found


def automatic_batch_size(n_rows: int) -> int:
    """A 40th of the training rows, as a power of 2."""
    return int(np.clip(2 ** round(np.log2(n_rows / 40)), 32, 256))


def automatic_epochs(n_rows: int, batch_size: int) -> int:
    """As many as 2,400 steps take, within limits."""
    return int(np.clip(-(-2400 * batch_size // n_rows), 16, 256))


def same_paths(fitted: Fitted, blueprint: Blueprint) -> bool:
    """Whether the columns still take the paths that they took when the state was trained."""
    if fitted.spec is None or blueprint.spec is None:
        return (fitted.spec is None) == (blueprint.spec is None) and fitted.columns == blueprint.columns
    return all(
        getattr(fitted.spec, name) == getattr(blueprint.spec, name)
        for name in ("wide_columns", "deep_columns", "skip_connection", "aux_output", "activation")
    )
