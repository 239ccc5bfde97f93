"""The network that a fit trains, its loss, and y as this loss wants it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sk_mlp._estimator.rows import FitRows
from sk_mlp._estimator.settings import Settings, with_compiled
from sk_mlp._network.compiled import compiled_by_user
from sk_mlp._network.design import built_in_network, model_of_user
from sk_mlp._network.fit_loss import FitLoss, loss_of_fit
from sk_mlp._network.spec import Blueprint, Fitted
from sk_mlp._targets.base import Targets


@dataclass(frozen=True, eq=False)
class Network:
    """The network that a fit trains, and its loss.

    Attributes
    ----------
    settings : Settings
        With what the user's model has been compiled with.
    blueprint : Blueprint
    loss : FitLoss
    loss_weight : float
        By which the loss is multiplied.
    targets : Targets
        With y's units.
    encoded : ndarray of shape (n_rows, n_columns)
        y as the loss wants it.
    layout : str or None
        The name of that layout.
    """

    settings: Settings
    blueprint: Blueprint
    loss: FitLoss
    loss_weight: float
    targets: Targets
    encoded: NDArray
    layout: str | None


def network_of_fit(settings: Settings, rows: FitRows, previous: Fitted | None) -> Network:
    """The network that the settings and rows describe.

    Parameters
    ----------
    settings : Settings
    rows : FitRows
    previous : Fitted or None
        What to go on from.

    Raises
    ------
    ValueError
        If settings and rows make no network.
    """
    compiled, targets = None, rows.targets
    if settings.model is None:
        loss = loss_of_fit(settings, targets, targets.n_outputs, None)
        blueprint = built_in_network(settings, rows, loss, previous)
    else:
        blueprint = model_of_user(settings, rows, rows.seeds[0])
        compiled = compiled_by_user(blueprint.sample)
        settings = with_compiled(settings, compiled, has_weights=np.ptp(rows.weights) > 0)
        loss = loss_of_fit(settings, targets, blueprint.width, blueprint.sample)
    if previous is None:
        weights = rows.weights[rows.training]
        targets = targets.with_units(rows.y, rows.training, weights, loss, settings.normalize_y)
    encoded, layout = targets.encoded(rows.y, blueprint.width, loss)
    return Network(settings, blueprint, loss, compiled.loss_weight if compiled else 1.0, targets, encoded, layout)
