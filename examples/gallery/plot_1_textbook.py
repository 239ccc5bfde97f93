"""
A textbook chapter, told with this package
==========================================

Chapter 10 of A. Géron's *Hands-On Machine Learning with Scikit-Learn, Keras and TensorFlow* (2nd ed.) is where many
people meet multilayer perceptrons: build one with Keras, train it, watch its losses, search its hyperparameters. This
page follows it. Here the data are small, so that the page builds in seconds; ``examples/textbook_chapter.py`` is the
chapter's program on California housing.
"""

# %%
# The data
# --------
# Rows for training, validation and testing. The scaler is fitted on the training rows.

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

X, y = load_diabetes(return_X_y=True)
X_train_full, X_test, y_train_full, y_test = train_test_split(
    X, y / 100, random_state=42
)
X_train, X_valid, y_train, y_valid = train_test_split(
    X_train_full, y_train_full, random_state=42
)
scaler = StandardScaler().fit(X_train)
X_train, X_valid, X_test = (
    scaler.transform(X_train),
    scaler.transform(X_valid),
    scaler.transform(X_test),
)
print("rows:", len(X_train), len(X_valid), len(X_test))

# %%
# A function that builds a Keras model
# ------------------------------------
# It builds and compiles the model. Its arguments become parameters of the estimator.

import keras


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=(10,)):
    model = keras.Sequential([keras.layers.Input(shape=input_shape)])
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(
        loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate)
    )
    return model


# %%
# One fit
# -------
# ``fit`` takes the arguments of Keras' ``fit``. Early stopping watches the validation rows.

from sk_mlp import KerasMLPRegressor

words = {
    "epochs": 60,
    "validation_data": (X_valid, y_valid),
    "callbacks": [
        keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    ],
}
reg = KerasMLPRegressor(build_model, random_state=42).fit(X_train, y_train, **words)
print("epochs:", reg.n_iter_)
print("test error:", reg.model_.evaluate(X_test, y_test, verbose=0))

# %%
# ``history_`` is Keras' history, and ``LossCurveDisplay`` draws it. Both losses fall, and the validation loss flattens
# first.

from sk_mlp.inspection import LossCurveDisplay

display = LossCurveDisplay.from_estimator(reg)

# %%
# ``model_`` is the trained Keras model.

reg.model_.summary()

# %%
# The learning rate
# -----------------
# The book raises the rate at every batch until the loss blows up, and takes a rate well below. ``find_learning_rate``
# does this in one call of a compiled program.

from sk_mlp import PLAIN_MLP
from sk_mlp.inspection import LearningRateDisplay
from sk_mlp.model_selection import find_learning_rate

plain = PLAIN_MLP | {
    "optimizer": "sgd",
    "n_hidden": 1,
    "n_neurons": 30,
    "random_state": 42,
}
sweep = find_learning_rate(
    KerasMLPRegressor(**plain), X_train, y_train, min_lr=1e-3, n_steps=300
)
display = LearningRateDisplay.from_sweep(sweep)

# %%
# Random search
# -------------
# scikit-learn's search works unchanged: the arguments of the function are searched by their own names. The population
# search has the same results, sooner: all candidates and folds train together.

import numpy as np
from scipy.stats import reciprocal

from sk_mlp.model_selection import PopulationRandomizedSearchCV

space = {
    "n_hidden": [1, 2],
    "n_neurons": np.arange(1, 100),
    "learning_rate": reciprocal(3e-4, 3e-2),
}
reg = KerasMLPRegressor(build_model, epochs=40, patience=10, random_state=42)
search = PopulationRandomizedSearchCV(reg, space, n_iter=10, cv=3, random_state=42)
search.fit(X_train, y_train, validation_data=(X_valid, y_valid))
print(search.best_params_)
print(f"R2 of the folds {search.best_score_:.3f}")
print(f"R2 of the test rows {search.score(X_test, y_test):.3f}")

# %%
# ``SearchDisplay`` draws the scores against each argument.

from sk_mlp.inspection import SearchDisplay

display = SearchDisplay.from_search(search)

# %%
# From coarse to fine
# -------------------
# Random draws first, then draws from smaller ranges around the best: ``CoarseToFineSearchCV`` does so in rounds.

from scipy.stats import loguniform

from sk_mlp.model_selection import CoarseToFineSearchCV

fine = CoarseToFineSearchCV(
    KerasMLPRegressor(**plain | {"epochs": 30}),
    {"learning_rate": loguniform(1e-4, 1e-1), "weight_decay": loguniform(1e-6, 1e-1)},
    n_iter=6,
    n_rounds=3,
    cv=3,
    random_state=0,
).fit(X_train, y_train)
display = SearchDisplay.from_search(fine, kind="map")

# %%
# Callbacks and TensorBoard
# -------------------------
# Keras' callbacks that act at the ends of epochs can be used, such as the one that writes TensorBoard's logs. Use a new
# folder for each fit. Then ``tensorboard --logdir logs`` shows all of them. ::
#
#     from pathlib import Path
#     import time
#
#     folder = Path("logs") / time.strftime("run_%Y_%m_%d-%H_%M_%S")
#     reg.fit(X_train, y_train, callbacks=[keras.callbacks.TensorBoard(folder)])
#
# What next
# ---------
# :doc:`/tables`: the built-in network, an ensemble of eight that takes raw tables. :doc:`/searching`: more on searches.
# :doc:`/reading_curves`: what the curves say.
