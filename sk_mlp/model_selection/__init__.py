"""Searches for hyperparameters, distributions to draw from, and `find_learning_rate`."""

from sk_mlp.model_selection._coarse_to_fine import CoarseToFineSearchCV
from sk_mlp.model_selection._distributions import one_minus
from sk_mlp.model_selection._halving import HyperbandSearchCV, PopulationHalvingSearchCV
from sk_mlp.model_selection._learning_rate import LearningRateSweep, find_learning_rate
from sk_mlp.model_selection._optuna import to_optuna_study
from sk_mlp.model_selection._population import PopulationGridSearchCV, PopulationRandomizedSearchCV

__all__ = [
    "CoarseToFineSearchCV",
    "HyperbandSearchCV",
    "LearningRateSweep",
    "PopulationGridSearchCV",
    "PopulationHalvingSearchCV",
    "PopulationRandomizedSearchCV",
    "find_learning_rate",
    "one_minus",
    "to_optuna_study",
]
