"""From settings and rows to the network that they describe: the built-in one, or what the user's function builds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from keras.optimizers import SGD
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._estimator.messages import CHANGED
from sk_mlp._estimator.settings import Settings, with_rates
from sk_mlp._keras.loss import OF_CLASSES, resolve_loss
from sk_mlp._keras.policy import build_under, check_half, name_for_own_network
from sk_mlp._keras.resolve import resolve_optimizer
from sk_mlp._keras.routing import plain
from sk_mlp._network.build import blueprint_of_spec, ends_in_probabilities
from sk_mlp._network.builder_arguments import arguments_of, offers_taken
from sk_mlp._network.compiled import compiled_by_user
from sk_mlp._network.fit_loss import FitLoss, loss_of_fit
from sk_mlp._network.names import COLUMNS, WIDE_COLUMNS, variable, variables_of
from sk_mlp._network.spec import Blueprint, Fitted, NetworkSpec
from sk_mlp._network.user_model import blueprint_of_builder, call_builder, compile_kwargs
from sk_mlp._tables.matrix import with_features_of_dates
from sk_mlp._tables.numbers import is_wide, shift_of
from sk_mlp._tables.plan import ColumnPlan, learn_columns, plan_columns
from sk_mlp._tables.selection import Inputs, Matrix, column_numbers, input_columns
from sk_mlp._tables.table import Table
from sk_mlp._targets.base import Targets
from sk_mlp._targets.dropout import MOST_DROPOUT
from sk_mlp.losses import Quantile

if TYPE_CHECKING:
    from sk_mlp._estimator.rows import FitRows

EMBEDDED_COLUMNS = 200  # at most, for numerical_embedding="auto"


def paths_of(settings: Settings, raw: Any, table: Table) -> dict[str, Any]:
    """Numbers of the columns that the user has named, for paths of the built-in network or for inputs of a model.

    Parameters
    ----------
    settings : Settings
    raw : array-like or frame
        X as the user passed it.
    table : Table

    Raises
    ------
    ValueError
        If there are no such columns, or no such paths.
    """
    if settings.model is not None:
        return {"input_columns": input_columns(raw, settings.input_columns)}
    _check_paths(settings)
    paths = {}
    for name in ("wide_features", "deep_features"):
        columns = getattr(settings, name)
        numbers = None if columns is None else column_numbers(raw, columns, name)
        paths[name] = with_features_of_dates(numbers, table.n_features, table.dates)
    return paths


def _check_paths(settings: Settings) -> None:
    if settings.input_columns is not None:
        raise ValueError(
            "input_columns names the columns of each input of a 'model'. Got model=None; use wide_features and "
            "deep_features for the built-in network."
        )
    needs_hidden = {
        "aux_output": settings.aux_output,
        "deep_features": settings.deep_features is not None,
        "wide_features": settings.wide_features is not None,
    }
    for name, given in needs_hidden.items():
        if given and not settings.layer_sizes:
            raise ValueError(
                f"{name}={getattr(settings, name)!r} needs a deep path: at least one hidden layer. Got none."
            )
    if settings.wide_features is not None and not settings.skip_connection:
        raise ValueError(
            f"wide_features={settings.wide_features!r} needs skip_connection=True, the path that they take. Got "
            f"skip_connection={settings.skip_connection!r}."
        )


def built_in_network(settings: Settings, rows: "FitRows", loss: FitLoss, previous: Fitted | None) -> Blueprint:
    """The built-in network.

    Parameters
    ----------
    settings : Settings
    rows : FitRows
    loss : FitLoss
    previous : Fitted or None
        What to go on from.

    Raises
    ------
    ValueError
        If X is no X for it.
    """
    targets, before = rows.targets, previous.spec if previous else None
    if previous and before and not _asks_for(settings, before.deep_plan, _scaling_before(previous)):
        raise ValueError(CHANGED)
    wide, deep = rows.paths["wide_features"], rows.paths["deep_features"]
    plan = partial(_plan, settings, rows)
    rate = MOST_DROPOUT if settings.dropout == "auto" else float(settings.dropout)
    spec = NetworkSpec(
        n_features=rows.X.shape[1],  # together with columns that dates become
        n_outputs=targets.n_outputs,
        hidden_layer_sizes=settings.layer_sizes,
        activation=settings.activation,
        batch_norm=settings.batch_norm,
        dropout=rate > 0,
        output_activation="linear" if loss.of_logits else targets.output_activation(loss.name),
        kernel_initializer=settings.kernel_initializer,
        skip_connection=settings.skip_connection,
        wide_columns=wide,
        deep_columns=deep,
        aux_output=settings.aux_output,
        deep_plan=before.deep_plan if before else plan(deep, True),
        wide_plan=before.wide_plan if before else plan(wide, False) if settings.skip_connection else None,
        parametric_activation=settings.parametric_activation,
        policy=before.policy if before else name_for_own_network(settings.policy),
    )
    if spec.deep_plan is None and settings.layer_sizes:
        columns = range(spec.n_features)
        check_half(rows.X, columns if deep is None else deep, rows.table.matrix_names or columns, spec.policy)
    return blueprint_of_spec(spec, rate)


def model_of_user(settings: Settings, rows: "FitRows", seed: int) -> Blueprint:
    """What the user's function builds, with initial weights that follow from the seed.

    Parameters
    ----------
    settings : Settings
    rows : FitRows
    seed : int
    """
    columns, scaling = rows.paths["input_columns"], scaling_of(settings, rows.X)
    scales = None
    if scaling is not None:
        scales = plan_columns(rows.parts, rows.training, None, {}, scaling, None, False, "error")
    make = partial(_builder(settings, rows.targets, rows.meta, columns), seed, scales)
    make = partial(build_under, settings.policy.name, make)
    return blueprint_of_builder(make, rows.X.shape[1], columns if scales is None else None, scales)


def _builder(settings: Settings, targets: Targets, meta: dict[str, Any], columns: Inputs) -> Callable:
    """A function of a seed and of a plan or None, which calls the user's function."""
    meta = {"n_outputs_": targets.n_outputs, **meta, **targets.meta()}
    offers: dict[str, Callable[[], Any]] = {"meta": partial(dict, meta), "params": partial(dict, settings.params)}
    taken = offers_taken(settings.model)
    if "compile_kwargs" in taken:
        told = with_rates(settings, settings.told)
        optimizer = told.optimizer, told.routed["optimizer"], told.learning_rate, told.weight_decay
        loss = told.loss, told.routed["loss"], *targets.default_loss(targets.n_outputs, told.label_smoothing)
        offers["compile_kwargs"] = partial(compile_kwargs, optimizer, loss, told.metrics)
    return partial(
        call_builder,
        settings.model,
        {name: plain(value) for name, value in settings.builder_arguments.items()},
        {name: offers[name] for name in taken},
        meta["n_features_in_"],
        columns,
        targets.widths,
    )


