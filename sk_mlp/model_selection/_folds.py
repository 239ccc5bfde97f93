"""A fit of a search, and the rows of its fold."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from sk_mlp._estimator.base import BaseKerasMLP

Arguments = tuple[list, dict[str, Any]]  # arguments of a call of `fit`


@dataclass(eq=False)
class Fit:
    """An estimator to be fitted on the training rows of a fold.

    Attributes
    ----------
    estimator : estimator
        Unfitted; fitted in the end, unless there is an error.
    params : mapping
        What the candidate sets.
    split : int
        Number of the fold.
    number : int
        Of the fit, in its search.
    error : Exception or None
        What `fit` has raised.
    seconds : float
        Its share of the time.
    """

    estimator: BaseEstimator
    params: Mapping[str, Any]
    split: int
    number: int
    error: Exception | None = None
    seconds: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Within the context, measure the time, and keep an error that is raised."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:  # an error of the user's data, parameters or code belongs to this fit alone
            self.error = error
        finally:
            self.seconds += time.perf_counter() - began


def networks_of(estimator: BaseEstimator) -> dict[str, BaseKerasMLP]:
    """Estimators of this package by their names: those within an estimator, and itself as "estimator"."""
    parts = {"estimator": estimator, **estimator.get_params()}
    return {name: part for name, part in parts.items() if isinstance(part, BaseKerasMLP)}


class Folds(Mapping[int, Arguments]):
    """Arguments of `fit` for each fold, made at the first access.

    Parameters
    ----------
    estimator : estimator
    X, y
        All rows.
    train : list of ndarray of int
        Numbers of each fold's training rows.
    fit_params : mapping
        Further arguments of `fit`, for all rows.
    """

    def __init__(self, estimator: BaseEstimator, X: Any, y: Any, train: list[NDArray], fit_params: Mapping[str, Any]):
        self._estimator, self.X, self._y, self.train, self._fit_params = estimator, X, y, train, fit_params

    def __getitem__(self, split: int) -> Arguments:
        rows = self.train[split]
        parts = [part for part in _safe_split(self._estimator, self.X, self._y, rows) if part is not None]
        return parts, _check_method_params(self.X, self._fit_params, indices=rows)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.train)))

    def __len__(self) -> int:
        return len(self.train)
