"""Wording that several errors share, and warnings that point to the user's line."""

import difflib
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
CHANGED = (
    "The network or the optimizer has changed since the last fit, so training cannot go on from there. Set the "
    "parameters back, or use warm_start=False and fit."
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of this package that has called it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def counted(n: int, what: str, several: str = "") -> str:
    """A number of things: "1 row", "2,000 rows". ``several`` is the plural if it is not ``what`` with an "s"."""
    return f"{n:,} {what if n == 1 else several or what + 's'}"


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, with a space before it; empty if none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(value.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def unknown_name(parameter: str, value: str, known: Iterable[str], also: str = "") -> ValueError:
    """The error for an unknown name; ``also`` says what else the parameter may be."""
    names = sorted(known)
    return ValueError(
        f"The {parameter!r} parameter must be one of {names}{also}. Got {value!r} instead.{did_you_mean(value, names)}"
    )
