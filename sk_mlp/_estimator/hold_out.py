"""Which rows are held out where the user says how: the last ones, whole groups, or what a splitter yields."""

from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._missing import is_pandas_na

from sk_mlp._estimator.messages import counted, warn
from sk_mlp._estimator.split import hold_outs
from sk_mlp._tables.columns import is_masked

Split = tuple[NDArray, NDArray]  # numbers of the rows that train, and of those held out

# Of a block of the last rows: fewer cannot tell a network when to stop.
FEWEST_ROWS = 20
HOW_GROUPS_COME = (
    "Pass fit(X, y, groups=...). In pipelines, searches and cross_validate, groups come by metadata routing: "
    "sklearn.set_config(enable_metadata_routing=True), and set_fit_request(groups=True) unless hold_out itself asks "
    "for groups."
)


def uses_groups(hold_out: Any) -> bool:
    """Whether ``hold_out`` always needs groups: "group" does, and scikit-learn's splitters of groups."""
    if isinstance(hold_out, str):
        return hold_out == "group"
    if isinstance(hold_out, type) or not hasattr(hold_out, "get_metadata_routing"):
        return False
    return hold_out.get_metadata_routing().split.requests.get("groups") is True


def splits_of_members(
    hold_out: Any, fraction: float, seeds: list[int], codes: NDArray | None, kept: NDArray, given: tuple
) -> list[Split]:
    """A split for each member of an ensemble; the two members of a pair have the same.

    Parameters
    ----------
    hold_out : {"random", "last", "group"} or splitter
    fraction : float
        Share of the rows to hold out, in (0, 1); a splitter has its own.
    seeds : list of int
        The members'.
    codes : ndarray of shape (n_kept,), int, or None
        Number of each row's class; None for y without classes.
    kept : ndarray of shape (n_kept,), int
        Which of the rows as given take part: the others have no weight.
    given : (X, y, groups)
        All rows, as the user gave them; y and groups as arrays, groups may be None.

    Returns
    -------
    list of (train, validation)
        Row numbers among those kept, sorted, int32.
    """
    _, y, groups = given
    if isinstance(hold_out, str) and hold_out != "group" and groups is not None:
        ignored = f"The groups parameter is ignored by hold_out={hold_out!r}; hold_out='group' keeps groups together."
        warn(ignored)
    if isinstance(hold_out, str) and hold_out == "random":
        return hold_outs(len(kept), fraction, seeds, codes)
    pairs = seeds[::2]
    if not isinstance(hold_out, str):
        splits = parts_of_splitter(hold_out, given, kept, len(pairs))
    elif hold_out == "last":
        splits = last_blocks(len(kept), fraction, len(pairs))
    else:
        if groups is None:
            raise ValueError(f"hold_out='group' needs groups, a value for each row of X. Got None. {HOW_GROUPS_COME}")
        splits = groups_held_out(numbers_of_groups(groups, kept), fraction, pairs, codes)
    if codes is not None:
        _warn_of_classes_left_out(splits, codes, y[kept], hold_out)
    return [split for split in splits for _ in range(2)][: len(seeds)]


