"""Quality of the models that users get by writing nothing: sk_mlp and its peers, with their defaults, on nine tables.

Three random splits of each data set, 75 to 25, at most 12,000 rows to train on and 8,000 to judge by. The error is the
share of wrong classes, or the root mean squared error over the standard deviation of the targets (nRMSE, the mean over
targets). The shifted geometric mean is exp(mean(log(error + 0.01))) over all runs. A rank is that of a set's mean error
among the methods; the normalised score of a set is 1 for its best method and 0 for its worst.

What peers reach is read from quality_peers.json where it stands there, and else measured and written to it: only sk_mlp
runs each time. Settings are to be chosen by --validate, which leaves the test rows alone.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import argparse
import ast
import contextlib
import functools
import json
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

with contextlib.suppress(ImportError):
    import pytabkit  # noqa: F401  before TensorFlow, or else torch's LLVM ends the process when it finds TensorFlow's

import numpy as np
from _common import Target, environment, number, print_table, target_cells
from _methods import Fit, Method, fit_sk_mlp, peers
from _scores import badly_timed, measure
from _tables import TABLES, Split, split, synthetic
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning

CACHE = Path(__file__).with_name("quality_peers.json")
SHIFT = 0.01
ROUNDING = 1e-6  # of the entries of the file
SLOW = ("scikeras MLP", "RealMLP-TD-S", "RealMLP-TD")  # left out of --smoke, unless named
MEASURES = {
    "error": "class error or nRMSE",
    "logloss": "log-loss",
    "auc": "area under the ROC curve",
    "ece": "expected calibration error",
    "fit_seconds": "fit, s",
    "predict_seconds": "predict, s",
}
FIGURES = {
    "error": "error, % lower",
    "wins": "sets won",
    "logloss": "log-loss, % lower",
    "time": "fit s, ratio",
    "processor_time": "processor s, ratio",
    "calibrated": "sets calibrated as well",
}
TARGETS = {
    "scikit-learn MLP": {"error": Target(">=", 15), "wins": Target(">=", 8)},
    "RealMLP-TD-S": {"error": Target(">=", 4), "logloss": Target(">=", 10), "time": Target("<=", 0.333)},
    "RealMLP-TD": {"error": Target(">=", 2), "logloss": Target(">=", 10), "time": Target("<=", 0.167)},
    "CatBoost": {
        "error": Target(">=", 5),
        "logloss": Target(">=", 0),
        "wins": Target(">=", 5),
        "time": Target("<=", 1.5),
        "calibrated": Target(">=", 5),
    },
}
SMALL_SETS, SMALL_PEERS = ("credit_g", "energy"), ("scikit-learn MLP", "scikit-learn linear")
Run = tuple[str, int]  # data set, number of the split
Results = dict[str, dict[Run, dict[str, Any]]]  # by method


def read_cache() -> dict[str, dict[str, Any]]:
    return json.loads(CACHE.read_text()) if CACHE.exists() else {}


def write_cache(key: str, entry: dict[str, Any]) -> None:
    """Add an entry to the file, one a line, sorted."""
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in entry.items()}
    entries = read_cache() | {key: rounded}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(entries[key])}" for key in sorted(entries))
    CACHE.with_suffix(".part").write_text(f"{{\n{lines}\n}}\n")
    CACHE.with_suffix(".part").replace(CACHE)


def peer_entry(name: str, peer: Method, rows: Split, run: Run, chosen: argparse.Namespace) -> dict | None:
    """What a peer reaches, from the file where it has that; None if it has not, and the peer is not installed."""
    place = f" | {run[0]} | split {run[1]} | {'validation' if chosen.validate else 'test'}"
    entries = read_cache()
    if not peer.installed:
        keys = sorted(key for key in entries if key.startswith(f"{name} ") and key.endswith(place))
        return entries[keys[-1]] if keys else None
    key = f"{name} {peer.version}{place}"
    known = None if chosen.rerun else entries.get(key)
    if known and not (chosen.retime and badly_timed(known)):
        return known
    peer.warm_up()
    entry = measured(name, peer.fit, rows, run)
    if known and badly_timed(entry):
        return known
    write_cache(key, entry)
    return entry


def measured(name: str, fit: Fit, rows: Split, run: Run) -> dict[str, Any]:
    """A measurement, and a line on it."""
    entry = measure(fit, rows, run[1])
    figures = " ".join(f"{key} {value:.4f}" for key, value in entry.items() if isinstance(value, float))
    print(f"{name}, {run[0]}, split {run[1]}: {figures}", file=sys.stderr, flush=True)
    return entry


def collect(tables: dict[str, Any], chosen: argparse.Namespace) -> Results:
    """Results of all methods on all splits of all sets; those of peers without a result are left out."""
    own, others = functools.partial(fit_sk_mlp, **dict(chosen.ours)), peers()
    results: Results = {name: {} for name in chosen.methods}
    for run in [(table_name, seed) for table_name in tables for seed in chosen.splits]:
        rows = split(tables[run[0]], run[1], chosen.validate, *((150, 100) if chosen.smoke else ()))
        for name in chosen.methods:
            if name == chosen.name:
                entry = measured(name, own, rows, run)
            elif chosen.smoke:
                entry = measured(name, others[name].fit, rows, run) if others[name].installed else None
            else:
                entry = peer_entry(name, others[name], rows, run, chosen)
            if entry:
                results[name][run] = entry
    return {name: runs for name, runs in results.items() if runs}


def values(runs: dict[Run, dict[str, Any]], measure: str, chosen: Iterable[Run] | None = None) -> NDArray:
    """A measure's values in some runs, or all of them, where it has one."""
    found = [runs[run][measure] for run in (runs if chosen is None else chosen)]
    return np.array([value for value in found if value is not None], float)


