"""Every metric of classes gets y and the output in the layout that it is defined for, whatever the loss has."""

import keras
import numpy as np
import pytest
from keras import metrics as km
from sklearn import metrics as sm

from tests.plain import plain_classifier

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4)).astype(np.float32)
SCORES = X @ RNG.standard_normal((4, 3)) + 0.3 * RNG.standard_normal((120, 3))
TARGETS = {
    "two": np.where(SCORES[:, 0] > 0.5, "b", "a"),
    "three": np.argmax(SCORES, axis=1),
    "labels": (SCORES > 0).astype(int),
}
SPLIT = {"X": X[40:], "X_val": X[:40]}
pytestmark = pytest.mark.usefixtures("no_xla")


def two_columns(activation="softmax"):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation=activation)])


def held_out(y):
    """y as numbers of classes and as columns of all classes or labels."""
    if y.ndim == 2:
        return None, y.astype(float)
    codes = np.unique(TARGETS["two" if y.dtype.kind == "U" else "three"], return_inverse=True)[1][:40]
    return codes, np.eye(codes.max() + 1)[codes]


def clipped(p):
    return np.clip(p, 1e-7, 1 - 1e-7)


def cross_entropy(t, p):
    return -np.mean(t * np.log(clipped(p)) + (1 - t) * np.log(1 - clipped(p)))


def jaccard(c, d, **settings):
    return sm.jaccard_score(c, d, average="macro", **settings)


def at(part):
    """The share of labels found at least, where the other share is to be at least one half, as Keras has it."""

    def best(t, p):
        cuts = np.array([-1e-7, *(np.arange(1, 199) / 199), 1 + 1e-7])
        best = 0.0
        for cut in cuts:
            hit = p.ravel() > cut
            found, rejected = np.mean(hit[t.ravel() == 1]), np.mean(~hit[t.ravel() == 0])
            share, other = (found, rejected) if part == "found" else (rejected, found)
            best = max(best, share) if other >= 0.5 else best
        return best

    return best


# What each is to be: of columns t and probabilities p, that of class 1 for two classes.
OF_COLUMNS = {
    "binary_accuracy": lambda t, p: np.mean((p > 0.5) == t),
    "auc": lambda t, p: sm.roc_auc_score(t.ravel(), p.ravel()),
    "precision": lambda t, p: sm.precision_score(t.ravel(), p.ravel() > 0.5),
    "recall": lambda t, p: sm.recall_score(t.ravel(), p.ravel() > 0.5),
    "true_positives": lambda t, p: np.sum((p > 0.5) & (t == 1)),
    "true_negatives": lambda t, p: np.sum((p <= 0.5) & (t == 0)),
    "false_positives": lambda t, p: np.sum((p > 0.5) & (t == 0)),
    "false_negatives": lambda t, p: np.sum((p <= 0.5) & (t == 1)),
    "binary_crossentropy": cross_entropy,
    "mse": lambda t, p: np.mean((t - p) ** 2),
    "mae": lambda t, p: np.mean(np.abs(t - p)),
    "msle": lambda t, p: np.mean((np.log1p(t) - np.log1p(p)) ** 2),
    "root_mean_squared_error": lambda t, p: np.sqrt(np.mean((t - p) ** 2)),
    "log_cosh_error": lambda t, p: np.mean(np.log(np.cosh(t - p))),
    "hinge": lambda t, p: np.mean(np.maximum(1 - (2 * t - 1) * p, 0)),
    "squared_hinge": lambda t, p: np.mean(np.maximum(1 - (2 * t - 1) * p, 0) ** 2),
    "poisson": lambda t, p: np.mean(p - t * np.log(p + 1e-7)),
    "r2_score": lambda t, p: sm.r2_score(t, p),
    "binary_iou": lambda t, p: jaccard(t.ravel(), p.ravel() > 0.5),
    km.AUC(from_logits=True, name="auc_of_logits"): lambda t, p: sm.roc_auc_score(t.ravel(), p.ravel()),
    km.BinaryCrossentropy(from_logits=True, name="bce_of_logits"): cross_entropy,
    km.SensitivityAtSpecificity(0.5, name="sensitivity"): at("found"),
    km.SpecificityAtSensitivity(0.5, name="specificity"): at("rejected"),
    keras.losses.BinaryFocalCrossentropy(name="focal"): lambda t, p: np.mean(
        (t * -np.log(clipped(p)) * (1 - p) ** 2) + (1 - t) * -np.log(clipped(1 - p)) * p**2
    ),
}
# Of numbers of classes c, a column a class t and probabilities p.
OF_CLASSES = {
    "accuracy": lambda c, t, p: np.mean(c == p.argmax(1)),
    km.Accuracy(name="equal"): lambda c, t, p: np.mean(c == p.argmax(1)),
    "categorical_accuracy": lambda c, t, p: np.mean(c == p.argmax(1)),
    "sparse_categorical_accuracy": lambda c, t, p: np.mean(c == p.argmax(1)),
    km.TopKCategoricalAccuracy(2, name="top_2"): lambda c, t, p: (
        np.mean(np.argsort(-p, axis=1)[:, :2] == c[:, None]) * 2
    ),
    km.SparseTopKCategoricalAccuracy(1, name="top_1"): lambda c, t, p: np.mean(c == p.argmax(1)),
    "crossentropy": lambda c, t, p: sm.log_loss(c, p) if len(t.T) > 2 else cross_entropy(t[:, 1], p[:, 1]),
    "categorical_crossentropy": lambda c, t, p: sm.log_loss(c, p),
    "sparse_categorical_crossentropy": lambda c, t, p: sm.log_loss(c, p),
    km.CategoricalCrossentropy(from_logits=True, name="cce_of_logits"): lambda c, t, p: sm.log_loss(c, p),
    km.SparseCategoricalCrossentropy(from_logits=True, name="scce_of_logits"): lambda c, t, p: sm.log_loss(c, p),
    "categorical_hinge": lambda c, t, p: np.mean(np.maximum(np.max((1 - t) * p, 1) - np.sum(t * p, 1) + 1, 0)),
    "kl_divergence": lambda c, t, p: sm.log_loss(c, p),
    "mean_iou": lambda c, t, p: jaccard(c, p.argmax(1)),
    km.IoU(3, [1], name="iou_1"): lambda c, t, p: jaccard(c, p.argmax(1), labels=[1]),
    km.OneHotIoU(3, [0, 1], name="iou_0_1"): lambda c, t, p: jaccard(c, p.argmax(1), labels=[0, 1]),
    "one_hot_mean_iou": lambda c, t, p: jaccard(c, p.argmax(1)),
    km.MeanIoU(3, sparse_y_true=False, sparse_y_pred=False, name="iou_of_columns"): lambda c, t, p: jaccard(
        c, p.argmax(1)
    ),
    km.Precision(class_id=1, name="precision_1"): lambda c, t, p: sm.precision_score(c == 1, p[:, 1] > 0.5),
    km.Recall(top_k=1, name="recall_top"): lambda c, t, p: np.mean(c == p.argmax(1)),
}
# Of columns t of classes or labels, probabilities p, and what is predicted.
OF_ROWS = {
    "cosine_similarity": lambda t, p, d: np.mean(
        np.sum(t * p, 1) / np.maximum(np.linalg.norm(t, axis=1), 1e-12) / np.linalg.norm(p, axis=1)
    ),
    km.F1Score(average="macro", name="f1_macro"): lambda t, p, d: sm.f1_score(t, d, average="macro"),
    km.F1Score(average="micro", name="f1_micro"): lambda t, p, d: sm.f1_score(t, d, average="micro"),
    km.FBetaScore(average="weighted", beta=2.0, name="f2"): lambda t, p, d: sm.fbeta_score(
        t, d, beta=2, average="weighted"
    ),
}


