"""
Searches that give the best more epochs
=======================================

Halving gives all candidates few epochs, and the best of them more. Those continue from their current weights. Here it
is compared with a random search that trains all of its candidates to the end.
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
# ``SearchDisplay`` draws a line for each candidate. It ends where the candidate was dropped.

from sk_mlp.inspection import SearchDisplay

display = SearchDisplay.from_search(halving, kind="rungs")

# %%
# The scores of the random search against the learning rate.

display = SearchDisplay.from_search(searches["random"])

# %%
# :doc:`/searching` compares all searches, and says where to search.
