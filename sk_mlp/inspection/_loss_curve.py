"""Losses of a fit, epoch by epoch."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp._estimator.extras import check_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# Losses that span more than this factor are drawn on a logarithmic axis.
LOG_FROM = 10.0


class LossCurveDisplay:
    """Training and validation loss by epoch, with the epoch whose weights were kept.

    Use `from_estimator` to make one from a fitted estimator. Parameters are stored as attributes.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Loss on the training rows.
    validation_loss : array-like of shape (n_epochs,) or None, default=None
        Loss on the held-out rows, None if there were none.
    best_epoch : int or None, default=None
        Index of the epoch whose weights were kept. None or -1 if there is none to mark.
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
    best_ : matplotlib.lines.Line2D or None
        The mark of the kept epoch.

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
        name: str | None = None,
        loss_name: str = "loss",
    ) -> None:
        self.train_loss = train_loss
        self.validation_loss = validation_loss
        self.best_epoch = best_epoch
        self.name = name
        self.loss_name = loss_name

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        name: str | None = None,
        log_scale: bool | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Epochs are counted from 1, as in the lines that ``verbose=1`` prints.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        name : str or None, default=None
            In place of the stored name.
        log_scale : bool or None, default=None
            Whether the y axis is logarithmic; None for yes if losses are positive and span more than a factor of 10.
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
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        name = self.name if name is None else name
        prefix = "" if name is None else f"{name}: "
        curves = {"training": np.asarray(self.train_loss, dtype=float)}
        if self.validation_loss is not None:
            curves["validation"] = np.asarray(self.validation_loss, dtype=float)

        self.lines_ = []
        for label, losses in curves.items():
            epochs = np.arange(1, len(losses) + 1)
            style = {"label": prefix + label, "linewidth": 1.8, "marker": "." if len(losses) == 1 else None}
            self.lines_ += ax.plot(epochs, losses, **{**style, **(line_kw or {})})
        self.best_ = self._mark_best(ax, prefix, curves)

        if _spans_decades(np.concatenate(list(curves.values()))) if log_scale is None else log_scale:
            ax.set_yscale("log")
        ax.set(xlabel="epoch", ylabel=self.loss_name)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.grid(alpha=0.25, which="both", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

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
        color = line.get_color()
        ax.axvline(best + 1, color="0.6", linestyle=":", linewidth=1.2, zorder=1)
        label = f"{prefix}kept: epoch {best + 1} (loss {losses[best]:.3g})"
        style: dict[str, Any] = {"marker": "o", "markersize": 8, "markeredgecolor": "white", "markeredgewidth": 1.2}
        return ax.plot(best + 1, losses[best], color=color, linestyle="none", label=label, zorder=4, **style)[0]

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseKerasMLP | Pipeline,
        *,
        ax: "Axes | None" = None,
        name: str | None = None,
        log_scale: bool | None = None,
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
        mlp = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        if not isinstance(mlp, BaseKerasMLP):
            raise TypeError(
                "The 'estimator' parameter must be a KerasMLPClassifier, a KerasMLPRegressor or a Pipeline that ends "
                f"in one of them. Got {mlp!r} instead."
            )
        check_is_fitted(mlp)
        is_standardised = getattr(mlp, "_loss_is_standardised", False)
        display = cls(
            mlp.history_["loss"],
            mlp.history_.get("val_loss"),
            best_epoch=mlp.best_epoch_,
            name=name,
            loss_name="loss (standardised target)" if is_standardised else "loss",
        )
        return display.plot(ax, log_scale=log_scale, line_kw=line_kw)


def _spans_decades(losses: np.ndarray) -> bool:
    losses = losses[np.isfinite(losses)]
    return len(losses) > 0 and losses.min() > 0 and losses.max() > LOG_FROM * losses.min()
