"""Turns the numbers of X into float32 without losing digits that count. Plain numpy.

float32 keeps 7 digits. A column of dates such as 20180117, or of timestamps, differs in the digits after those. So
where numbers lie far from 0, compared with their spread, the *shift* of the column is subtracted in float64 first. All
that a network learns of such a column is about the numbers less their shift.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from sk_mlp._estimator.messages import warn
from sk_mlp._tables.selection import Matrix, stacked

# Types that checks of X leave as they are. Numbers of other types become the first of them.
WIDE = [np.float64, np.int64, np.int32, np.uint64, np.uint32]  # have digits that float32 lacks
NARROW = [np.float32, np.uint8]  # go to the engine as they are, and become float32 a batch at a time
DENSE = [*WIDE, *NARROW, np.float16, np.int16, np.int8, np.uint16]
SPARSE = NARROW

# In spreads from 0: columns at least as far are shifted. Nearer ones float32 rounds by less than 1e-4 spreads.
FAR = 1000.0
# After that, at most: shifts are multiples of it, so that they are equal in a search's folds.
NEAR = 32.0
LOST = 1e-3  # of a column's spread: float32 rounding of more gives a warning
CONSTANT = 64 * float(np.finfo(np.float64).eps)  # of a column's size: a smaller spread is rounding of float64 itself
PROBE = 30_000  # numbers of X, at most, that are checked for a warning
PROBED_ROWS = 1000  # of which those are, more or less: enough for quartiles
CHUNK = 2**18  # numbers that are converted at a time


def is_wide(X: Matrix) -> bool:
    """Whether a matrix is dense, and of a type with digits that float32 lacks."""
    return not issparse(X) and X.dtype in WIDE


def shift_of(center: NDArray, scale: NDArray) -> NDArray:
    """What to subtract from numbers, in float64, before they become float32; 0 where nothing needs to be.

    Parameters
    ----------
    center : ndarray of shape (n_columns,)
    scale : ndarray of shape (n_columns,)
        One over the spread; 0 for a constant column.

    Returns
    -------
    ndarray of shape (n_columns,), float64
        Multiples of a power of 2, at most `NEAR` spreads away from the center.
    """
    far = np.abs(center) * scale >= FAR
    unit = np.exp2(np.floor(np.log2(2 * NEAR / np.where(far, scale, 1.0))))
    return np.where(far, np.round(center / unit) * unit, 0.0)


def in_float32(parts: Sequence[Matrix], shift: NDArray | None, names: Iterable = (), checks: bool = True) -> Matrix:
    """Matrices, one below the other, as one matrix that networks train on.

    Parameters
    ----------
    parts : list of matrix
        X, and then held-out rows if there are any: without infinite numbers.
    shift : ndarray of shape (n_columns,) or None
        To be subtracted.
    names : iterable of str
        Of the columns, for messages.
    checks : bool
        Whether numbers that float32 does not hold are refused. They become infinite otherwise.

    Returns
    -------
    ndarray of float32 or uint8, or csr_array
        The first part itself, if it is such an array and there is nothing to do.

    Raises
    ------
    ValueError
        For numbers that float32 does not hold.
    """
    if len(parts) == 1 and issparse(parts[0]):
        return parts[0]
    if any(issparse(part) for part in parts):
        return stacked([csr_array(part if issparse(part) else in_float32([part], None, names)) for part in parts])
    if shift is None and len({part.dtype for part in parts}) == 1 and parts[0].dtype in NARROW:
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
    n_columns = parts[0].shape[1]
    result = np.empty((sum(map(len, parts)), n_columns), np.float32)
    step, end = max(1, CHUNK // max(n_columns, 1)), 0
    for i, part in enumerate(parts):
        for begin in range(0, len(part), step):
            rows = part[begin : begin + step]
            place = result[end : end + len(rows)]
            end += len(rows)
            with np.errstate(over="ignore"):
                place[...] = rows if shift is None else np.subtract(rows, shift, dtype=np.float64)
            if checks and np.isinf(place).any():
                of_held_out = "The held-out rows (X_val, y_val, sample_weight_val) are not valid: " if i else ""
                wrong = "Input X contains infinity or a value too large for dtype('float32')"
                raise ValueError(f"{of_held_out}{wrong}{_in_columns(np.isinf(place), names)}.")
    return result


def check_finite(X: NDArray, allow_nan: bool, names: Iterable, estimator_name: str) -> None:
    """Raise scikit-learn's error for numbers that are not finite, with the names of their columns.

    Raises
    ------
    ValueError
        For infinite numbers; for nan too, unless it is allowed.
    """
    wrong = np.isinf(X) if allow_nan else ~np.isfinite(X)
    if not wrong.any():
        return
    try:
        from sklearn.utils import assert_all_finite  # importing it takes half a second
    except ImportError:  # where only what the predictor needs is installed
        what = "Input X contains NaN, infinity or a number that is too large"
        raise ValueError(f"{what}{_in_columns(wrong, names)}.") from None
    try:
        assert_all_finite(X, allow_nan=allow_nan, estimator_name=estimator_name, input_name="X")
    except ValueError as error:
        first, *others = str(error).split("\n")
        wrong = wrong if "NaN" in first else np.isinf(X)
        raise ValueError("\n".join([f"{first.rstrip('.')}{_in_columns(wrong, names)}.", *others])) from None


def _in_columns(wrong: NDArray, names: Iterable) -> str:
    """The columns with wrong numbers, as the end of a sentence."""
    numbers = np.flatnonzero(wrong.any(axis=0))
    names = list(names) or range(wrong.shape[1])
    found = list(dict.fromkeys(names[number] for number in numbers))  # features of a date have its name
    return f", in the column {_some(found)[1:-1]}" if len(found) == 1 else f", in the columns {_some(found)}"


def _some(names: list) -> str:
    shown = ", ".join(repr(name.item() if isinstance(name, np.generic) else name) for name in names[:5])
    return f"[{shown}{', ...' if len(names) > 5 else ''}]"


def warn_of_lost_digits(X: NDArray, rows: NDArray, numeric: NDArray, names: Iterable, remedy: str) -> None:
    """Warn of columns whose numbers hardly differ as float32, for a network that takes them as they are.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
    rows : ndarray of int
        Those that train; some of them are looked at.
    numeric : ndarray of int
        Numbers of the columns to look at.
    names : iterable of str
        Of all columns.
    remedy : str
        What to do, as the end of the message.

    Warns
    -----
    UserWarning
    """
    if not is_wide(X) or not len(numeric):
        return
    step = max(1, -(-len(rows) * len(numeric) // PROBE), len(rows) // PROBED_ROWS)
    sample = np.sort(X[np.ix_(rows[::step], numeric)].astype(np.float64), axis=0)  # nan comes last
    n = np.maximum(np.count_nonzero(~np.isnan(sample), axis=0), 1)
    columns = np.arange(len(numeric))
    least, low, high, most = (sample[((n - 1) * share).astype(int), columns] for share in (0, 0.25, 0.75, 1))
    spread = np.where(high > low, high - low, most - least)
    size = np.where(high > low, np.maximum(np.abs(low), np.abs(high)), np.maximum(np.abs(least), np.abs(most)))
    lost = (spread > CONSTANT * size) & (size * np.finfo(np.float32).epsneg > LOST * spread)
    if lost.any():
        names = list(names) or range(X.shape[1])
        found = _some([names[numeric[j]] for j in np.flatnonzero(lost)])
        warn(
            f"The columns {found} of X lose digits that tell rows apart: the network takes X as float32 as it is, "
            f"and their numbers differ by little compared with their size. {remedy}"
        )
