"""Where training starts from: the lower layers of another fitted network, or of an autoencoder."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sk_mlp._keras.resolve import routed_to
from sk_mlp._network.build import model_of, weights_of
from sk_mlp._network.spec import Blueprint, Fitted, NetworkSpec
from sk_mlp._tables.plan import ColumnPlan
from sk_mlp._tables.selection import Matrix, dense
from sk_mlp.layers import ColumnEncoding

# What an autoencoder has in common with the network that starts from it.
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
Start = tuple[dict[int, NDArray], tuple[int, ...]]


def initial_weights(
    estimator: Any,
    blueprint: Blueprint,
    X: Matrix,
    rows: NDArray,
    X_unlabeled: Matrix | None,
    seed: int,
    regressor_class: type,
    shift: NDArray | None,
) -> Start:
    """Initial values by the variables' numbers, as ``init_from``, ``pretrain`` or a user's builder give them.

    Parameters
    ----------
    estimator : estimator
        Its parameters say what to start from; with ``pretrain`` it gets the attribute ``autoencoder_``.
    blueprint : Blueprint
    X : matrix
        All rows; without a shift as the network gets them.
    rows : ndarray of int
        Which of them train.
    X_unlabeled : matrix or None
    seed : int
    regressor_class : type
        Of the autoencoder.
    shift : ndarray of shape (n_features,) or None
        What the network gets less than X.

    Returns
    -------
    initial : dict of int to ndarray
    frozen : tuple of int
        Variables to freeze for the first epochs.

    Raises
    ------
    ValueError
        If there is no such start for this network.
    """
    source, parameter = estimator.init_from, "init_from"
    if estimator.pretrain is not None:
        if source is not None:
            raise ValueError(f"init_from and pretrain must not be given both. Got {source!r} and 'autoencoder'.")
        parameter = "pretrain"
    elif source is None:
        if estimator.frozen_epochs or estimator.init_layers is not None:
            raise ValueError(
                "frozen_epochs and init_layers need init_from or pretrain. Got "
                f"frozen_epochs={estimator.frozen_epochs!r} and init_layers={estimator.init_layers!r} without."
            )
        if blueprint.sample is None:
            return {}, ()
        goes_on = estimator.warm_start and isinstance(estimator.model, keras.Model)
        return start_of(blueprint.sample, estimator.model if goes_on else None), ()
    spec = blueprint.spec
    if spec is None:
        raise ValueError(f"{parameter} needs the built-in network. Got model={estimator.model!r}.")
    if not spec.hidden_layer_sizes:
        raise ValueError(f"{parameter} needs a network with at least one hidden layer. Got none.")
    if parameter == "pretrain":
        source = autoencoder(estimator, spec, X, rows, X_unlabeled, seed, regressor_class, shift)
        estimator.autoencoder_ = source
    source = source.estimator if isinstance(source, FrozenEstimator) else source
    categories = getattr(source, "_categories", estimator._categories)  # what is not fitted is refused below
    if parameter == "init_from" and categories != estimator._categories:
        raise ValueError(
            "init_from must have been fitted on the same categories, whose codes its weights belong to. Got "
            f"{categories} instead of {estimator._categories}."
        )
    ours, theirs = _features_of_dates(estimator), _features_of_dates(source)
    if parameter == "init_from" and hasattr(source, "_dates") and ours != theirs:
        raise ValueError(
            "init_from must have been fitted on the same columns of dates, of which the same varies. Got "
            f"{theirs} instead of {ours}."
        )
    return _lower_layers(source, parameter, blueprint, estimator.init_layers, bool(estimator.frozen_epochs), shift)


def _features_of_dates(estimator: Any) -> dict[int, tuple[str, ...]]:
    return {number: date.features for number, date in getattr(estimator, "_dates", {}).items()}


def start_of(sample: keras.Model, source: keras.Model | None = None) -> dict[int, NDArray]:
    """Initial values of a user's own model, or of another one of its structure; of scaled columns there are none."""
    of_columns = (layer for layer in sample.layers if isinstance(layer, ColumnEncoding))
    learned = {id(variable) for layer in of_columns for variable in layer.variables}
    numbers = [i for i, variable in enumerate(weights_of(sample)) if id(variable) not in learned]
    arrays = [np.asarray(variable) for variable in weights_of(source or sample)]
    return dict(zip(numbers, arrays if source else [arrays[i] for i in numbers], strict=True))


