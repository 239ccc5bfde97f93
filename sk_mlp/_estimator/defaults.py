"""Values of "auto" where the rows do not decide, and the plain network."""

from typing import Any

# The plain network of textbooks: no preprocessing, one network, no regularisation but early stopping.
PLAIN_MLP: dict[str, Any] = {
    "input_scaling": None,
    "numerical_embedding": None,
    "learned_scale": False,
    "activation": "relu",
    "parametric_activation": False,
    "dropout": 0.0,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "lr_schedule": None,
    "batch_size": 32,
    "epochs": 100,
    "patience": 10,
    "ensemble_size": 1,
}
N_HIDDEN, N_NEURONS = 3, 128  # of the built-in network by default
# "auto" with the built-in network, of both estimators.
BUILT_IN = {
    "activation": "mish",
    "batch_norm": False,
    "skip_connection": False,
    "aux_output": False,
    "optimizer": "adam",
    "weight_decay": 0.02,
    "lr_schedule": "cosine",
    "ensemble_size": 8,
}
# "auto" with a model of the user's own: as Keras' `fit` would train it.
WITH_A_MODEL = {
    "optimizer": "adam",
    "lr_schedule": None,
    "batch_size": 32,
    "epochs": 100,
    "patience": 10,
    "ensemble_size": 1,
    "normalize_y": False,
    "input_scaling": None,
}
