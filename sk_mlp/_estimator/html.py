"""A fitted network in HTML, for notebooks: its layers, its losses, its figures and its time.

It is shown within scikit-learn's diagram of the estimator, alone or in a pipeline, and made without any Keras object.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from sk_mlp._estimator.messages import counted

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP

MADE_WHEN_ASKED_FOR = ("model_",)  # attributes that take long to compute
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 360, 170, 46, 24, 8  # of the curve, in pixels
MOST_POINTS = 200
TRAINING, VALIDATION = "#E69F00", "#0072B2"  # that can be told apart with any kind of colour vision


class FittedTable:
    """scikit-learn's table of fitted attributes, with the network above it.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    doc_link : str
        Of its documentation.
    """

    def __init__(self, estimator: "BaseKerasMLP", doc_link: str = ""):
        self._estimator = estimator
        shown = BaseEstimator()  # scikit-learn asks for every attribute of the estimator
        vars(shown).update(_fitted_attributes(estimator))
        self._attributes = shown._get_fitted_attr_html(doc_link)
        self._attributes.estimator_class = type(estimator)

    def __len__(self) -> int:
        return len(self._attributes)

    def _repr_html_inner(self) -> str:
        if not hasattr(
            self._estimator, "_fitted"
        ):  # scikit-learn also shows estimators within a fitted search or ensemble
            return self._attributes._repr_html_inner()
        return network_html(self._estimator) + self._attributes._repr_html_inner()


def _fitted_attributes(estimator: "BaseKerasMLP") -> dict[str, Any]:
    names = [*vars(estimator), *(name for name in dir(type(estimator)) if _is_property(estimator, name))]
    public = [name for name in names if name.endswith("_") and not name.startswith("_")]
    if not hasattr(estimator, "_fitted"):
        return {}
    return {name: getattr(estimator, name) for name in public if name not in MADE_WHEN_ASKED_FOR}


def _is_property(estimator: "BaseKerasMLP", name: str) -> bool:
    return isinstance(getattr(type(estimator), name, None), property)


def network_html(estimator: "BaseKerasMLP") -> str:
    """The network of a fitted estimator.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    str
        HTML, in the style of scikit-learn's tables.
    """
    layers = layers_of(estimator)
    n_parameters = sum(n for *_, n in layers)
    rows = "".join(
        f'<tr style="color:black"><td style="text-align:left">{escape(name)}</td>'
        f'<td style="text-align:left">{escape(size)}</td><td style="text-align:right">{n:,}</td></tr>'
        for name, size, n in layers
    )
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in facts_of(estimator, n_parameters))
    return (
        '<div class="estimator-table sk-mlp-network"><details open><summary>Network</summary>'
        f'<ul style="margin:0.3em 0;padding:0 1em 0 2em;text-align:left">{facts}</ul>{curve_of(estimator)}'
        '<table class="parameters-table" style="margin-left:1em"><tbody>'
        f"<tr><th>Layer</th><th>Width</th><th>Parameters</th></tr>{rows}</tbody></table></details></div>"
    )


def layers_of(estimator: "BaseKerasMLP") -> list[tuple[str, str, int]]:
    """Each layer's name, widths in words, and number of parameters, in the order of the first network."""
    layout = estimator._fitted.layout
    found: dict[str, list[tuple[int, ...]]] = {}
    kernels: dict[str, tuple[int, ...]] = {}
    for path, shape in zip(layout.names[: layout.n_weights], layout.shapes, strict=False):
        layer, _, name = path.rpartition("/")
        if name != "seed_generator_state":  # of dropout layers, which count batches
            found.setdefault(layer, []).append(shape)
            if name == "kernel" and len(shape) == 2:
                kernels[layer] = shape
    spec = estimator._fitted.spec
    if spec is not None and "columns" in found:
        kernels["columns"] = (spec.n_features, spec.n_deep)
    return [
        (layer, _widths(kernels.get(layer)), sum(math.prod(shape) for shape in shapes))
        for layer, shapes in found.items()
    ]


def _widths(kernel: tuple[int, ...] | None) -> str:
    return "" if kernel is None else f"{kernel[0]:,} → {kernel[1]:,}"


