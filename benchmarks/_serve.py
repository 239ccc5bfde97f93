"""A process that only predicts: what it takes from its start to its first prediction, in memory, and for rows.

Run by bench_serve.py: ``python _serve.py NAME MODEL ROWS OUTPUT N_THREADS STARTED REPEATS``. It prints a line of JSON,
and writes the predictions. What is not needed for the one library is not imported.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _unpickled(path: Path, n_threads: int) -> Callable[[NDArray], NDArray]:
    import pickle

    with open(path, "rb") as file:
        return pickle.load(file).predict_proba


def _predictor(path: Path, n_threads: int) -> Callable[[NDArray], NDArray]:
    from sk_mlp import load_predictor

    return load_predictor(path).predict_proba


def _onnx(path: Path, n_threads: int) -> Callable[[NDArray], NDArray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (matrix,) = session.get_inputs()  # a single one, as X had no names in fit
    dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}[matrix.type]
    return lambda X: session.run(["probabilities"], {matrix.name: X.astype(dtype, copy=False)})[0]


def _catboost(path: Path, n_threads: int) -> Callable[[NDArray], NDArray]:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier()
    model.load_model(str(path))
    return lambda X: model.predict_proba(X, thread_count=n_threads)


LOADERS: dict[str, Callable[[Path, int], Callable[[NDArray], NDArray]]] = {
    "sk_mlp, estimator": _unpickled,
    "sk_mlp, predictor": _predictor,
    "sk_mlp, ONNX": _onnx,
    "scikit-learn": _unpickled,
    "CatBoost": _catboost,
    "RealMLP": _unpickled,
}


def seconds_of(predict_proba: Callable[[NDArray], NDArray], X: NDArray, at_least: int) -> float:
    """Median time of a call, of so many or of what half a second has room for, after one that does not count."""
    times: list[float] = []
    predict_proba(X)
    begin = time.perf_counter()
    while len(times) < at_least or (time.perf_counter() - begin < 0.5 and len(times) < 1000):
        start = time.perf_counter()
        predict_proba(X)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main(name: str, model: str, rows: str, output: str, n_threads: str, started: str, repeats: str) -> dict[str, Any]:
    X = np.load(rows)
    predict_proba = LOADERS[name](Path(model), int(n_threads))
    predict_proba(X[:1])
    cold = time.time() - float(started)
    import psutil  # after the first prediction, of which it is no part

    memory = psutil.Process().memory_info().rss
    found = {n: seconds_of(predict_proba, X[:n], int(repeats)) for n in sorted({1, min(500, len(X)), len(X)})}
    np.save(output, predict_proba(X[:500]))
    return {"cold": cold, "memory": memory, "seconds": found}


if __name__ == "__main__":
    import json

    print(json.dumps(main(*sys.argv[1:])))
