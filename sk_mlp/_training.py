"""Training: validate -> encode y -> blueprint -> split -> recipe and member -> engine -> attributes."""

import warnings
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from sk_mlp._builder import blueprint_of_builder, call_builder
from sk_mlp._features import DTYPES, Matrix, column_numbers, input_columns, stacked
from sk_mlp._parameters import Parameters
from sk_mlp._plan import Task, make_recipe, same_paths
from sk_mlp._resolve import (
    check_monitors,
    is_of_logits,
    resolve_callbacks,
    resolve_loss,
    routed_to,
    sign_of,
)
from sk_mlp._sklearn_callbacks import FitTasks, fit_tasks, hook_arguments
from sk_mlp._spec import CHANGED, Blueprint, Fitted, Member, NetworkSpec, Rows, Trained
from sk_mlp._split import hold_out
from sk_mlp._starting import initial_weights
from sk_mlp._targets import ClassTargets, RegressionTargets
from sk_mlp.engine.bridge import CallbackBridge
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.keras_population import KerasPopulation
from sk_mlp.engine.population import CompiledPopulation, DeviceRows, Population
from sk_mlp.engine.recipe import Parts, Recipe, loss_names, optimizer_data
from sk_mlp.engine.run import Run
from sk_mlp.engine.train import train
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.losses import losses_of_outputs
from sk_mlp.network import blueprint_of_spec, with_units
from sk_mlp.schedules import ByStep, Schedule, resolve_schedule

Targets = ClassTargets | RegressionTargets
HeldOut = tuple[Matrix, NDArray, NDArray]


