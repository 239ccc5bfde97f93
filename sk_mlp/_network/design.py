"""From an estimator's parameters to the network that they describe."""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import numpy as np
from keras.optimizers import SGD
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._estimator.checks import DataChecks
from sk_mlp._estimator.settings import settled_values
from sk_mlp._keras.policy import build_under, check_half, name_for_own_network, policy_of_fit
from sk_mlp._keras.resolve import is_of_logits, plain, resolve_loss, resolve_optimizer
from sk_mlp._network.build import blueprint_of_spec
from sk_mlp._network.builder_arguments import offers_taken
from sk_mlp._network.spec import CHANGED, Blueprint, Fitted, NetworkSpec
from sk_mlp._network.user_model import blueprint_of_builder, call_builder, compile_kwargs
from sk_mlp._tables.matrix import with_features_of_dates
from sk_mlp._tables.numbers import is_wide, shift_of
from sk_mlp._tables.plan import ColumnPlan, learn_columns, plan_columns
from sk_mlp._tables.selection import Matrix, column_numbers, input_columns
from sk_mlp._targets.dropout import MOST_DROPOUT
from sk_mlp._targets.kinds import Targets

EMBEDDED_COLUMNS = 200  # at most, for numerical_embedding="auto"


class Design(DataChecks, ABC):
    """Design of multilayer perceptrons, or of what the user's own function builds. Abstract."""

    def _blueprint(
        self, raw: Any, parts: list[Matrix], rows: NDArray, targets: Targets, seed: int, previous: Fitted | None
    ) -> Blueprint:
        """What to train on these rows of X, or on with.

        ``raw`` is X as the user passed it; ``parts`` are X and then held-out rows if there are any.
        """
        n_features = parts[0].shape[1]  # with those that are made of dates
        sizes = self._layer_sizes()
        if self.model is None:
            self._check_paths(sizes)
            wide, deep = self._path(raw, "wide_features"), self._path(raw, "deep_features")
            plan = partial(self._plan, parts, rows)
            before = previous.spec if previous else None
            loss = resolve_loss(self._values(), *self._loss_defaults(targets, targets.n_outputs))
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
                names = self._column_names or range(n_features)
                check_half(parts[0], range(n_features) if deep is None else deep, names, spec.policy)
            return blueprint_of_spec(spec, rate)
        columns = input_columns(raw, self.input_columns)
        meta = {"n_features_in_": n_features, "n_outputs_": targets.n_outputs, **self._data_meta, **self._meta(targets)}
        defaults = self._loss_defaults(targets, targets.n_outputs)
        offers: dict[str, Any] = {
            "meta": partial(dict, meta),
            "params": partial(dict, self._values()),
            "compile_kwargs": partial(compile_kwargs, settled_values(self), defaults),
        }
        offers = {name: offers[name] for name in offers_taken(self.model)}
        arguments = {name: plain(value) for name, value in self._arguments.items()}
        scaling = self._scaling(parts[0])
        scales = None if scaling is None else plan_columns(parts, rows, None, {}, scaling, None, False, "error")
        widths = self._widths(targets)
        make = partial(call_builder, self.model, seed, arguments, offers, n_features, columns, widths, scales)
        make = partial(build_under, policy_of_fit(self).name, make)
        return blueprint_of_builder(make, n_features, columns if scales is None else None, scales)

    def _plan(
        self, parts: list[Matrix], rows: NDArray, columns: tuple[int, ...] | None, is_deep: bool
    ) -> ColumnPlan | None:
        """How a path encodes its columns."""
        X = parts[0]
        scaling = self._scaling(X)
        if issparse(X):
            return None
        embedding = self.numerical_embedding if is_deep else None
        if embedding == "auto":
            embedding = "ple" if X.shape[1] <= EMBEDDED_COLUMNS else None
        learned = self.learned_scale
        if learned == "auto":
            # Adam's steps on it are `SCALE_FACTOR` times as long; those of SGD would be longer by its square.
            learned = scaling is not None and not issubclass(resolve_optimizer(self._values())[0], SGD)
        return plan_columns(
            parts, rows, columns, self._categories, scaling, embedding, bool(learned) and is_deep, self.handle_missing
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
                "input_columns names the columns of each input of a 'model'. Got model=None; use wide_features and "
                "deep_features for the built-in network."
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
        numbers = None if columns is None else column_numbers(X, columns, name)
        return with_features_of_dates(numbers, self.n_features_in_, self._dates)

    def _learned(
        self, blueprint: Blueprint, X: Matrix, y: NDArray, rows: NDArray, weights: NDArray, counts: NDArray
    ) -> dict[str, NDArray]:
        """What the training rows tell of X's columns, by the variable's layer and name; y is what the loss gets."""
        spec = blueprint.spec
        plans = {"columns": spec.deep_plan, "wide_columns": spec.wide_plan} if spec else {"columns": blueprint.plan}
        return {
            f"{layer}/{name}": array
            for layer, plan in plans.items()
            if plan
            for name, array in learn_columns(plan, X, y, rows, weights, counts, self._scaling(X)).items()
        }

    def _shifted(
        self, blueprint: Blueprint, X: Matrix, learned: list[dict[str, NDArray]]
    ) -> tuple[NDArray | None, list[dict[str, NDArray]]]:
        """What is to be subtracted from X, if anything, and what members have learned of the columns then, float32."""
        shift = np.zeros(X.shape[1])
        numeric = blueprint.numeric_columns if is_wide(X) else {}
        for member in learned:
            for layer, columns in numeric.items():
                found = shift_of(member[f"{layer}/center"], member[f"{layer}/scale"])
                shift[columns] = np.where(shift[columns] == 0, found, shift[columns])
        less = {f"{layer}/{name}": shift[of] for layer, of in numeric.items() for name in ("fill", "center")}
        in_float32 = [{k: (v - less.get(k, 0)).astype(np.float32) for k, v in member.items()} for member in learned]
        return (shift if shift.any() else None), in_float32

    # What classification and regression do each in their own way

    @abstractmethod
    def _output_activation(self, targets: Targets) -> str:
        """Activation of the built-in network's last layer."""

    @abstractmethod
    def _loss_defaults(self, targets: Targets, width: int) -> tuple[str, str]:
        """Name of the loss for an output of this width, and what "focal" means, if anything."""

    @abstractmethod
    def _widths(self, targets: Targets) -> tuple[int, ...]:
        """Widths that a builder's output may have."""

    @abstractmethod
    def _meta(self, targets: Targets) -> dict[str, Any]:
        """What a builder is told of the targets."""
