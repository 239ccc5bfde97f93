"""Fresh Keras metrics from names, classes, objects and functions that users pass; and which way a figure goes."""

import contextlib
import inspect
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from sk_mlp._estimator.messages import counted, unknown_name
from sk_mlp._keras.inner import to_snake_case
from sk_mlp._keras.metric_forms import FORMS, keras_name
from sk_mlp._keras.metric_layouts import Output, laid_out
from sk_mlp._keras.routing import arguments_of, leaves_of, made, routed_arguments
from sk_mlp.engine.recipe import check_result
from sk_mlp.engine.structure import structure_of
from sk_mlp.losses import RowLoss

# Names that Keras resolves by the model's output; here the layout of y decides.
ACCURACIES = {
    "binary": keras.metrics.BinaryAccuracy,
    "sparse": keras.metrics.SparseCategoricalAccuracy,
    "one-hot": keras.metrics.CategoricalAccuracy,
}
CROSSENTROPIES = {
    "binary": keras.metrics.BinaryCrossentropy,
    "sparse": keras.metrics.SparseCategoricalCrossentropy,
    "one-hot": keras.metrics.CategoricalCrossentropy,
}
BY_LAYOUT = {"accuracy": ACCURACIES, "acc": ACCURACIES, "crossentropy": CROSSENTROPIES, "ce": CROSSENTROPIES}
# Names of these metrics and losses of Keras, besides those that Keras itself finds.
ALIASES = {
    "binary_iou": "BinaryIoU",
    "fbeta_score": "FBetaScore",
    "iou": "IoU",
    "kld": "KLDivergence",
    "mean_iou": "MeanIoU",
    "one_hot_iou": "OneHotIoU",
    "one_hot_mean_iou": "OneHotMeanIoU",
}
# Names of what histories hold besides metrics.
OF_HISTORIES = ("loss", "learning_rate", "best_epoch", "stopped_by")


def _by_name() -> dict[str, Any]:
    """Keras' metrics, classes before functions, by their names in snake case."""
    known = vars(keras.metrics)
    functions = {name: function for name, function in known.items() if inspect.isfunction(function) and name in FORMS}
    classes = {to_snake_case(name): cls for name, cls in known.items() if inspect.isclass(cls)}
    named = {name: cls for name, cls in classes.items() if name in FORMS}
    return functions | named | {alias: known[name] for alias, name in ALIASES.items() if name in known}


BY_NAME = _by_name()


def resolve_metrics(metrics: Any, arguments: Mapping[str, Any], output: Output) -> list[keras.metrics.Metric]:
    """Fresh Keras metrics from the ``metrics`` parameter, each of which gets y in the layout that it is defined for.

    A user's own function or class gets y in the shape of the output: a column for two classes where the output has
    one, else a column a class or label. The output is probabilities, also for a loss of logits; a metric that is told
    ``from_logits=True`` gets those.

    Parameters
    ----------
    metrics : list, tuple, dict, str, callable, keras.metrics.Metric or None
    arguments : mapping
        Named ``metrics__...`` by the user.
    output : Output
        Of the network: its layout decides what "accuracy" means.

    Raises
    ------
    ValueError
        For an unknown name or argument, a metric that means nothing for such a y, and metrics of one name.
    """
    if metrics is None:
        return []
    given = list(leaves_of(metrics))
    found = [(path, _found(item, output) if isinstance(item, str) else item) for path, item in given]
    resolved = []
    routed = routed_arguments("metrics", found, arguments)
    for (_, named), (_, item), arguments in zip(given, found, routed, strict=True):
        own_name = {"name": named} if isinstance(named, str) else {}
        resolved.append(laid_out(_metric(item, own_name | arguments, output), output))
    names = [metric.name for metric in resolved]
    taken = [*OF_HISTORIES, *(f"val_{name}" for name in ["loss", *names])]
    if len(set(names)) < len(names) or {*names} & {*taken}:
        raise ValueError(
            "The 'metrics' parameter must hold metrics of different names, which must not be names of other figures in "
            f"histories ({', '.join(map(repr, taken))}). Got {names}."
        )
    return resolved


def check_metrics(metrics: list[keras.metrics.Metric], output: Output) -> str:
    """Name of the first metric that counts rows of weight 0, and so needs batches without any; "" if there is none.

    Raises
    ------
    ValueError
        For a metric that cannot be computed for such a y, or whose result is not a single number.
    """
    needs_whole_batches = ""
    y, p = output.example()
    for metric in metrics:
        try:
            metric.update_state(y, p)
            metric.result()
        except Exception as error:  # a user's code may raise anything
            raise ValueError(
                f"The 'metrics' parameter must hold metrics that suit this y. Got {metric.name!r}, which fails for "
                f"an output of {counted(p.shape[1], 'column')}: {error}"
            ) from error
        check_result(metric)
        metric.reset_state()
        if not needs_whole_batches and not _leaves_out_padding(metric, y, p):
            needs_whole_batches = metric.name
    return needs_whole_batches


