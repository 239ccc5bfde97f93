"""Where training starts from: X as networks take it, and initial weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sk_mlp._estimator.messages import counted
from sk_mlp._estimator.settings import Settings
from sk_mlp._network.build import model_of, weights_of
from sk_mlp._network.design import learned_columns, model_of_user, scaling_of, shifted
from sk_mlp._network.names import COLUMNS, DEEP, at_depth, variable
from sk_mlp._network.spec import Blueprint, Fitted, NetworkSpec
from sk_mlp._tables.numbers import warn_of_lost_digits
from sk_mlp._tables.plan import ColumnPlan
from sk_mlp._tables.selection import Matrix, dense
from sk_mlp._tables.sparse import warn_of_scales
from sk_mlp._tables.table import Table
from sk_mlp.layers import ColumnEncoding

if TYPE_CHECKING:
    from sk_mlp._estimator.rows import FitRows

# Parameters that an autoencoder shares with the network that starts from it.
SHARED = (
    "activation",
    "parametric_activation",
    "batch_norm",
    "handle_missing",
    "input_scaling",
    "learned_scale",
    "kernel_initializer",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "clip_norm",
    "ema_momentum",
    "batch_size",
    "epochs",
    "early_stopping",
    "validation_fraction",
    "patience",
    "min_delta",
    "shuffle",
    "engine",
    "verbose",
)
# What members begin with: initial values of variables, by number; those that are frozen in the first epochs; and the
# autoencoder that they are taken from, if it is one.
Initial = tuple[dict[int, NDArray], tuple[int, ...], Any]


@dataclass(frozen=True, eq=False)
class Start:
    """What members begin with.

    Attributes
    ----------
    X : matrix
        All rows, as networks train on them.
    shift : ndarray of shape (n_features,) or None
        What has been subtracted from X.
    learned : list of dict
        What each member's training rows tell of X's columns.
    initial : list of dict
        Each member's initial weights, as far as they are given.
    frozen : tuple of int
        Variables that are frozen in the first epochs.
    autoencoder : estimator or None
        That initial weights come from.
    """

    X: Matrix
    shift: NDArray | None
    learned: list[dict[str, NDArray]]
    initial: list[dict[int, NDArray]]
    frozen: tuple[int, ...]
    autoencoder: Any = None


def start_of_members(
    settings: Settings, rows: "FitRows", blueprint: Blueprint, y: NDArray, previous: Fitted | None, convert: Callable
) -> Start:
    """X as networks train on it, and what members begin with.

    Parameters
    ----------
    settings : Settings
    rows : FitRows
    blueprint : Blueprint
    y : ndarray of shape (n_rows, n_columns)
        What the loss gets.
    previous : Fitted or None
        What to go on from.
    convert : callable
        Does what `in_float32` does.
    """
    n, names = len(rows.seeds), rows.table.matrix_names
    if previous:
        X = convert(rows.parts, previous.shift, names)
        return Start(X, previous.shift, [{}] * n, [{}] * n, previous.frozen)
    _warn_of_numbers(settings, rows)
    learned = [learned_columns(settings, blueprint, rows, y, train) for train, _ in rows.splits]
    shift, learned = shifted(blueprint, rows.X, learned)
    X = convert(rows.parts, shift, names)
    features = X if shift is None else rows.X
    initial, frozen, autoencoder = initial_weights(settings, rows, blueprint, features, shift)
    starts = [initial] * n
    if settings.model is not None:
        starts[1:] = [start_of(model_of_user(settings, rows, seed).sample) for seed in rows.seeds[1:]]
    return Start(X, shift, learned, starts, frozen, autoencoder)


def _warn_of_numbers(settings: Settings, rows: "FitRows") -> None:
    """Warn of numbers that train badly in a network that takes X as it is."""
    if issparse(rows.X) and settings.model is None:
        warn_of_scales(rows.X)
    elif not issparse(rows.X) and scaling_of(settings, rows.X) is None:
        numeric = np.delete(np.arange(rows.X.shape[1]), list(rows.table.categories))
        remedy = "Set input_scaling='robust', or put sklearn.preprocessing.StandardScaler before the network."
        warn_of_lost_digits(rows.X, rows.training, numeric, rows.table.matrix_names, remedy)


def initial_weights(
    settings: Settings, rows: "FitRows", blueprint: Blueprint, X: Matrix, shift: NDArray | None
) -> Initial:
    """Initial values by the variables' numbers, as ``init_from``, ``pretrain`` or a user's builder give them.

    Parameters
    ----------
    settings : Settings
    rows : FitRows
    blueprint : Blueprint
    X : matrix
        All rows; without a shift as the network gets them.
    shift : ndarray of shape (n_features,) or None
        What the network gets less than X.

    Raises
    ------
    ValueError
        If there is no such start for this network.
    """
    source, parameter = settings.init_from, "init_from"
    if settings.pretrain is not None:
        if source is not None:
            raise ValueError(f"init_from and pretrain must not be given both. Got {source!r} and 'autoencoder'.")
        parameter = "pretrain"
    elif source is None:
        if settings.frozen_epochs or settings.init_layers is not None:
            raise ValueError(
                "frozen_epochs and init_layers need init_from or pretrain. Got "
                f"frozen_epochs={settings.frozen_epochs!r} and init_layers={settings.init_layers!r} without."
            )
        if blueprint.sample is None:
            return {}, (), None
        goes_on = settings.warm_start and isinstance(settings.model, keras.Model)
        return start_of(blueprint.sample, settings.model if goes_on else None), (), None
    spec = blueprint.spec
    if spec is None:
        raise ValueError(f"{parameter} needs the built-in network. Got model={settings.model!r}.")
    if not spec.hidden_layer_sizes:
        raise ValueError(f"{parameter} needs a network with at least one hidden layer. Got none.")
    if parameter == "pretrain":
        source = trained = autoencoder(settings, rows, spec, X, shift)
    else:
        source, trained = source.estimator if isinstance(source, FrozenEstimator) else source, None
        _check_same_columns(source, rows.table)
    weights = _lower_layers(source, parameter, blueprint, settings.init_layers, shift, rows.table)
    return weights, tuple(weights) if settings.frozen_epochs else (), trained


def _check_same_columns(source: Any, table: Table) -> None:
    fitted = getattr(source, "_fitted", None)
    theirs = getattr(fitted, "table", None)  # whatever is not fitted, or of another class, is refused later
    if theirs is None:
        return
    if theirs.categories != table.categories:
        raise ValueError(
            "init_from must have been fitted on the same categories, since its weights belong to their codes. Got "
            f"{theirs.categories} instead of {table.categories}."
        )
    ours, others = _kinds_of_dates(table), _kinds_of_dates(theirs)
    if ours != others:
        raise ValueError(
            "init_from must have been fitted on the same columns of dates, with the same parts that vary, and without "
            f"scaling over the same time. Got {others} instead of {ours}."
        )


def _kinds_of_dates(table: Table) -> dict[int, tuple]:
    """What is made of each column of dates; `_first_seconds` tells where seconds in their units begin."""
    return {
        number: (date.features, *(() if date.is_in_units else (date.first, date.scale)))
        for number, date in table.dates.items()
    }


def _first_seconds(plan: ColumnPlan | None, table: Table) -> NDArray | float:
    """Of the columns of numbers, the seconds from which dates count; 0 for other columns."""
    if plan is None:
        return 0.0
    return np.array([table.dates[number].first[0] if number in table.dates else 0.0 for number in plan.numeric])


def start_of(sample: keras.Model, source: keras.Model | None = None) -> dict[int, NDArray]:
    """Initial values of a user's own model, or of one of its structure; none for the layer that scales columns."""
    of_columns = (layer for layer in sample.layers if isinstance(layer, ColumnEncoding))
    learned = {id(variable) for layer in of_columns for variable in layer.variables}
    numbers = [i for i, variable in enumerate(weights_of(sample)) if id(variable) not in learned]
    arrays = [np.asarray(variable) for variable in weights_of(source or sample)]
    return dict(zip(numbers, arrays if source else [arrays[i] for i in numbers], strict=True))


