"""Networks of different widths in one compiled program.

The narrower ones are padded with neurons that do nothing: their weights are zero, their outputs are zero, for the
activation takes 0 to 0, and so are all their gradients. Their optimizer state stays zero too. Another program costs a
few seconds of tracing and compiling, and padding costs arithmetic: how much there is to train decides which is cheaper.
"""

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sk_mlp._network.build import blueprint_of_spec
from sk_mlp._network.names import AUX_OUTPUT, DEEP, OUTPUT, depth_of
from sk_mlp._network.spec import NetworkSpec
from sk_mlp.engine.recipe import Parts, Recipe
from sk_mlp.engine.run import Run
from sk_mlp.engine.variable_groups import ELEMENTWISE

# Activations that work neuron by neuron and take 0 to 0.
THROUGH_ZERO = {"elu", "gelu", "leaky_relu", "linear", "mish", "relu", "selu", "silu", "tanh"}

COMPILE_SECONDS = 2.5  # processor time of tracing and compiling one more program
SECONDS_A_WEIGHT = 1.7e-10  # processor time of a step, by weight and row of the batch
EXPECTED_SHARE = 0.4  # of the epochs that a member may have, where it may stop early


def family(recipe: Recipe) -> Hashable:
    """A key that is equal for recipes whose networks can be padded to the same one."""
    spec = recipe.blueprint.spec
    if (
        spec is None
        or spec.activation not in THROUGH_ZERO
        or spec.skip_connection  # the padding would lie between the weights rather than at their end
        or recipe.optimizer_class not in ELEMENTWISE  # others look at a whole variable
        or recipe.optimizer_config.get("epsilon") == 0  # by which zero gradients are divided
        or recipe.frozen
    ):
        return recipe.key
    return _of_sizes(recipe, spec, (1,) * len(spec.hidden_layer_sizes)).key


def widest(recipes: list[Recipe]) -> Recipe:
    """A recipe with hidden layers as wide as the widest of these recipes, which are of one family."""
    specs = [recipe.blueprint.spec for recipe in recipes]
    if specs[0] is None or len(set(specs)) == 1:
        return recipes[0]
    sizes = zip(*(spec.hidden_layer_sizes for spec in specs if spec), strict=True)
    return _of_sizes(recipes[0], specs[0], tuple(map(max, sizes)))


def _of_sizes(recipe: Recipe, spec: NetworkSpec, sizes: tuple[int, ...]) -> Recipe:
    spec = replace(spec, hidden_layer_sizes=sizes)
    return replace(recipe, blueprint=blueprint_of_spec(spec, 0.5 * spec.dropout))


def narrowed(parts: Parts, recipe: Recipe) -> Parts:
    """Parts of a narrower network, for its layout and initial states; to make the network takes 40 ms longer."""
    spec = recipe.blueprint.spec
    assert spec
    layout = parts.layout
    shapes = [
        _narrower_shape(name, shape, spec.hidden_layer_sizes)
        for name, shape in zip(layout.names[: parts.n_weights], layout.shapes, strict=False)
    ]
    of_slot: dict[int, tuple[int, ...]] = {}
    trainable = parts.variables[: parts.n_trainable]
    for slots in vars(parts.optimizer).values():
        if isinstance(slots, list) and [getattr(slot, "shape", None) for slot in slots] == [v.shape for v in trainable]:
            of_slot |= zip(map(id, slots), shapes, strict=False)
    others = zip(parts.variables[parts.n_weights :], layout.shapes[parts.n_weights :], strict=True)
    return parts.narrowed([*shapes, *(of_slot.get(id(variable), shape) for variable, shape in others)])


def _narrower_shape(name: str, shape: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a variable, by layer and name as `build_network` gives them, with hidden layers of these sizes."""
    layer, _, variable = name.partition("/")
    kind, depth = depth_of(layer)
    n_before = len(sizes) if layer in (OUTPUT, AUX_OUTPUT) else 0
    if kind in DEEP:
        n_before = depth - 1
        shape = (*shape[:-1], sizes[n_before])
    return (sizes[n_before - 1], *shape[1:]) if variable == "kernel" and n_before else shape


def in_corner(array: NDArray, shape: tuple[int, ...]) -> NDArray:
    """An array, followed by zeros along each axis."""
    if array.shape == shape:
        return array
    padded = np.zeros(shape, array.dtype)
    corner(padded, array.shape)[...] = array
    return padded


def corner(array: NDArray, shape: tuple[int, ...]) -> NDArray:
    """The part of this shape at the beginning of each axis; a view."""
    return array[tuple(map(slice, shape))]


def merged(groups: list[list[Run]], share: float) -> list[list[Run]]:
    """Join groups of runs where one program for all is faster.

    Parameters
    ----------
    groups : list of list of Run
        A group's networks are the same; those of different groups differ in the widths of their hidden layers only.
    share : float
        Of the epochs that they may have, expected to be run.

    Returns
    -------
    list of list of Run
        At least one group in each.
    """
    groups = sorted(groups, key=lambda runs: runs[0].recipe.blueprint.n_weights)
    n_rows = [share * sum(_rows_to_train(run) for run in runs) for runs in groups]
    best: list[tuple[float, list]] = [(0.0, [])]  # seconds and ranges of the best way for the first groups
    for end in range(1, len(groups) + 1):
        choices = []
        for begin in range(end):  # the last program takes the groups from here on
            wide = widest([runs[0].recipe for runs in groups[begin:end]])
            seconds = COMPILE_SECONDS + SECONDS_A_WEIGHT * wide.blueprint.n_weights * sum(n_rows[begin:end])
            choices.append((best[begin][0] + seconds, [*best[begin][1], (begin, end)]))
        best.append(min(choices))
    return [[run for runs in groups[begin:end] for run in runs] for begin, end in best[-1][1]]


def _rows_to_train(run: Run) -> float:
    """How many rows a run is expected to be trained on, epoch by epoch."""
    share = 1.0 if run.member.patience is None else EXPECTED_SHARE
    return share * run.member.epochs * len(run.member.train)