@dataclass(frozen=True, eq=False)
class AskedLoss:
    """What the ``loss`` parameter asks for, for `sk_mlp._targets.base.LossAsked`, which says what its methods are.

    Attributes
    ----------
    settings : Settings
    raw, X
        As the user passed it, and as a matrix.
    meta : dict
        What is known of the data.
    """

    settings: Settings
    raw: Any
    X: Matrix
    meta: dict[str, Any]

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles of y where there are several, one output each; else empty."""
        settings = self.settings
        if settings.loss is None or "loss" in arguments_of(settings.model):
            return ()
        loss = resolve_loss(settings.loss, settings.routed["loss"], "mean_squared_error")
        return loss.several if isinstance(loss, Quantile) else ()

    def compares_classes(self, targets: Targets) -> bool:
        """Whether the loss compares classes of which one is right in each row, or the model ends in a softmax."""
        settings, loss = self.settings, self.settings.loss
        if settings.model is not None:
            make = _builder(settings, targets, self.meta, input_columns(self.raw, settings.input_columns))
            sample = build_under(settings.policy.name, partial(make, 0, None))
            if ends_in_probabilities(sample, of_classes=True):
                return True
            if "loss" in arguments_of(settings.model):
                loss = None
            if loss is None:
                compiled = compiled_by_user(sample)
                loss = compiled and compiled.loss
        if loss is None:
            return False
        return loss_of_fit(replace(settings, loss=loss), targets, targets.n_outputs, None).name in OF_CLASSES


def _plan(settings: Settings, rows: "FitRows", columns: tuple[int, ...] | None, is_deep: bool) -> ColumnPlan | None:
    """How a path encodes its columns."""
    scaling = scaling_of(settings, rows.X)
    if issparse(rows.X):
        return None
    embedding = settings.numerical_embedding if is_deep else None
    if embedding == "auto":
        embedding = "ple" if rows.X.shape[1] <= EMBEDDED_COLUMNS else None
    learned = settings.learned_scale
    if learned == "auto":
        # Adam's steps on it are `SCALE_FACTOR` times as long; those of SGD would be longer by its square.
        optimizer = resolve_optimizer(settings.optimizer, settings.routed["optimizer"])[0]
        learned = scaling is not None and not issubclass(optimizer, SGD)
    return plan_columns(
        rows.parts,
        rows.training,
        columns,
        rows.table.categories,
        scaling,
        embedding,
        bool(learned) and is_deep,
        settings.handle_missing,
    )


def _scaling_before(previous: Fitted) -> str | None:
    """How the network of the last fit scales numbers."""
    assert previous.spec is not None
    plan = previous.spec.deep_plan
    if plan is None or plan.clip or not plan.numeric:
        return "robust" if plan and plan.clip else None
    learned = variables_of(COLUMNS, previous.named_weights(0))
    is_scaled = learned["center"].any() or not np.isin(learned["scale"], (0, 1)).all()
    return "standard" if is_scaled else None


def _asks_for(settings: Settings, plan: ColumnPlan | None, scaling: str | None) -> bool:
    """Whether a plan, with this scaling, does what the settings ask for; "auto" asks for nothing."""
    has_numbers = plan is None or bool(plan.numeric)
    embedding = settings.numerical_embedding
    if settings.handle_missing == "impute" and plan and plan.indicators:
        return False
    return all(
        asked == "auto" or wanted == found
        for asked, wanted, found in (
            (settings.input_scaling, settings.input_scaling if has_numbers else scaling, scaling),
            (embedding, embedding if has_numbers else None, plan and plan.embedding),
            (settings.learned_scale, bool(settings.learned_scale), bool(plan and plan.learned_scale)),
        )
    )


def scaling_of(settings: Settings, X: Matrix) -> str | None:
    """How numbers are scaled.

    Raises
    ------
    ValueError
        If that needs another kind of X.
    """
    for name in ("input_scaling", "numerical_embedding", "learned_scale"):
        value = getattr(settings, name)
        if issparse(X) and value not in (None, False, "auto"):
            raise ValueError(f"{name}={value!r} needs a dense X. Got a sparse matrix; set {name}=None or 'auto'.")
    if settings.input_scaling == "auto":
        return None if issparse(X) else "robust"
    return settings.input_scaling


def learned_columns(
    settings: Settings, blueprint: Blueprint, rows: "FitRows", y: NDArray, train: NDArray
) -> dict[str, NDArray]:
    """What some rows tell of X's columns, by the variable's layer and name.

    Parameters
    ----------
    settings : Settings
    blueprint : Blueprint
    rows : FitRows
    y : ndarray of shape (n_rows, n_columns)
        What the loss gets.
    train : ndarray of int
        Numbers of these rows.
    """
    spec, X = blueprint.spec, rows.X
    plans = {COLUMNS: spec.deep_plan, WIDE_COLUMNS: spec.wide_plan} if spec else {COLUMNS: blueprint.plan}
    scaling = scaling_of(settings, X)
    return {
        variable(layer, name): array
        for layer, plan in plans.items()
        if plan
        for name, array in learn_columns(plan, X, y, train, rows.weights, rows.counts, scaling).items()
    }


def shifted(
    blueprint: Blueprint, X: Matrix, learned: list[dict[str, NDArray]]
) -> tuple[NDArray | None, list[dict[str, NDArray]]]:
    """The shift to subtract from X, or None, and what members learn of the columns after that, float32."""
    shift = np.zeros(X.shape[1])
    numeric = blueprint.numeric_columns if is_wide(X) else {}
    for member in learned:
        for layer, columns in numeric.items():
            found = shift_of(member[f"{layer}/center"], member[f"{layer}/scale"])
            shift[columns] = np.where(shift[columns] == 0, found, shift[columns])
    less = {f"{layer}/{name}": shift[of] for layer, of in numeric.items() for name in ("fill", "center")}
    in_float32 = [{k: (v - less.get(k, 0)).astype(np.float32) for k, v in member.items()} for member in learned]
    return (shift if shift.any() else None), in_float32
