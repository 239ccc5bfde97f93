"""The only module that uses scikeras."""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def _routing_of_scikeras() -> ModuleType:
    """The module of scikeras that routes parameters by their names, without the package.

    Importing scikeras itself replaces ``__reduce__`` and ``__deepcopy__`` of Keras' models, losses, metrics and
    optimizers in the whole process. Users who import scikeras get that; importing this package does not do it.
    """
    package = find_spec("scikeras")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "sk_mlp needs the package scikeras. Install it: pip install scikeras", name="scikeras"
        )
    spec = spec_from_file_location("scikeras._utils", Path(package.origin).with_name("_utils.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_routing = _routing_of_scikeras()
route_params, unflatten_params = _routing.route_params, _routing.unflatten_params

__all__ = ["route_params", "unflatten_params"]
