"""Time of searches: the textbook's random search by scikeras, scikit-learn's MLP and sk_mlp, one after the other.

The same candidates, folds and early stopping for all: depth 0-3, width 1-99 and learning rate 3e-4..3e-2 (Géron,
*Hands-On Machine Learning*, 2nd ed., chapter 10). Then the book's program with a function that builds the model, to
the letter (``--recipe`` for that alone), what a step of a member costs where all candidates have one structure, what
Hyperband saves, how much memory a search takes, and how its time grows with candidates and with rows. Exits with 1 if
a peer's best score is better than that of sk_mlp by more than a tolerance, or if both differ in the book's program by
more than two standard errors. Real data are read from the folder named by SK_MLP_DATA, if set.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import gc
import multiprocessing
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import keras
import numpy as np
import psutil
from _common import (
    Checks,
    Target,
    environment,
    median,
    number,
    options,
    peak_memory,
    print_table,
    seconds,
    target_cells,
)
from _data import Data, housing
from _recipe import recipe
from scikeras.wrappers import KerasRegressor
from scipy.stats import loguniform, randint, reciprocal
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, ParameterSampler
from sklearn.neural_network import MLPRegressor

from sk_mlp import PLAIN_MLP, KerasMLPRegressor
from sk_mlp.model_selection import (
    HyperbandSearchCV,
    PopulationGridSearchCV,
    PopulationHalvingSearchCV,
    PopulationRandomizedSearchCV,
)

REPEATS = {"textbook": 1, "recipe": 1, "one-structure": 1, "hyperband": 5, "memory": 1, "candidates": 1, "rows": 1}
ROWS = 11_610  # of California housing, as in the book
SPACE = {"n_hidden": [0, 1, 2, 3], "n_neurons": randint(1, 100), "learning_rate": reciprocal(3e-4, 3e-2)}
EPOCHS, PATIENCE, BATCH_SIZE = 100, 10, 32
TARGETS = {"scikeras / plain": 18, "scikeras / population": 50, "scikit-learn / population": 6}
SCORE = "neg_mean_squared_error"
SEED = 42
FOLDS = KFold(3, shuffle=True, random_state=0)


def network(meta: dict[str, Any], n_hidden: int, n_neurons: int) -> keras.Model:
    hidden = [keras.layers.Dense(n_neurons, "relu", kernel_initializer="he_normal") for _ in range(n_hidden)]
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), *hidden, keras.layers.Dense(1)])


def by_scikeras(epochs: int) -> tuple[Any, dict[str, str]]:
    estimator = KerasRegressor(
        network,
        model__n_hidden=1,
        model__n_neurons=30,
        loss="mean_squared_error",
        optimizer="sgd",
        optimizer__learning_rate=1e-3,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_split=0.1,
        callbacks=keras.callbacks.EarlyStopping,
        callbacks__patience=PATIENCE,
        callbacks__restore_best_weights=True,
        verbose=0,
    )
    names = {"n_hidden": "model__n_hidden", "n_neurons": "model__n_neurons"}
    return estimator, names | {"learning_rate": "optimizer__learning_rate"}


def by_scikit_learn(epochs: int) -> tuple[Any, dict[str, str]]:
    estimator = MLPRegressor(
        solver="sgd",
        momentum=0.0,
        alpha=0.0,
        batch_size=BATCH_SIZE,
        max_iter=epochs,
        early_stopping=True,
        n_iter_no_change=PATIENCE,
        tol=0.0,
        random_state=0,
    )
    return estimator, {"learning_rate": "learning_rate_init"}


def by_sk_mlp(epochs: int, **params) -> tuple[Any, dict[str, str]]:
    settings = {"optimizer": "sgd", "batch_size": BATCH_SIZE, "epochs": epochs, "patience": PATIENCE, "random_state": 0}
    return KerasMLPRegressor(**PLAIN_MLP | settings | params), {}


def candidates(n: int, space: dict[str, Any]) -> list[dict[str, Any]]:
    return list(ParameterSampler(space, n, random_state=SEED))


def renamed(candidate: dict[str, Any], names: dict[str, str]) -> dict[str, list]:
    """A candidate in a peer's words, as a grid of one."""
    if names == {"learning_rate": "learning_rate_init"}:  # scikit-learn's MLP knows sizes only
        candidate = dict(candidate)
        sizes = (candidate.pop("n_neurons"),) * candidate.pop("n_hidden")
        candidate["hidden_layer_sizes"] = tuple(int(size) for size in sizes)
    return {names.get(name, name): [value] for name, value in candidate.items()}


def searched(search: type, peer: tuple[Any, dict[str, str]], drawn: list[dict], data: Data, cv: int, **settings) -> Any:
    """A search over these candidates, not yet fitted."""
    estimator, names = peer
    grid = [renamed(candidate, names) for candidate in drawn]
    return search(estimator, grid, cv=KFold(cv, shuffle=True, random_state=0), scoring=SCORE, **settings)


