"""The main job: a randomized search over depth, width and learning rate on real data, ``python -m sk_mlp``."""

import argparse
import atexit
import csv
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from scipy.stats import reciprocal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import ParameterSampler, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp._cli.datasets import BUNDLED, Data, UserError, load, one_line, read_csv, split
from sk_mlp._estimator.messages import counted

SPACE = {
    "mlp__n_hidden": [0, 1, 2, 3],
    "mlp__n_neurons": list(range(1, 100)),
    "mlp__learning_rate": reciprocal(3e-4, 3e-2),
}


class WatchedSearch(RandomizedSearchCV):
    """RandomizedSearchCV that says how far it is: set ``watch`` to a function (candidates done, best score so far)."""

    def _run_search(self, evaluate_candidates):
        candidates = list(ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state))
        at_once = joblib.effective_n_jobs(self.n_jobs)
        for start in range(0, len(candidates), at_once):
            results = evaluate_candidates(candidates[start : start + at_once])
            self.watch(len(results["params"]), np.nanmax(results["mean_test_score"]))


def main(argv: list[str] | None = None) -> int:
    """Run the main job.

    Parameters
    ----------
    argv : list of str or None, default=None
        Command-line arguments; None for those of the process.

    Returns
    -------
    int
        0 if all went well, 2 if the user has something to mend, 130 after Ctrl-C.
    """
    arguments = parse(argv)
    try:
        run(arguments)
    except UserError as error:
        print(f"sk_mlp: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if argv is None and arguments.n_jobs != 1:
            atexit.register(os._exit, 130)  # ending threads that are inside TensorFlow would abort with a message
        return 130
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; exits for those that make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m sk_mlp",
        description="Search over the depth, width and learning rate of a multilayer perceptron. Compares the best with "
        "a linear model and with scikit-learn's MLP on rows held out, and saves it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def at_least(least: int, most: float = math.inf) -> Callable[[str], int]:
        def integer(text: str) -> int:
            if not least <= int(text) <= most:
                limits = f"at least {least}" + (f" and at most {most}" if most < math.inf else "")
                raise argparse.ArgumentTypeError(f"must be {limits}, got {text}")
            return int(text)

        return integer

    source = parser.add_mutually_exclusive_group()
    names = [*BUNDLED, "california_housing"]
    source.add_argument("--dataset", choices=names, default="digits", help="of scikit-learn")
    source.add_argument("--csv", type=Path, metavar="FILE", help="your own table, with a header; needs pandas")
    parser.add_argument("--target", metavar="COLUMN", help="column of the CSV file to predict")
    parser.add_argument("--task", choices=["classification", "regression"], help="if the CSV file's target misleads")
    parser.add_argument("--n-iter", type=at_least(1), default=10, metavar="N", help="candidates to try")
    parser.add_argument("--cv", type=at_least(2), default=3, metavar="N", help="folds")
    parser.add_argument("--epochs", type=at_least(1), default=100, metavar="N", help="epochs of a fit, at most")
    parser.add_argument("--seed", type=at_least(0, 2**32 - 1), default=0, metavar="N", help="of everything random")
    parser.add_argument("--n-jobs", type=int, default=1, metavar="N", help="fits at once, -1 for one a core")
    parser.add_argument("--output", type=Path, default="sk_mlp_results", metavar="DIR", help="folder of the results")
    arguments = parser.parse_args(argv)
    if arguments.csv and not arguments.target:
        parser.error("--csv needs --target COLUMN")
    if not arguments.csv and (arguments.target or arguments.task):
        parser.error("--target and --task go with --csv FILE")
    if arguments.n_jobs == 0:
        parser.error("argument --n-jobs: must not be 0")
    return arguments


def run(arguments: argparse.Namespace) -> None:
    """Load, search, compare, save."""
    began = time.perf_counter()
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 100)
    data = read_csv(arguments.csv, arguments.target, arguments.task) if arguments.csv else load(arguments.dataset)
    X_train, X_test, y_train, y_test = split(data, arguments.cv, arguments.seed)
    with folder_errors(arguments.output):
        arguments.output.mkdir(parents=True, exist_ok=True)

    kind = counted(len(np.unique(data.y)), "class", "classes") if data.task == "classification" else "regression"
    console.print(
        f"{data.name}: {counted(data.X.shape[1], 'feature')}, {kind}; "
        f"{counted(len(y_train), 'row')} to learn from, {len(y_test)} held out"
    )
    console.print(f"{counted(arguments.n_iter, 'candidate')}, {arguments.cv} folds each")
    search = make_search(data, arguments)
    with joblib.parallel_config("threading"), progress(console, arguments.n_iter, data.score_name) as search.watch:
        search.fit(X_train, y_train)  # threads share the compiled programs; each process would start TensorFlow anew

    rows = candidates(search)
    console.print(f"\nCandidates: mean {data.score_name} of {arguments.cv} folds", style="bold")
    console.print(candidates_table(rows, data.score_name))
    best = describe(search.best_estimator_[-1])
    console.print(f"Best parameters: {best}\n")
    console.print(f"{counted(len(y_test), 'row')} held out", style="bold")
    with console.status("fitting scikit-learn's"):
        table = comparison(search, data, arguments, X_train, X_test, y_train, y_test)
    console.print(table)
    with folder_errors(arguments.output):
        for path in save(arguments.output, search.best_estimator_, rows, f"{data.name}: {best}", console):
            console.print(f"saved {path}", soft_wrap=True)
    console.print(f"{time.perf_counter() - began:.0f} s in all")


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turn errors of making and writing a folder into UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write to the folder {folder}: {one_line(error)}") from None