def shifted_geometric_mean(errors: NDArray, shift: float = SHIFT) -> float:
    return float(np.exp(np.mean(np.log(errors + shift))))


def set_means(runs: dict[Run, dict[str, Any]], measure: str) -> dict[str, float]:
    """Means over the splits of each set that has the measure."""
    names = dict.fromkeys(run[0] for run in runs)
    means = {name: values(runs, measure, [run for run in runs if run[0] == name]) for name in names}
    return {name: float(found.mean()) for name, found in means.items() if len(found)}


def print_measure(results: Results, measure: str, title: str) -> None:
    """A row a data set, a column a method."""
    columns = {name: set_means(runs, measure) for name, runs in results.items()}
    sets = dict.fromkeys(name for means in columns.values() for name in means)
    digits = ".4f" if measure in ("error", "logloss", "auc", "ece") else ".2f"
    rows = [
        (name, *(f"{means[name]:{digits}}" if name in means else "" for means in columns.values())) for name in sets
    ]
    print_table((title, *columns), rows)


def print_summary(results: Results) -> None:
    """A row a method, over all its runs."""
    means = {name: set_means(runs, "error") for name, runs in results.items()}
    ranks: dict[str, list[float]] = {name: [] for name in results}
    normalised: dict[str, list[float]] = {name: [] for name in results}
    for table_name in dict.fromkeys(run[0] for runs in results.values() for run in runs):
        names = [name for name in results if table_name in means[name]]
        errors = np.array([means[name][table_name] for name in names])
        span = np.ptp(errors) or 1.0
        for name, rank, error in zip(names, rankdata(errors), errors, strict=True):
            ranks[name].append(float(rank))
            normalised[name].append(float((errors.max() - error) / span))
    rows = []
    for name, runs in results.items():
        losses, calibration = values(runs, "logloss"), values(runs, "ece")
        rows.append(
            (
                name,
                str(len(runs)),
                f"{shifted_geometric_mean(values(runs, 'error')):.4f}",
                f"{np.mean(ranks[name]):.2f}",
                f"{np.mean(normalised[name]):.2f}",
                f"{shifted_geometric_mean(losses, 0.0):.4f}" if len(losses) else "",
                f"{np.mean(values(runs, 'auc')):.4f}" if len(losses) else "",
                f"{np.mean(calibration):.4f}" if len(losses) else "",
                *(number(values(runs, what).sum()) for what in ("fit_seconds", "processor_seconds", "predict_seconds")),
            )
        )
    header = ("runs", "error, s.g.m.", "rank", "normalised", "log-loss, g.m.", "AUC", "calibration error")
    print_table(("all sets", *header, "fit, s", "processor, s", "predict, s"), rows)


def figure(value: float) -> str:
    return str(value) if isinstance(value, int) else number(value)


