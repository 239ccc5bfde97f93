"""The textbook's program with a function that builds the model, as it stands in Géron's book, by sk_mlp and scikeras.

A random search over the function's arguments, with validation rows that are given and Keras' `EarlyStopping`. Only the
class differs, and for scikeras the names of the arguments, which have a prefix, and that widths are a list.
"""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from _common import Checks, Target, number, print_table, seconds, target_cells
from _data import Data, housing
from numpy.typing import NDArray
from scikeras.wrappers import KerasRegressor
from scipy.stats import reciprocal
from sklearn.model_selection import RandomizedSearchCV

from sk_mlp import KerasMLPRegressor
from sk_mlp.model_selection import PopulationRandomizedSearchCV

SPACE = {"n_hidden": [0, 1, 2, 3], "n_neurons": np.arange(1, 100), "learning_rate": reciprocal(3e-4, 3e-2)}
FOLDS, PATIENCE, SEED = 3, 10, 0
SCIKERAS, PLAIN, POPULATION = "scikeras", "sk_mlp, scikit-learn's search", "sk_mlp, population search"
TARGETS = {PLAIN: 20, POPULATION: 25}  # times as fast as scikeras
SAME = 1e-3  # difference of scores between both searches of ours
STANDARD_ERRORS = 2


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=(8,)):
    model = keras.Sequential([keras.layers.InputLayer(shape=input_shape)])
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate))
    return model


@dataclass(frozen=True, eq=False)
class Outcome:
    """Of one search.

    Attributes
    ----------
    time : float
        Seconds, compiling and the last fit included.
    scores : ndarray of shape (n_candidates, n_folds)
    error : float
        MSE on the test rows, as the best model evaluates it itself.
    """

    time: float
    scores: NDArray
    error: float

    @property
    def best(self) -> float:
        """Mean score of the best candidate."""
        return float(self.scores.mean(axis=1).max())

    @property
    def standard_error(self) -> float:
        """Of that mean, over the folds."""
        of_best = self.scores[self.scores.mean(axis=1).argmax()]
        return float(of_best.std(ddof=1) / np.sqrt(len(of_best)))


def searches(n: int) -> dict[str, Any]:
    """The searches, by name; the same candidates and folds."""
    settings = {"n_iter": n, "cv": FOLDS, "random_state": SEED, "error_score": "raise"}
    # Keras takes no numpy integers for `units`, which scikeras passes on as they are drawn.
    with_prefix = {f"model__{name}": values for name, values in (SPACE | {"n_neurons": list(range(1, 100))}).items()}
    arguments = {"model__n_hidden": 1, "model__n_neurons": 30, "model__learning_rate": 3e-3}
    peer = KerasRegressor(build_model, **arguments, verbose=0, random_state=SEED)
    return {
        POPULATION: PopulationRandomizedSearchCV(KerasMLPRegressor(build_model, random_state=SEED), SPACE, **settings),
        PLAIN: RandomizedSearchCV(KerasMLPRegressor(build_model, random_state=SEED), SPACE, **settings),
        SCIKERAS: RandomizedSearchCV(peer, with_prefix, **settings),
    }


def run(search: Any, data: Data, held_out: tuple[NDArray, NDArray], epochs: int) -> Outcome:
    """Fit a search."""

    def fit() -> None:
        stop_early = keras.callbacks.EarlyStopping(patience=PATIENCE)
        search.fit(data.X, data.y, epochs=epochs, validation_data=held_out, callbacks=[stop_early])

    time = seconds(fit)
    scores = np.array([search.cv_results_[f"split{fold}_test_score"] for fold in range(FOLDS)]).T
    return Outcome(time, scores, float(search.best_estimator_.model_.evaluate(data.X_test, data.y_test, verbose=0)))


def recipe(n_rows: int, n: int, epochs: int, checks: Checks) -> None:
    """The program by each library, each in a process of its own, which finds nothing compiled."""
    data = housing(n_rows * 4 // 3)
    held_out = data.X[n_rows:], data.y[n_rows:]
    data = Data(data.X[:n_rows], data.y[:n_rows], data.X_test, data.y_test, data.source)
    outcomes = {}
    for name, search in searches(n).items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            outcomes[name] = pool.submit(run, search, data, held_out, epochs).result()
        print(f"{name}: {outcomes[name].time:.1f} s, best score {outcomes[name].best:.4f}", file=sys.stderr, flush=True)
    peer, population = outcomes[SCIKERAS], outcomes[POPULATION]
    rows = []
    for name, outcome in outcomes.items():
        ratio = peer.time / outcome.time
        target = Target(">=", TARGETS[name], "x") if name in TARGETS else None
        figures = f"{outcome.best:.4f} +- {outcome.standard_error:.4f}", f"{outcome.error:.4f}"
        rows.append((name, number(outcome.time), f"{ratio:.1f}x", *target_cells(target, ratio), *figures))
    title = f"the program: {n} candidates x {FOLDS} folds, {data.size} rows of {data.source}, at most {epochs} epochs"
    print_table((title, "s", "faster than scikeras", "target", "", "best score", "test MSE"), rows)
    for name in TARGETS:
        outcome = outcomes[name]
        error = STANDARD_ERRORS * max(outcome.standard_error, peer.standard_error)
        statement = f"{name}: best score {outcome.best:.4f} within {error:.4f} of scikeras' {peer.best:.4f}"
        checks.expect(abs(outcome.best - peer.best) <= error, statement)
    difference = np.abs(population.scores.mean(axis=1) - outcomes[PLAIN].scores.mean(axis=1)).max()
    checks.expect(difference <= SAME, f"both searches of sk_mlp: mean scores differ by {difference:.1e} <= {SAME:g}")
