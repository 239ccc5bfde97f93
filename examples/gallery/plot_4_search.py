"""
Searches that give the best more epochs
=======================================

Halving gives all candidates few epochs and the best of them more; the survivors go on from where they are. It is
compared with a random search of the same candidates that trains all of them to the end.
"""

# %%
import time

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
    began = time.perf_counter()
    search.fit(X, y)
    seconds = time.perf_counter() - began
    print(
        f"{name}: {seconds:.1f} s, best score {search.best_score_:.3f} at {search.best_params_['learning_rate']:.2g}"
    )

# %%
# Each line is a candidate. It ends where its scores were no longer among the best.

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.colors import LogNorm

halving = searches["halving"]
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
