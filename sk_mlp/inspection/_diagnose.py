"""What is wrong with a fitted network, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.metrics import log_loss, r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_consistent_length

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp._estimator.checks import checked_X_y
from sk_mlp._estimator.messages import counted
from sk_mlp._tables.columns import as_table, columns_of
from sk_mlp._tables.selection import dense
from sk_mlp.inspection import _of_rows
from sk_mlp.inspection._activations import hidden_layers
from sk_mlp.inspection._checks import fitted_mlp
from sk_mlp.inspection._findings import Finding, Findings
from sk_mlp.inspection._of_histories import GAP, course_of, findings_of_histories, middle, overfitting_to

MOST_ROWS = 2_000  # to look at: enough to judge neurons and columns
SQUARED = (None, "mse", "mean_squared_error")
ENTROPIES = (None, "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to look at, as the estimator takes them.

    Attributes
    ----------
    X
        As the user has it.
    y : ndarray or None
    numbers : ndarray of shape (n_rows, n_columns)
        X as numbers, in the type that it has.
    names : list of str
        Of these columns.
    """

    X: Any
    y: NDArray | None
    numbers: NDArray
    names: list[str]


def diagnose(estimator: BaseKerasMLP | Pipeline, X: Any = None, y: ArrayLike | None = None) -> Findings:
    """Say in words what keeps a fitted network from being better, and which parameters to change.

    The histories of the fit tell of its course. X tells what the neurons do, and whether the columns are as in `fit`; y
    whether a rare class is forgotten, or a column tells y. X and y may be the rows of `fit` or, better, others. Each
    finding has the figures that it rests on. Limits are such that a healthy fit has no findings: none found is no proof
    that nothing could be better. What neurons and members do is judged by 40 rows and more.

    Parameters
    ----------
    estimator : KerasMLPClassifier, KerasMLPRegressor or Pipeline
        Fitted; a pipeline whose last step is one of the two, which gets X from the steps before.
    X : {array-like, frame, sparse matrix} of shape (n_samples, n_features), default=None
        Rows to look at; up to 2,000 of them are, at random.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Their labels or numbers; needs X.

    Returns
    -------
    Findings
        A sequence of `Finding`, the worst first. Their names: of the histories "diverging", "learning rate too high",
        "learning rate too low", "too few epochs", "plateau", "underfitting", "overfitting", "failed member"; of X
        "exploding activations", "dead units", "saturated activations", "members disagree", "unknown categories",
        "spread lost in float32"; of X and y "imbalance ignored", "leak suspected".

    Raises
    ------
    TypeError
        If ``estimator`` is neither of this package nor a pipeline that ends in one that is.
    ValueError
        If y is given without X, or X or y is not valid: not as in `fit`, such as labels that it has not seen.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    LossCurveDisplay : Draws the histories.
    sk_mlp.model_selection.find_learning_rate : Looks for a learning rate.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk_mlp import PLAIN_MLP, KerasMLPRegressor
    >>> from sk_mlp.inspection import diagnose
    >>> X, y = load_diabetes(return_X_y=True)
    >>> slow = PLAIN_MLP | {"optimizer": "sgd", "learning_rate": 1e-5, "epochs": 20, "random_state": 0}
    >>> mlp = KerasMLPRegressor(**slow).fit(X, y)
    >>> diagnose(mlp, X, y).names
    ['learning rate too low']
    """
    steps = estimator[:-1] if isinstance(estimator, Pipeline) and len(estimator) > 1 else None
    mlp = fitted_mlp(estimator)
    if X is None and y is not None:
        raise ValueError("y needs X. Got X=None.")
    rows = None if X is None else _rows(mlp, X if steps is None else steps.transform(X), y)
    found = [*_of_histories(mlp, rows), *([] if rows is None else _of_rows_of(mlp, rows))]
    n = len(mlp.member_histories_)
    looked_at = f"the {'history' if n == 1 else 'histories'} of {counted(n, 'network')}"
    return Findings(found, looked_at if rows is None else f"{looked_at} and {counted(len(rows.numbers), 'row')}")


def _rows(mlp: BaseKerasMLP, X: Any, y: Any) -> Rows:
    if y is not None:
        check_consistent_length(X, y)
        y = np.asarray(y.toarray() if issparse(y) else y)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    chosen = np.sort(np.random.default_rng(0).permutation(n)[:MOST_ROWS])
    X, y = _safe_indexing(X, chosen), None if y is None else y[chosen]
    if y is None:
        numbers = mlp._check_numbers(X)
    else:
        numbers, y = checked_X_y(mlp, X, y, mlp._fitted.table, mlp._y_checks)
        mlp._fitted.targets.check(y)
    numbers = numbers.toarray() if issparse(numbers) else numbers
    known = mlp._fitted.table.matrix_names
    names = [str(name) for name in known] or [f"x{number}" for number in range(numbers.shape[1])]
    return Rows(X, y, numbers, names)


