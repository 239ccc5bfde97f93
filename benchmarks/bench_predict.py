"""Time of prediction: sk_mlp, scikit-learn's MLP, scikeras and, where installed, skorch, on the same rows in one run.

Exits with 1 if a peer scores better than sk_mlp by more than a tolerance after the same number of epochs, or if
predictions of sk_mlp differ from those of its Keras model. Real data are read from the folder named by SK_MLP_DATA, if
set.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import functools
import itertools
import sys
import time
from typing import Any

import numpy as np
from _common import (
    Checks,
    Target,
    environment,
    interleaved,
    median,
    number,
    options,
    print_table,
    seconds,
    target_cells,
)
from _data import Data, housing, images
from _peers import Work, installed_peers
from numpy.typing import NDArray

REPEATS = {"1x8": 10, "5000x8": 10, "10000x784": 10}


def train(title: str, data: Data, work: Work, epochs: int, tolerance: float, checks: Checks) -> tuple[dict, dict]:
    """Fitted estimators and their test scores, by peer, which must agree."""
    fitted = {name: peer.make(work, epochs, 0).fit(data.X, data.y) for name, peer in installed_peers().items()}
    scores = {name: work.score(estimator, data.X_test, data.y_test) for name, estimator in fitted.items()}
    checks.parity(f"{title}, {epochs} epochs", work.metric, scores, tolerance)
    return fitted, scores


def check_against_keras(title: str, estimator: Any, X: NDArray, checks: Checks) -> None:
    """Predictions of sk_mlp are those of its Keras model."""
    reference = estimator.model_.predict(X, verbose=0)
    if hasattr(estimator, "classes_"):
        output = estimator.predict_proba(X)
        labels = estimator.classes_[output.argmax(axis=1)]
        checks.expect(np.array_equal(estimator.predict(X), labels), f"{title}: labels are the likeliest classes")
    else:
        output, reference = estimator.predict(X), reference[:, 0]
    difference = float(np.abs(output - reference).max())
    checks.expect(difference <= 1e-4, f"{title}: largest difference from model_.predict, {difference:.1e}, <= 1e-4")


def compare(
    X: NDArray, fitted: dict, scores: dict, metric: str, repeats: int, calls: int, targets: dict[str, Target]
) -> None:
    """Time ``predict`` of all peers; each takes ``calls`` calls in its turn, after one that does not count.

    Targets are bounds of the milliseconds of sk_mlp, and of the others' ratio to it.
    """

    def burst(estimator: Any, repeat: int) -> list[float]:
        estimator.predict(X)
        return [seconds(estimator.predict, X) for _ in range(calls)]

    bursts = interleaved({name: functools.partial(burst, estimator) for name, estimator in fitted.items()}, repeats)
    medians = {name: 1000 * median(itertools.chain(*results)) for name, results in bursts.items()}
    own = medians["sk_mlp"]
    print_table(
        (f"predict, {len(X):,} x {X.shape[1]}", "ms", "/ sk_mlp", "target", "", f"test {metric}"),
        [
            (
                name,
                number(value),
                f"{value / own:.2f}x",
                *target_cells(targets.get(name), value if name == "sk_mlp" else value / own),
                f"{scores[name]:.4f}",
            )
            for name, value in medians.items()
        ],
    )


def main() -> int:
    smoke, repeats = options(__doc__, REPEATS)
    start, checks = time.perf_counter(), Checks()
    print(environment())
    tolerance = 0.3 if smoke else 0.05
    sizes = {"1x8": 1, "5000x8": 500 if smoke else 5000, "10000x784": 1000 if smoke else 10_000}
    targets = {"1x8": {"sk_mlp": Target("<=", 0.12, " ms")}, "5000x8": {"scikit-learn": Target(">=", 0.67, "x")}}
    for load, n_rows, work, epochs in (
        (housing, 5000, Work(False, (8, 30, 30, 1), 32, 0.1), 20),
        (images, 10_000, Work(True, (784, 300, 100, 10), 32, 0.0), 4),
    ):
        n_features = work.widths[0]
        parts = [part for part in repeats if part.endswith(f"x{n_features}")]
        if not parts:
            continue
        data = load(1000 if smoke else n_rows)
        fitted, scores = train(
            f"{data.source}, {data.size}, {work.widths[1:-1]}", data, work, epochs, tolerance, checks
        )
        for part in parts:
            X = np.resize(data.X_test, (sizes[part], n_features))
            check_against_keras(f"{len(X):,} x {n_features}", fitted["sk_mlp"], X, checks)
            calls = 2 if smoke else 20 if n_features == 8 else 5
            compare(X, fitted, scores, work.metric, repeats[part], calls, {} if smoke else targets.get(part, {}))
    print(f"{time.perf_counter() - start:.0f} s in all")
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
