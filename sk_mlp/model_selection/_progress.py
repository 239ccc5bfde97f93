"""What a search shows while it trains."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

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
    n_ended, began = sum(not n for n in to_run.values()), time.perf_counter()
    best: dict[str, float] = {}  # by the monitored figure: candidates may differ in what they monitor
    said = f"networks {{}}/{len(runs)}{{}}, structures {n_structures}"  # the part that matters least is cut first
    words = said.format(n_ended, "")
    with bar(sum(to_run.values()), words) as update:

        def report(run: Run) -> None:
            nonlocal n_ended, words
            monitor, better = run.member.monitor, np.fmin if run.member.sign > 0 else np.fmax
            best[monitor] = better(best.get(monitor, np.nan), run.latest[monitor])
            before, to_run[run] = to_run[run], run.epochs_left
            n_ended += not to_run[run]
            words = said.format(n_ended, "".join(f", best {name} {best[name]:.4g}" for name in sorted(best)))
            update(before - to_run[run], words)

        yield report
    say(f"{words}, {time.perf_counter() - began:.1f} s")
