"""What classifier and regressor share: fitting, cloning, pickling, prediction and Keras models.

Nothing here imports TensorFlow or Keras before something is trained, or a Keras model is asked for: methods import what
they need themselves. Construction, cloning, pickling and prediction with the built-in network take
NumPy, SciPy and scikit-learn alone.
"""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_is_fitted

from sk_mlp._estimator.checks import checked_numbers, checked_X
from sk_mlp._estimator.deferred import PredictionsWanted, deferred_fits, present_collector
from sk_mlp._estimator.fit_words import FitWords, checked, held_out_rows, refuse_unknown
from sk_mlp._estimator.fork import refuse_after_fork
from sk_mlp._estimator.given import GivenRows
from sk_mlp._estimator.hold_out import uses_groups
from sk_mlp._estimator.html import FittedTable
from sk_mlp._estimator.mlflow import logged_fit
from sk_mlp._estimator.parameters import Parameters
from sk_mlp._estimator.sklearn_versions import CallbackSupportMixin
from sk_mlp._network.builder_arguments import is_model
from sk_mlp._network.forward import forward_of, mean_of
from sk_mlp._network.names import COLUMNS, variables_of
from sk_mlp._tables.selection import Matrix

if TYPE_CHECKING:
    import keras

SET_AT_THE_END = ("_fitted", "history_", "member_histories_", "n_iter_", "best_epoch_")  # of a fit
# All that `fit` itself sets: a subclass may set others before it calls ``super().fit``.
OF_X_AND_Y = ("n_features_in_", "feature_names_in_", "classes_", "n_outputs_")
LEARNED = {*SET_AT_THE_END, *OF_X_AND_Y, "autoencoder_", "fit_time_", "_live", "_policy"}
FORMAT = 2  # of pickles: pickles of another format are refused


