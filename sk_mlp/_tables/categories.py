"""Values of categorical columns, and their codes. Plain Python and numpy."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.messages import warn
from sk_mlp._tables.columns import Column

# Codes of values that are none of a column's categories.
MISSING, UNKNOWN = -1, -2

Categories = dict[int, tuple[Any, ...]]  # of each categorical column, by its number; in the order of the codes

FEWEST_UNKNOWN = 10  # rows, before a warning
NUMBER = re.compile(r"-?([0-9]{1,40}\.?[0-9]*|\.[0-9]+)(e[+-][0-9]{1,3})?")
TRUTH = {"true": 1, "false": 0}


def learn_values(column: Column, weightless: NDArray) -> tuple[Any, ...]:
    """The values in rows with a weight, sorted, without missing ones.

    Raises
    ------
    ValueError
        For a value that cannot be a category.
    """
    values, missing = column.values()
    try:
        occurring = {value for value, left_out in zip(values, missing | weightless, strict=True) if not left_out}
        try:
            return tuple(sorted(occurring))
        except TypeError:  # strings beside numbers
            return tuple(sorted(occurring, key=lambda value: (type(value).__name__, value)))
    except TypeError as error:  # they cannot be hashed, or compared
        raise ValueError(f"{column} must hold strings, numbers or bools. Got {error}.") from error


def codes_of(column: Column, categories: tuple[Any, ...], warns: bool) -> NDArray:
    """Codes of a column's values: of equal categories, or else of the only one that differs in its type alone.

    Parameters
    ----------
    column : Column
    categories : tuple
    warns : bool
        Whether to warn where most values are unknown.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        `MISSING` and `UNKNOWN` mean what is none of them.
    """
    values, missing, numbers = column.numbered_values()
    known = {value: code for code, value in enumerate(categories)}
    try:
        of_values = np.array([known.get(value, UNKNOWN) for value in values], np.float64)
    except TypeError as error:
        raise ValueError(f"{column} must hold strings, numbers or bools. Got {error}.") from error
    of_values[missing] = MISSING
    others = np.flatnonzero(of_values == UNKNOWN)
    if len(others):
        alike = _alike({values[number] for number in others}, categories)
        of_values[others] = [alike.get(values[number], UNKNOWN) for number in others]
    codes = of_values[numbers]
    unknown = np.flatnonzero(codes == UNKNOWN)
    n_values = int(np.count_nonzero(codes != MISSING))
    if warns and len(unknown) >= FEWEST_UNKNOWN and 2 * len(unknown) > n_values:
        examples = list(dict.fromkeys(values[number] for number in numbers[unknown]))
        warn(
            f"{column} has {len(unknown)} values out of {n_values} that are none of the categories "
            f"which fit has learned: {_some(examples)}. Learned were {_some(categories)}."
        )
    return codes


def _some(values: Any) -> str:
    shown = ", ".join(map(repr, values[:3])) or "none"
    return f"{shown} and {len(values) - 3} others" if len(values) > 3 else shown


def _alike(values: set, categories: tuple[Any, ...]) -> dict[Any, int]:
    """Codes of the values that differ from a single category in their type alone."""
    keys = [_key(category) for category in categories]
    counts = Counter(keys)
    codes = {key: code for code, key in enumerate(keys) if key is not None and counts[key] == 1}
    found = ((value, codes.get(_key(value))) for value in values)
    return {value: code for value, code in found if code is not None and _is_same(value, categories[code])}


def _text(value: Any) -> str | None:
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _key(value: Any) -> Any:
    """A key that is equal for 1, 1.0, "1" and b"1", for True and "True", for "a" and b"a"; None for other types."""
    text = _text(value)
    if text is not None:
        if text.lower() in TRUTH:
            return TRUTH[text.lower()]
        if not NUMBER.fullmatch(text):
            return text
        value = int(text) if text.lstrip("-").isdigit() else float(text)
    try:
        is_number = isinstance(value, (Real, Decimal, np.bool_)) and np.isfinite(float(value))
    except (OverflowError, ValueError):  # a whole number beyond all floats; a signaling nan
        return None
    if not is_number:
        return None
    whole: Any = int(value)  # type: ignore[arg-type]
    with np.errstate(over="ignore"):
        return whole if whole == value else ("not whole", float(np.float32(value)))


def _is_same(value: Any, category: Any) -> bool:
    """Whether a value and a category of the same key are really the same, not near numbers or other texts."""
    texts = _text(value), _text(category)
    if None not in texts and texts[0] != texts[1]:  # "1" and "1.0", but neither "1" and "01" nor "1.1" and "1.10"
        return texts[1] in spellings(str(texts[0]))
    numbers = [_number(value), _number(category)]
    return numbers[0] == numbers[1] or any(number == float(np.float32(number)) for number in numbers)


def _number(value: Any) -> float:
    key = _key(value)
    if not isinstance(key, tuple):
        return key
    return float(value if _text(value) is None else str(_text(value)))


def spellings(text: str) -> list[str]:
    """Other texts for the same whole number or truth value."""
    if text.lower() in TRUTH:
        others = [text.lower(), text.title(), text.upper()]
    elif not NUMBER.fullmatch(text):
        return []
    else:
        number = _key(text)
        others = [str(number), f"{number}.0"] if isinstance(number, int) else []
    return [other for other in others if other != text] if text in others else []


def known_texts(categories: Sequence[str]) -> dict[str, int]:
    """Codes of all texts that `codes_of` takes for one of these categories, other spellings included."""
    known = {category: code for code, category in enumerate(categories)}
    others = {other for category in categories for other in spellings(category)}
    return known | dict(sorted(_alike(others - known.keys(), tuple(categories)).items()))


def holds_texts(categories: tuple[Any, ...]) -> bool:
    """Whether some categories are strings."""
    return any(isinstance(category, (str, bytes)) for category in categories)


def as_type(name: str, categories: tuple[Any, ...], kind: type) -> list:
    """Categories for models that take no Python objects: all as strings, or all as floats.

    Parameters
    ----------
    name : str
        Of the column.
    categories : tuple
    kind : type
        ``str``, or that of the floats.

    Raises
    ------
    ValueError
        If they are neither strings nor numbers, and if two of them would be the same.
    """
    try:
        known = [kind(value.decode() if isinstance(value, bytes) else value) for value in categories]
    except (TypeError, ValueError):  # bytes, for example, that are no text
        known = []
    if len(set(known)) < len(categories):
        some = f"{list(categories[:5])}{' and others' if len(categories) > 5 else ''}"
        raise ValueError(
            f"Categories must be strings or numbers, and differ as {kind.__name__}, in an exported model."
            f" Got {some} in the column {name!r}; make them strings."
        )
    return [value if kind is str else float(value) for value in known]
