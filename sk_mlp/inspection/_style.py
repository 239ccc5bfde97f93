"""The look that all displays share."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend

# Colours that can be told apart with any kind of colour vision (Okabe and Ito 2008), in pairs: the second of each is
# the stronger one. Line styles differ as well.
PAIRS = [("#56B4E9", "#0072B2"), ("#E69F00", "#D55E00"), ("#CC79A7", "#7A3E65"), ("#999999", "#000000")]
COLORS = [strong for _, strong in PAIRS]
DASHES = ["-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P"]
MAP = "cividis"
# Values that span more than this factor are drawn on a logarithmic axis.
LOG_FROM = 10.0
OURS = "sk_mlp figure"  # the gid of figures that are made here, and of their legends
GAP = 0.55  # inches between rows of panels, for ticks and a label
LETTERS, HANDLE = 13, 6  # of a legend that fit into an inch; that its lines and gaps take


def new_axes(ax: "Axes | None") -> "Axes":
    """The axes given, or those of a new figure."""
    return new_grid(1, 1, (6.4, 4.8))[0, 0] if ax is None else checked_axes(ax)


def new_grid(n_rows: int, n_columns: int, size: tuple[float, float]) -> NDArray:
    """Axes of a new figure of this size in inches, which makes room for a legend below them."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", sharey=True, squeeze=False)
    figure.set_gid(OURS)
    return grid


def divided(ax: "Axes", n_rows: int, n_columns: int) -> NDArray:
    """Axes in the place of a user's, which are left empty."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    place = checked_axes(ax).get_subplotspec()
    if place is None:
        raise ValueError("The 'ax' parameter must be axes of a grid, as plt.subplots makes them, to be divided.")
    spaces, figure = {}, figure_of(ax)
    if not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):  # it leaves room for labels by itself
        height = ax.get_window_extent().height / figure.dpi
        spaces = {"hspace": GAP * n_rows / max(height - GAP * (n_rows - 1), GAP)}
    ax.set_axis_off()
    return place.subgridspec(n_rows, n_columns, **spaces).subplots(sharey=True, squeeze=False)


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


def draw_legend(ax: "Axes", artists: "Sequence[Artist]") -> "Legend":
    """Draw a legend that covers no title: below the axes of a figure made here, within the axes of a user's.

    A figure of ours makes room for it. Of the user's we do not know that, so there the legend is where the least is
    drawn. Labels that are longer than there is room for are broken into lines.
    """
    shown = [artist for artist in artists if not str(artist.get_label()).startswith("_")]
    figure = figure_of(ax)
    is_ours = figure.get_gid() == OURS
    room = int(LETTERS * (figure if is_ours else ax).get_window_extent().width / figure.dpi) - HANDLE
    labels = [fill(str(artist.get_label()), max(room, 12)) for artist in shown]
    if not is_ours:
        return ax.legend(shown, labels, loc="best", framealpha=0.85, fontsize="small")
    for legend in [legend for legend in figure.legends if legend.get_gid() == OURS]:
        legend.remove()  # of what has been drawn on these axes before: the new one has its lines too
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    n_columns = max(1, min(len(shown), (room + HANDLE) // (longest + HANDLE)))
    legend = figure.legend(shown, labels, loc="outside lower left", frameon=False, ncols=n_columns, fontsize="small")
    legend.set_gid(OURS)
    return legend


def n_drawn(ax: "Axes", mark: str) -> int:
    """How many displays have drawn on the axes already, each with a line of this gid."""
    return sum(line.get_gid() == mark for line in ax.lines)


def spans_decades(values: NDArray) -> bool:
    """Whether a logarithmic axis shows the values better."""
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.min() > 0 and values.max() > LOG_FROM * values.min()
