"""Which rows train and which are held out. Plain numpy."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit


def member_seeds(seed: int, n: int) -> list[int]:
    """Seeds of an ensemble's members; the first is that of a single network."""
    others = np.random.SeedSequence(seed).generate_state(n - 1) >> 1
    return [seed, *others.tolist()]


def hold_outs(n_samples: int, fraction: float, seeds: list[int], codes: NDArray | None) -> list:
    """A split for each member of an ensemble, as `hold_out`.

    Two members each hold out the same rows: what they predict there together tells what averaging does. Parts of
    different pairs have rows in common only when all rows have been held out.

    Parameters
    ----------
    n_samples : int
    fraction : float
    seeds : list of int
    codes : ndarray of shape (n_samples,), int, or None

    Returns
    -------
    list of (train, validation)
        int32, which both members of a pair share.
    """
    splits: list[tuple[NDArray, NDArray]] = []
    every_row = pool = np.arange(n_samples, dtype=np.int32)
    for seed in seeds[::2]:
        n_wanted = fraction * n_samples
        if len(pool) < 1.5 * n_wanted:
            pool = every_row
        try:
            chosen = hold_out(len(pool), n_wanted / len(pool), seed, None if codes is None else codes[pool])[1]
        except ValueError:
            if len(pool) == n_samples:
                raise
            pool = every_row  # too few rows of some classes are left to split
            chosen = hold_out(n_samples, fraction, seed, codes)[1]
        validation = pool[chosen]
        pool = np.delete(pool, chosen)
        splits += [(np.delete(every_row, validation), validation)] * 2
    return splits[: len(seeds)]


def hold_out(n_samples: int, fraction: float, seed: int, codes: NDArray | None) -> tuple[NDArray, NDArray]:
    """Split the rows at random, stratified by class where that is possible.

    Every class is seen in training: one with a single row is never held out. Where the held-out part is too small for
    a row of each class, the split is not stratified.

    Parameters
    ----------
    n_samples : int
    fraction : float
        Share of the rows to hold out, in (0, 1).
    seed : int
    codes : ndarray of shape (n_samples,), int, or None
        Number of each row's class; None for a plain random split.

    Returns
    -------
    train, validation : ndarrays of int64
        Sorted row numbers.

    Raises
    ------
    ValueError
        If no row would be left on one of the sides.
    """
    n_validation = min(max(1, round(fraction * n_samples)), n_samples - 1)
    pool, strata = np.arange(n_samples), None
    if codes is not None:
        counts = np.bincount(codes)
        pool = pool[counts[codes] > 1]
        n_classes = np.count_nonzero(counts > 1)
        n_validation = min(n_validation, len(pool) - 1)
        if n_validation >= n_classes and len(pool) - n_validation >= n_classes:
            strata = codes[pool]
        elif n_validation > 0:  # a row of each class stays in training
            order = np.random.default_rng(seed).permutation(pool)
            pool = np.setdiff1d(pool, order[np.unique(codes[order], return_index=True)[1]])
            n_validation = min(n_validation, len(pool))
    if n_samples < 2 or not 0 < n_validation < n_samples:
        raise ValueError(
            f"early_stopping=True needs at least one row to train on and one to hold out, of classes with two rows or "
            f"more. Got n_samples={n_samples} with validation_fraction={fraction}; pass X_val and y_val, or set "
            "early_stopping=False."
        )
    held_out = np.zeros(n_samples, bool)
    if n_validation < len(pool):
        splitter = ShuffleSplit if strata is None else StratifiedShuffleSplit
        ((_, chosen),) = splitter(1, test_size=n_validation, random_state=seed).split(pool, strata)
        pool = pool[chosen]
    held_out[pool] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
