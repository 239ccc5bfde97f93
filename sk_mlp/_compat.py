"""What must be mended in the packages below us, in one place."""

from scikeras._utils import accepts_kwargs, has_param, route_params, unflatten_params
from scikeras.wrappers import BaseWrapper
from sklearn.base import BaseEstimator

# scikeras 0.13 defines `_more_tags` alone. scikit-learn >= 1.6 looks through the classes of an estimator for just that
# (check_estimator_tags_renamed); our subclasses never call `_more_tags`.
if "__sklearn_tags__" not in vars(BaseWrapper):
    BaseWrapper.__sklearn_tags__ = BaseEstimator.__sklearn_tags__

__all__ = ["BaseWrapper", "accepts_kwargs", "has_param", "route_params", "unflatten_params"]
