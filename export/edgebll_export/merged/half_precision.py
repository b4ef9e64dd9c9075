"""A model in float16: weights of half the size, and on hardware that has it half the work. Input and output stay float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.transformers import float16

from edgebll.kernel.errors import ExportError
from edgebll_export.bundles.quantize import folded
from edgebll_export.passes.dead_nodes import in_order

#: Largest finite float16, beyond which a weight becomes infinite.
_LARGEST = float(np.finfo(np.float16).max)


def in_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with float16 weights and results; batch norms are folded first, for that loses fewer digits.

    Raises:
        ExportError: a weight does not fit into float16.
    """
    plain = folded(model)
    for tensor in plain.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            largest = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0.0))
            if largest > _LARGEST:
                raise ExportError(
                    f"{model.graph.name}: {tensor.name!r} has the number {largest:g}, which float16 does not hold; leave this "
                    "network in float32"
                )
    converted: onnx.ModelProto = float16.convert_float_to_float16(plain, keep_io_types=True)
    converted.graph.name = model.graph.name
    nodes = in_order(list(converted.graph.node))  # the converter puts the casts of inputs last
    del converted.graph.node[:]
    converted.graph.node.extend(nodes)
    return converted