def _leaves_out_padding(metric: keras.metrics.Metric, y: Any, p: Any) -> bool:
    """Whether a row of weight 0 changes nothing, as in Keras' own metrics."""
    inner = getattr(metric, "metric", metric)
    of_rows = not isinstance(inner, keras.metrics.MeanMetricWrapper) or getattr(inner, "axis", -1) == -1
    if type(inner).__module__.startswith("keras.") and keras_name(inner) and of_rows:
        return True
    figures = []
    for n, weights in ((2, [1, 1]), (3, [1, 1, 0])):
        try:
            metric.update_state(y[:n], p[:n], sample_weight=np.array(weights, np.float32))
        except Exception:  # it may take no weights
            return False
        figures.append(float(metric.result()))
        metric.reset_state()
    return bool(np.isclose(figures[0], figures[1], rtol=1e-4, atol=1e-6, equal_nan=True))


def _found(name: str, output: Output) -> Any:
    """The metric class or function of this name, or what is registered with Keras under it."""
    if name in BY_LAYOUT and output.layout is not None:
        return BY_LAYOUT[name][output.layout]
    if name.lower() in BY_NAME:
        return BY_NAME[name.lower()]
    try:
        found = keras.metrics.get(name)  # other names of it, and what is registered
    except Exception:  # its class may be one that cannot be made
        found = None
    if found is None:
        raise unknown_name("metrics", name, _offered(output))
    return type(found) if isinstance(found, keras.metrics.Metric) else found


def _offered(output: Output) -> list[str]:
    """Names of metrics that need no arguments and mean something for such a y."""
    names = []
    for name, found in BY_NAME.items():
        with contextlib.suppress(ValueError):
            check_metrics([laid_out(_metric(found, {"name": name}, output), output)], output)
            names.append(name)
    return [*(BY_LAYOUT if output.layout else ()), *names]


def _metric(item: Any, arguments: dict[str, Any], output: Output) -> keras.metrics.Metric:
    """A fresh metric from a class and its arguments, an object or a function."""
    if inspect.isclass(item):
        cls: Any = item
        if issubclass(cls, keras.metrics.Metric) and "num_classes" in arguments_of(cls)[0]:
            arguments.setdefault("num_classes", 2 if output.several_labels else output.n_classes)
        if issubclass(cls, keras.metrics.Metric) and "name" in arguments_of(cls)[0]:
            unnamed = arguments_of(cls)[0]["name"].default is None  # else Keras would number it, on and on
            arguments |= {"name": arguments.get("name") or to_snake_case(cls.__name__)} if unnamed else {}
        item = made("metrics", cls, arguments)
        if isinstance(item, keras.metrics.Metric):
            return item
    if isinstance(item, keras.metrics.Metric):
        return _fresh(item)
    if not callable(item):
        raise ValueError(f"The 'metrics' parameter must hold names, Keras metrics or functions. Got {item!r}.")
    name = arguments.get("name", getattr(item, "name", None) or getattr(item, "__name__", "metric"))
    function = RowLoss(item) if isinstance(item, keras.losses.Loss) else item
    return keras.metrics.MeanMetricWrapper(function, name=name)


def _fresh(metric: keras.metrics.Metric) -> keras.metrics.Metric:
    """Another metric like this one; itself, where its class does not say how it was made."""
    try:
        other = type(metric).from_config(metric.get_config())
        return other if structure_of(other) == structure_of(metric) else metric
    except Exception:  # a user's class may raise anything
        return metric


# Words in the name of a metric that does not say which way it goes. Some scores are to fall.
RISING = re.compile("accuracy|auc|f1|iou(?!s)|precision|(?<!erro)r2|recall|score|sensitivity|similarity|specificity")
FALLING = re.compile("brier|crps|deviance|distance|divergence|entropy|error|loss|pinball")
SKILL = re.compile("(?<![a-z])d2|skill")  # against a constant prediction, whatever they measure


def sign_of(monitor: str, metrics: list[keras.metrics.Metric], names: list[str]) -> int:
    """1 if the monitored figure is to fall, -1 if it is to rise.

    Raises
    ------
    ValueError
        If there is no figure of this name.
    """
    if monitor not in names:
        raise unknown_name("monitor", monitor, names)
    name = monitor.removeprefix("val_")
    direction = {metric.name: getattr(metric, "_direction", None) for metric in metrics}.get(name)
    return -1 if direction == "up" or (direction is None and _rises(name)) else 1


def _rises(name: str) -> bool:
    name = name.lower()
    return bool(SKILL.search(name) or (RISING.search(name) and not FALLING.search(name)))


def best_possible(monitor: str, sign: int, scaled: bool) -> float | None:
    """The least that the monitored figure, times its sign, can be; None where that is not known.

    Parameters
    ----------
    monitor : str
    sign : int
        As `sign_of` returns it.
    scaled : bool
        Whether 1 is a large loss: not where the loss has the units of a regression's y.
    """
    name = monitor.removeprefix("val_")
    if sign == -1:
        return -1.0 if _rises(name) else None
    return 0.0 if scaled and name.endswith("loss") else None
