"""Losses of a fit, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp._estimator.extras import check_matplotlib
from sk_mlp.inspection._checks import fitted_mlp
from sk_mlp.inspection._style import PAIRS, draw_legend, n_drawn, new_axes, spans_decades, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

GID = "sk_mlp training loss"
GENTLE: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.45, "zorder": 1.5}


class LossCurveDisplay:
    """Training and validation loss by epoch, with the epoch whose weights were kept.

    Of an ensemble, each member has a thin line, with a dot at the epoch that it keeps. The bold lines are means, as in
    ``history_``: they end at the last epoch that a member keeps, for they are level from there. Use `from_estimator` to
    make one from a fitted estimator. Parameters are stored as attributes.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Loss on the training rows.
    validation_loss : array-like of shape (n_epochs,) or None, default=None
        Loss on the held-out rows, None if there were none.
    best_epoch : int or None, default=None
        Index of the epoch whose weights were kept. None or -1 if there is none to mark.
    members : sequence of dict or None, default=None
        The members' own histories, as in ``member_histories_``, where there are several.
    learning_rate : array-like of shape (n_epochs,) or None, default=None
        Learning rate of each epoch.
    name : str or None, default=None
        Name of the estimator, put before the labels in the legend: for several displays on the same axes.
    loss_name : str, default="loss"
        Label of the y axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes that were drawn on.
    figure_ : matplotlib.figure.Figure
        Figure that holds them.
    lines_ : list of matplotlib.lines.Line2D
        The curve of the training loss and, if there is one, that of the validation loss.
    member_lines_ : list of matplotlib.lines.Line2D
        Those of the members; empty without members.
    best_ : matplotlib.lines.Line2D or None
        The mark of the kept epoch.
    legend_ : matplotlib.legend.Legend
        Below the axes of a new figure, within axes that were given.
    rate_ax_ : matplotlib.axes.Axes or None
        Axes of the learning rate, at the right; None if it is not drawn.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by number of training rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sk_mlp.inspection import LossCurveDisplay
    >>> display = LossCurveDisplay([0.9, 0.5, 0.3, 0.2], [0.8, 0.5, 0.4, 0.5], best_epoch=2)
    >>> display.plot()
    <...LossCurveDisplay object at ...>
    >>> plt.show()
    """

    def __init__(
        self,
        train_loss: ArrayLike,
        validation_loss: ArrayLike | None = None,
        *,
        best_epoch: int | None = None,
        members: Sequence[Mapping[str, Any]] | None = None,
        learning_rate: ArrayLike | None = None,
        name: str | None = None,
        loss_name: str = "loss",
    ) -> None:
        self.train_loss = train_loss
        self.validation_loss = validation_loss
        self.best_epoch = best_epoch
        self.members = members
        self.learning_rate = learning_rate
        self.name = name
        self.loss_name = loss_name

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        name: str | None = None,
        log_scale: bool | None = None,
        show_members: bool = True,
        show_learning_rate: bool = False,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Epochs are counted from 1, as in the lines that ``verbose=2`` prints. Training is dashed, validation is not.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        name : str or None, default=None
            In place of the stored name.
        log_scale : bool or None, default=None
            Whether the y axis is logarithmic; None for yes if losses are positive and span more than a factor of 10.
        show_members : bool, default=True
            Whether to draw the members, if there are any.
        show_learning_rate : bool, default=False
            Whether to draw the learning rate, on an axis at the right.
        line_kw : dict or None, default=None
            Arguments of ``ax.plot`` for both curves.

        Returns
        -------
        LossCurveDisplay
            This object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the learning rate is to be drawn and there is none.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        rates = self.learning_rate if show_learning_rate else None
        if show_learning_rate and rates is None:
            raise ValueError("The display has no learning_rate to show. Got show_learning_rate=True.")
        ax = new_axes(ax)
        name = self.name if name is None else name
        given = normalize_kwargs(line_kw or {}, Line2D)  # "lw" is "linewidth"
        prefix = "" if name is None else f"{name}: "
        colors = dict(zip(("training", "validation"), PAIRS[n_drawn(ax, GID) % len(PAIRS)], strict=True))
        curves = {"training": _finite(self.train_loss)}
        if self.validation_loss is not None:
            curves["validation"] = _finite(self.validation_loss)

        self.lines_ = []
        for label, losses in curves.items():
            style: dict[str, Any] = {
                "label": prefix + label,
                "linewidth": 2,
                "linestyle": (0, (4, 1.5)) if label == "training" else "-",
                "color": colors[label],
                "marker": "." if np.isfinite(losses).sum() == 1 else None,
                "gid": GID if label == "training" else None,
            }
            bold = losses[: self._n_bold(len(losses))]
            self.lines_ += ax.plot(_epochs(bold), bold, **{**style, **given})
        self.member_lines_ = self._draw_members(ax, curves) if show_members else []
        self.best_ = self._mark_best(ax, prefix, curves)

        if spans_decades(np.concatenate(list(curves.values()))) if log_scale is None else log_scale:
            ax.set_yscale("log")
        ax.set(xlabel="epoch", ylabel=self.loss_name)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(lambda epoch, _: f"{epoch:.0f}" if epoch >= 1 else "")
        tidy(ax)
        self.rate_ax_ = None if rates is None else _draw_rate(ax, prefix, _finite(rates))
        ax.set_xlim(left=max(ax.get_xlim()[0], 0.5), auto=None)  # there is no epoch 0
        self.legend_ = draw_legend(ax, [*ax.lines, *(self.rate_ax_.lines if self.rate_ax_ else [])])
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _n_bold(self, n_epochs: int) -> int:
        """How many epochs of the means to draw."""
        return (
            self.best_epoch + 1 if self.members and self.best_epoch is not None and self.best_epoch >= 0 else n_epochs
        )

    def _draw_members(self, ax: "Axes", curves: Mapping[str, NDArray]) -> "list[Line2D]":
        """Draw each member's own losses, in the colours of the means, with a dot at the epoch that it keeps."""
        lines: list[Line2D] = []
        for member in self.members or ():
            for (label, _), mean in zip(curves.items(), self.lines_, strict=True):
                losses = _finite(member["loss" if label == "training" else "val_loss"])
                is_last = label == list(curves)[-1]
                dots = [member["best_epoch"]] if is_last and member["best_epoch"] >= 0 else []
                style: dict[str, Any] = {
                    "color": mean.get_color(),
                    "linestyle": mean.get_linestyle(),
                    "markevery": dots,
                }
                lines += ax.plot(_epochs(losses), losses, marker="o", markersize=3.5, **style, **GENTLE)
        return lines

    def _mark_best(self, ax: "Axes", prefix: str, curves: dict[str, NDArray]) -> "Line2D | None":
        """Mark the kept epoch on the last curve drawn that has a loss there; None if there is none."""
        best = self.best_epoch
        if best is None or best < 0:
            return None
        drawn = zip(curves.values(), self.lines_, strict=True)
        there = [(losses, line) for losses, line in drawn if np.isfinite(losses[best])]
        if not there:
            return None
        losses, line = there[-1]
        kept = sorted({member["best_epoch"] + 1 for member in self.members or ()})
        epochs = f"epochs {kept[0]} to {kept[-1]}" if len(kept) > 1 else f"epoch {best + 1}"
        which = "" if line is self.lines_[-1] else " in training"
        label = f"{prefix}kept: {losses[best]:.3g}{which} ({epochs})"
        style: dict[str, Any] = {"marker": "o", "markersize": 9, "markeredgecolor": "white", "markeredgewidth": 1.5}
        return ax.plot(
            best + 1, losses[best], color=line.get_color(), linestyle="none", label=label, zorder=4, **style
        )[0]

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseKerasMLP | Pipeline,
        *,
        ax: "Axes | None" = None,
        name: str | None = None,
        log_scale: bool | None = None,
        show_members: bool = True,
        show_learning_rate: bool = False,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : KerasMLPClassifier, KerasMLPRegressor or Pipeline
            Fitted; a pipeline whose last step is one of the two.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        name : str or None, default=None
            Name of the estimator, put before the labels in the legend.
        log_scale : bool or None, default=None
            Whether the y axis is logarithmic; None for yes if losses are positive and span more than a factor of 10.
        show_members : bool, default=True
            Whether to draw each member of an ensemble.
        show_learning_rate : bool, default=False
            Whether to draw the learning rate, on an axis at the right.
        line_kw : dict or None, default=None
            Arguments of ``ax.plot`` for both curves.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``estimator`` is neither of this package nor a pipeline that ends in one that is.
        sklearn.exceptions.NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_diabetes
        >>> from sk_mlp import KerasMLPRegressor
        >>> from sk_mlp.inspection import LossCurveDisplay
        >>> X, y = load_diabetes(return_X_y=True)
        >>> mlp = KerasMLPRegressor(n_hidden=1, n_neurons=20, random_state=0).fit(X, y)
        >>> LossCurveDisplay.from_estimator(mlp)
        <...LossCurveDisplay object at ...>
        >>> plt.show()
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        mlp = fitted_mlp(estimator)
        is_standardised = mlp._loss_is_standardised
        display = cls(
            mlp.history_["loss"],
            mlp.history_.get("val_loss"),
            best_epoch=mlp.best_epoch_,
            members=mlp.member_histories_ if len(mlp.member_histories_) > 1 else None,
            learning_rate=mlp.history_.get("learning_rate"),
            name=name,
            loss_name="loss (standardised target)" if is_standardised else "loss",
        )
        return display.plot(
            ax,
            log_scale=log_scale,
            show_members=show_members,
            show_learning_rate=show_learning_rate,
            line_kw=line_kw,
        )


def _finite(losses: ArrayLike) -> NDArray:
    """Losses as they can be drawn: nan where they are not finite."""
    array = np.asarray(losses, dtype=float)
    return np.where(np.isfinite(array), array, np.nan)


def _epochs(losses: NDArray) -> NDArray:
    return np.arange(1, len(losses) + 1)


def _draw_rate(ax: "Axes", prefix: str, rates: NDArray) -> "Axes":
    """Draw the learning rate on an axis at the right."""
    right: Any = ax.twinx()
    right.set_zorder(ax.get_zorder() - 1)  # the losses and the legend are above the rate
    right.patch.set_visible(True)
    ax.patch.set_visible(False)
    right.plot(_epochs(rates), rates, color="0.35", linestyle=":", linewidth=1.5, label=f"{prefix}learning rate")
    right.set_ylabel("learning rate")
    right.set_ylim(bottom=0)
    right.spines["top"].set_visible(False)
    return right
