"""
Probabilities that hold
=======================

Of the rows with a predicted probability of 0.7, seven in ten should be of the class. Probabilities of a single network
are often too close to 0 and 1. A temperature, learned on the held-out rows, corrects that. An ensemble needs less
correction.
"""

# %%
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from sk_mlp import PLAIN_MLP, KerasMLPClassifier

X, y = make_classification(4000, 10, n_informative=6, flip_y=0.3, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=400, random_state=0
)

plain = PLAIN_MLP | {
    "n_hidden": 2,
    "n_neurons": 64,
    "learning_rate": 3e-3,
    "epochs": 30,
    "random_state": 0,
}
kinds = {
    "one network, all epochs": {"early_stopping": False},
    "one network, calibrated": {"calibrate": True},
    "eight networks, calibrated": {"ensemble_size": 8, "calibrate": True},
}

# %%
# scikit-learn's ``CalibrationDisplay`` draws them. The nearer to the diagonal, the better.

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import log_loss

figure, ax = plt.subplots(figsize=(6.5, 6), layout="constrained")
for (name, settings), marker in zip(kinds.items(), "os^", strict=True):
    classifier = KerasMLPClassifier(**plain | settings).fit(X_train, y_train)
    loss = log_loss(y_test, classifier.predict_proba(X_test))
    name = f"{name}: log-loss {loss:.3f}"
    CalibrationDisplay.from_estimator(
        classifier, X_test, y_test, n_bins=7, ax=ax, name=name, marker=marker
    )
ax.set(xlabel="predicted probability", ylabel="share of rows that are of the class")
plt.show()

# %%
# More on this: :doc:`/uncertainty`.