def _of_histories(mlp: BaseKerasMLP, rows: Rows | None) -> list[Finding]:
    base = _loss_of_a_constant(mlp, rows)
    courses = [course_of(history, base) for history in mlp.member_histories_]
    found = findings_of_histories(courses, len(courses) > 1)
    if courses[0].held_out is not None or rows is None or rows.y is None:
        return found
    of_training, of_rows = middle(courses, lambda course: course.explained), _explained(mlp, rows)
    if base is not None and of_training - of_rows > GAP:
        found.append(overfitting_to(len(courses), of_training, of_rows, "rows given"))
    return found


def _loss_of_a_constant(mlp: BaseKerasMLP, rows: Rows | None) -> float | None:
    """The loss of the best prediction that knows nothing of X; None where that is not known."""
    targets = mlp._fitted.targets
    if mlp.loss not in SQUARED + ENTROPIES:
        return None
    if not is_classifier(mlp):
        return 1.0 if mlp.loss in SQUARED and mlp.model is None and targets.is_standardised else None
    if mlp.model is not None or mlp.loss not in ENTROPIES:
        return None
    n = len(targets.classes)
    if targets.kind == "multilabel" or n < 2:
        return float(np.log(2))
    if rows is None or rows.y is None or rows.y.ndim > 1 or mlp.class_weight is not None:
        return float(np.log(n))
    shares = np.unique(rows.y, return_counts=True)[1] / len(rows.y)
    return float(-np.sum(shares * np.log(shares))) or float(np.log(n))


def _explained(mlp: BaseKerasMLP, rows: Rows) -> float:
    """Share of y that the predictions explain: R2, or the share of the log-loss of the classes' frequencies."""
    assert rows.y is not None
    if not is_classifier(mlp):
        return (
            float(mlp.score(rows.X, rows.y)) if mlp._fitted.targets.quantiles else r2_score(rows.y, mlp.predict(rows.X))
        )
    if rows.y.ndim > 1 or len(np.unique(rows.y)) < 2:
        return np.nan
    labels, codes = np.unique(rows.y, return_inverse=True)
    frequencies = np.tile(np.bincount(codes) / len(codes), (len(codes), 1))
    probabilities = mlp.predict_proba(rows.X)
    return 1 - log_loss(rows.y, probabilities, labels=mlp.classes_) / log_loss(rows.y, frequencies, labels=labels)


def _of_rows_of(mlp: BaseKerasMLP, rows: Rows) -> Iterator[Finding]:
    fitted = mlp._fitted
    yield from _of_rows.findings_of_layers(hidden_layers(fitted, dense(mlp._check_X(rows.X))))
    if len(fitted.states) > 1:
        kind = "classifier" if is_classifier(mlp) else "regressor"
        yield from _of_rows.disagreement(_disagreement(mlp, rows), kind, len(rows.numbers))
    if fitted.table.categories:
        yield from _of_rows.unknown_categories(list(columns_of(as_table(rows.X))), fitted.table.categories)
    numeric = np.setdiff1d(np.arange(rows.numbers.shape[1]), list(fitted.table.categories))
    shift = None if fitted.shift is None else fitted.shift[numeric]
    names = [rows.names[number] for number in numeric]
    yield from _of_rows.lost_digits(rows.numbers[:, numeric], shift, names)
    if rows.y is None:
        return
    if is_classifier(mlp) and rows.y.ndim == 1:
        yield from _of_rows.imbalance(rows.y, mlp.predict(rows.X), mlp.class_weight is not None)
    if rows.y.ndim == 1:
        yield from _of_rows.leaks(rows.numbers, rows.y, is_classifier(mlp), rows.names)


def _disagreement(mlp: BaseKerasMLP, rows: Rows) -> float:
    """How far members disagree, in the units of `_of_rows.DISAGREEMENT`."""
    members, targets = mlp.predict_members(rows.X), mlp._fitted.targets
    if is_classifier(mlp):
        exclusive = targets.kind != "multilabel"
        labels, of_all = (np.argmax(p, axis=-1) if exclusive else p > 0.5 for p in (members, mlp.predict_proba(rows.X)))
        return float(np.mean(labels != of_all))
    if targets.quantiles:
        members = members[..., members.shape[2] // 2]
    spread = targets.scale
    if not targets.is_standardised:
        spread = np.std(members.mean(axis=0) if rows.y is None else rows.y, axis=0)
    return float(np.mean(members.std(axis=0) / np.maximum(spread, np.finfo(float).tiny)))
