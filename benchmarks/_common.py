"""What the benchmarks share: their options, timing, tables and the check that scores agree."""

import argparse
import importlib.metadata
import os
import platform
import re
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import joblib
import psutil
from sklearn.exceptions import ConvergenceWarning

import sk_mlp

PACKAGES = ("numpy", "scikit-learn", "tensorflow", "keras", "scikeras", "skorch", "torch")
Result = TypeVar("Result")


def options(
    description: str | None, repeats: dict[str, int], shorthands: Iterable[str] = ()
) -> tuple[bool, dict[str, int]]:
    """Read the command line.

    Parameters
    ----------
    description : str
    repeats : dict of str to int
        Usual number of measurements, by part of the benchmark.
    shorthands : iterable of str
        Parts for which ``--part`` is short for ``--only part``.

    Returns
    -------
    smoke : bool
        Whether to take tiny sizes.
    repeats : dict of str to int
        Of the parts to run.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, once, to see that it works")
    parser.add_argument("--repeats", type=int, help=f"measurements of each figure (default: {repeats})")
    parser.add_argument("--only", nargs="+", choices=repeats, default=list(repeats), help="parts to run (default: all)")
    for part in shorthands:
        parser.add_argument(f"--{part}", dest="only", action="store_const", const=[part], help=f"as --only {part}")
    chosen = parser.parse_args()
    if chosen.repeats is not None and chosen.repeats < 1:
        parser.error(f"argument --repeats: must be at least 1. Got {chosen.repeats}.")
    # Peers are asked for a fixed number of epochs; that these end without convergence is meant.
    warnings.filterwarnings("ignore", "Stochastic Optimizer: Maximum iterations", ConvergenceWarning)
    if chosen.smoke:
        print("smoke: tiny sizes, the figures mean nothing")
    return chosen.smoke, {
        part: chosen.repeats or (1 if chosen.smoke else usual) for part, usual in repeats.items() if part in chosen.only
    }


def processor() -> str:
    """Its name."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    return named[1] if named else platform.processor() or platform.machine()


def environment() -> str:
    """A line on the machine and the versions."""
    versions = [f"sk_mlp {sk_mlp.__version__}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{joblib.cpu_count()} CPUs, {processor()}{load}; Python {platform.python_version()}, {', '.join(versions)}"


def seconds(function: Callable, *arguments) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def peak_memory(function: Callable[[], object]) -> int:
    """The most resident memory that this process has in the course of a call, in bytes."""
    process, peak, ended = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        function()
    finally:
        ended.set()
        watcher.join()
    return peak[0]


def interleaved(actions: dict[str, Callable[[int], Result]], repeats: int) -> dict[str, list[Result]]:
    """Results of ``action(repeat)``, taken in turns (A, B, C, A, B, C), so that a busy machine is so for all."""
    results: dict[str, list[Result]] = {name: [] for name in actions}
    for repeat in range(repeats):
        for name, action in actions.items():
            results[name].append(action(repeat))
    return results


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def number(value: float) -> str:
    """A figure with about three digits."""
    return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


@dataclass(frozen=True)
class Target:
    """A bound that a figure should keep.

    Attributes
    ----------
    relation : {"<=", ">="}
    bound : float
    unit : str
        Printed behind the bound.
    """

    relation: str
    bound: float
    unit: str = ""

    def cells(self, value: float) -> tuple[str, str]:
        """The target and whether the figure is what is asked of it: "ok" or "MISSED"."""
        kept = value <= self.bound if self.relation == "<=" else value >= self.bound
        return f"{self.relation} {self.bound:g}{self.unit}", "ok" if kept else "MISSED"


def target_cells(target: Target | None, value: float) -> tuple[str, str]:
    return target.cells(value) if target else ("", "")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print an aligned Markdown table: text in the first column, numbers in the others."""
    rows = list(rows)
    widths = [max(2, *map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    print()
    for first, *others in (header, rule, *rows):
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        print("|", " | ".join(cells), "|")
    print(flush=True)


@dataclass
class Checks:
    """What must hold for the figures to count.

    Attributes
    ----------
    failures : list of str
    """

    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, statement: str) -> None:
        """Print a statement and whether it holds; remember it if it does not."""
        print(f"{'ok' if holds else 'FAILED'}: {statement}", flush=True)
        if not holds:
            self.failures.append(statement)

    def parity(self, work: str, metric: str, scores: dict[str, float], tolerance: float) -> None:
        """The score of sk_mlp is no worse than the best peer's, but for a tolerance."""
        own = scores["sk_mlp"]
        best, name = max((score, name) for name, score in scores.items() if name != "sk_mlp")
        self.expect(
            own >= best - tolerance,
            f"{work}: {metric} of sk_mlp {own:.4f} >= {name}'s {best:.4f} - {tolerance:g}",
        )

    def exit_code(self) -> int:
        """0, or 1 after a list of what does not hold."""
        for statement in self.failures:
            print(f"FAILED: {statement}")
        return int(bool(self.failures))
