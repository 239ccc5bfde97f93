"""Imports point down the list of layers only, and nothing of scikeras leaks out of `_keras.compat`."""

import ast
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sk_mlp.engine.run import Run

PACKAGE = Path(__file__).parents[1] / "sk_mlp"
LAYERS = [
    {
        "_version",
        "exceptions",
        "_files.whole",
        "_keras.compat",
        "_keras.inner",
        "_estimator.defaults",
        "_estimator.extras",
        "_estimator.fork",
        "_estimator.given",
        "_estimator.messages",
        "_estimator.mlflow",
        "_estimator.sklearn_versions",
        "_network.activations",
        "_network.names",
    },
    {"_estimator.html", "_estimator.other_names", "_tables.columns"},
    {"_tables.bins", "_tables.names", "_tables.selection", "_tables.sparse", "_targets", "_estimator.split"},
    {"_tables.categories", "_tables.dates", "_tables.numbers"},
    {"_tables.matrix", "_tables.table", "_estimator.hold_out"},
    {"_tables.reading"},
    {"_tables.plan", "_estimator.checks"},
    {"_tables.encoding"},
    {"_network.layout"},
    {"_network.spec"},
    {"_network.forward"},
    {"_estimator.history", "_keras.seeds", "_network.builder_arguments"},
    {"_estimator.fit_words", "_estimator.parameters", "_network.compiled", "losses"},
    {"_keras.policy", "layers", "schedules"},
    {"_network.build"},
    {"_network.mapped_layers"},
    {"engine"},
    {"_keras.routing", "_keras.copies", "_estimator.progress"},
    {"_keras.metric_forms"},
    {"_keras.loss", "_keras.metric_layouts"},
    {"_keras.metrics"},
    {"_keras.resolve"},
    {"_estimator.rates", "_keras.callbacks", "_network.user_model"},
    {"_network.fit_loss"},
    {"_estimator.settings"},
    {"_network.design", "_network.export"},
    {"_estimator.rows", "_network.starting"},
    {"_estimator.network"},
    {"_estimator.members", "_estimator.task"},
    {"_estimator.calibration", "_estimator.deferred", "_estimator.running"},
    {"_estimator.fitted"},
    {"_estimator.sklearn_callbacks"},
    {"_estimator.training"},
    {"_estimator.base"},
    {"regressor"},
    {"classifier", "_onnx.graph"},
    {"_onnx.network", "_onnx.table"},
    {"_onnx.outputs"},
    {"_onnx.model"},
    {"_onnx.export"},
    {"_files"},
    {"predictor"},
    {"persistence", "inspection._style"},
    {"inspection._learning_rate"},
    {"model_selection"},
    {"inspection"},
    {"__init__"},
    {"_cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Rooms whose modules may import each other.
TOGETHER = ("_files", "engine", "model_selection", "inspection", "_cli", "_targets")
MODULES = sorted(PACKAGE.rglob("*.py"))


def without_types(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes of a module but those that only type checkers see: what is imported there may lie above."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            waiting += ast.iter_child_nodes(node)


def imported(path: Path) -> list[str]:
    found = []
    for node in without_types(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module)
    return found


def level(name: str) -> int:
    """The level of a module, given without the package's name: its own, or that of the folder it is in."""
    parts = name.split(".")
    found = [LEVEL[".".join(parts[:n])] for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in LEVEL]
    return found[0] if found else 0  # a room's own docstring


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    own = level(module(path))
    for name in imported(path):
        package, _, target = name.partition(".")
        if package == "sk_mlp":
            same = module(path).split(".")[0] == target.split(".")[0] and module(path).split(".")[0] in TOGETHER
            assert same or level(target or "__init__") < own, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_who_imports_what_from_outside(path):
    packages = {name.split(".")[0] for name in imported(path)}
    if module(path) != "_keras.compat":
        assert "scikeras" not in packages
    if module(path) != "_keras.inner":
        assert not [name for name in imported(path) if name.startswith("keras.src")]
    if module(path).split(".")[0] in ("_tables", "_targets"):
        assert not packages & {"tensorflow", "keras", "matplotlib"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_run_is_changed_by_its_methods(path):
    if module(path) == "engine.run":
        return
    fields = {field.name for field in dataclasses.fields(Run)}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in fields:
            owner = ast.unparse(node.value)
            assert not re.fullmatch(r"\w*run|slots\[.*\]", owner), f"{path.name}:{node.lineno} sets {owner}.{node.attr}"


def test_the_forward_pass_needs_no_tensorflow():
    """Nor does what it rests on: a process that only predicts goes without."""
    program = "import sys, sk_mlp._network.forward; print({'tensorflow', 'keras', 'scikeras'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