def last_blocks(n_samples: int, fraction: float, n_pairs: int) -> list[Split]:
    """The last rows, a block of them for each pair, which trains on all rows before its block and on none after.

    What comes after a held-out row would tell of it, for tomorrow is like the day after. So pairs walk forward: the
    last rows as a whole are held out by a single network, and by an ensemble block by block. Each pair but the first
    also trains on blocks that earlier pairs were held to, so that the ensemble has seen more, and more recent, rows
    than a single network. Where blocks would be too small to tell when to stop, pairs share them.

    On four series, drifting or autocorrelated, of 600 and 2,000 rows (five draws each, eight small networks), the
    squared error on the rows to come was 4 to 20 % higher with the same last rows for all pairs, and 34 to 63 % higher
    with blocks that each had the whole fraction, which cost the first pairs the latest rows.

    Parameters
    ----------
    n_samples : int
    fraction : float
        Size of all blocks together, as a share of all rows.
    n_pairs : int
    """
    if n_samples < 2:
        raise ValueError(
            "hold_out='last' needs at least one row to train on and one to hold out. Got "
            f"n_samples={n_samples}; pass X_val and y_val, or set early_stopping=False."
        )
    n_last = min(max(1, round(fraction * n_samples)), n_samples - 1)
    n_blocks = min(max(1, n_last // FEWEST_ROWS), n_pairs)
    bounds = n_samples - n_last + n_last * np.arange(n_blocks + 1) // n_blocks
    every_row = np.arange(n_samples, dtype=np.int32)
    blocks = [(every_row[:begin], every_row[begin:end]) for begin, end in pairwise(bounds)]
    return [blocks[pair * n_blocks // n_pairs] for pair in range(n_pairs)]


def groups_held_out(groups: NDArray, fraction: float, seeds: list[int], codes: NDArray | None) -> list[Split]:
    """Whole groups at random, with about as many rows as are wanted; other groups for each pair while there are any.

    A group without which a class would have no row to train on is never held out.

    Parameters
    ----------
    groups : ndarray of shape (n_samples,), int
        Number of each row's group, from 0 without gaps.
    fraction : float
    seeds : list of int
        The pairs'.
    codes : ndarray of shape (n_samples,), int, or None
        Number of each row's class.

    Raises
    ------
    ValueError
        If no group can be held out.
    """
    sizes = np.bincount(groups)
    every_group = np.arange(len(sizes))
    if len(every_group) < 2:
        raise ValueError(
            f"hold_out='group' needs at least two groups with rows that have a weight. Got {len(every_group)}; "
            "pass X_val and y_val, or set early_stopping=False."
        )
    codes = np.zeros_like(groups) if codes is None else codes
    n_classes = codes.max() + 1
    pairs, counts = np.unique(groups * n_classes + codes, return_counts=True)
    bounds = np.searchsorted(pairs, n_classes * every_group[1:])
    classes = list(zip(np.split(pairs % n_classes, bounds), np.split(counts, bounds), strict=True))
    of_all = np.bincount(codes)
    wanted = fraction * len(groups)
    splits: list[Split] = []
    pool = every_group
    for seed in seeds:
        chosen = _draw_groups(pool, sizes, wanted, seed, classes, of_all)
        if sizes[chosen].sum() < wanted / 2 and len(pool) < len(every_group):  # too few groups are left
            chosen = _draw_groups(every_group, sizes, wanted, seed, classes, of_all)
            pool = every_group
        if not len(chosen):
            raise ValueError(
                "hold_out='group' needs a group without which every class still has a row to train on. Got "
                f"{counted(len(every_group), 'group')}, each of which has all rows of some class; pass X_val and "
                "y_val, or set early_stopping=False."
            )
        pool = np.setdiff1d(pool, chosen)
        is_held_out = np.isin(groups, chosen)
        train, validation = (np.flatnonzero(part).astype(np.int32) for part in (~is_held_out, is_held_out))
        splits.append((train, validation))
    return splits


def _draw_groups(
    pool: NDArray, sizes: NDArray, wanted: float, seed: int, classes: list[tuple[NDArray, NDArray]], of_all: NDArray
) -> NDArray:
    """Groups in a random order, each of which brings the number of rows nearer to the wanted one; one at least.

    Parameters
    ----------
    pool : ndarray of int
        Groups to draw from.
    sizes : ndarray of int
        Rows of each group.
    wanted : float
        Rows to hold out.
    seed : int
    classes : list of (ndarray of int, ndarray of int)
        For each group, the classes in it, and how many rows it has of each.
    of_all : ndarray of int
        How many rows there are of each class.
    """
    left = of_all.copy()

    def may_go(group: int) -> bool:
        of_group, counts = classes[group]
        return bool((left[of_group] > counts).all())

    order = np.random.default_rng(seed).permutation(pool)
    chosen: list[int] = []
    n = 0
    for group in order:
        if n >= wanted:
            break
        if abs(n + sizes[group] - wanted) < wanted - n and may_go(group):
            chosen.append(group)
            n += sizes[group]
            of_group, counts = classes[group]
            left[of_group] -= counts
    if not chosen:  # all are far larger than the wanted number
        by_size = order[np.argsort(sizes[order], kind="stable")]
        chosen = [group for group in by_size if may_go(group)][:1]
    return np.array(chosen, int)


def column_of_groups(groups: Any, n_samples: int) -> NDArray | None:
    """Groups as an array, one for each row; None stays None."""
    if groups is None:
        return None
    if is_masked(groups):
        raise ValueError("groups must not be missing (nan, None). Got masked values.")
    mixed = isinstance(groups, (list, tuple))  # an array of numbers and strings would hold strings alone
    column = np.asarray(groups, dtype=object) if mixed else np.asarray(groups)
    if column.shape == (n_samples, 1):
        column = column[:, 0]
    if column.shape != (n_samples,):
        raise ValueError(f"groups must be of shape (n_samples,), here ({n_samples},). Got {column.shape}.")
    return column


def numbers_of_groups(groups: NDArray, kept: NDArray) -> NDArray:
    """The number of each kept row's group; groups are numbered in the order of the rows, whatever their names.

    Parameters
    ----------
    groups : ndarray of shape (n_samples,)
    kept : ndarray of shape (n_kept,), int
        The rows that take part.
    """
    groups = groups[kept]
    if groups.dtype.kind == "O":
        known: dict[Any, int] = {}
        try:
            numbers = np.array([known.setdefault(group, len(known)) for group in groups], int)
        except TypeError as error:
            raise ValueError(f"groups must hold strings, numbers and the like. Got {error}.") from error
        missing = np.array([group is None or is_pandas_na(group) or group != group for group in known], bool)
    else:
        values, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
        order = np.argsort(first)
        missing, numbers = (values != values)[order], np.argsort(order)[numbers]
    if missing.any():
        rows = np.flatnonzero(missing[numbers])
        raise ValueError(
            f"groups must not be missing (nan, None). Got {len(rows)} such values of {len(groups)}, the first in row "
            f"{kept[rows[0]]}."
        )
    return numbers


def parts_of_splitter(splitter: Any, given: tuple, kept: NDArray, n_pairs: int) -> list[Split]:
    """The splitter's first splits, one for each pair; it starts again if it has too few.

    It splits all rows as the user gave them, for it may know them by their numbers, as a
    `sklearn.model_selection.PredefinedSplit` does. Rows without weight are then left out of its parts.

    Raises
    ------
    ValueError
        If it cannot split these rows, or its parts are not two sets of their numbers without a row in common.
    """
    if isinstance(splitter, type):
        raise ValueError(f"hold_out must be an object that splits, not its class. Got {splitter!r}; call it.")
    X, y, groups = given
    name = " ".join(repr(splitter).split())
    n_samples = len(y)
    place = np.full(n_samples, -1, np.int32)
    place[kept] = np.arange(len(kept))
    foretold = len(getattr(splitter, "test_fold", y))  # a PredefinedSplit's
    if foretold != n_samples:
        raise ValueError(f"hold_out={name} is for {counted(foretold, 'row')}. Got n_samples={n_samples}.")
    try:
        found = list(islice(splitter.split(X, y, groups), n_pairs))
    except (TypeError, ValueError) as error:
        hint = f" {HOW_GROUPS_COME}" if groups is None and uses_groups(splitter) else ""
        raise ValueError(f"hold_out={name} cannot split these rows: {error}{hint}") from error
    if not found:
        raise ValueError(f"hold_out must yield at least one split. Got none from {name}.")
    splits = []
    for parts in found:
        try:
            train, validation = (np.arange(n_samples)[np.asarray(part) if len(part) else []] for part in parts)
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"hold_out must yield two arrays of row numbers below n_samples={n_samples} (train, held out). Got "
                f"something else from {name}: {error}."
            ) from error
        if n_common := len(np.intersect1d(train, validation)):
            raise ValueError(
                f"hold_out must yield parts without rows in common. Got {n_common} common rows from {name}."
            )
        of_kept = [np.sort(place[part][place[part] >= 0]) for part in (train, validation)]
        if not all(map(len, of_kept)):
            raise ValueError(
                "hold_out must yield at least one row with a weight to train on and one to hold out. Got "
                f"{len(of_kept[0])} and {len(of_kept[1])} from {name}."
            )
        splits.append((of_kept[0], of_kept[1]))
    return [splits[pair % len(splits)] for pair in range(n_pairs)]


def _warn_of_classes_left_out(splits: list[Split], codes: NDArray, y: NDArray, hold_out: Any) -> None:
    """Warn of classes that no row in training has."""
    n = np.bincount(codes)
    left_out = np.zeros(len(n), bool)
    for train, _ in splits:
        left_out |= (n > 0) & (np.bincount(codes[train], minlength=len(n)) == 0)
    if left_out.any():
        labels = np.unique(y[left_out[codes]]).tolist()
        warn(
            f"The classes {labels} have no rows to train on in a split of hold_out={hold_out!r}: a network cannot "
            "learn them, and its held-out loss counts that."
        )
