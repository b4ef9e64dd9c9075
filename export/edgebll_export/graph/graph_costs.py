"""What a graph takes of whoever computes it: bytes of results alive at once, and operations on numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx

from edgebll.kernel.bundle.graph_costs import FLOPS, PEAK_BYTES

#: These move numbers, or name them otherwise, and compute nothing.
_MOVES = frozenset(
    (
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "Reshape",
        "Shape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    )
)
#: Two operations for every product of two numbers.
_PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_Shapes = Mapping[str, tuple[int, ...]]


def note_costs(model: onnx.ModelProto) -> None:
    """Write into the model's metadata what computing it takes, for hosts that ask whether it fits, and how long it takes."""
    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    costs = {PEAK_BYTES: _peak(model, _sizes(known)), FLOPS: _flops(known, _shapes(known, {}))}
    onnx.helper.set_model_props(model, {name: str(cost) for name, cost in costs.items()})


def peak(model: onnx.ModelProto) -> int:
    """Bytes of results alive at once, at the most; inputs, constants and outputs of the graph do not count."""
    return _peak(model, _sizes(onnx.shape_inference.infer_shapes(model, data_prop=True).graph))


def flops(model: onnx.ModelProto) -> int:
    """Operations on numbers: two for each product of a convolution or a matrix, one for each number that others make."""
    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return _flops(known, _shapes(known, {}))


def _peak(model: onnx.ModelProto, sizes: dict[str, int]) -> int:
    graph = model.graph
    for fixed in (*graph.input, *graph.output, *graph.initializer):
        sizes.pop(fixed.name, None)
    last = {name: index for index, node in enumerate(graph.node) for name in node.input}
    alive = most = 0
    for index, node in enumerate(graph.node):
        made = [name for name in node.output if name in sizes]
        alive += sum(sizes[name] for name in made)
        most = max(most, alive)
        over = {name for name in node.input if last[name] == index} | {name for name in made if name not in last}
        alive -= sum(sizes[name] for name in over if name in sizes)
    return most


def _sizes(known: onnx.GraphProto) -> dict[str, int]:
    """Bytes of each result whose shape is known: graphs are static, so of all."""
    return {value.name: _bytes(value.type.tensor_type) for value in known.value_info}


def _bytes(tensor: onnx.TypeProto.Tensor) -> int:
    item = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).itemsize
    size: int = math.prod((dim.dim_value for dim in tensor.shape.dim), start=item)
    return size


def _shapes(graph: onnx.GraphProto, outside: _Shapes) -> dict[str, tuple[int, ...]]:
    shapes = dict(outside)
    for value in (*graph.input, *graph.output, *graph.value_info):
        shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _flops(graph: onnx.GraphProto, shapes: _Shapes) -> int:
    return sum(_of_node(node, shapes) for node in graph.node)


def _of_node(node: onnx.NodeProto, shapes: _Shapes) -> int:
    inner = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    if inner:
        return _rounds(node, shapes) * max(_flops(graph, _shapes(graph, shapes)) for graph in inner)
    if node.op_type in _MOVES:
        return 0
    made = math.prod(shapes.get(node.output[0], (0,)))
    if node.op_type not in _PRODUCTS:
        return made
    first, second = (shapes.get(name, (0,)) for name in node.input[:2])
    if node.op_type == "MatMul":
        return 2 * made * first[-1]
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return 2 * made * first[0 if transposed else -1]
    return 2 * math.prod(second[1:]) * (math.prod(first) if node.op_type == "ConvTranspose" else made)


def _rounds(node: onnx.NodeProto, shapes: _Shapes) -> int:
    """How often a body is computed: of a scan, the length of what it goes over; of others it is not known."""
    scanned = next((attribute.i for attribute in node.attribute if attribute.name == "num_scan_inputs"), 0)
    return max(1, (shapes.get(node.input[-1]) or (1,))[0]) if node.op_type == "Scan" and scanned else 1
