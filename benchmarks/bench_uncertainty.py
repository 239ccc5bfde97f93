"""Whether 90 % intervals hold what they promise, and how wide they are: on five tables, by five splits each.

Intervals are those of `KerasMLPRegressor.predict_interval`, for the squared error, and between quantiles that one
network learns. Of each table three quarters are trained on, at most 3,000 rows, and the others judge, at most 4,000. A
width is in standard deviations of y; that of an interval which knows nothing of X is beside it. A set whose coverage,
the mean over its splits, is beyond 0.87 to 0.93 reads MISSED, and so does one with quantiles that cross.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _common import environment, print_table
from _tables import TABLES, Table, split
from sklearn.datasets import load_diabetes, make_friedman1

from sk_mlp import KerasMLPRegressor

COVERAGE, TOLERANCE = 0.9, 0.03
TRAIN_ROWS, TEST_ROWS = 3_000, 4_000
# Held-out rows that came to train would tell nothing any more.
METHODS: dict[str, dict[str, Any]] = {
    "squared error": {"early_stopping": True},
    "quantiles": {"loss": "quantile", "loss__quantile": [0.05, 0.5, 0.95]},
}


def _noisy() -> Table:
    """Friedman's function, with noise that grows with the last column."""
    X, y = make_friedman1(2_000, n_features=10, random_state=0)
    return Table(pd.DataFrame(X).add_prefix("x"), y + 4 * X[:, -1] * np.random.default_rng(0).normal(size=len(y)))


def _diabetes() -> Table:
    X, y = load_diabetes(return_X_y=True)
    return Table(pd.DataFrame(X).add_prefix("x"), y)


def _first_target() -> Table:
    table = TABLES["energy"]()
    return Table(table.X, table.y[:, 0])  # several quantiles are of one column


SETS: dict[str, Callable[[], Table]] = {
    "diabetes": _diabetes,
    "friedman": _noisy,
    "energy": _first_target,
    "wine_quality": TABLES["wine_quality"],
    "california": TABLES["california"],
}


def measured(table: Table, seed: int, method: str, rows: tuple[int, int], **settings: Any) -> dict[str, float]:
    """Coverage, width and time of one fit."""
    data = split(table, seed, False, *rows)
    mlp = KerasMLPRegressor(random_state=seed, **METHODS[method] | settings)
    begin = time.perf_counter()
    mlp.fit(data.train.X, data.train.y)
    seconds = time.perf_counter() - begin
    lower, upper = mlp.predict_interval(data.test.X, COVERAGE)
    predicted = mlp.predict(data.test.X)
    blind = np.diff(np.quantile(data.train.y, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]))[0]
    return {
        "coverage": float(np.mean((lower <= data.test.y) & (data.test.y <= upper))),
        "width": float(np.mean(upper - lower) / np.std(data.train.y)),
        "blind": float(blind / np.std(data.train.y)),
        "crossings": float(np.sum(lower > upper) + (np.sum(np.diff(predicted) < 0) if predicted.ndim == 2 else 0)),
        "seconds": seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one small set, one split and few epochs")
    parser.add_argument("--sets", nargs="+", choices=SETS, help="data sets (default: all)")
    parser.add_argument("--splits", nargs="+", type=int, metavar="SEED", default=[0, 1, 2, 3, 4])
    chosen = parser.parse_args()
    if "SK_MLP_DATA" not in os.environ and not chosen.smoke:
        parser.error("the folder of the data sets must be named by SK_MLP_DATA.")
    sets, splits = (["diabetes"], [0]) if chosen.smoke else (chosen.sets or list(SETS), chosen.splits)
    settings: dict[str, Any] = {"epochs": 2, "n_neurons": 8} if chosen.smoke else {}
    print(environment())
    lines, missed = [], False
    for name in sets:
        table = SETS[name]()
        for method in METHODS:
            runs = [measured(table, seed, method, (TRAIN_ROWS, TEST_ROWS), **settings) for seed in splits]
            figures = {figure: np.array([run[figure] for run in runs]) for figure in runs[0]}
            coverage = figures["coverage"]
            bad = abs(coverage.mean() - COVERAGE) > TOLERANCE or figures["crossings"].any()
            missed |= bool(bad)
            lines.append(
                (
                    name,
                    method,
                    f"{coverage.mean():.3f}{' MISSED' if bad and not chosen.smoke else ''}",
                    f"{coverage.min():.3f} to {coverage.max():.3f}",
                    f"{figures['width'].mean():.2f}",
                    f"{figures['blind'].mean():.2f}",
                    f"{figures['crossings'].sum():.0f}",
                    f"{np.median(figures['seconds']):.1f}",
                )
            )
            print(*lines[-1], file=sys.stderr, flush=True)
    print_table(("", "loss", "coverage", "of a split", "width", "without X", "crossings", "fit, s"), lines)
    return int(missed and not chosen.smoke)


if __name__ == "__main__":
    sys.exit(main())
