"""The Python blocks of README and of the pages run, in their order, in one namespace a page.

Blocks that begin with "```py" show programs of other libraries, which are not run.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from optional import needed

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor

ROOT = Path(__file__).parents[1]
README, COMING_FROM_KERAS = ROOT / "README.md", ROOT / "docs" / "coming_from_keras.md"


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, COMING_FROM_KERAS], ids=lambda page: page.stem)
def test_blocks_run(page, tmp_path, monkeypatch):
    for name in ("pandas", "matplotlib", "distributed") if page is README else ():
        needed(name)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert blocks
    namespace = {"__name__": page.stem}
    for number, block in enumerate(blocks):
        if "sklearn.callback" in block and not find_spec("sklearn.callback"):
            continue  # scikit-learn has it from 1.9 on
        exec(compile(block, f"{page.name} block {number}", "exec"), namespace)


@pytest.mark.parametrize("page", [README, COMING_FROM_KERAS], ids=lambda page: page.stem)
@pytest.mark.parametrize("estimator_class", [KerasMLPClassifier, KerasMLPRegressor])
def test_tables_have_every_parameter(page, estimator_class):
    heading = "parameter | default" if page is README else "parameter | with `model`"
    table = page.read_text().split(f"| {heading} |")[-1].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", " ".join(line.split(" | ")[0] for line in table.splitlines())))
    assert set(estimator_class().get_params()) - named <= {"model"}


@pytest.mark.parametrize("page", [README, COMING_FROM_KERAS], ids=lambda page: page.stem)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!http|#)([^)#]+)\)", page.read_text())
    assert all((page.parent / link).exists() for link in links), links


def test_no_figure_is_left_out():
    assert "<!-- figures" not in README.read_text()
