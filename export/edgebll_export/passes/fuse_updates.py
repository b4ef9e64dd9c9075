"""Horizontal fusion of the optimiser's updates: one flat chain for all small tensors instead of one chain for each.

An update is some eight element-wise operators a tensor, and for vectors and small kernels an operator costs mostly its call. So
new state values that are computed alike are computed together, on their concatenation. Every element still goes through the
same operations in the same order: the results are bit-identical.

Conditions: graph outputs whose producer is element-wise, of one dtype, each of at most MAX_ELEMENTS; their chains agree in the
upper two levels of operators and scalars. From there down, operators that all members share are fused, with operands that are
either of the member's own shape or one common scalar; anything else ends the chain and is concatenated. Only outputs are
rewired: what else reads a value in between keeps the original node.

Larger tensors with trailing axes of size 1, such as the weights of 1x1 convolutions, are flattened on their own: on ONNX
Runtime an operator between such a tensor and a scalar goes element by element and takes ten times as long.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from edgebll_export.passes.value_names import Names, made, producers, reshaped, with_inputs

#: Beyond, copying into and out of the flat vector costs more than the calls it saves (on ONNX Runtime with one thread 16384 is
#: still even, 65536 makes a step up to a fifth slower).
MAX_ELEMENTS = 1 << 13
ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Sqrt", "Where"}
_LEVELS = 2
SCALARS = ((), (1,))
Group = tuple[str, ...]
Producers = dict[str, onnx.NodeProto]


def fuse_updates(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], names: Names) -> list[onnx.NodeProto]:
    """The nodes with the chains of equal updates fused; nodes no longer needed are left in.

    Args:
        nodes: in topological order.
        outputs: names of values that may be fused.
        names: shapes and new names.
    """
    makers = producers(nodes)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(outputs):
        key = _group(name, makers, names)
        if key is not None:
            groups[key].append(name)
    fused = _Fusion(makers, names)
    renamed: dict[str, str] = {}
    for members in groups.values():
        if len(members) > 1 or _has_trailing_one(names.shape_of(members[0])):
            renamed.update(fused.split(tuple(members)))
    result = [*nodes, *fused.nodes]
    return [with_inputs(node, renamed) if node.op_type == "Identity" else node for node in result] if renamed else list(nodes)


def _group(name: str, makers: Producers, names: Names) -> str | None:
    """Values of the same group are computed alike; None for one that cannot be fused."""
    node, shape = makers.get(name), names.shape_of(name)
    if node is None or node.op_type not in ELEMENTWISE or 0 in shape:
        return None
    key = names.dtype_of(name) + _signature(name, shape, makers, names, _LEVELS)
    if math.prod(shape) <= MAX_ELEMENTS:
        return key
    return key + name if _has_trailing_one(shape) else None


def _has_trailing_one(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and shape[-1] == 1


def _signature(name: str, shape: tuple[int, ...], makers: Producers, names: Names, levels: int) -> str:
    if names.shape_of(name) in SCALARS:
        return name
    if names.shape_of(name) != shape:
        return "?"
    node = makers.get(name)
    if levels == 0 or node is None or node.op_type not in ELEMENTWISE:
        return "."
    operands = (_signature(operand, shape, makers, names, levels - 1) for operand in node.input)
    return f"{node.op_type}({','.join(operands)})"


class _Fusion:
    """Builds the flat chains; equal tuples of values are made once."""

    def __init__(self, makers: Producers, names: Names) -> None:
        self._makers = makers
        self.names = names
        self.nodes: list[onnx.NodeProto] = []
        self._flat: dict[Group, str] = {}

    def split(self, members: Group) -> dict[str, str]:
        """Fuse a group; returns the new name of each member."""
        shapes = [self.names.shape_of(name) for name in members]
        parts = self._parts(self._join(members, members), [math.prod(shape) for shape in shapes])
        pairs = zip(members, parts, shapes, strict=True)
        return {name: part if len(shape) == 1 else self._reshaped(part, shape) for name, part, shape in pairs}

    def _parts(self, flat: str, sizes: list[int]) -> list[str]:
        if len(sizes) == 1:
            return [flat]
        parts = [self.names.declare(self.names.dtype_of(flat), (size,)) for size in sizes]
        self.nodes.append(helper.make_node("Split", [flat, self.names.known(np.array(sizes, np.int64))], parts, axis=0))
        return parts

    def _join(self, group: Group, members: Group) -> str:
        """The values of `group`, one for each member and of its shape, as one vector."""
        if group not in self._flat:
            self._flat[group] = self._operator(group, members) or self._concatenation(group)
        return self._flat[group]

    def _operator(self, group: Group, members: Group) -> str | None:
        """One operator on vectors, if the whole group comes from the same one with operands that can be joined."""
        nodes = [self._makers.get(name) for name in group]
        first = nodes[0]
        if first is None or first.op_type not in ELEMENTWISE:
            return None
        if any(node is None or node.op_type != first.op_type for node in nodes):
            return None
        operands = list(zip(*(node.input for node in nodes if node is not None), strict=True))
        if not all(self._is_scalar(operand) or self._is_whole(operand, members) for operand in operands):
            return None
        inputs = [operand[0] if self._is_scalar(operand) else self._join(operand, members) for operand in operands]
        name = self.names.declare(self.names.dtype_of(group[0]), (self._size(members),))
        self.nodes.append(helper.make_node(first.op_type, inputs, [name]))
        return name

    def _is_scalar(self, operand: Group) -> bool:
        return len(set(operand)) == 1 and self.names.shape_of(operand[0]) in SCALARS

    def _is_whole(self, operand: Group, members: Group) -> bool:
        pairs = zip(operand, members, strict=True)
        return all(self.names.shape_of(name) == self.names.shape_of(member) for name, member in pairs)

    def _concatenation(self, group: Group) -> str:
        flat = [name if len(self.names.shape_of(name)) == 1 else self._flattened(name) for name in group]
        if len(flat) == 1:
            return flat[0]
        self.nodes.append(made(self.names, "Concat", flat, (self._size(group),), axis=0))
        return str(self.nodes[-1].output[0])

    def _flattened(self, name: str) -> str:
        producer = self._makers.get(name)
        while producer is not None and producer.op_type == "Reshape":  # of a reshaped value, only the last shape matters
            name, producer = producer.input[0], self._makers.get(producer.input[0])
        shape = self.names.shape_of(name)
        return name if len(shape) == 1 else self._reshaped(name, (math.prod(shape),))

    def _reshaped(self, name: str, shape: Sequence[int]) -> str:
        self.nodes.append(reshaped(self.names, name, shape))
        return str(self.nodes[-1].output[0])

    def _size(self, group: Group) -> int:
        return sum(math.prod(self.names.shape_of(name)) for name in group)