def autoencoder(
    estimator: Any,
    spec: NetworkSpec,
    X: Matrix,
    rows: NDArray,
    X_unlabeled: Matrix | None,
    seed: int,
    regressor_class: type,
    shift: NDArray | None,
) -> Any:
    """A network that learns to put out the features that enter the deep path, through mirrored hidden layers.

    Where columns have a shift, it gets float64, to find such a shift itself.
    Hinton and Salakhutdinov 2006 (Science 313).
    """
    if issparse(X) or issparse(X_unlabeled):
        raise ValueError(
            "pretrain='autoencoder' needs dense X, whose features it learns to put out. Got a sparse matrix; call "
            "toarray(), or reduce it by sklearn.decomposition.TruncatedSVD."
        )
    dtype = np.float32 if shift is None else np.float64
    parts = [dense(part, dtype) for part in (X[rows], X_unlabeled) if part is not None]
    features = np.concatenate(parts)
    if spec.deep_columns is not None:
        features = features[:, list(spec.deep_columns)]
    params = estimator._values()
    optimizer = {name: value for name, value in params.items() if name.startswith("optimizer__")}
    sizes = spec.hidden_layer_sizes
    settings = {
        **{name: params[name] for name in SHARED},
        "hidden_layer_sizes": (*sizes, *sizes[-2::-1]),
        "numerical_embedding": spec.deep_plan.embedding if spec.deep_plan else None,  # "auto" counts all columns
        "dropout": 0.0,
        "lr_schedule": None,
        "ensemble_size": 1,
        "random_state": seed,
    }
    settings |= optimizer | routed_to(params, "pretrain")
    try:
        return regressor_class(**settings).fit(features, features[:, 0] if features.shape[1] == 1 else features)
    except (TypeError, ValueError) as error:
        raise ValueError(f"pretrain='autoencoder' could not be trained: {error}") from error


def _lower_variables(model: keras.Model, n_layers: int) -> list[int]:
    """Numbers of the variables of the lowest hidden layers, norms included."""
    numbers = {id(variable): number for number, variable in enumerate(weights_of(model))}
    names = {f"{kind}_{i}" for i in range(1, n_layers + 1) for kind in ("hidden", "batch_norm", "activation")}
    names.add("columns")
    return [numbers[id(variable)] for layer in model.layers if layer.name in names for variable in layer.variables]


def _lower_layers(
    source: Any, parameter: str, blueprint: Blueprint, n_layers: int | None, freeze: bool, shift: NDArray | None
) -> Start:
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
            f"{s.n_deep} features, batch_norm={s.batch_norm}, parametric_activation={s.parametric_activation}, widths "
            f"{s.hidden_layer_sizes}"
            for s in (spec, theirs)
        )
        raise ValueError(
            f"{parameter} must have the same features, made of X's columns in the same way, batch_norm, "
            f"parametric_activation and widths in the {n} lowest hidden layers as this network ({next(of_both)}). Got "
            f"{next(of_both)}; init_layers says how many layers are taken."
        )
    numbers = _lower_variables(blueprint.make(), n)
    weights, names = fitted.weights(), fitted.layout.names
    between = _shifts_of(theirs.deep_plan, fitted.shift) - _shifts_of(spec.deep_plan, shift)
    arrays = [
        (weights[i] + between).astype(np.float32) if names[i] in ("columns/fill", "columns/center") else weights[i]
        for i in _lower_variables(model_of(fitted), n)
    ]
    return dict(zip(numbers, arrays, strict=True)), tuple(numbers) if freeze else ()


def _shifts_of(plan: ColumnPlan | None, shift: NDArray | None) -> NDArray | float:
    """The shifts of the columns of numbers."""
    return 0.0 if plan is None or shift is None else shift[list(plan.numeric)]