def make_search(data: Data, arguments: argparse.Namespace) -> WatchedSearch:
    """The search that people come for."""
    with quiet_stderr():
        import tensorflow as tf

        from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor

        tf.config.list_logical_devices()  # so that it looks for a GPU, and complains, now rather than in the first fit
    common = PLAIN_MLP | {"epochs": arguments.epochs, "random_state": arguments.seed}
    if data.task == "classification":  # errors on digits: 2.1 % with these two, 2.9 % without (mean of 4 seeds)
        mlp = KerasMLPClassifier(**common | {"batch_norm": True, "dropout": 0.2})
    else:
        mlp = KerasMLPRegressor(**common)
    return WatchedSearch(
        Pipeline([("prepare", data.prepare), ("mlp", mlp)]),
        SPACE,
        n_iter=arguments.n_iter,
        cv=arguments.cv,
        n_jobs=arguments.n_jobs,
        random_state=arguments.seed,
        error_score="raise",
    )


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Start TensorFlow without the output of its C++ code; exceptions still pass."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # for what it says later, when it compiles
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # some lines heed no log level
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


@contextmanager
def progress(console: Console, total: int, score_name: str) -> Iterator[Callable[[int, float], None]]:
    """Yield a function that shows (candidates done, best score), as a bar, or as lines if the output is no terminal."""
    began = time.perf_counter()

    def line(done: int, best: float) -> None:
        seconds = time.perf_counter() - began
        left = seconds / done * (total - done)
        console.print(f"{done}/{total}, best {score_name} {best:.4f}, {seconds:.0f} s, about {left:.0f} s left")

    if not console.is_terminal:
        yield line
        return
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console) as bar:
        job = bar.add_task("searching", total=total)

        def show(done: int, best: float) -> None:
            what = f"best {score_name} {best:.4f}" if done < total else "refitting the best"
            bar.update(job, completed=done, description=what)

        yield show


def candidates(search: WatchedSearch) -> list[dict[str, Any]]:
    """The candidates, best first."""
    results = search.cv_results_
    seconds = (results["mean_fit_time"] + results["mean_score_time"]) * search.n_splits_
    rows = [
        {
            "rank": int(results["rank_test_score"][i]),
            **{name.removeprefix("mlp__"): value for name, value in results["params"][i].items()},
            "mean_score": float(results["mean_test_score"][i]),
            "std_score": float(results["std_test_score"][i]),
            "seconds": float(seconds[i]),
        }
        for i in range(len(seconds))
    ]
    return sorted(rows, key=lambda row: row["rank"])


