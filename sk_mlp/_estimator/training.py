"""A fit: settings -> rows -> network -> start -> recipe and members -> run -> fitted."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning

from sk_mlp._estimator.calibration import held_out_outputs
from sk_mlp._estimator.fit_words import NO_WORDS
from sk_mlp._estimator.fork import refuse_after_fork
from sk_mlp._estimator.history import joined, mean_history, member_history
from sk_mlp._estimator.rows import FitRows, GivenRows, rows_of_fit
from sk_mlp._estimator.running import run_task
from sk_mlp._estimator.settings import settle, take_over
from sk_mlp._estimator.sklearn_callbacks import fit_tasks, hook_arguments
from sk_mlp._estimator.task import Task, automatic_epochs, make_recipe, rows_of_members, same_paths
from sk_mlp._keras.callbacks import callbacks_of, directed, rule_of
from sk_mlp._keras.loss import is_of_margins
from sk_mlp._keras.resolve import ideal_of, is_of_logits, resolve_loss, routed_to, sign_of
from sk_mlp._network.build import with_order, with_shift, with_units
from sk_mlp._network.compiled import compiled_by_user
from sk_mlp._network.design import Design
from sk_mlp._network.spec import CHANGED, Blueprint, Fitted, Member, Rows, Trained
from sk_mlp._network.starting import initial_weights, start_of
from sk_mlp._tables.numbers import in_float32, warn_of_lost_digits
from sk_mlp._tables.selection import Matrix
from sk_mlp._tables.sparse import warn_of_scales
from sk_mlp._targets.dropout import DropoutRule
from sk_mlp._targets.kinds import RegressionTargets, Targets, has_unit, units_of
from sk_mlp.engine.recipe import Recipe, loss_names, optimizer_data
from sk_mlp.schedules import ByStep, Constant, Schedule, resolve_schedule

DIVERGED = "The loss was no longer finite"


@dataclass(frozen=True, eq=False)
class Network:
    """What a fit trains.

    Attributes
    ----------
    blueprint : Blueprint
    loss : keras.losses.Loss
    loss_weight : float
        By which the loss is multiplied.
    targets : ClassTargets or RegressionTargets
        With y's units.
    encoded : ndarray of shape (n_rows, n_columns)
        y as the loss wants it.
    layout : str or None
        The name of that layout.
    """

    blueprint: Blueprint
    loss: keras.losses.Loss
    loss_weight: float
    targets: Targets
    encoded: NDArray
    layout: str | None


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
    """

    X: Matrix
    shift: NDArray | None
    learned: list[dict[str, NDArray]]
    initial: list[dict[int, NDArray]]
    frozen: tuple[int, ...]


