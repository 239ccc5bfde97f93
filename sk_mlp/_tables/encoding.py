"""Turns rows of X into the features of the first hidden layer, by a `ColumnPlan`, for all members at once.

Plain numpy; `sk_mlp.layers.ColumnEncoding` is the same arithmetic as a layer. What members have learned is turned into
tables beforehand. All of them look up a number in the same sorted list, that of the boundaries of all their bins.

Rows lie in *lanes*: 16 of them side by side in the last axis of an array, after the axis of their features.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sk_mlp._tables.bins import N_BINS
from sk_mlp._tables.plan import CATEGORY_DIM, CLIP, LARGEST, PIECEWISE_DIM, SCALE_FACTOR, SMALLEST_BIN, ColumnPlan

LANES = 16


def in_lanes(rows: NDArray) -> NDArray:
    """Rows, (n_rows, n_columns), as (n_blocks, n_columns, `LANES`), float32; the last block is filled up with 0."""
    n_rows, n_columns = rows.shape
    n_blocks = -(-n_rows // LANES)
    if n_rows < n_blocks * LANES:
        filled = np.zeros((n_blocks * LANES, n_columns), np.float32)
        filled[:n_rows] = rows
        rows = filled
    lanes = np.empty((n_blocks, n_columns, LANES), np.float32)
    lanes[...] = rows.reshape(n_blocks, LANES, n_columns).transpose(0, 2, 1)
    return lanes


def in_all_lanes(numbers: NDArray) -> NDArray:
    """A number for each feature of each member, (n_members, n), repeated in all lanes: (n_members, 1, n, `LANES`).

    numpy is several times as fast where both of its arguments lie side by side.
    """
    return np.repeat(numbers[:, None, :, None], LANES, axis=3)


class ColumnEncoder:
    """The features of all members. It does not change once it is made, so threads may share it.

    Parameters
    ----------
    plan : ColumnPlan
    members : list of dict of str to ndarray
        Variables of each member's `ColumnEncoding`, by name.
    """

    def __init__(self, plan: ColumnPlan, members: Sequence[dict[str, NDArray]]):
        self.plan = plan
        self._numeric, self._indicators = list(plan.numeric), list(plan.indicators)
        known = {name: np.stack([member[name] for member in members]).astype(np.float64) for name in members[0]}
        if plan.numeric:
            self._fill, self._center, self._scale = (in_all_lanes(known[name]) for name in ("fill", "center", "scale"))
        if plan.embedding == "ple":
            self._bins = _Bins(known, plan.clip)
        elif plan.embedding:
            self._frequency = 2 * np.pi * known["frequency"][:, None, :, :, None]
            self._phase = known["phase"][:, None, :, :, None] if plan.embedding == "pbld" else None
            self._mixing = known["mixing"].transpose(0, 1, 3, 2)[:, None].astype(np.float32)
            self._mixing_bias = known["mixing_bias"][:, None, :, :, None].astype(np.float32)
        if plan.slots:
            self._slots, ones, others = np.array(plan.slots).T
            self._ones, self._others = ones[:, None].astype(np.float32), others[:, None].astype(np.float32)
        self._categories = [
            (known[f"category_{i}"] * known[f"category_known_{i}"][..., None]).transpose(0, 2, 1).astype(np.float32)
            for i in range(len(plan.embedded))
        ]
        factors = np.ones((len(members), plan.width))
        if plan.slots:
            end = plan.width - CATEGORY_DIM * len(plan.embedded)
            factors[:, end - len(plan.slots) : end] = known["known"]
        if plan.learned_scale:
            factors *= known["factor"] * SCALE_FACTOR
        self._factors = factors

    def folded(self, kernel: NDArray) -> NDArray:
        """A kernel, (n_members, width, n), for features as they come here: in another order and not yet scaled."""
        order = np.arange(self.plan.width)
        if self.plan.embedding == "ple":  # here the first features of all columns come first, then all the second ones
            n = len(self.plan.numeric)
            order[n : n + n * PIECEWISE_DIM] = n + np.arange(n * PIECEWISE_DIM).reshape(n, -1).T.ravel()
        return (kernel * self._factors[..., None])[:, order]

    def __call__(self, x: NDArray) -> NDArray:
        """Features, (n_members, n_blocks, width, LANES), float32, of rows in lanes, float32."""
        plan, end = self.plan, 0
        features = np.empty((len(self._factors), len(x), plan.width, LANES), np.float32)

        def place(n: int) -> NDArray:
            """The place of the next n features."""
            nonlocal end
            end += n
            return features[:, :, end - n : end]

        if plan.numeric:
            n, numbers = len(plan.numeric), x[:, self._numeric]
            missing = np.isnan(numbers)
            z = self._scaled(numbers, missing)
            place(n)[...] = z
            if plan.embedding == "ple":
                mixed = place(n * PIECEWISE_DIM).reshape(*features.shape[:2], PIECEWISE_DIM, n, LANES)
                self._bins.mix(numbers, missing, z, out=mixed)
            elif plan.embedding:
                mixed = place(n * plan.embedding_dim).reshape(*features.shape[:2], n, plan.embedding_dim, LANES)
                self._mix_waves(z, out=mixed)
            if plan.indicators:
                place(len(plan.indicators))[...] = missing[:, self._indicators]
        if plan.slots:
            values = x[:, self._slots]
            place(len(plan.slots))[...] = (values == self._ones) * np.float32(1) - (values == self._others)
        for (column, n), table in zip(plan.embedded, self._categories, strict=True):
            codes = np.clip(x[:, column], -1, n - 1).astype(np.intp) + 1
            place(CATEGORY_DIM)[...] = np.take(table, codes, axis=2).transpose(0, 2, 1, 3)
        return features

    def _scaled(self, numbers: NDArray, missing: NDArray) -> NDArray:
        """Scaled numbers of each member, (n_members, n_blocks, n_numeric, LANES), float64."""
        filled = np.where(missing, self._fill, numbers) if missing.any() else numbers
        z = (filled - self._center) * self._scale
        if self.plan.clip:
            np.clip(z, -LARGEST, LARGEST, out=z)
            size = z * (1 / CLIP)
            size *= size
            size += 1
            z /= np.sqrt(size, out=size)
        return z

    def _mix_waves(self, z: NDArray, out: NDArray) -> None:
        """Cosines and sines of each scaled number, mixed."""
        angle = z[..., None, :] * self._frequency
        if self._phase is not None:
            waves = np.cos(angle + self._phase)
        else:
            waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=-2)
        out[...] = self._mixing @ waves.astype(np.float32) + self._mixing_bias
        if self._phase is None:
            np.maximum(out, 0, out=out)


class _Bins:
    """How far each number has come through each bin of its column, mixed.

    All bins below a number count in full and those above not at all: their sums are taken beforehand, so that a feature
    is ``below + share * own``, where ``share`` is how far the number has come through its own bin.

    Parameters
    ----------
    known : dict of str to ndarray, float64
        Variables of all members: the first axis is theirs.
    clip : bool
        As in `ColumnPlan`.
    """

    def __init__(self, known: dict[str, NDArray], clip: bool):
        bounds = known["boundaries"]  # (n_members, n_numeric, N_BINS + 1)
        low, high = bounds[..., :-1], bounds[..., 1:]
        mixing = known["mixing"] * (high > low)[..., None]  # bins that only fill up the array count for nothing
        below = np.cumsum(mixing, axis=2) - mixing + known["mixing_bias"][:, :, None]
        self._below, self._own = (
            np.ascontiguousarray(part.reshape(-1, PIECEWISE_DIM).T, np.float32) for part in (below, mixing)
        )
        self._low, self._per_unit = low.ravel(), (1 / np.maximum(high - low, SMALLEST_BIN)).ravel()
        begins = np.where(high > low, low, np.inf)[..., 1:]  # where each bin but the first begins
        first = np.arange(low[..., 0].size).reshape(low.shape[:2]) * N_BINS  # bin of each member and column
        limits_of_x = _before_scaling(begins, known["center"][..., None], known["scale"][..., None], clip)
        self._of_missing = (first + (limits_of_x <= known["fill"][..., None]).sum(axis=2))[:, None, :, None]
        merged = [np.unique(column[column < np.inf]) for column in limits_of_x.swapaxes(0, 1)]
        size = 1 << max(map(len, merged)).bit_length()  # of each column's part in the sorted list, a power of 2
        self._halves = [size >> i for i in range(1, size.bit_length())]
        self._starts = (np.arange(len(merged)) * size)[:, None]
        limits = np.full((len(merged), size), np.inf, np.float32)
        bins = np.empty((len(bounds), len(merged), size), np.intp)
        for j, column in enumerate(merged):
            limits[j, : len(column)] = column
            own = limits_of_x[:, j, :, None]
            passed = np.concatenate([[-np.inf], column, np.full(size - 1 - len(column), np.inf)])
            bins[:, j] = first[:, j, None] + ((own <= passed) & (own < np.inf)).sum(axis=1)
        self._limits, self._bin = limits.ravel(), bins.reshape(len(bounds), -1)

    def mix(self, numbers: NDArray, missing: NDArray, z: NDArray, out: NDArray) -> None:
        """Mix the bins of numbers, (n_blocks, n_numeric, LANES), that have become z: (n_members, ...).

        ``out`` is of shape (n_members, n_blocks, PIECEWISE_DIM, n_numeric, LANES).
        """
        places = np.empty(numbers.shape, np.intp)
        places[...] = self._starts
        for half in self._halves:
            places += (numbers >= np.take(self._limits[half - 1 :], places)) * half
        bins = np.take(self._bin, places, axis=1)
        if missing.any():
            bins = np.where(missing, self._of_missing, bins)
        share = z - np.take(self._low, bins)
        share *= np.take(self._per_unit, bins)
        share = np.clip(share, 0, 1, out=share).astype(np.float32)
        mixed = np.take(self._own, bins, axis=1)
        mixed *= share
        mixed += np.take(self._below, bins, axis=1)
        np.maximum(mixed.transpose(1, 2, 0, 3, 4), 0, out=out)


def _before_scaling(z: NDArray, center: NDArray, scale: NDArray, clip: bool) -> NDArray:
    """The smallest numbers that scaling and clipping take to z or more; infinite where it takes all there, or none."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = 1 - (z / CLIP) ** 2
        unclipped = np.where(size > 0, z / np.sqrt(np.maximum(size, 0)), np.copysign(np.inf, z)) if clip else z
        of_constant = np.where(z <= 0, -np.inf, np.inf)
        return np.where(scale > 0, unclipped / scale + center, of_constant)
