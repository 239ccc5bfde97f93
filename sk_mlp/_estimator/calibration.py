"""The members' outputs for the rows that they hold out."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sk_mlp._estimator.task import Task
from sk_mlp._network.build import model_of
from sk_mlp._network.forward import Forward, mean_of
from sk_mlp._network.spec import Fitted, Member, Trained
from sk_mlp._tables.selection import Matrix
from sk_mlp._targets.intervals import HeldOut
from sk_mlp.engine.predict import model_function

MOST_ROWS = 20_000  # they tell a quantile to some 0.2 %, and take less memory than weights


def held_out_outputs(fitted: Fitted, task: Task, trained: Sequence[Trained]) -> HeldOut | None:
    """Outputs for held-out rows, of the members that have not trained on them.

    Parameters
    ----------
    fitted : Fitted
        What has come of the task.
    task : Task
    trained : sequence of Trained
        Of all members of the task, or of the first ones.

    Returns
    -------
    HeldOut or None
        None without such rows, and where an earlier fit may have trained on them, from which the task has gone on.
    """
    groups: list[tuple[Member, list[int]]] = []  # the first member of each group, and the numbers of all its members
    for m, (member, one) in enumerate(zip(task.members, trained, strict=False)):
        if not len(member.validation) or _has_trained_on_them(one, task.first_epoch):
            continue
        same = [of for first, of in groups if np.array_equal(first.validation, member.validation)]
        if same:
            same[0].append(m)
        else:
            groups.append((member, [m]))
    if not groups:
        return None
    stride = -(-sum(len(member.validation) for member, _ in groups) // MOST_ROWS)
    of_members = np.full(len(fitted.states), -1, np.int16)
    parts = []
    for group, (member, of) in enumerate(groups):
        rows = member.validation[::stride]
        outputs = _mean_output(fitted, task, of, member.rows.X[rows])
        weights = member.rows.weights[rows]
        weights = weights * (member.n_held_out / weights.sum())
        of_members[of] = group
        parts.append((outputs, member.rows.y[rows], weights, np.full(len(rows), group), rows))
    outputs, y, weights, numbers, rows = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    held_out = HeldOut(
        outputs=outputs.astype(np.float32),
        y=y.astype(np.float32),
        weights=weights.astype(np.float32),
        groups=numbers.astype(np.int16),
        members=of_members,
        rows=rows.astype(np.int32),
        n_rows_of_fit=len(task.members[0].rows.y),
    )
    return None if task.previous and held_out.may_be_trained_on(task.previous.held_out) else held_out


def _has_trained_on_them(trained: Trained, first_epoch: int) -> bool:
    """Whether the state that is kept comes from an epoch after the held-out rows had joined."""
    return trained.best_epoch - first_epoch >= len(trained.history["val_loss"])


def _mean_output(fitted: Fitted, task: Task, members: list[int], X: Matrix) -> NDArray:
    if fitted.spec is not None:
        return Forward(fitted.spec, [fitted.named_weights(m) for m in members]).mean(X)
    structure = task.recipe.blueprint.structure
    function = model_function(structure, partial(model_of, fitted), X.shape[1], fitted.columns)
    return mean_of(function([tf.constant(array) for array in fitted.weights(m)], X) for m in members)
