"""What versions of scikit-learn have, or lack."""

from contextlib import nullcontext

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # scikit-learn < 1.9 has no callbacks, and so nobody can set any
    CallbackSupportMixin, callback_management_context = type("NoCallbacks", (), {}), nullcontext

__all__ = ["CallbackSupportMixin", "callback_management_context"]
