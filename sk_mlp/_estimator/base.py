"""What classifier and regressor share, as users see it."""

import time
from abc import ABC
from dataclasses import replace
from functools import partial
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_is_fitted

from sk_mlp._estimator.deferred import PredictionsWanted, deferred_fits, present_collector
from sk_mlp._estimator.fit_words import NO_WORDS, FitWords, checked, held_out_rows, refuse_unknown
from sk_mlp._estimator.fork import refuse_after_fork
from sk_mlp._estimator.hold_out import uses_groups
from sk_mlp._estimator.html import FittedTable
from sk_mlp._estimator.mlflow import logged_fit
from sk_mlp._estimator.rows import GivenRows
from sk_mlp._estimator.settings import OF_A_FIT, settle, take_over, told_besides
from sk_mlp._estimator.training import Training
from sk_mlp._keras.compat import CallbackSupportMixin
from sk_mlp._keras.copies import carried, uncarried
from sk_mlp._keras.policy import noted, under_policy
from sk_mlp._keras.resolve import FunctionLoss, resolve_loss, routed_to
from sk_mlp._network.build import averaged, model_of, weights_of
from sk_mlp._network.compiled import compile_like, compiled_by_user, ready_to_save
from sk_mlp._network.export import model_of_table
from sk_mlp._network.forward import network_output
from sk_mlp._network.user_model import compile_arguments, structure_of_user_model
from sk_mlp.engine.predict import MODEL_FUNCTIONS

SET_AT_THE_END = ("_fitted", "history_", "member_histories_", "n_iter_", "best_epoch_")  # of a fit


