"""Prediction by a fitted network without TensorFlow, Keras and scikit-learn: numpy, scipy and narwhals alone."""

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import counted
from sk_mlp._network.forward import forward_of, mean_and_deviation
from sk_mlp._network.spec import Fitted
from sk_mlp._tables.numbers import in_float32
from sk_mlp._tables.reading import read_table
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.table import Table
from sk_mlp._targets.intervals import interval_of_y
from sk_mlp._targets.labels import LabelTargets
from sk_mlp._targets.numbers import NumberTargets

__all__ = ["Predictor"]


class _Only:
    """A method that only predictors of one kind have, as by scikit-learn's `available_if`, whose import takes long."""

    def __init__(self, of_classifiers: bool, instead: str, method: Callable):
        self.__doc__, self._method = method.__doc__, method
        self._of_classifiers, self._instead = of_classifiers, instead

    def __get__(self, predictor: Any, owner: type | None = None) -> Callable:
        if predictor is None:
            return self._method
        if hasattr(predictor, "classes_") != self._of_classifiers:
            whose = "A regressor's" if self._of_classifiers else "A classifier's"
            raise AttributeError(f"{whose} predictor has no {self._method.__name__}; use {self._instead}.")
        return MethodType(self._method, predictor)


_of_classifiers = partial(_Only, True, "predict")
_of_regressors = partial(_Only, False, "predict_proba")


