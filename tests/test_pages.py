"""README and the pages of docs/: their Python blocks run in their order, in one namespace a page; their links hold.

Blocks that begin with "```py" show programs of other libraries, which are not run.
"""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from optional import EXTRAS, needed
from public import public_names

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor

ROOT = Path(__file__).parents[1]
README, DOCS = ROOT / "README.md", ROOT / "docs"
PARAMETERS, COMING_FROM_KERAS = DOCS / "parameters.md", DOCS / "coming_from_keras.md"
PAGES = sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("benchmarks/*.md"))


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def run(page: Path) -> None:
    code = "".join(blocks(page))
    imported = {name for name in EXTRAS if re.search(rf"^(from|import) {name}\b", code, re.MULTILINE)}
    if "TensorBoard(" in code:
        imported.add("tensorboard")
    for name in sorted(imported | {"pandas", "matplotlib"}):  # of scikit-learn's `as_frame`, of displays
        needed(name)
    import matplotlib.pyplot as plt

    namespace = {"__name__": page.stem}
    for number, block in enumerate(blocks(page)):
        if "sklearn.callback" in block and not find_spec("sklearn.callback"):
            continue  # scikit-learn has it from 1.9 on
        exec(compile(block, f"{page.name} block {number}", "exec"), namespace)
    plt.close("all")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, and pictures that open no window."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_blocks_of_readme_run():
    assert blocks(README)
    run(README)


@pytest.mark.slow
@pytest.mark.usefixtures("folder", "no_xla")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_blocks_of_pages_run(page):
    run(page)


@pytest.mark.parametrize("page", [PARAMETERS, COMING_FROM_KERAS], ids=lambda page: page.stem)
@pytest.mark.parametrize("estimator_class", [KerasMLPClassifier, KerasMLPRegressor])
def test_tables_have_every_parameter(page, estimator_class):
    heading = "parameter | default" if page is PARAMETERS else "parameter | with `model`"
    table = page.read_text(encoding="utf-8").split(f"| {heading} |")[-1].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", " ".join(line.split(" | ")[0] for line in table.splitlines())))
    assert set(estimator_class().get_params()) - named <= {"model"}


@pytest.mark.parametrize(
    "page", [README, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *PAGES], ids=lambda page: page.stem
)
def test_links_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\((?!http|#)([^)#]+)", text) if link != "gallery/index.rst"]
    missing = [link for link in links if not (page.parent / link).exists()]  # the gallery is made by Sphinx
    assert not missing


def test_what_is_installed_beside_tensorflow_cpu_is_all_that_is_needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {dependency.partition(">")[0] for dependency in project["dependencies"]} - {"tensorflow"}
    for path in (DOCS / "quick_start.md", ROOT / ".github" / "workflows" / "tests.yml"):
        line = re.search(r"pip install tensorflow-cpu (.*)", path.read_text(encoding="utf-8"))
        assert line and set(line[1].split()) == names, path.name


def test_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200


def test_the_reference_has_every_public_name():
    listed, module = set(), ""
    for line in (DOCS / "api" / "index.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split(":: ")[1]
        elif re.fullmatch(r"   \w+", line):
            listed.add(f"{module}.{line.strip()}")
    assert set(public_names()) <= listed


def test_every_page_is_in_the_guide_or_another_table_of_contents():
    tables = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    listed = set(re.findall(r"^(?:[\w ]+ <)?([\w/]+)>?$", tables, re.MULTILINE)) | {"index", "benchmarks/index"}
    of_benchmarks = {f"benchmarks/{name}" for name in listed}
    pages = {str(page.relative_to(DOCS).with_suffix("")).replace("\\", "/") for page in PAGES}
    assert pages <= listed | of_benchmarks
