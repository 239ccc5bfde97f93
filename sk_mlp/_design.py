"""From an estimator's parameters to the network that they describe."""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import keras
from keras.optimizers import SGD
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._builder import blueprint_of_builder, call_builder
from sk_mlp._checks import DataChecks
from sk_mlp._columns import ColumnPlan, learn_columns, plan_columns
from sk_mlp._dropout import MOST_DROPOUT
from sk_mlp._features import Matrix, column_numbers, input_columns
from sk_mlp._policy import build_under, check_half, name_for_own_network, policy_of_fit
from sk_mlp._resolve import is_of_logits, resolve_loss, resolve_optimizer
from sk_mlp._spec import CHANGED, Blueprint, Fitted, NetworkSpec
from sk_mlp._targets import Targets
from sk_mlp.network import blueprint_of_spec

EMBEDDED_COLUMNS = 200  # at most, for numerical_embedding="auto"


class Design(DataChecks, ABC):
    """Design of multilayer perceptrons, or of what the user's own function builds. Abstract."""

    def _blueprint(
        self, raw: Any, X: Matrix, rows: NDArray, targets: Targets, seed: int, previous: Fitted | None
    ) -> Blueprint:
        """What to train on these rows of X, or on with; ``raw`` is X as the user passed it."""
        n_features = self.n_features_in_
        sizes = self._layer_sizes()
        if self.model is None:
            self._check_paths(sizes)
            wide, deep = self._path(raw, "wide_features"), self._path(raw, "deep_features")
            plan = partial(self._plan, X, rows)
            before = previous.spec if previous else None
            loss = resolve_loss(self.get_params(deep=False), *self._loss_defaults(targets, targets.n_outputs))
            if before and not self._asks_for(before.deep_plan):
                raise ValueError(CHANGED)
            rate = MOST_DROPOUT if self.dropout == "auto" else float(self.dropout)
            spec = NetworkSpec(
                n_features=n_features,
                n_outputs=targets.n_outputs,
                hidden_layer_sizes=sizes,
                activation=self.activation,
                batch_norm=bool(self.batch_norm),
                dropout=rate > 0,
                output_activation="linear" if is_of_logits(loss) else self._output_activation(targets),
                kernel_initializer=self.kernel_initializer,
                skip_connection=bool(self.skip_connection),
                wide_columns=wide,
                deep_columns=deep,
                aux_output=bool(self.aux_output),
                deep_plan=before.deep_plan if before else plan(deep, True),
                wide_plan=before.wide_plan if before else plan(wide, False) if self.skip_connection else None,
                parametric_activation=bool(self.parametric_activation),
                policy=before.policy if before else name_for_own_network(policy_of_fit(self)),
            )
            if spec.deep_plan is None and sizes:
                names = getattr(self, "feature_names_in_", range(n_features))
                check_half(X, range(n_features) if deep is None else deep, names, spec.policy)
            return blueprint_of_spec(spec, rate)
        for name in ("input_scaling", "numerical_embedding", "learned_scale", "calibrate"):
            if getattr(self, name, None) not in (None, False, "auto"):  # a regressor has no calibrate
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is of the estimator's own network. Got a 'model' besides; set "
                    f"{name} back to its default."
                )
        if isinstance(self.model, keras.Model):
            raise ValueError(
                "The 'model' parameter must be None or a function that returns a new keras.Model at each call. "
                f"Got the model {self.model.name!r} instead."
            )
        params, columns = self.get_params(deep=False), input_columns(raw, self.input_columns)
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
        return blueprint_of_builder(partial(build_under, policy_of_fit(self), make), n_features, columns)

    def _plan(self, X: Matrix, rows: NDArray, columns: tuple[int, ...] | None, is_deep: bool) -> ColumnPlan | None:
        """How a path encodes its columns."""
        scaling = self._scaling(X)
        if issparse(X):
            return None
        embedding = self.numerical_embedding if is_deep else None
        if embedding == "auto":
            embedding = "ple" if X.shape[1] <= EMBEDDED_COLUMNS else None
        learned = self.learned_scale
        if learned == "auto":
            # Adam's steps on it are `SCALE_FACTOR` times as long; those of SGD would be longer by its square.
            learned = scaling is not None and not issubclass(resolve_optimizer(self.get_params(deep=False))[0], SGD)
        return plan_columns(
            X, rows, columns, self._categories, scaling, embedding, bool(learned) and is_deep, self.handle_missing
        )

    def _asks_for(self, plan: ColumnPlan | None) -> bool:
        """Whether a plan is what the parameters ask for, as far as they do."""
        has_numbers = plan is None or bool(plan.numeric)
        return all(
            asked == "auto" or wanted == found
            for asked, wanted, found in (
                (self.input_scaling, self.input_scaling == "robust", bool(plan and plan.clip)),
                (self.numerical_embedding, self.numerical_embedding if has_numbers else None, plan and plan.embedding),
                (self.learned_scale, bool(self.learned_scale), bool(plan and plan.learned_scale)),
            )
        )

    def _scaling(self, X: Matrix) -> str | None:
        """How numbers are scaled.

        Raises
        ------
        ValueError
            If that needs another kind of X.
        """
        wanted = {name: getattr(self, name) for name in ("input_scaling", "numerical_embedding", "learned_scale")}
        for name, value in wanted.items():
            if issparse(X) and value not in (None, False, "auto"):
                raise ValueError(f"{name}={value!r} needs a dense X. Got a sparse matrix; set {name}=None or 'auto'.")
        if self.input_scaling == "auto":
            return None if issparse(X) else "robust"
        return self.input_scaling

    def _check_paths(self, sizes: tuple[int, ...]) -> None:
        if self.input_columns is not None:
            raise ValueError(
                "input_columns names the columns of the inputs of a 'model' of the user's own. Got model=None; use "
                "wide_features and deep_features for the estimator's own network."
            )
        needs_hidden = {
            "aux_output": self.aux_output,
            "deep_features": self.deep_features is not None,
            "wide_features": self.wide_features is not None,
        }
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
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # under a policy of mixed precision
        params = {**params, "optimizer": optimizer, "loss": loss}
        return {name: v for name, v in params.items() if not name.startswith(("optimizer__", "loss__"))}

    def _learned(
        self, blueprint: Blueprint, X: Matrix, y: NDArray, rows: NDArray, weights: NDArray
    ) -> dict[str, NDArray]:
        """What the training rows tell of X's columns, by the variable's layer and name; y is what the loss gets."""
        spec = blueprint.spec
        plans = {"columns": spec.deep_plan, "wide_columns": spec.wide_plan} if spec else {}
        return {
            f"{layer}/{name}": array
            for layer, plan in plans.items()
            if plan
            for name, array in learn_columns(plan, X, y, rows, weights, self._scaling(X)).items()
        }

    # What classification and regression do each in their own way

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
