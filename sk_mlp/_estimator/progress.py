"""What is shown while networks train: a bar where there is a terminal or a notebook, and a line at the end."""

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
import rich
from rich.console import Console, ConsoleOptions
from rich.errors import LiveError
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from sk_mlp._estimator.history import mean_history
from sk_mlp._estimator.messages import counted
from sk_mlp.engine.run import Run

Report = Callable[[Run], None]


@contextmanager
def fit_progress(name: str, verbose: int, runs: Sequence[Run], remark: str = "") -> Iterator[Report]:
    """Show how the fit in the context goes; if it fails, nothing remains on the screen.

    Parameters
    ----------
    name : str
        Of the estimator.
    verbose : int
        0 for nothing, 1 for a bar and a line at the end, 2 for a line an epoch and member.
    runs : sequence of Run
        Of all members.
    remark : str
        Put into the line; of ``verbose=2``, before the others.

    Yields
    ------
    report : callable (run) -> None
        To be called after every epoch of a run, by one thread at a time.
    """
    if verbose > 1:
        if remark:
            say(f"{name}: {remark}")
        yield lambda run: say(_epoch_line(run, runs))
    elif verbose:
        began = time.perf_counter()
        with _bar_of_fit(runs) as report:
            yield report
        say(f"{name}: {_summary(runs)}, {time.perf_counter() - began:.1f} s{remark and f' ({remark})'}")
    else:
        yield lambda run: None


@contextmanager
def _bar_of_fit(runs: Sequence[Run]) -> Iterator[Report]:
    left, best, n_ended = {run: run.epochs_left for run in runs}, np.inf, 0
    with bar(sum(left.values()), counted(len(runs), "network")) as update:

        def report(run: Run) -> None:
            nonlocal best, n_ended
            before, left[run] = left[run], run.epochs_left
            n_ended += not left[run]
            monitor, sign = run.member.monitor, run.member.sign
            best = min(best, sign * run.latest[monitor])
            of_members = "" if len(runs) == 1 else f"{n_ended}/{len(runs)} done, "
            figures = _figures(run, ("loss", "val_loss"), n_digits=3)
            words = f"{of_members}epoch {run.epoch}, {figures}, best {sign * best:.3g}"  # fits into 80 columns
            update(before - left[run], words)

        yield report


def _epoch_line(run: Run, runs: Sequence[Run]) -> str:
    which = "" if len(runs) == 1 else f", network {runs.index(run) + 1}/{len(runs)}"
    return f"Epoch {run.epoch}/{run.member.epochs}{which}: {_figures(run)}"


def _figures(run: Run, only: Sequence[str] = (), n_digits: int = 4) -> str:
    """The last epoch's figures, without those of held-out rows where these have joined the training rows."""
    n = len(run.history["loss"])
    shown = {name: values[-1] for name, values in run.history.items() if len(values) == n}
    return ", ".join(f"{name} {value:.{n_digits}g}" for name, value in shown.items() if not only or name in only)


def _summary(runs: Sequence[Run]) -> str:
    """A line of how many networks and epochs there were, and of the figures that are kept."""
    trained = [run.outcome() for run in runs]
    n_epochs = [len(one.history["loss"]) for one in trained]
    first_epoch = runs[0].epoch - n_epochs[0]
    kept = max(one.best_epoch for one in trained) - first_epoch
    figures = {name: values[kept] for name, values in mean_history(trained, first_epoch).items() if kept >= 0}
    shown = [f"{name} {figures[name]:.4g}" for name in ("loss", "val_loss") if np.isfinite(figures.get(name, np.nan))]
    fewest, most = min(n_epochs), max(n_epochs)
    epochs = counted(most, "epoch") if fewest == most else f"{fewest} to {most} epochs"
    return ", ".join([counted(len(runs), "network"), epochs, *shown])


# The bar


class TimeLeft(ProgressColumn):
    """The time that is left, never cut short."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """As minutes:seconds."""
        left = "-:--" if task.time_remaining is None else _clock(task.time_remaining)
        return Text(f"{left} left", style="progress.remaining", no_wrap=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Words(ProgressColumn):
    """The words beside the bar, as many as there is room for."""

    def render(self, task: Task) -> "Parts":
        """The task's words."""
        return Parts(task.description)


class Parts:
    """Parts that commas divide. The last ones are left out where there is no room for them."""

    def __init__(self, words: str):
        self._words = words

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(len(self._words.partition(",")[0]), len(self._words))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        shown = self._words
        while len(shown) > options.max_width and "," in shown:
            shown = shown.rpartition(",")[0]
        yield Text(shown, no_wrap=True, overflow="ellipsis")


@contextmanager
def bar(total: int, words: str) -> Iterator[Callable[[int, str], None]]:
    console = rich.get_console()
    if not total or not _can_draw(console):
        yield lambda advance, words: None
        return
    shrinks = Column(no_wrap=False, overflow="ellipsis")  # rich would make narrower what may be wrapped
    progress = Progress(
        BarColumn(bar_width=10, table_column=shrinks),
        TimeLeft(),
        Words(table_column=shrinks.copy()),
        console=console,
        transient=True,
    )
    shown = progress.add_task(words, total=total)
    try:
        progress.start()
    except LiveError:  # of older versions, where another bar is shown
        yield lambda advance, words: None
        return
    try:
        yield lambda advance, words: progress.update(shown, advance=advance, description=words)
    finally:
        progress.stop()


def _can_draw(console: Console) -> bool:
    """Whether no other bar can be there: workers of a pool share the terminal, and threads the process."""
    is_main = multiprocessing.current_process().name == "MainProcess"
    if not is_main or threading.current_thread() is not threading.main_thread():
        return False
    if console.is_jupyter:
        return find_spec("ipywidgets") is not None
    return console.is_terminal and not console.is_dumb_terminal


def say(line: str) -> None:
    """Print a line in one piece, so that those of several workers do not mix."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
