"""Builds an ONNX graph: one computes with its values as with arrays, and each operation becomes a node.

Numbers are float64 throughout: narrow bins need it, and rounding does not depend on the runtime then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SMALL = 16  # numbers in a constant, at most, that stay float64: larger ones are kept as float32 where that is exact
TYPES = {np.dtype("f4"): TensorProto.FLOAT, np.dtype("f8"): TensorProto.DOUBLE, np.dtype("i8"): TensorProto.INT64}


def element_type(dtype: Any) -> int:
    """ONNX' number of a type; strings are objects."""
    return TYPES.get(np.dtype(dtype), TensorProto.STRING)


class Graph:
    """Nodes, constants, inputs and outputs, in the order in which they are made.

    Parameters
    ----------
    reserved : sequence of str
        Names that no value in between may have.
    """

    def __init__(self, reserved: Sequence[str] = ()):
        self._reserved = set(reserved)
        self._n_names = 0
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple, Value] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: Any, width: int) -> "Value":
        """An input of shape (n_rows, width)."""
        self._inputs.append(helper.make_tensor_value_info(name, element_type(dtype), [None, width]))
        return Value(self, name)

    def output(self, name: str, value: "Value", dtype: Any, shape: Sequence[int | None]) -> None:
        """Make an output of a value."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, element_type(dtype), shape))

    def constant(self, array: Any) -> "Value":
        """A constant of float64, int64 or strings. Large float64 ones are kept as float32 where that is exact."""
        array = np.asarray(array)
        array = array.astype(np.int64) if array.dtype.kind in "iu" else array
        key = (array.dtype.str, array.shape, array.tobytes() if array.dtype.kind != "O" else tuple(array.ravel()))
        if key not in self._constants:
            narrow = array.astype(np.float32) if array.dtype == np.float64 and array.size > SMALL else array
            is_exact = narrow.dtype != array.dtype and np.array_equal(narrow, array)
            name = self._new_name("constant")
            self._initializers.append(numpy_helper.from_array(narrow if is_exact else array, name))
            value = Value(self, name)
            self._constants[key] = value.cast(np.float64) if is_exact else value
        return self._constants[key]

    def node(self, operator: str, *inputs: Any, n_outputs: int = 1, **attributes: Any) -> "Value":
        """Add a node: an operator on values; arrays and numbers become constants. Returns its first output."""
        names = [self.value(part).name for part in inputs]
        outputs = [self._new_name(operator.lower()) for _ in range(n_outputs)]
        self._nodes.append(helper.make_node(operator, names, outputs, **attributes))
        return Value(self, outputs[0])

    def value(self, part: Any) -> "Value":
        """A value as it is, anything else as a constant; Python's numbers are float64."""
        if isinstance(part, Value):
            return part
        return self.constant(np.float64(part) if isinstance(part, (int, float)) else part)

    def model(self, name: str, opsets: dict[str, int], ir_version: int, **fields: Any) -> onnx.ModelProto:
        """The graph as a model; ``fields`` are further ones of `onnx.ModelProto`."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._initializers)
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=ir_version, **fields)

    def _new_name(self, kind: str) -> str:
        while True:
            self._n_names += 1
            name = f"{kind}_{self._n_names}"
            if name not in self._reserved:
                return name


Operand = Union["Value", NDArray, float]


@dataclass(frozen=True, eq=False)
class Value:
    """A value of a graph."""

    graph: Graph
    name: str

    def __add__(self, other: Operand) -> "Value":
        return self.graph.node("Add", self, other)

    def __radd__(self, other: Operand) -> "Value":
        return self.graph.node("Add", other, self)

    def __sub__(self, other: Operand) -> "Value":
        return self.graph.node("Sub", self, other)

    def __rsub__(self, other: Operand) -> "Value":
        return self.graph.node("Sub", other, self)

    def __mul__(self, other: Operand) -> "Value":
        return self.graph.node("Mul", self, other)

    def __rmul__(self, other: Operand) -> "Value":
        return self.graph.node("Mul", other, self)

    def __truediv__(self, other: Operand) -> "Value":
        return self.graph.node("Div", self, other)

    def __floordiv__(self, other: Operand) -> "Value":
        return self.graph.node("Floor", self / other)

    def __mod__(self, other: Operand) -> "Value":
        return self - self // other * other

    def __matmul__(self, other: Operand) -> "Value":
        return self.graph.node("MatMul", self, other)

    def exceeds(self, other: Operand) -> "Value":
        """Truth values: where it is greater."""
        return self.graph.node("Greater", self, other)

    def reaches(self, other: Operand) -> "Value":
        """Truth values: where it is greater or the same."""
        return self.graph.node("GreaterOrEqual", self, other)

    def equals(self, other: Operand) -> "Value":
        """Truth values: where both are the same."""
        return self.graph.node("Equal", self, other)

    def is_nan(self) -> "Value":
        """Truth values: where it is nan."""
        return self.graph.node("IsNaN", self)

    def where(self, true: Operand, false: Operand) -> "Value":
        """Where these truth values are true, the first value; elsewhere the second."""
        return self.graph.node("Where", self, true, false)

    def maximum(self, other: Operand) -> "Value":
        """The greater of both."""
        return self.graph.node("Max", self, other)

    def minimum(self, other: Operand) -> "Value":
        """The smaller of both."""
        return self.graph.node("Min", self, other)

    def exp(self) -> "Value":
        """e to the power of this value."""
        return self.graph.node("Exp", self)

    def cast(self, dtype: Any) -> "Value":
        """Cast to another type."""
        return self.graph.node("Cast", self, to=element_type(dtype))

    def take(self, numbers: Operand, axis: int) -> "Value":
        """Parts of this value, by their numbers."""
        return self.graph.node("Gather", self, numbers, axis=axis)

    def reshape(self, *shape: int) -> "Value":
        """Bring into another shape; a 0 keeps that axis."""
        return self.graph.node("Reshape", self, np.array(shape))

    def transpose(self, *axes: int) -> "Value":
        """Bring the axes into another order."""
        return self.graph.node("Transpose", self, perm=list(axes))

    def in_order(self, width: int) -> "Value":
        """The ``width`` numbers of each row in ascending order."""
        return self.graph.node("TopK", self, np.array([width]), n_outputs=2, axis=-1, largest=0)

    def sum_of_last(self) -> "Value":
        """The sum over the last axis, which stays."""
        return self.graph.node("ReduceSum", self, np.array([-1]), keepdims=1)


def joined(values: Sequence[Value], axis: int) -> Value:
    """Values beside each other along an axis."""
    return values[0] if len(values) == 1 else values[0].graph.node("Concat", *values, axis=axis)


def last_at_most(x: Value, tables: NDArray) -> Value:
    """Places, in sorted tables, of the last number that does not exceed x; the first place if all do.

    A binary search: as many steps as the tables' size has bits, whatever the number of rows.

    Parameters
    ----------
    x : Value
    tables : ndarray of shape (..., size)
        Of each number of x, whose shape the leading axes go with. Ascending along the last axis, whose size is a power
        of 2: see `padded`.

    Returns
    -------
    Value of the shape that x and the tables' leading axes have together, int64
        Places in the flattened tables.
    """
    leading, size = tables.shape[:-1], tables.shape[-1]
    flat = x.graph.constant(tables.ravel())
    place = x.graph.constant(np.arange(0, tables.size, size).reshape(leading))
    step = size // 2
    while step:
        further = place + np.array(step)
        place = x.reaches(flat.take(further, axis=0)).where(further, place)
        step //= 2
    return place


def padded(array: NDArray, axis: int, filler: float) -> NDArray:
    """An array, filled up along an axis to a power of 2, at least 2."""
    n = array.shape[axis]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, (1 << max(1, (n - 1).bit_length())) - n)
    return np.pad(array, widths, constant_values=filler)
