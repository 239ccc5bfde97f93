"""What a search shows while it trains."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sk_mlp.engine.run import Run


@contextmanager
def progress(runs: list[Run], n_cohorts: int) -> Iterator[Callable[[Run], None]]:
    """Show a bar of the epochs still to run, at most, within the context.

    Yields
    ------
    report : callable (run) -> None
        To be called after every epoch of a run.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    total = sum(run.member.epochs - run.epoch for run in runs)
    n_stopped, best, monitor = 0, float("inf"), ""

    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as bar:
        shown = bar.add_task(f"{len(runs)} networks, {n_cohorts} structures", total=total)

        def report(run: Run) -> None:
            nonlocal n_stopped, best, monitor
            monitor = run.member.monitor
            best = min(best, run.member.sign * run.latest[monitor])
            n_stopped += run.stopped_by is not None
            rest = run.member.epochs - run.epoch if run.stopped_by else 0
            text = f"{n_stopped}/{len(runs)} networks, {n_cohorts} structures, best {monitor} {abs(best):.4g}"
            bar.update(shown, advance=1 + rest, description=text)

        yield report