class BaseKerasMLP(CallbackSupportMixin, Parameters, ABC):
    """Fitting and prediction of multilayer perceptrons. Abstract."""

    _live: dict[str, Any]  # Keras and TensorFlow objects made from the fitted state, by name
    _y_checks: ClassVar[dict[str, Any]]  # further arguments of scikit-learn's checks of y
    _built_in_defaults: ClassVar[dict[str, Any]]  # what "auto" is with the built-in network
    _learn_targets: Callable  # what finds out what y is

    @classmethod
    @abstractmethod
    def _regressor_class(cls) -> type:
        """The estimator that an autoencoder is."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.pretrain is None
        tags.input_tags.allow_nan = self.model is None and self.pretrain is None and self.handle_missing != "error"
        return tags

    def __sklearn_clone__(self):
        # Not cloned: scikit-learn would unfit `init_from`, and make metrics without what their configurations lack.
        shared = {"init_from": self.init_from, "metrics": self.metrics}
        if is_model(self.model):  # which no fit changes
            shared["model"] = self.model
        bare = self._copy(keep_fitted=False)
        vars(bare).update(dict.fromkeys(shared))
        # Only what is set is passed on. A builder's defaults would be taken for values that the user has set.
        to_set = bare._names_set() & {*bare._get_param_names()}  # its constructor derives the others anew
        copies = _copies()
        apart: Callable[[Any], Any] = copies.carried if copies else lambda value: value
        given = {name: apart(value) for name, value in bare._own_values().items() if name in to_set}
        vars(bare)["get_params"] = lambda deep=False: dict(given)
        cloned = BaseEstimator.__sklearn_clone__(bare)
        vars(cloned).update(shared)
        # Not by the constructor: it refuses what the model does not take, and the model may have been set since.
        cloned._routed = {name: clone(apart(value), safe=False) for name, value in self._routed.items()}
        if policy := _noted_policy(self):
            cloned._policy = policy
        return cloned

    def __getstate__(self):  # _live holds Keras and TensorFlow objects made from the fitted state
        self._raise_if_deferred()
        state = {name: value for name, value in super().__getstate__().items() if name != "_live"}
        if copies := _copies():
            own = {*self._own_values(), "_routed", "_fitted"}
            state = {name: copies.carried(value) if name in own else value for name, value in state.items()}
        return state | {"_format": FORMAT}

    def __setstate__(self, state):
        found = state.get("_format", 1)
        if found != FORMAT:
            raise ValueError(
                f"This {type(self).__name__} was pickled by a version of sk_mlp whose pickles this one does not read. "
                f"Got format {found} instead of {FORMAT}; fit it again, or install that version."
            )
        state = {name: value for name, value in state.items() if name != "_format"}
        if copies := _copies():
            state = {name: copies.uncarried(value) for name, value in state.items()}
        super().__setstate__(state)
        self._live = {}

    # Fitting

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        X_unlabeled: Any = None,
        groups: ArrayLike | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        verbose: Any = None,
        callbacks: Any = None,
        validation_data: tuple | None = None,
        validation_split: float | None = None,
        class_weight: Any = None,
        shuffle: bool | None = None,
        **unknown: Any,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Numbers, dense or sparse, and categories; trained on as float32. A float32, uint8 or csr matrix is used as
            it is, without a copy of another type or a dense one. Where numbers are scaled, columns far from 0, such as
            dates like 20180117, are centred before they become float32. A frame of sparse columns is made dense.
            A frame (pandas, polars, pyarrow) may have dates as well: year, month, day, weekday, hour and the seconds
            since the first date, as far as they vary in the rows with a weight. What lasts counts in seconds.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or numbers to learn.
        sample_weight : array-like of shape (n_samples,), default=None
            Only their ratios count; but whole numbers count rows, where their number matters: a weight of 2 is a row
            twice. Only metrics, and batch normalization in a model of the user's own, count each row once, as
            Keras does. A row of weight 0 is left out.
        X_val : array-like of shape (n_val, n_features), default=None
            Rows to hold out for early stopping, in place of a part of X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Goes with ``X_val``.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of these rows.
        X_unlabeled : array-like of shape (n_unlabeled, n_features), default=None
            Rows without labels, for ``pretrain="autoencoder"``.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, for a ``hold_out`` that needs them, such as "group".
        epochs, batch_size, verbose : int, default=None
            As the parameters of these names, for this fit; None for those.
        callbacks : list of keras.callbacks.Callback, default=None
            Called in addition to the estimator's own.
        validation_data : tuple (X_val, y_val) or (X_val, y_val, sample_weight_val), default=None
            The same as these arguments.
        validation_split : float in [0, 1), default=None
            As ``validation_fraction``, for this fit, also without early stopping; 0 to hold out no rows.
        class_weight : dict, default=None
            As the classifier's parameter, for this fit.
        shuffle : bool, default=None
            As the parameter, for this fit.
        **unknown
            Not allowed. Other arguments of Keras' ``Model.fit`` are refused by name.

        Returns
        -------
        KerasMLPClassifier or KerasMLPRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data is not valid; and if the loss was not finite after any epoch.
        TypeError
            For an argument that `fit` does not have, and for callbacks that are none.
        NotCompilableError
            If ``engine="compiled"`` cannot run this model, loss, optimizer or callback.

        Warns
        -----
        ConvergenceWarning
            If the loss is no longer finite; the weights of the best epoch before are kept.
        UserWarning
            If ``hold_out`` has no use for ``groups``, or leaves no rows of a class to train on.
        """
        self._raise_if_deferred()
        said = {
            "epochs": epochs,
            "batch_size": batch_size,
            "verbose": verbose,
            "callbacks": callbacks,
            "validation_data": validation_data,
            "validation_split": validation_split,
            "class_weight": class_weight,
            "shuffle": shuffle,
        }
        words, held_out = self._fit_words(said, unknown, (X_val, y_val, sample_weight_val))
        given = GivenRows(X, y, sample_weight, held_out, X_unlabeled, groups)
        previous = vars(self).get("_fitted") if self.warm_start else None
        from sk_mlp._estimator.settings import settings_of  # these import TensorFlow
        from sk_mlp._estimator.training import prepared, trained

        copy = self._copy(keep_fitted=previous is not None)
        collector = present_collector()
        if collector is None:
            with logged_fit(self, X):
                began = time.perf_counter()
                learned = trained(prepared(settings_of(self, words), given, copy, previous))
                return self._adopt({**learned, "fit_time_": time.perf_counter() - began})
        with deferred_fits(None):
            given = replace(given, X=collector.input(X))
            task = prepared(settings_of(self, words), given, copy, previous, convert=collector.in_float32)
        # What is known before training: meta-estimators look for classes_ and names of columns.
        self._adopt({**task.table.attributes(), **task.targets.attributes()})
        collector.defer(self, task)
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Say which metadata the methods ask for.

        Returns
        -------
        MetadataRequest
            Unless `set_fit_request` says otherwise, `fit` asks for ``groups`` just where ``hold_out`` needs groups.
        """
        routing = super().get_metadata_routing()
        if routing.fit.requests["groups"] is None:
            routing.fit.add_request(param="groups", alias=uses_groups(self.hold_out))
        return routing

    def _fit_words(self, said, unknown, held_out) -> tuple[FitWords, tuple]:
        """Keras' words, said in `fit` or by parameters named ``fit__...``, and the rows to hold out."""
        from sk_mlp._keras.routing import routed_to

        by_prefix = routed_to(self._routed, "fit")
        refuse_unknown(unknown, by_prefix)
        said = by_prefix | {name: value for name, value in said.items() if value is not None}
        if "class_weight" in said and not hasattr(self, "class_weight"):
            raise TypeError(f"class_weight is for classifiers. Got {said['class_weight']!r}; use sample_weight.")
        words = checked(said)
        return words, held_out_rows(said.get("validation_data"), held_out, words.validation_split)

    def __sklearn_is_fitted__(self):
        self._raise_if_deferred()
        return hasattr(self, "_fitted")

    def _get_fitted_attr_html(self, doc_link: str = "") -> FittedTable:
        """What scikit-learn's diagram shows of the fit."""
        return FittedTable(self, doc_link)

    def _copy(self, keep_fitted: bool) -> Any:
        """A copy, on which scikit-learn's checks and callbacks set attributes: so a fit that fails changes nothing."""
        copy: Any = object.__new__(type(self))
        kept = {*self._own_values(), "_routed", "_policy"} if not keep_fitted else set(vars(self))
        requests = {name for name in vars(self) if name.startswith("_metadata") or _is_of_callbacks(name)}
        copy.__dict__.update({name: value for name, value in vars(self).items() if name in kept | requests})
        return copy

    def _adopt(self, learned: dict[str, Any]) -> Self:
        """Replace the attributes of the last fit by these; what the user has set remains."""
        for name in LEARNED & vars(self).keys():
            delattr(self, name)
        self.__dict__.update(learned)
        return self

    def _raise_if_deferred(self) -> None:
        """Raise `PredictionsWanted` where a fit has only been prepared."""
        collector = present_collector()
        if collector and collector.has(self):
            raise PredictionsWanted

    def __getattr__(self, name):
        if name in SET_AT_THE_END:
            self._raise_if_deferred()
        return super().__getattr__(name)

    def _one_epoch(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, classes: ArrayLike | None) -> Self:
        """Train for one more epoch, without held-out rows."""
        self._raise_if_deferred()
        from sk_mlp._estimator.settings import settings_of
        from sk_mlp._estimator.training import prepared, trained

        copy = self._copy(keep_fitted=True)
        vars(copy).pop("_skl_callbacks", None)  # callbacks see a whole fit or nothing
        epoch = getattr(self, "n_iter_", 0)
        settings = replace(settings_of(self), early_stopping=False, first_epoch=epoch, last_epoch=epoch + 1)
        given = GivenRows(X, y, sample_weight, classes=classes)
        return self._adopt(trained(prepared(settings, given, copy, vars(self).get("_fitted"))))

    @property
    def current_epoch(self) -> int:
        """How many epochs it has been trained for; 0 before `fit`."""
        return getattr(self, "n_iter_", 0)

    # Prediction

    def _output(self, X: Any) -> NDArray:
        """Output of the network, of shape (n_samples, width)."""
        check_is_fitted(self)
        if self._fitted.spec is not None:
            return forward_of(self._fitted).mean(self._check_X(X))
        return mean_of(self._outputs(X))

    def _outputs(self, X: Any) -> list[NDArray]:
        """Output of each member, of shape (n_samples, width)."""
        check_is_fitted(self)
        X, fitted = self._check_X(X), self._fitted
        if fitted.spec is not None:
            return list(forward_of(fitted).of_members(X))
        from sk_mlp.engine.predict import model_outputs

        return model_outputs(fitted, self._live, X)

    def _check_X(self, X: Any) -> Matrix:
        """X as the fitted network takes it."""
        return checked_X(self, X, self._fitted.table, self._fitted.shift)

    def _check_numbers(self, X: Any) -> Matrix:
        """X as numbers."""
        return checked_numbers(self, X, self._fitted.table)

    def to_keras(self, include_preprocessing: bool = False) -> "keras.Model":
        """Return the trained network as a Keras model.

        Parameters
        ----------
        include_preprocessing : bool, default=False
            Whether the model takes a table, a dict of its columns by name (``x0``, ``x1``, ... if they have none), each
            of shape (n_samples, 1): strings for a column whose categories are strings, where "" is a missing one;
            float64 for dates, as seconds since 1970-01-01 00:00 by the clock of the time zone that they had in fit;
            and float32 for others. There nan is missing. "/" in a name is "_", and what ``export`` writes has names
            that TensorFlow takes: see `sk_mlp.layers.TableModel`. Otherwise it is ``model_``, which takes a matrix of
            shape (n_samples, n_features) with categories as numbers from 0 in the order of ``categories_``, -1 for
            missing and -2 for unknown ones; a date is seconds since the first one of fit, and there are more columns
            after those of X for what else is made of dates. Scaling and embeddings are in both.

            Columns far from 0, compared with their spread, such as dates like 20180117, need float64: these columns of
            the table, or the whole matrix, are of that type then. Keras keeps it in ``model(X)``,
            ``predict_on_batch(X)`` and in ``predict`` of a ``tf.data.Dataset``, while its ``predict`` of arrays makes
            them float32 first.

        Returns
        -------
        keras.Model
            A copy.
        """
        check_is_fitted(self)
        import keras

        from sk_mlp._keras.policy import under_policy
        from sk_mlp._network.build import give_statistics, statistics_of
        from sk_mlp._network.export import model_of_table

        with under_policy(self.model_.dtype_policy):
            model = keras.models.clone_model(self.model_)
            model.set_weights(self.model_.get_weights())
            give_statistics(model, statistics_of(self.model_))
            if not include_preprocessing:
                return model
            fitted, table = self._fitted, self._fitted.table
            names = [f"x{i}" for i in table.labels] if table.names is None else table.names
            return model_of_table(model, names, table.categories, table.dates, fitted.columns, fitted.shift)

    @property
    def categories_(self) -> dict:
        """Categories of each categorical column, in the order of their codes: by name, or by number without names."""
        check_is_fitted(self)
        table = self._fitted.table
        return {table.labels[number]: np.array(values, dtype=object) for number, values in table.categories.items()}

    @property
    def column_statistics_(self) -> list[dict[str, NDArray]]:
        """What each member has learned of the numeric columns from its training rows, by the statistic's name.

        ``fill``, ``center`` and ``scale``, of shape (n_numeric,): what replaces a missing number, what is subtracted,
        and what is multiplied by then, float64, in X's units. Empty dicts where columns are taken as they are.
        """
        check_is_fitted(self)
        fitted = self._fitted
        members = (fitted.named_weights(m) for m in range(len(fitted.states)))
        # A user's own model has all its columns scaled, or none.
        numeric = fitted.spec.numeric_columns.get(COLUMNS, []) if fitted.spec else np.arange(self.n_features_in_)
        shift = np.zeros(len(numeric)) if fitted.shift is None else fitted.shift[numeric]
        back = {"fill": shift, "center": shift, "scale": 0.0}
        return [
            {name: learned[name] + less for name, less in back.items() if name in learned}
            for learned in (variables_of(COLUMNS, weights) for weights in members)
        ]

    @property
    def model_(self) -> "keras.Model":
        """The trained network as a stock Keras model, compiled, with predictions in y's units.

        It is a copy, made at the first access: changes to it do not change the estimator.
        """
        self._raise_if_deferred()
        if not hasattr(self, "_fitted"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'model_': it is not fitted")
        refuse_after_fork("A Keras model")
        if "model" not in self._live:
            from sk_mlp._estimator.settings import settings_of
            from sk_mlp._network.export import trained_model

            self._live["model"] = trained_model(self._fitted, settings_of(self))
        return self._live["model"]

    @property
    def _loss_is_standardised(self) -> bool:
        """Whether the history's losses are of a standardised y, rather than of y in its own units."""
        from sk_mlp._estimator.settings import settings_of
        from sk_mlp._network.fit_loss import loss_of_fit

        targets = self._fitted.targets
        return targets.loss_is_standardised(loss_of_fit(settings_of(self), targets, targets.n_outputs, None))


def _copies() -> Any:
    """The module that copies Keras' objects; None while Keras is not imported, and nobody can have such objects."""
    if "keras" not in sys.modules:
        return None
    from sk_mlp._keras import copies

    return copies


def _noted_policy(estimator: Any) -> Any:
    """The dtype policy that a clone has to know; None while Keras is not imported."""
    if "keras" not in sys.modules:
        return None
    from sk_mlp._keras.policy import noted

    return noted(estimator)


def _is_of_callbacks(name: str) -> bool:
    """Whether scikit-learn keeps an estimator's callbacks, or their contexts, in this attribute."""
    return name.startswith("_") and "callback" in name
