"""Dropout and batch normalization, which the compiled engine runs in its own way.

An epoch's last batch is padded to full size, so batch normalization must not count the padding; in the built-in network
it counts rows by their weights, as the loss does. Dropout must draw its noise by arithmetic that can be mapped over
members, with the rate as data. `engine_layers` turns a model's stock layers into these while a step is traced, and
back. So models of any kind (Sequential, functional, subclassed) are served alike, and the user's model stays as it was.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mlp._network.build import layers_of
from sk_mlp.exceptions import NotCompilableError


@dataclass(frozen=True, eq=False)
class Batch:
    """What the layers below must know of the present batch.

    Attributes
    ----------
    share : Tensor of shape (batch,), bool or float32
        By which rows count in batch normalization: 0 or False for padding.
    noise : Tensor of shape (), int32, or None
        Different for every member and step; None if there is no dropout.
    rates : dict of int to Tensor of shape (), float32
        Dropout rates by the layer's number, as in `dropout_layers`.
    """

    share: tf.Tensor
    noise: tf.Tensor | None
    rates: dict[int, tf.Tensor]


_traced = threading.local()


class WeighedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization over a batch's rows by their weights; rows that fill the batch up do not count."""

    def _moments(self, inputs: tf.Tensor, mask: Any) -> tuple[tf.Tensor, tf.Tensor]:
        if mask is not None:
            raise NotCompilableError("batch normalization of masked inputs needs Keras' fit")
        share = tf.reshape(tf.cast(_traced.batch.share, inputs.dtype), (-1,) + (1,) * (len(inputs.shape) - 1))
        axes = self._reduction_axes
        others = float(np.prod([inputs.shape[axis] for axis in axes if axis != 0], dtype=int))
        n = tf.maximum(tf.reduce_sum(share) * others, np.finfo(np.float32).tiny)
        mean = tf.reduce_sum(inputs * share, axes, keepdims=True) / n
        variance = tf.reduce_sum(tf.square(inputs - mean) * share, axes) / n
        return tf.reshape(mean, variance.shape), variance


class CounterDropout(keras.layers.Dropout):
    """Dropout whose noise is a hash of (member and step, layer, position), in int32 arithmetic."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drop a share of the inputs in training."""
        if not training:
            return inputs
        number = _traced.numbers[id(self)]
        rate = _traced.batch.rates[number]
        key = number + len(_traced.numbers) * _traced.calls[number]  # a layer may be called more than once
        _traced.calls[number] += 1
        shape = [size or inputs.shape[axis] for axis, size in enumerate(self.noise_shape or inputs.shape)]
        noise = uniform(_traced.batch.noise + tf.constant(key, tf.int32) * _SPREAD, shape)
        return tf.where(noise >= rate, inputs / tf.cast(1.0 - rate, inputs.dtype), 0.0)


# The odd number next to 2**32 / golden ratio spreads consecutive integers over the whole range (Knuth 6.4).
_SPREAD = np.int32(-1640531527)


def scramble(h: tf.Tensor) -> tf.Tensor:
    """Hash int32 to int32, one to one: the finalizer "lowbias32" of C. Wellons (hash-prospector)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - (1 << 32)), (16, 1)):
        high = tf.bitwise.bitwise_and(
            tf.bitwise.right_shift(h, np.int32(shift)), np.int32((1 << (32 - shift)) - 1)
        )  # int32 shifts keep the sign: mask it off
        h = tf.bitwise.bitwise_xor(h, high) * np.int32(factor)
    return h


def uniform(key: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32, of the given shape, from a scalar int32 key."""
    h = scramble(key)
    for size in shape:  # axis by axis, so that a number does not depend on how many stand beside it
        h = scramble(h[..., None] + tf.range(size, dtype=tf.int32) * _SPREAD)
    return tf.cast(tf.bitwise.bitwise_and(h, np.int32(0xFFFFFF)), tf.float32) * np.float32(2.0**-24)


_ENGINE_LAYERS = {
    keras.layers.BatchNormalization: WeighedBatchNormalization,
    keras.layers.Dropout: CounterDropout,
}


def dropout_layers(model: keras.Model) -> list[keras.layers.Dropout]:
    """The model's dropout layers, in the order in which rates are numbered."""
    return [layer for layer in layers_of(model) if isinstance(layer, keras.layers.Dropout)]


@contextmanager
def engine_layers(model: keras.Model, batch: Batch, kinds: Collection[type] = tuple(_ENGINE_LAYERS)) -> Iterator[None]:
    """Run the model's batch normalization and dropout layers as above, on this batch, within the context.

    ``kinds`` are the classes of those that are run so; other layers stay as they are.
    """
    numbers = {id(layer): number for number, layer in enumerate(dropout_layers(model))}
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization) and type(layer) is not keras.layers.BatchNormalization:
            raise NotCompilableError(f"the layer {type(layer).__name__} would see the rows that fill up a batch")
    swapped = [layer for layer in layers_of(model) if type(layer) in kinds]
    for layer in swapped:
        layer.__class__ = _ENGINE_LAYERS[type(layer)]
    _traced.batch, _traced.numbers, _traced.calls = batch, numbers, Counter()
    try:
        yield
    finally:
        for layer in swapped:
            layer.__class__ = type(layer).__base__
        _traced.batch = _traced.numbers = _traced.calls = None
