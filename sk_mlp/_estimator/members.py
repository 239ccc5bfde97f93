"""The members of a fit: which rows each trains on, at which rate, and when it stops."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.network import Network
from sk_mlp._estimator.rows import FitRows
from sk_mlp._estimator.settings import Settings
from sk_mlp._keras.callbacks import FitCallbacks, rule_of
from sk_mlp._keras.metrics import best_possible, sign_of
from sk_mlp._network.names import dropout_rate
from sk_mlp._network.spec import Member, Rows
from sk_mlp._network.starting import Start
from sk_mlp.engine.recipe import Recipe, has_data, optimizer_data
from sk_mlp.schedules import ByStep, Constant, Schedule, resolve_schedule


def members_of_fit(
    rows: FitRows, network: Network, start: Start, recipe: Recipe, callbacks: FitCallbacks
) -> tuple[Member, ...]:
    """The member of a fit, or those of an ensemble.

    Parameters
    ----------
    rows : FitRows
    network : Network
    start : Start
    recipe : Recipe
    callbacks : FitCallbacks
    """
    settings, targets, loss, y = network.settings, network.targets, network.loss, network.encoded
    hyper = hyper_of(network, recipe)
    stops = settings.stops_early and rows.has_held_out and not callbacks.replaces_ours
    rule = stop_rule(settings, callbacks, stops, is_scaled=targets.loss_has_unit(hyper))
    n_epochs = settings.epochs
    if isinstance(n_epochs, str):  # "auto"
        n_epochs = automatic_epochs(rows.n_train, recipe.batch_size)
    own = stops and settings.model is None
    adapts = own and settings.dropout == "auto"
    may_join = own and not rows.are_held_out_by_user and _asks_to_join(settings)
    data = rows_of_members(Rows(start.X, y, rows.weights, *targets.units), rows.splits, network.loss_weight)

    def dropout_rule(train: NDArray) -> Any:
        return targets.dropout_rule(loss, y[train], rows.weights[train], settings.normalize_y) if adapts else None

    return tuple(
        Member(
            seed=seed,
            rows=of_member,
            train=train,
            validation=validation,
            learning_rate=float(settings.learning_rate),
            schedule=schedule_of(settings, -(-len(train) // recipe.batch_size), n_epochs),
            hyper=hyper,
            epochs=settings.last_epoch or n_epochs,
            **rule,
            initial=initial,
            frozen_epochs=settings.frozen_epochs,
            learned=learned,
            dropout_rule=dropout_rule(train),
            join_below=targets.join_below(loss, y, rows.weights, (train, validation)) if may_join else -np.inf,
            n_held_out=float(rows.counts[validation].sum()),
        )
        for seed, (train, validation), initial, of_member, learned in zip(
            rows.seeds, rows.splits, start.initial, data, start.learned, strict=True
        )
    )


def _asks_to_join(settings: Settings) -> bool:
    """Whether held-out rows may join the training rows, since nothing else needs them."""
    is_watched = settings.callbacks or settings.called
    return settings.early_stopping == "auto" and settings.monitor == "val_loss" and not is_watched


def hyper_of(network: Network, recipe: Recipe) -> dict[str, float]:
    """The member's numbers that are data of a program, by name."""
    settings, blueprint, targets = network.settings, network.blueprint, network.targets
    adapts = blueprint.spec and settings.dropout == "auto"
    return {
        "weight_decay": float(settings.weight_decay),
        **targets.hyper(network.loss, network.layout, blueprint.width),
        **({"aux_loss_weight": settings.aux_loss_weight} if blueprint.n_heads > 1 else {}),
        **(optimizer_data(recipe.optimizer_config) if has_data(recipe.optimizer_class) else {}),
        **{
            dropout_rate(number): targets.first_dropout if adapts else rate
            for number, rate in enumerate(blueprint.rates)
        },
    }


def stop_rule(settings: Settings, callbacks: FitCallbacks, stops: bool, is_scaled: bool) -> dict[str, Any]:
    """When to stop and what to keep, as fields of a `Member`: by the user's EarlyStopping, or the estimator's own rule.

    Parameters
    ----------
    settings : Settings
    callbacks : FitCallbacks
    stops : bool
        Whether the estimator's own rule stops the fit.
    is_scaled : bool
        Whether 1 is a large loss.
    """
    figures, metrics = callbacks.figures, callbacks.metrics
    if callbacks.stopper:
        return rule_of(callbacks.stopper, figures, metrics)
    monitor = settings.monitor if stops else "loss"
    sign = sign_of(monitor, metrics, [name for name in figures if name.startswith("val_") == stops])
    return {
        "patience": settings.patience if stops else None,
        "min_delta": settings.min_delta,
        "monitor": monitor,
        "sign": sign,
        "ideal": best_possible(monitor, sign, is_scaled),
    }


def schedule_of(settings: Settings, n_steps: int, n_epochs: int) -> Schedule:
    """The learning rate's schedule, for a fit of known length or for single epochs."""
    schedule = settings.lr_schedule
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        by_step = partial(keras.ops.vectorized_map, schedule)
        schedule = ByStep(lambda steps: np.asarray(by_step(steps)), float(settings.learning_rate), n_steps)
    last = settings.last_epoch
    resolved = resolve_schedule(schedule, settings.routed["lr_schedule"], n_epochs, last)
    # Nobody knows how many single epochs there will be, and a schedule would reach 0 after the last one.
    has_no_end = last is not None and (settings.epochs == "auto" or last > n_epochs)
    return Constant() if has_no_end and resolved.ends_with_fit else resolved


def rows_of_members(rows: Rows, splits: Sequence[tuple[NDArray, NDArray]], mean: float) -> list[Rows]:
    """Each member's rows. Their weights have this mean over the rows that it trains on, and over those it holds out.

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


def automatic_epochs(n_rows: int, batch_size: int) -> int:
    """As many as 2,400 steps take, within limits."""
    return int(np.clip(-(-2400 * batch_size // n_rows), 16, 256))
