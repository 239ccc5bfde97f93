"""Findings from the histories of a fit. Plain numpy.

Losses are compared with a base. That is the loss of a constant prediction, where it is known: a network explains
1 - loss / base of what there is. Else it is the loss of the first epoch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import counted
from sk_mlp.inspection._findings import Finding

SOME = 1e-3  # of the base: a loss must fall by more to be judged
LITTLE = 0.1  # of the training rows' y: a network that explains less has learned next to nothing
GAP = 0.4  # between the explained shares of training and of held-out rows
FEW_EPOCHS = 8  # fewer tell nothing about the course of training
RISE = 0.05  # of the base: a loss that rises by more in an epoch shows too high a rate
RISES = 0.2  # share of epochs with such a rise
STEADY = 0.8  # of the fall that the rates of the second half would bring if each did as much as before
STILL_FALLING = 0.1  # of all that a loss has fallen, in the last tenth of the epochs
CONSTANT, FIRST = "that of a constant prediction", "that of the first epoch"  # what a base is
AT_END = 0.9  # share of the epochs after which the end begins
NO_FALL = 0.005  # of all that a loss has fallen, in the second half of the epochs
FAILED = 0.5  # of the base: how much worse than the middle one a failed member is


@dataclass(frozen=True, eq=False)
class Course:
    """How one member's training went.

    Attributes
    ----------
    loss : ndarray of shape (n_epochs,)
        On the training rows.
    held_out : ndarray of shape (n_epochs,) or None
        On held-out rows; nan once they have come to train.
    rate : ndarray of shape (n_epochs,)
        Learning rates.
    kept : int
        Number of the epoch that is kept.
    stopped_by : str
    base : float
        What its losses are compared with; nan for losses that have no zero.
    base_is : {CONSTANT, FIRST}
        That in words.
    """

    loss: NDArray
    held_out: NDArray | None
    rate: NDArray
    kept: int
    stopped_by: str
    base: float
    base_is: str

    @property
    def n_epochs(self) -> int:
        """How many there were."""
        return len(self.loss)

    @property
    def explained(self) -> float:
        """Share of the base that the kept epoch's loss on the training rows is below it."""
        return 1 - float(self.loss[self.kept]) / self.base

    @property
    def explained_held_out(self) -> float:
        """The same of the held-out rows; nan without such rows."""
        return np.nan if self.held_out is None else 1 - float(self.held_out[self.kept]) / self.base

    @property
    def is_best_at_its_end(self) -> bool:
        """Whether one of the last epochs is kept, where rows are held out: if not, more training would not help."""
        return self.n_epochs > 1 and (self.held_out is None or self.kept >= AT_END * (self.n_epochs - 1))

    @property
    def fall(self) -> float:
        """By how much the training loss has fallen, from the first epoch to the last."""
        return float(self.loss[0] - self.loss[-1])

    def fall_in_last(self, share: float) -> tuple[float, float]:
        """The part of the training loss's fall in the last epochs, of this share; and their part of the sum of rates.

        nan for a loss that has not fallen, or with rates of 0.
        """
        if not self.fall > SOME * self.base or not self.rate[1:].any():
            return np.nan, np.nan
        first = min(self.n_epochs - 2, int(np.floor((1 - share) * (self.n_epochs - 1))))
        return float(self.loss[first] - self.loss[-1]) / self.fall, float(
            self.rate[first + 1 :].sum() / self.rate[1:].sum()
        )


def course_of(history: dict[str, Any], base: float | None) -> Course:
    """The course of a member's history; ``base`` is the loss of a constant prediction, None where that is not known."""
    finite = np.isfinite(history["loss"])
    n = len(finite) if all(finite) else int(np.argmin(finite))
    loss = np.array(history["loss"][:n] if n else [np.nan], dtype=float)
    held_out = np.array(history["val_loss"], dtype=float)[: len(loss)] if "val_loss" in history else None
    first = float(loss[0]) if loss.min() > 0 else np.nan  # a loss that may be negative is not a share of another one
    return Course(
        loss=loss,
        held_out=held_out,
        rate=np.array(history["learning_rate"][: len(loss)], dtype=float),
        kept=int(np.clip(history["best_epoch"], 0, len(loss) - 1)),
        stopped_by=history["stopped_by"],
        base=first if base is None else base,
        base_is=FIRST if base is None else CONSTANT,
    )


