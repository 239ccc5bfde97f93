"""What a search shows while it trains."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sk_mlp._estimator.progress import bar, say
from sk_mlp.engine.run import Run


@contextmanager
def progress(runs: list[Run], n_structures: int) -> Iterator[Callable[[Run], None]]:
    """Within the context, show a bar of the epochs that may still run; and a line at its end.

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
    to_run = {run: run.epochs_left for run in runs}
    n_ended, best, began = sum(not n for n in to_run.values()), float("inf"), time.perf_counter()
    said = f"networks {{}}/{len(runs)}{{}}, structures {n_structures}"  # the part that matters least is cut first
    words = said.format(n_ended, "")
    with bar(sum(to_run.values()), words) as update:

        def report(run: Run) -> None:
            nonlocal n_ended, best, words
            monitor, sign = run.member.monitor, run.member.sign
            best = min(best, sign * run.latest[monitor])
            before, to_run[run] = to_run[run], run.epochs_left
            n_ended += not to_run[run]
            words = said.format(n_ended, f", best {monitor} {sign * best:.4g}")
            update(before - to_run[run], words)

        yield report
    say(f"{words}, {time.perf_counter() - began:.1f} s")
