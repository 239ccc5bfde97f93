"""From trained members to `Fitted`, and to the attributes of a fitted estimator."""

from dataclasses import replace
from typing import Any, cast

from sklearn.exceptions import ConvergenceWarning

from sk_mlp._estimator.calibration import held_out_outputs
from sk_mlp._estimator.history import joined, mean_history, member_history
from sk_mlp._estimator.messages import CHANGED, warn
from sk_mlp._estimator.task import Task
from sk_mlp._keras.loss import is_of_logits
from sk_mlp._network.forward import network_output
from sk_mlp._network.spec import Fitted, Member, Trained
from sk_mlp._targets.labels import LabelTargets
from sk_mlp._targets.temperature import fit_temperature

DIVERGED = "The loss was no longer finite"


def fitted_of(task: Task, trained: list[Trained]) -> Fitted:
    """What an estimator keeps of a fit.

    Raises
    ------
    ValueError
        If it has found nothing, or something else than what it should have gone on from.

    Warns
    -----
    ConvergenceWarning
        If the loss or what is monitored was not finite.
    """
    previous, blueprint = task.previous, task.recipe.blueprint
    if previous and previous.layout != trained[0].layout:
        raise ValueError(CHANGED)
    for one in trained:
        _warn_of(task, one)
    goes_on, spec, first = bool(previous and task.first_epoch), blueprint.spec, task.first_epoch
    before = previous.history if previous and goes_on else {}
    owns = previous.member_histories if previous and goes_on else [{}] * len(trained)
    fitted = Fitted(
        states=tuple(one.state for one in trained),
        layout=trained[0].layout,
        spec=spec,
        make_model=None if spec else blueprint.make,
        targets=task.targets,
        table=replace(
            task.table,
            allows_missing=task.table.allows_missing and (spec is None or spec.takes_missing),
            is_dense=bool(spec and (spec.deep_plan or spec.wide_plan)),
        ),
        slots=task.recipe.slots,
        loss_of_logits=is_of_logits(task.recipe.loss),
        loss_of_margins=task.of_margins,
        columns=blueprint.columns,
        frozen=task.recipe.frozen,
        history=joined(before, mean_history(trained, first)),
        member_histories=[member_history(one, first, own) for one, own in zip(trained, owns, strict=True)],
        best_epoch=max(one.best_epoch for one in trained),
        shift=task.shift,
        dropout=next(iter(blueprint.rates), 0.0),
    )
    fitted = replace(fitted, temperature=temperature_of(task, fitted))
    held_out = held_out_outputs(fitted, task, trained) if task.targets.has_intervals else None
    return replace(fitted, held_out=held_out)


def learned_of(task: Task, fitted: Fitted) -> dict[str, Any]:
    """The attributes of an estimator that a fit has set."""
    live = {} if fitted.spec else {"structure": task.recipe.blueprint.structure}
    found = {} if task.autoencoder is None else {"autoencoder_": task.autoencoder}
    return {**fitted.attributes(), **found, "_fitted": fitted, "_live": live}


def _warn_of(task: Task, one: Trained) -> None:
    """Warn where a member's loss was no longer finite, or its monitored figure never a number."""
    wrong = (
        f"{DIVERGED} after epoch {task.first_epoch + len(one.history['loss'])}. "
        f"Try a smaller learning_rate (it is {task.settings.learning_rate}) or scale X."
    )
    if one.stopped_by == "non-finite" and one.best_epoch < 0 and task.previous is None:
        raise ValueError(f"{wrong} There is no epoch before whose weights could be kept.")
    if one.stopped_by == "non-finite":
        kept = f"The weights of the best epoch before ({one.best_epoch + 1}) are kept."
        warn(f"{wrong} {kept}", ConvergenceWarning)
    elif one.best_epoch < task.first_epoch:
        monitor = task.members[0].monitor
        warn(f"{monitor} was not a number after any epoch. The initial weights are kept.", ConvergenceWarning)


def temperature_of(task: Task, fitted: Fitted) -> float:
    """The temperature by which logits are divided; 1 for none."""
    # In hooks of an ensemble only the first member is there.
    members: tuple[Member, ...] = task.members[: len(fitted.states)]
    if not task.settings.calibrate or fitted.spec is None:  # or a model of the user's own
        return 1.0
    if not len(members[0].validation):  # no rows that were not trained on
        return task.previous.temperature if task.previous else 1.0
    outputs = [
        network_output(fitted.spec, fitted.named_weights(m), member.rows.X[member.validation])
        for m, member in enumerate(members)
    ]
    held_out = [(member.validation, member.rows.y, member.rows.weights) for member in members]
    targets = cast(LabelTargets, task.targets)
    n_held_out = [member.n_held_out for member in members]
    return fit_temperature(outputs, held_out, targets.is_exclusive, targets.link(fitted.loss_of_logits), n_held_out)
