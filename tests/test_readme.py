"""README's Python blocks run, in their order, in one namespace."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert BLOCKS
    namespace = {"__name__": "readme"}
    for number, block in enumerate(BLOCKS):
        if "sklearn.callback" in block and not find_spec("sklearn.callback"):
            continue  # scikit-learn has it from 1.9 on
        exec(compile(block, f"README block {number}", "exec"), namespace)


def test_no_figure_is_left_out():
    assert "<!-- figures" not in README.read_text()
