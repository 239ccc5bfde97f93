"""Data for the main job: scikit-learn's own sets, and the user's table."""

import lzma
import os
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_mlp._estimator.messages import counted, did_you_mean

BUNDLED = {
    "digits": ("classification", datasets.load_digits),
    "breast_cancer": ("classification", datasets.load_breast_cancer),
    "wine": ("classification", datasets.load_wine),
    "diabetes": ("regression", datasets.load_diabetes),
}
MAX_CLASSES = 20  # a target with more integer values than this is a quantity
# ValueError: not a table, not text, empty. The others: a compressed file that is cut short or none at all.
UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError)
MAX_CATEGORIES = 50  # columns for a column of strings; its rarer strings share one


class UserError(Exception):
    """An error that the user can mend; shown in one line."""


@dataclass(frozen=True)
class Data:
    """A task.

    Attributes
    ----------
    name : str
    X : ndarray or DataFrame of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    task : {"classification", "regression"}
    prepare : estimator
        Turns X into scaled numbers; not fitted.
    """

    name: str
    X: Any
    y: np.ndarray
    task: str
    prepare: BaseEstimator

    @property
    def score_name(self) -> str:
        """Name of the estimators' ``score``."""
        return "accuracy" if self.task == "classification" else "R2"


def load(name: str) -> Data:
    """One of scikit-learn's data sets."""
    if name in BUNDLED:
        task, loader = BUNDLED[name]
        X, y = loader(return_X_y=True)
        return Data(name, X, y, task, StandardScaler())
    path = Path(os.environ.get("SK_MLP_DATA", ""), f"{name}.npz")
    try:
        if "SK_MLP_DATA" in os.environ and path.exists():
            with np.load(path) as arrays:
                X, y = arrays["data"], arrays["target"]
        else:
            X, y = datasets.fetch_california_housing(return_X_y=True)
    except (*UNREADABLE, KeyError) as error:
        where = f"read {path}" if path.exists() else f"fetch {name} (set SK_MLP_DATA to a folder with {path.name})"
        raise UserError(f"cannot {where}: {one_line(error)}") from None
    return Data(name, X, y, "regression", StandardScaler())


def read_csv(path: Path, target: str, task: str | None) -> Data:
    """The user's table."""
    try:
        import pandas as pd
    except ImportError:
        raise UserError(
            "--csv needs pandas. Install it with the extra 'frames': pip install 'sk_mlp[frames]'"
        ) from None
    try:
        frame = pd.read_csv(path, low_memory=False)
    except UNREADABLE as error:
        raise UserError(f"cannot read {path}: {one_line(error)}") from None
    if target not in frame:
        columns = f" Its columns are {', '.join(map(repr, frame.columns[:20]))}."
        hint = did_you_mean(target, frame.columns) or columns
        raise UserError(f"{path} has no column {target!r}.{hint}")
    y = frame[target]
    X = frame[y.notna()].drop(columns=target)
    y = y[y.notna()]
    if X.shape[1] == 0:
        raise UserError(f"{path} has no column besides {target!r}")

    numbers = [column for column in X if pd.api.types.is_numeric_dtype(X[column])]
    infinite = [column for column in numbers if np.isinf(X[column].to_numpy(dtype=float)).any()]
    if infinite:
        raise UserError(f"column {infinite[0]!r} of {path} holds infinite values")
    strings = [column for column in X if column not in numbers]
    scaled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False)
    prepare = ColumnTransformer([("numbers", scaled, numbers), ("strings", one_hot, strings)])  # missing: a category
    is_number = pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)
    is_whole = is_number and bool(((y % 1 == 0) & (y.abs() < 2.0**63)).all())  # what int64 holds
    if task is None:
        task = "classification" if not is_number or (is_whole and y.nunique() <= MAX_CLASSES) else "regression"
    if task == "classification":
        return Data(path.name, X, y.to_numpy(dtype=np.int64 if is_whole else str), task, prepare)
    if not is_number or not np.isfinite(y).all():
        odd = y.iloc[0] if not is_number else y[~np.isfinite(y)].iloc[0]
        raise UserError(f"regression needs finite numbers in column {target!r} of {path}. Got {odd!r}")
    return Data(path.name, X, y.to_numpy(dtype=float), task, prepare)


def split(data: Data, cv: int, seed: int) -> list:
    """X_train, X_test, y_train, y_test: three quarters of the rows to train, with classes in proportion if possible.

    Raises
    ------
    UserError
        If the data cannot be learned from by ``cv`` folds, or not scored.
    """
    least = max(20, 4 * cv)
    values, counts = np.unique(data.y, return_counts=True)
    if len(data.y) < least:
        raise UserError(f"{data.name} has {counted(len(data.y), 'row')} with a target; at least {least} are needed")
    if len(values) == 1:
        raise UserError(f"the target of {data.name} is constant: {values[0]!s}")
    by_class = data.task == "classification" and counts.min() > 1 and len(data.y) >= 4 * len(values)
    parts = train_test_split(data.X, data.y, test_size=0.25, stratify=data.y if by_class else None, random_state=seed)
    if data.task == "classification" and np.unique(parts[2], return_counts=True)[1].max() < cv:
        raise UserError(
            f"the target of {data.name} has {counted(len(values), 'class', 'classes')} in "
            f"{counted(len(data.y), 'row')}, too many for {cv} folds; is it the right column? "
            "--task regression is for quantities"
        )
    return parts


def one_line(error: Exception) -> str:
    """An error's message in one line."""
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