class BaseKerasMLP(CallbackSupportMixin, Training, ABC):
    """Fitting and prediction of multilayer perceptrons. Abstract."""

    def __sklearn_clone__(self):
        # Of these, scikit-learn would make an unfitted estimator, and Keras metrics that lack what theirs do not tell.
        shared = {"init_from": self.init_from, "metrics": self.metrics}
        if isinstance(self.model, keras.Model):  # which no fit changes
            shared["model"] = self.model
        bare = self._worker(keep_fitted=False)
        vars(bare).update(dict.fromkeys(shared))
        # What is not set is not passed on, so that a builder's defaults are not taken for values that the user has set.
        named = bare._names_set() | set(bare._routed)
        given = {name: carried(value) for name, value in bare._values().items() if name in named}
        vars(bare)["get_params"] = lambda deep=False: dict(given)
        cloned = BaseEstimator.__sklearn_clone__(bare)
        vars(cloned).update(shared)
        if policy := noted(self):
            cloned._policy = policy
        return cloned

    def __getstate__(self):  # _live holds Keras and TensorFlow objects made from the fitted state
        self._want_whole_fit()
        own = {*self._own_values(), "_routed", "_fitted"}
        state = {name: value for name, value in super().__getstate__().items() if name != "_live"}
        return {name: carried(value) if name in own else value for name, value in state.items()}

    def __setstate__(self, state):
        super().__setstate__({name: uncarried(value) for name, value in state.items()})
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
        self._want_whole_fit()
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
        work = self._worker(keep_fitted=self.warm_start)
        given = GivenRows(X, y, sample_weight, held_out, X_unlabeled, groups)
        settings = {"stop_early": work.early_stopping, "words": words}
        collector = present_collector()
        if collector is None:
            with logged_fit(self, X):
                began = time.perf_counter()
                work._train(given, **settings)
                work.fit_time_ = time.perf_counter() - began
                return self._adopt(work)
        with deferred_fits(None):
            settings["convert"] = collector.in_float32
            task = work._prepare(replace(given, X=collector.input(X)), **settings)
        work._set_target_attributes(task.targets)
        self._adopt(work)  # as far as it is fitted: meta-estimators look for classes_ and names of columns
        collector.defer(self, work, task)
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
        by_prefix = routed_to(self._routed, "fit")
        refuse_unknown(unknown, by_prefix)
        said = by_prefix | {name: value for name, value in said.items() if value is not None}
        if "class_weight" in said and not hasattr(self, "class_weight"):
            raise TypeError(f"class_weight is for classifiers. Got {said['class_weight']!r}; use sample_weight.")
        words = checked(said)
        return words, held_out_rows(said.get("validation_data"), held_out, words.validation_split)

    def __sklearn_is_fitted__(self):
        self._want_whole_fit()
        return hasattr(self, "_fitted")

    def _get_fitted_attr_html(self, doc_link: str = "") -> FittedTable:
        """What scikit-learn's diagram shows of the fit."""
        return FittedTable(self, doc_link)

    def _worker(self, keep_fitted: bool) -> Any:
        """A copy for a fit to work on, so that a fit that fails leaves the estimator as it was."""
        work = object.__new__(type(self))
        kept = {*self._own_values(), "_routed", "_policy"} if not keep_fitted else set(vars(self))
        requests = {name for name in vars(self) if name.startswith("_metadata") or _is_of_callbacks(name)}
        work.__dict__.update({name: value for name, value in vars(self).items() if name in kept | requests})
        return work

    def _adopt(self, work: Self) -> Self:
        """Be fitted as a worker is; what the user has set remains."""
        for name in [name for name in vars(self) if _is_learned(name)]:
            delattr(self, name)
        return self._take_over(work)

    def _take_over(self, work: Self) -> Self:
        # scikit-learn's callbacks remain as they are here: meta-estimators may take theirs away before a fit is run.
        own = {*self._own_values(), *OF_A_FIT}  # a fit's own values of parameters end with it
        taken = {name: value for name, value in vars(work).items() if name not in own and not _is_of_callbacks(name)}
        self.__dict__.update(taken)
        return self

    def _want_whole_fit(self) -> None:
        """Say so where a fit has only been prepared."""
        collector = present_collector()
        if collector and collector.has(self):
            raise PredictionsWanted

    def __getattr__(self, name):
        if name in SET_AT_THE_END:
            self._want_whole_fit()
        return super().__getattr__(name)

    def _one_epoch(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, classes: ArrayLike | None) -> Self:
        """Train for one more epoch, without held-out rows."""
        self._want_whole_fit()
        work = self._worker(keep_fitted=True)
        vars(work).pop("_skl_callbacks", None)  # whose tasks are those of a whole fit
        epoch = work.current_epoch
        settings = {"stop_early": False, "first_epoch": epoch, "last_epoch": epoch + 1, "classes": classes}
        work._train(GivenRows(X, y, sample_weight), **settings)
        return self._adopt(work)

    @property
    def current_epoch(self) -> int:
        """How many epochs it has been trained for; 0 before `fit`."""
        return getattr(self, "n_iter_", 0)

    # Prediction

    def _output(self, X: Any) -> NDArray:
        """Output of the network, of shape (n_samples, width)."""
        outputs = self._outputs(X)
        return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)

    def _outputs(self, X: Any) -> list[NDArray]:
        """Output of each member, of shape (n_samples, width)."""
        check_is_fitted(self)
        X = self._check_X(X)
        fitted = self._fitted
        members = range(len(fitted.states))
        if fitted.spec is not None:
            return [network_output(fitted.spec, fitted.named_weights(m), X) for m in members]
        refuse_after_fork("Prediction by a 'model' of one's own")
        function, weights = self._model_function()
        return [function(weights[m], X) for m in members]

    def _model_function(self) -> tuple:
        """A function for models such as the user's own, and the weights of each member."""
        if "predict" not in self._live:
            fitted = self._fitted
            structure = self._live.get("structure") or structure_of_user_model(model_of(fitted), fitted.columns)
            function = MODEL_FUNCTIONS.get(structure, partial(model_of, fitted), self.n_features_in_, fitted.columns)
            weights = [[tf.constant(array) for array in fitted.weights(m)] for m in range(len(fitted.states))]
            self._live["predict"] = function, weights
        return self._live["predict"]

    def _stock_model(self, m: int) -> keras.Model:
        model = model_of(self._fitted)
        for variable, array in zip(weights_of(model), self._fitted.weights(m), strict=True):
            variable.assign(array)
        return model

    def to_keras(self, include_preprocessing: bool = False) -> keras.Model:
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
        with under_policy(self.model_.dtype_policy):
            model = keras.models.clone_model(self.model_)
            model.set_weights(self.model_.get_weights())
            if not include_preprocessing:
                return model
            names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])
            return model_of_table(model, names, self._categories, self._dates, self._fitted.columns, self._fitted.shift)

    @property
    def categories_(self) -> dict:
        """Categories of each categorical column, in the order of their codes: by name, or by number without names."""
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        return {names[number]: np.array(values, dtype=object) for number, values in self._categories.items()}

    @property
    def column_statistics_(self) -> list[dict[str, NDArray]]:
        """What each member has learned of the numeric columns from its training rows, by the statistic's name.

        ``fill``, ``center`` and ``scale``, of shape (n_numeric,): what replaces a missing number, what is subtracted,
        and what is multiplied by then, float64, in X's units. Empty dicts where columns are taken as they are.
        """
        check_is_fitted(self)
        fitted = self._fitted
        members = (fitted.named_weights(m) for m in range(len(fitted.states)))
        # A model of the user's own has all columns scaled, or none.
        numeric = fitted.spec.numeric_columns.get("columns", []) if fitted.spec else np.arange(self.n_features_in_)
        shift = np.zeros(len(numeric)) if fitted.shift is None else fitted.shift[numeric]
        back = {"fill": shift, "center": shift, "scale": 0.0}
        return [
            {name: weights[f"columns/{name}"] + less for name, less in back.items() if f"columns/{name}" in weights}
            for weights in members
        ]

    @property
    def model_(self) -> keras.Model:
        """The trained network as a stock Keras model, compiled, with predictions in y's units.

        A copy, made when it is first asked for: what is done to it does not change the estimator.
        """
        self._want_whole_fit()
        if not hasattr(self, "_fitted"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'model_': it is not fitted")
        refuse_after_fork("A Keras model")
        if "model" not in self._live:
            targets = self._fitted.targets
            model, *others = [self._stock_model(m) for m in range(len(self._fitted.states))]
            own = model
            if others:
                spec = self._fitted.spec
                width = self.n_features_in_ if spec is None else spec.n_features
                model = averaged([model, *others], width, self._fitted.columns)
            model = self._in_units(model, targets, self._fitted.shift)
            if compiled := compiled_by_user(own):
                loss, metrics = told_besides(self, compiled)
                if loss is not None:
                    loss = resolve_loss(self._values(), *self._loss_defaults(targets, targets.n_outputs))
                    loss = loss.function if isinstance(loss, FunctionLoss) else loss
                compile_like(model, own, loss, metrics)
            else:
                settled = self._worker(keep_fitted=True)
                settle(settled, NO_WORDS)
                if self.model is not None:
                    take_over(settled, None, has_weights=False)
                values = settled._values()
                loss = resolve_loss(values, *self._loss_defaults(targets, targets.n_outputs))
                loss = loss.function if isinstance(loss, FunctionLoss) else loss  # as whoever loads the model has it
                two = self._fitted.spec is not None and self._fitted.spec.aux_output
                aux_share = float(self.aux_loss_weight) if two else None
                model.compile(**compile_arguments(values, loss, aux_share))
            ready_to_save(model)
            self._live["model"] = model
        return self._live["model"]


def _is_learned(name: str) -> bool:
    """Whether an attribute is set by `fit`."""
    return name.endswith("_") or name in ("_fitted", "_categories", "_dates", "_live", "_policy")


def _is_of_callbacks(name: str) -> bool:
    """Whether an attribute is where scikit-learn keeps an estimator's callbacks and their contexts."""
    return name.startswith("_") and "callback" in name
