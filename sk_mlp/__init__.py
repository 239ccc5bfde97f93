"""Multilayer perceptrons: scikit-learn estimators, Keras models, trained by compiled programs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sk_mlp._version import __version__

if TYPE_CHECKING:
    from sk_mlp._estimator.parameters import PLAIN_MLP
    from sk_mlp._onnx.export import to_onnx
    from sk_mlp.classifier import KerasMLPClassifier
    from sk_mlp.exceptions import NotCompilableError
    from sk_mlp.regressor import KerasMLPRegressor

__all__ = ["PLAIN_MLP", "KerasMLPClassifier", "KerasMLPRegressor", "NotCompilableError", "__version__", "to_onnx"]

# Imported when first asked for: TensorFlow takes seconds to start, and `python -m sk_mlp` is to quiet it before.
_MODULES = {
    "KerasMLPClassifier": "classifier",
    "KerasMLPRegressor": "regressor",
    "NotCompilableError": "exceptions",
    "PLAIN_MLP": "_estimator.parameters",
    "to_onnx": "_onnx.export",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"sk_mlp.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
