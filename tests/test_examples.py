"""The programs in examples/ run, at a small size."""

import importlib.util
from pathlib import Path

import pytest
from optional import mpl

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an example as its command line does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")  # which the examples set

    def run(path, *options):
        with mpl.rc_context({"backend": "agg"}):
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.main(list(options))

    return run


@pytest.mark.usefixtures("no_xla")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path, run, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("SK_MLP_DATA", raising=False)
    run(path, "--smoke", "--picture", "losses.png")
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert "diabetes" in capsys.readouterr().out
