"""Tables with numbers, categories and missing values, as users have them, and their random splits."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from _data import read_idx
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

TRAIN_ROWS, TEST_ROWS = 12_000, 8_000  # at most


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a data set.

    Attributes
    ----------
    X : DataFrame of shape (n, n_features)
        Categories have pandas' dtype category and may be missing; all other columns are numbers.
    y : ndarray of shape (n,) or (n, n_targets)
        float64, or for classification int64 classes from 0.
    """

    X: pd.DataFrame
    y: NDArray

    @property
    def classification(self) -> bool:
        return self.y.dtype.kind == "i"

    def rows(self, numbers: NDArray) -> "Table":
        return Table(self.X.iloc[numbers].reset_index(drop=True), self.y[numbers])


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to train on and to judge by."""

    train: Table
    test: Table


def split(table: Table, seed: int, validate: bool, train_rows: int = TRAIN_ROWS, test_rows: int = TEST_ROWS) -> Split:
    """A random split: three quarters to train on, capped, and the others, capped, to judge by.

    Parameters
    ----------
    table : Table
    seed : int
    validate : bool
        Leave the test rows alone, and split the training rows once more, 80 to 20.
    train_rows, test_rows : int
        Caps.
    """
    train, test = train_test_split(np.arange(len(table.y)), test_size=0.25, random_state=seed)
    train, test = train[:train_rows], test[:test_rows]
    if validate:
        train, test = train_test_split(train, test_size=0.2, random_state=seed)
    return Split(table.rows(train), table.rows(test))


def read(
    file: str, targets: list[str], classification: bool, *, categories: tuple[str, ...] = (), missing: str | None = None
) -> Table:
    """The table of a CSV file: columns of strings, and those named, are categories."""
    frame = pd.read_csv(folder() / file, keep_default_na=False, na_values=missing)
    X, y = frame.drop(columns=targets), frame[targets].squeeze(axis=1)
    names = [*X.select_dtypes(exclude="number"), *categories]
    X = X.astype(dict.fromkeys(names, "category"))
    return Table(X, np.unique(y, return_inverse=True)[1].astype(np.int64) if classification else y.to_numpy(float))


def california() -> Table:
    with np.load(folder() / "california_housing.npz") as arrays:
        return Table(pd.DataFrame(arrays["data"], columns=arrays["feature_names"]), arrays["target"])


def fashion() -> Table:
    """The first 10,000 pictures."""
    pixels, classes = (
        read_idx(folder() / "fashion_mnist" / f"train-{name}.gz")[:10_000]
        for name in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    X = pd.DataFrame(pixels.reshape(len(pixels), -1)).add_prefix("pixel_")
    return Table(X, classes.astype(np.int64))


def synthetic(n_rows: int = 400) -> Table:
    """What takes the place of the real sets where these are missing."""
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", None], size=n_rows)
    X = pd.DataFrame({"size": rng.normal(size=n_rows), "colour": pd.Categorical(colour)})
    return Table(X, (X["size"] + (colour == "red") + 0.1 * rng.normal(size=n_rows) > 0.5).to_numpy(np.int64))


def folder() -> Path:
    return Path(os.environ["SK_MLP_DATA"])


TABLES: dict[str, Callable[[], Table]] = {
    "california": california,
    "adult": lambda: read("adult_train.csv.gz", ["income"], True, missing="?"),
    "credit_default": lambda: read(
        "credit_default.csv.gz", ["default_payment_next_month"], True, categories=("SEX", "EDUCATION", "MARRIAGE")
    ),
    "mammography": lambda: read("mammography.csv.gz", ["class"], True),
    "energy": lambda: read("energy_efficiency.csv.gz", ["heating_load", "cooling_load"], False),
    "wine_quality": lambda: read("wine_quality.csv.gz", ["quality"], False),
    "magic": lambda: read("magic_telescope.csv.gz", ["class"], True),
    "credit_g": lambda: read("credit_g.csv.gz", ["class"], True),
    "fashion": fashion,
}
