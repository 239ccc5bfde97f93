"""One network, trained in the same way by each library."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor

NEVER = 1_000_000  # epochs of patience: the best weights are kept, but nothing stops early


@dataclass(frozen=True)
class Work:
    """What every peer does: relu, Adam 1e-3, no regularization.

    Attributes
    ----------
    classification : bool
        Or else regression.
    widths : tuple of int
        Of input, hidden layers and output.
    batch_size : int
    held_out : float
        Share of the rows to validate on in each epoch, after which the best weights are kept; 0 for none.
    """

    classification: bool
    widths: tuple[int, ...]
    batch_size: int
    held_out: float

    @property
    def metric(self) -> str:
        return "accuracy" if self.classification else "R2"

    def score(self, estimator: Any, X: NDArray, y: NDArray) -> float:
        return (accuracy_score if self.classification else r2_score)(y, np.ravel(estimator.predict(X)))


@dataclass(frozen=True)
class Peer:
    """A library.

    Attributes
    ----------
    make : callable (Work, epochs, seed) -> estimator
    epochs_run : callable (fitted estimator) -> int
    """

    make: Callable[[Work, int, int], Any]
    epochs_run: Callable[[Any], int]


def make_sk_mlp(work: Work, epochs: int, seed: int, **parameters) -> Any:
    estimator = KerasMLPClassifier if work.classification else KerasMLPRegressor
    return estimator(
        **PLAIN_MLP
        | {
            "hidden_layer_sizes": work.widths[1:-1],
            "batch_size": work.batch_size,
            "epochs": epochs,
            "early_stopping": work.held_out > 0,
            "validation_fraction": work.held_out or 0.1,
            "patience": NEVER,
            "random_state": seed,
        }
        | parameters
    )


def make_scikit_learn(work: Work, epochs: int, seed: int) -> Any:
    estimator = MLPClassifier if work.classification else MLPRegressor
    return estimator(
        hidden_layer_sizes=work.widths[1:-1],
        alpha=0.0,
        learning_rate_init=1e-3,
        batch_size=work.batch_size,
        max_iter=epochs,
        early_stopping=work.held_out > 0,
        validation_fraction=work.held_out or 0.1,
        n_iter_no_change=NEVER,
        random_state=seed,
    )


def keras_network(work: Work) -> keras.Model:
    first, *hidden, last = work.widths
    layers = [keras.layers.Dense(width, "relu", kernel_initializer="he_normal") for width in hidden]
    output = keras.layers.Dense(last, "softmax" if work.classification else None)
    return keras.Sequential([keras.Input((first,)), *layers, output])


def make_scikeras(work: Work, epochs: int, seed: int) -> Any:
    # Not random_state=seed: scikeras then turns on TensorFlow's deterministic mode, which turns off Keras' use of XLA.
    keras.utils.set_random_seed(seed)
    keep_best = {
        "validation_split": work.held_out,
        "callbacks": keras.callbacks.EarlyStopping,
        "callbacks__patience": NEVER,
        "callbacks__restore_best_weights": True,
    }
    estimator = KerasClassifier if work.classification else KerasRegressor
    return estimator(
        keras_network,
        model__work=work,
        loss="sparse_categorical_crossentropy" if work.classification else "mean_squared_error",
        optimizer="adam",
        optimizer__learning_rate=1e-3,
        batch_size=work.batch_size,
        epochs=epochs,
        verbose=0,
        **(keep_best if work.held_out else {}),
    )


def make_skorch(work: Work, epochs: int, seed: int) -> Any:
    import torch  # here, since it is optional and takes its time
    from skorch import NeuralNetClassifier, NeuralNetRegressor
    from skorch.callbacks import EarlyStopping
    from skorch.dataset import ValidSplit

    class ColumnRegressor(NeuralNetRegressor):
        def fit(self, X, y):
            return super().fit(X, y[:, None])

    def network():
        layers: list[torch.nn.Module] = []
        for before, after in zip(work.widths, work.widths[1:], strict=False):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
            torch.nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
            torch.nn.init.zeros_(layers[-2].bias)
        torch.nn.init.xavier_uniform_(layers[-2].weight)
        return torch.nn.Sequential(*layers[:-1])

    torch.manual_seed(seed)
    estimator = NeuralNetClassifier if work.classification else ColumnRegressor
    return estimator(
        network,
        criterion=torch.nn.CrossEntropyLoss if work.classification else torch.nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=work.batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=ValidSplit(work.held_out, random_state=seed) if work.held_out else None,
        callbacks=[EarlyStopping(patience=NEVER, load_best=True)] if work.held_out else None,
        verbose=0,
    )


def installed_peers() -> dict[str, Peer]:
    """sk_mlp first, then the others by name."""
    peers = {
        "sk_mlp": Peer(make_sk_mlp, lambda fitted: fitted.n_iter_),
        "scikit-learn": Peer(make_scikit_learn, lambda fitted: fitted.n_iter_),
        "scikeras": Peer(make_scikeras, lambda fitted: len(fitted.history_["loss"])),
    }
    if importlib.util.find_spec("skorch"):
        peers["skorch"] = Peer(make_skorch, lambda fitted: len(fitted.history))
    return peers
