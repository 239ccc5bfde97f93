"""Sparse X: frames of sparse columns, which become dense, and csr matrices, which networks take as they are."""

import os
import sys
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sk_mlp._estimator.messages import warn

UNLIKE = 100.0  # as large as the largest number of another column, at most


def dense_frame(X: Any) -> Any:
    """A pandas DataFrame with its sparse columns made dense; anything else as it is.

    Raises
    ------
    ValueError
        If the memory does not hold it.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(X, pandas.DataFrame):
        return X
    is_sparse = [isinstance(dtype, pandas.SparseDtype) for dtype in X.dtypes]
    if not any(is_sparse):
        return X
    n_bytes = len(X) * sum(np.dtype(X.dtypes.iloc[number].subtype).itemsize for number in np.flatnonzero(is_sparse))
    available = available_memory()
    try:
        if n_bytes > available:
            raise MemoryError
        columns = [
            X.iloc[:, number].sparse.to_dense() if is_sparse[number] else X.iloc[:, number]
            for number in range(X.shape[1])
        ]
        dense = pandas.concat(columns, axis=1)
    except MemoryError:
        raise ValueError(
            "X is a frame of sparse columns, which is made dense, so it must fit in memory. Got a frame of shape "
            f"{X.shape}, of {n_bytes / 1e9:.1f} GB when dense, where {available / 1e9:.1f} GB are available; pass a "
            "sparse matrix (X.sparse.to_coo().tocsr()), scaled by sklearn.preprocessing.MaxAbsScaler, or fewer columns."
        ) from None
    return dense


def available_memory() -> float:
    """Bytes of free memory, within this container's limit; inf where the system does not say."""
    return min(_free(), _limit_of_container())


def _free() -> float:
    try:
        with open("/proc/meminfo") as lines:
            return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return np.inf


def _limit_of_container() -> float:
    try:
        with open("/sys/fs/cgroup/memory.max") as limit:
            return float(limit.read())
    except (OSError, ValueError):  # no container, or no limit: "max"
        return np.inf


def warn_of_scales(X: csr_array) -> None:
    """Warn where some columns have much larger numbers than others.

    Warns
    -----
    UserWarning
    """
    largest = np.zeros(X.shape[1])
    np.maximum.at(largest, X.indices, np.abs(X.data))
    largest = largest[largest > 0]
    if len(largest) and largest.max() > UNLIKE * largest.min():
        warn(
            f"The columns of X differ in scale by a factor of {largest.max() / largest.min():.0f}, and a sparse matrix "
            "is taken as it is. Put sklearn.preprocessing.MaxAbsScaler before the network, or pass a dense X, whose "
            "columns are scaled by default."
        )
