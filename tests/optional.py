"""Packages that an installation may lack: what uses one is skipped there, and says which extra brings it."""

from typing import Any

import pytest

EXTRAS = {
    "cloudpickle": "test",
    "distributed": "distributed",
    "matplotlib": "plot",
    "numpydoc": "test",
    "onnx": "onnx",
    "onnxruntime": "test",
    "pandas": "frames",
    "polars": "frames",
    "psutil": "test",
    "shap": "explain",
    "pyarrow": "test",
    "skops": "test",
    "tensorboard": "tensorboard",
}


def needed(name: str) -> Any:
    """The package; where it is not installed, the test is skipped, or the whole module if this is not within a test."""
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install 'sk_mlp[{EXTRAS[name]}]'")


class Package:
    """A package that is imported where it is first used, as by `needed`."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # looked for by pytest, when it collects tests
            raise AttributeError(attribute)
        return getattr(needed(self._name), attribute)


cloudpickle, mpl, pa = Package("cloudpickle"), Package("matplotlib"), Package("pyarrow")
pd, pl, psutil = Package("pandas"), Package("polars"), Package("psutil")
