"""Imports point down the list of layers only, and nothing private of scikeras leaks out of `_compat`."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sk_mlp"
LAYERS = [
    {"exceptions", "_compat", "_extras", "_messages", "_mlflow", "_other_names", "_table_columns"},
    {"_bins", "_features", "_sparse", "_targets", "_split", "_calibration", "_dropout"},
    {"_categories", "_dates", "_numbers"},
    {"_tables", "_hold_out"},
    {"_columns"},
    {"_spec"},
    {"_fork"},
    {"_policy", "table_layers", "schedules", "losses", "_builder_arguments", "_compiled", "_fit_words"},
    {"network"},
    {"layers"},
    {"engine"},
    {"_routing"},
    {"_metric_forms"},
    {"_loss", "_metric_layouts"},
    {"_metrics"},
    {"_parameters", "_resolve"},
    {"_builder", "_callbacks", "_settings"},
    {"_starting", "_plan"},
    {"_deferred", "_sklearn_callbacks", "_export"},
    {"_checks"},
    {"_design", "_rows", "_running"},
    {"_training"},
    {"_base", "_classification", "_regression"},
    {"regressor"},
    {"classifier"},
    {"inspection", "model_selection"},
    {"__init__"},
    {"_datasets"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module)
    return found


def layer(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    own = LEVEL[layer(path)]
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "sk_mlp":
            target = rest[0] if rest else "__init__"
            same = target == layer(path)
            assert same or LEVEL[target] < own, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_who_imports_what_from_outside(path):
    packages = {name.split(".")[0] for name in imported(path)}
    if layer(path) != "_compat":
        assert "scikeras" not in packages
    if layer(path) in set().union(*LAYERS[1:5]):
        assert not packages & {"tensorflow", "keras", "matplotlib"}
