"""Hyperparameters as axes: where each value lies, on which scale, and with which words."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_mlp.inspection._style import figure_of
from sk_mlp.model_selection._results import is_number, params_of, scale_of

MISSING: Any = object()  # of a candidate that does not set the parameter
MOST_TICKS = 7  # ticks at the values themselves, where there are no more
CLOSEST = 0.1  # distance of two such ticks, as a share of the axis
LONGEST = 14  # letters in the words of a value, at most
LINE = 0.17  # inches between lines of words


@dataclass(frozen=True, eq=False)
class ParameterAxis:
    """A hyperparameter of a search.

    Attributes
    ----------
    name : str
        As it is shown.
    values : sequence
        One a candidate.
    scale : {"linear", "log", "log from 1", "categories"}
        "log from 1" is a logarithmic scale of 1 - value.
    """

    name: str
    values: Sequence[Any]
    scale: str

    @property
    def words(self) -> list[str]:
        """Each candidate's value in words, by which values are told apart."""
        return ["" if value is MISSING else repr(value) for value in self.values]

    @property
    def varies(self) -> bool:
        """Whether there are several values."""
        return len(set(self.words) - {""}) > 1

    @property
    def distinct(self) -> list[Any]:
        """The values, in the order of the axis."""
        found = {repr(value): value for value in self.values if value is not MISSING}
        numbers = all(is_number(value) for value in found.values())
        return sorted(found.values()) if numbers else list(found.values())

    def places(self, rows: NDArray) -> NDArray:
        """Where these candidates lie; nan for those that do not set the parameter."""
        if self.scale == "categories":
            number = {repr(value): i for i, value in enumerate(self.distinct)}
            aside = 0.3 * ((rows * 0.618034) % 1 - 0.5)  # so that equal ones do not hide each other
            return np.array([number.get(self.words[row], np.nan) for row in rows], float) + aside
        there = [self._place(self.values[row]) for row in rows]
        return np.array(there, float)

    def _place(self, value: Any) -> float:
        if value is MISSING:
            return np.nan
        return 1 - float(value) if self.scale == "log from 1" else float(value)

    def dress(self, axis: Any) -> None:
        """Give a matplotlib axis its scale, ticks and label."""
        from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

        is_complement, is_log = self.scale == "log from 1", self.scale.startswith("log")
        which, label = axis.axis_name, f"1 - {self.name}" if is_complement else self.name
        getattr(axis.axes, f"set_{which}label")(label)
        if self.scale == "categories":
            words = [_short(value) for value in self.distinct]
            spacing = _inches(axis) / len(words)
            every = ceil(LINE / spacing)  # the words of the others have no room
            words = [word if i % every == 0 else "" for i, word in enumerate(words)]
            slope: dict[str, Any] = {}
            if which == "x" and sum(map(len, words)) > 22:
                slope = {"rotation": 30, "ha": "right"} if spacing > 2 * LINE else {"rotation": 90}
            axis.set_ticks(range(len(words)), words, **slope)
            getattr(axis.axes, f"set_{which}lim")(-0.5, len(words) - 0.5)
            return
        getattr(axis.axes, f"set_{which}scale")("log" if is_log else "linear")
        if is_complement:
            axis.set_inverted(True)
        ticks = sorted(self._place(value) for value in self.distinct)
        steps = np.diff(np.log(ticks) if is_log else ticks)
        if len(ticks) <= MOST_TICKS and (len(ticks) == 1 or steps.min() > CLOSEST * steps.sum()):
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(lambda value, _: f"{value:.4g}")
        elif not is_log and all(isinstance(value, Integral) for value in self.distinct):
            axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def axes_of_search(search: Any) -> dict[str, ParameterAxis]:
    """The hyperparameters of a finished search, by their full names; of those that halving sets, none."""
    rows = params_of(search)
    steps = dict(getattr(search.estimator, "steps", ()))
    axes = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        first, _, rest = name.partition("__")
        shown = rest if rest and first in steps else name
        scale = scale_of(name, [row[name] for row in rows if name in row], search)
        axes[name] = ParameterAxis(shown, [row.get(name, MISSING) for row in rows], scale)
    return axes


def _inches(axis: Any) -> float:
    """The length of an axis."""
    box = axis.axes.get_window_extent()
    return (box.width if axis.axis_name == "x" else box.height) / figure_of(axis.axes).dpi


def _short(value: Any) -> str:
    words = value if isinstance(value, str) else getattr(value, "__name__", None) or repr(value)
    words = " ".join(str(words).split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
