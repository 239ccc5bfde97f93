"""Parts of Keras that Keras does not export: the only module that imports ``keras.src``."""

import keras

if keras.config.backend() != "tensorflow":
    raise ImportError(
        "Keras must have the backend 'tensorflow', by which networks are trained here. Got "
        f"{keras.config.backend()!r}; set the environment variable KERAS_BACKEND before Keras is imported."
    )

from keras.src.backend.common import global_state
from keras.src.backend.tensorflow.optimizer import TFOptimizer
from keras.src.models.functional import Functional
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.random import seed_generator
from keras.src.saving import saving_lib
from keras.src.utils.naming import to_snake_case

__all__ = [
    "BaseOptimizer",
    "Functional",
    "TFOptimizer",
    "global_state",
    "saving_lib",
    "seed_generator",
    "to_snake_case",
]
