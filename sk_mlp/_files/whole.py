"""Writes files so that an interruption leaves the old file or the whole new one."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import Any


def checked_path(path: Any) -> Path:
    """The path, if it can be a file's.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it is a folder, or ends as one; a device, a pipe, or no path of this system.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"The 'path' parameter must be a str or path-like. Got {path!r} instead.")
    text, path = os.fspath(path), Path(path)
    if "\0" in text or (text.endswith(("/", os.sep)) and not path.is_dir()):
        raise ValueError(f"The 'path' parameter must be a file's. Got {text!r} instead.")
    if path.is_dir():
        raise ValueError(f"The 'path' parameter must be a file's. Got the folder {os.fspath(path)!r} instead.")
    if path.exists() and not path.is_file():
        raise ValueError(
            f"The 'path' parameter must be a file's. Got {os.fspath(path)!r} instead, which is not a file."
        )
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, and move it there when the disk has all of it.

    An interruption, or a full disk, leaves what there was before. Who may read it stays as it was.

    Parameters
    ----------
    path : Path
        A link is followed.
    content : bytes

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {os.fspath(path.parent)!r} does not exist; make it first.")
    beside = path.with_name(f".{path.name[:20]}.{secrets.token_hex(4)}")  # the name may be as long as names may be
    try:
        with open(beside, "xb") as file:
            with contextlib.suppress(OSError):  # there was no file, or the disk knows no permissions
                shutil.copymode(path, beside)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError) and error.errno:  # it names the file beside, of which nobody knows
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Write the new name to the disk; not every system can open folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