def middle(courses: list[Course], figure: Callable[[Course], float]) -> float:
    """The median of a figure over members; nan where none has it."""
    figures = np.array([figure(course) for course in courses])
    return float(np.median(figures[np.isfinite(figures)])) if np.isfinite(figures).any() else np.nan


def findings_of_histories(courses: list[Course], is_ensemble: bool) -> list[Finding]:
    """All findings, causes before what follows from them."""
    found: list[Finding] = []
    for rule in (diverging, too_high, unfinished, plateau, underfitting):
        found += [] if found else rule(courses)
    return [*found, *overfitting(courses), *(failed_member(courses) if is_ensemble else [])]


def diverging(courses: list[Course]) -> Iterator[Finding]:
    """Losses that are no longer finite, or far above where they began."""
    ended = [course.n_epochs for course in courses if course.stopped_by == "non-finite"]
    last = middle(courses, lambda course: course.loss[-1] / np.maximum(course.loss[0], course.base))
    if ended:
        when = f"the last time after epoch {max(ended)}" if len(ended) > 1 else f"after epoch {ended[0]}"
        yield Finding(
            "diverging",
            f"The loss of {len(ended)} of {counted(len(courses), 'network')} was no longer finite, {when}.",
            {"n_networks": len(ended)},
            f"Set a smaller learning_rate (it begins at {courses[0].rate[0]:.3g}) or clip_norm=1.0, or scale X.",
        )
    elif last > 3:
        or_constant = f", or as {CONSTANT}" if courses[0].base_is == CONSTANT else ""
        yield Finding(
            "diverging",
            f"The training loss ends {last:.3g} times as high as it began{or_constant}.",
            {"ratio": last},
            f"Set a smaller learning_rate (it begins at {courses[0].rate[0]:.3g}) or clip_norm=1.0, or scale X.",
        )


def too_high(courses: list[Course]) -> Iterator[Finding]:
    """Losses that jump up and down while the rate is large."""

    def share(course: Course) -> float:
        large = course.rate[1:] > 0.3 * course.rate.max()
        rises = np.diff(course.loss) > RISE * course.base
        return float(np.mean(rises[large])) if large.sum() >= FEW_EPOCHS else np.nan

    rises = middle(courses, share)
    if rises > RISES:
        rate = middle(courses, lambda course: course.rate.max())
        yield Finding(
            "learning rate too high",
            f"The training loss rises by more than {RISE:.0%} of {courses[0].base_is} in {rises:.0%} of the "
            f"epochs in which the learning rate is near its largest, {rate:.3g}.",
            {"share_of_rises": rises, "learning_rate": rate},
            f"Set learning_rate to a third of {rate:.3g} or less; find_learning_rate looks for one.",
        )


def unfinished(courses: list[Course]) -> Iterator[Finding]:
    """Losses that still fall when the epochs are over, either as fast as the rate allows or more slowly."""
    ended = [course for course in courses if course.stopped_by == "epochs" and course.is_best_at_its_end]
    if 2 * len(ended) <= len(courses):
        return
    fallen = middle(ended, lambda course: course.fall_in_last(0.5)[0])
    rates = middle(ended, lambda course: course.fall_in_last(0.5)[1])
    in_last = middle(ended, lambda course: course.fall_in_last(0.1)[0])
    left = middle(ended, lambda course: course.loss[-1] / course.base)
    n, rate = max(course.n_epochs for course in ended), middle(ended, lambda course: course.rate.max())
    is_steady = fallen > STEADY * rates
    if not left > LITTLE or not (is_steady or in_last > STILL_FALLING):
        return
    if is_steady and n >= FEW_EPOCHS:
        yield Finding(
            "learning rate too low",
            f"The training loss falls as steadily at the end as at the beginning: {fallen:.0%} of its fall is in the "
            f"second half of the epochs, which have {rates:.0%} of the sum of all learning rates. It ends at "
            f"{left:.2g} times {courses[0].base_is}.",
            {"fall_in_second_half": fallen, "rates_in_second_half": rates, "loss_over_base": left},
            f"Set learning_rate to 3 times {rate:.3g} or more (find_learning_rate looks for one), or train for more "
            "epochs.",
        )
    else:
        yield Finding(
            "too few epochs",
            f"Training ended with epoch {n}, the last one, while the loss was still falling: {fallen:.0%} of its fall "
            f"is in the second half of the epochs, and {in_last:.0%} in the last tenth.",
            {"fall_in_second_half": fallen, "fall_in_last_tenth": in_last, "n_epochs": n},
            f"Set epochs to twice {n} or more.",
        )


