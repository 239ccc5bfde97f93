"""What must be mended in the packages below us, in one place."""

from contextlib import nullcontext

import keras
from scikeras._utils import accepts_kwargs, has_param, route_params, unflatten_params
from scikeras.wrappers import BaseWrapper
from sklearn.base import BaseEstimator

# scikeras 0.13 defines `_more_tags` alone. scikit-learn >= 1.6 looks through the classes of an estimator for just that
# (check_estimator_tags_renamed); our subclasses never call `_more_tags`.
if "__sklearn_tags__" not in vars(BaseWrapper):
    BaseWrapper.__sklearn_tags__ = BaseEstimator.__sklearn_tags__


# scikeras 0.13 has Keras' objects pickled, and so cloned, by their configurations, from which Keras makes objects of
# its own classes only; those of other classes become the name of their class.
def _mend_pickling(base):
    stock = base.__reduce__

    def reduce(self):
        return stock(self) if type(self).__module__.startswith("keras.") else (_made, (type(self), self.get_config()))

    base.__reduce__ = reduce


def _made(cls, config):
    return cls.from_config(config)


_mend_pickling(keras.metrics.Metric)
_mend_pickling(keras.optimizers.Optimizer)
keras.losses.Loss.__reduce__ = object.__reduce__  # they hold no variables: as any object

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
