"""Outputs of the built-in network from its weights, for all members of an ensemble at once: plain numpy.

A call into TensorFlow costs some 0.5 ms whatever the work; the built-in network is a few matrix products.

A row's output must not depend on the rows beside it, nor on how many threads there are. But the last bits of a matrix
product do: BLAS has other instructions for what is left over at the edges, and divides large products among threads. So
all products of a layer have one shape, whatever X is: `LANES` rows, which fill the processor's vectors, times so few
outputs that no thread is asked for. Then all rows go through the same instructions, in whichever place they stand.
`tests/test_forward.py` holds the products to that. Several threads of our own take other rows each.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise, repeat
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sk_mlp._network.activations import ACTIVATIONS
from sk_mlp._network.names import (
    ACTIVATION,
    BATCH_NORM,
    COLUMNS,
    HIDDEN,
    OUTPUT,
    WIDE_COLUMNS,
    at_depth,
    variable,
    variables_of,
)
from sk_mlp._network.spec import Fitted, NetworkSpec
from sk_mlp._tables.encoding import LANES, ColumnEncoder, in_all_lanes, in_lanes
from sk_mlp._tables.plan import ColumnPlan
from sk_mlp._tables.selection import Matrix

CHUNK = 2**17  # numbers of a layer, of all members, that are computed at a time
FEW_CHUNKS = 3  # for which no threads are started
MOST = 2**18 // LANES  # weights of one product: OpenBLAS takes threads for more than 2**18 multiplications
MOST_INPUTS = 4096  # of one product
NORM_EPSILON = 1e-3  # Keras' default of BatchNormalization

Weights = dict[str, NDArray]  # by layer and variable, such as "hidden_1/kernel"


def network_output(spec: NetworkSpec, weights: Weights, X: Matrix) -> NDArray:
    """Output of a single network, (n_samples, n_outputs), float64: as `Forward.of_members` has it."""
    return Forward(spec, [weights]).of_members(X)[0]


def mean_of(outputs: Iterable[NDArray]) -> NDArray:
    """The mean of arrays, added up in their order; numpy adds arrays of a single number in another order."""
    first, *others = outputs
    return sum(others, start=first) / (1 + len(others))


def mean_and_deviation(outputs: Sequence[NDArray]) -> tuple[NDArray, NDArray]:
    """The mean of what members put out, and how far they disagree: the standard deviation, over n.

    Raises
    ------
    ValueError
        If there is one member alone.
    """
    if len(outputs) == 1:
        raise ValueError(
            "return_std=True needs an ensemble of networks, whose predictions differ. Got a single one; set "
            "ensemble_size to 2 or more."
        )
    mean = mean_of(outputs)
    return mean, np.sqrt(mean_of([np.square(output - mean) for output in outputs]))


def forward_of(fitted: Fitted) -> "Forward":
    """The outputs of the built-in networks that an estimator has fitted, made at the first call."""
    assert fitted.spec is not None
    if fitted not in _MADE:
        members = [fitted.named_weights(m) for m in range(len(fitted.states))]
        _MADE[fitted] = Forward(fitted.spec, members)
    return _MADE[fitted]


_MADE: "WeakKeyDictionary[Fitted, Forward]" = WeakKeyDictionary()


class Forward:
    """The outputs of networks of one structure. It does not change once it is made: threads may share it.

    Parameters
    ----------
    spec : NetworkSpec
    members : list of dict of str to ndarray, float32
        Each network's weights by layer and variable, such as "hidden_1/kernel".
    """

    def __init__(self, spec: NetworkSpec, members: Sequence[Weights]):
        depth, self._n_members = len(spec.hidden_layer_sizes), len(members)
        self._activation = ACTIVATIONS[spec.activation].function
        self._output_activation = ACTIVATIONS[spec.output_activation].function
        kernels = [_hidden_kernel(spec, members, i) for i in range(1, depth + 1)] + [
            _stacked(members, variable(OUTPUT, "kernel"))
        ]
        self._n_outputs = kernels[-1].shape[2]
        self._biases = [_hidden_bias(spec, members, i) for i in range(1, depth + 1)] + [
            _bias(members, variable(OUTPUT, "bias"))
        ]
        shares = spec.parametric_activation
        self._shares = [
            _bias(members, variable(at_depth(ACTIVATION, i), "share")) if shares else None for i in range(1, depth + 1)
        ]
        self._wide: Callable | None = None
        if depth:
            n = spec.hidden_layer_sizes[-1]
            if spec.skip_connection:
                kernel = kernels[-1][:, :-n]
                self._wide = _FirstProduct(spec.wide_columns, spec.wide_plan, WIDE_COLUMNS, members, kernel)
            kernels[-1] = kernels[-1][:, -n:]
        columns = spec.deep_columns if depth else None
        self._products: list[Callable] = [_FirstProduct(columns, spec.deep_plan, COLUMNS, members, kernels[0])]
        self._products += [_Product(kernel) for kernel in kernels[1:]]
        widest = len(members) * max(spec.n_deep, *spec.hidden_layer_sizes, self._n_outputs)
        self._n_rows = LANES * max(1, CHUNK // (LANES * widest))  # of a chunk

    def of_members(self, X: Matrix) -> NDArray:
        """Each member's output, (n_members, n_samples, n_outputs), float64, of X of shape (n_samples, n_features)."""
        outputs = np.empty((self._n_members, X.shape[0], self._n_outputs))
        for part, output in self._parts(X):
            outputs[:, part] = output.transpose(0, 1, 3, 2).reshape(len(output), -1, self._n_outputs)[
                :, : part.stop - part.start
            ]
        return outputs

    def mean(self, X: Matrix) -> NDArray:
        """The mean of the members' outputs, (n_samples, n_outputs), float64."""
        means = np.empty((X.shape[0], self._n_outputs))
        for part, output in self._parts(X):
            means[part] = mean_of(output).transpose(0, 2, 1).reshape(-1, self._n_outputs)[: part.stop - part.start]
        return means

    def _parts(self, X: Matrix) -> Iterator[tuple[slice, NDArray]]:
        """For parts of the rows, which rows they are, and their outputs, (n_members, n_blocks, n_outputs, LANES)."""
        n = X.shape[0]
        parts = [slice(begin, min(begin + self._n_rows, n)) for begin in range(0, n, self._n_rows)]
        if len(parts) > 1:
            _keep_freed_memory()
        n_threads = min(_n_threads(), len(parts)) if len(parts) > FEW_CHUNKS else 1
        if n_threads == 1:
            yield from zip(parts, map(self._output, repeat(X), parts), strict=False)
            return
        with ThreadPoolExecutor(n_threads) as threads:
            yield from zip(parts, threads.map(self._output, repeat(X), parts), strict=False)

    def _output(self, X: Matrix, part: slice) -> NDArray:
        with np.errstate(all="ignore"):  # of numbers that are too large, as in Keras
            rows = X[part].astype(np.float32) if issparse(X) else in_lanes(X[part])
            z = self._products[0](rows)
            z += self._biases[0]
            for product, bias, share in zip(self._products[1:], self._biases[1:], self._shares, strict=True):
                h = self._activation(z)
                if share is not None:
                    h -= z
                    h *= share
                    h += z
                z = product(h)
                z += bias
            if self._wide is not None:
                z += self._wide(rows)
            return self._output_activation(z.astype(np.float64))