def product(y_true, y_pred):
    assert y_true.shape[1] == y_pred.shape[1]
    return keras.ops.mean(keras.ops.cast(y_true, "float32") * y_pred, axis=-1)


def product_in_batch(y_true, y_pred):
    return keras.ops.mean(keras.ops.cast(y_true, "float32") * y_pred)


LOGITS = "from_logits"
CASES = [
    ("two", None, "binary_crossentropy", "compiled"),
    ("two", None, "mse", "compiled"),
    ("two", None, keras.losses.BinaryCrossentropy(from_logits=True), "compiled"),
    ("two", None, "binary_crossentropy", "keras"),
    ("two", "softmax", "sparse_categorical_crossentropy", "compiled"),
    ("two", "softmax", "categorical_crossentropy", "compiled"),
    ("two", None, keras.losses.BinaryCrossentropy(from_logits=True), "keras"),
    ("two", "linear", keras.losses.SparseCategoricalCrossentropy(from_logits=True), "compiled"),
    ("three", None, "sparse_categorical_crossentropy", "compiled"),
    ("three", None, "categorical_crossentropy", "compiled"),
    ("three", None, keras.losses.CategoricalCrossentropy(from_logits=True), "compiled"),
    ("three", None, "sparse_categorical_crossentropy", "keras"),
    ("labels", None, "binary_crossentropy", "compiled"),
    ("labels", None, keras.losses.BinaryCrossentropy(from_logits=True), "compiled"),
    ("labels", None, "binary_crossentropy", "keras"),
]


def fitted(kind, activation, loss, engine, metrics, **settings):
    y = TARGETS[kind]
    model = {"model": two_columns, "model__activation": activation} if activation else {"n_hidden": 0}
    settings = {"engine": engine, "epochs": 1, "learning_rate": 0.05, "random_state": 0} | settings
    mlp = plain_classifier(**model, loss=loss, metrics=metrics, batch_size=32, **settings)
    return mlp.fit(**SPLIT, y=y[40:], y_val=y[:40])


@pytest.mark.parametrize(("kind", "activation", "loss", "engine"), CASES)
def test_metrics_of_classes(kind, activation, loss, engine):
    several = kind == "labels"
    lists = [OF_COLUMNS, OF_ROWS, {} if several else OF_CLASSES]
    mlp = fitted(kind, activation, loss, engine, [metric for one in lists for metric in one] + [product])
    p = mlp.predict_proba(X[:40])
    codes, t = held_out(TARGETS[kind][:40])
    decided = (p > 0.5).astype(int) if several else np.eye(p.shape[1])[p.argmax(1)]
    column = (t[:, 1:], p[:, 1:]) if kind == "two" else (t, p)
    expected = {name: figure(*column) for name, figure in OF_COLUMNS.items()}
    expected |= {name: figure(t, p, decided) for name, figure in OF_ROWS.items()}
    expected |= {} if several else {name: figure(codes, t, p) for name, figure in OF_CLASSES.items()}
    expected["product"] = np.mean(np.mean(t * p, 1)) if activation or kind != "two" else np.mean(t[:, 1] * p[:, 1])
    expected = {getattr(metric, "name", metric): figure for metric, figure in expected.items()}
    wrong = {
        name: (mlp.history_[f"val_{name}"][0], figure)
        for name, figure in expected.items()
        if not np.isclose(mlp.history_[f"val_{name}"][0], figure, rtol=1e-4, atol=0.01 if "auc" in name else 1e-5)
    }
    assert not wrong
