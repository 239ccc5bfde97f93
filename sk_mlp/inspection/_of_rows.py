"""Findings from rows and a fitted network. Plain numpy and scikit-learn."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sk_mlp._tables.categories import UNKNOWN, codes_of
from sk_mlp._tables.columns import Column
from sk_mlp.inspection._activations import HiddenLayer
from sk_mlp.inspection._findings import Finding

DEAD = 1 / 3  # of a layer's neurons
SATURATED = 0.5  # of a layer's outputs, of neurons and rows
EXPLODING = 1e3  # root of the mean square of a layer's outputs
DISAGREEMENT = {"regressor": 0.3, "classifier": 0.2}  # in standard deviations of y; share of members with another label
RARE, FORGOTTEN = 0.1, 0.5  # share of all rows that a rare class has at most, and share of its rows that are found
STRANGE = 0.05  # of a column's rows that have a category which fit has not seen
LOST = 1e-3  # of a column's spread, by which float32 changes its numbers
LEAK = 0.99  # of y, that one column explains
FEWEST_ROWS = 40  # fewer tell nothing about neurons, members or a leak


def findings_of_layers(layers: Sequence[HiddenLayer]) -> Iterator[Finding]:
    """Neurons that do nothing, or all the same, or too much."""
    for layer in layers:
        size = float(np.sqrt(np.mean(np.square(layer.outputs, dtype=np.float64))))
        if not size < EXPLODING:
            yield Finding(
                "exploding activations",
                f"The outputs of the layer {layer.name!r} have a root mean square of {size:.3g}.",
                {"root_mean_square": size},
                "Scale X (input_scaling='robust'), set batch_norm=True, a smaller learning_rate or more weight_decay.",
            )
        if layer.outputs.shape[1] < FEWEST_ROWS:
            continue
        dead = float(np.mean(np.ptp(layer.outputs, axis=1) <= 1e-6 * max(size, 1e-30)))
        if dead > DEAD:
            yield Finding(
                "dead units",
                f"{dead:.0%} of the neurons of the layer {layer.name!r} ({layer.activation}) put out the same for all "
                "rows: they have no part in the prediction.",
                {"share": dead},
                "Set a smaller learning_rate, batch_norm=True or an activation that does not die, such as 'mish' or "
                "'leaky_relu'.",
            )
        saturated = _saturated(layer)
        if saturated > SATURATED:
            yield Finding(
                "saturated activations",
                f"{saturated:.0%} of the outputs of the layer {layer.name!r} ({layer.activation}) are at an end of its "
                "range, where next to no gradient gets through.",
                {"share": saturated},
                "Scale X (input_scaling='robust'), set batch_norm=True, a smaller learning_rate, or the activation "
                "'mish' or 'relu'.",
            )


def _saturated(layer: HiddenLayer) -> float:
    """Share of outputs that are within 1 % of an end of the activation's range."""
    if layer.activation not in ("tanh", "sigmoid"):
        return 0.0
    low = -1.0 if layer.activation == "tanh" else 0.0
    margin = 0.01 * (1.0 - low)
    return float(np.mean((layer.outputs < low + margin) | (layer.outputs > 1.0 - margin)))


def disagreement(share: float, kind: str, n_rows: int) -> Iterator[Finding]:
    """Members that do not agree; ``share`` is in the units of `DISAGREEMENT`."""
    if share > DISAGREEMENT[kind] and n_rows >= FEWEST_ROWS:
        of = (
            f"{share:.0%} of the networks, on average over the rows, predict another label than the ensemble"
            if kind == "classifier"
            else f"The networks' predictions of a row differ by {share:.2g} standard deviations of y, on average"
        )
        yield Finding(
            "members disagree",
            f"{of}.",
            {"disagreement": share},
            "predict_members shows in which rows. They may lie outside those of fit. Else try more rows, more "
            "weight_decay, more epochs, or a larger ensemble_size.",
        )


def imbalance(y: NDArray, predicted: NDArray, has_class_weight: bool) -> Iterator[Finding]:
    """A rare class of which most rows are not found."""
    labels, counts = np.unique(y, return_counts=True)
    if len(labels) < 2 or has_class_weight:
        return
    recalls = {label: float(np.mean(predicted[y == label] == label)) for label in labels}
    rare = [label for label, n in zip(labels, counts, strict=True) if n < RARE * len(y) and recalls[label] < FORGOTTEN]
    if rare:
        label = min(rare, key=lambda label: recalls[label])
        word = repr(label.item() if isinstance(label, np.generic) else label)
        share = float(np.mean(y == label))
        yield Finding(
            "imbalance ignored",
            f"{share:.1%} of the rows are of the class {word}, and {recalls[label]:.0%} of these are predicted to be "
            "of it.",
            {"share": share, "recall": recalls[label]},
            "Set class_weight='balanced', or choose the threshold by scikit-learn's TunedThresholdClassifierCV. Judge "
            "by balanced accuracy or average precision.",
        )


