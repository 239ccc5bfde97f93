"""What all displays look like."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Colours that can be told apart with any kind of colour vision (Okabe and Ito 2008), in pairs: the second of each is
# the stronger one. Line styles differ as well.
PAIRS = [("#56B4E9", "#0072B2"), ("#E69F00", "#D55E00"), ("#CC79A7", "#7A3E65"), ("#999999", "#000000")]
COLORS = [strong for _, strong in PAIRS]
DASHES = ["-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P"]
MAP = "cividis"
# Values that span more than this factor are drawn on a logarithmic axis.
LOG_FROM = 10.0


def new_axes(ax: "Axes | None", width: float = 6.4, height: float = 4.8) -> "Axes":
    """The axes given, or those of a new figure, of this size in inches."""
    if ax is not None:
        return checked_axes(ax)
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def checked_axes(ax: Any) -> "Axes":
    """The axes given, or an error where they are none: ``plt.subplots`` returns arrays of them."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"The 'ax' parameter must be a matplotlib.axes.Axes or None. Got {ax!r} instead.")
    return ax


def tidy(ax: "Axes") -> None:
    """Draw a faint grid, and no frame above and at the right."""
    ax.grid(alpha=0.25, which="major", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def figure_of(ax: "Axes") -> "Figure | SubFigure":
    """The figure that the axes are on."""
    figure = ax.get_figure()
    assert figure is not None
    return figure


def legend_above(ax: "Axes", lines: "Sequence[Artist]") -> None:
    """Put a legend above the axes, where it hides nothing; within, if the figure makes no room for so much."""
    shown = [line for line in lines if not str(line.get_label()).startswith("_")]
    n_columns = 2 if max(len(str(line.get_label())) for line in shown) <= 36 else 1
    n_rows = -(-len(shown) // n_columns)
    style: dict[str, Any] = {"handles": shown, "fontsize": "small", "frameon": False}
    if figure_of(ax).get_layout_engine() is None and n_rows > 2:
        ax.legend(**style | {"frameon": True, "framealpha": 0.85, "edgecolor": "none"})
    else:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3, ncols=n_columns, **style)


def n_drawn(ax: "Axes", mark: str) -> int:
    """How many displays have drawn on the axes already, each with a line of this gid."""
    return sum(line.get_gid() == mark for line in ax.lines)


def spans_decades(values: NDArray) -> bool:
    """Whether a logarithmic axis shows the values better."""
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.min() > 0 and values.max() > LOG_FROM * values.min()
