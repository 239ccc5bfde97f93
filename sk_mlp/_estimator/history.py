"""The histories of a fit: each member's own, and one of all members together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sk_mlp._network.spec import Trained

Figures = dict[str, list[float]]


def member_history(trained: Trained, first_epoch: int, before: dict[str, Any]) -> dict[str, Any]:
    """What ``member_histories_`` holds of a member.

    Parameters
    ----------
    trained : Trained
    first_epoch : int
        Number of the first epoch of ``trained``.
    before : dict
        The member's history up to there; empty for a fit that begins anew.

    Returns
    -------
    dict of str to list of float
        One entry an epoch: nan where there is no such figure. And ``best_epoch``, an int, and ``stopped_by``, a str.
    """
    earlier = {name: values for name, values in before.items() if isinstance(values, list)}
    n_epochs = len(trained.history["loss"])
    now = {name: _padded(values, n_epochs) for name, values in trained.history.items()}
    return {
        **joined({name: _padded(values, first_epoch) for name, values in earlier.items()}, now),
        "best_epoch": trained.best_epoch,
        "stopped_by": trained.stopped_by,
    }


def mean_history(members: Sequence[Trained], first_epoch: int) -> Figures:
    """Figures of an ensemble, epoch by epoch.

    The mean over the members, of whom each counts with the figures of the epoch that it keeps from that epoch on. So
    the last epoch that a member keeps has the mean of what all of them keep, and the curves are level from there. One
    member alone has its own figures throughout. The learning rate is the mean over members that train in that epoch.

    Where a member's held-out rows have joined the others, it counts with the last figure of these rows; once those of
    all members have, the figure is nan.
    """
    n_epochs = max(len(one.history["loss"]) for one in members)
    if len(members) == 1:
        return {name: _padded(values, n_epochs) for name, values in members[0].history.items()}
    return {
        name: _mean_in_training(members, n_epochs) if name == "learning_rate" else _mean(members, name, first_epoch)
        for name in members[0].history
    }


def joined(before: Figures, now: Figures) -> Figures:
    """Figures of the epochs before and of those now; nan where one of the two has no such figure."""
    lengths = [len(figures["loss"]) if figures else 0 for figures in (before, now)]
    return {
        name: [
            value
            for figures, n in zip((before, now), lengths, strict=True)
            for value in figures.get(name, [np.nan] * n)
        ]
        for name in dict.fromkeys([*before, *now])
    }


def _padded(values: list[float], n: int) -> list[float]:
    return [*values, *[np.nan] * (n - len(values))]


def _mean_in_training(members: Sequence[Trained], n_epochs: int) -> list[float]:
    rates = [one.history["learning_rate"] for one in members]
    return [float(np.mean([rate[epoch] for rate in rates if epoch < len(rate)])) for epoch in range(n_epochs)]


def _mean(members: Sequence[Trained], name: str, first_epoch: int) -> list[float]:
    n_epochs = max(len(one.history["loss"]) for one in members)
    figures, known = np.empty((len(members), n_epochs)), np.empty((len(members), n_epochs), bool)
    for m, one in enumerate(members):
        last = len(one.history["loss"]) - 1
        keeps = one.best_epoch >= first_epoch
        epochs = np.minimum(np.arange(n_epochs), one.best_epoch - first_epoch if keeps else last)
        values = np.asarray(one.history[name])
        figures[m], known[m] = values[np.minimum(epochs, len(values) - 1)], epochs < len(values)
    return np.where(known.any(axis=0), figures.mean(axis=0), np.nan).tolist()
