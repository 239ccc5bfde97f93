"""What a search shows while it trains."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sk_mlp.engine.run import Run


@contextmanager
def progress(runs: list[Run], n_structures: int) -> Iterator[Callable[[Run], None]]:
    """Show a bar of the epochs still to run, at most, within the context.

    Parameters
    ----------
    runs : list of Run
    n_structures : int
        Of their networks.

    Yields
    ------
    report : callable (run) -> None
        To be called after every epoch of a run.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    to_run = {run: run.epochs_left for run in runs}
    n_ended, best = sum(not n for n in to_run.values()), float("inf")

    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as bar:
        counts = f"networks {{}}/{len(runs)}, structures {n_structures}"
        shown = bar.add_task(counts.format(n_ended), total=sum(to_run.values()))

        def report(run: Run) -> None:
            nonlocal n_ended, best
            monitor, sign = run.member.monitor, run.member.sign
            best = min(best, sign * run.latest[monitor])
            before, to_run[run] = to_run[run], run.epochs_left
            n_ended += not to_run[run]
            text = f"{counts.format(n_ended)}, best {monitor} {sign * best:.4g}"
            bar.update(shown, advance=before - to_run[run], description=text)

        yield report
