"""What comes from the user, checked: X, y and weights, of the rows to train on and of those held out."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import _check_sample_weight, _check_y, check_array, check_consistent_length, validate_data

from sk_mlp._estimator.parameters import Parameters
from sk_mlp._tables.categories import Categories
from sk_mlp._tables.columns import as_array, as_table, has_missing_objects, is_plain, names_of
from sk_mlp._tables.dates import Dates
from sk_mlp._tables.matrix import learn_columns_of, special_columns, to_numbers
from sk_mlp._tables.numbers import DENSE, SPARSE, check_finite, in_float32
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.sparse import dense_frame
from sk_mlp._targets.kinds import Targets

HeldOut = tuple[Matrix, NDArray, NDArray, NDArray]


class DataChecks(Parameters, ABC):
    """Checks of the data. Abstract."""

    _categories: Categories
    _dates: Dates

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.pretrain is None
        tags.input_tags.allow_nan = self._takes_missing
        return tags

    @property
    def _takes_missing(self) -> bool:
        return self.model is None and self.pretrain is None and self.handle_missing != "error"

    def _finite(self, X) -> bool | str:
        """``ensure_all_finite`` of scikit-learn's checks: nan may be where the network has something to put there."""
        spec = self._fitted.spec if hasattr(self, "_fitted") else None
        planned = spec is None or spec.takes_missing
        return "allow-nan" if self._takes_missing and planned and not issparse(X) else True

    def _check_X_y(self, X, y, reset: bool, sample_weight=None) -> tuple[Matrix, NDArray]:
        """X as a matrix of numbers, and y as an array; with ``reset``, learn X's categories in rows with a weight.

        Dense numbers are of the types in `numbers.DENSE`: `in_float32` makes of them what networks train on.
        """
        X = dense_frame(as_table(X))
        if has_missing_objects(y):
            raise ValueError("Input y contains NaN, or another word for a missing value.")
        if reset:
            self._learn_table(X, sample_weight)
        if self._takes_as_it_is(X):
            checks = self._checks_of(X)
            matrix, y = validate_data(self, X, y, reset=reset, multi_output=True, **checks, **self._y_checks)
            return self._as_matrix(matrix), y
        X = self._coded(X, reset)
        y = _check_y(y, multi_output=True, estimator=self, **self._y_checks)
        check_consistent_length(X, y)
        return X, y

    def _check_X(self, X) -> Matrix:
        """X as what a fitted network takes."""
        return in_float32([self._check_numbers(X)], self._fitted.shift, self._column_names)

    def _check_numbers(self, X) -> Matrix:
        """X as a matrix of numbers, as `_check_X_y` returns it."""
        X = dense_frame(as_table(X))
        if not self._takes_as_it_is(X):
            return self._coded(X, reset=False)
        if isinstance(X, np.ndarray):
            return self._as_matrix(validate_data(self, X, reset=False, **self._checks_of(X)))
        validate_data(self, X, reset=False, skip_check_array=True)
        return self._as_matrix(check_array(as_array(X), estimator=self, input_name="X", **self._checks_of(X)))

    @property
    def _column_names(self) -> list:
        """Names of the matrix's columns, if X's have any: those made of a date have its name."""
        names = list(getattr(self, "feature_names_in_", []))
        of_dates = [names[number] for number, date in self._dates.items() for _ in date.features[1:] if names]
        return names + of_dates

    @property
    def _wants_dense(self) -> bool:
        """Whether the estimator is fitted, and scales or embeds columns: such a network has dense X only."""
        spec = self._fitted.spec if hasattr(self, "_fitted") else None
        return bool(spec and (spec.deep_plan or spec.wide_plan))

    def _checks_of(self, X) -> dict[str, Any]:
        """Arguments of scikit-learn's checks of X; `_as_matrix` checks that dense numbers are finite."""
        is_sparse = issparse(X)
        return {
            "dtype": SPARSE if is_sparse and not self._wants_dense else DENSE,
            "accept_sparse": "csr",
            "ensure_all_finite": self._finite(X) if is_sparse else False,
        }

    def _learn_table(self, X, sample_weight) -> None:
        """Learn X's categories and dates in rows with a weight."""
        categorical, dates = special_columns(X, self.categorical_features)
        for kind, numbers in (("Categorical", categorical), ("Date", dates)):
            if numbers and (self.model is not None or self.pretrain is not None):
                other = "model" if self.model is not None else "pretrain"
                names = names_of(X)
                raise ValueError(
                    f"{kind} columns of X, {[names[number] for number in numbers]}, need the built-in network, "
                    f"without {other!r}. Got {other}={getattr(self, other)!r}; encode them first."
                )
        scales = self.input_scaling is not None
        self._categories, self._dates = learn_columns_of(X, categorical, dates, sample_weight, scales)

    def _takes_as_it_is(self, X) -> bool:
        return not (self._categories or self._dates) and is_plain(X)

    def _as_matrix(self, X) -> Matrix:
        """Checked X in the form that the network takes."""
        if issparse(X):
            return X.toarray() if self._wants_dense else csr_array(X)
        with np.errstate(over="ignore", invalid="ignore"):
            is_finite = np.isfinite(np.sum(X)) if X.dtype.kind == "f" else X.dtype.kind in "biu"
        if not is_finite:  # or only its sum is not
            check_finite(X, self._finite(X) == "allow-nan", self._column_names, type(self).__name__)
        return X

    def _coded(self, X, reset: bool) -> NDArray:
        validate_data(self, X, reset=reset, skip_check_array=True)
        if issparse(X):
            raise ValueError("X must be dense, for it has categorical columns. Got a sparse matrix; call toarray().")
        numbers = to_numbers(X, self._categories, self._dates, warn=not reset)
        return self._as_matrix(
            check_array(numbers, dtype=DENSE, ensure_all_finite=False, estimator=self, input_name="X")
        )

    def _check_unlabeled(self, X_unlabeled) -> Matrix:
        if self.pretrain is None:
            raise ValueError("X_unlabeled is for pretrain='autoencoder'. Got pretrain=None.")
        try:
            return self._check_numbers(X_unlabeled)
        except ValueError as error:
            raise ValueError(f"X_unlabeled is not valid: {error}") from error

    def _check_held_out(
        self, held_out: tuple, targets: Targets, y_train: NDArray, weights_train: NDArray
    ) -> HeldOut | None:
        X, y, sample_weight = held_out
        if X is None and y is None:
            if sample_weight is not None:
                raise ValueError("sample_weight_val needs X_val and y_val. Got None for both.")
            return None
        if X is None or y is None:
            missing = "X_val" if X is None else "y_val"
            raise ValueError(f"X_val and y_val must be given together. Got {missing}=None.")
        try:  # scikit-learn's messages speak of X, y and sample_weight
            X, y = self._check_X_y(X, y, reset=False)
            y = targets.check(y.toarray() if issparse(y) else y, "y_val")  # type: ignore[attr-defined]
            given = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            of_classes = self._class_weights(targets, np.concatenate([y_train, y]), weights_train)
            of_classes = of_classes[len(y_train) :] if isinstance(of_classes, np.ndarray) else of_classes
            weights = without_zero_total(given * of_classes, "sample_weight_val")
            counts = row_counts(given, of_classes)[weights > 0]
            return *rows_with_weight(X, y, weights), counts
        except ValueError as error:
            raise ValueError(f"The held-out rows (X_val, y_val, sample_weight_val) are not valid: {error}") from error

    @property
    @abstractmethod
    def _y_checks(self) -> dict[str, Any]:
        """Further arguments of scikit-learn's checks of y."""

    @abstractmethod
    def _class_weights(self, targets: Targets, y: NDArray, weights: NDArray) -> NDArray | float:
        """Weight of each row by its class; ``weights`` as in `weights_of_classes`."""


def row_counts(given: NDArray, of_classes: NDArray | float) -> NDArray:
    """How often each row occurs: its weight, if all are whole numbers, else once; times that of its class, if whole."""
    if not np.array_equal(given, np.rint(given)):
        return np.ones(len(given))
    return given * of_classes if np.array_equal(of_classes, np.rint(of_classes)) else given


def rows_with_weight(X: Matrix, y: NDArray, weights: NDArray) -> tuple[Matrix, NDArray, NDArray]:
    """The rows of positive weight; a row that does not count must not cost a step either."""
    if weights.all():
        return X, y, weights
    kept = weights > 0
    return X[kept], y[kept], weights[kept]


def without_zero_total(weights: NDArray, name: str) -> NDArray:
    """The weights, unless they are all zero."""
    if not weights.sum() > 0:
        wrong = f"times class_weight too. Got a sum of {weights.sum()}."
        raise ValueError(f"{name} must contain at least one non-zero number, {wrong}")
    return weights
