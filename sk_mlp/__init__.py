"""Multilayer perceptrons: scikit-learn estimators, Keras models, trained by compiled programs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sk_mlp._version import __version__

if TYPE_CHECKING:
    from sk_mlp._estimator.defaults import PLAIN_MLP
    from sk_mlp._onnx.export import to_onnx
    from sk_mlp.classifier import KerasMLPClassifier
    from sk_mlp.exceptions import ModelFileError, NotCompilableError
    from sk_mlp.persistence import load_model, load_predictor, save_model
    from sk_mlp.predictor import Predictor
    from sk_mlp.regressor import KerasMLPRegressor

__all__ = [
    "PLAIN_MLP",
    "KerasMLPClassifier",
    "KerasMLPRegressor",
    "ModelFileError",
    "NotCompilableError",
    "Predictor",
    "__version__",
    "load_model",
    "load_predictor",
    "save_model",
    "to_onnx",
]

# Imported at the first access: TensorFlow takes seconds to start, and `python -m sk_mlp` has to quiet it before.
_MODULES = {
    "KerasMLPClassifier": "classifier",
    "KerasMLPRegressor": "regressor",
    "ModelFileError": "exceptions",
    "NotCompilableError": "exceptions",
    "Predictor": "predictor",
    "load_model": "persistence",
    "load_predictor": "persistence",
    "save_model": "persistence",
    "PLAIN_MLP": "_estimator.defaults",
    "to_onnx": "_onnx.export",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"sk_mlp.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
