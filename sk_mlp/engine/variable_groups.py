"""Small variables joined to vectors for the optimizer.

For each variable that an optimizer updates, XLA compiles several kernels, at 20 to 40 ms each, and starts them at each
step. Most update rules work element by element: they do not care where a variable ends.
"""

import math
from collections.abc import Callable, Hashable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sk_mlp.engine.recipe import Parts, Recipe, averages_of, is_exempt, make_optimizer, stateless
from sk_mlp.exceptions import NotCompilableError

SMALL = 4096  # elements; joining and splitting larger ones at each step would cost more time than it saves
ELEMENTWISE = (
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adam,
    keras.optimizers.Adamax,
    keras.optimizers.AdamW,
    keras.optimizers.Lion,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.SGD,
)


class Grouping:
    """The variables of a compiled program's loop: groups of trainable ones, the non-trainable ones, the optimizer's.

    Parameters
    ----------
    recipe : Recipe
    parts : Parts
        Of the recipe.

    Attributes
    ----------
    optimizer : keras.optimizers.Optimizer
        Built on the groups; its ``stateless_apply`` works.
    n_groups, n_weights : int
        How many of the loop's variables are groups, and how many are groups or non-trainable.
    averages : list of int
        Numbers, among the loop's variables, of the groups' averages; of the groups themselves if none are taken.
    sources : list of list of int
        Which of the state's variables each of the loop's is made of.
    """

    def __init__(self, recipe: Recipe, parts: Parts):
        trainable = parts.variables[: parts.n_trainable]
        may_join = recipe.optimizer_class in ELEMENTWISE and not recipe.optimizer_config.get("clipnorm")
        groups: dict[Hashable, list[int]] = {}
        for i, variable in enumerate(trainable):
            is_small = math.prod(variable.shape) <= SMALL
            joins = may_join and is_small and i not in recipe.frozen and variable.constraint is None
            groups.setdefault(variable.dtype if joins else i, []).append(i)
        numbers = list(groups.values())
        joined = [_join([np.zeros(trainable[i].shape) for i in group]) for group in numbers]
        variables = [
            keras.Variable(array, dtype=trainable[g[0]].dtype) for array, g in zip(joined, numbers, strict=True)
        ]
        for variable, group in zip(variables, numbers, strict=True):
            variable.constraint = trainable[group[0]].constraint  # which the optimizer applies
        self.optimizer = make_optimizer(recipe, stateless(recipe.optimizer_class), variables)
        decaying = [np.full(v.shape, not is_exempt(recipe, i, v.shape)) for i, v in enumerate(trainable)]
        self.optimizer.decays = [_join([decaying[i] for i in group]) for group in numbers]
        index = {id(variable): i for i, variable in enumerate(parts.variables)}
        self.n_groups = len(groups)
        self.n_weights = self.n_groups + parts.n_weights - parts.n_trainable
        others = ([i] for i in range(parts.n_trainable, parts.n_weights))
        slots = _slots(self.optimizer, parts.optimizer, numbers)
        if not all(id(slot) in slots for slot in self.optimizer.variables):
            name = recipe.optimizer_class.__name__
            raise NotCompilableError(
                f"the state of {name} is not in variables and lists of them, which needs Keras' fit"
            )
        self.sources = [*numbers, *others]
        self.sources += [[index[id(v)] for v in slots[id(slot)]] for slot in self.optimizer.variables]
        self.averages = [self.index(v) for v in averages_of(self.optimizer)] or list(range(self.n_groups))
        self._shapes = [tuple(variable.shape) for variable in parts.variables]

    def join(self, arrays: list[NDArray]) -> list[NDArray]:
        """One member's variables, as in its state, to the loop's."""
        return [_join([arrays[i] for i in source]) for source in self.sources]

    def split(self, joined: list[NDArray]) -> list[NDArray]:
        """The loop's variables to those of one member's state."""
        return self._split(joined, lambda array, sizes: np.split(array, np.cumsum(sizes)[:-1]), np.reshape)

    def weights(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """The network's variables, from groups and non-trainable ones."""
        return self._split(values, tf.split, tf.reshape)

    def weights_to_predict(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """The network's variables to predict with, from all the loop's: averages, if they are taken."""
        return self.weights([*(values[i] for i in self.averages), *values[self.n_groups : self.n_weights]])

    def _split(self, joined: list, split: Callable, reshape: Callable) -> list:
        pieces: dict[int, Any] = {}
        for tensor, source in zip(joined, self.sources, strict=False):
            shapes = [self._shapes[i] for i in source]
            sizes = [math.prod(shape) for shape in shapes]
            parts = split(reshape(tensor, (-1,)), sizes) if len(source) > 1 else [tensor]
            pieces |= {i: reshape(part, shape) for i, part, shape in zip(source, parts, shapes, strict=True)}
        return [pieces[i] for i in sorted(pieces)]

    def index(self, slot: keras.Variable) -> int:
        """Number of one of the optimizer's variables among the loop's."""
        return self.n_weights + next(i for i, other in enumerate(self.optimizer.variables) if other is slot)


def _join(arrays: list[NDArray]) -> NDArray:
    """Arrays end to end as a vector; a single one as it is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.ravel(array) for array in arrays])


def _slots(
    grouped: keras.optimizers.Optimizer, stock: keras.optimizers.Optimizer, groups: list[list[int]]
) -> dict[int, list[keras.Variable]]:
    """For each variable of an optimizer of groups, by id: the variables of the stock optimizer that it joins."""
    slots = {}
    for name, theirs in vars(stock).items():
        ours = getattr(grouped, name, None)
        if isinstance(theirs, keras.Variable):
            slots[id(ours)] = [theirs]
        elif isinstance(theirs, list) and not name.startswith(("_variables", "_trainable_variables", "_self_")):
            slots |= {id(slot): [theirs[i] for i in group] for slot, group in zip(ours or [], groups, strict=False)}
    return slots
