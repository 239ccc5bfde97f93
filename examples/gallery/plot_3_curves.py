"""
What loss curves look like
==========================

Four ways to train on the same data. :doc:`/reading_curves` has a table of such cases, with what to try.
"""

# %%
from sklearn.datasets import load_diabetes

from sk_mlp import PLAIN_MLP, KerasMLPRegressor

X, y = load_diabetes(return_X_y=True)
plain = PLAIN_MLP | {
    "input_scaling": "standard",
    "n_hidden": 2,
    "n_neurons": 64,
    "epochs": 60,
    "patience": 60,
}
ways = {
    "well trained": {"learning_rate": 1e-3, "dropout": 0.3},
    "too slow": {"learning_rate": 3e-5},
    "overfitting": {"learning_rate": 3e-3, "validation_fraction": 0.3},
    "rate too high": {"learning_rate": 0.3, "optimizer": "sgd", "clip_norm": 1.0},
}

# %%
# ``LossCurveDisplay`` can draw on axes of yours. It marks the epoch whose weights were kept.

import matplotlib.pyplot as plt

from sk_mlp.inspection import LossCurveDisplay

figure, all_axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
for (name, settings), ax in zip(ways.items(), all_axes.flat, strict=True):
    mlp = KerasMLPRegressor(**plain | settings, random_state=0).fit(X, y)
    LossCurveDisplay.from_estimator(mlp, ax=ax, log_scale=False)
    ax.set(title=name, ylim=(0, 1.6))
plt.show()

# %%
# *Well trained*: both curves fall, flatten, and come near each other. The training loss is higher, because only
# training has dropout. *Too slow*: both still fall at the end. *Overfitting*: the training loss keeps falling while the
# validation loss rises; early stopping keeps the epoch with the lowest validation loss. *Rate too high*: the validation
# loss jumps.