def textbook(data: Data, n: int, epochs: int, repeats: int, checks: Checks) -> None:
    """The search by each library."""
    drawn, (estimator, _) = candidates(n, SPACE), by_sk_mlp(epochs)
    settings = {"cv": FOLDS, "scoring": SCORE, "random_state": SEED}  # the same candidates, and for Hyperband more
    searches = {
        "sk_mlp, population": searched(PopulationGridSearchCV, by_sk_mlp(epochs), drawn, data, 3),
        "sk_mlp, plain": searched(GridSearchCV, by_sk_mlp(epochs), drawn, data, 3, n_jobs=1),
        "sk_mlp, halving": PopulationHalvingSearchCV(estimator, SPACE, n_candidates=n, **settings),
        "sk_mlp, Hyperband": HyperbandSearchCV(estimator, SPACE, min_epochs=min(10, epochs), **settings),
        "scikit-learn": searched(GridSearchCV, by_scikit_learn(epochs), drawn, data, 3, n_jobs=1),
        "scikeras": searched(GridSearchCV, by_scikeras(epochs), drawn, data, 3, n_jobs=1),
        "scikeras, n_jobs=2": searched(GridSearchCV, by_scikeras(epochs), drawn, data, 3, n_jobs=2),
    }
    figures = {}
    for name, search in searches.items():
        if name.startswith("sk_mlp"):
            runs = [in_a_process(search, data) for _ in range(repeats)]
        else:
            runs = [timed_search(search, data)]
        figures[name] = (median([time for time, *_ in runs]), *runs[0][1:])
        print(
            "{}: {:.1f} s, best score {:.4f}, test MSE {:.4f}".format(name, *figures[name]), file=sys.stderr, flush=True
        )
    own = figures["sk_mlp, population"][0]
    rows = [
        (name, number(time), f"{time / own:.1f}x", f"{score:.4f}", f"{error:.4f}")
        for name, (time, score, error) in figures.items()
    ]
    print_table((f"{n} candidates x 3 folds, {data.source}", "s", "/ population", "best score", "test MSE"), rows)
    ratios = {
        "scikeras / plain": figures["scikeras"][0] / figures["sk_mlp, plain"][0],
        "scikeras / population": figures["scikeras"][0] / own,
        "scikit-learn / population": figures["scikit-learn"][0] / own,
    }
    rows = [
        (name, f"{ratio:.1f}x", *target_cells(Target(">=", TARGETS[name], "x"), ratio))
        for name, ratio in ratios.items()
    ]
    print_table(("ratio of times", "", "target", ""), rows)
    best = max(score for name, (_, score, _) in figures.items() if not name.startswith("sk_mlp"))
    score = figures["sk_mlp, population"][1]
    checks.expect(score >= best * 1.02, f"best score of the population search {score:.4f} >= {best:.4f} less 2 %")


ONE_STRUCTURE = {
    "learning_rate": loguniform(3e-4, 3e-2),
    "weight_decay": loguniform(1e-6, 1e-2),
    "dropout": [0.05, 0.1, 0.2, 0.3],
}


