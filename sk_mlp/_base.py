"""What classifier and regressor share: validate -> encode y -> spec -> split -> engine -> attributes."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sk_mlp._builder import call_builder, compile_arguments, output_width, structure_key
from sk_mlp._parameters import Parameters
from sk_mlp._resolve import (
    check_monitors,
    resolve_callbacks,
    resolve_loss,
    resolve_metrics,
    resolve_optimizer,
    routed_to,
    sign_of,
)
from sk_mlp._spec import CHANGED, Fitted, Member, NetworkSpec, Rows, State, Trained
from sk_mlp._split import hold_out
from sk_mlp._targets import ClassTargets, RegressionTargets
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.population import CompiledPopulation, KerasPopulation
from sk_mlp.engine.predict import model_function, network_output
from sk_mlp.engine.program import padded_size
from sk_mlp.engine.recipe import Parts, Recipe, optimizer_data, structure_of
from sk_mlp.engine.train import CallbackBridge, train
from sk_mlp.exceptions import NotCompilableError
from sk_mlp.layers import dropout_layers
from sk_mlp.network import build_network, with_units
from sk_mlp.schedules import ByStep, resolve_schedule

Targets = ClassTargets | RegressionTargets
HeldOut = tuple[NDArray, NDArray, NDArray]


class BaseKerasMLP(Parameters, ABC):
    """Fitting and prediction of multilayer perceptrons. Abstract."""

    def __getstate__(self):  # _live holds Keras and TensorFlow objects made from the fitted state
        return {name: value for name, value in super().__getstate__().items() if name != "_live"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._live = {}

    # Fitting

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers; trained on as float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Only their ratios count. A row of weight 0 is left out.
        X_val : array-like of shape (n_val, n_features), default=None
            Rows to hold out for early stopping, in place of a part of X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Goes with ``X_val``.
        sample_weight_val : array-like of shape (n_val,), default=None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is not valid.
        NotCompilableError
            If ``engine="compiled"`` cannot run this model, loss, optimizer or callback.

        Warns
        -----
        ConvergenceWarning
            If the loss is no longer finite; the weights of the last good epoch are kept.
        """
        work = self._worker(keep_fitted=self.warm_start)
        work._train(X, y, sample_weight, (X_val, y_val, sample_weight_val), work.early_stopping, 0, work.epochs, None)
        return self._adopt(work)

    def _worker(self, keep_fitted: bool):
        """A copy for a fit to work on, so that a fit that fails leaves the estimator as it was."""
        work = object.__new__(type(self))
        kept = {*self._get_param_names(), "_routed"} if not keep_fitted else set(vars(self))
        requests = {name for name in vars(self) if name.startswith("_metadata") or "callback" in name}
        work.__dict__.update({name: value for name, value in vars(self).items() if name in kept | requests})
        return work

    def _adopt(self, work):
        self.__dict__.clear()
        self.__dict__.update(work.__dict__)
        return self

    def _train(self, X, y, sample_weight, held_out, stop_early, first_epoch, last_epoch, classes):
        """Fit this object, a worker: go on from the fitted state if it has one."""
        self._validate_names()
        self._validate_params()
        go_on = hasattr(self, "_fitted")
        X, y = self._check_X_y(X, y, reset=not go_on)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        targets, y = self._learn_targets(y, classes, self._fitted.targets if go_on else None)
        X, y, weights = _rows_with_weight(X, y, _without_zero_total(weights, "sample_weight"))
        weights = _without_zero_total(weights * self._class_weights(targets, y), "sample_weight")
        X, y, weights = _rows_with_weight(X, y, weights)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        held_out = self._check_held_out(held_out, targets)
        n = len(X)
        if held_out is not None:
            X, y, weights = (np.concatenate(pair) for pair in zip((X, y, weights), held_out, strict=True))
            rows, validation = np.arange(n), np.arange(n, len(X))
        elif stop_early:
            rows, validation = hold_out(n, float(self.validation_fraction), seed, self._strata(targets, y))
        else:
            rows, validation = np.arange(n), np.arange(0)
        for part in (rows, validation):
            weights[part] *= len(part) / max(weights[part].sum(), np.finfo(float).tiny)

        builder, spec = self._builder(targets)
        if not go_on:
            targets = self._with_units(targets, y[rows], weights[rows], builder)
        recipe, encoded, rates = self._recipe(builder, spec, targets, y, len(rows))
        params = self.get_params(deep=False)
        schedule = self.lr_schedule
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            by_step = partial(keras.ops.vectorized_map, schedule)
            n_steps = -(-len(rows) // recipe.batch_size)
            schedule = ByStep(lambda steps: np.asarray(by_step(steps)), float(self.learning_rate), n_steps)
        schedule = resolve_schedule(schedule, routed_to(params, "lr_schedule"), int(self.epochs))
        metrics = recipe.make_metrics()
        names = ["loss", *(metric.name for metric in metrics)]
        names += [f"val_{name}" for name in names] if len(validation) else []
        monitor = self.monitor if stop_early else "loss"
        sign = sign_of(monitor, metrics, [name for name in names if name.startswith("val_") == stop_early])
        member = Member(
            seed=seed,
            train=rows.astype(np.int32),
            validation=validation.astype(np.int32),
            weights=weights.astype(np.float32),
            learning_rate=float(self.learning_rate),
            schedule=schedule,
            hyper={
                "weight_decay": float(self.weight_decay),
                **self._label_hyper(),
                **optimizer_data(recipe.optimizer_config),
                **{f"dropout/{number}": rate for number, rate in enumerate(rates)},
            },
            epochs=last_epoch,
            patience=int(self.patience) if stop_early else None,
            min_delta=float(self.min_delta),
            monitor=monitor,
            sign=sign,
        )
        units = (targets.mean, targets.scale) if isinstance(targets, RegressionTargets) else (np.zeros(1), np.ones(1))
        start = self._fitted.state if go_on else None
        if go_on and self._fitted.slots != recipe.slots:
            raise ValueError(CHANGED)
        trained = self._run(recipe, Rows(X, encoded, *units), member, start, targets, first_epoch, names)
        if go_on and self._fitted.layout != trained.layout:
            raise ValueError(CHANGED)
        self._set_attributes(trained, targets, builder, spec, first_epoch, recipe.slots)

    def _check_X_y(self, X, y, reset: bool) -> tuple[NDArray, NDArray]:
        return validate_data(self, X, y, reset=reset, dtype=np.float32, multi_output=True, **self._y_checks)

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

    def _builder(self, targets: Targets) -> tuple[Callable[[], keras.Model], NetworkSpec | None]:
        """A function that builds the network, and the spec if it is one of ours."""
        n_features = self.n_features_in_
        if self.model is None:
            spec = NetworkSpec(
                n_features=n_features,
                n_outputs=targets.n_outputs,
                hidden_layer_sizes=self._layer_sizes(),
                activation=self.activation,
                batch_norm=bool(self.batch_norm),
                dropout=bool(self.dropout > 0),
                output_activation=self._output_activation(targets),
                kernel_initializer=self.kernel_initializer,
                skip_connection=bool(self.skip_connection),
            )
            return partial(build_network, spec, float(self.dropout)), spec
        if isinstance(self.model, keras.Model):
            raise ValueError(
                "The 'model' parameter must be None or a function that returns a new keras.Model at each call. "
                f"Got the model {self.model.name!r} instead."
            )
        self._layer_sizes()
        return partial(
            call_builder,
            self.model,
            self.get_params(deep=False),
            {"n_features_in_": n_features, "n_outputs_": targets.n_outputs, **self._meta(targets)},
            n_features,
            self._widths(targets),
            self._default_loss(targets, targets.n_outputs),
        ), None

    def _recipe(
        self, builder: Callable, spec: NetworkSpec | None, targets: Targets, y: NDArray, n_rows: int
    ) -> tuple[Recipe, NDArray, list[float]]:
        """The recipe, y encoded for its loss, and the rates of the dropout layers."""
        params = self.get_params(deep=False)
        structure: Hashable
        if spec is not None:
            width, structure, sample = spec.n_outputs, spec, None
            rates = [float(self.dropout)] * len(spec.hidden_layer_sizes) * spec.dropout
        else:
            model = builder()
            width, structure = output_width(model, self.n_features_in_), structure_key(model)
            rates = [float(layer.rate) for layer in dropout_layers(model)]
            sample = model
            if model.compiled:
                loss = model.loss if params["loss"] is None else params["loss"]
                params = {**params, "optimizer": model.optimizer, "loss": loss}
                params = {k: v for k, v in params.items() if not k.startswith(("optimizer__", "loss__"))}
        loss = resolve_loss(params, self._default_loss(targets, width))
        optimizer_class, config = resolve_optimizer(params)
        if self.clip_norm is not None:
            config["global_clipnorm"] = float(self.clip_norm)
        encoded, layout = self._encode(targets, y, loss, width)
        make_metrics = partial(resolve_metrics, params, layout)
        metrics = make_metrics()
        automatic = int(np.clip(2 ** round(np.log2(n_rows / 150)), 32, 256))
        traced = {name: bool(value) if name in optimizer_data(config) else value for name, value in config.items()}
        slots = (optimizer_class, repr(sorted(traced.items())))
        recipe = Recipe(
            key=(
                structure,
                optimizer_class,
                repr(sorted(traced.items())),
                structure_of(loss),
                *map(structure_of, metrics),
            ),
            make_model=builder,
            own_model=spec is not None,
            sample=sample,
            optimizer_class=optimizer_class,
            optimizer_config=config,
            slots=slots,
            loss=loss,
            make_metrics=make_metrics,
            batch_size=min(automatic if self.batch_size == "auto" else int(self.batch_size), padded_size(n_rows)),
            shuffle=bool(self.shuffle),
        )
        return recipe, encoded, rates

    def _run(
        self,
        recipe: Recipe,
        rows: Rows,
        member: Member,
        start: State | None,
        targets: Targets,
        first_epoch: int,
        names: list[str],
    ) -> Trained:
        """Train by the engine that the parameters ask for, or that can."""
        params = self.get_params(deep=False)
        callbacks = resolve_callbacks(params)
        check_monitors(callbacks, [*names, "learning_rate"])
        reason = None if self.engine == "keras" else why_not_compilable(recipe, callbacks)
        if reason and self.engine == "compiled":
            raise NotCompilableError(f"engine='compiled' cannot train this: {reason}")
        if self.engine != "keras" and not reason:
            try:
                bridge = self._bridge(recipe, None, targets, callbacks, member) if callbacks else None
                compiled = CompiledPopulation(recipe, rows, [member], [start])
                return train(compiled, bridge, self._reporter(member), first_epoch)[0]
            except NotCompilableError as error:
                if self.engine == "compiled":
                    raise
                reason, callbacks = str(error), resolve_callbacks(params)
        if reason and self.verbose:
            print(f"{type(self).__name__} trains with engine='keras': {reason}")
        parts = Parts(recipe, recipe.optimizer_class)
        population = KerasPopulation(parts, recipe, rows, member, start, callbacks)
        bridge = self._bridge(recipe, parts, targets, callbacks, member) if callbacks else None
        return train(population, bridge, self._reporter(member), first_epoch)[0]

    def _bridge(self, recipe, parts, targets, callbacks, member) -> CallbackBridge:
        parts = parts or Parts(recipe, recipe.optimizer_class)
        model = self._in_units(parts.model, targets)
        if not model.compiled:
            model.compile(parts.optimizer, recipe.loss)
        steps = -(-len(member.train) // recipe.batch_size)
        return CallbackBridge(callbacks, parts, model, member.epochs, steps, member.learning_rate)

    def _reporter(self, member: Member) -> Callable[[int, dict[str, float]], None] | None:
        if not self.verbose:
            return None

        def report(epoch: int, logs: dict[str, float]) -> None:
            print(f"Epoch {epoch + 1}/{member.epochs}", *(f"{name}: {value:.4g}" for name, value in logs.items()))

        return report

    def _set_attributes(
        self,
        trained: Trained,
        targets: Targets,
        builder: Callable,
        spec: NetworkSpec | None,
        first_epoch: int,
        slots: tuple,
    ) -> None:
        if trained.stopped_by == "non-finite":
            warnings.warn(
                f"The loss was no longer finite after epoch {first_epoch + len(trained.history['loss'])}; the weights "
                f"of the last good epoch ({trained.best_epoch + 1}) are kept. Try a smaller learning_rate "
                f"(it is {self.learning_rate}) or scale X.",
                ConvergenceWarning,
                stacklevel=4,
            )
        history = getattr(self, "history_", {}) if first_epoch else {}
        before = [np.nan] * (len(history["loss"]) if history else 0)
        now = [np.nan] * len(trained.history["loss"])
        self.history_ = {
            name: [*history.get(name, before), *trained.history.get(name, now)]
            for name in dict.fromkeys([*history, *trained.history])
        }
        self.n_iter_ = len(self.history_["loss"])
        self.best_epoch_ = trained.best_epoch
        self._fitted = Fitted(trained.state, trained.layout, trained.n_weights, spec, builder, targets, slots)
        self._live = {}
        self._set_target_attributes(targets)

    def _one_epoch(self, X, y, sample_weight, classes):
        """Train for one more epoch, without held-out rows."""
        work = self._worker(keep_fitted=True)
        epoch = work.current_epoch
        work._train(X, y, sample_weight, (None, None, None), False, epoch, epoch + 1, classes)
        return self._adopt(work)

    def initialize(self, X, y=None):
        """Refuse: a network is built by `fit` or `partial_fit`, which also initialise it.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("initialize is not supported; call fit or partial_fit.")

    # Prediction

    def _output(self, X) -> NDArray:
        """Output of the network, of shape (n_samples, width)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        fitted = self._fitted
        if fitted.spec is not None:
            return network_output(fitted.spec, fitted.weights, X)
        if "predict" not in self._live:
            self._live["predict"] = model_function(self._stock_model())
        return self._live["predict"](X)

    def _stock_model(self) -> keras.Model:
        model = self._fitted.make_model()
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        for variable, array in zip(variables, self._fitted.weights, strict=True):
            variable.assign(array)
        return model

    @property
    def model_(self) -> keras.Model:
        """The trained network as a stock Keras model, compiled, with predictions in y's units.

        A copy, made when it is first asked for: what is done to it does not change the estimator.
        """
        if not hasattr(self, "_fitted"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'model_': it is not fitted")
        if "model" not in self._live:
            targets = self._fitted.targets
            model = self._in_units(self._stock_model(), targets)
            if not model.compiled:
                default_loss = self._default_loss(targets, targets.n_outputs)
                model.compile(**compile_arguments(self.get_params(deep=False), default_loss))
                model.optimizer.build(model.trainable_variables)  # else a saved model complains when it is loaded
            self._live["model"] = model
        return self._live["model"]

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
    def _with_units(self, targets: Targets, y: NDArray, weights: NDArray, builder: Callable) -> Targets:
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
    def _default_loss(self, targets: Targets, width: int) -> str:
        """Name of the loss for an output of this width."""

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


def _rows_with_weight(X: NDArray, y: NDArray, weights: NDArray) -> HeldOut:
    """The rows of positive weight; a row that does not count must not cost a step either."""
    if weights.all():
        return X, y, weights
    kept = weights > 0
    return X[kept], y[kept], weights[kept]


def _without_zero_total(weights: NDArray, name: str) -> NDArray:
    if not weights.sum() > 0:
        raise ValueError(f"{name}, times class_weight, must have a positive sum. Got {weights.sum()}.")
    return weights
