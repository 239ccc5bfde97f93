"""Keras callbacks of a fit: what is left to be called, and what the engine does itself."""

from dataclasses import dataclass
from typing import Any

import keras

from sk_mlp._estimator.messages import did_you_mean
from sk_mlp._keras.resolve import direct_monitors, resolve_callbacks, sign_of


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
    """

    called: list
    stopper: Any
    replaces_ours: bool


def callbacks_of(estimator: Any) -> FitCallbacks:
    """The callbacks of an estimator about to be fitted: its own, and those given to `fit`."""
    callbacks = resolve_callbacks(estimator._values())
    callbacks += resolve_callbacks({"callbacks": estimator._words.callbacks})
    stoppers = [callback for callback in callbacks if isinstance(callback, keras.callbacks.EarlyStopping)]
    # A loss that is no longer finite ends each fit, with the weights before.
    called = [callback for callback in callbacks if type(callback) is not keras.callbacks.TerminateOnNaN]
    stopper = stoppers[0] if len(stoppers) == 1 and _is_ours_to_do(stoppers[0], estimator) else None
    called = [callback for callback in called if callback is not stopper]
    return FitCallbacks(called, stopper, bool(stoppers))


def _is_ours_to_do(stopper: keras.callbacks.EarlyStopping, estimator: Any) -> bool:
    is_plain = stopper.baseline is None and not stopper.start_from_epoch and not stopper.verbose
    return type(stopper) is keras.callbacks.EarlyStopping and is_plain and estimator.lr_schedule != "plateau"


def directed(callbacks: FitCallbacks, figures: list[str], metrics: list[keras.metrics.Metric]) -> list:
    """The callbacks to call, told which way the figures go that they watch."""
    if callbacks.called:
        direct_monitors(callbacks.called, [*figures, "learning_rate"], metrics)
    return callbacks.called


def rule_of(stopper: keras.callbacks.EarlyStopping, figures: list[str], metrics: list) -> dict[str, Any]:
    """What Keras' EarlyStopping asks for, as fields of a `Member`.

    Raises
    ------
    ValueError
        If it watches a figure that there is not.
    """
    if stopper.monitor not in figures:
        hint = did_you_mean(stopper.monitor, figures)
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
