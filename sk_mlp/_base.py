"""What classifier and regressor share, as users see it."""

from abc import ABC

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sk_mlp._builder import compile_arguments
from sk_mlp._compat import CallbackSupportMixin
from sk_mlp._deferred import PredictionsWanted, deferred_fits, present_collector
from sk_mlp._export import model_of_table
from sk_mlp._resolve import FunctionLoss, resolve_loss
from sk_mlp._tables import names_columns
from sk_mlp._training import Training
from sk_mlp.engine.predict import model_function, network_output
from sk_mlp.network import averaged, weights_of

SET_AT_THE_END = ("_fitted", "history_", "n_iter_", "best_epoch_")  # of a fit


class BaseKerasMLP(CallbackSupportMixin, Training, ABC):
    """Fitting and prediction of multilayer perceptrons. Abstract."""

    def __sklearn_clone__(self):
        # scikit-learn's copies of these would be an unfitted estimator, and what Keras makes of pickled metrics: wrong.
        shared = {"init_from": self.init_from, "metrics": self.metrics}
        bare = self._worker(keep_fitted=False)
        vars(bare).update(dict.fromkeys(shared))
        cloned = BaseEstimator.__sklearn_clone__(bare)
        vars(cloned).update(shared)
        return cloned

    def __getstate__(self):  # _live holds Keras and TensorFlow objects made from the fitted state
        self._want_whole_fit()
        return {name: value for name, value in super().__getstate__().items() if name != "_live"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._live = {}

    # Fitting

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None, X_unlabeled=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Numbers, dense or sparse, and categories; trained on as float32. A float32, uint8 or csr matrix is used as
            it is, without a copy of another type or a dense one.
            A frame (pandas, polars, pyarrow) may have dates as well: year, month, day, weekday, hour and the seconds
            since the first date, as far as they vary in the rows with a weight. What lasts counts in seconds.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Only their ratios count. A row of weight 0 is left out.
        X_val : array-like of shape (n_val, n_features), default=None
            Rows to hold out for early stopping, in place of a part of X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Goes with ``X_val``.
        sample_weight_val : array-like of shape (n_val,), default=None
        X_unlabeled : array-like of shape (n_unlabeled, n_features), default=None
            Rows without labels, for ``pretrain="autoencoder"``.

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
            If the loss is no longer finite; the weights of the best epoch before are kept.
        """
        self._want_whole_fit()
        work = self._worker(keep_fitted=self.warm_start)
        held_out = (X_val, y_val, sample_weight_val)
        settings = {"stop_early": work.early_stopping}
        collector = present_collector()
        if collector is None:
            work._train(X, y, sample_weight, held_out, X_unlabeled, **settings)
            return self._adopt(work)
        with deferred_fits(None):
            # Categories that are numbers are looked up as they are, not as float32.
            shared = X if names_columns(work.categorical_features) else collector.input(X)
            task = work._prepare(shared, y, sample_weight, held_out, X_unlabeled, **settings)
        work._set_target_attributes(task.targets)
        self._adopt(work)  # as far as it is fitted: meta-estimators look for classes_ and names of columns
        collector.defer(self, work, task)
        return self

    def __sklearn_is_fitted__(self):
        self._want_whole_fit()
        return hasattr(self, "_fitted")

    def _worker(self, keep_fitted: bool):
        """A copy for a fit to work on, so that a fit that fails leaves the estimator as it was."""
        work = object.__new__(type(self))
        kept = {*self._get_param_names(), "_routed"} if not keep_fitted else set(vars(self))
        requests = {name for name in vars(self) if name.startswith("_metadata") or _is_of_callbacks(name)}
        work.__dict__.update({name: value for name, value in vars(self).items() if name in kept | requests})
        return work

    def _adopt(self, work):
        """Be fitted as a worker is; what the user has set remains."""
        for name in [name for name in vars(self) if _is_learned(name)]:
            delattr(self, name)
        return self._take_over(work)

    def _take_over(self, work):
        # scikit-learn's callbacks remain as they are here: meta-estimators may take theirs away before a fit is run.
        self.__dict__.update({name: value for name, value in vars(work).items() if not _is_of_callbacks(name)})
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

    def _one_epoch(self, X, y, sample_weight, classes):
        """Train for one more epoch, without held-out rows."""
        self._want_whole_fit()
        work = self._worker(keep_fitted=True)
        vars(work).pop("_skl_callbacks", None)  # whose tasks are those of a whole fit
        epoch = work.current_epoch
        settings = {"stop_early": False, "first_epoch": epoch, "last_epoch": epoch + 1, "classes": classes}
        work._train(X, y, sample_weight, **settings)
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
        X = self._check_X(X)
        fitted = self._fitted
        members = range(len(fitted.states))
        if fitted.spec is not None:
            outputs = [network_output(fitted.spec, fitted.named_weights(m), X) for m in members]
        else:
            if "predict" not in self._live:
                self._live["predict"] = [
                    model_function(self._stock_model(m), self.n_features_in_, fitted.columns) for m in members
                ]
            outputs = [predict(X) for predict in self._live["predict"]]
        return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)

    def _stock_model(self, m: int) -> keras.Model:
        model = self._fitted.make_model()
        for variable, array in zip(weights_of(model), self._fitted.weights(m), strict=True):
            variable.assign(array)
        return model

    def to_keras(self, include_preprocessing=False):
        """Return the trained network as a Keras model.

        Parameters
        ----------
        include_preprocessing : bool, default=False
            Whether the model takes a table, a dict of its columns by name (``x0``, ``x1``, ... if they have none), each
            of shape (n_samples, 1): strings for a column whose categories are strings, where "" is a missing one;
            float64 for dates, as seconds since 1970-01-01 00:00 by the clock of the time zone that they had in fit;
            and float32 for others. There nan is missing. Otherwise it is ``model_``, which takes a matrix of shape
            (n_samples, n_features_in_) with categories as numbers from 0 in the order of ``categories_``, -1 for
            missing and -2 for unknown ones; a date is seconds since the first one of fit, and there are more columns
            after those of X for what else is made of dates. Scaling and embeddings are in both.

        Returns
        -------
        keras.Model
            A copy.
        """
        check_is_fitted(self)
        model = keras.models.clone_model(self.model_)
        model.set_weights(self.model_.get_weights())
        if not include_preprocessing:
            return model
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])
        return model_of_table(model, names, self._categories, self._dates, self._fitted.columns)

    @property
    def categories_(self) -> dict:
        """Categories of each categorical column, in the order of their codes: by name, or by number without names."""
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        return {names[number]: np.array(values, dtype=object) for number, values in self._categories.items()}

    @property
    def column_statistics_(self) -> list[dict[str, NDArray]]:
        """What each member has learned of the numeric columns from its training rows, by the statistic's name.

        ``fill``, ``center`` and ``scale``, of shape (n_numeric,): what stands for a missing number, what is subtracted,
        and what is multiplied by then. Empty dicts where columns are taken as they are.
        """
        check_is_fitted(self)
        members = (self._fitted.named_weights(m) for m in range(len(self._fitted.states)))
        names = ("fill", "center", "scale")
        return [
            {name: weights[f"columns/{name}"] for name in names if f"columns/{name}" in weights} for weights in members
        ]

    @property
    def model_(self) -> keras.Model:
        """The trained network as a stock Keras model, compiled, with predictions in y's units.

        A copy, made when it is first asked for: what is done to it does not change the estimator.
        """
        self._want_whole_fit()
        if not hasattr(self, "_fitted"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'model_': it is not fitted")
        if "model" not in self._live:
            targets = self._fitted.targets
            model, *others = [self._stock_model(m) for m in range(len(self._fitted.states))]
            own = model if model.compiled else None
            if others:
                spec = self._fitted.spec
                width = self.n_features_in_ if spec is None else spec.n_features
                model = averaged([model, *others], width, self._fitted.columns)
            model = self._in_units(model, targets)
            if not model.compiled and own:  # by the user's builder
                model.compile(type(own.optimizer).from_config(own.optimizer.get_config()), own.loss)
            elif not model.compiled:
                params = self.get_params(deep=False)
                loss = resolve_loss(params, *self._loss_defaults(targets, targets.n_outputs))
                loss = loss.function if isinstance(loss, FunctionLoss) else loss  # as whoever loads the model has it
                two = self._fitted.spec is not None and self._fitted.spec.aux_output
                aux_share = float(self.aux_loss_weight) if two else None
                model.compile(**compile_arguments(params, loss, aux_share))
                model.optimizer.build(model.trainable_variables)  # else a saved model complains when it is loaded
            self._live["model"] = model
        return self._live["model"]


def _is_learned(name: str) -> bool:
    """Whether an attribute is set by `fit`."""
    return name.endswith("_") or name in ("_fitted", "_categories", "_dates", "_live")


def _is_of_callbacks(name: str) -> bool:
    """Whether an attribute is where scikit-learn keeps an estimator's callbacks and their contexts."""
    return name.startswith("_") and "callback" in name
