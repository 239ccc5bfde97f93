"""The examples of the docstrings run and show what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import sk_mlp

MODULES = [
    module
    for module in (importlib.import_module(name) for _, name, _ in pkgutil.walk_packages(sk_mlp.__path__, "sk_mlp."))
    if ">>>" in Path(module.__file__).read_text()
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples(module):
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", sk_mlp.__all__)
def test_every_public_name_has_a_docstring(name):
    assert getattr(sk_mlp, name).__doc__
