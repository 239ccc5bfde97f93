"""Fixtures for all test files."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir():
    """The folder of the textbook's data sets."""
    if "SK_MLP_DATA" not in os.environ:
        pytest.skip("SK_MLP_DATA is not set: it names the folder that holds the textbook's data sets")
    return Path(os.environ["SK_MLP_DATA"])