def _keep_freed_memory() -> None:
    """Make glibc keep the memory that a chunk frees, so that the next chunk can use it.

    Without this, glibc may return the memory to the system after each chunk and ask for it again, which can take as
    long as the products. How much glibc keeps grows with the largest array that was freed (man 3 mallopt,
    M_MMAP_THRESHOLD). So one large array is made and freed here; none of its memory is touched.
    """
    np.empty(64 * CHUNK, np.uint8)


def _n_threads() -> int:
    """The number of this process' processors, or OMP_NUM_THREADS if that is less: joblib sets it in its workers."""
    n_processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(int(asked), n_processors)) if asked.isdigit() else n_processors


def _stacked(members: Sequence[Weights], name: str) -> NDArray:
    """A variable of all members, float64."""
    return np.stack([weights[name] for weights in members]).astype(np.float64)


def _bias(members: Sequence[Weights], name: str) -> NDArray:
    """A number for each neuron of each member, in the shape in which it is added to a product."""
    return _in_place(_stacked(members, name))


def _in_place(numbers: NDArray) -> NDArray:
    return in_all_lanes(numbers).astype(np.float32)


def _norm_factor(members: Sequence[Weights], i: int) -> NDArray:
    """What batch normalization multiplies by."""
    variance = _stacked(members, variable(at_depth(BATCH_NORM, i), "moving_variance"))
    return _stacked(members, variable(at_depth(BATCH_NORM, i), "gamma")) / np.sqrt(variance + NORM_EPSILON)


