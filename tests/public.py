"""What is public: the names in ``__all__`` of the package's public modules."""

import importlib
import inspect

# Modules, of which `__all__` says what is public. The network's and the engine's are for the package itself.
MODULES = [
    "sk_mlp",
    "sk_mlp.exceptions",
    "sk_mlp.inspection",
    "sk_mlp.losses",
    "sk_mlp.model_selection",
    "sk_mlp.schedules",
    "sk_mlp.layers",
]


def public_names() -> list[str]:
    """Public classes and functions, by their full names, such as "sk_mlp.losses.Quantile"."""
    modules = [importlib.import_module(name) for name in MODULES]
    objects = {
        getattr(module, name): f"{module.__name__}.{name}"
        for module in reversed(modules)  # whose first one, the shortest name, is to count
        for name in module.__all__
        if callable(getattr(module, name))
    }
    return sorted(objects.values())


def public_methods(cls: type) -> list[str]:
    """Methods and properties of a class that this package has written."""
    of_ours = [base for base in cls.__mro__ if base.__module__.startswith("sk_mlp.")]
    kinds = (classmethod, staticmethod, property)
    return sorted(
        {
            name
            for base in of_ours
            for name, value in vars(base).items()
            if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
        }
    )


def found(name: str):
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)
