"""scikit-learn's own test modules, run with classes of ours in place of theirs."""

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest


class _WithoutImports(ast.NodeTransformer):
    """Take away imports of these names."""

    def __init__(self, names):
        self._names = names

    def visit_ImportFrom(self, node):
        node.names = [alias for alias in node.names if alias.name not in self._names]
        return node if node.names else None


def run_with(module: str, replacements: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Execute a test module's source in another module, where names that it imports stand for something else.

    pytest then collects its tests there as it does everywhere, with their marks, parameters and fixtures.

    Parameters
    ----------
    module : str
        Name of the test module, which is installed with scikit-learn.
    replacements : dict
        What the names stand for.
    namespace : dict
        Of the module that is to have the tests.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:  # a distribution may leave tests out
        pytest.skip(f"{module} is not installed", allow_module_level=True)
    tree = _WithoutImports(replacements).visit(ast.parse(Path(spec.origin).read_text()))
    namespace.update(replacements)
    exec(compile(tree, spec.origin, "exec"), namespace)
    for name, test in namespace.items():
        if name.startswith("test") and hasattr(test, "pytestmark"):
            test.pytestmark = [_with_a_list(mark) for mark in test.pytestmark]


def _with_a_list(mark: pytest.Mark) -> pytest.Mark:
    """A mark whose parameters are no generator, of which pytest 9 warns."""
    if mark.name != "parametrize":
        return mark
    names, values, *others = mark.args
    return pytest.mark.parametrize(names, list(values), *others, **mark.kwargs).mark


def without(deselected: dict[str, str]) -> Any:
    """A fixture for a whole module: skip these tests, by name or with ``[parameters]``, for these reasons."""

    @pytest.fixture(autouse=True)
    def deselection(request):
        for name in (request.node.name, request.node.originalname):
            if name in deselected:
                pytest.skip(deselected[name])

    return deselection


@pytest.fixture
def global_random_seed():
    """scikit-learn's, from its own configuration of pytest."""
    return 42