def autoencoder(settings: Settings, rows: "FitRows", spec: NetworkSpec, X: Matrix, shift: NDArray | None) -> Any:
    """A network that learns to put out the features that enter the deep path, through mirrored hidden layers.

    Where columns have a shift, it gets float64, to find such a shift itself.
    Hinton and Salakhutdinov 2006 (Science 313).
    """
    if issparse(X) or issparse(rows.X_unlabeled):
        raise ValueError(
            "pretrain='autoencoder' needs a dense X. Got a sparse matrix; call toarray(), or reduce it by "
            "sklearn.decomposition.TruncatedSVD."
        )
    dtype = np.float32 if shift is None else np.float64
    parts = [dense(part, dtype) for part in (X[rows.training], rows.X_unlabeled) if part is not None]
    features = np.concatenate(parts)
    if spec.deep_columns is not None:
        features = features[:, list(spec.deep_columns)]
    sizes = spec.hidden_layer_sizes
    own = {
        **{name: getattr(settings, name) for name in SHARED},
        "hidden_layer_sizes": (*sizes, *sizes[-2::-1]),
        "numerical_embedding": spec.deep_plan.embedding if spec.deep_plan else None,  # "auto" counts all columns
        "dropout": 0.0,
        "lr_schedule": None,
        "ensemble_size": 1,
        "random_state": rows.seeds[0],
        **{f"optimizer__{name}": value for name, value in settings.routed["optimizer"].items()},
        **settings.routed["pretrain"],
    }
    try:
        regressor = settings.owner._regressor_class()(**own)
        return regressor.fit(features, features[:, 0] if features.shape[1] == 1 else features)
    except (TypeError, ValueError) as error:
        raise ValueError(f"pretrain='autoencoder' could not be trained: {error}") from error


