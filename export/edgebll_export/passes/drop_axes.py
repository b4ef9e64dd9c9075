"""A reduction that keeps its axes only for a Reshape to drop them drops them itself. Bit-identical.

Condition: every use is a Reshape to one and the same shape, which is the kept one without some axes of size 1, among them all
that are reduced; the axes are listed (an empty list stands for all of them).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from edgebll_export.passes.value_names import Names, Nodes, attribute, uses, with_inputs

_BY_INPUT = {"ReduceSum"}  # takes its axes as an input since opset 13; the others, in opset 17, as an attribute
_RESHAPES = {"Reshape", "Squeeze"}
_REDUCTIONS = _BY_INPUT | {"ReduceMean", "ReduceMax"}


def drop_axes(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    readers = uses(nodes)
    renamed: dict[str, str] = {}
    result = []
    for old in nodes:
        node = with_inputs(old, renamed)
        axes = _axes(node, readers.get(old.output[0], []), names)
        if axes is None:
            result.append(node)
            continue
        one = _without(node, axes, names)
        result.append(one)
        renamed.update({reader.output[0]: one.output[0] for reader in readers[old.output[0]]})
    return result


def _axes(node: onnx.NodeProto, readers: Sequence[onnx.NodeProto], names: Names) -> list[int] | None:
    """The axes to reduce and drop; None where the conditions do not hold."""
    if node.op_type not in _REDUCTIONS or not attribute(node, "keepdims", 1) or not readers:
        return None
    reduced = _reduced(node, names)
    if not reduced or any(reader.op_type not in _RESHAPES for reader in readers):
        return None
    shapes = {names.shape_of(reader.output[0]) for reader in readers}
    if len(shapes) != 1:
        return None
    shape, (wanted,) = names.shape_of(node.output[0]), shapes
    # Of the other axes of size 1, as many stay as the result has.
    spare = sum(size == 1 for size in wanted)
    kept = []
    for axis, size in enumerate(shape):
        if axis in reduced:
            continue
        if size != 1:
            kept.append(axis)
        elif spare:
            kept.append(axis)
            spare -= 1
    if tuple(shape[axis] for axis in kept) != wanted:
        return None
    return [axis for axis in range(len(shape)) if axis not in kept]


def _reduced(node: onnx.NodeProto, names: Names) -> set[int] | None:
    if node.op_type not in _BY_INPUT:
        axes = attribute(node, "axes")
    else:
        content = names.content_of(node.input[1]) if len(node.input) > 1 else None
        axes = None if content is None else content.tolist()
    rank = len(names.shape_of(node.input[0]))
    return None if axes is None else {axis % rank for axis in axes}


def _without(node: onnx.NodeProto, axes: list[int], names: Names) -> onnx.NodeProto:
    shape = [size for axis, size in enumerate(names.shape_of(node.input[0])) if axis not in axes]
    name = names.declare(names.dtype_of(node.output[0]), shape)
    if node.op_type in _BY_INPUT:
        inputs = [node.input[0], names.known(np.array(axes, np.int64))]
        return helper.make_node(node.op_type, inputs, [name], keepdims=0)
    return helper.make_node(node.op_type, [node.input[0]], [name], axes=axes, keepdims=0)
