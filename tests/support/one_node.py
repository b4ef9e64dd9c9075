"""Graphs of one node, run by ONNX Runtime and by the reference runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, TypeProto, ValueInfoProto, helper

from edgebll.kernel.bundle.onnx_file import read_model
from edgebll_devices.runtimes.reference.interpreter import Program

Arrays = Sequence[np.ndarray | None]


def make_model(
    operator: str, inputs: Arrays, attributes: Mapping[str, Any], num_outputs: int = 1, opset: int = 17
) -> ModelProto:
    """The node with its inputs as graph inputs; outputs are declared with the shapes ONNX Runtime gives."""
    names = ["" if value is None else f"i{index}" for index, value in enumerate(inputs)]
    outputs = [f"o{index}" for index in range(num_outputs)]
    node = helper.make_node(operator, names, outputs, **attributes)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in zip(names, inputs, strict=True)
        if value is not None
    ]
    open_outputs = [ValueInfoProto(name=name, type=TypeProto()) for name in outputs]
    model = helper.make_model(
        helper.make_graph([node], "g", infos, open_outputs), opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )
    for name, value in zip(outputs, run_ort(model, inputs), strict=True):
        info = helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        next(output for output in model.graph.output if output.name == name).CopyFrom(info)
    return model


def run_ort(model: ModelProto, inputs: Arrays) -> list[np.ndarray]:
    """Results of ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, _feeds(inputs)))


def run_reference(model: ModelProto, inputs: Arrays) -> list[np.ndarray]:
    """Results of the reference runtime; it checks them against the declared dtypes and shapes."""
    return list(Program(read_model(model.SerializeToString())).run(_feeds(inputs)).values())


def _feeds(inputs: Arrays) -> dict[str, np.ndarray]:
    return {f"i{index}": value for index, value in enumerate(inputs) if value is not None}


def check(operator: str, inputs: Arrays, *, num_outputs: int = 1, opset: int = 17, **attributes: Any) -> None:
    """Both runtimes agree: exactly on integers and truth values, within float32 rounding otherwise."""
    model = make_model(operator, inputs, attributes, num_outputs, opset)
    for actual, expected in zip(run_reference(model, inputs), run_ort(model, inputs), strict=True):
        assert actual.dtype == expected.dtype
        if expected.dtype.kind != "f":
            np.testing.assert_array_equal(actual, expected)
        else:
            finite = expected[np.isfinite(expected)]
            scale = float(np.abs(finite).max(initial=0.0))
            np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6 * max(scale, 1e-30))
