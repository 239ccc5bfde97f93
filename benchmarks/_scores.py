"""How good a fitted model is, and how long its fit takes."""

import time
from typing import Any

import joblib
import numpy as np
import psutil
from _common import processor
from _methods import Fit
from _tables import Split, Table
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

BINS = 15
QUIET = 0.3  # busy cores of other processes, above which a time is in doubt


def calibration_error(y: NDArray, probabilities: NDArray) -> float:
    """How far the likeliest class's probability is from the share of rows that have it, in bins of equal width."""
    top = probabilities.max(axis=1)
    excess = (probabilities.argmax(axis=1) == y) - top
    sums = np.bincount(np.minimum((top * BINS).astype(int), BINS - 1), excess)
    return float(np.abs(sums).sum() / len(y))


def scores(model: Any, test: Table) -> dict[str, float | None]:
    """The measures of a fitted model, but the time of its fit."""
    start = time.perf_counter()
    predicted = model.predict(test.X)
    duration = time.perf_counter() - start
    if not test.classification:
        residuals = test.y - np.reshape(predicted, test.y.shape)
        errors = np.sqrt(np.mean(residuals**2, axis=0)) / np.std(test.y, axis=0)
        return {"error": float(np.mean(errors)), "logloss": None, "auc": None, "ece": None, "predict_seconds": duration}
    probabilities = np.asarray(model.predict_proba(test.X), float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = np.arange(probabilities.shape[1])
    return {
        "error": float(np.mean(np.ravel(predicted) != test.y)),
        "logloss": float(log_loss(test.y, probabilities, labels=labels)),
        "auc": float(
            roc_auc_score(test.y, probabilities[:, 1] if len(labels) == 2 else probabilities, multi_class="ovr")
        ),
        "ece": calibration_error(test.y, probabilities),
        "predict_seconds": duration,
    }


def busy_seconds() -> float:
    """How long the machine's cores have worked since its start, all together."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0)


def measure(fit: Fit, rows: Split, seed: int) -> dict[str, Any]:
    """Fit and judge a method; beside the measures, what its time depends on."""
    start, own, machine = time.perf_counter(), time.process_time(), busy_seconds()
    model = fit(rows.train.X, rows.train.y, seed)
    duration, own = time.perf_counter() - start, time.process_time() - own
    others = max(0.0, busy_seconds() - machine - own) / duration
    return {
        **scores(model, rows.test),
        "fit_seconds": duration,
        "processor_seconds": own,
        "cores": joblib.cpu_count(),
        "busy_cores_of_others": others,
        "processor": processor(),
    }


def badly_timed(entry: dict[str, Any]) -> bool:
    """Whether a fit had another processor or fewer cores than there are now, or had to share them."""
    same_machine = entry.get("processor") == processor() and entry["cores"] >= joblib.cpu_count()
    return entry["busy_cores_of_others"] > QUIET or not same_machine
