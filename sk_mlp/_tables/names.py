"""Names of columns as names of a Keras model's inputs. Plain Python."""

import keyword
import re
from collections.abc import Callable, Sequence

SAFE = re.compile("[A-Za-z][A-Za-z0-9_]*")  # names that TensorFlow takes and does not change
TAKEN = {*keyword.kwlist, "self"}  # names that no argument of its functions can have


def exported_names(names: Sequence[str]) -> list[str]:
    """Names of letters from a to z, digits and "_" that begin with a letter, and differ by more than case.

    All else becomes "_", none at either end; "x_" goes before names that begin with a digit or are words of Python.
    """

    def is_safe(name: str) -> bool:
        return SAFE.fullmatch(name) is not None and name not in TAKEN

    def mended(name: str) -> str:
        cleaned = name if is_safe(name) else re.sub("[^A-Za-z0-9_]+", "_", name).strip("_")
        return cleaned if is_safe(cleaned) else f"x_{cleaned}"

    return distinct_names(names, mended, str.lower)


def names_of_inputs(names: Sequence[str]) -> list[str]:
    """Names that Keras takes for inputs: with "_" in place of "/" and of an empty name."""
    return distinct_names(names, lambda name: name.replace("/", "_") or "_", str)


def distinct_names(names: Sequence[str], mended: Callable[[str], str], same: Callable[[str], str]) -> list[str]:
    """Mended names that all differ: names that need no mending stay, others get "_" and a number where needed.

    Parameters
    ----------
    names : sequence of str
    mended : callable (name) -> name
    same : callable (name) -> str
        What is equal for names that may not be side by side.
    """
    found: dict[int, str] = {}
    taken = set()
    for number in sorted(range(len(names)), key=lambda number: mended(names[number]) != names[number]):
        name = mended(names[number])
        while same(name) in taken:
            name = f"{name}_{number}"
        taken.add(same(name))
        found[number] = name
    return [found[number] for number in range(len(names))]