def figures_against(own: dict[Run, Any], peer: dict[Run, Any]) -> tuple[int, dict[str, float]]:
    """How many runs both have, and the figures of sk_mlp against a peer over these."""
    common = [run for run in own if run in peer]

    def of_both(what: str) -> tuple[NDArray, NDArray]:
        return values(own, what, common), values(peer, what, common)

    def percent_lower(what: str, shift: float) -> float:
        ours, theirs = (shifted_geometric_mean(found, shift) for found in of_both(what))
        return 100 * (1 - ours / theirs)

    def ratio(what: str) -> float:
        ours, theirs = of_both(what)
        return float(ours.sum() / theirs.sum())

    ours, theirs = (set_means({run: runs[run] for run in common}, "error") for runs in (own, peer))
    figures = {
        "error": percent_lower("error", SHIFT),
        "wins": sum(ours[name] < theirs[name] - ROUNDING for name in ours),
        "time": ratio("fit_seconds"),
        "processor_time": ratio("processor_seconds"),
    }
    if len(of_both("logloss")[0]):
        ours, theirs = (set_means({run: runs[run] for run in common}, "ece") for runs in (own, peer))
        calibrated = sum(ours[name] <= theirs[name] for name in ours)
        figures |= {"logloss": percent_lower("logloss", 0.0), "calibrated": calibrated}
    return len(common), figures


def print_comparisons(results: Results, own_name: str, targets: dict[str, dict[str, Target]]) -> None:
    """The figures of sk_mlp against each peer, and whether they are what is asked for."""
    own = results[own_name]
    rows, judged = [], []
    for name, runs in results.items():
        if name == own_name or not set(own) & set(runs):
            continue
        n_common, figures = figures_against(own, runs)
        cells = (figure(figures[what]) if what in figures else "" for what in FIGURES)
        doubtful = sum(badly_timed(own[run]) or badly_timed(runs[run]) for run in own if run in runs)
        rows.append((f"against {name}", str(n_common), *cells, str(doubtful)))
        for what, target in targets.get(name, {}).items():
            if what in figures:
                label = f"{name}: {FIGURES[what]}"
                judged.append((label, figure(figures[what]), *target_cells(target, figures[what])))
    print_table((own_name, "runs", *FIGURES.values(), "times in doubt"), rows)
    for table_name in SMALL_SETS if targets else ():
        best = [set_means(results[name], "error").get(table_name) for name in SMALL_PEERS if name in results]
        ours = set_means(own, "error").get(table_name)
        if ours is not None and best and None not in best:
            ratio = ours / min(best)
            label = f"{table_name}: error over that of scikit-learn's best"
            judged.append((label, number(ratio), *target_cells(Target("<=", 1), ratio)))
    if judged:
        print_table(("targets", "", "target", ""), judged)


def assignment(text: str) -> tuple[str, Any]:
    """NAME=VALUE, where the value is a Python literal or else a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE. Got {text!r}.")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="two small sets, one split, to see that it works")
    parser.add_argument("--sets", nargs="+", choices=TABLES, help="data sets (default: all)")
    parser.add_argument("--splits", nargs="+", type=int, metavar="SEED", help="splits (default: 0 1 2)")
    parser.add_argument("--methods", nargs="+", choices=["sk_mlp", *peers()], help="methods (default: all)")
    parser.add_argument("--validate", action="store_true", help="judge by a fifth of the training rows")
    parser.add_argument("--rerun", action="store_true", help="measure peers again")
    parser.add_argument("--retime", action="store_true", help="measure peers again that were timed on a busy machine")
    parser.add_argument(
        "--ours", nargs="+", type=assignment, default=[], metavar="NAME=VALUE", help="parameters of sk_mlp"
    )
    parser.add_argument("--name", default="sk_mlp", help="what to call sk_mlp with these parameters")
    chosen = parser.parse_args()
    if not chosen.smoke and "SK_MLP_DATA" not in os.environ:
        parser.error("the folder of the data sets must be named by SK_MLP_DATA.")
    chosen.sets = chosen.sets or (["credit_g", "energy"] if chosen.smoke else list(TABLES))
    chosen.splits = chosen.splits or ([0] if chosen.smoke else [0, 1, 2])
    usual = [name for name in ["sk_mlp", *peers()] if not chosen.smoke or name not in SLOW]
    chosen.methods = [chosen.name if name == "sk_mlp" else name for name in chosen.methods or usual]
    return chosen


def main() -> int:
    chosen = options()
    warnings.filterwarnings("ignore", "Stochastic Optimizer: Maximum iterations", ConvergenceWarning)
    warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
    print(environment())
    if chosen.smoke:
        print("smoke: tiny sizes, the figures mean nothing")
    real = "SK_MLP_DATA" in os.environ
    results = collect({name: TABLES[name]() for name in chosen.sets} if real else {"synthetic": synthetic()}, chosen)
    print(f"{'Validation' if chosen.validate else 'Test'} rows; means over splits {chosen.splits}.")
    for measure_name, title in MEASURES.items():
        print_measure(results, measure_name, title)
    print_summary(results)
    if chosen.name in results:
        print_comparisons(results, chosen.name, {} if chosen.smoke else TARGETS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
