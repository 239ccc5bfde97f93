"""Finished runs of a search, kept in a folder from which the same search goes on."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import joblib
import narwhals as nw
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from sk_mlp._files import archive
from sk_mlp._files.values import Reader, Writer
from sk_mlp._keras.policy import policy_of_fit
from sk_mlp.engine.run import Run
from sk_mlp.exceptions import ModelFileError
from sk_mlp.model_selection._folds import Fit, networks_of
from sk_mlp.model_selection._identity import described, digest

MANIFEST = "search.json"
FORMAT = "5"  # of the files of runs; the first ones were pickles, which can run code
KIND = "run"  # of the files


class Checkpoint:
    """Keeps the runs of a search that have ended, or come to where they pause.

    Each is a file of its own without any code, as `sk_mlp._files.archive` has it: written beside its place and moved
    there, so that a process that is killed leaves none half-written, and processes may share the folder.

    Parameters
    ----------
    folder : str or path-like
        Made if need be.
    search : dict of str to str
        What tells this search from others, in words and hashes.

    Raises
    ------
    ValueError
        If the folder holds anything else than this search's checkpoint; it is left as it is.
    """

    def __init__(self, folder: str | os.PathLike, search: dict[str, str]):
        self.folder = Path(folder)
        manifest = self.folder / MANIFEST
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"checkpoint_dir must be a folder. Got the file {os.fspath(folder)!r}.")
        if not manifest.exists():
            # A process that was killed at the very beginning may have left a part of the manifest.
            if self.folder.exists() and any(not path.name.startswith(MANIFEST) for path in self.folder.iterdir()):
                raise ValueError(f"checkpoint_dir must be empty or hold a checkpoint. {self._found} other files.")
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(manifest, json.dumps(search, indent=1).encode())
        try:
            found = json.loads(manifest.read_text())
            others = [name for name in search if found.get(name) != search[name]]
        except (ValueError, AttributeError, OSError) as error:
            raise ValueError(
                f"checkpoint_dir must hold a whole checkpoint. {self._found} a bad {MANIFEST}: {error}"
            ) from error
        if others:
            raise ValueError(
                f"checkpoint_dir must hold the checkpoint of the same search. {self._found} one of another "
                f"{' and '.join(others)}."
            )

    @property
    def _found(self) -> str:
        return f"Got {os.fspath(self.folder)!r}, with"

    def save(self, run: Run, name: str, candidate: str) -> None:
        """Keep a run under a name."""
        writer = Writer()
        content = {"candidate": candidate, "run": writer.of(run.saved())}
        archive.write(self.folder / name, KIND, content, writer.arrays)

    def restore(self, run: Run, name: str, candidate: str) -> None:
        """Bring a run to where it was kept, if it was."""
        path = self.folder / name
        if not path.exists():
            return
        try:
            content, arrays = archive.read(path, KIND, max_bytes=sys.maxsize)
            saved = Reader(arrays).of(content["run"])
        except ModelFileError as error:
            raise ValueError(
                f"checkpoint_dir must hold a whole checkpoint. {self._found} a bad {name}: {error}"
            ) from error
        if content["candidate"] != candidate:
            raise ValueError(
                "checkpoint_dir must hold the checkpoint of the same search. "
                f"{self._found} other candidates or other rows; where a search or a transformer draws, its "
                "random_state must be an integer."
            )
        run.restore(saved)

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_bytes(content)
        os.replace(beside, path)


def refuse_chance(search: BaseEstimator, fits: list[Fit]) -> None:
    """Raise an error where the same call would draw others: a network must go on with the rows that it holds out."""
    parts = [("search", search), *(pair for fit in fits for pair in networks_of(fit.estimator).items())]
    for name, part in parts:
        if getattr(part, "random_state", 0) is None:
            raise ValueError(
                "With a checkpoint_dir, every random_state must be an integer or a RandomState, so that the same call "
                f"can go on. Got random_state=None of {name}."
            )


def _described_rows(rows: Any) -> str:
    """Rows or their weights. ``described`` is for those whose pickles change when somebody looks at them."""
    is_pandas = nw.dependencies.is_pandas_dataframe(rows) or nw.dependencies.is_pandas_series(rows)
    return described(rows) if issparse(rows) or is_pandas else joblib.hash(rows)


def identity(search: BaseEstimator, X: Any, y: Any, params: Any, splits: list) -> dict[str, str]:
    """What tells a search from others, for `Checkpoint`; whether its candidates are the same shows only later."""
    data = [_described_rows(part) for part in (X, y, *params.values())]
    hashes = {"estimator": digest(search.estimator), "data": digest([data, list(params)])}
    others = {"splits": joblib.hash(splits), "policy": policy_of_fit(search.estimator).name}
    return {"kind": type(search).__name__, "format": FORMAT, **hashes, **others}
