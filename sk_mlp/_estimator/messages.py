"""Wording that errors share."""

import difflib
from collections.abc import Iterable


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """A hint at the known name that is nearest, with a space before it; empty if none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(value.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def unknown_name(parameter: str, value: str, known: Iterable[str], also: str = "") -> ValueError:
    """The error for a name that nobody knows; ``also`` tells what else the parameter may be."""
    names = sorted(known)
    return ValueError(
        f"The {parameter!r} parameter must be one of {names}{also}. Got {value!r} instead.{did_you_mean(value, names)}"
    )
