"""Every metric of classes gets y and the output in the layout that it is defined for, whatever the loss has."""

import keras
import numpy as np
import pytest
from keras import metrics as km
from keras.src.utils.naming import to_snake_case
from plain import plain_classifier, plain_regressor
from sklearn import metrics as sm

from sk_mlp._keras.metric_forms import FORMS
from sk_mlp._keras.metric_layouts import Output
from sk_mlp._keras.metrics import resolve_metrics

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
    return keras.ops.mean(y_true * y_pred, axis=-1)


def data_of(kind, n_columns, layout):
    """y as a loss of this layout has it, and probabilities, of a column a class or label."""
    y = TARGETS[kind]
    codes = None if y.ndim == 2 else np.unique(y, return_inverse=True)[1]
    hot = y.astype(np.float32) if codes is None else np.eye(codes.max() + 1, dtype=np.float32)[codes]
    p = 1 / (1 + np.exp(-SCORES[:, : hot.shape[1]]))
    p = (p if kind == "labels" else p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    columns = hot[:, 1:] if n_columns == 1 else hot
    return codes, hot, p, codes[:, None].astype(np.int32) if layout == "sparse" else columns


CASES = [
    ("two", 1, "binary"),
    ("two", 2, "sparse"),
    ("two", 2, "one-hot"),
    ("three", 3, "sparse"),
    ("three", 3, "one-hot"),
    ("labels", 3, "binary"),
]


@pytest.mark.parametrize("of_logits", [False, True])
@pytest.mark.parametrize(("kind", "n_columns", "layout"), CASES)
def test_every_metric_of_classes(kind, n_columns, layout, of_logits):
    several = kind == "labels"
    codes, t, p, y = data_of(kind, n_columns, layout)
    output = p[:, 1:] if n_columns == 1 else p
    if of_logits:
        output = np.log(output) - (np.log1p(-output) if several or n_columns == 1 else 0)
    decided = (p > 0.5).astype(int) if several else np.eye(p.shape[1])[p.argmax(1)]
    column = (t[:, 1:], p[:, 1:]) if kind == "two" else (t, p)
    expected = {name: figure(*column) for name, figure in OF_COLUMNS.items()}
    expected |= {name: figure(t, p, decided) for name, figure in OF_ROWS.items()}
    expected |= {} if several else {name: figure(codes, t, p) for name, figure in OF_CLASSES.items()}
    expected[product] = np.mean(t * p if n_columns > 1 else t[:, 1] * p[:, 1])
    metrics = resolve_metrics(list(expected), {}, Output(layout, n_columns, of_logits))
    wrong = {}
    padding = np.r_[np.ones(120), np.zeros(8)].astype(np.float32)
    for metric, (name, figure) in zip(metrics, expected.items(), strict=True):
        metric.update_state(np.r_[y, y[:8]], np.r_[output, output[:8]], sample_weight=padding)
        if not np.isclose(
            found := float(metric.result()), figure, rtol=1e-4, atol=0.01 if "auc" in str(name) else 1e-5
        ):
            wrong[metric.name] = found, figure
    assert not wrong


SOME = ["accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "auc", "mse", km.MeanIoU(2, name="iou")]
OF_LABELS = ["accuracy", "recall", km.F1Score(average="macro", name="f1"), km.MeanIoU(2, name="iou")]
OF_THREE = ["categorical_accuracy", "precision", km.F1Score(average="macro", name="f1"), "crossentropy", product]


def fitted(kind, metrics, **settings):
    y = TARGETS[kind]
    settings = {"n_hidden": 0, "epochs": 1, "learning_rate": 0.05, "random_state": 0} | settings
    mlp = plain_classifier(settings.pop("model", None), metrics=metrics, **settings)
    mlp.fit(**SPLIT, y=y[40:], y_val=y[:40])
    return mlp, {name.removeprefix("val_"): values[0] for name, values in mlp.history_.items() if name[:4] == "val_"}


@pytest.mark.parametrize(
    ("kind", "metrics", "settings"),
    [
        ("two", SOME, {}),
        ("two", SOME, {"model": two_columns, "n_hidden": 3}),
        ("two", ["categorical_accuracy", "auc"], {"loss__from_logits": True, "engine": "keras"}),
        ("three", OF_THREE, {}),
        ("three", OF_THREE, {"loss": "categorical_crossentropy", "engine": "keras"}),
        ("labels", OF_LABELS, {}),
    ],
)
def test_metrics_of_a_fit(kind, metrics, settings):
    mlp, found = fitted(kind, metrics, **settings)
    p, y = mlp.predict_proba(X[:40]), TARGETS[kind][:40]
    decided = mlp.predict(X[:40])
    codes = y if kind == "labels" else np.unique(TARGETS[kind], return_inverse=True)[1][:40]
    right = np.mean(decided == y)
    macro = {"average": "macro"}
    expected = {
        "two": lambda: {"auc": sm.roc_auc_score(y == "b", p[:, 1]), "mse": sm.brier_score_loss(y == "b", p[:, 1])},
        "three": lambda: {
            "precision": sm.precision_score(np.eye(3)[codes].ravel(), p.ravel() > 0.5),
            "f1": sm.f1_score(y, decided, **macro),
            "crossentropy": sm.log_loss(y, p),
            "product": np.mean(np.eye(3)[codes] * p),
        },
        "labels": lambda: {
            "recall": sm.recall_score(y.ravel(), decided.ravel()),
            "f1": sm.f1_score(y, decided, **macro),
        },
    }[kind]()
    iou = sm.jaccard_score(codes.ravel(), (decided if kind == "labels" else decided == "b").ravel(), **macro)
    expected |= {"iou": iou} if "iou" in found else {}
    expected |= dict.fromkeys([name for name in found if name.endswith("accuracy")], right)
    for name in found.keys() - {"loss"}:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=0.01 if name == "auc" else 1e-6)


def test_categorical_accuracy_as_monitor():
    mlp = plain_classifier(
        n_hidden=0, metrics=["categorical_accuracy"], monitor="val_categorical_accuracy", epochs=6, random_state=0
    )
    y = TARGETS["two"]
    mlp.set_params(learning_rate=0.1, patience=6).fit(**SPLIT, y=y[40:], y_val=y[:40])
    best = mlp.history_["val_categorical_accuracy"]
    assert len(set(best)) > 1
    np.testing.assert_allclose(max(best), mlp.score(X[:40], y[:40]), rtol=1e-6)


def product_of_batch(y_true, y_pred):
    return keras.ops.mean(y_true * y_pred)


class Careless(km.Mean):
    """A metric that does not heed weights."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(keras.ops.square(y_true - y_pred))


def test_metrics_that_do_not_leave_out_padding(capsys):
    metrics = [product_of_batch, Careless(name="careless"), "mse"]
    mlp, found = fitted("two", metrics, verbose=1)
    assert "the metric 'product_of_batch' needs whole batches" in capsys.readouterr().out
    of_b, p = TARGETS["two"][:40] == "b", mlp.predict_proba(X[:40])[:, 1]
    np.testing.assert_allclose(found["product_of_batch"], np.mean(of_b * p), rtol=1e-5)
    np.testing.assert_allclose(found["careless"], found["mse"], rtol=1e-5)


def test_thresholds_of_logits():
    metrics = [km.Precision(thresholds=0, name="of_logits"), "precision"]
    _, found = fitted("two", metrics, loss=keras.losses.BinaryCrossentropy(from_logits=True))
    assert found["of_logits"] == found["precision"]


@pytest.mark.parametrize(
    ("kind", "metric", "expected"),
    [
        ("labels", "categorical_accuracy", "'categorical_accuracy', which compares classes of which one is right"),
        ("labels", km.SparseTopKCategoricalAccuracy(name="top"), "'top', which compares classes of which one is right"),
        ("labels", km.OneHotIoU(3, [1], name="iou"), "'iou', which compares classes of which one is right"),
        ("labels", keras.losses.categorical_crossentropy, "'categorical_crossentropy', which compares classes"),
        ("two", "mean_absolute_percentage_error", "which divides by y, for classes that are 0 and 1"),
        ("three", km.MeanIoU(2, name="iou"), "'iou', which is of num_classes=2, for 3 classes"),
        ("three", km.Precision(class_id=3, name="third"), "'third', which fails for an output of 3 columns"),
        ("three", km.Recall(top_k=4, name="top"), "'top', which fails for an output of 3 columns"),
        ("three", km.AUC(multi_label=True, num_labels=2, name="auc"), "'auc', which fails for an output of 3 columns"),
        ("three", "f1_score", "single number. The metric 'f1_score' returns .* Set its average to 'macro'"),
        ("three", "fbeta_score", "single number. The metric 'fbeta_score' returns .* Set its average to 'macro'"),
        ("two", km.Precision(thresholds=[0.2, 0.8], name="two"), "single number. The metric 'two' returns"),
        ("two", km.Mean(name="mean"), "'mean', which takes the mean of one array"),
        ("two", km.R2Score(num_regressors=2, name="r2"), "'r2', whose num_regressors needs a number of rows"),
        ("two", "precision_at_recall", r"metrics' arguments .* are not valid: .*'recall'"),
        ("two", lambda y, p: y @ p, "'<lambda>', which fails for an output of 1 column"),
    ],
)
def test_metrics_that_mean_nothing(kind, metric, expected):
    with pytest.raises(ValueError, match=expected):
        fitted(kind, [metric])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", "'accuracy', which is for classes, not for numbers"),
        (km.AUC(name="auc"), "'auc', which is for classes, not for numbers"),
        ("cosine_similarity", "'cosine_similarity', which compares the columns of a row, for a y of one column"),
    ],
)
def test_metrics_that_mean_nothing_for_numbers(metric, expected):
    with pytest.raises(ValueError, match=expected):
        plain_regressor(metrics=[metric]).fit(X, SCORES[:, 0])


def test_metrics_of_several_numbers():
    y = SCORES[:, :2] * [1.0, 100.0] + [0.0, 1e3]
    metrics = ["r2_score", km.R2Score(class_aggregation="variance_weighted_average", name="r2_weighted"), "mae"]
    mlp = plain_regressor(n_hidden=0, metrics=metrics, epochs=1, random_state=0)
    mlp.fit(**SPLIT, y=y[40:], y_val=y[:40])
    y, predicted = y[:40], mlp.predict(X[:40])
    expected = {
        "r2_score": sm.r2_score(y, predicted),
        "r2_weighted": sm.r2_score(y, predicted, multioutput="variance_weighted"),
        "mae": sm.mean_absolute_error(y, predicted),
    }
    for name, figure in expected.items():
        np.testing.assert_allclose(mlp.history_[f"val_{name}"][0], figure, rtol=1e-3)


def test_every_metric_of_keras_has_a_layout():
    without = {"mean", "mean_metric_wrapper", "metric", "sum"}
    names = {to_snake_case(name) for name, cls in vars(km).items() if isinstance(cls, type)}
    assert names - without <= FORMS.keys()