def _hidden_kernel(spec: NetworkSpec, members: Sequence[Weights], i: int) -> NDArray:
    """Weights of a hidden layer with those of the normalization after it, (n_members, n_inputs, n)."""
    kernel = _stacked(members, variable(at_depth(HIDDEN, i), "kernel"))
    return kernel * _norm_factor(members, i)[:, None] if spec.batch_norm else kernel


def _hidden_bias(spec: NetworkSpec, members: Sequence[Weights], i: int) -> NDArray:
    if not spec.batch_norm:
        return _bias(members, variable(at_depth(HIDDEN, i), "bias"))
    mean = _stacked(members, variable(at_depth(BATCH_NORM, i), "moving_mean"))
    return _in_place(_stacked(members, variable(at_depth(BATCH_NORM, i), "beta")) - mean * _norm_factor(members, i))


class _Product:
    """A layer's product with rows in lanes, divided into pieces of few enough weights.

    Parameters
    ----------
    kernel : ndarray of shape (n_members, n_inputs, n)
    """

    def __init__(self, kernel: NDArray):
        self._n = kernel.shape[2]
        if self._n == 1:  # for a single row BLAS has another function
            kernel = np.concatenate([kernel, np.zeros_like(kernel)], axis=2)
        outputs_first = np.ascontiguousarray(kernel.transpose(0, 2, 1), np.float32)[:, None]
        self._n_outputs, n_inputs = outputs_first.shape[2:]
        inputs = _divided(n_inputs, MOST_INPUTS)
        outputs = _divided(self._n_outputs, MOST // max(part.stop - part.start for part in inputs))
        self._pieces = [(o, [(i, outputs_first[:, :, o, i]) for i in inputs]) for o in outputs]

    def __call__(self, h: NDArray) -> NDArray:
        """(n_members or 1, n_blocks, n_inputs, LANES) to (n_members, n_blocks, n, LANES)."""
        _, ((_, first), *_) = self._pieces[0]
        result = np.empty((len(first), h.shape[1], self._n_outputs, LANES), np.float32)
        for outputs, ((inputs, weights), *others) in self._pieces:
            np.matmul(weights, h[:, :, inputs], out=result[:, :, outputs])
            for inputs, weights in others:
                result[:, :, outputs] += weights @ h[:, :, inputs]
        return result[:, :, : self._n]


def _divided(n: int, most: int) -> list[slice]:
    """The range from 0 to n in parts of about equal size, none larger than ``most``."""
    if n <= most:
        return [slice(0, n)]
    ends = np.linspace(0, n, -(-n // most) + 1).astype(int).tolist()
    return [slice(begin, end) for begin, end in pairwise(ends)]


class _FirstProduct:
    """A layer's product with some columns of X, as they are or encoded.

    Parameters
    ----------
    columns : tuple of int or None
        None for all, or for those of the plan.
    plan : ColumnPlan or None
    layer : str
        Name of the layer that encodes them.
    members : list of dict of str to ndarray
    kernel : ndarray of shape (n_members, n_inputs, n)
    """

    def __init__(
        self,
        columns: tuple[int, ...] | None,
        plan: ColumnPlan | None,
        layer: str,
        members: Sequence[Weights],
        kernel: NDArray,
    ):
        self._columns = None if columns is None or plan is not None else list(columns)
        self._encoder = (
            None if plan is None else ColumnEncoder(plan, [variables_of(layer, weights) for weights in members])
        )
        kernel = kernel if self._encoder is None else self._encoder.folded(kernel)
        self._kernel = kernel.astype(np.float32)

    @cached_property
    def _of_lanes(self) -> _Product:
        return _Product(self._kernel)

    @cached_property
    def _side_by_side(self) -> NDArray:
        return np.ascontiguousarray(self._kernel.transpose(1, 0, 2), np.float32).reshape(self._kernel.shape[1], -1)

    def __call__(self, rows: Any) -> NDArray:
        """Rows, in lanes or a csr_array, both float32, to (n_members, n_blocks, n, LANES)."""
        if issparse(rows):  # scipy multiplies a row by itself
            rows = rows if self._columns is None else rows[:, self._columns]
            product = in_lanes(rows @ self._side_by_side)
            n_members, _, n = self._kernel.shape
            return product.reshape(-1, n_members, n, LANES).transpose(1, 0, 2, 3)
        if self._encoder is not None:
            return self._of_lanes(self._encoder(rows))
        return self._of_lanes((rows if self._columns is None else rows[:, self._columns])[None])
