"""What "auto" is, where the rows do not decide."""

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
