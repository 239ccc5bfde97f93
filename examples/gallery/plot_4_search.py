"""
Searches that give the best more epochs
=======================================

Halving gives all candidates few epochs and the best of them more; the survivors go on from where they are. It is
compared with a random search of the same candidates that trains all of them to the end.
"""

# %%
import numpy as np
from scipy.stats import loguniform
from sklearn.datasets import load_digits

from sk_mlp import PLAIN_MLP, KerasMLPClassifier
from sk_mlp.model_selection import (
    PopulationHalvingSearchCV,
    PopulationRandomizedSearchCV,
)

X, y = load_digits(return_X_y=True)
X, y = X[:500] / 16, y[:500]
mlp = KerasMLPClassifier(
    **PLAIN_MLP | {"epochs": 27, "n_hidden": 1, "n_neurons": 30, "random_state": 0}
)
space = {"learning_rate": loguniform(1e-5, 1.0)}

searches = {
    "halving": PopulationHalvingSearchCV(
        mlp, space, n_candidates=18, cv=3, random_state=0
    ),
    "random": PopulationRandomizedSearchCV(mlp, space, n_iter=18, cv=3, random_state=0),
}
for name, search in searches.items():
    search.fit(X, y)
    rate = search.best_params_["learning_rate"]
    print(f"{name}: accuracy {search.best_score_:.3f}, learning rate {rate:.2g}")

halving = searches["halving"]
rungs = zip(halving.n_candidates_, np.diff(halving.n_epochs_, prepend=0), strict=True)
print("epochs trained by halving:", sum(int(n * epochs) for n, epochs in rungs))
print("epochs trained by the random search:", 18 * 27)

# %%
# Each line is a candidate. It ends where its scores were no longer among the best.

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.colors import LogNorm

results = pd.DataFrame(halving.cv_results_)
colours, scale = plt.colormaps["viridis"], LogNorm(1e-5, 1)
figure, ax = plt.subplots(layout="constrained")
for rate, rows in results.groupby("param_learning_rate"):
    ax.plot(
        rows["n_epochs"],
        rows["mean_test_score"],
        marker="o",
        color=colours(scale(rate)),
    )
ax.set(xscale="log", xlabel="epochs", ylabel="mean accuracy of three folds")
ax.set_xticks(halving.n_epochs_, halving.n_epochs_, minor=False)
ax.minorticks_off()
figure.colorbar(plt.cm.ScalarMappable(scale, colours), ax=ax, label="learning rate")
plt.show()

# %%
# :doc:`/searching` compares all searches, and says where to search.
