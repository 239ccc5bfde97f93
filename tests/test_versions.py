"""Each lower bound of pyproject.toml is the version that `.ci/lowest.txt` pins, with which the tests are run."""

import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Not promised: the versions of the peers that the published figures were measured with.
PEERS = {"bench", "quality"}
EXTRAS = [lines for name, lines in PROJECT["optional-dependencies"].items() if name not in PEERS]
PROMISED = {
    requirement.name: next(spec.version for spec in requirement.specifier if spec.operator in (">=", "~="))
    for requirement in map(Requirement, chain(PROJECT["dependencies"], *EXTRAS))
    if requirement.name != PROJECT["name"]
}
LINES = (ROOT / ".ci" / "lowest.txt").read_text(encoding="utf-8").splitlines()
PINNED = dict(line.split("==") for line in LINES if "==" in line and not line.startswith("#"))


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_a_lower_bound_is_the_version_that_is_tested(name):
    assert Version(PINNED[name]) == Version(PROMISED[name])


def test_what_is_pinned_is_promised():
    # tensorflow-cpu is what users may install in tensorflow's place.
    assert set(PINNED) - set(PROMISED) == {"tensorflow-cpu"}