class Training(Parameters, ABC):
    """Training of multilayer perceptrons. Abstract."""

    _live: dict[str, Any]  # Keras and TensorFlow objects made from the fitted state, by name

    def _train(self, *data, **settings):
        """Fit this object, a worker: go on from the fitted state if it has one."""
        task = self._prepare(*data, **settings)
        with fit_tasks(self, task) as tasks:
            self._finish(task, self._run(task, tasks))

    def _prepare(
        self,
        X,
        y,
        sample_weight=None,
        held_out=(None, None, None),
        X_unlabeled=None,
        *,
        stop_early,
        last_epoch,
        first_epoch=0,
        classes=None,
    ) -> Task:
        """Check everything and make the fit ready to run."""
        self._validate_names()
        self._validate_params()
        previous: Fitted | None = getattr(self, "_fitted", None)
        raw, hooks = X, hook_arguments(self, X, y, sample_weight)
        X, y = self._check_X_y(X, y, reset=previous is None)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        targets, y = self._learn_targets(y, classes, previous.targets if previous else None)
        X, y, weights = _rows_with_weight(X, y, _without_zero_total(weights, "sample_weight"))
        weights = _without_zero_total(weights * self._class_weights(targets, y), "sample_weight")
        X, y, weights = _rows_with_weight(X, y, weights)
        held_out = self._check_held_out(held_out, targets)
        if X_unlabeled is not None:
            X_unlabeled = self._check_unlabeled(X_unlabeled)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        rows, validation = np.arange(X.shape[0]), np.arange(0)
        if held_out is not None:
            X = stacked([X, held_out[0]])
            y, weights = np.concatenate([y, held_out[1]]), np.concatenate([weights, held_out[2]])
            validation = np.arange(len(rows), len(y))
        elif stop_early:
            rows, validation = hold_out(len(rows), float(self.validation_fraction), seed, self._strata(targets, y))
        for part in (rows, validation):
            weights[part] *= len(part) / max(weights[part].sum(), np.finfo(float).tiny)

        blueprint = self._blueprint(raw, targets, seed)
        params = self._params_of(blueprint)
        loss = resolve_loss(params, *self._loss_defaults(targets, blueprint.width))
        if previous is None:
            targets = self._with_units(targets, y[rows], weights[rows], blueprint)
        encoded, layout = self._encode(targets, y, loss, blueprint.width)
        initial: dict[int, NDArray] = {}
        frozen = previous.frozen if previous else ()
        if previous is None:
            initial, frozen = initial_weights(self, blueprint, X, rows, X_unlabeled, seed, self._regressor_class)
        recipe = make_recipe(params, blueprint, loss, layout, X, len(rows), frozen)
        if previous and (previous.slots != recipe.slots or not same_paths(previous, blueprint)):
            raise ValueError(CHANGED)
        metrics = recipe.make_metrics()
        figures = [*loss_names(blueprint.n_heads), *(metric.name for metric in metrics)]
        figures += [f"val_{name}" for name in figures] if len(validation) else []
        monitor = self.monitor if stop_early else "loss"
        units = (targets.mean, targets.scale) if isinstance(targets, RegressionTargets) else (np.zeros(1), np.ones(1))
        member = Member(
            seed=seed,
            rows=Rows(X, encoded, weights.astype(np.float32), *units),
            train=rows.astype(np.int32),
            validation=validation.astype(np.int32),
            learning_rate=float(self.learning_rate),
            schedule=self._schedule(-(-len(rows) // recipe.batch_size)),
            hyper=self._hyper(recipe, blueprint),
            epochs=last_epoch,
            patience=int(self.patience) if stop_early else None,
            min_delta=float(self.min_delta),
            monitor=monitor,
            sign=sign_of(monitor, metrics, [name for name in figures if name.startswith("val_") == stop_early]),
            initial=initial,
            frozen_epochs=float(self.frozen_epochs),
        )
        return Task(recipe, member, targets, previous, first_epoch, tuple(figures), hooks)

    def _hyper(self, recipe: Recipe, blueprint: Blueprint) -> dict[str, float]:
        """The numbers that are data of a program, by name."""
        return {
            "weight_decay": float(self.weight_decay),
            **self._label_hyper(),
            **({"aux_loss_weight": float(self.aux_loss_weight)} if blueprint.n_heads > 1 else {}),
            **optimizer_data(recipe.optimizer_config),
            **{f"dropout/{number}": rate for number, rate in enumerate(blueprint.rates)},
        }

    # The data

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.pretrain is None
        return tags

    def _check_X_y(self, X, y, reset: bool) -> tuple[Matrix, NDArray]:
        X, y = validate_data(
            self, X, y, reset=reset, dtype=DTYPES, accept_sparse="csr", multi_output=True, **self._y_checks
        )
        return csr_array(X) if issparse(X) else X, y

    def _check_X(self, X) -> Matrix:
        X = validate_data(self, X, reset=False, dtype=DTYPES, accept_sparse="csr")
        return csr_array(X) if issparse(X) else X

    def _check_unlabeled(self, X_unlabeled) -> Matrix:
        if self.pretrain is None:
            raise ValueError("X_unlabeled is for pretrain='autoencoder'. Got pretrain=None.")
        try:
            return self._check_X(X_unlabeled)
        except ValueError as error:
            raise ValueError(f"X_unlabeled is not valid: {error}") from error

    def _check_held_out(self, held_out: tuple, targets: Targets) -> HeldOut | None:
        X, y, sample_weight = held_out
        if X is None and y is None:
            if sample_weight is not None:
                raise ValueError("sample_weight_val needs X_val and y_val. Got None for both.")
            return None
        if X is None or y is None:
            missing = "X_val" if X is None else "y_val"
            raise ValueError(f"X_val and y_val must be given together. Got {missing}=None.")
        try:  # scikit-learn's messages speak of X, y and sample_weight
            X, y = self._check_X_y(X, y, reset=False)
            y = targets.check(y.toarray() if issparse(y) else y, "y_val")  # type: ignore[attr-defined]
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            return X, y, _without_zero_total(weights * self._class_weights(targets, y), "sample_weight_val")
        except ValueError as error:
            raise ValueError(f"The held-out rows (X_val, y_val, sample_weight_val) are not valid: {error}") from error

    # The network

    def _blueprint(self, X: Any, targets: Targets, seed: int) -> Blueprint:
        """What to train on X, which is as the user passed it."""
        n_features = self.n_features_in_
        sizes = self._layer_sizes()
        if self.model is None:
            self._check_paths(sizes)
            loss = resolve_loss(self.get_params(deep=False), *self._loss_defaults(targets, targets.n_outputs))
            spec = NetworkSpec(
                n_features=n_features,
                n_outputs=targets.n_outputs,
                hidden_layer_sizes=sizes,
                activation=self.activation,
                batch_norm=bool(self.batch_norm),
                dropout=bool(self.dropout > 0),
                output_activation="linear" if is_of_logits(loss) else self._output_activation(targets),
                kernel_initializer=self.kernel_initializer,
                skip_connection=bool(self.skip_connection),
                wide_columns=self._path(X, "wide_features"),
                deep_columns=self._path(X, "deep_features"),
                aux_output=bool(self.aux_output),
            )
            return blueprint_of_spec(spec, float(self.dropout))
        if isinstance(self.model, keras.Model):
            raise ValueError(
                "The 'model' parameter must be None or a function that returns a new keras.Model at each call. "
                f"Got the model {self.model.name!r} instead."
            )
        params, columns = self.get_params(deep=False), input_columns(X, self.input_columns)
        make = partial(
            call_builder,
            self.model,
            seed,
            params,
            {"n_features_in_": n_features, "n_outputs_": targets.n_outputs, **self._meta(targets)},
            n_features,
            columns,
            self._widths(targets),
            partial(resolve_loss, params, *self._loss_defaults(targets, targets.n_outputs)),
        )
        return blueprint_of_builder(make, n_features, columns)

    def _check_paths(self, sizes: tuple[int, ...]) -> None:
        if self.input_columns is not None:
            raise ValueError(
                "input_columns names the columns of the inputs of a 'model' of the user's own. Got model=None; use "
                "wide_features and deep_features for the estimator's own network."
            )
        needs_hidden = {"aux_output": self.aux_output, "deep_features": self.deep_features is not None}
        for name, given in needs_hidden.items():
            if given and not sizes:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} needs a deep path: at least one hidden layer. Got none."
                )
        if self.wide_features is not None and not self.skip_connection:
            raise ValueError(
                f"wide_features={self.wide_features!r} needs skip_connection=True, the path that they take. Got "
                f"skip_connection={self.skip_connection!r}."
            )

    def _path(self, X: Any, name: str) -> tuple[int, ...] | None:
        columns = getattr(self, name)
        return None if columns is None else column_numbers(X, columns, name)

    def _params_of(self, blueprint: Blueprint) -> dict[str, Any]:
        """The parameters, with optimizer and loss of a model that its builder has compiled."""
        params, model = self.get_params(deep=False), blueprint.sample
        if model is None or not model.compiled:
            return params
        loss = model.loss if params["loss"] is None else params["loss"]
        params = {**params, "optimizer": model.optimizer, "loss": loss}
        return {name: v for name, v in params.items() if not name.startswith(("optimizer__", "loss__"))}

    def _schedule(self, n_steps: int) -> Schedule:
        """The learning rate's schedule, for epochs of so many steps."""
        schedule = self.lr_schedule
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            by_step = partial(keras.ops.vectorized_map, schedule)
            schedule = ByStep(lambda steps: np.asarray(by_step(steps)), float(self.learning_rate), n_steps)
        return resolve_schedule(schedule, routed_to(self.get_params(deep=False), "lr_schedule"), int(self.epochs))

    # The run

    def _run(self, task: Task, tasks: FitTasks | None) -> Trained:
        """Train by the engine that the parameters ask for, or that can."""
        params, recipe, member = self.get_params(deep=False), task.recipe, task.member
        callbacks = resolve_callbacks(params)
        check_monitors(callbacks, [*task.figures, "learning_rate"])
        reason = None if self.engine == "keras" else why_not_compilable(recipe, callbacks)
        if reason and self.engine == "compiled":
            raise NotCompilableError(f"engine='compiled' cannot train this: {reason}")
        if self.engine != "keras" and not reason:
            try:
                bridge = self._bridge(task, None, callbacks) if callbacks else None
                run = task.run()
                compiled = CompiledPopulation(recipe, DeviceRows(recipe, [member]), member.hyper, 1)
                train(compiled, iter([run]), bridge, partial(self._report, compiled, tasks))
                return run.outcome()
            except NotCompilableError as error:
                if self.engine == "compiled":
                    raise
                reason, callbacks = str(error), resolve_callbacks(params)
        if reason and self.verbose:
            print(f"{type(self).__name__} trains with engine='keras': {reason}")
        parts = Parts(recipe)
        run, population = task.run(), KerasPopulation(parts, recipe, member, callbacks)
        bridge = self._bridge(task, parts, callbacks) if callbacks else None
        train(population, iter([run]), bridge, partial(self._report, population, tasks))
        return run.outcome()

    def _bridge(self, task: Task, parts: Parts | None, callbacks: list) -> CallbackBridge:
        recipe, member = task.recipe, task.member
        parts = parts or Parts(recipe)
        model = self._in_units(parts.model, task.targets)
        if not model.compiled:
            model.compile(parts.optimizer, **losses_of_outputs(recipe.loss, member.hyper.get("aux_loss_weight")))
        steps = -(-len(member.train) // recipe.batch_size)
        return CallbackBridge(callbacks, parts, model, member.epochs, steps, member.learning_rate)

    def _report(self, population: Population, tasks: FitTasks | None, run: Run) -> None:
        if self.verbose:
            figures = (f"{name}: {values[-1]:.4g}" for name, values in run.history.items())
            print(f"Epoch {run.epoch}/{run.member.epochs}", *figures)
        if tasks:
            tasks.end_epoch(population, run)

    def _finish(self, task: Task, trained: Trained) -> None:
        """Take over what training has produced."""
        if task.previous and task.previous.layout != trained.layout:
            raise ValueError(CHANGED)
        first_epoch, recipe = task.first_epoch, task.recipe
        if trained.stopped_by == "non-finite":
            kept = f"The weights of the best epoch before ({trained.best_epoch + 1}) are kept."
            warnings.warn(f"{self._divergence(task, trained)} {kept}", ConvergenceWarning, stacklevel=4)
        history = getattr(self, "history_", {}) if first_epoch else {}
        before = [np.nan] * (len(history["loss"]) if history else 0)
        now = [np.nan] * len(trained.history["loss"])
        self.history_ = {
            name: [*history.get(name, before), *trained.history.get(name, now)]
            for name in dict.fromkeys([*history, *trained.history])
        }
        self.n_iter_ = len(self.history_["loss"])
        self.best_epoch_ = trained.best_epoch
        self._fitted = Fitted(
            state=trained.state,
            layout=trained.layout,
            spec=recipe.blueprint.spec,
            make_model=recipe.blueprint.make,
            targets=task.targets,
            slots=recipe.slots,
            loss_of_logits=is_of_logits(recipe.loss),
            columns=recipe.blueprint.columns,
            frozen=recipe.frozen,
        )
        self._live = {}
        self._set_target_attributes(task.targets)

    def _divergence(self, task: Task, trained: Trained) -> str:
        return (
            f"The loss was no longer finite after epoch {task.first_epoch + len(trained.history['loss'])}. "
            f"Try a smaller learning_rate (it is {self.learning_rate}) or scale X."
        )

    def _in_units(self, model: keras.Model, targets: Targets) -> keras.Model:
        if isinstance(targets, RegressionTargets) and targets.is_standardised:
            return with_units(model, targets.mean, targets.scale)
        return model

    # What classification and regression do each in their own way

    @property
    @abstractmethod
    def _y_checks(self) -> dict[str, Any]:
        """Further arguments of validate_data."""

    @abstractmethod
    def _learn_targets(self, y: NDArray, classes: NDArray | None, previous: Targets | None) -> tuple[Targets, NDArray]:
        """Targets as far as they follow from y alone, or those of the last fit; and y in the shape that they have."""

    @abstractmethod
    def _with_units(self, targets: Targets, y: NDArray, weights: NDArray, blueprint: Blueprint) -> Targets:
        """Targets with what is learned from the training rows alone."""

    @abstractmethod
    def _class_weights(self, targets: Targets, y: NDArray) -> NDArray | float:
        """Weight of each row by its class."""

    def _label_hyper(self) -> dict[str, float]:
        """Numbers that change the labels a network is trained on."""
        return {}

    @abstractmethod
    def _strata(self, targets: Targets, y: NDArray) -> NDArray | None:
        """Number of each row's class, for a stratified split."""

    @abstractmethod
    def _output_activation(self, targets: Targets) -> str:
        """Activation of our own networks' last layer."""

    @abstractmethod
    def _loss_defaults(self, targets: Targets, width: int) -> tuple[str, str]:
        """Name of the loss for an output of this width, and what "focal" stands for, if anything."""

    @abstractmethod
    def _widths(self, targets: Targets) -> tuple[int, ...]:
        """Widths that a builder's output may have."""

    @abstractmethod
    def _meta(self, targets: Targets) -> dict[str, Any]:
        """What a builder is told of the targets."""

    @abstractmethod
    def _encode(self, targets: Targets, y: NDArray, loss: keras.losses.Loss, width: int) -> tuple[NDArray, str | None]:
        """y as the loss wants it, and the name of that layout."""

    @abstractmethod
    def _set_target_attributes(self, targets: Targets) -> None:
        """Set n_outputs_ and the like."""

    @property
    @abstractmethod
    def _regressor_class(self) -> type:
        """The estimator that an autoencoder is."""


def _rows_with_weight(X: Matrix, y: NDArray, weights: NDArray) -> HeldOut:
    """The rows of positive weight; a row that does not count must not cost a step either."""
    if weights.all():
        return X, y, weights
    kept = weights > 0
    return X[kept], y[kept], weights[kept]


def _without_zero_total(weights: NDArray, name: str) -> NDArray:
    if not weights.sum() > 0:
        raise ValueError(f"{name}, times class_weight, must have a positive sum. Got {weights.sum()}.")
    return weights
