"""Types of the ONNX graph on TensorRT 8, whose networks are typed weakly: it may choose float16 anywhere once that is allowed.

With the flag OBEY_PRECISION_CONSTRAINTS every layer computes in the type its output has in the graph, so that master weights
and statistics stay float32 in a mixed-precision step.
https://docs.nvidia.com/deeplearning/tensorrt/archives/tensorrt-861/developer-guide/index.html#reduced-precision
"""

from __future__ import annotations

from typing import Any

#: Layers whose type follows from what they hold or hand on; TensorRT takes no other, or warns.
_FREE = ("CONSTANT", "SHAPE", "IDENTITY", "CAST", "LOOP", "CONDITION")


def state_precisions(trt: Any, network: Any, config: Any) -> None:
    """Allow float16 where the graph has it, and there only; float32 graphs are left alone.

    Args:
        trt: the package tensorrt, version 8.
        network: as parsed.
        config: gets the flags.
    """
    floats = (trt.DataType.FLOAT, trt.DataType.HALF)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    if not any(tensor.dtype == trt.DataType.HALF for tensor in _tensors(network, layers)):
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    for layer in layers:
        outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
        if layer.type.name in _FREE or not outputs or outputs[0].dtype not in floats:
            continue
        layer.precision = outputs[0].dtype
        for index, output in enumerate(outputs):
            if output.dtype in floats:
                layer.set_output_type(index, output.dtype)


def _tensors(network: Any, layers: list[Any]) -> list[Any]:
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    return inputs + [layer.get_output(index) for layer in layers for index in range(layer.num_outputs)]
