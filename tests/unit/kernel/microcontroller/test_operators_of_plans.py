"""Every operator of the target "microcontroller", planned and run in order, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from support.planned_graphs import check_lifetimes, plan_model, run_onnxruntime, run_planned

from edgebll.kernel.errors import BundleError

_RNG = np.random.default_rng(7)


def _floats(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def _whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def one_node(operator: str, inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], dtype: int) -> ModelProto:
    """x through the node to a; float inputs behind the first are received, integers are constants."""
    names = ["x", *(f"i{index}" for index in range(len(inputs) - 1))]
    given = list(zip(names, inputs, strict=True))
    taken = [(name, value) for name, value in given if name == "x" or value.dtype == np.float32]
    constants = [numpy_helper.from_array(value, name) for name, value in given if name != "x" and value.dtype != np.float32]
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in taken]
    nodes = [helper.make_node(operator, names, ["v"], **attributes)]
    nodes.append(helper.make_node("Cast" if dtype == TensorProto.BOOL else "Identity", ["v"], ["a"]))
    if dtype == TensorProto.BOOL:
        nodes[1].attribute.append(helper.make_attribute("to", TensorProto.FLOAT))
    graph = helper.make_graph(nodes, "g", infos, [helper.make_tensor_value_info("a", TensorProto.FLOAT, None)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    shape = run_onnxruntime(model, dict(taken))["a"].shape
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("a", TensorProto.FLOAT, shape))
    return model


_ONE = ["Neg", "Abs", "Floor", "Relu", "Exp"]
_TWO = ["Add", "Sub", "Mul", "Div", "Max", "Min"]
_CONV = {"kernel_shape": [3, 3]}
CASES: list[tuple[str, list[np.ndarray], dict[str, Any]]] = [
    *((name, [_floats(2, 3, 4)], {}) for name in _ONE),
    *((name, [np.abs(_floats(2, 3))], {}) for name in ("Sqrt", "Log", "Reciprocal")),
    *((name, [_floats(2, 3, 4), _floats(3, 1)], {}) for name in _TWO),
    ("MatMul", [_floats(2, 3, 4), _floats(4, 5)], {}),
    ("MatMul", [_floats(2, 3, 4, 5), _floats(1, 3, 5, 2)], {}),
    ("MatMul", [_floats(2, 1, 2, 1, 3, 4), _floats(1, 3, 1, 2, 4, 2)], {}),
    ("Gemm", [_floats(3, 4), _floats(5, 4), _floats(5)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", [_floats(4, 3), _floats(4, 5)], {"transA": 1}),
    ("Conv", [_floats(2, 3, 6, 5), _floats(4, 3, 3, 3), _floats(4)], {**_CONV, "pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ("Conv", [_floats(2, 4, 6, 5), _floats(4, 2, 3, 3)], {**_CONV, "group": 2, "dilations": [2, 1]}),
    ("Conv", [_floats(2, 4, 6, 6), _floats(4, 1, 3, 3)], {**_CONV, "group": 4, "pads": [1, 1, 1, 1]}),
    ("Conv", [_floats(2, 4, 5, 5), _floats(6, 4, 1, 1)], {"kernel_shape": [1, 1], "strides": [2, 2]}),
    ("Conv", [_floats(2, 3, 9), _floats(4, 3, 3)], {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    ("Conv", [_floats(3, 1, 6, 6), _floats(2, 1, 5, 5)], {"kernel_shape": [5, 5], "dilations": [1, 1]}),
    ("ConvTranspose", [_floats(2, 4, 3, 4), _floats(4, 2, 3, 3)], {**_CONV, "strides": [2, 1], "pads": [1, 0, 0, 1]}),
    ("ConvTranspose", [_floats(2, 4, 3), _floats(4, 1, 2)], {"kernel_shape": [2], "strides": [3], "group": 2}),
    (
        "ConvTranspose",
        [_floats(1, 2, 3, 3), _floats(2, 3, 3, 3)],
        {**_CONV, "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 0], "dilations": [2, 1]},
    ),
    ("ReduceSum", [_floats(2, 3, 4), _whole(0, 2)], {"keepdims": 0}),
    ("ReduceSum", [_floats(2, 3, 4)], {"keepdims": 1}),
    ("ReduceMean", [_floats(2, 3, 4)], {"axes": [-1], "keepdims": 1}),
    ("ReduceMax", [_floats(2, 3, 4)], {"axes": [1], "keepdims": 0}),
    ("LogSoftmax", [_floats(2, 3, 4)], {"axis": 1}),
    ("Reshape", [_floats(2, 3, 4), _whole(4, 6)], {}),
    ("Squeeze", [_floats(1, 3, 1)], {}),
    ("Transpose", [_floats(2, 3, 4)], {"perm": [2, 0, 1]}),
    ("Expand", [_floats(1, 3, 1), _whole(2, 3, 4)], {}),
    ("Slice", [_floats(5, 6), _whole(1, -4), _whole(5, 9), _whole(0, 1), _whole(2, 1)], {}),
    ("Concat", [_floats(2, 3), _floats(2, 2)], {"axis": 1}),
    ("Pad", [_floats(2, 3), _whole(1, 0, 2, 1)], {}),
    ("Gather", [_floats(4, 3), _whole(2, 0, 0)], {"axis": 0}),
    ("Gather", [_floats(4, 3), _whole(2, 1, 0)], {"axis": 1}),
    ("Gather", [_floats(2, 4, 3), _whole(3, 0, 0)], {"axis": 1}),
]


@pytest.mark.parametrize(("operator", "inputs", "attributes"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_an_operator_gives_what_onnxruntime_gives(operator: str, inputs: list, attributes: dict) -> None:
    _check(one_node(operator, inputs, attributes, TensorProto.FLOAT), inputs)


def _check(model: ModelProto, inputs: Sequence[np.ndarray]) -> None:
    values = {"x": inputs[0], **{f"i{index}": value for index, value in enumerate(inputs[1:])}}
    planned, layout = plan_model(model)
    check_lifetimes(planned)
    expected = run_onnxruntime(model, values)["a"]
    np.testing.assert_allclose(run_planned(planned, layout, values)["a"], expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("operator", ["Greater", "Equal"])
def test_a_comparison_is_one_or_nothing(operator: str) -> None:
    inputs = [np.array([1, 2, 3, -0.0], np.float32), np.array([1, 3, 2, 0.0], np.float32)]
    _check(one_node(operator, inputs, {}, TensorProto.BOOL), inputs)


def test_tokens_choose_rows_and_compare_with_numbers() -> None:
    """Positions come in as int64: rows of a table by Gather, and where they equal a row of constants."""
    nodes = [
        helper.make_node("Gather", ["i1", "x"], ["rows"], axis=0),
        helper.make_node("Reshape", ["x", "column"], ["high"]),
        helper.make_node("Equal", ["high", "numbers"], ["hit"]),
        helper.make_node("Cast", ["hit"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["ones", "i1"], ["again"]),
        helper.make_node("Sub", ["rows", "again"], ["a"]),
        helper.make_node("Identity", ["rows"], ["told"]),
    ]
    constants = [numpy_helper.from_array(_whole(4, 1), "column"), numpy_helper.from_array(np.arange(3), "numbers")]
    infos = [
        helper.make_tensor_value_info("x", TensorProto.INT64, (4,)),
        helper.make_tensor_value_info("i1", TensorProto.FLOAT, (3, 2)),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (4, 2)) for name in ("a", "told")]
    graph = helper.make_graph(nodes, "g", infos, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    planned, layout = plan_model(model)
    table, tokens = _floats(3, 2), _whole(2, 0, 1, 2)
    results = run_planned(planned, layout, {"x": tokens, "i1": table})
    np.testing.assert_array_equal(results["told"], table[tokens])
    np.testing.assert_array_equal(results["a"], np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "sentence"),
    [
        ("Tanh", [_floats(2)], {}, "the Tanh node of 'v' cannot run on a microcontroller; export with the target"),
        ("Slice", [_floats(4), _whole(3), _whole(-9), _whole(0), _whole(-1)], {}, "it goes in steps of -1; only steps above 0"),
        ("Pad", [_floats(4, 4), _whole(1, 1, 1, 1)], {"mode": "reflect"}, "padding is with a number"),
    ],
)
def test_what_cannot_run_is_refused_by_name_and_place(operator: str, inputs: list, attributes: dict, sentence: str) -> None:
    with pytest.raises(BundleError, match=f"test.onnx: .*{sentence}"):
        plan_model(one_node(operator, inputs, attributes, TensorProto.FLOAT))