def plateau(courses: list[Course]) -> Iterator[Finding]:
    """Losses that have stood still for half of the epochs at a rate that does not fall."""
    long = [course for course in courses if course.n_epochs >= 2 * FEW_EPOCHS]
    if 2 * len(long) <= len(courses) or middle(long, lambda course: course.rate[-1] / course.rate.max()) < 0.3:
        return
    fallen = middle(long, lambda course: course.fall_in_last(0.5)[0])
    left = middle(long, lambda course: course.loss[-1] / course.base)
    if abs(fallen) < NO_FALL and left > LITTLE and middle(long, lambda course: course.fall) > 0:
        yield Finding(
            "plateau",
            f"The training loss has stood still, at {left:.2g} times {courses[0].base_is}, for half of the "
            f"epochs: {fallen:.1%} of its fall is in them.",
            {"fall_in_second_half": fallen, "loss_over_base": left},
            "Set lr_schedule='cosine' or 'plateau', so that the learning rate falls; a larger network (n_neurons, "
            "n_hidden) if that changes nothing; or fewer epochs, to save their time.",
        )


def underfitting(courses: list[Course]) -> Iterator[Finding]:
    """Networks that know little even of the rows that they were trained on."""
    explained = middle(courses, lambda course: course.explained)
    if explained < LITTLE and courses[0].base_is == CONSTANT:  # little below the first epoch may be much in all
        yield Finding(
            "underfitting",
            f"{_explain(len(courses))} {in_words(explained)} of y in the training rows.",
            {"explained": explained},
            "Try more n_neurons and n_hidden, less dropout and weight_decay, more epochs. Where that does not help, X "
            "may tell little of y.",
        )


def overfitting(courses: list[Course]) -> Iterator[Finding]:
    """Networks that know much more of the rows that they were trained on than of others."""
    of_training = middle(courses, lambda course: course.explained)
    of_held_out = middle(courses, lambda course: course.explained_held_out)
    if not (of_training - of_held_out > GAP and of_training > LITTLE):
        return
    if courses[0].base_is == CONSTANT:
        yield overfitting_to(len(courses), of_training, of_held_out, "held-out rows")
    else:
        yield _overfitting(
            f"The loss is {1 - of_training:.2g} times {FIRST} in the training rows, but {1 - of_held_out:.2g} times in "
            "the held-out rows.",
            {"loss_over_first": 1 - of_training, "held_out_loss_over_first": 1 - of_held_out},
        )


def in_words(explained: float) -> str:
    """A share in words; less than none is none."""
    return f"{explained:.0%}" if explained >= 0.005 else "nothing"


def _explain(n_networks: int) -> str:
    return "The network explains" if n_networks == 1 else "The networks explain"


def overfitting_to(n_networks: int, of_training: float, of_others: float, others: str) -> Finding:
    """The finding, in the words for held-out or for other rows."""
    return _overfitting(
        f"{_explain(n_networks)} {of_training:.0%} of y in the training rows, but "
        f"{in_words(of_others)} in the {others}.",
        {"explained": of_training, "explained_elsewhere": of_others},
    )


def _overfitting(message: str, figures: dict[str, float]) -> Finding:
    return Finding(
        "overfitting",
        message,
        figures,
        "Try more dropout and weight_decay, fewer n_neurons, early_stopping=True, a larger ensemble_size, and above "
        "all more rows. See that rows which belong together are held out together (hold_out='group').",
    )


def failed_member(courses: list[Course]) -> Iterator[Finding]:
    """A member that could not be trained, while others could; one that stops early may keep a high loss."""
    losses = np.array([course.loss.min() / course.base for course in courses])
    worst = float(losses.max() - np.median(losses))
    if worst > FAILED and np.median(losses) < 1 - LITTLE:
        yield Finding(
            "failed member",
            f"Network {int(np.argmax(losses)) + 1} of {len(courses)} never has a training loss below "
            f"{losses.max():.2g} times {courses[0].base_is}, while the middle one gets down to "
            f"{np.median(losses):.2g}.",
            {"worst": float(losses.max()), "median": float(np.median(losses))},
            "Set a smaller learning_rate or clip_norm=1.0, so that all members train.",
        )
