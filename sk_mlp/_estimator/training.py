"""A fit as a line of functions over frozen values: settings -> rows -> network -> start -> members -> task."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sk_mlp._estimator.fitted import learned_of
from sk_mlp._estimator.fork import refuse_after_fork
from sk_mlp._estimator.given import GivenRows
from sk_mlp._estimator.members import members_of_fit
from sk_mlp._estimator.messages import CHANGED
from sk_mlp._estimator.network import network_of_fit
from sk_mlp._estimator.rows import rows_of_fit
from sk_mlp._estimator.settings import Settings
from sk_mlp._estimator.sklearn_callbacks import hook_arguments, run_with_callbacks
from sk_mlp._estimator.task import Task, make_recipe, same_paths
from sk_mlp._keras.callbacks import callbacks_of
from sk_mlp._network.spec import Fitted
from sk_mlp._network.starting import start_of_members
from sk_mlp._tables.numbers import in_float32
from sk_mlp.engine.recipe import Recipe, loss_names

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP


def prepared(
    settings: Settings,
    given: GivenRows,
    estimator: "BaseKerasMLP",
    previous: Fitted | None = None,
    convert: Callable = in_float32,
) -> Task:
    """Check everything and make a fit ready to run.

    Parameters
    ----------
    settings : Settings
    given : GivenRows
    estimator : estimator
        A copy for scikit-learn's checks, which note names of columns on it, and for its callbacks' hooks.
    previous : Fitted or None
        What to go on from.
    convert : callable
        Does what `in_float32` does.

    Raises
    ------
    ValueError, TypeError
        If something is not valid.
    """
    refuse_after_fork("Training")
    rows = rows_of_fit(settings, given, estimator, previous)
    network = network_of_fit(settings, rows, previous)
    settings, blueprint = network.settings, network.blueprint
    start = start_of_members(settings, rows, blueprint, network.encoded, previous, convert)
    recipe = make_recipe(network, start.X, rows.n_train, start.frozen)
    if previous:
        _check_goes_on(previous, recipe, settings)
    metrics = recipe.make_metrics()
    figures = [*loss_names(blueprint.n_heads), *(metric.name for metric in metrics)]
    figures += [f"val_{name}" for name in figures] if rows.has_held_out else []
    callbacks = callbacks_of(settings, figures, metrics)
    return Task(
        settings=settings,
        recipe=recipe,
        members=members_of_fit(rows, network, start, recipe, callbacks),
        targets=network.targets,
        table=rows.table,
        previous=previous,
        figures=tuple(figures),
        has_callbacks=bool(callbacks.called),
        hook_arguments=hook_arguments(estimator, given.X, given.y, given.sample_weight),
        shift=start.shift,
        of_margins=network.loss.of_margins,
        autoencoder=getattr(estimator, "autoencoder_", None) if previous else start.autoencoder,
    )


def trained(task: Task) -> dict[str, Any]:
    """Run a fit.

    Returns
    -------
    dict
        The attributes of the estimator that it has fitted.
    """
    return learned_of(task, run_with_callbacks(task))


def _check_goes_on(previous: Fitted, recipe: Recipe, settings: Settings) -> None:
    """Raise where training cannot go on from the last fit."""
    if previous.slots != recipe.slots or not same_paths(previous, recipe.blueprint):
        raise ValueError(CHANGED)
    if len(previous.states) != settings.ensemble_size:
        raise ValueError(
            f"ensemble_size must be that of the last fit, {len(previous.states)}, to go on from there. Got "
            f"{settings.ensemble_size}."
        )
