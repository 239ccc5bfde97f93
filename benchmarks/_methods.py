"""Ways to fit a table without choosing anything: sk_mlp and its peers, each with its own defaults.

A method is a function (frame, targets, seed) -> fitted model. Peers that do not take categories, missing values or
several targets are given what they need: one-hot columns, scaled numbers and targets, filled gaps, a model a target.
"""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import joblib
import keras
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor

Fit = Callable[[pd.DataFrame, NDArray, int], Any]


@dataclass(frozen=True)
class Method:
    """A way to fit a table.

    Attributes
    ----------
    package : str
        Whose version the results depend on.
    fit : callable (X, y, seed) -> fitted model
    """

    package: str
    fit: Fit

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package.replace("scikit-learn", "sklearn")) is not None

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def warm_up(self) -> None:
        """Import the package, which is no part of a fit."""
        importlib.import_module(self.package.replace("scikit-learn", "sklearn"))


def of_task(y: NDArray, classifier: type, regressor: type) -> type:
    return classifier if y.dtype.kind == "i" else regressor


def category_names(X: pd.DataFrame) -> list[str]:
    return list(X.select_dtypes("category"))


def fit_sk_mlp(X: pd.DataFrame, y: NDArray, seed: int, **parameters) -> Any:
    return of_task(y, KerasMLPClassifier, KerasMLPRegressor)(**{"random_state": seed, **parameters}).fit(X, y)


def scaled_one_hot(X: pd.DataFrame, y: NDArray, estimator: BaseEstimator) -> Pipeline:
    """A pipeline of what a table needs before a plain network or a linear model, and that model, of scaled targets."""
    categories = category_names(X)
    columns = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), X.columns.difference(categories, sort=False)),
        ]
    )
    if y.dtype.kind != "i":
        estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler())
    return make_pipeline(columns, estimator)


def fit_scikit_learn_mlp(X: pd.DataFrame, y: NDArray, seed: int) -> Any:
    estimator = of_task(y, MLPClassifier, MLPRegressor)
    return scaled_one_hot(X, y, estimator(early_stopping=True, random_state=seed)).fit(X, y)


def fit_scikit_learn_linear(X: pd.DataFrame, y: NDArray, seed: int) -> Any:
    estimator = LogisticRegression(max_iter=1000) if y.dtype.kind == "i" else Ridge()
    return scaled_one_hot(X, y, estimator).fit(X, y)


def plain_network(meta: dict[str, Any]) -> keras.Model:
    """One hidden layer of 100, as scikit-learn's MLP has it."""
    last = keras.layers.Dense(meta.get("n_classes_", meta["n_outputs_"]), "softmax" if "n_classes_" in meta else None)
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), keras.layers.Dense(100, "relu"), last])


def fit_scikeras_mlp(X: pd.DataFrame, y: NDArray, seed: int) -> Any:
    from scikeras.wrappers import KerasClassifier, KerasRegressor

    # Not random_state=seed: scikeras then turns on TensorFlow's deterministic mode, which turns off Keras' use of XLA.
    keras.utils.set_random_seed(seed)
    estimator = of_task(y, KerasClassifier, KerasRegressor)(
        plain_network,
        loss="sparse_categorical_crossentropy" if y.dtype.kind == "i" else "mean_squared_error",
        optimizer="adam",
        epochs=200,
        validation_split=0.1,
        callbacks=keras.callbacks.EarlyStopping,
        callbacks__patience=10,
        callbacks__restore_best_weights=True,
        verbose=0,
    )
    return scaled_one_hot(X, y, estimator).fit(X, y)


def fit_realmlp(X: pd.DataFrame, y: NDArray, seed: int, suffix: str) -> Any:
    import pytabkit

    names = f"RealMLP_{suffix}_Classifier", f"RealMLP_{suffix}_Regressor"
    estimator = of_task(y, *(getattr(pytabkit, name) for name in names))
    return estimator(device="cpu", n_threads=joblib.cpu_count(), random_state=seed).fit(X, y)


def fit_lightgbm(X: pd.DataFrame, y: NDArray, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    estimator = of_task(y, LGBMClassifier, LGBMRegressor)(random_state=seed, verbose=-1)
    return (MultiOutputRegressor(estimator) if y.ndim > 1 else estimator).fit(X, y)


def fit_xgboost(X: pd.DataFrame, y: NDArray, seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    return of_task(y, XGBClassifier, XGBRegressor)(enable_categorical=True, random_state=seed).fit(X, y)


@dataclass(frozen=True)
class NamedCategories:
    """A model of categories that are strings, none of them missing: CatBoost takes no others."""

    model: Any

    @staticmethod
    def renamed(X: pd.DataFrame) -> pd.DataFrame:
        return X.assign(**{name: X[name].astype(object).fillna("missing").astype(str) for name in category_names(X)})

    def predict(self, X: pd.DataFrame) -> NDArray:
        return self.model.predict(self.renamed(X))

    def predict_proba(self, X: pd.DataFrame) -> NDArray:
        return self.model.predict_proba(self.renamed(X))


def fit_catboost(X: pd.DataFrame, y: NDArray, seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    model = of_task(y, CatBoostClassifier, CatBoostRegressor)(
        cat_features=category_names(X),
        random_seed=seed,
        thread_count=joblib.cpu_count(),
        verbose=False,
        allow_writing_files=False,
        **({"loss_function": "MultiRMSE"} if y.ndim > 1 else {}),
    )
    return NamedCategories(model.fit(NamedCategories.renamed(X), y))


def peers() -> dict[str, Method]:
    """All but sk_mlp, by name."""
    return {
        "scikit-learn MLP": Method("scikit-learn", fit_scikit_learn_mlp),
        "scikit-learn linear": Method("scikit-learn", fit_scikit_learn_linear),
        "scikeras MLP": Method("scikeras", fit_scikeras_mlp),
        "RealMLP-TD-S": Method("pytabkit", lambda X, y, seed: fit_realmlp(X, y, seed, "TD_S")),
        "RealMLP-TD": Method("pytabkit", lambda X, y, seed: fit_realmlp(X, y, seed, "TD")),
        "LightGBM": Method("lightgbm", fit_lightgbm),
        "XGBoost": Method("xgboost", fit_xgboost),
        "CatBoost": Method("catboost", fit_catboost),
    }