def candidates_table(rows: list[dict[str, Any]], score_name: str) -> Table:
    """The candidates for the screen."""
    table = make_table("rank", "n_hidden", "n_neurons", "learning_rate", score_name, "std", "seconds")
    for row in rows:
        neurons = str(row["n_neurons"]) if row["n_hidden"] else "-"
        score = f"{row['mean_score']:.4f}", f"{row['std_score']:.4f}", f"{row['seconds']:.1f}"
        table.add_row(str(row["rank"]), str(row["n_hidden"]), neurons, f"{row['learning_rate']:.2e}", *score)
    for column in table.columns:  # on a narrow screen names are broken, not figures
        column.min_width = max(len(str(cell)) for cell in column.cells)
    return table


def make_table(*columns: str) -> Table:
    """An empty table of right-aligned columns."""
    table = Table(box=SIMPLE, header_style="", collapse_padding=True, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def describe(mlp: Any) -> str:
    """The parameters that were searched, in words."""
    neurons = f"n_neurons={mlp.n_neurons}, " if mlp.n_hidden else ""
    return f"n_hidden={mlp.n_hidden}, {neurons}learning_rate={mlp.learning_rate:.2e}"


def comparison(search: WatchedSearch, data: Data, arguments: argparse.Namespace, X, X_test, y, y_test) -> Table:
    """Scores on the held-out rows: of the best candidate, then of scikit-learn's models."""
    seed, epochs = arguments.seed, arguments.epochs
    if data.task == "classification":
        peers = [
            MLPClassifier(early_stopping=True, max_iter=epochs, random_state=seed),
            LogisticRegression(max_iter=1000),
        ]
    else:
        mlp = MLPRegressor(early_stopping=True, max_iter=epochs, random_state=seed)
        peers = [TransformedTargetRegressor(mlp, transformer=StandardScaler()), Ridge()]
    best = search.best_estimator_
    table = make_table("", data.score_name, "seconds to fit")
    table.columns[0].justify = "left"
    table.add_row(
        f"{type(best[-1]).__name__}, best candidate", f"{best.score(X_test, y_test):.4f}", f"{search.refit_time_:.2f}"
    )
    if data.task == "classification":  # by number: the MLP of scikit-learn 1.7 fails where classes are words
        codes = np.unique(np.concatenate([y, y_test]), return_inverse=True)[1]
        y, y_test = codes[: len(y)], codes[len(y) :]
    for peer in peers:
        name = type(getattr(peer, "regressor", peer)).__name__
        pipeline = make_pipeline(clone(data.prepare), peer)
        began = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                pipeline.fit(X, y)
            fitted = time.perf_counter() - began
            table.add_row(f"scikit-learn's {name}", f"{pipeline.score(X_test, y_test):.4f}", f"{fitted:.2f}")
        except ValueError as error:  # it holds out rows by class, for which each class needs two
            table.add_row(f"scikit-learn's {name}", "-", one_line(error))
    return table


def save(folder: Path, pipeline: Pipeline, rows: list[dict[str, Any]], title: str, console: Console) -> Iterator[Path]:
    """Write the results; yields the path of each."""
    joblib.dump(pipeline, folder / "model.joblib")
    yield folder / "model.joblib"
    with open(folder / "candidates.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    yield folder / "candidates.csv"
    try:
        from matplotlib.figure import Figure
    except ImportError:
        console.print("no picture of the losses: matplotlib is missing, pip install 'sk_mlp[plot]'")
        return
    from sk_mlp.inspection import LossCurveDisplay

    figure = Figure(figsize=(8, 5), layout="constrained")
    LossCurveDisplay.from_estimator(pipeline, ax=figure.add_subplot()).ax_.set_title(title, loc="left")
    figure.savefig(folder / "loss_curve.png", dpi=150)
    yield folder / "loss_curve.png"


if __name__ == "__main__":
    sys.exit(main())
