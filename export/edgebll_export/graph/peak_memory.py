"""How much memory the results between a graph's operators take: the most that are alive at once, operators taken in order."""

from __future__ import annotations

import math

import numpy as np
import onnx

from edgebll.kernel.bundle.peak_memory import PEAK_BYTES


def note_peak(model: onnx.ModelProto) -> None:
    """Write into the model's metadata how many bytes of results are alive at once, for hosts that ask whether they fit."""
    onnx.helper.set_model_props(model, {PEAK_BYTES: str(peak(model))})


def peak(model: onnx.ModelProto) -> int:
    """Bytes of results alive at once, at the most; inputs, constants and outputs of the graph do not count."""
    graph = model.graph
    sizes = _sizes(model)
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


def _sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of each result whose shape is known: graphs are static, so of all."""
    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {value.name: _bytes(value.type.tensor_type) for value in known.value_info}


def _bytes(tensor: onnx.TypeProto.Tensor) -> int:
    item = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).itemsize
    size: int = math.prod((dim.dim_value for dim in tensor.shape.dim), start=item)
    return size
