"""Files that are there whole, or not at all."""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4


def write_file(path: Any, content: bytes, parameter: str = "path") -> None:
    """Write a file beside its place and move it there, so that an interruption leaves what was there before.

    Parameters
    ----------
    path : str or path-like
        A link is followed.
    content : bytes
    parameter : str
        Whose value the path is, for messages.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        For an empty path, a folder, or a place in a folder that does not exist.
    OSError
        If it cannot be written.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"The {parameter!r} parameter must be a str or path-like. Got {path!r} instead.")
    place = Path(os.path.realpath(path))
    if not os.fspath(path) or place.is_dir() or not place.parent.is_dir():
        raise ValueError(
            f"The {parameter!r} parameter must name a file in a folder that exists. Got {os.fspath(path)!r} instead."
        )
    beside = place.with_name(f"{place.name}.{uuid4().hex}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    finally:
        beside.unlink(missing_ok=True)
