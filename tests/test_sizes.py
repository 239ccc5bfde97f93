"""Files and functions stay short enough to be read. Docstrings are not counted: what is public needs long ones."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = sorted(path for folder in ("sk_mlp", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py"))
MOST_LINES, MOST_OF_A_FUNCTION = 350, 60


def lines_of_docstring(node: ast.AST) -> int:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.end_lineno - first.lineno + 1
    return 0


def functions(node: ast.AST, within: str = ""):
    """Functions and methods with their lines, but those within functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from functions(child, f"{within}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            # The signature of a constructor is not counted: it has a line for each parameter that users may set.
            first = child.body[0].lineno if child.name == "__init__" else child.lineno
            yield within + child.name, child.end_lineno - first + 1 - lines_of_docstring(child)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    tree = ast.parse(text)
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    n_lines = len(text.splitlines()) - sum(
        lines_of_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)
    )
    assert n_lines <= MOST_LINES
    for function, lines in functions(tree):
        assert lines <= MOST_OF_A_FUNCTION, function
