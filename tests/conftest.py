"""Fixtures for all test files."""

import os
from pathlib import Path

import pytest

from sk_mlp.engine import population, program
from sk_mlp.engine.last_used import LastUsed


@pytest.fixture(scope="session")
def data_dir():
    """The folder of the textbook's data sets."""
    if "SK_MLP_DATA" not in os.environ:
        pytest.skip("SK_MLP_DATA is not set: it names the folder that holds the textbook's data sets")
    return Path(os.environ["SK_MLP_DATA"])


GRAPHS = LastUsed(size=64)


@pytest.fixture
def no_xla(monkeypatch):
    """Run programs as TensorFlow graphs, in tests that are about other things: XLA takes seconds for each structure."""
    monkeypatch.setattr(program.Program, "jit_compile", False)
    monkeypatch.setattr(population, "PROGRAMS", GRAPHS)


def pytest_configure(config):
    """Know the marks of scikit-learn's own tests, which `upstream` runs."""
    config.addinivalue_line("markers", "thread_unsafe: scikit-learn's, for a plugin that runs tests in threads")