class Training(Design, ABC):
    """Training of multilayer perceptrons. Abstract."""

    _live: dict[str, Any]  # Keras and TensorFlow objects made from the fitted state, by name

    def _train(self, *data, **settings):
        """Fit this object, a worker: go on from the fitted state if it has one."""
        task = self._prepare(*data, **settings)
        with fit_tasks(self, task) as tasks:
            self._finish(task, run_task(self, task, tasks))

    def _prepare(
        self,
        given: GivenRows,
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
        previous: Fitted | None = getattr(self, "_fitted", None)
        hooks = hook_arguments(self, given.X, given.y, given.sample_weight)
        rows = rows_of_fit(self, given, previous, classes, bool(stop_early), words.validation_split)
        network = self._network(rows, previous)
        start = self._start(rows, network, previous, convert)
        blueprint, loss = network.blueprint, network.loss
        recipe = make_recipe(self._values(), blueprint, loss, network.layout, start.X, rows.n_train, start.frozen)
        self._check_goes_on(previous, recipe, len(rows.seeds))
        callbacks, metrics = callbacks_of(self), recipe.make_metrics()
        figures = [*loss_names(blueprint.n_heads), *(metric.name for metric in metrics)]
        figures += [f"val_{name}" for name in figures] if rows.has_held_out else []
        directed(callbacks, figures, metrics)
        hyper = self._hyper(recipe, blueprint, network.layout, network.targets)
        stops = bool(stop_early) and rows.has_held_out and not callbacks.replaces_ours
        rule = rule_of(callbacks.stopper, figures, metrics) if callbacks.stopper else None
        rule = rule or self._stop_rule(stops, has_unit(network.targets, hyper), figures, metrics)
        members = self._members(rows, network, start, recipe, hyper, rule, stops, last_epoch)
        return Task(
            recipe=recipe,
            members=members,
            targets=network.targets,
            previous=previous,
            first_epoch=first_epoch,
            figures=tuple(figures),
            hook_arguments=hooks,
            has_callbacks=bool(callbacks.called),
            shift=start.shift,
        )

    def _network(self, rows: FitRows, previous: Fitted | None) -> Network:
        """What to train, with the loss and y in its layout."""
        blueprint = self._blueprint(rows.raw, rows.parts, rows.training, rows.targets, rows.seeds[0], previous)
        compiled = compiled_by_user(blueprint.sample)
        if self.model is not None:
            take_over(self, compiled, has_weights=np.ptp(rows.weights) > 0)
        loss = resolve_loss(self._values(), *self._loss_defaults(rows.targets, blueprint.width))
        targets = rows.targets
        if previous is None:
            weights = rows.weights[rows.training]
            targets = self._with_units(targets, rows.y, rows.training, weights, blueprint, loss)
        encoded, layout = self._encode(targets, rows.y, loss, blueprint.width)
        return Network(blueprint, loss, compiled.loss_weight if compiled else 1.0, targets, encoded, layout)

    def _start(self, rows: FitRows, network: Network, previous: Fitted | None, convert: Callable) -> Start:
        """X as networks train on it, and what members begin with."""
        n = len(rows.seeds)
        if previous:
            X = convert(rows.parts, previous.shift, self._column_names)
            return Start(X, previous.shift, [{}] * n, [{}] * n, previous.frozen)
        blueprint = network.blueprint
        self._warn_of_numbers(rows.X, rows.training)
        learned = [
            self._learned(blueprint, rows.X, network.encoded, train, rows.weights, rows.counts)
            for train, _ in rows.splits
        ]
        shift, learned = self._shifted(blueprint, rows.X, learned)
        X = convert(rows.parts, shift, self._column_names)
        features = X if shift is None else rows.X
        initial, frozen = initial_weights(
            self, blueprint, features, rows.training, rows.X_unlabeled, rows.seeds[0], self._regressor_class, shift
        )
        starts = [initial] * n
        if self.model is not None:
            others = (
                self._blueprint(rows.raw, rows.parts, rows.training, network.targets, seed, None)
                for seed in rows.seeds[1:]
            )
            starts[1:] = [start_of(other.sample) for other in others]
        return Start(X, shift, learned, starts, frozen)

    def _check_goes_on(self, previous: Fitted | None, recipe: Recipe, n_members: int) -> None:
        """Raise where training cannot go on from the last fit."""
        if previous is None:
            return
        if previous.slots != recipe.slots or not same_paths(previous, recipe.blueprint):
            raise ValueError(CHANGED)
        if len(previous.states) != n_members:
            raise ValueError(
                f"ensemble_size must be that of the last fit, {len(previous.states)}, to go on from there. Got "
                f"{self.ensemble_size}."
            )

    def _members(
        self,
        rows: FitRows,
        network: Network,
        start: Start,
        recipe: Recipe,
        hyper: dict[str, float],
        rule: dict[str, Any],
        stops: bool,
        last_epoch: int | None,
    ) -> tuple[Member, ...]:
        """The members of a fit; ``rule`` says when they stop, ``stops`` whether that is the estimator's own rule."""
        n_epochs = automatic_epochs(rows.n_train, recipe.batch_size) if self.epochs == "auto" else int(self.epochs)
        y, loss, units = network.encoded, network.loss, units_of(network.targets)
        own = stops and self.model is None
        adapts = own and self.dropout == "auto"
        may_join = own and not rows.are_held_out_by_user
        data = rows_of_members(Rows(start.X, y, rows.weights, *units), rows.splits, network.loss_weight)
        return tuple(
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
                initial=initial,
                frozen_epochs=float(self.frozen_epochs),
                learned=learned,
                dropout_rule=self._dropout_rule(loss, y[train], rows.weights[train]) if adapts else None,
                join_below=self._join_below(loss, y, rows.weights, (train, validation)) if may_join else -np.inf,
                n_held_out=float(rows.counts[validation].sum()),
            )
            for seed, (train, validation), initial, of_member, learned in zip(
                rows.seeds, rows.splits, start.initial, data, start.learned, strict=True
            )
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
        before = vars(self) if first_epoch else {}
        owns = before.get("member_histories_", [{}] * len(trained))
        self.member_histories_ = [member_history(one, first_epoch, own) for one, own in zip(trained, owns, strict=True)]
        self.history_ = joined(before.get("history_", {}), mean_history(trained, first_epoch))
        self.n_iter_ = len(self.history_["loss"])
        self.best_epoch_ = max(one.best_epoch for one in trained)
        self._fitted = Fitted(
            states=tuple(one.state for one in trained),
            layout=trained[0].layout,
            spec=recipe.blueprint.spec,
            make_model=None if recipe.blueprint.spec else recipe.blueprint.make,
            targets=task.targets,
            slots=recipe.slots,
            loss_of_logits=is_of_logits(recipe.loss),
            loss_of_margins=is_of_margins(recipe.loss, recipe.blueprint.sample),
            columns=recipe.blueprint.columns,
            frozen=recipe.frozen,
            shift=task.shift,
            dropout=next(iter(recipe.blueprint.rates), 0.0),
        )
        self._fitted = replace(self._fitted, temperature=self._temperature(task.members, task.previous))
        if isinstance(task.targets, RegressionTargets):
            self._fitted = replace(self._fitted, held_out=held_out_outputs(self._fitted, task, trained))
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
        if isinstance(targets, RegressionTargets) and targets.quantiles:
            model = with_order(model)
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
