"""What must be mended in the packages below us, in one place."""

from contextlib import nullcontext

from scikeras._utils import accepts_kwargs, has_param, route_params, unflatten_params
from scikeras.wrappers import BaseWrapper
from sklearn.base import BaseEstimator

# scikeras 0.13 defines `_more_tags` alone. scikit-learn >= 1.6 looks through the classes of an estimator for just that
# (check_estimator_tags_renamed); our subclasses never call `_more_tags`.
if "__sklearn_tags__" not in vars(BaseWrapper):
    BaseWrapper.__sklearn_tags__ = BaseEstimator.__sklearn_tags__

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # scikit-learn < 1.9 has no callbacks, and so nobody can set any
    CallbackSupportMixin, callback_management_context = type("NoCallbacks", (), {}), nullcontext

__all__ = [
    "BaseWrapper",
    "CallbackSupportMixin",
    "accepts_kwargs",
    "callback_management_context",
    "has_param",
    "route_params",
    "unflatten_params",
]