class Predictor:
    """Predicts as a fitted estimator does, and does nothing else.

    It is made by `sk_mlp.load_predictor` from a file, or by `from_estimator`. It takes raw tables in every form that
    `fit` takes, and its predictions are those of the estimator to the last bit, by the same functions. Neither
    TensorFlow nor Keras is imported: a process that only predicts starts in some tenths of a second, in some 70 MB.

    It also takes rows as JSON has them, a list of dicts, if X had names of columns in `fit`: each dict has a value for
    each name, None for a missing one, and dates as strings of ISO 8601, such as "2024-05-31T08:00".

    A user's own ``model`` has no predictor: use the estimator, its `to_keras`, or ONNX.

    Parameters
    ----------
    fitted : Fitted
        What the estimator has learned of the network and y. Neither this nor the next one is for users.
    table : Table
        What it has learned of the columns of X.
    classes : ndarray of shape (n_classes,) or None
        Of a classifier.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,), object
        Names of the columns, if those of `fit` had names that are strings.
    classes_ : ndarray of shape (n_classes,)
        Labels, of a classifier. Where labels come as a matrix, the numbers of its columns.

    See Also
    --------
    load_predictor : Read one from a file.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import KerasMLPClassifier, Predictor
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = KerasMLPClassifier(ensemble_size=1, epochs=2, random_state=0).fit(X, y)
    >>> predictor = Predictor.from_estimator(mlp)
    >>> bool((predictor.predict_proba(X) == mlp.predict_proba(X)).all())
    True
    """

    def __init__(self, fitted: Fitted, table: Table, classes: NDArray | None):
        self._fitted, self._table = fitted, table
        self.n_features_in_ = table.n_features
        if table.names is not None:
            self.feature_names_in_ = np.array(table.names, dtype=object)
        if classes is not None:
            self.classes_ = classes

    def __repr__(self) -> str:
        classes = f", {len(self.classes_)} classes" if hasattr(self, "classes_") else ""
        return f"<{type(self).__name__} of {counted(self.n_features_in_, 'column')}{classes}>"

    @classmethod
    def from_estimator(cls, estimator: Any) -> "Predictor":
        """Make a predictor of a fitted estimator.

        Parameters
        ----------
        estimator : KerasMLPClassifier or KerasMLPRegressor
            Fitted, with the built-in network.

        Returns
        -------
        Predictor
            It shares the estimator's arrays, and does not change when the estimator is fitted again.

        Raises
        ------
        TypeError
            If it is no such estimator.
        ValueError
            If its network is a ``model`` of the user's own.
        """
        from sk_mlp._files.estimators import check_kept

        check_kept(estimator)
        return cls._of_fitted(estimator._fitted)

    @classmethod
    def _of_fitted(cls, fitted: Fitted) -> "Predictor":
        """A predictor from what an estimator has learned."""
        if fitted.spec is None:
            raise ValueError(NO_PREDICTOR)
        return cls(fitted, fitted.table, getattr(fitted.targets, "classes", None))

    def _matrix(self, X: Any) -> Matrix:
        """X as the networks take it."""
        return read_table(X, self._table, self._fitted.shift)

    def _try(self) -> None:
        """Predict a row of zeros, so that a network and y that do not fit together fail here rather than later."""
        fitted = self._fitted
        assert fitted.spec is not None
        zeros = in_float32(
            [np.zeros((1, fitted.spec.n_features))], fitted.shift, self._table.matrix_names, checks=False
        )
        for date in self._table.dates.values():
            date.encode(np.zeros(1))
        outputs = forward_of(fitted).of_members(zeros)
        if outputs.shape != (len(fitted.states), 1, fitted.spec.n_outputs):
            raise ValueError("the network's outputs are not as many as it says")
        self._labels(self._decoded(outputs[0]))

    def _labels(self, decoded: NDArray) -> NDArray:
        targets = self._fitted.targets
        return targets.labels(decoded) if isinstance(targets, LabelTargets) else decoded

    def _decoded(self, output: NDArray) -> NDArray:
        """An output as probabilities of a classifier, or in y's units."""
        fitted, targets = self._fitted, self._fitted.targets
        if isinstance(targets, LabelTargets):
            return targets.probabilities(output, fitted.loss_of_logits, fitted.loss_of_margins)
        return cast(NumberTargets, targets).decode(output)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict labels, or numbers in y's units, as the estimator's `predict`.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix, list of dict} of shape (n_samples, n_features)
            Rows to predict.
        return_std : bool, default=False
            Whether to return how far the members of the ensemble disagree, too; of a regressor.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels of the dtype of ``classes_``, or float64 in y's units.
        y_std : ndarray of the same shape, float64
            Standard deviation of the members' predictions, in y's units; only with ``return_std``.

        Raises
        ------
        TypeError
            For ``return_std=True`` of a classifier.
        ValueError
            For ``return_std=True`` with a single network.
        """
        if not return_std:
            return self._labels(self._mean(X))
        if hasattr(self, "classes_"):
            raise TypeError("return_std=True is for regressors. Got a classifier's predictor; use predict_members.")
        mean, deviation = mean_and_deviation(self._outputs(X))
        targets = cast(NumberTargets, self._fitted.targets)
        return targets.decode(mean), targets.decode_spread(deviation)

    @_of_classifiers
    def predict_proba(self, X: Any) -> NDArray:
        """Predict the probability of each class, as the classifier's `predict_proba`.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix, list of dict} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``.

        Raises
        ------
        AttributeError
            If this is a regressor's predictor.
        """
        return self._mean(X)

    @_of_classifiers
    def predict_log_proba(self, X: Any) -> NDArray:
        """Predict the logarithm of each class's probability, as the classifier's `predict_log_proba`.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix, list of dict} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            As `predict_proba` has them; -inf where a probability is 0.

        Raises
        ------
        AttributeError
            If this is a regressor's predictor.
        """
        with np.errstate(divide="ignore"):
            return np.log(self._mean(X))

    @_of_regressors
    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[NDArray, NDArray]:
        """Predict an interval in which y lies with a given probability, as the regressor's `predict_interval`.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix, list of dict} of shape (n_samples, n_features)
            Rows to predict.
        coverage : float in (0, 1), default=0.9
            Probability that y lies within.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            In y's units.

        Raises
        ------
        AttributeError
            If this is a classifier's predictor.
        ValueError
            As `KerasMLPRegressor.predict_interval` does, mostly because there are no held-out rows.
        """
        targets = cast(NumberTargets, self._fitted.targets)
        return interval_of_y(self._outputs(X), self._fitted.held_out, coverage, targets)

    def predict_members(self, X: Any) -> NDArray:
        """Predict by each network of the ensemble alone, as the estimator's `predict_members`.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix, list of dict} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_members, n_samples, ...), float64
            Each member's probabilities, or numbers in y's units.
        """
        return np.stack([self._decoded(output) for output in self._outputs(X)])

    def _outputs(self, X: Any) -> list[NDArray]:
        """Output of each member, of shape (n_samples, width)."""
        return list(forward_of(self._fitted).of_members(self._matrix(X)))

    def _mean(self, X: Any) -> NDArray:
        return self._decoded(forward_of(self._fitted).mean(self._matrix(X)))


NO_PREDICTOR = (
    "A predictor has the built-in network only. Got a network of the user's own 'model'; use load_model, or the "
    "estimator's to_keras or ONNX."
)
