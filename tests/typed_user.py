"""What a user may write under ``mypy --strict``; `.ci/run` checks it against the installed package. Never run."""

import numpy as np
from numpy.typing import NDArray

import sk_mlp
from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor, NotCompilableError
from sk_mlp.inspection import LossCurveDisplay
from sk_mlp.losses import Quantile
from sk_mlp.model_selection import (
    CoarseToFineSearchCV,
    HyperbandSearchCV,
    LearningRateSweep,
    PopulationGridSearchCV,
    PopulationHalvingSearchCV,
    PopulationRandomizedSearchCV,
    find_learning_rate,
)


def classify(X: NDArray[np.float64], y: NDArray[np.str_]) -> NDArray[np.str_]:
    mlp: KerasMLPClassifier = KerasMLPClassifier(**PLAIN_MLP, n_neurons=10, lr_schedule="step").fit(X, y, epochs=3)
    mlp.partial_fit(X, list(y), classes=["a", "b"])
    probabilities: NDArray[np.float64] = mlp.predict_proba(X)
    assert probabilities.shape == (len(X), len(mlp.classes_))
    return mlp.predict(X)


def regress(X: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    mlp = KerasMLPRegressor(loss=Quantile(0.9), random_state=0)
    try:
        sweep: LearningRateSweep = find_learning_rate(mlp, X, y, n_steps=100)
    except NotCompilableError as error:
        raise SystemExit(str(error)) from error
    fitted = mlp.set_params(learning_rate=sweep.suggestion).fit(X, y, sample_weight=[1.0] * len(y))
    LossCurveDisplay.from_estimator(fitted, log_scale=True).plot(name=sk_mlp.__version__)
    fitted.to_keras(include_preprocessing=True).summary()
    return sweep.suggestion


def search(X: NDArray[np.float64], y: NDArray[np.float64]) -> list[float]:
    mlp, space = KerasMLPRegressor(), {"n_neurons": [10, 20], "dropout": [0.0, 0.1]}
    searches = [
        PopulationGridSearchCV(mlp, space, cv=2),
        PopulationRandomizedSearchCV(mlp, space, n_iter=2),
        CoarseToFineSearchCV(mlp, space, n_rounds=2),
        PopulationHalvingSearchCV(mlp, space, factor=2),
        HyperbandSearchCV(mlp, space, n_brackets=2),
    ]
    return [float(one.fit(X, y).best_score_) for one in searches]
