"""Scores of a search by hyperparameter, by epoch and by time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sk_mlp._estimator.extras import check_matplotlib
from sk_mlp._estimator.messages import counted
from sk_mlp.inspection._parameter_axes import ParameterAxis, axes_of_search
from sk_mlp.inspection._style import (
    COLORS,
    DASHES,
    MAP,
    MARKERS,
    checked_axes,
    divided,
    draw_legend,
    figure_of,
    n_drawn,
    new_axes,
    new_grid,
    tidy,
)
from sk_mlp.model_selection._results import candidates_of, metric_of, resources_of, results_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("parameters", "map", "rungs", "time")
GID = "sk_mlp search"
BEST: dict[str, Any] = {"marker": "*", "markersize": 15, "color": "#D55E00", "markeredgecolor": "white", "zorder": 5}
FILLED: dict[str, Any] = {"facecolors": COLORS[0], "alpha": 0.7}
STOPPED: dict[str, Any] = {"facecolors": "none", "alpha": 0.6}


class SearchDisplay:
    """Scores of a search's candidates, against their hyperparameters, epochs or time.

    Use `from_search` to make one from a finished search of this package or of scikit-learn. Parameters are stored as
    attributes.

    Parameters
    ----------
    scores : array-like of shape (n_candidates,)
        Mean score over the folds; nan where a fit has failed. A candidate of a halving search is there once a rung.
    parameters : dict of str to ParameterAxis
        Values of each hyperparameter, one a candidate.
    fit_times : array-like of shape (n_candidates,)
        Seconds that the fits of a candidate have taken, all folds together.
    candidates : sequence of sequence of int or None, default=None
        Numbers of the rows that are one candidate's, rung by rung; None where each row is a candidate.
    resources : array-like of shape (n_candidates,) or None, default=None
        Epochs, or what else a halving search gives its candidates.
    brackets : array-like of shape (n_candidates,) or None, default=None
        Number of a candidate's bracket.
    resource_name : str, default="epochs"
        What the resources are.
    score_name : str, default="score"
        What the scores are.
    best_index : int or None, default=None
        Number of the best candidate; None for the one with the best score.
    name : str or None, default=None
        Put before the labels in the legend of the kind "time": for several searches on the same axes.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes
        Axes that were drawn on.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure
        Figure that holds them.
    legend_ : matplotlib.legend.Legend
        Below the axes of a new figure, within axes that were given.

    See Also
    --------
    sk_mlp.model_selection.to_optuna_study : For Optuna's pictures of a search.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier
    >>> from sk_mlp.inspection import SearchDisplay
    >>> from sk_mlp.model_selection import PopulationRandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> space = {"learning_rate": loguniform(1e-4, 1e-1), "n_neurons": [5, 10, 20]}
    >>> search = PopulationRandomizedSearchCV(KerasMLPClassifier(**PLAIN_MLP | {"epochs": 5}), space, cv=2)
    >>> SearchDisplay.from_search(search.fit(X, y))
    <...SearchDisplay object at ...>
    >>> plt.show()
    """

    def __init__(
        self,
        scores: ArrayLike,
        parameters: Mapping[str, ParameterAxis],
        fit_times: ArrayLike,
        *,
        candidates: Sequence[Sequence[int]] | None = None,
        resources: ArrayLike | None = None,
        brackets: ArrayLike | None = None,
        resource_name: str = "epochs",
        score_name: str = "score",
        best_index: int | None = None,
        name: str | None = None,
    ) -> None:
        self.scores = scores
        self.parameters = parameters
        self.fit_times = fit_times
        self.candidates = candidates
        self.resources = resources
        self.brackets = brackets
        self.resource_name = resource_name
        self.score_name = score_name
        self.best_index = best_index
        self.name = name

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        kind: str = "parameters",
        parameters: Sequence[str] | None = None,
        name: str | None = None,
    ) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure. For several hyperparameters, the space of these axes is divided.
        kind : {"parameters", "map", "rungs", "time"}, default="parameters"
            "parameters" draws the scores against each hyperparameter; "map" two hyperparameters against each other,
            with scores as colours; "rungs" the scores by epochs, a line for each candidate of a halving search; "time"
            the best score so far against the time that all fits have taken until then.
        parameters : sequence of str or None, default=None
            Names of the hyperparameters to draw; None for all that vary, or the first two of them for a map.
        name : str or None, default=None
            In place of the stored name.

        Returns
        -------
        SearchDisplay
            This object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``ax`` is no axes.
        ValueError
            If there is no such ``kind`` or hyperparameter, or nothing to draw of this kind.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        if kind not in KINDS:
            raise ValueError(
                f"The 'kind' parameter must be one of {', '.join(map(repr, KINDS))}. Got {kind!r} instead."
            )
        prefix = "" if (self.name if name is None else name) is None else f"{self.name if name is None else name}: "
        if kind == "parameters":
            axes = self._draw_parameters(ax, self._chosen(parameters))
        elif kind == "map":
            axes = [self._draw_map(ax, self._chosen(parameters, only=2))]
        elif kind == "rungs":
            axes = [self._draw_rungs(ax)]
        else:
            axes = [self._draw_time(ax, prefix)]
        self.axes_ = np.array(axes, dtype=object)
        self.ax_, self.figure_ = axes[0], axes[0].figure
        return self

    def _chosen(self, names: Sequence[str] | None, only: int | None = None) -> list[str]:
        varying = [name for name, axis in self.parameters.items() if axis.varies]
        chosen = [names] if isinstance(names, str) else list(varying[:only] if names is None else names)
        unknown = [name for name in chosen if name not in self.parameters]
        if unknown or not chosen or (only and len(chosen) != only):
            wanted = f"{only} names" if only else "names"
            got = (
                f"{chosen} instead"
                if names is not None
                else f"None, where {', '.join(varying) or 'none'} alone has several values"
            )
            raise ValueError(
                f"The 'parameters' parameter must be {wanted} of hyperparameters that the search has tried: "
                f"{', '.join(self.parameters) or 'there are none'}. Got {got}."
            )
        return chosen

    @property
    def _best(self) -> int:
        scores = np.asarray(self.scores, float)
        if self.best_index is not None or not np.isfinite(scores).any():
            return self.best_index or 0
        return int(np.nanargmax(scores))

    def _last_rows(self) -> tuple[NDArray, NDArray]:
        """Rows of each candidate's last rung, and whether it has come to the end of the search."""
        rows = np.array([own[-1] for own in self._candidates], int)
        if self.resources is None:
            return rows, np.ones(len(rows), bool)
        resources = np.asarray(self.resources)
        return rows, resources[rows] == resources.max()

    @property
    def _candidates(self) -> Sequence[Sequence[int]]:
        return [[row] for row in range(len(np.asarray(self.scores)))] if self.candidates is None else self.candidates

    # Scores against hyperparameters

    def _draw_parameters(self, ax: "Axes | None", names: list[str]) -> "list[Axes]":
        n_columns = {4: 2}.get(len(names), min(3, len(names)))
        n_rows = -(-len(names) // n_columns)
        if ax is None:
            size = (max(6.4, 3.6 * n_columns), max(3.4 * n_rows, 4.2 if n_rows == 1 else 0))
            grid = new_grid(n_rows, n_columns, size)
        elif len(names) == 1:
            grid = np.array([[checked_axes(ax)]])
        else:
            grid = divided(ax, n_rows, n_columns)
        axes = list(grid.flat)
        for empty in axes[len(names) :]:
            empty.set_visible(False)
        rows, ended = self._last_rows()
        low, high = _limits(np.asarray(self.scores, float)[rows])
        for number, (panel, name) in enumerate(zip(axes, names, strict=False)):
            self._draw_parameter(panel, self.parameters[name], rows, ended, (low, high))
            panel.set_ylabel(self.score_name if number % n_columns == 0 else "")
        self.legend_ = draw_legend(axes[0], [*axes[0].collections, *axes[0].lines])
        return axes[: len(names)]

    def _draw_parameter(
        self, ax: "Axes", axis: ParameterAxis, rows: NDArray, ended: NDArray, limits: tuple[float, float]
    ) -> None:
        scores = np.asarray(self.scores, float)[rows]
        places = axis.places(rows)
        low, high = limits
        floor = low - 0.06 * (high - low)
        hidden = np.isfinite(scores) & (scores < low)
        failed = ~np.isfinite(scores)
        shown = ~hidden & ~failed
        kinds = [
            (ended & shown, FILLED, "candidates" if self.resources is None else "trained to the end"),
            (~ended & shown, STOPPED, "stopped before"),
        ]
        for chosen, style, label in kinds:
            if chosen.any():
                ax.scatter(places[chosen], scores[chosen], s=26, label=label, edgecolors=COLORS[0], **style)
        for chosen, marker, label in ((hidden, "v", "lower"), (failed, "x", "failed")):
            if chosen.any():
                where = np.full(chosen.sum(), floor)
                ax.scatter(places[chosen], where, marker=marker, s=26, color="0.4", label=f"{label}: {chosen.sum()}")
        best = self._best
        if np.isfinite(np.asarray(self.scores, float)[best]):
            ax.plot(
                axis.places(np.array([best])),
                [np.asarray(self.scores, float)[best]],
                linestyle="none",
                label="best",
                **BEST,
            )
        ax.set_ylim(floor - 0.04 * (high - low), high + 0.06 * (high - low))
        axis.dress(ax.xaxis)
        tidy(ax)

    # Two hyperparameters

    def _draw_map(self, ax: "Axes | None", names: list[str]) -> "Axes":
        ax = new_axes(ax)
        first, second = (self.parameters[name] for name in names)
        rows, ended = self._last_rows()
        scores = np.asarray(self.scores, float)[rows]
        low, high = _limits(scores)
        failed = ~np.isfinite(scores)
        order = rows[np.argsort(np.where(failed, -np.inf, scores), kind="stable")]  # the best on top
        at = {row: place for row, place in zip(rows.tolist(), range(len(rows)), strict=True)}
        drawn = [row for row in order.tolist() if np.isfinite(scores[at[row]])]
        points = ax.scatter(
            first.places(np.array(drawn, int)),
            second.places(np.array(drawn, int)),
            c=[scores[at[row]] for row in drawn],
            s=[46 if ended[at[row]] else 18 for row in drawn],
            cmap=MAP,
            vmin=low,
            vmax=high,
            edgecolors="white",
            linewidths=0.5,
        )
        if failed.any():
            where: dict[str, Any] = {"marker": "x", "color": "0.4", "s": 26, "label": f"failed: {failed.sum()}"}
            ax.scatter(first.places(rows[failed]), second.places(rows[failed]), **where)
        best = self._best
        if np.isfinite(np.asarray(self.scores, float)[best]):
            label, place = f"best: {np.asarray(self.scores, float)[best]:.4g}", np.array([best])
            ax.plot(first.places(place), second.places(place), linestyle="none", label=label, **BEST)
        extend = "min" if len(drawn) and np.nanmin(scores) < low else "neither"
        figure_of(ax).colorbar(points, ax=ax, label=self.score_name, extend=extend)
        first.dress(ax.xaxis)
        second.dress(ax.yaxis)
        tidy(ax)
        self.legend_ = draw_legend(ax, [*ax.collections[1:], *ax.lines])
        return ax

    # Rungs

    def _draw_rungs(self, ax: "Axes | None") -> "Axes":
        from matplotlib.ticker import FixedLocator, NullLocator

        if self.resources is None:
            raise ValueError("kind='rungs' is for searches by halving. Got one that gives all candidates the same.")
        ax = new_axes(ax)
        scores, resources = np.asarray(self.scores, float), np.asarray(self.resources, float)
        brackets = np.zeros(len(scores), int) if self.brackets is None else np.asarray(self.brackets)
        low, high = _limits(scores)
        for number, bracket in enumerate(np.unique(brackets)):
            own = [list(rows) for rows in self._candidates if brackets[rows[0]] == bracket]
            style: dict[str, Any] = {"color": COLORS[number % len(COLORS)], "linestyle": DASHES[number % len(DASHES)]}
            style |= {"marker": MARKERS[number % len(MARKERS)], "markersize": 4, "linewidth": 1.2}
            words = f"bracket {number + 1}: " if len(np.unique(brackets)) > 1 else ""
            for i, rows in enumerate(own):
                alpha = 0.9 if resources[rows[-1]] == resources.max() else 0.35
                label = f"{words}{counted(len(own), 'candidate')}" if i == 0 else None
                heights = np.where(scores[rows] < low, np.nan, scores[rows])
                ax.plot(resources[rows], heights, alpha=alpha, label=label, **style)
        if np.isfinite(scores[self._best]):
            ax.plot(resources[self._best], scores[self._best], linestyle="none", label="best", **BEST)
        _mark_lower(ax, resources, scores, low, low - 0.04 * (high - low))
        ticks = sorted(set(resources.tolist()))
        ax.set(xlabel=self.resource_name, ylabel=self.score_name)
        if len(ticks) > 1 and ticks[-1] > 4 * ticks[0] > 0:
            ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(lambda epochs, _: f"{epochs:g}")
        ax.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        tidy(ax)
        self.legend_ = draw_legend(ax, [*ax.lines, *ax.collections])
        return ax

    # Time

    def _draw_time(self, ax: "Axes | None", prefix: str) -> "Axes":
        ax = new_axes(ax)
        scores = np.asarray(self.scores, float)
        ended = np.cumsum(np.asarray(self.fit_times, float))
        if self.resources is not None:  # scores after few epochs do not count as best ones
            counts = np.asarray(self.resources) == np.asarray(self.resources).max()
        else:
            counts = np.ones(len(scores), bool)
        best = np.maximum.accumulate(np.where(counts & np.isfinite(scores), scores, -np.inf))
        number = n_drawn(ax, GID)
        style: dict[str, Any] = {"color": COLORS[number % len(COLORS)], "linestyle": DASHES[number % len(DASHES)]}
        there = np.isfinite(best)
        highest = f"{best[-1]:.4g}" if there.any() else "none"
        low, _ = _limits(scores[counts])
        shown = counts & (scores >= low)
        ax.scatter(ended[shown], scores[shown], s=14, alpha=0.4, color=style["color"], label=f"{prefix}candidates")
        ax.plot(
            ended[there],
            best[there],
            drawstyle="steps-post",
            linewidth=2,
            gid=GID,
            label=f"{prefix}best so far: {highest}",
            **style,
        )
        _mark_lower(ax, ended[counts], scores[counts], low, low, prefix)
        ax.set(xlabel="time of all fits so far (s)", ylabel=self.score_name)
        ax.set_xlim(left=0)
        tidy(ax)
        self.legend_ = draw_legend(ax, [*ax.collections, *ax.lines])
        return ax

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        kind: str = "parameters",
        parameters: Sequence[str] | None = None,
        metric: str | None = None,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the scores of a finished search.

        Parameters
        ----------
        search : estimator
            A fitted search of `sk_mlp.model_selection` or of scikit-learn.
        kind : {"parameters", "map", "rungs", "time"}, default="parameters"
            As in `plot`.
        parameters : sequence of str or None, default=None
            Names of the hyperparameters to draw; None for all that vary, or the first two of them for a map.
        metric : str or None, default=None
            Which score, of a search with several metrics; None for the one that ``refit`` names.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        name : str or None, default=None
            Put before the labels in the legend of the kind "time".

        Returns
        -------
        SearchDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``search`` is no search, or ``ax`` no axes.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If there is no such ``kind``, hyperparameter or metric, or nothing to draw of this kind.
        """
        check_matplotlib(f"{cls.__name__}.from_search")
        results = results_of(search)
        column = metric_of(search, metric)
        resources, resource_name = resources_of(search)
        told = search.scoring if column == "score" and isinstance(search.scoring, str) else column
        is_decisive = metric is None or metric == search.refit
        display = cls(
            results[f"mean_test_{column}"],
            axes_of_search(search),
            results["mean_fit_time"] * search.n_splits_,
            candidates=candidates_of(search),
            resources=resources,
            brackets=results.get("bracket"),
            resource_name=resource_name,
            score_name=f"mean {told}",
            best_index=getattr(search, "best_index_", None) if is_decisive else None,
            name=name,
        )
        return display.plot(ax, kind=kind, parameters=parameters)


def _limits(scores: NDArray) -> tuple[float, float]:
    """The range of scores to draw: far outliers below would leave no room for the others."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return 0.0, 1.0
    with np.errstate(over="ignore"):  # in float32, for scores of many candidates may be equal but for rounding
        high, middle = finite.max(), np.median(np.unique(finite.astype(np.float32)))
    low = max(finite.min(), high - 6 * max(high - middle, 0))
    return (float(low), float(high)) if high - low > 1e-6 * abs(high) else (float(high) - 0.5, float(high) + 0.5)


def _mark_lower(ax: "Axes", places: NDArray, scores: NDArray, low: float, floor: float, prefix: str = "") -> None:
    """Mark scores that are too low to be shown at the bottom."""
    hidden = np.isfinite(scores) & (scores < low)
    if hidden.any():
        style: dict[str, Any] = {"marker": "v", "s": 26, "color": "0.4", "label": f"{prefix}lower: {hidden.sum()}"}
        ax.scatter(places[hidden], np.full(hidden.sum(), floor), **style)
