"""What it takes to serve a model: a process that loads it and predicts, by sk_mlp in three ways, and by peers.

``cold`` starts a process for each way and number of threads: from its start to the first prediction, its resident
memory then, and the time of 1, 500 and 100,000 rows. What holds the same model must predict the same.

``products`` compares predictions of the default ensemble with nothing but the float32 matrix products of its members,
in this process, one after the other.

Exits with 1 if predictions differ. California housing and adult are read from the folder named by SK_MLP_DATA, if set.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import contextlib
import importlib.util
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _common import Checks, Target, environment, interleaved, median, number, options, print_table, seconds
from _tables import TABLES, split, synthetic
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

with contextlib.suppress(ImportError):
    import pytabkit  # noqa: F401  before TensorFlow, or else torch's LLVM ends the process when it finds TensorFlow's

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor, save_model, to_onnx

REPEATS = {"cold": 3, "products": 10}
OWN = ("sk_mlp, estimator", "sk_mlp, predictor", "sk_mlp, ONNX")
TARGETS = {
    "sk_mlp, estimator": {1: Target("<=", 1.0, " ms"), 500: Target("<=", 15.0, " ms")},
    "sk_mlp, predictor": {"cold": Target("<=", 0.4, " s"), "memory": Target("<=", 120, " MB")},
}


def pickled(estimator: Any, path: Path) -> None:
    with open(path, "wb") as file:
        pickle.dump(estimator, file)


def written(folder: Path, X: NDArray, y: NDArray, epochs: int) -> dict[str, Path]:
    """The file of each way to serve, fitted to these rows; of those that are installed."""
    mlp = KerasMLPClassifier(epochs=epochs, random_state=0).fit(X, y)
    fitted: dict[str, Callable[[Path], Any]] = {
        "sk_mlp, estimator": lambda path: pickled(mlp, path),
        "sk_mlp, predictor": lambda path: save_model(mlp, path),
    }
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        fitted["sk_mlp, ONNX"] = lambda path: to_onnx(mlp, path)
    network = make_pipeline(StandardScaler(), MLPClassifier(max_iter=epochs, random_state=0)).fit(X, y)
    fitted["scikit-learn"] = lambda path: pickled(network, path)
    if importlib.util.find_spec("catboost"):
        from catboost import CatBoostClassifier

        trees = CatBoostClassifier(verbose=False, random_seed=0, allow_writing_files=False).fit(X, y)
        fitted["CatBoost"] = lambda path: trees.save_model(str(path))
    if importlib.util.find_spec("pytabkit"):
        from pytabkit import RealMLP_TD_Classifier

        realmlp = RealMLP_TD_Classifier(device="cpu", random_state=0, n_epochs=epochs).fit(X, y)
        fitted["RealMLP"] = lambda path: pickled(realmlp, path)
    paths = {name: folder / f"model_{i}" for i, name in enumerate(fitted)}
    for name, write in fitted.items():
        write(paths[name])
    return paths


def served(name: str, path: Path, rows: Path, output: Path, n_threads: int, repeats: int) -> dict[str, Any]:
    """What a process of its own tells: see _serve.py."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = os.environ | dict.fromkeys(names, str(n_threads)) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    program = str(Path(__file__).with_name("_serve.py"))
    command = [sys.executable, program, name, path, rows, output, str(n_threads), str(time.time()), str(repeats)]
    run = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{name} does not predict: {run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def cold(smoke: bool, repeats: int, checks: Checks) -> None:
    """A process for each way, in turns."""
    X, y = make_classification(400 if smoke else 4000, 30, n_informative=12, random_state=0)
    n_rows = 1000 if smoke else 100_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = folder / "rows.npy"
        np.save(rows, np.random.default_rng(0).normal(size=(n_rows, 30)))
        paths = written(folder, X, y, 2 if smoke else 20)
        outputs: dict[tuple[str, int], NDArray] = {}
        for n_threads in (1, 2):

            def serve(name: str, repeat: int, n_threads: int = n_threads) -> dict[str, Any]:
                output = folder / "output.npy"
                told = served(name, paths[name], rows, output, n_threads, 1 if smoke else 5)
                outputs[name, n_threads] = np.load(output)
                return told

            actions = {name: (lambda repeat, name=name: serve(name, repeat)) for name in paths}
            print_served(n_threads, interleaved(actions, repeats), n_rows, smoke)
    expected = outputs["sk_mlp, estimator", 1]
    for (name, n_threads), output in outputs.items():
        if name in OWN:
            same = (
                np.array_equal(output, expected) if name != "sk_mlp, ONNX" else np.abs(output - expected).max() <= 1e-5
            )
            how = "within 1e-5" if name == "sk_mlp, ONNX" else "to the last bit"
            checks.expect(bool(same), f"{name}, {n_threads} threads: as the estimator with one thread, {how}")


def print_served(n_threads: int, results: dict[str, list[dict]], n_rows: int, smoke: bool) -> None:
    """Medians of what the processes told."""
    sizes = sorted({1, min(500, n_rows), n_rows})
    table = []
    for name, told in results.items():
        figures: dict[Any, float] = {
            "cold": median(one["cold"] for one in told),
            "memory": median(one["memory"] for one in told) / 1e6,
        }
        figures |= {n: 1000 * median(one["seconds"][str(n)] for one in told) for n in sizes}
        targets = {} if smoke or n_threads == 1 else TARGETS.get(name, {})
        verdicts = [" ".join(target.cells(figures[key])) for key, target in targets.items()]
        table.append((name, *map(number, figures.values()), "; ".join(verdicts)))
    header = (f"a process with {n_threads} thread{'' if n_threads == 1 else 's'}", "first prediction, s", "memory, MB")
    print_table((*header, *(f"{n:,} rows, ms" for n in sizes), "targets"), table)


def bare_products(estimator: Any, n_rows: int) -> Callable[[], None]:
    """The float32 matrix products of all members, and nothing else."""
    members = [estimator._fitted.named_weights(m) for m in range(len(estimator._fitted.states))]
    kernels = [[a for name, a in weights.items() if name.endswith("/kernel")] for weights in members]
    pairs = [(np.ones((n_rows, len(a)), np.float32), np.asarray(a, np.float32)) for of_one in kernels for a in of_one]

    def multiply() -> None:
        for rows, kernel in pairs:
            rows @ kernel

    return multiply


def products(smoke: bool, repeats: int, checks: Checks) -> None:
    """Predictions of the default ensemble, then its bare products.

    Not in turns: for a tenth of a second after a large product, OpenBLAS' threads wait for the next one by spinning,
    and so take a core from whatever runs then.
    """
    rows = []
    has_data = "SK_MLP_DATA" in os.environ
    for name, make in (("california", KerasMLPRegressor), ("adult", KerasMLPClassifier)):
        table = TABLES[name]() if has_data else synthetic(2000)
        train = split(table, 0, False, train_rows=500 if smoke else 4000).train
        y = train.y if make is KerasMLPClassifier else train.y.astype(float)
        mlp = make(epochs=2 if smoke else 8, random_state=0).fit(train.X, y)
        X, method = table.X[: 1000 if smoke else 8000], mlp.predict_proba if make is KerasMLPClassifier else mlp.predict
        multiply = bare_products(mlp, len(X))
        predict = 1000 * median(seconds(method, X) for _ in range(repeats))
        bare = 1000 * median(seconds(multiply) for _ in range(repeats))
        target = Target("<=", 3.0, "x")
        title = name if has_data else f"synthetic, in place of {name}"
        verdict = ("", "") if smoke else target.cells(predict / bare)
        rows.append((f"{title}, {len(X):,} rows", number(predict), number(bare), f"{predict / bare:.2f}x", *verdict))
        whole, one = method(X), method(X[7:8])
        checks.expect(np.array_equal(whole[7:8], one), f"{title}: a row alone is predicted as among the others")
    print_table(("default ensemble", "predict, ms", "bare products, ms", "ratio", "target", ""), rows)


def main() -> int:
    smoke, repeats = options(__doc__, REPEATS)
    start, checks = time.perf_counter(), Checks()
    print(environment())
    for part, function in (("cold", cold), ("products", products)):
        if part in repeats:
            function(smoke, repeats[part], checks)
    print(f"{time.perf_counter() - start:.0f} s in all")
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
