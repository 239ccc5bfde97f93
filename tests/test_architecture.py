"""The map in docs/architecture.md names every module, and no others."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_map_names_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text()
    the_map = text.partition("## Map")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([\w/]+)` \|", the_map, re.MULTILINE)
    modules = {
        str(path.relative_to(ROOT / "sk_mlp").with_suffix("")).replace("\\", "/")
        for path in (ROOT / "sk_mlp").rglob("*.py")
    }
    assert set(named) == modules
    assert len(named) == len(modules)


def test_the_package_says_that_it_has_types():
    assert (ROOT / "sk_mlp" / "py.typed").exists()
