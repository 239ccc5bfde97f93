"""A cache of what was used last: compiled programs and traced calls, which take seconds to make."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class LastUsed(Generic[Made]):
    """The objects that were used last, by their keys. Threads may share it.

    Parameters
    ----------
    size : int
        How many to keep.
    """

    def __init__(self, size: int):
        self.size = size
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """The object of this key, made if it is not there."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
            return self._kept[key]

    def clear(self) -> None:
        """Keep none."""
        with self._lock:
            self._kept.clear()

    def values(self) -> list[Made]:
        """All that are kept, the one used last at the end."""
        with self._lock:
            return list(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)
