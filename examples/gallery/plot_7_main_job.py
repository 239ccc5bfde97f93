"""
The main job, step by step
==========================

``python -m sk_mlp`` searches the depth, width and learning rate of a network, and compares the best one with two models
of scikit-learn. This page does the same on fewer rows.
"""

# %%
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sk_mlp import PLAIN_MLP, KerasMLPClassifier
from sk_mlp.model_selection import PopulationRandomizedSearchCV

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=600, stratify=y, random_state=0
)

mlp = KerasMLPClassifier(
    **PLAIN_MLP | {"epochs": 40, "dropout": 0.2, "random_state": 0}
)
space = {
    "kerasmlpclassifier__n_hidden": [1, 2],
    "kerasmlpclassifier__n_neurons": list(range(10, 100)),
    "kerasmlpclassifier__learning_rate": loguniform(3e-4, 3e-2),
}
search = PopulationRandomizedSearchCV(
    make_pipeline(MinMaxScaler(), mlp), space, n_iter=8, cv=3, random_state=0
).fit(X_train, y_train)

# %%
# The candidates, best first.

import pandas as pd

results = pd.DataFrame(search.cv_results_)
columns = [name for name in results if name.startswith("param_")]
table = results.sort_values("rank_test_score")[[*columns, "mean_test_score"]]
table.rename(
    columns=lambda name: name.removeprefix("param_kerasmlpclassifier__")
).round(4)

# %%
# The best one beside two baselines, on test rows.

peers = {
    "best candidate": search.best_estimator_,
    "MLPClassifier": make_pipeline(
        MinMaxScaler(), MLPClassifier(early_stopping=True, max_iter=200, random_state=0)
    ).fit(X_train, y_train),
    "LogisticRegression": make_pipeline(
        MinMaxScaler(), LogisticRegression(max_iter=1000)
    ).fit(X_train, y_train),
}
pd.DataFrame(
    {"accuracy": {name: peer.score(X_test, y_test) for name, peer in peers.items()}}
).round(4)

# %%
# Which digits does it confuse?

import matplotlib.pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

figure, ax = plt.subplots(figsize=(6, 6), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    search, X_test, y_test, ax=ax, colorbar=False, cmap="Blues"
)
plt.show()
