"""The textbook's chapter on Keras models in scikit-learn, as a program: fit, search, evaluate, a picture of the losses.

A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras and TensorFlow*, 2nd ed., chapter 10, "Fine-Tuning Neural
Network Hyperparameters". A function builds the model; a random search tries its arguments; early stopping watches
validation rows that are given.

The data are California housing, read from ``california_housing.npz`` in the folder that the environment variable
SK_MLP_DATA names. Without that, they are the diabetes data that scikit-learn ships.

    python examples/textbook_chapter.py                     # the chapter; minutes
    python examples/textbook_chapter.py --smoke             # few rows, epochs and candidates; seconds
    python examples/textbook_chapter.py --picture FILE.png  # where to put the picture
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its log is long

import argparse
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import reciprocal
from sklearn.datasets import load_diabetes
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from sk_mlp import KerasMLPRegressor


def load():
    """Return X, y, what y is, and the name of the data."""
    path = Path(os.environ.get("SK_MLP_DATA", "")) / "california_housing.npz"
    if "SK_MLP_DATA" in os.environ and path.exists():
        with np.load(path) as arrays:
            return arrays["data"], arrays["target"], "median house value, in $100,000", "California housing"
    X, y = load_diabetes(return_X_y=True)
    return X, y / 100, "progression after a year, in hundreds", "diabetes"


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=(8,)):
    """Build and compile a perceptron."""
    model = keras.Sequential([keras.layers.InputLayer(shape=input_shape)])
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate))
    return model


def draw(histories, title, path):
    """Save a picture of the losses of fits, by name."""
    figure, all_axes = plt.subplots(1, len(histories), figsize=(5 * len(histories), 4), sharey=True, squeeze=False)
    for axes, (name, history) in zip(all_axes[0], histories.items(), strict=True):
        epochs = np.arange(1, len(history["loss"]) + 1)
        axes.plot(epochs, history["loss"], label="training")
        axes.plot(epochs, history["val_loss"], label="validation")
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    least = min(min(history["val_loss"]) for history in histories.values())
    all_axes[0][0].set(ylabel="mean squared error", ylim=(0, 4 * least))  # the first epochs are far above
    all_axes[0][0].legend()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments=None):
    """Run the chapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few rows, epochs and candidates, to see that it works")
    parser.add_argument("--picture", default="losses.png", help="file of the picture (default: losses.png)")
    options = parser.parse_args(arguments)
    n_rows, epochs, n_iter = (200, 3, 2) if options.smoke else (None, 100, 10)

    # Rows to train on, to validate on and to test on, all scaled as the training rows tell.
    X, y, unit, name = load()
    X_train_full, X_test, y_train_full, y_test = train_test_split(X[:n_rows], y[:n_rows], random_state=42)
    X_train, X_valid, y_train, y_valid = train_test_split(X_train_full, y_train_full, random_state=42)
    scaler = StandardScaler()
    X_train = scaler.fit_transform(X_train)
    X_valid, X_test = scaler.transform(X_valid), scaler.transform(X_test)
    print(f"{name}, y: {unit}")
    print(f"rows to train on {len(X_train):,}, to validate on {len(X_valid):,}, to test on {len(X_test):,}")

    # One fit. The function's arguments are parameters: input_shape here, and all of them in the search.
    reg = KerasMLPRegressor(build_model, input_shape=X_train.shape[1:], random_state=42)
    stop_early = keras.callbacks.EarlyStopping(patience=10)
    reg.fit(X_train, y_train, epochs=epochs, validation_data=(X_valid, y_valid), callbacks=[stop_early])
    print(f"one fit: {reg.n_iter_} epochs, test MSE {reg.model_.evaluate(X_test, y_test, verbose=0):.4f}")
    print("first predictions:", reg.predict(X_test[:3]).round(2), "of", y_test[:3].round(2))

    # The search. PopulationRandomizedSearchCV of sk_mlp.model_selection gives the same results sooner.
    params = {
        "n_hidden": [0, 1, 2, 3],
        "n_neurons": np.arange(1, 100),
        "learning_rate": reciprocal(3e-4, 3e-2),
    }
    search = RandomizedSearchCV(reg, params, n_iter=n_iter, cv=2 if options.smoke else 3, random_state=42)
    search.fit(X_train, y_train, epochs=epochs, validation_data=(X_valid, y_valid), callbacks=[stop_early])
    best = search.best_estimator_
    print(f"search: {search.best_params_}, mean R2 of the folds {search.best_score_:.4f}")
    print(f"best model: {best.n_iter_} epochs, test MSE {best.model_.evaluate(X_test, y_test, verbose=0):.4f}")
    print(f"            test R2 {search.score(X_test, y_test):.4f}")

    # The losses, in y's unit squared: with a model of one's own, y is trained on as it is.
    draw({"one fit": reg.history_, "best of the search": best.history_}, f"{name}, y: {unit}", options.picture)
    print("picture of the losses:", options.picture)


if __name__ == "__main__":
    main()
