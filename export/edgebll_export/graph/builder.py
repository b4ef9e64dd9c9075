"""Building an ONNX graph: values with known shapes, nodes without duplicates, constants folded as they appear.

Default operator domain, static shapes. Values may be broadcast, see `edgebll_export.graph.value`; `GraphBuilder.dense` expands
one
where an operator needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.disjoint_parts import DisjointParts
from edgebll_export.graph.value import Array, Value, only_moves_ones, padded, reshape_broadcast
from edgebll_export.passes import run_passes
from edgebll_export.passes.value_names import reads, with_inputs
from edgebll_export.targets import ONNX, Target

__all__ = ["GraphBuilder", "Value"]


class GraphBuilder:
    """Collects nodes and constants; equal nodes and equal constants are made once.

    Attributes:
        target: what the graph is made for; lowerings choose their form by it, and nodes it does not take are refused.
        trains: whether gradients are in it, which may share what the forward pass computes.
        disjoint_parts: by name, values that are zero but for some parts.

    Args:
        reserved: names of the graph's inputs and outputs, which no value in between may have.
    """

    def __init__(self, target: Target = ONNX, reserved: Iterable[str] = (), *, trains: bool = True) -> None:
        self.target = target
        self.trains = trains
        self._reserved = frozenset(reserved)
        self.nodes: list[onnx.NodeProto] = []
        self.disjoint_parts: dict[str, DisjointParts] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._constant_names: dict[tuple[Any, ...], str] = {}
        self._made: dict[tuple[Any, ...], list[str]] = {}
        self._transposes: dict[str, Value] = {}
        self._kinds: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._count = 0

    def input(self, name: str, dtype: str, shape: Sequence[int]) -> Value:
        """Declare a graph input."""
        self._inputs.append(_info(name, dtype, shape))
        self._kinds[name] = (dtype, tuple(shape))
        return Value(name, dtype, tuple(shape), tuple(shape))

    def output(self, name: str, value: Value) -> None:
        """Declare a graph output; it gets a node of its own so that its name is free to choose."""
        value = self.dense(value)
        self.nodes.append(helper.make_node("Identity", [value.name], [name]))
        self._outputs.append(_info(name, value.dtype, value.shape))

    def constant(self, content: Array | float | int, dtype: str | None = None) -> Value:
        """A constant tensor; equal ones share a name."""
        array = np.ascontiguousarray(np.asarray(content, dtype=dtype)).reshape(np.shape(content))
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constant_names:
            name = self._free(f"c{len(self._constant_names)}")
            self._constant_names[key] = name
            self._constants[name] = numpy_helper.from_array(array, name)
            self._kinds[name] = (array.dtype.name, array.shape)
        return Value(self._constant_names[key], array.dtype.name, array.shape, array.shape, array)

    def node(
        self,
        operator: str,
        inputs: Sequence[Value | None],
        outputs: Sequence[tuple[str, Sequence[int]]],
        **attributes: Any,
    ) -> list[Value]:
        """Add a node (or find the equal one made before).

        Args:
            operator: ONNX operator.
            inputs: None stands for an omitted optional input.
            outputs: (dtype, shape) of each.
            **attributes: of the node, by ONNX's names.

        Raises:
            ExportError: the target cannot run this node.
        """
        dtypes = [value.dtype for value in inputs if value is not None]
        refusal = self.target.refusal(operator, dtypes, len(outputs), attributes)
        if refusal is not None:
            raise ExportError(refusal)
        self.target.check_axes(operator, [*(value.stored for value in inputs if value is not None), *(s for _, s in outputs)])
        names = ["" if value is None else value.name for value in inputs]
        key = (operator, *names, *(f"{k}={v!r}" for k, v in sorted(attributes.items())))
        if key not in self._made:
            made = [self.fresh() for _ in outputs]
            self._kinds.update({name: (dtype, tuple(shape)) for name, (dtype, shape) in zip(made, outputs, strict=True)})
            self.nodes.append(helper.make_node(operator, names, made, **attributes))
            self._made[key] = made
        return [Value(n, d, tuple(s), tuple(s)) for n, (d, s) in zip(self._made[key], outputs, strict=True)]

    def op(
        self,
        operator: str,
        inputs: Sequence[Value | None],
        shape: Sequence[int],
        dtype: str | None = None,
        **attributes: Any,
    ) -> Value:
        """Add a node with one output, by default of the first input's dtype; its inputs are made dense."""
        dense = [None if value is None else self.dense(value) for value in inputs]
        result = dtype or next(value.dtype for value in inputs if value is not None)
        return self.node(operator, dense, [(result, shape)], **attributes)[0]

    def elementwise(self, operator: str, inputs: Sequence[Value], dtype: str | None = None, **attributes: Any) -> Value:
        """Add an element-wise node; the result stays broadcast where all inputs are."""
        shape = np.broadcast_shapes(*(value.shape for value in inputs))
        stored = np.broadcast_shapes(*(padded(value.stored, len(shape)) for value in inputs))
        (value,) = self.node(operator, inputs, [(dtype or inputs[0].dtype, stored)], **attributes)
        return replace(value, shape=tuple(shape))

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """The same elements in another shape."""
        target = tuple(shape)
        if value.constant is not None and not value.is_broadcast:
            return self.constant(value.constant.reshape(target))
        if value.is_broadcast:
            squeezed = reshape_broadcast(value, target)
            if squeezed is None:
                value = self.dense(value)
            else:
                return replace(self._reshape_stored(value, squeezed), shape=target)
        return value if value.shape == target else self._reshape_stored(value, target)

    def _reshape_stored(self, value: Value, stored: tuple[int, ...]) -> Value:
        if value.stored == stored:
            return value
        if not stored:  # TensorRT warns of a shape that is an empty constant
            return self.node("Squeeze", [value], [(value.dtype, stored)])[0]
        options = {"allowzero": 1} if 0 in stored else {}  # else a 0 means the size that the axis had
        return self.node("Reshape", [value, self.constant(np.array(stored, np.int64))], [(value.dtype, stored)], **options)[0]

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """Permute axes."""
        order = tuple(order)
        shape = tuple(value.shape[axis] for axis in order)
        stored = tuple(value.stored[axis] for axis in order)
        if value.constant is not None:
            return replace(self.constant(value.constant.transpose(order)), shape=shape)
        if order == tuple(range(len(order))):
            return value
        if only_moves_ones(value.stored, order):
            return replace(self._reshape_stored(value, stored), shape=shape)
        source = self._transposes.get(value.name)
        if source is not None and order == (1, 0):
            return source
        (result,) = self.node("Transpose", [value], [(value.dtype, stored)], perm=list(order))
        if order == (1, 0) and not value.is_broadcast:
            self._transposes[result.name] = value
        return replace(result, shape=shape)

    def transposed_from(self, value: Value) -> Value | None:
        """The matrix whose transpose `value` is, if it was made so."""
        return self._transposes.get(value.name)

    def dense(self, value: Value) -> Value:
        """The value with its logical shape really stored."""
        if not value.is_broadcast:
            return value
        shape = self.constant(np.array(value.shape, np.int64))
        return self.node("Expand", [value, shape], [(value.dtype, value.shape)])[0]

    def build(self, name: str) -> onnx.ModelProto:
        """The finished model, without nodes and constants that no output needs."""
        nodes = run_passes(self.nodes, self)
        nodes = _without_output_copies(
            nodes, {o.name for o in self._outputs}, {i.name for i in self._inputs} | set(self._constants)
        )
        used = {name for node in nodes for name in reads(node)}
        constants = [tensor for key, tensor in self._constants.items() if key in used]
        graph = helper.make_graph(nodes, name, self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid("", self.target.opset)]
        version = helper.find_min_ir_version_for(opsets)
        return helper.make_model(graph, producer_name="edgebll", opset_imports=opsets, ir_version=version)

    def fresh(self) -> str:
        """A new value name."""
        self._count += 1
        return self._free(f"v{self._count}")

    def _free(self, name: str) -> str:
        while name in self._reserved:
            name += "_"
        return name

    def declare(self, dtype: str, shape: Sequence[int]) -> str:
        """A new name for a value of this kind."""
        name = self.fresh()
        self._kinds[name] = (dtype, tuple(shape))
        return name

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Stored shape of a value."""
        return self._kinds[name][1]

    def dtype_of(self, name: str) -> str:
        """Dtype of a value."""
        return self._kinds[name][0]

    def content_of(self, name: str) -> Array | None:
        """Content of a constant; None for any other value."""
        tensor = self._constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def known(self, content: Array) -> str:
        """Name of a constant."""
        return self.constant(content).name


def _info(name: str, dtype: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, list(shape))


def _without_output_copies(nodes: list[onnx.NodeProto], outputs: set[str], sources: set[str]) -> list[onnx.NodeProto]:
    """Let the node that makes a value write the output's name itself, where the value feeds just one output."""
    renamed: dict[str, str] = {}
    for node in nodes:
        if node.op_type == "Identity" and node.output[0] in outputs:
            source = node.input[0]
            if source not in sources and source not in renamed:
                renamed[source] = node.output[0]
    kept = []
    for node in nodes:
        if node.op_type == "Identity" and renamed.get(node.input[0]) == node.output[0]:
            continue
        copy = onnx.NodeProto()
        copy.CopyFrom(with_inputs(node, renamed))
        copy.output[:] = [renamed.get(name, name) for name in node.output]
        kept.append(copy)
    return kept
