"""Files of a text and some arrays: a zip of JSON and .npy, checked before any of it is believed.

A file may come from anybody. So nothing in it is run or unpickled, and no array is made before its bytes are known to
be there: all members are stored without compression, so what is read is never larger than the file, which has a limit.
"""

import contextlib
import hashlib
import io
import json
import numbers
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sk_mlp._files.whole import write_whole
from sk_mlp.exceptions import ModelFileError

FORMAT = 1  # it rises when earlier versions of this package cannot read the file, or would read it wrongly
TEXT = "sk_mlp.json"
ARRAY = re.compile(r"arrays/(0|[1-9][0-9]{0,8})\.npy")
MAX_BYTES = 2**30
MAX_TEXT = 2**26  # bytes; as Python objects they take several times as much
DATE = (1980, 1, 1, 0, 0, 0)  # of all members: so a model's file is always the same


def write(path: Path, kind: str, content: Any, arrays: list[NDArray]) -> None:
    """Write a file of this kind, as `write_whole` does; ``content`` holds what JSON can hold.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the content is too long.
    """
    write_whole(path, packed_bytes(kind, content, arrays))


def packed_bytes(kind: str, content: Any, arrays: list[NDArray]) -> bytes:
    """A file's bytes."""
    members = {f"arrays/{number}.npy": _npy(array) for number, array in enumerate(arrays)}
    text = {
        "format": FORMAT,
        "kind": kind,
        "members": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
        "content": content,
    }
    encoded = json.dumps(text, allow_nan=False, separators=(",", ":")).encode()
    if len(encoded) > MAX_TEXT:
        raise ValueError(f"A file's text must be at most {MAX_TEXT} bytes, without its arrays. Got {len(encoded)}.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {TEXT: encoded, **members}.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data)
        archive.comment = hashlib.sha256(encoded).hexdigest().encode()
    return buffer.getvalue()


def _npy(array: NDArray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def read(path: Path, kind: str, max_bytes: int = MAX_BYTES) -> tuple[Any, list[NDArray]]:
    """The content and arrays of a file of this kind.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ModelFileError
        If it is none of this kind, larger than ``max_bytes``, of a newer format, or not as it was written.
    ValueError
        If ``max_bytes`` is no number above 0.
    """
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, numbers.Real) or not max_bytes > 0:
        raise ValueError(f"The 'max_bytes' parameter must be a number above 0. Got {max_bytes!r} instead.")
    with open(path, "rb") as file, refusing(path):
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ModelFileError(f"It has {size} bytes, and max_bytes={max_bytes}.")
        return _contents(file, size, kind)


@contextlib.contextmanager
def refusing(path: Any) -> Iterator[None]:
    """Within the context, any error is raised as one of the file, or of what there is to read it with."""
    try:
        yield
    except Exception as error:  # zipfile, json and numpy may raise anything here: anybody may have written the bytes
        if isinstance(error, ModelFileError):
            reason = str(error)
        elif isinstance(error, MemoryError):
            reason = "There is not enough memory for it."
        elif isinstance(error, ImportError):
            reason = f"A package that it needs cannot be imported: {str(error).rstrip('.')}."
        elif isinstance(error, OSError):
            reason = f"The system says: {error}."
        else:
            reason = f"It is damaged: {str(error).rstrip('.') or type(error).__name__}."
        reason = reason.encode(errors="backslashreplace").decode()  # what somebody has written may be no text to print
        raise ModelFileError(f"{os.fspath(path)!r} cannot be read as a file of sk_mlp. {reason}") from error


def _contents(file: BinaryIO, size: int, kind: str) -> tuple[Any, list[NDArray]]:
    if file.read(4) != b"PK\x03\x04":
        raise ModelFileError("It was not written by save_model.")
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, size)
        encoded = archive.read(members.pop(TEXT))
        if archive.comment != hashlib.sha256(encoded).hexdigest().encode():
            raise ModelFileError("It is damaged: the checksum of its text is another.")
        text = json.loads(encoded, parse_constant=_refused_constant)
        _check_kind(text, kind)
        sums = text["members"]
        if sums.keys() != members.keys():
            raise ModelFileError("It is damaged: its members are not those that it lists.")
        arrays = []
        for number in range(len(members)):
            name = f"arrays/{number}.npy"
            data = archive.read(members[name])
            if hashlib.sha256(data).hexdigest() != sums[name]:
                raise ModelFileError(f"It is damaged: the checksum of {name} is another.")
            arrays.append(_array(data, name))
    return text["content"], arrays


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, if all of them are allowed."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename != TEXT and not ARRAY.fullmatch(info.filename):
            raise ModelFileError(f"It holds {info.filename[:80]!r}, which save_model does not write.")
        if info.filename in found:
            raise ModelFileError(f"It holds {info.filename!r} twice.")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise ModelFileError(f"It holds {info.filename!r} in another way than save_model writes it.")
        found[info.filename] = info
    if TEXT not in found:
        raise ModelFileError("It was not written by save_model.")
    if found[TEXT].file_size > MAX_TEXT or sum(info.file_size for info in found.values()) > size:
        raise ModelFileError("It says that its members are larger than they can be.")
    return found


def _check_kind(text: Any, kind: str) -> None:
    found = text["format"]
    if type(found) is not int or not 1 <= found <= FORMAT:
        newer = " Install a newer version of sk_mlp." if type(found) is int and found > FORMAT else ""
        raise ModelFileError(f"It is of format {found!r}; this version of sk_mlp knows formats up to {FORMAT}.{newer}")
    if text["kind"] != kind:
        raise ModelFileError(f"It holds a {str(text['kind'])[:80]}, and a {kind} is wanted.")


def _array(data: bytes, name: str) -> NDArray:
    """An array of numbers, texts or dates; the size that it states is checked first."""
    buffer = io.BytesIO(data)
    version = np.lib.format.read_magic(buffer)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = header(buffer)
    n = 1
    for length in shape:
        n *= length
    if dtype.hasobject or dtype.kind not in "biufcUSMm" or n * dtype.itemsize != len(data) - buffer.tell():
        raise ModelFileError(f"It is damaged: {name} is not the array that it says.")
    array = np.frombuffer(data, dtype, count=n, offset=buffer.tell())
    return array.reshape(shape, order="F" if in_columns else "C").copy(order="K")


def _refused_constant(name: str) -> None:
    raise ModelFileError(f"It is damaged: {name} is no number of JSON.")
