"""What each part of sk_mlp's defaults buys and costs: the defaults, less one part at a time, on nine tables.

Judged by a fifth of the training rows of `bench_quality.py`'s splits, so that its test rows remain unseen. A change is
the mean over sets and splits of the logarithm of a ratio: of the shifted errors, and of the log-losses.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import argparse
import functools
import sys
from typing import Any

import numpy as np
from _common import environment, print_table
from _methods import fit_sk_mlp
from _scores import measure
from _tables import TABLES, split, synthetic

from sk_mlp.engine.program import PROGRAMS

SHIFT = 0.01  # of errors, as in bench_quality.py
WITHOUT: dict[str, dict[str, Any]] = {
    "defaults": {},
    "no ensemble": {"ensemble_size": 1},
    "ensemble of 4": {"ensemble_size": 4},
    "no numerical embedding": {"numerical_embedding": None},
    "periodic embedding (pbld)": {"numerical_embedding": "pbld"},
    "periodic embedding (plr)": {"numerical_embedding": "plr"},
    "standard scaling, no clip": {"input_scaling": "standard"},
    "no learned scale": {"learned_scale": False},
    "parametric activation, the other way": {},  # on where it is off by default, and off where it is on
    "relu": {"activation": "relu"},
    "constant learning rate": {"lr_schedule": None},
    "coslog4": {"lr_schedule": "coslog4"},
    "no weight decay": {"weight_decay": 0.0},
    "dropout 0": {"dropout": 0.0},
    "dropout 0.1": {"dropout": 0.1},
    "dropout 0.25": {"dropout": 0.25},
    "averaged weights (ema 0.98)": {"ema_momentum": 0.98},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "no calibration": {"calibrate": False},
    "patience 16": {"patience": 16},
    "batches of 32": {"batch_size": 32},
    "held-out rows never join the others": {"early_stopping": True},
}
OF_CLASSIFIERS, OF_REGRESSORS = {"label_smoothing", "calibrate"}, {"early_stopping"}


def parameters_of(name: str, classification: bool) -> dict[str, Any] | None:
    """What to set, or None for what only the other kind has."""
    changed = WITHOUT[name]
    if name.startswith("parametric"):
        return {"parametric_activation": classification}
    return None if changed.keys() & (OF_REGRESSORS if classification else OF_CLASSIFIERS) else changed


def change(entries: list[dict], defaults: list[dict], measure_name: str, shift: float) -> str:
    """Mean change of a measure, in percent."""
    pairs = [(a[measure_name], b[measure_name]) for a, b in zip(entries, defaults, strict=True)]
    logs = [np.log((a + shift) / (b + shift)) for a, b in pairs if a is not None]
    return f"{100 * np.mean(logs):+.1f} %" if logs else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one small set and few parts, to see that it works")
    parser.add_argument("--sets", nargs="+", choices=TABLES, help="data sets (default: all but fashion)")
    parser.add_argument("--splits", nargs="+", type=int, metavar="SEED", default=[0, 1, 2])
    parser.add_argument("--parts", nargs="+", choices=WITHOUT, help="parts (default: all)")
    chosen = parser.parse_args()
    real = "SK_MLP_DATA" in os.environ and not chosen.smoke
    if not real and not chosen.smoke:
        parser.error("the folder of the data sets must be named by SK_MLP_DATA.")
    sets = chosen.sets or [name for name in TABLES if name != "fashion"]
    tables = {name: TABLES[name]() for name in sets} if real else {"synthetic": synthetic()}
    parts = chosen.parts or (["no ensemble", "no numerical embedding"] if chosen.smoke else list(WITHOUT))
    print(environment())
    rows = []
    runs = [(name, seed) for name in tables for seed in (chosen.splits if real else [0])]
    defaults: dict[tuple[str, int], dict] = {}
    for part in dict.fromkeys(["defaults", *parts]):
        entries, theirs = [], []
        for name, seed in runs:
            parameters = parameters_of(part, tables[name].classification)
            if parameters is None:
                continue
            PROGRAMS.clear()  # each part pays for its own compiling
            data = split(tables[name], seed, True, *((150, 100) if chosen.smoke else ()))
            entry = measure(functools.partial(fit_sk_mlp, **parameters), data, seed)
            defaults.setdefault((name, seed), entry)
            entries.append(entry)
            theirs.append(defaults[name, seed])
        ratio = sum(e["processor_seconds"] for e in entries) / sum(e["processor_seconds"] for e in theirs)
        rows.append(
            (part, change(entries, theirs, "error", SHIFT), change(entries, theirs, "logloss", 0), f"{ratio:.2f}")
        )
        print(*rows[-1], file=sys.stderr, flush=True)
    print_table(("", "error", "log-loss", "processor time, ratio"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