def _lower_variables(model: keras.Model, n_layers: int) -> list[int]:
    """Numbers of the variables of the lowest hidden layers, norms included."""
    numbers = {id(variable): number for number, variable in enumerate(weights_of(model))}
    names = {at_depth(kind, depth) for depth in range(1, n_layers + 1) for kind in DEEP} | {COLUMNS}
    return [numbers[id(variable)] for layer in model.layers if layer.name in names for variable in layer.variables]


def _lower_layers(
    source: Any, parameter: str, blueprint: Blueprint, n_layers: int | None, shift: NDArray | None, table: Table
) -> dict[int, NDArray]:
    """The lowest layers of a fitted estimator's network."""
    spec: Any = blueprint.spec
    hint = " Within a search, which clones the values it tries, wrap it in sklearn.frozen.FrozenEstimator."
    check_is_fitted(source, msg=f"{parameter} must be a fitted estimator. This %(name)s is not fitted yet.{hint}")
    fitted = getattr(source, "_fitted", None)
    if not isinstance(fitted, Fitted) or fitted.spec is None:
        raise ValueError(
            f"{parameter} must be a fitted KerasMLPClassifier or KerasMLPRegressor with the built-in network. "
            f"Got {source!r}."
        )
    theirs: Any = fitted.spec
    most = min(len(spec.hidden_layer_sizes), len(theirs.hidden_layer_sizes))
    n = most if n_layers is None else int(n_layers)
    plan = spec.deep_plan
    if plan and parameter == "pretrain":  # an autoencoder is given the columns of the deep path alone
        plan = replace(plan, numeric=tuple(range(len(plan.numeric))))
    ours, others = (
        (s.n_deep, plan, s.batch_norm, s.parametric_activation, *s.hidden_layer_sizes[:n])
        for s, plan in ((spec, plan), (theirs, theirs.deep_plan))
    )
    if n > most or ours != others:
        of_both = (
            f"{counted(s.n_deep, 'feature')}, batch_norm={s.batch_norm}, parametric_activation="
            f"{s.parametric_activation}, widths {s.hidden_layer_sizes}"
            for s in (spec, theirs)
        )
        raise ValueError(
            f"{parameter} must have the same features, made of X's columns in the same way, batch_norm, "
            f"parametric_activation and widths in the {counted(n, 'lowest hidden layer')} as this network "
            f"({next(of_both)}). Got {next(of_both)}; init_layers says how many layers are taken."
        )
    numbers = _lower_variables(blueprint.make(), n)
    weights, names = fitted.weights(), fitted.layout.names
    between = _shifts_of(theirs.deep_plan, fitted.shift) - _shifts_of(spec.deep_plan, shift)
    between += _first_seconds(theirs.deep_plan, fitted.table) - _first_seconds(spec.deep_plan, table)
    shifted = [variable(COLUMNS, name) for name in ("fill", "center")]
    arrays = [
        (weights[i] + between).astype(np.float32) if names[i] in shifted else weights[i]
        for i in _lower_variables(model_of(fitted), n)
    ]
    return dict(zip(numbers, arrays, strict=True))


def _shifts_of(plan: ColumnPlan | None, shift: NDArray | None) -> NDArray | float:
    """The shifts of the columns of numbers."""
    return 0.0 if plan is None or shift is None else shift[list(plan.numeric)]
