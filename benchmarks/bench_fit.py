"""Time of training: sk_mlp, scikit-learn's MLP, scikeras and, where installed, skorch, on the same work in one run.

The time of an epoch is the difference between a long and a short fit, divided by the difference of their epochs, so
that neither tracing nor compiling counts. Exits with 1 if a peer trained another number of epochs, or scores better
than sk_mlp by more than a tolerance. Real data are read from the folder named by SK_MLP_DATA, if set.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import functools
import gc
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import numpy as np
import psutil
from _common import (
    Checks,
    Target,
    environment,
    interleaved,
    median,
    number,
    options,
    peak_memory,
    print_table,
    seconds,
    target_cells,
)
from _data import HOUSING_ROWS, IMAGE_ROWS, Data, housing, images
from _peers import Peer, Work, installed_peers, make_sk_mlp
from numpy.typing import NDArray

import sk_mlp._estimator.training  # noqa: F401  imports TensorFlow, as the first fit would
from sk_mlp import KerasMLPRegressor

REPEATS = {"california": 5, "fashion-32": 3, "fashion-256": 3, "overheads": 5, "many-fits": 1, "rows": 1}
MIB = 2**20
Result = TypeVar("Result")


def compare(
    title: str,
    data: Data,
    work: Work,
    epochs: tuple[int, int],
    repeats: int,
    targets: dict[str, Target],
    tolerance: float,
    checks: Checks,
) -> None:
    """Time the epochs of all peers, and check that they score alike after the same number of them."""
    short, long = epochs

    def timed_fit(name: str, peer: Peer, n_epochs: int, seed: int) -> tuple[Any, float]:
        estimator = peer.make(work, n_epochs, seed)
        duration = seconds(estimator.fit, data.X, data.y)
        if peer.epochs_run(estimator) != n_epochs:
            checks.expect(False, f"{title}: {name} trains for {n_epochs} epochs, not {peer.epochs_run(estimator)}")
        return estimator, duration

    def measure(name: str, peer: Peer, seed: int) -> dict[str, float]:
        _, brief = timed_fit(name, peer, short, seed)
        estimator, full = timed_fit(name, peer, long, seed)
        epoch = (full - brief) / (long - short)
        score = work.score(estimator, data.X_test, data.y_test)
        return {"epoch": epoch, "beyond": brief - short * epoch, "full": full, "score": score}

    peers = installed_peers()
    for name, peer in peers.items():
        timed_fit(name, peer, short, 0)
    measured = interleaved({name: functools.partial(measure, name, peer) for name, peer in peers.items()}, repeats)
    medians = {
        name: {what: median(result[what] for result in results) for what in results[0]}
        for name, results in measured.items()
    }
    own = medians["sk_mlp"]
    rows = []
    for name, figures in medians.items():
        ratio = figures["epoch"] / own["epoch"]
        times = (number(1000 * figures["epoch"]), f"{ratio:.1f}x", *target_cells(targets.get(name), ratio))
        rows.append((name, *times, f"{figures['score']:.4f}", number(figures["full"]), number(figures["beyond"])))
    header = ("epoch, ms", "/ sk_mlp", "target", "", f"test {work.metric}", f"{long} epochs, s", "beyond epochs, s")
    print_table((title, *header), rows)
    checks.parity(title, work.metric, {name: figures["score"] for name, figures in medians.items()}, tolerance)


def in_new_process(function: Callable[..., Result], *arguments) -> Result:
    """The function's result in a process that has imported this file, and done nothing else."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def fit_seconds(data: Data, widths: tuple[int, ...], epochs: int, rows: NDArray | None = None, **parameters) -> float:
    """Seconds of a fit of sk_mlp."""
    work = Work(False, (data.X.shape[1], *widths, 1), 32, 0.1)
    X, y = (data.X, data.y) if rows is None else (data.X[rows], data.y[rows])
    return seconds(make_sk_mlp(work, epochs, 0, **parameters).fit, X, y)


