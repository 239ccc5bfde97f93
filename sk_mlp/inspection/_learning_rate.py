"""Losses at rising learning rates."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sk_mlp._estimator.extras import check_matplotlib
from sk_mlp.inspection._style import COLORS, DASHES, draw_legend, n_drawn, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sk_mlp.model_selection import LearningRateSweep

GID = "sk_mlp smoothed losses"


class LearningRateDisplay:
    """Losses against the learning rate, with the rate at which they blow up and the one that is suggested.

    Use `from_sweep` to make one from what `find_learning_rate` returns. Parameters are stored as attributes.

    Parameters
    ----------
    learning_rates : array-like of shape (n_steps,)
        Learning rate of each step.
    losses : array-like of shape (n_steps,)
        Loss of each step's batch; nan where there is none.
    smoothed_losses : array-like of shape (n_steps,)
        Their moving average.
    suggestion : float
        The rate that is suggested.
    blow_up : float or None, default=None
        The rate at which training is no longer stable; None if it was stable at all rates.
    name : str or None, default=None
        Put before the labels in the legend: for several displays on the same axes.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes that were drawn on.
    figure_ : matplotlib.figure.Figure
        Figure that holds them.
    lines_ : list of matplotlib.lines.Line2D
        Losses of the batches, their moving average, the mark of the suggestion and, if there is one, that of the
        blow-up.
    legend_ : matplotlib.legend.Legend
        Below the axes of a new figure, within axes that were given.

    See Also
    --------
    sk_mlp.model_selection.find_learning_rate : Makes the sweep.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_diabetes
    >>> from sk_mlp import KerasMLPRegressor
    >>> from sk_mlp.inspection import LearningRateDisplay
    >>> from sk_mlp.model_selection import find_learning_rate
    >>> X, y = load_diabetes(return_X_y=True)
    >>> sweep = find_learning_rate(KerasMLPRegressor(random_state=0), X, y)
    >>> LearningRateDisplay.from_sweep(sweep)
    <...LearningRateDisplay object at ...>
    >>> plt.show()
    """

    def __init__(
        self,
        learning_rates: ArrayLike,
        losses: ArrayLike,
        smoothed_losses: ArrayLike,
        suggestion: float,
        *,
        blow_up: float | None = None,
        name: str | None = None,
    ) -> None:
        self.learning_rates = learning_rates
        self.losses = losses
        self.smoothed_losses = smoothed_losses
        self.suggestion = suggestion
        self.blow_up = blow_up
        self.name = name

    def plot(self, ax: "Axes | None" = None, *, name: str | None = None, line_kw: dict[str, Any] | None = None) -> Self:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        name : str or None, default=None
            In place of the stored name.
        line_kw : dict or None, default=None
            Arguments of ``ax.plot`` for the moving average.

        Returns
        -------
        LearningRateDisplay
            This object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        ax = new_axes(ax)
        name = self.name if name is None else name
        prefix = "" if name is None else f"{name}: "
        number = n_drawn(ax, GID)
        color = COLORS[number % len(COLORS)]
        rates, smoothed = np.asarray(self.learning_rates, float), np.asarray(self.smoothed_losses, float)

        style: dict[str, Any] = {"color": color, "linewidth": 2, "gid": GID, "linestyle": DASHES[number % len(DASHES)]}
        self.lines_ = ax.plot(rates, self.losses, color=color, alpha=0.3, linewidth=0.8, label=f"{prefix}one batch")
        self.lines_ += ax.plot(rates, smoothed, **{**style, "label": f"{prefix}moving average", **(line_kw or {})})
        at_suggestion = float(np.interp(self.suggestion, rates, smoothed))
        mark: dict[str, Any] = {"color": color, "linestyle": "none", "markeredgecolor": "white", "zorder": 4}
        label = f"{prefix}suggestion: {self.suggestion:.2g}"
        self.lines_ += ax.plot(self.suggestion, at_suggestion, marker="o", markersize=10, label=label, **mark)
        if self.blow_up is not None:
            label = f"{prefix}blow-up: {self.blow_up:.2g}"
            self.lines_.append(ax.axvline(self.blow_up, color=color, linestyle=":", linewidth=1.5, label=label))

        ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
        self._limit(ax, smoothed, number)
        tidy(ax)
        self.legend_ = draw_legend(ax, ax.lines)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _limit(self, ax: "Axes", smoothed: np.ndarray, number: int) -> None:
        """Show the losses from the lowest to a little above the first: those after a blow-up would hide the others."""
        shown = smoothed[np.isfinite(smoothed)]
        if not len(shown):
            return
        span = max(shown[0] - shown.min(), 0.2 * abs(shown[0])) or 1.0  # it may rise from the first step on
        low, high = shown.min() - 0.05 * span, shown[0] + 0.4 * span
        if number:
            low, high = min(low, ax.get_ylim()[0]), max(high, ax.get_ylim()[1])
        ax.set_ylim(low, high)

    @classmethod
    def from_sweep(
        cls,
        sweep: "LearningRateSweep",
        *,
        ax: "Axes | None" = None,
        name: str | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw what `find_learning_rate` has found.

        Parameters
        ----------
        sweep : LearningRateSweep
            As `find_learning_rate` returns it.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        name : str or None, default=None
            Put before the labels in the legend.
        line_kw : dict or None, default=None
            Arguments of ``ax.plot`` for the moving average.

        Returns
        -------
        LearningRateDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``sweep`` is something else.
        """
        check_matplotlib(f"{cls.__name__}.from_sweep")
        try:
            stored = sweep.learning_rates, sweep.losses, sweep.smoothed_losses, sweep.suggestion
        except AttributeError:
            raise TypeError(
                f"The 'sweep' parameter must be a LearningRateSweep, as find_learning_rate returns it. Got {sweep!r} "
                "instead."
            ) from None
        return cls(*stored, blow_up=sweep.blow_up, name=name).plot(ax, line_kw=line_kw)
