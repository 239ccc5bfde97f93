"""Whether the rate that `find_learning_rate` suggests is as good as the best of nine: on six tables, by ten seeds each.

A plain network of two hidden layers trains for 30 epochs at a constant rate, at each of nine rates from 1e-4 to 1 and
at the suggestion, which differs from seed to seed. The loss is that on held-out rows (30 %) at the epoch that is kept.
Shown is its mean over the seeds, as a ratio to that of the best of the nine rates. A set with a ratio above 1.1, or
with a loss that is not finite, reads MISSED.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import argparse
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import environment, print_table
from _data import housing
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    make_classification,
    make_friedman1,
)
from sklearn.preprocessing import StandardScaler

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor
from sk_mlp.model_selection import PopulationGridSearchCV, find_learning_rate

RATES, LIMIT = np.geomspace(1e-4, 1, 9), 1.1


def _california() -> tuple[Any, Any]:
    data = housing(2_000)
    return data.X, data.y


SETS: dict[str, tuple[type, Callable[[], tuple[Any, Any]]]] = {
    "diabetes": (KerasMLPRegressor, lambda: load_diabetes(return_X_y=True)),
    "california": (KerasMLPRegressor, _california),
    "friedman": (KerasMLPRegressor, lambda: make_friedman1(1_500, noise=1.0, random_state=0)),
    "breast cancer": (KerasMLPClassifier, lambda: load_breast_cancer(return_X_y=True)),
    "digits": (KerasMLPClassifier, lambda: load_digits(return_X_y=True)),
    "noisy": (
        KerasMLPClassifier,
        lambda: make_classification(2_000, 20, n_informative=8, flip_y=0.2, random_state=0),
    ),
}


def kept_loss(estimator: Any, X: Any, y: Any) -> float:
    """Less the loss on the rows that the fit has held out, at its best epoch."""
    return -float(np.nanmin(estimator.history_["val_loss"]))


def losses_of(estimator: Any, X: Any, y: Any, candidates: list[dict]) -> np.ndarray:
    """The loss of each candidate, infinite where it is not finite; all are trained at once."""
    every_row = np.arange(len(X))
    grid = [{name: [value] for name, value in candidate.items()} for candidate in candidates]
    search = PopulationGridSearchCV(
        estimator, grid, cv=[(every_row, every_row[:10])], scoring=kept_loss, refit=False, error_score=-np.inf
    )
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    return np.where(np.isfinite(scores), -scores, np.inf)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one small set, two seeds and few epochs")
    parser.add_argument("--sets", nargs="+", choices=SETS, help="data sets (default: all)")
    parser.add_argument("--seeds", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--optimizer", default="adam", help='such as "sgd" (default: adam)')
    chosen = parser.parse_args()
    sets, n_seeds, epochs = (["diabetes"], 2, 3) if chosen.smoke else (chosen.sets or list(SETS), chosen.seeds, 30)
    warnings.simplefilter("ignore")  # of rates that are too high, whose fits fail
    plain = PLAIN_MLP | {"n_hidden": 2, "n_neurons": 30, "epochs": epochs, "patience": epochs}
    plain |= {"early_stopping": True, "validation_fraction": 0.3, "optimizer": chosen.optimizer}
    print(environment())
    lines, missed = [], False
    for name in sets:
        cls, load = SETS[name]
        X, y = load()
        X = np.clip(StandardScaler().fit_transform(X), -5, 5).astype(np.float32)
        suggestions = [find_learning_rate(cls(**plain), X, y, random_state=s).suggestion for s in range(n_seeds)]
        candidates = [{"learning_rate": rate, "random_state": s} for rate in RATES for s in range(n_seeds)]
        candidates += [{"learning_rate": rate, "random_state": s} for s, rate in enumerate(suggestions)]
        losses = losses_of(cls(**plain), X, y, candidates).reshape(-1, n_seeds)
        means, of_suggestion = losses[:-1].mean(axis=1), losses[-1]
        ratio = of_suggestion.mean() / means.min()
        bad = not ratio <= LIMIT
        missed |= bad
        spread = f"{min(suggestions):.2g} to {max(suggestions):.2g}"
        best = f"{RATES[np.argmin(means)]:.2g}"
        ratio_text = f"{ratio:.3f}{' MISSED' if bad and not chosen.smoke else ''}"
        lines.append((name, best, spread, ratio_text, f"{np.isfinite(of_suggestion).sum()} of {n_seeds}"))
        print(*lines[-1], file=sys.stderr, flush=True)
    print_table(("", "best of nine", "suggestion", "its loss / the best's", "finite"), lines)
    return int(missed and not chosen.smoke)


if __name__ == "__main__":
    sys.exit(main())
