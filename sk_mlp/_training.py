"""Training: validate -> encode y -> blueprint -> split -> recipe and member -> engine -> attributes."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from sk_mlp._callbacks import callbacks_of, directed, rule_of
from sk_mlp._checks import row_counts, rows_with_weight, without_zero_total
from sk_mlp._compiled import compiled_by_user
from sk_mlp._design import Design
from sk_mlp._dropout import DropoutRule
from sk_mlp._fit_words import NO_WORDS
from sk_mlp._fork import refuse_after_fork
from sk_mlp._hold_out import column_of_groups, splits_of_members
from sk_mlp._numbers import in_float32, warn_of_lost_digits
from sk_mlp._plan import Task, automatic_epochs, make_recipe, rows_of_members, same_paths
from sk_mlp._resolve import ideal_of, is_of_logits, resolve_loss, routed_to, sign_of
from sk_mlp._settings import settle, take_over
from sk_mlp._sklearn_callbacks import FitTasks, fit_tasks, hook_arguments
from sk_mlp._sparse import warn_of_scales
from sk_mlp._spec import CHANGED, Blueprint, Fitted, Member, Rows, Trained
from sk_mlp._split import member_seeds
from sk_mlp._starting import initial_weights, start_of
from sk_mlp._targets import RegressionTargets, Targets
from sk_mlp.engine.bridge import CallbackBridge, Rate, need_no_network
from sk_mlp.engine.cohort import Cohort, train_cohorts
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.keras_population import KerasPopulation
from sk_mlp.engine.population import CompiledPopulation, DeviceRows, Population
from sk_mlp.engine.recipe import Parts, Recipe, loss_names, optimizer_data
from sk_mlp.engine.run import Run
from sk_mlp.engine.train import train
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.losses import losses_of_outputs
from sk_mlp.network import with_shift, with_units
from sk_mlp.schedules import ByStep, Constant, Schedule, resolve_schedule

DIVERGED = "The loss was no longer finite"


class Training(Design, ABC):
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
        groups=None,
        *,
        stop_early,
        words=NO_WORDS,
        last_epoch=None,
        first_epoch=0,
        classes=None,
        convert=in_float32,
    ) -> Task:
        """Check everything and make the fit ready to run; ``convert`` does what `in_float32` does."""
        settle(self, words)
        refuse_after_fork("Training")
        stop_early, share = bool(stop_early), float(self.validation_fraction)  # or "auto"
        if words.validation_split is not None:
            share = float(words.validation_split)
        previous: Fitted | None = getattr(self, "_fitted", None)
        raw, hooks = X, hook_arguments(self, X, y, sample_weight)
        X, y = self._check_X_y(X, y, previous is None, sample_weight)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._data_meta = data_meta(raw, X, y)
        targets, y = self._learn_targets(raw, X, y, classes, previous.targets if previous else None)
        as_given, kept = (raw, y, column_of_groups(groups, len(y))), np.flatnonzero(weights)
        X, y, given = rows_with_weight(X, y, without_zero_total(weights, "sample_weight"))
        of_classes = self._class_weights(targets, y, given)
        weights = without_zero_total(given * of_classes, "sample_weight")
        counts, given, kept = row_counts(given, of_classes)[weights > 0], given[weights > 0], kept[weights > 0]
        X, y, weights = rows_with_weight(X, y, weights)
        held_out = self._check_held_out(held_out, targets, y, given)
        if X_unlabeled is not None:
            X_unlabeled = self._check_unlabeled(X_unlabeled)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        seeds = member_seeds(seed, int(self.ensemble_size))
        n_rows, strata = X.shape[0], self._strata(targets, y)
        splits = [(np.arange(n_rows, dtype=np.int32), np.arange(0, dtype=np.int32))] * len(seeds)
        parts = [X]
        if held_out is not None:
            if issparse(held_out[0]) and not issparse(X):  # X decides on the network
                held_out = (held_out[0].toarray(), *held_out[1:])
            parts.append(held_out[0])
            y, weights, counts = map(np.concatenate, zip((y, weights, counts), held_out[1:], strict=True))
            splits = [(splits[0][0], np.arange(n_rows, len(y), dtype=np.int32))] * len(seeds)
        elif share and (stop_early or words.validation_split):
            splits = splits_of_members(self.hold_out, share, seeds, strata, kept, as_given)
        trained_on = np.zeros(len(y), bool)
        for part, _ in splits:
            trained_on[part] = True
        rows = np.flatnonzero(trained_on)
        validation = splits[0][1]

        blueprint = self._blueprint(raw, parts, rows, targets, seed, previous)
        compiled = compiled_by_user(blueprint.sample)
        if self.model is not None:
            take_over(self, compiled, has_weights=np.ptp(weights) > 0)
        params = self._values()
        loss = resolve_loss(params, *self._loss_defaults(targets, blueprint.width))
        if previous is None:
            targets = self._with_units(targets, y, rows, weights[rows], blueprint, loss)
        encoded, layout = self._encode(targets, y, loss, blueprint.width)
        starts: list[dict[int, NDArray]] = [{}] * len(seeds)
        learned: list[dict[str, NDArray]] = [{}] * len(seeds)
        shift, frozen = (previous.shift, previous.frozen) if previous else (None, ())
        if previous is None:
            self._warn_of_numbers(X, rows)
            learned = [self._learned(blueprint, X, encoded, train, weights, counts) for train, _ in splits]
            shift, learned = self._shifted(blueprint, X, learned)
        raw_X, X = X, convert(parts, shift, self._column_names)
        if previous is None:
            features = X if shift is None else raw_X
            initial, frozen = initial_weights(
                self, blueprint, features, rows, X_unlabeled, seed, self._regressor_class, shift
            )
            starts = [initial] * len(seeds)
            if self.model is not None:
                samples = [self._blueprint(raw, parts, rows, targets, other, None).sample for other in seeds[1:]]
                starts[1:] = [start_of(sample) for sample in samples]
        n_train = max(len(train) for train, _ in splits)
        recipe = make_recipe(params, blueprint, loss, layout, X, n_train, frozen)
        n_epochs = automatic_epochs(n_train, recipe.batch_size) if self.epochs == "auto" else int(self.epochs)
        if previous and (previous.slots != recipe.slots or not same_paths(previous, blueprint)):
            raise ValueError(CHANGED)
        if previous and len(previous.states) != len(seeds):
            raise ValueError(
                f"ensemble_size must be that of the last fit, {len(previous.states)}, to go on from there. Got "
                f"{self.ensemble_size}."
            )
        callbacks = callbacks_of(self)
        stop_early = stop_early and len(validation) > 0 and not callbacks.replaces_ours
        metrics = recipe.make_metrics()
        figures = [*loss_names(blueprint.n_heads), *(metric.name for metric in metrics)]
        figures += [f"val_{name}" for name in figures] if len(validation) else []
        hyper = self._hyper(recipe, blueprint, layout, targets)
        is_scaled = not isinstance(targets, RegressionTargets) or (targets.is_standardised and "y_scale/0" not in hyper)
        rule = rule_of(callbacks.stopper, figures, metrics) if callbacks.stopper else None
        rule = rule or self._stop_rule(stop_early, is_scaled, figures, metrics)
        units = (targets.mean, targets.scale) if isinstance(targets, RegressionTargets) else (np.zeros(1), np.ones(1))
        loss_weight = compiled.loss_weight if compiled else 1.0
        data = rows_of_members(Rows(X, encoded, weights, *units), splits, loss_weight)
        adapts = self.dropout == "auto" and self.model is None and stop_early
        may_join = stop_early and held_out is None and self.model is None
        members = [
            Member(
                seed=seed,
                rows=of_member,
                train=train,
                validation=validation,
                learning_rate=float(self.learning_rate),
                schedule=self._schedule(-(-len(train) // recipe.batch_size), n_epochs, last_epoch),
                hyper=hyper,
                epochs=last_epoch or n_epochs,
                **rule,
                initial=start,
                frozen_epochs=float(self.frozen_epochs),
                learned=of_columns,
                dropout_rule=self._dropout_rule(recipe.loss, encoded[train], weights[train]) if adapts else None,
                join_below=self._join_below(loss, encoded, weights, (train, validation)) if may_join else -np.inf,
                n_held_out=float(counts[validation].sum()),
            )
            for seed, (train, validation), start, of_member, of_columns in zip(
                seeds, splits, starts, data, learned, strict=True
            )
        ]
        directed(callbacks, figures, metrics)
        return Task(
            recipe, tuple(members), targets, previous, first_epoch, tuple(figures), hooks, bool(callbacks.called), shift
        )

    def _stop_rule(self, stop_early: bool, is_scaled: bool, figures: list[str], metrics: list) -> dict[str, Any]:
        """When to stop and what to keep, as fields of a `Member`."""
        monitor = self.monitor if stop_early else "loss"
        sign = sign_of(monitor, metrics, [name for name in figures if name.startswith("val_") == stop_early])
        return {
            "patience": int(self.patience) if stop_early else None,
            "min_delta": float(self.min_delta),
            "monitor": monitor,
            "sign": sign,
            "ideal": ideal_of(monitor, sign, is_scaled),
        }

    def _warn_of_numbers(self, X, rows: NDArray) -> None:
        """Warn of numbers that a network which takes X as it is can do little with."""
        if issparse(X) and self.model is None:
            warn_of_scales(X)
        elif not issparse(X) and self._scaling(X) is None:
            numeric = np.setdiff1d(np.arange(X.shape[1]), list(self._categories))
            remedy = "Set input_scaling='robust', or put sklearn.preprocessing.StandardScaler before the network."
            warn_of_lost_digits(X, rows, numeric, self._column_names, remedy)

    def _hyper(self, recipe: Recipe, blueprint: Blueprint, layout: str | None, targets: Targets) -> dict[str, float]:
        """The numbers that are data of a program, by name."""
        return {
            "weight_decay": float(self.weight_decay),
            **self._label_hyper(recipe.loss, layout, targets, blueprint.width),
            **({"aux_loss_weight": float(self.aux_loss_weight)} if blueprint.n_heads > 1 else {}),
            **optimizer_data(recipe.optimizer_config),
            **{
                f"dropout/{number}": self._fixed_dropout if blueprint.spec and self.dropout == "auto" else rate
                for number, rate in enumerate(blueprint.rates)
            },
        }

    def _schedule(self, n_steps: int, n_epochs: int, last_epoch: int | None) -> Schedule:
        """The learning rate's schedule, for a fit of so many epochs of so many steps, or for epochs one by one."""
        schedule = self.lr_schedule
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            by_step = partial(keras.ops.vectorized_map, schedule)
            schedule = ByStep(lambda steps: np.asarray(by_step(steps)), float(self.learning_rate), n_steps)
        resolved = resolve_schedule(schedule, routed_to(self._values(), "lr_schedule"), n_epochs)
        # One by one, nobody knows how many there will be; and after the last of those that are known it would be 0.
        has_no_end = last_epoch is not None and (self.epochs == "auto" or last_epoch > n_epochs)
        return Constant() if has_no_end and resolved.ends_with_fit else resolved

    # The run

    def _run(self, task: Task, tasks: FitTasks | None) -> list[Trained]:
        """Train by the engine that the parameters ask for, or that can."""
        recipe, runs = task.recipe, task.runs()
        callbacks = self._fresh_callbacks(task)
        reason = None if self.engine == "keras" else why_not_compilable(recipe, callbacks)
        if reason and self.engine == "compiled":
            raise NotCompilableError(f"engine='compiled' cannot train this: {reason}")
        if self.engine != "keras" and not reason:
            try:
                self._run_compiled(task, runs, tasks)
                return [run.outcome() for run in runs]
            except NotCompilableError as error:
                if self.engine == "compiled":
                    raise
                reason, runs = str(error), task.runs()
        if reason and self.verbose:
            print(f"{type(self).__name__} trains with engine='keras': {reason}")
        for run in runs:
            if tasks:
                tasks.follow(run)
            callbacks, parts = self._fresh_callbacks(task), Parts(recipe)
            population = KerasPopulation(parts, recipe, run.member, callbacks)
            bridge = self._bridge(task, run.member, parts, callbacks) if callbacks else None
            train(population, iter([run]), bridge, partial(self._report, population, tasks if run is runs[0] else None))
        return [run.outcome() for run in runs]

    def _run_compiled(self, task: Task, runs: list[Run], tasks: FitTasks | None) -> None:
        if len(runs) > 1 and not task.has_callbacks and not tasks:
            cohort = Cohort(task.recipe, runs)
            cohort.n_slots = 1  # programs of several members differ in the last bits, and time decides when they end
            train_cohorts([cohort], report=partial(self._report, None, None))
            if cohort.error:
                raise cohort.error
            return
        data = DeviceRows(task.recipe, [run.member for run in runs])
        for run in runs:
            callbacks = self._fresh_callbacks(task)
            bridge = self._bridge(task, run.member, None, callbacks) if callbacks else None
            population = CompiledPopulation(task.recipe, data, run.member.hyper, 1)
            own_tasks = tasks if run is runs[0] else None  # of scikit-learn's callbacks, who know of one history
            if tasks:
                tasks.follow(run)
            train(population, iter([run]), bridge, partial(self._report, population, own_tasks))

    def _fresh_callbacks(self, task: Task) -> list[keras.callbacks.Callback]:
        return directed(callbacks_of(self), list(task.figures), task.recipe.make_metrics())

    def _bridge(self, task: Task, member: Member, parts: Parts | None, callbacks: list) -> CallbackBridge:
        recipe = task.recipe
        steps = -(-len(member.train) // recipe.batch_size)
        if parts is None and need_no_network(callbacks):
            rate = member.learning_rate
            return CallbackBridge(callbacks, None, Rate(rate), member.epochs, steps, rate)
        parts = parts or Parts(recipe)
        model = self._in_units(parts.model, task.targets, task.shift)
        if getattr(model, "optimizer", None) is not parts.optimizer:  # whose rate callbacks set
            model.compile(parts.optimizer, **losses_of_outputs(recipe.loss, member.hyper.get("aux_loss_weight")))
        return CallbackBridge(callbacks, parts, model, member.epochs, steps, member.learning_rate)

    def _report(self, population: Population | None, tasks: FitTasks | None, run: Run) -> None:
        if self.verbose:
            n = len(run.history["loss"])
            figures = (f"{name}: {values[-1]:.4g}" for name, values in run.history.items() if len(values) == n)
            print(f"Epoch {run.epoch}/{run.member.epochs}", *figures)
        if tasks and population:
            tasks.end_epoch(population, run)

    def _finish(self, task: Task, trained: list[Trained]) -> None:
        """Take over what training has produced."""
        if task.previous and task.previous.layout != trained[0].layout:
            raise ValueError(CHANGED)
        first_epoch, recipe = task.first_epoch, task.recipe
        for one in trained:
            if one.stopped_by == "non-finite" and one.best_epoch < 0 and task.previous is None:
                raise ValueError(f"{self._divergence(task, one)} There is no epoch before whose weights could be kept.")
            if one.stopped_by == "non-finite":
                kept = f"The weights of the best epoch before ({one.best_epoch + 1}) are kept."
                warnings.warn(f"{self._divergence(task, one)} {kept}", ConvergenceWarning, stacklevel=4)
            elif one.best_epoch < first_epoch:
                wrong = f"{task.members[0].monitor} was not a number after any epoch. The initial weights are kept."
                warnings.warn(wrong, ConvergenceWarning, stacklevel=4)
        new = mean_history([one.history for one in trained])
        history = getattr(self, "history_", {}) if first_epoch else {}
        before = [np.nan] * (len(history["loss"]) if history else 0)
        now = [np.nan] * len(new["loss"])
        self.history_ = {
            name: [*history.get(name, before), *new.get(name, now)] for name in dict.fromkeys([*history, *new])
        }
        self.n_iter_ = len(self.history_["loss"])
        self.best_epoch_ = int(np.median([one.best_epoch for one in trained]))
        self._fitted = Fitted(
            states=tuple(one.state for one in trained),
            layout=trained[0].layout,
            spec=recipe.blueprint.spec,
            make_model=recipe.blueprint.make,
            targets=task.targets,
            slots=recipe.slots,
            loss_of_logits=is_of_logits(recipe.loss),
            columns=recipe.blueprint.columns,
            frozen=recipe.frozen,
            shift=task.shift,
        )
        self._fitted = replace(self._fitted, temperature=self._temperature(task.members, task.previous))
        self._live = {} if self.model is None else {"structure": recipe.blueprint.structure}
        self._set_target_attributes(task.targets)

    def _divergence(self, task: Task, trained: Trained) -> str:
        return (
            f"{DIVERGED} after epoch {task.first_epoch + len(trained.history['loss'])}. "
            f"Try a smaller learning_rate (it is {self.learning_rate}) or scale X."
        )

    def _in_units(self, model: keras.Model, targets: Targets, shift: NDArray | None) -> keras.Model:
        """The network as a model from X to y in their own units."""
        if isinstance(targets, RegressionTargets) and targets.is_standardised:
            model = with_units(model, targets.mean, targets.scale)
        return model if shift is None else with_shift(model, shift)

    # What classification and regression do each in their own way

    @abstractmethod
    def _learn_targets(
        self, raw: Any, X: Any, y: NDArray, classes: NDArray | None, previous: Targets | None
    ) -> tuple[Targets, NDArray]:
        """Targets as far as they follow from y and the loss, or those of the last fit; and y in their shape."""

    @abstractmethod
    def _with_units(
        self,
        targets: Targets,
        y: NDArray,
        rows: NDArray,
        weights: NDArray,
        blueprint: Blueprint,
        loss: keras.losses.Loss,
    ) -> Targets:
        """Targets with what is learned from the training rows of y alone; the weights are theirs."""

    _fixed_dropout: float  # of dropout="auto", where there is no rule

    @abstractmethod
    def _dropout_rule(self, loss: keras.losses.Loss, y: NDArray, weights: NDArray) -> DropoutRule | None:
        """What dropout="auto" follows, if held-out rows tell; y and the weights are those of the training rows."""

    def _join_below(self, loss: keras.losses.Loss, y: NDArray, weights: NDArray, parts: tuple) -> float:
        """The held-out loss below which held-out rows come to train; ``parts`` are the rows that train, and these."""
        return -np.inf

    def _temperature(self, members: tuple[Member, ...], previous: Fitted | None) -> float:
        """By which logits are divided."""
        return 1.0

    @abstractmethod
    def _label_hyper(
        self, loss: keras.losses.Loss, layout: str | None, targets: Targets, width: int
    ) -> dict[str, float]:
        """Numbers that change what the loss makes of y and the output."""

    @abstractmethod
    def _strata(self, targets: Targets, y: NDArray) -> NDArray | None:
        """Number of each row's class, for a stratified split."""

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


def data_meta(raw: Any, X: Any, y: NDArray) -> dict[str, Any]:
    """What a builder is told of the data, by scikeras' names."""
    dtype = getattr(raw, "dtype", X.dtype)
    return {"X_shape_": X.shape, "X_dtype_": dtype, "y_dtype_": y.dtype, "y_ndim_": y.ndim, "n_outputs_expected_": 1}


def mean_history(histories: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    """Figures of members, epoch by epoch, averaged over those that have them of that epoch; nan where none has."""
    n_epochs = max(len(history["loss"]) for history in histories)

    def mean(name: str, epoch: int) -> float:
        figures = [history[name][epoch] for history in histories if epoch < len(history[name])]
        return float(np.mean(figures)) if figures else np.nan

    return {name: [mean(name, epoch) for epoch in range(n_epochs)] for name in histories[0]}