def one_structure(data: Data, n: int, cv: int, epochs: int) -> None:
    """Time of a step of a member, where all candidates share one program."""
    estimator = by_sk_mlp(epochs, hidden_layer_sizes=(30, 30), optimizer="adam", early_stopping=False, dropout=0.1)
    search = searched(PopulationGridSearchCV, estimator, candidates(n, ONE_STRUCTURE), data, cv, refit=False)
    duration = seconds(search.fit, data.X, data.y)
    steps = n * cv * epochs * -(-len(data.X) * (cv - 1) // cv // BATCH_SIZE)
    rows = [(f"{n} x {cv} members, {epochs} epochs", number(duration), number(1e6 * duration / steps), "<= 12")]
    print_table(("(30, 30), batch 32, adam, dropout", "s", "us a step and member, compiling included", "target"), rows)


def hyperband(data: Data, n: int, epochs: int, repeats: int) -> None:
    """Time of Hyperband against that of a search which trains the same candidates to the end, in a process each.

    Halving is Hyperband's most aggressive bracket alone, and Hyperband is measured with the two most aggressive too.
    Which candidates there are, and which of them are dropped, is luck: each repetition has a seed of its own.
    """
    estimator, _ = by_sk_mlp(epochs)
    rows = []
    names = "Hyperband", "Hyperband, two brackets", "halving"
    ratios: dict[str, list[float]] = {name: [] for name in names}
    losses: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(SEED, SEED + repeats):
        settings = {"cv": FOLDS, "scoring": SCORE, "random_state": seed}
        searches = {
            "Hyperband": HyperbandSearchCV(estimator, SPACE, n_candidates=n, **settings),
            "Hyperband, two brackets": HyperbandSearchCV(estimator, SPACE, n_candidates=n, n_brackets=2, **settings),
            "halving": PopulationHalvingSearchCV(estimator, SPACE, n_candidates=n, **settings),
            "population": PopulationRandomizedSearchCV(estimator, SPACE, n_iter=n, **settings),
        }
        figures = {name: in_a_process(search, data) for name, search in searches.items()}
        time_of_all, score_of_all, _ = figures["population"]
        for name in ratios:
            time, score, _ = figures[name]
            ratios[name].append(time / time_of_all)
            losses[name].append(score / score_of_all - 1)
        rows += [(str(seed), name, number(time), f"{score:.4f}") for name, (time, score, _) in figures.items()]
    print_table(("seed", f"{n} candidates, at most {epochs} epochs", "s", "best score"), rows)
    rows = []
    for name in ratios:
        time, loss = median(ratios[name]), median(losses[name])
        rows.append((f"{name}: time", number(time), *target_cells(Target("<=", 0.25), time)))
        rows.append((f"{name}: error of the best", f"{loss:+.1%}", *target_cells(Target("<=", 0.01), loss)))
    print_table(("against the population search", "median", "Hyperband's target", ""), rows)


def in_a_process(search: Any, data: Data) -> tuple[float, float, float]:
    """As `timed_search`, of a search that finds no program compiled."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(timed_search, search, data).result()


def timed_search(search: Any, data: Data) -> tuple[float, float, float]:
    """Seconds, best score and error on the test rows."""
    time = seconds(search.fit, data.X, data.y)
    return time, search.best_score_, mean_squared_error(data.y_test, np.ravel(search.predict(data.X_test)))


def memory(n_rows: int, n: int, cv: int) -> None:
    """How much resident memory a search takes at its peak, above what it is after one of two candidates."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 50), dtype=np.float32)
    y = X[:, 0] + np.sin(X[:, 1])
    estimator, _ = by_sk_mlp(1, hidden_layer_sizes=(60, 60), optimizer="adam", batch_size=256, early_stopping=False)
    space = {"learning_rate": loguniform(1e-4, 1e-2)}

    def search(n: int) -> None:
        PopulationRandomizedSearchCV(estimator, space, n_iter=n, cv=cv, random_state=SEED, refit=False).fit(X, y)

    search(2)
    gc.collect()
    before = psutil.Process().memory_info().rss
    peak = peak_memory(lambda: search(n))
    n_weights = sum(a * b + b for a, b in ((50, 60), (60, 60), (60, 1)))
    sizes = {"data": X.nbytes + y.nbytes, "states": n * cv * 3 * n_weights * 4}  # Adam keeps two numbers a weight
    figures = {"peak": peak - before, **sizes}
    rows = [(name, number(size / 2**20)) for name, size in figures.items()]
    rows.append(("peak / (data + states); target: <= 1.5", number(figures["peak"] / sum(sizes.values()))))
    print_table((f"{n} x {cv} members, {n_rows:,} x 50 rows", "MiB"), rows)


def growth(title: str, cases: dict[str, tuple[Data, int]], epochs: int) -> None:
    """Times of the population search."""
    rows = []
    for name, (data, n) in cases.items():
        search = searched(PopulationGridSearchCV, by_sk_mlp(epochs), candidates(n, SPACE), data, 3, refit=False)
        rows.append((name, number(seconds(search.fit, data.X, data.y))))
    print_table((title, "s"), rows)


def repeated(data: Data, n_rows: int) -> Data:
    """So many rows, the same again and again."""
    numbers = np.arange(n_rows) % len(data.X)
    return Data(data.X[numbers], data.y[numbers], data.X_test, data.y_test, data.source)


def main() -> int:
    smoke, repeats = options(__doc__, REPEATS, shorthands=("recipe",))
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    checks = Checks()
    print(environment())
    data = housing(300 if smoke else ROWS)
    epochs = 2 if smoke else EPOCHS
    n = 2 if smoke else 10
    more = (2, 3) if smoke else (10, 30, 100, 300)
    sizes = (200, 300) if smoke else (5_000, 20_000, 80_000)
    members = (4, 2, 2) if smoke else (100, 5, 20)
    in_memory = (300, 2, 2) if smoke else (200_000, 100, 5)
    by_rows = {f"{size:,}": (repeated(data, size), n) for size in sizes}
    parts = {
        "textbook": lambda: textbook(data, n, epochs, repeats["textbook"], Checks() if smoke else checks),
        "recipe": lambda: recipe(240 if smoke else ROWS, n, 2 if smoke else 30, Checks() if smoke else checks),
        "one-structure": lambda: one_structure(data, *members),
        "hyperband": lambda: hyperband(data, *((3, 3) if smoke else (81, 81)), repeats["hyperband"]),
        "memory": lambda: memory(*in_memory),
        "candidates": lambda: growth("candidates x 3 folds", {str(m): (data, m) for m in more}, epochs),
        "rows": lambda: growth(f"rows, {n} candidates x 3 folds", by_rows, epochs),
    }
    for part in repeats:
        parts[part]()
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
