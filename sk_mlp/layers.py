"""Keras layers for tables: encoders of columns, an activation with a learned share, and a model of named columns."""

import os
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import sk_mlp.losses  # noqa: F401  so that Keras knows all that a saved ``model_`` may hold
from sk_mlp._tables.categories import MISSING, UNKNOWN, known_texts
from sk_mlp._tables.dates import DateColumn
from sk_mlp._tables.names import exported_names
from sk_mlp._tables.plan import (
    CATEGORY_DIM,
    CLIP,
    LARGEST,
    N_BINS,
    N_FREQUENCIES,
    SCALE_FACTOR,
    SMALLEST_BIN,
    ColumnPlan,
)

__all__ = [
    "CategoryCodes",
    "ColumnEncoding",
    "ColumnShift",
    "DateFeatures",
    "ParametricActivation",
    "SortedOutputs",
    "TableModel",
]

# Every random object of a network is made with a seed, no matter which: Keras would otherwise draw one from the
# process's own generator. `engine.recipe.Parts` then draws the initial weights that count from a member's own seed.
ANY_SEED = 0


@keras.saving.register_keras_serializable(package="sk_mlp")
class ColumnEncoding(keras.layers.Layer):
    """Turns columns of X, with categories by their codes, into the features for a network's first hidden layer.

    Missing numbers are filled, all are scaled, smoothly clipped and embedded; categories become columns of 0 and 1, or
    embeddings if there are many. ``sk_mlp._tables.encoding`` is the same in numpy.

    Parameters
    ----------
    plan : dict
        Fields of ``sk_mlp._tables.plan.ColumnPlan``.
    **kwargs : dict
        As of any Keras layer.
    """

    def __init__(self, plan: dict[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.plan = ColumnPlan(**{name: _as_tuples(value) for name, value in plan.items()})
        uniform = keras.initializers.RandomUniform
        plr, ple = self.plan.embedding == "plr", self.plan.embedding == "ple"
        self.frequency_initializer = keras.initializers.RandomNormal(stddev=0.25 if plr else 0.1, seed=ANY_SEED)
        self.phase_initializer = uniform(-np.pi, np.pi, seed=ANY_SEED)
        limit = (1 / max(self.plan.n_basis, 1)) ** 0.5
        self.mixing_initializer = uniform(-limit, limit, seed=ANY_SEED)
        self.mixing_bias_initializer = uniform(-limit, limit, seed=ANY_SEED)
        for i in range(len(self.plan.embedded)):
            setattr(self, f"category_{i}_initializer", keras.initializers.RandomNormal(stddev=0.3, seed=ANY_SEED))
        self._has_phase, self._has_frequency = not (plr or ple), not ple

    def build(self, input_shape: tuple) -> None:
        """Make the variables."""
        plan = self.plan
        n = len(plan.numeric)
        if plan.embedding:
            if self._has_frequency:
                self.frequency = self._weight("frequency", (n, N_FREQUENCIES))
            if self._has_phase:
                self.phase = self._weight("phase", (n, N_FREQUENCIES))
            self.mixing = self._weight("mixing", (n, plan.n_basis, plan.embedding_dim))
            self.mixing_bias = self._weight("mixing_bias", (n, plan.embedding_dim))
        for i, (_, n_categories) in enumerate(plan.embedded):
            setattr(self, f"category_{i}", self._weight(f"category_{i}", (n_categories + 1, CATEGORY_DIM)))
        if plan.learned_scale:
            start = keras.initializers.Constant(1 / SCALE_FACTOR)
            self.factor = self.add_weight(name="factor", shape=(plan.width,), initializer=start)
        if n:
            self.fill, self.center, self.scale = (self._learned(name, (n,)) for name in ("fill", "center", "scale"))
        if plan.slots:
            self.known = self._learned("known", (len(plan.slots),))
        for i, (_, n_categories) in enumerate(plan.embedded):
            setattr(self, f"category_known_{i}", self._learned(f"category_known_{i}", (n_categories + 1,)))
        if plan.embedding == "ple":
            self.boundaries = self._learned("boundaries", (n, N_BINS + 1))

    def _weight(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(name=name, shape=shape, initializer=getattr(self, f"{name}_initializer"))

    def _learned(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        """Encode rows."""
        plan, parts = self.plan, []
        if plan.numeric:
            z = _take(inputs, plan.numeric)
            missing = ops.isnan(z)
            z = (ops.where(missing, self.fill, z) - self.center) * self.scale
            if plan.clip:
                z = ops.clip(z, -LARGEST, LARGEST)
                z = z * ops.rsqrt(1.0 + ops.square(z / CLIP))
            parts.append(z)
            if plan.embedding:
                mixed = ops.einsum("bnk,nke->bne", self._basis(z), self.mixing) + self.mixing_bias
                mixed = ops.relu(mixed) if plan.embedding != "pbld" else mixed
                parts.append(ops.reshape(mixed, (-1, len(plan.numeric) * plan.embedding_dim)))
            if plan.indicators:
                parts.append(ops.cast(_take(missing, plan.indicators), z.dtype))
        if plan.slots:
            columns, ones, others = np.array(plan.slots, np.float32).T
            values = _take(inputs, tuple(columns.astype(int)))
            parts.append(
                (ops.cast(values == ones, values.dtype) - ops.cast(values == others, values.dtype)) * self.known
            )
        for i, (column, n) in enumerate(plan.embedded):
            codes = ops.cast(ops.clip(inputs[:, column], -1, n - 1), "int32") + 1
            known = getattr(self, f"category_known_{i}")[:, None]
            parts.append(ops.take(getattr(self, f"category_{i}") * known, codes, axis=0))
        h = ops.concatenate(parts, axis=1)
        return h * (self.factor * SCALE_FACTOR) if plan.learned_scale else h

    def _basis(self, z: Any) -> Any:
        if self.plan.embedding == "ple":
            low, high = self.boundaries[:, :-1], self.boundaries[:, 1:]
            share = ops.clip((z[..., None] - low) / ops.maximum(high - low, SMALLEST_BIN), 0, 1)
            return share * ops.cast(high > low, z.dtype)  # bins that only fill up the array count for nothing
        angle = 2 * np.pi * z[..., None] * self.frequency
        if self._has_phase:
            return ops.cos(angle + self.phase)
        return ops.concatenate([ops.cos(angle), ops.sin(angle)], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return (batch, width)."""
        return (input_shape[0], self.plan.width)

    def get_config(self) -> dict[str, Any]:
        """Return the plan."""
        return {**super().get_config(), "plan": asdict(self.plan)}


@keras.saving.register_keras_serializable(package="sk_mlp")
class ColumnShift(keras.layers.Layer):
    """Subtracts each column's shift, in float64 under any policy: so numbers far from 0 keep their digits.

    Parameters
    ----------
    shift : list of float
        Of each column.
    **kwargs : dict
        As of any Keras layer.
    """

    def __init__(self, shift: list[float], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float64"})
        self.shift = list(shift)

    def call(self, inputs: Any) -> Any:
        """Subtract the shift."""
        return inputs - np.array(self.shift, np.float64)  # Keras' Rescaling would round it to float32

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the shift."""
        return {**super().get_config(), "shift": self.shift}


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def _take(x: Any, columns: tuple[int, ...]) -> Any:
    first, n = columns[0], len(columns)
    if tuple(columns) == tuple(range(first, first + n)):
        return x[:, first : first + n]
    return ops.take(x, np.array(columns, np.int32), axis=1)


@keras.saving.register_keras_serializable(package="sk_mlp")
class CategoryCodes(keras.layers.Layer):
    """Turns categories into their codes; an empty string or nan is missing. For the TensorFlow backend.

    "1.0" is read as the category "1", and "true" as "True", unless those are categories of their own.

    Parameters
    ----------
    categories : list of str or of float
        In the order of their codes.
    **kwargs : dict
        As of any Keras layer.
    """

    def __init__(self, categories: list, **kwargs: Any):
        super().__init__(**kwargs)
        self.categories = list(categories)
        self._of_strings = bool(categories) and isinstance(categories[0], str)
        numbers = {number: code for code, number in enumerate(categories)}
        known = known_texts(categories) if self._of_strings else numbers
        self._known, self._codes = list(known), list(known.values())

    def call(self, inputs: Any) -> Any:
        """Compare with each category."""
        missing = tf.equal(inputs, "") if self._of_strings else tf.math.is_nan(inputs)
        equal = tf.equal(inputs, tf.constant([self._known])) if self.categories else tf.zeros_like(inputs, tf.bool)
        places = tf.argmax(tf.cast(equal, tf.int32), axis=1)[:, None]
        codes = tf.gather(tf.constant(self._codes or [0], tf.float32), places)
        others = tf.where(missing, float(MISSING), float(UNKNOWN))
        return tf.where(tf.reduce_any(equal, axis=1, keepdims=True), codes, others)  # "" may be a category

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Describe a column of float32."""
        return keras.KerasTensor((inputs.shape[0], 1), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the categories."""
        return {**super().get_config(), "categories": self.categories}


@keras.saving.register_keras_serializable(package="sk_mlp")
class DateFeatures(keras.layers.Layer):
    """Turns dates, as seconds since 1970 in float64, into the features that a network has of them; nan is missing.

    Parameters
    ----------
    zone : str
        Name of the time zone, which is kept but changes nothing.
    features : list of str
        Names of what is computed.
    first, scale : list of float
        As in ``sk_mlp._tables.dates.DateColumn``.
    **kwargs : dict
        As of any Keras layer.
    """

    def __init__(self, zone: str, features: list, first: list, scale: list, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # seconds since 1970 need float64
        self.date = DateColumn(zone, tuple(features), tuple(first), tuple(scale))

    def call(self, inputs: Any) -> Any:
        """Compute all features."""
        return tf.concat(self.date.encode(inputs), axis=1)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Describe a column for each feature, float64."""
        return keras.KerasTensor((inputs.shape[0], len(self.date.features)), "float64")

    def get_config(self) -> dict[str, Any]:
        """Return the fields of the column."""
        return {**super().get_config(), **asdict(self.date)}


@keras.saving.register_keras_serializable(package="sk_mlp")
class ParametricActivation(keras.layers.Layer):
    """An activation f of which each neuron learns its share a: x + a (f(x) - x).

    It begins as f, with a = 1 (RealMLP: Holzmueller et al. 2024, arXiv 2407.04491).

    Parameters
    ----------
    activation : str
        Keras name of f.
    **kwargs : dict
        As of any Keras layer.
    """

    def __init__(self, activation: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple) -> None:
        """Make the weights a."""
        self.share = self.add_weight(name="share", shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs: Any) -> Any:
        """Apply it."""
        return inputs + self.share * (self.activation(inputs) - inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the name of the activation."""
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


@keras.saving.register_keras_serializable(package="sk_mlp")
class SortedOutputs(keras.layers.Layer):
    """Outputs of each row in ascending order, so that quantiles never cross.

    Parameters
    ----------
    **kwargs : dict
        As of any Keras layer.

    References
    ----------
    V. Chernozhukov, I. Fernandez-Val and A. Galichon, Quantile and Probability Curves Without Crossing,
    Econometrica 78 (2010), doi:10.3982/ECTA7880: sorting makes no quantile worse.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        """Sort them."""
        return ops.sort(inputs, axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the same shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="sk_mlp")
class TableModel(keras.Model):
    """A model with an input for each column, by its name, that can be exported whatever the names are.

    Names are those of the columns, with "_" for "/", which Keras does not take. TensorFlow takes fewer: what `export`
    writes has letters from a to z, digits and "_" in the names of its inputs, and a letter first. All else becomes "_",
    none at either end, and ``x_`` is put before what then begins with a digit or is a word of Python's: "größe (cm)" is
    "gr_e_cm", and "1st" is "x_1st". Where names come to the same, or differ in upper and lower case only, all but one
    have the number of their column appended, such as "gr_e_cm_3"; a name that needs no change stays.

    Parameters
    ----------
    *args, **kwargs
        As `keras.Model` takes them: inputs, a dict by the names of columns, and outputs.
    """

    def export(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Export as `keras.Model.export` does.

        Parameters
        ----------
        filepath : str or path-like
            Where to.
        *args, **kwargs
            As Keras takes them: ``format`` and others.
        """
        names = dict(zip(self.input, exported_names(list(self.input)), strict=True))
        if any(name != exported for name, exported in names.items()):
            columns = {name: keras.layers.Input((1,), dtype=self.input[name].dtype, name=names[name]) for name in names}
            inputs = {names[name]: column for name, column in columns.items()}
            TableModel(inputs, self(columns), name=f"{self.name}_exported").export(filepath, *args, **kwargs)
            return
        if len(args) < 3:  # of a dict, Keras 3.8 makes a list by itself
            spec = {name: keras.InputSpec(put.dtype, put.shape, name=name) for name, put in self.input.items()}
            kwargs.setdefault("input_signature", [spec])
        super().export(filepath, *args, **kwargs)
