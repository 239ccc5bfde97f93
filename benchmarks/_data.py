"""Data of the benchmarks: real where SK_MLP_DATA names a folder that has it, else synthetic of the same size."""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

HOUSING_ROWS = 15_480  # three quarters of California housing
IMAGE_ROWS = 55_000  # Fashion-MNIST less the usual 5,000 validation rows
LIMIT = 5.0  # standard deviations: a few blocks of California have 500 of them, and would decide R2 alone


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to train on and to test on.

    Attributes
    ----------
    X, X_test : ndarray of shape (n, n_features), float32
    y, y_test : ndarray of shape (n,)
        float32 of mean 0 and variance 1, or int64 classes.
    source : str
    """

    X: NDArray
    y: NDArray
    X_test: NDArray
    y_test: NDArray
    source: str

    @property
    def size(self) -> str:
        """Such as "15,480 x 8"."""
        return f"{len(self.X):,} x {self.X.shape[1]}"


def housing(n_rows: int) -> Data:
    """Regression on 8 standardised features."""
    path = Path(os.environ.get("SK_MLP_DATA", "")) / "california_housing.npz"
    rng = np.random.default_rng(0)
    if "SK_MLP_DATA" in os.environ and path.exists():
        with np.load(path) as arrays:
            X, y, source = arrays["data"], arrays["target"], "California housing"
        order = rng.permutation(len(X))
        X, y = X[order], y[order]
    else:
        X, source = rng.normal(size=(HOUSING_ROWS * 4 // 3, 8)), "synthetic"
        y = X[:, 0] + X[:, 1] + np.abs(X[:, 2]) + np.sin(X[:, 3]) + 0.5 * rng.normal(size=len(X))
    X_test, y_test = X[HOUSING_ROWS:], y[HOUSING_ROWS:]
    X, y = X[:n_rows], y[:n_rows]
    scaler, units = StandardScaler().fit(X), StandardScaler().fit(y[:, None])
    return Data(
        np.clip(scaler.transform(X), -LIMIT, LIMIT).astype(np.float32),
        units.transform(y[:, None])[:, 0].astype(np.float32),
        np.clip(scaler.transform(X_test), -LIMIT, LIMIT).astype(np.float32),
        units.transform(y_test[:, None])[:, 0].astype(np.float32),
        source,
    )


def images(n_rows: int) -> Data:
    """Classification of 784 features in [0, 1] into 10 classes."""
    folder = Path(os.environ.get("SK_MLP_DATA", "")) / "fashion_mnist"
    if "SK_MLP_DATA" in os.environ and folder.exists():
        X, y = (read_idx(folder / f"train-{name}.gz")[:n_rows] for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        X_test, y_test = (read_idx(folder / f"t10k-{name}.gz") for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        X, X_test = ((part.reshape(len(part), -1) / np.float32(255)) for part in (X, X_test))
        return Data(X, y.astype(np.int64), X_test, y_test.astype(np.int64), "Fashion-MNIST")
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(10, 2, 784)).astype(np.float32)  # two a class, so that no linear model suffices

    def draw(n):
        y, variant = rng.integers(10, size=n), rng.integers(2, size=n)
        noise = rng.normal(scale=3.0, size=(n, 784)).astype(np.float32)
        return np.clip(0.5 + 0.1 * (1.0 * prototypes[y, variant] + noise), 0, 1), y

    return Data(*draw(n_rows), *draw(10_000), "synthetic")


def read_idx(path: Path) -> NDArray:
    """Array of an idx file: 4 bytes, the last of them the number of dimensions; these, big-endian int32; the bytes."""
    content = gzip.decompress(path.read_bytes())
    n_dimensions = content[3]
    shape = np.frombuffer(content, ">i4", n_dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)
