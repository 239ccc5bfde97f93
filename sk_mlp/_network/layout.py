"""Where each variable of a network and its optimizer lies in the two vectors of a state. Plain numpy."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class State:
    """Weights and optimizer slots of one member: floats of shape (n_floats,), ints of shape (n_ints,)."""

    floats: NDArray
    ints: NDArray

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        return bool(np.isfinite(self.floats).all())

    def equals(self, other: "State") -> bool:
        """Whether all numbers are the same, nan being the same as nan."""
        return np.array_equal(self.floats, other.floats, equal_nan=True) and np.array_equal(self.ints, other.ints)


@dataclass(frozen=True, eq=False)
class StateLayout:
    """Where each variable lies in a `State`'s two vectors.

    States are packed so that they are easy to compare, keep and pickle outside the compiled program.

    Attributes
    ----------
    names : tuple of str
        Of each variable, its layer's name and its own.
    shapes : tuple of tuple of int
    dtypes : tuple of str
    n_weights : int
        How many of them, the first ones, are the network's.
    averages : tuple of int
        Numbers of those that hold the trainable ones' averages; empty if there are none.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    n_weights: int
    averages: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StateLayout) and (self.shapes, self.dtypes) == (other.shapes, other.dtypes)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def places(self) -> list[tuple[bool, slice]]:
        """For each variable, whether it is among the ints, and where it begins."""
        places, ends = [], {True: 0, False: 0}
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            is_int = np.dtype(dtype).kind in "iub"
            start = ends[is_int]
            ends[is_int] += math.prod(shape)
            places.append((is_int, slice(start, ends[is_int])))
        return places

    @cached_property
    def n_floats(self) -> int:
        """Length of a state's floats."""
        return max((where.stop for is_int, where in self.places if not is_int), default=0)

    @cached_property
    def n_ints(self) -> int:
        """Length of a state's ints."""
        return max((where.stop for is_int, where in self.places if is_int), default=0)

    @property
    def float_dtype(self) -> np.dtype:
        """Of a state's floats."""
        dtypes = map(np.dtype, self.dtypes)
        return np.result_type(np.float32, *(dtype for dtype in dtypes if dtype.kind == "f"))

    def pack(self, arrays: list[NDArray]) -> State:
        """The state that holds these arrays of one member."""
        state = State(np.empty(self.n_floats, self.float_dtype), np.empty(self.n_ints, np.int64))
        for array, (is_int, where) in zip(arrays, self.places, strict=True):
            (state.ints if is_int else state.floats)[where] = np.ravel(array)
        return state

    def weights(self, state: State) -> list[NDArray]:
        """The network's variables to predict with: for trained ones their averages, where these are taken."""
        arrays = self.unpack(state, None if self.averages else self.n_weights)
        return [*(arrays[i] for i in self.averages), *arrays[len(self.averages) : self.n_weights]]

    def unpack(self, state: State, n: int | None = None) -> list[NDArray]:
        """The first n arrays of a member's state, or all; views where the dtype allows."""
        return [
            (state.ints if is_int else state.floats)[where].reshape(shape).astype(dtype, copy=False)
            for (is_int, where), shape, dtype in list(zip(self.places, self.shapes, self.dtypes, strict=True))[:n]
        ]