def first_fit_beyond_epochs(data: Data, widths: tuple[int, ...], more_epochs: int = 20) -> tuple[float, float]:
    """Seconds of the first fit of a structure, of one epoch, without that epoch; and seconds of an epoch."""
    gc.collect()  # Python does so after every so many new objects: in the fit, or just before it, as chance has it
    first = fit_seconds(data, widths, 1)
    again, longer = (fit_seconds(data, widths, epochs) for epochs in (1, 1 + more_epochs))
    epoch = (longer - again) / more_epochs
    return first - epoch, epoch


# What a user waits for: everything from the start of Python.
PROGRAM = """
import numpy as np
from sk_mlp import PLAIN_MLP, KerasMLPRegressor
X = np.random.default_rng(0).normal(size=(1000, 8))
KerasMLPRegressor(**PLAIN_MLP | {"hidden_layer_sizes": (30, 30), "epochs": 1}).fit(X, X[:, 0])
"""


def run_program() -> None:
    """Run a program that imports sk_mlp and trains a small network for an epoch."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True)


def overheads(data: Data, repeats: int, targets: dict[str, Target]) -> None:
    """What a fit of sk_mlp costs beyond its epochs."""
    fresh = [in_new_process(first_fit_beyond_epochs, data, (30, 30))[0] for _ in range(repeats)]
    programs = [seconds(run_program) for _ in range(repeats)]
    widths = (30, 30)
    first_fit_beyond_epochs(data, widths)
    new = [first_fit_beyond_epochs(data, (31 + repeat, 29 - repeat % 20))[0] for repeat in range(repeats)]
    epoch = median(first_fit_beyond_epochs(data, widths)[1] for _ in range(repeats))
    rng = np.random.default_rng(0)
    second = []
    for repeat in range(10 * repeats):
        fold = rng.permutation(len(data.X))[1 + repeat % 2 :]
        rate = float(10 ** rng.uniform(-4, -2))
        second.append(fit_seconds(data, widths, 1, fold, learning_rate=rate, random_state=repeat) - epoch)
    rows = [
        ("first fit of a structure, s", median(new), max(new), targets.get("first")),
        ("first fit in a fresh process, imports aside, s", median(fresh), max(fresh), None),
        ("a program of one fit of 1,000 rows, imports included, s", median(programs), max(programs), None),
        (
            "fit with another learning rate and fold, ms",
            1000 * median(second),
            1000 * max(second),
            targets.get("second"),
        ),
    ]
    print_table(
        (f"{data.size}, (30, 30), batch 32: beyond the epochs", "median", "most", "target", ""),
        [(name, number(value), number(most), *target_cells(target, value)) for name, value, most, target in rows],
    )


def many_fits(data: Data, n_fits: int) -> tuple[list[float], list[float]]:
    """Seconds of each of many fits of sk_mlp in this process, and resident memory after it, MiB."""
    process, times, memory = psutil.Process(), [], []
    for seed, rate in enumerate(np.geomspace(1e-4, 1e-2, n_fits)):
        times.append(fit_seconds(data, (30, 30), 3, learning_rate=float(rate), random_state=seed))
        memory.append(process.memory_info().rss / MIB)
    return times, memory


def growth(data: Data, n_fits: int, targets: dict[str, Target]) -> None:
    """Whether memory and time grow over many fits: after the first 20, the next 20 against the last 20."""
    times, memory = in_new_process(many_fits, data, n_fits)
    some = min(20, n_fits // 3)
    early, late = np.mean(times[some : 2 * some]), np.mean(times[-some:])
    grown = memory[-1] - memory[some - 1]
    header = (f"after {some} fits", "at the end", "growth", "target", "")
    print_table(
        (f"{n_fits} fits of {data.size}, 3 epochs, in one process", *header),
        [
            (
                "resident memory, MiB",
                number(memory[some - 1]),
                number(memory[-1]),
                number(grown),
                *target_cells(targets.get("memory"), grown),
            ),
            (
                f"mean seconds of {some} fits",
                number(early),
                number(late),
                f"{late / early:.2f}x",
                *target_cells(targets.get("time"), late / early),
            ),
        ],
    )


def default_fit(n_rows: int, n_columns: int, dtype: str) -> tuple[float, float, float]:
    """Seconds of an epoch of a regressor with its defaults, MiB of its rows, and MiB at the peak, those included."""
    rng = np.random.default_rng(0)

    def rows(n: int) -> tuple[NDArray, NDArray]:
        X = rng.standard_normal((n, n_columns), dtype=dtype)
        return X, X[:, 0] + np.sin(X[:, 1]) + rng.standard_normal(n, dtype=dtype)

    def fit(epochs: int, X: NDArray, y: NDArray) -> float:
        return seconds(KerasMLPRegressor(epochs=epochs, random_state=0).fit, X, y)

    fit(1, *rows(1000))  # what TensorFlow itself takes is not counted
    gc.collect()
    before = psutil.Process().memory_info().rss
    X, y = rows(n_rows)
    peak = peak_memory(lambda: fit(1, X, y))
    epoch = fit(2, X, y) - fit(1, X, y)
    return epoch, (X.nbytes + y.nbytes) / MIB, (peak - before) / MIB


def growth_of_defaults(sizes: list[tuple[int, int, str]], targets: dict[str, Target]) -> None:
    """How the time and the memory of the defaults grow with rows and columns."""
    measured = {size: in_new_process(default_fit, *size) for size in sizes}
    (n, n_columns, _), (of_first, *_) = next(iter(measured.items()))
    cells = []
    for size, (epoch, data, peak) in measured.items():
        growth = epoch / of_first / (size[0] * size[1] / (n * n_columns))
        asked = targets.get("peak") if size[0] == max(n_rows for n_rows, *_ in sizes) else None
        judged = (number(growth), *target_cells(targets.get("growth"), growth))
        judged += (number(peak), number(peak / data), *target_cells(asked, peak / data))
        cells.append((f"{size[0]:,} x {size[1]}, {size[2]}", number(epoch), *judged))
    header = ("epoch, s", "as rows x columns", "target", "", "peak, MiB", "/ data", "target", "")
    print_table(("defaults", *header), cells)


def main() -> int:
    smoke, repeats = options(__doc__, REPEATS)
    start, checks = time.perf_counter(), Checks()
    print(environment())

    def asked(**targets: Target) -> dict[str, Target]:
        return {} if smoke else {name.replace("_", "-"): target for name, target in targets.items()}

    tolerance = 0.3 if smoke else 0.03
    houses = housing(1000 if smoke else HOUSING_ROWS)
    if "california" in repeats:
        compare(
            f"{houses.source}, {houses.size}, (30, 30), batch 32, 10 % held out",
            houses,
            Work(False, (8, 30, 30, 1), 32, 0.1),
            (2, 12),
            repeats["california"],
            asked(scikeras=Target(">=", 30, "x"), scikit_learn=Target(">=", 5, "x")),
            tolerance,
            checks,
        )
    for part, batch_size, targets in (
        ("fashion-32", 32, asked(scikeras=Target(">=", 4, "x"), scikit_learn=Target(">=", 2.5, "x"))),
        ("fashion-256", 256, asked(scikeras=Target(">=", 1.6, "x"), scikit_learn=Target(">=", 1, "x"))),
    ):
        if part in repeats:
            pictures = images(1000 if smoke else IMAGE_ROWS)
            compare(
                f"{pictures.source}, {pictures.size}, (300, 100), batch {batch_size}",
                pictures,
                Work(True, (784, 300, 100, 10), batch_size, 0.0),
                (1, 4) if smoke else (1, 2),
                repeats[part],
                targets,
                tolerance,
                checks,
            )
    if "overheads" in repeats:
        overheads(houses, repeats["overheads"], asked(first=Target("<=", 1, " s"), second=Target("<=", 30, " ms")))
    if "many-fits" in repeats:
        targets = asked(memory=Target("<=", 30, " MiB"), time=Target("<=", 1.1, "x"))
        growth(housing(1000), 30 if smoke else 300, targets)
    if "rows" in repeats:
        few = [(100_000, 10, "float64"), (100_000, 20, "float64")]
        sizes = [(500, 4, "float64")] if smoke else [*few, (1_000_000, 20, "float64"), (1_000_000, 20, "float32")]
        growth_of_defaults(sizes, asked(growth=Target("<=", 1.1, "x"), peak=Target("<=", 3, "x")))
    print(f"{time.perf_counter() - start:.0f} s in all")
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
