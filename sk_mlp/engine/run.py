"""One member's way through training: its history, when it stops, and which epoch's state it keeps."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sk_mlp._network.layout import State, StateLayout
from sk_mlp._network.names import is_dropout_rate
from sk_mlp._network.spec import Member, Trained
from sk_mlp.engine.recipe import Recipe

RESOLUTION = float(np.finfo(np.float32).eps)  # relative to 1: a figure so near to the member's ideal cannot improve
STALL = 8  # epochs without improvement, after which a member counts as stalled

SAVED = (
    *("layout", "epoch", "state", "kept", "best_epoch", "improved_at", "best", "history"),
    *("stopped_by", "has_stalled", "has_joined", "n_rows"),
)


@dataclass(eq=False)
class Run:
    """A member in training. It may pause after any epoch and go on later, in another population.

    With ``patience``, the state of the epoch of the best monitored figure is kept, if the member keeps the best;
    otherwise the last one. A member whose loss is no longer finite stops and keeps what it had. One whose held-out rows
    join the others has no figures of held-out rows from then on, and keeps the last state whose loss on these rows is
    still as low as when they joined.

    Attributes
    ----------
    recipe : Recipe
        Of its own network, which may be narrower than its population's.
    member : Member
    layout : StateLayout or None
        Of its states; None until it has entered a population.
    epoch : int
        Number of the next epoch.
    state : State or None
        Present one, while it is in no population; None for one that follows from the member's seed.
    kept : State or None
        Of the epoch that is kept.
    best_epoch : int
        Number of that epoch; that of the first one - 1 for the initial state.
    improved_at : int
        Number of the epoch with the best monitored figure.
    best : float
        That figure, times the member's sign.
    history : dict of str to list of float
        One entry an epoch; those of held-out rows end where these join the others.
    until : float
        Number of the epoch at which it pauses.
    stopped_by : {"epochs", "patience", "perfect", "non-finite", "callback"} or None
        None while there are epochs to run.
    has_stalled : bool
        Whether it has gone without improvement for a while; only with ``patience``.
    has_joined : bool
        Whether the member trains on its held-out rows too.
    n_rows : int
        How many rows it has been trained on, epoch by epoch.
    """

    recipe: Recipe
    member: Member
    layout: StateLayout | None = None
    epoch: int = 0
    state: State | None = None
    kept: State | None = None
    best_epoch: int = -1
    improved_at: int = -1
    best: float = np.inf
    history: dict[str, list[float]] = field(default_factory=dict)
    until: float = np.inf
    stopped_by: str | None = None
    has_stalled: bool = False
    has_joined: bool = False
    n_rows: int = 0

    @classmethod
    def begin(cls, recipe: Recipe, member: Member, epoch: int = 0, state: State | None = None) -> "Run":
        """A run from this epoch on."""
        return cls(recipe, member, epoch=epoch, state=state, best_epoch=epoch - 1, improved_at=epoch - 1)

    @property
    def latest(self) -> dict[str, float]:
        """Figures of the last epoch."""
        return {name: values[-1] for name, values in self.history.items()}

    @property
    def hyper(self) -> dict[str, float]:
        """The member's numbers in the next epoch; its dropout may adapt."""
        if not self.member.dropout_rule:
            return self.member.hyper
        rate = self.member.dropout_rule(self.history.get("val_loss", []), self.has_stalled)
        return {name: rate if is_dropout_rate(name) else n for name, n in self.member.hyper.items()}

    @property
    def is_done(self) -> bool:
        """Whether it has stopped, or come to where it pauses."""
        return self.stopped_by is not None or self.epoch >= self.until

    @property
    def epochs_left(self) -> int:
        """How many epochs it may still have until it is done."""
        return 0 if self.is_done else int(min(self.member.epochs, self.until) - self.epoch)

    def enter(self, layout: StateLayout, start: State) -> None:
        """Begin, or go on, in a population, which has the state from now on."""
        self.layout, self.state, self.kept = layout, None, self.kept or start

    def leave(self, state: State | None, kept: State | None) -> None:
        """Leave a population with the present state, and with the one to keep if that has changed."""
        self.state, self.kept = state, kept or self.kept

    def pause_before(self, epoch: float) -> None:
        """Pause when this epoch would be next."""
        self.until = epoch

    def end_with(self, n_epochs: int) -> None:
        """Have no more than so many epochs."""
        self.member = replace(self.member, epochs=min(self.member.epochs, n_epochs))

    def stop(self) -> None:
        """Stop, as a callback asks for."""
        self.stopped_by = self.stopped_by or "callback"

    def keep_epoch(self, epoch: int) -> None:
        """Count this epoch as the one that is kept: a callback has set its weights."""
        self.best_epoch = epoch

    def saved(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {name: getattr(self, name) for name in SAVED}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go to where a run of the same member was."""
        n_seen, had_joined = len(self.history.get("loss", ())), self.has_joined
        vars(self).update(saved)
        if self.has_joined and not had_joined:
            self.member = self.member.joined()
        for value in self.history.get(self.member.monitor, ())[n_seen:]:
            self.member.schedule.observe(self.member.sign * value)

    def update(self, logs: dict[str, float]) -> bool:
        """Take in the figures of an epoch.

        Parameters
        ----------
        logs : dict of str to float
            Those of the held-out rows have ``val_`` before the name, or, without such rows, are those of some training
            rows: their loss tells whether the weights are still finite.

        Returns
        -------
        improved : bool
            Whether the state after this epoch is the one to keep.
        """
        member = self.member
        for name, value in logs.items():
            if not name.startswith("val_") or (len(member.validation) and not self.has_joined):
                self.history.setdefault(name, []).append(value)
        member.schedule.observe(member.sign * logs[member.monitor])
        watched = member.sign * logs[member.monitor] if member.patience is not None else -np.inf
        finite = bool(np.isfinite(logs["loss"]) and np.isfinite(logs["val_loss"]))
        explains = logs.get("val_output_loss", logs["val_loss"]) < member.join_below
        is_best = member.patience is None or watched < self.best - member.min_delta
        is_better = finite and (explains if self.has_joined else is_best)
        improved = is_better or (finite and not member.keeps_best)
        if is_better:
            self.best, self.improved_at = watched, self.epoch
        if improved:
            self.best_epoch = self.epoch
        if not finite:
            self.stopped_by = "non-finite"
        elif self._is_perfect(watched):
            self.stopped_by = "perfect"
        elif member.patience is not None and self.epoch - self.improved_at >= member.patience:
            self.stopped_by = "patience"
        elif self.epoch + 1 >= member.epochs:
            self.stopped_by = "epochs"
        self.has_stalled |= self.epoch - self.improved_at >= STALL
        if explains and member.may_join and not self.has_joined and not self.stopped_by:
            self.member, self.has_joined = member.joined(), True
        self.epoch += 1
        self.n_rows += len(member.train)
        return improved

    def _is_perfect(self, watched: float) -> bool:
        ideal = self.member.ideal if self.member.patience is not None else None
        return ideal is not None and abs(watched - ideal) <= RESOLUTION  # some losses fall below zero

    def outcome(self) -> Trained:
        """What has been trained, after the run has left its population."""
        assert self.kept and self.layout
        return Trained(
            state=self.kept,
            history=self.history,
            best_epoch=self.best_epoch,
            stopped_by=self.stopped_by or "epochs",
            layout=self.layout,
        )
