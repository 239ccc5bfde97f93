"""What displays and `diagnose` check of estimators."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sk_mlp._estimator.base import BaseKerasMLP


def fitted_mlp(estimator: Any) -> BaseKerasMLP:
    """The fitted estimator itself, or the last step of a Pipeline.

    Raises
    ------
    TypeError
        If it is something else.
    NotFittedError
        If it is not fitted.
    """
    mlp = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(mlp, BaseKerasMLP):
        raise TypeError(
            "The 'estimator' parameter must be a KerasMLPClassifier, a KerasMLPRegressor or a Pipeline that ends in "
            f"one of them. Got {mlp!r} instead."
        )
    check_is_fitted(mlp)
    return mlp