def facts_of(estimator: "BaseKerasMLP", n_parameters: int) -> list[str]:
    """The facts about a fit, one sentence each."""
    members = estimator.member_histories_
    n, spec = len(members), estimator._fitted.spec
    parameters = counted(n_parameters, "parameter")
    facts = [parameters if n == 1 else f"{n} networks of {parameters} each, averaged"]
    if spec is not None:
        widths = " → ".join(f"{width:,}" for width in (spec.n_deep, *spec.hidden_layer_sizes, spec.n_outputs))
        hidden = f", activation {spec.activation}" if spec.hidden_layer_sizes else ""
        facts.append(f"widths {widths}{hidden}")
    kept = estimator.best_epoch_
    if kept >= 0:
        epochs = sorted({member["best_epoch"] + 1 for member in members})
        which = f"epoch {epochs[0]}" if len(epochs) == 1 else f"epochs {epochs[0]} to {epochs[-1]}"
        facts.append(f"{counted(estimator.n_iter_, 'epoch')} run, kept: {which}")
        figures = {name: values[kept] for name, values in estimator.history_.items() if name.startswith("val_")}
        shown = [f"{name.removeprefix('val_')} {value:.4g}" for name, value in figures.items() if np.isfinite(value)]
        if shown:
            facts.append(f"on held-out rows{', the mean of all networks' if n > 1 else ''}: {', '.join(shown)}")
    if hasattr(estimator, "fit_time_"):
        facts.append(f"trained in {estimator.fit_time_:.3g} s")
    return facts


def curve_of(estimator: "BaseKerasMLP") -> str:
    """The losses by epoch as an SVG picture; "" where there is nothing to draw."""
    history, kept = estimator.history_, estimator.best_epoch_
    n_epochs = len(history["loss"])
    if len(estimator.member_histories_) > 1 and kept >= 0:
        n_epochs = kept + 1  # means are level from the last epoch that a network keeps
    curves = {
        label: np.asarray(history[name][:n_epochs], dtype=float)
        for label, name in (("training", "loss"), ("validation", "val_loss"))
        if name in history and np.isfinite(history[name]).any()
    }
    if not curves:
        return ""
    values = np.concatenate([losses[np.isfinite(losses)] for losses in curves.values()])
    is_log = bool(values.min() > 0 and values.max() > 10 * values.min())
    low, high = (np.log10(values.min()), np.log10(values.max())) if is_log else (values.min(), values.max())

    def place(epoch: int, loss: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - 8) * (epoch / (n_epochs - 1) if n_epochs > 1 else 0.5)
        share = ((np.log10(loss) if is_log else loss) - low) / (high - low) if high > low else 0.5
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)

    strokes = {"training": f'stroke="{TRAINING}" stroke-dasharray="5 2"', "validation": f'stroke="{VALIDATION}"'}
    drawn = []
    for label, losses in curves.items():
        epochs = [e for e in _thinned(n_epochs, kept) if np.isfinite(losses[e])]
        points = " ".join("{:.1f},{:.1f}".format(*place(e, losses[e])) for e in epochs)
        drawn.append(f'<polyline points="{points}" fill="none" stroke-width="1.6" {strokes[label]}/>')
    marked = [(label, losses[kept]) for label, losses in curves.items() if kept >= 0 and np.isfinite(losses[kept])]
    if marked:
        label, loss = marked[-1]
        x, y = place(kept, loss)
        color = TRAINING if label == "training" else VALIDATION
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"><title>kept: {loss:.4g}</title></circle>')
    return _framed("".join(drawn), list(curves), (values.min(), values.max()), n_epochs)


def _thinned(n_epochs: int, kept: int) -> list[int]:
    """Numbers of the epochs to draw, with the first, the last and the kept one among them."""
    some = np.linspace(0, n_epochs - 1, min(n_epochs, MOST_POINTS)).round().astype(int)
    return sorted({*some.tolist(), *([kept] if kept >= 0 else [])})


def _framed(drawn: str, labels: Sequence[str], span: tuple[float, float], n_epochs: int) -> str:
    """A picture with axes, their ends' values and a legend."""
    base, right = HEIGHT - BOTTOM, WIDTH - 8
    text = 'font-size="10" fill="currentColor" stroke="none"'
    low, high = span
    epochs = f'<text x="{right}" y="{base + 16}" text-anchor="end" {text}>{n_epochs}</text>' if n_epochs > 1 else ""
    legend = {
        "training": f'<tspan fill="{TRAINING}">- - </tspan>',
        "validation": f'<tspan fill="{VALIDATION}">— </tspan>',
    }
    names = " &#160; ".join(f"{legend[label]}{label}" for label in labels)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif"><title>Loss by epoch</title>'
        f'<path d="M{LEFT - 4} {TOP}V{base + 4}H{right}" fill="none" stroke="currentColor" stroke-width="0.8"/>'
        f'<text x="{LEFT - 8}" y="{TOP + 8}" text-anchor="end" {text}>{high:.2g}</text>'
        f'<text x="{LEFT - 8}" y="{base + 2}" text-anchor="end" {text}>{low:.2g}</text>'
        f'<text x="{LEFT}" y="{base + 16}" {text}>1</text>{epochs}'
        f'<text x="{(LEFT + right) / 2}" y="{base + 16}" text-anchor="middle" {text}>epoch</text>'
        f'<text x="{right}" y="{TOP + 8}" text-anchor="end" {text}>{names}</text>{drawn}</svg>'
    )
