"""Keras callbacks of a fit: what is left to be called, and what the engine does itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from sk_mlp._keras.metrics import sign_of
from sk_mlp._keras.resolve import direct_monitors, hint_at_figure, resolve_callbacks

if TYPE_CHECKING:
    from sk_mlp._estimator.settings import Settings


@dataclass(frozen=True, eq=False)
class FitCallbacks:
    """The callbacks of one fit.

    Attributes
    ----------
    called : list of keras.callbacks.Callback
        To be called, each a copy of this fit's own.
    stopper : keras.callbacks.EarlyStopping or None
        What the engine does by itself, with the same results.
    replaces_ours : bool
        Whether the user stops early, so that the estimator does not.
    figures : list of str
        Names of what is logged in an epoch, which they may watch.
    metrics : list of keras.metrics.Metric
        Of some of these figures.
    """

    called: list
    stopper: keras.callbacks.EarlyStopping | None
    replaces_ours: bool
    figures: list[str]
    metrics: list[keras.metrics.Metric]


def callbacks_of(settings: "Settings", figures: list[str], metrics: list[keras.metrics.Metric]) -> FitCallbacks:
    """Fresh callbacks for a fit, the estimator's and those given to `fit`, which know which way each figure goes.

    Parameters
    ----------
    settings : Settings
    figures, metrics : list
        As in `FitCallbacks`.
    """
    callbacks = resolve_callbacks(settings.callbacks, settings.routed["callbacks"])
    callbacks += resolve_callbacks(settings.called, {})
    stoppers = [callback for callback in callbacks if isinstance(callback, keras.callbacks.EarlyStopping)]
    # A loss that is no longer finite ends every fit anyway, with the weights before.
    called = [callback for callback in callbacks if type(callback) is not keras.callbacks.TerminateOnNaN]
    stopper = stoppers[0] if len(stoppers) == 1 and _is_ours_to_do(stoppers[0], settings.lr_schedule) else None
    called = [callback for callback in called if callback is not stopper]
    if called:
        direct_monitors(called, [*figures, "learning_rate"], metrics)
    return FitCallbacks(called, stopper, bool(stoppers), figures, metrics)


def _is_ours_to_do(stopper: keras.callbacks.EarlyStopping, lr_schedule: Any) -> bool:
    is_plain = stopper.baseline is None and not stopper.start_from_epoch and not stopper.verbose
    return type(stopper) is keras.callbacks.EarlyStopping and is_plain and lr_schedule != "plateau"


def rule_of(stopper: keras.callbacks.EarlyStopping, figures: list[str], metrics: list) -> dict[str, Any]:
    """What Keras' EarlyStopping asks for, as fields of a `Member`.

    Raises
    ------
    ValueError
        If it watches a figure that there is not.
    """
    if stopper.monitor not in figures:
        hint = hint_at_figure(stopper.monitor, figures)
        raise ValueError(
            f"The callback EarlyStopping must monitor one of {sorted(figures)}. Got {stopper.monitor!r} instead.{hint}"
        )
    sign = {"min": 1, "max": -1}.get(stopper.mode) or sign_of(stopper.monitor, metrics, figures)
    return {
        "patience": max(1, int(stopper.patience)),
        "min_delta": abs(float(stopper.min_delta)),
        "monitor": stopper.monitor,
        "sign": sign,
        "ideal": None,
        "keeps_best": bool(stopper.restore_best_weights),
    }