def unknown_categories(columns: Sequence[Column], categories: dict[int, tuple]) -> Iterator[Finding]:
    """Columns with categories that fit has not seen."""
    for number, known in categories.items():
        column = columns[number]
        share = float(np.mean(codes_of(column, known, warns=False) == UNKNOWN))
        if share > STRANGE:
            yield Finding(
                "unknown categories",
                f"{share:.0%} of the values of the column {column.name!r} are categories that fit has not seen. To the "
                "network they are all the same: none.",
                {"share": share},
                "See that the column is written in the same way as in fit. Fit again on rows that have these "
                "categories, or join rare ones before.",
            )


def lost_digits(X: NDArray, shift: NDArray | None, names: Sequence[str]) -> Iterator[Finding]:
    """Columns whose numbers float32 changes, compared with their spread."""
    known = ~np.isnan(X).all(axis=0)
    X, names = X[:, known], [name for name, is_known in zip(names, known, strict=True) if is_known]
    numbers = X.astype(np.float64) if shift is None else X - shift[known]
    if not X.size:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(numbers - numbers.astype(np.float32))
        spread = np.subtract(*np.nanquantile(numbers, [0.75, 0.25], axis=0))
        spread = np.where(spread > 0, spread, np.nanmax(numbers, axis=0) - np.nanmin(numbers, axis=0))
        lost = np.nanmax(error, axis=0) / np.where(spread > 0, spread, np.inf)
    for number in np.flatnonzero(lost > LOST):
        yield Finding(
            "spread lost in float32",
            f"The network takes the column {names[number]!r} as float32, which changes its numbers by up to "
            f"{lost[number]:.1%} of their spread: they are far from 0 compared with how they differ.",
            {"share_of_spread": float(lost[number])},
            "Set input_scaling='robust', or put sklearn.preprocessing.StandardScaler before the network.",
        )


def _may_tell(column: NDArray, y: NDArray, is_classifier: bool) -> bool:
    """Whether a column may explain nearly all of y. It cannot where its commonest value has rows of all kinds.

    A tree takes a hundred times as long, and sparse tables have many columns that are mostly 0.
    """
    _, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
    of_commonest = y[codes == counts.argmax()]
    if not is_classifier:
        return bool(np.var(of_commonest) * len(of_commonest) < 10 * (1 - LEAK) * np.var(y) * len(y))
    missed = np.array([np.mean(of_commonest == label) for label in np.unique(y)]) * len(of_commonest)
    shares = missed / np.unique(y, return_counts=True)[1]
    return bool(shares.sum() - shares.max() < 10 * (1 - LEAK) * (len(shares) - 1))


def leaks(X: NDArray, y: NDArray, is_classifier: bool, names: Sequence[str]) -> Iterator[Finding]:
    """Columns that alone explain next to all of y, by a tree of one half of the rows, judged on the other half."""
    counts = np.unique(y, return_counts=True)[1] if is_classifier else np.array([len(y)])
    if (
        len(y) < FEWEST_ROWS
        or (is_classifier and (len(counts) < 2 or counts.min() < 4))
        or np.ptp(np.unique(y, return_inverse=True)[1]) == 0
    ):
        return
    halves = np.arange(len(y)) % 2 == 0
    make = DecisionTreeClassifier if is_classifier else DecisionTreeRegressor
    for number in range(X.shape[1]):
        column = np.nan_to_num(X[:, [number]].astype(np.float64), nan=float(np.finfo(np.float32).min))
        if not _may_tell(column.ravel(), y, is_classifier):
            continue
        scores = []
        for part in (halves, ~halves):
            tree = make(max_leaf_nodes=256, random_state=0).fit(column[part], y[part])
            predicted = tree.predict(column[~part])
            if is_classifier:
                scores.append(balanced_accuracy_score(y[~part], predicted, adjusted=True))
            else:
                scores.append(r2_score(y[~part], predicted))
        explained = float(np.mean(scores))
        if explained > LEAK:
            yield Finding(
                "leak suspected",
                f"The column {names[number]!r} alone explains {explained:.1%} of y.",
                {"explained": explained},
                "Ask whether its values are known before y is. If not, leave the column out of X.",
            )
