"""Every operator of the reference runtime against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.one_node import check

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators import OPERATORS

_RANDOM = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    return _RANDOM.standard_normal(shape).astype(np.float32)


def i(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def b(*shape: int) -> np.ndarray:
    return _RANDOM.random(shape) < 0.5


def positive(*shape: int) -> np.ndarray:
    return np.abs(f(*shape)) + np.float32(0.1)


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


_REPEAT = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
_INTS = _RANDOM.integers(-9, 9, (3, 4))
_EDGE = np.array([-np.inf, -200, -88, -1, -0.0, 0, 1e-3, 1, 30, 88, 200, np.inf], np.float32)
_TIES = np.array([[1, 3, 3, 2], [0, 0, 0, 0]], np.float32)
_C = 3

Case = tuple[str, list[Any], dict[str, Any]]
CASES: list[Case] = [
    *((name, [f(3, 4), f(4)], {}) for name in ("Add", "Sub", "Mul", "Div")),
    *((name, [f(2, 1, 3), f(4, 1)], {}) for name in ("Add", "Sub", "Mul", "Div")),
    *((name, [_INTS, np.array([3, -2, 5, -7])], {}) for name in ("Add", "Sub", "Mul", "Div")),
    *((name, [f(), f()], {}) for name in ("Add", "Mul", "Div")),
    *((name, [f(2, 3), f(3), f(2, 1)], {}) for name in ("Max", "Min", "Sum")),
    *(
        (name, [f(2, 3)], {})
        for name in ("Max", "Min", "Sum", "Neg", "Abs", "Sign", "Exp", "Tanh", "Erf", "Floor", "Ceil", "Sin", "Cos")
    ),
    *((name, [f(2, 3)], {}) for name in ("Tan", "Atan", "Sinh", "Cosh", "Asinh")),
    *((name, [np.tanh(f(2, 3))], {}) for name in ("Asin", "Acos", "Atanh")),
    ("Acosh", [1 + positive(2, 3)], {}),
    ("Round", [np.array([-2.5, -1.5, -0.5, 0.4, 0.5, 1.5, 2.6], np.float32)], {}),
    *((name, [positive(2, 3)], {}) for name in ("Sqrt", "Log", "Reciprocal")),
    ("Neg", [_INTS], {}),
    ("Pow", [positive(2, 3), f(3)], {}),
    ("Pow", [f(2, 3), scalar(2)], {}),
    ("Clip", [f(9), scalar(-0.5), scalar(0.5)], {}),
    ("Clip", [f(9), None, scalar(0.5)], {}),
    ("Clip", [f(9), scalar(0.5)], {}),
    *((name, [_EDGE], {}) for name in ("Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "Softplus", "Elu", "Tanh")),
    ("LeakyRelu", [f(9)], {"alpha": 0.3}),
    ("Elu", [f(9)], {"alpha": 1.7}),
    ("HardSigmoid", [f(9)], {"alpha": 1e6, "beta": 0.0}),
    *((name, [f(3, 4, 2)], {"axis": axis}) for name in ("Softmax", "LogSoftmax") for axis in (0, 1, -1)),
    *((name, [80 * f(3, 4)], {}) for name in ("Softmax", "LogSoftmax")),
    *((name, [_INTS, _INTS[::-1].copy()], {}) for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")),
    *((name, [f(3, 4), f(4)], {}) for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")),
    *((name, [b(3, 4), b(4)], {}) for name in ("And", "Or", "Xor")),
    ("Not", [b(5)], {}),
    ("Where", [b(3, 1), f(3, 4), f(4)], {}),
    *(("Cast", [3 * f(9)], {"to": to}) for to in (1, 6, 7, 9)),
    ("Cast", [np.array([1.4, 70000.0, 1e-8], np.float32)], {"to": 10}),
    ("Cast", [b(5)], {"to": 1}),
    ("Cast", [_INTS], {"to": 1}),
    ("IsNaN", [np.array([0, np.nan, np.inf], np.float32)], {}),
    ("Identity", [f(2, 3)], {}),
    ("MatMul", [f(3, 4), f(4, 5)], {}),
    ("MatMul", [f(2, 3, 4), f(4, 5)], {}),
    ("MatMul", [f(4), f(4, 5)], {}),
    ("MatMul", [f(3, 4), f(4)], {}),
    ("MatMul", [f(2, 1, 3, 4), f(5, 4, 2)], {}),
    *(
        ("Gemm", [f(4, 3) if ta else f(3, 4), f(5, 4) if tb else f(4, 5)], {"transA": ta, "transB": tb})
        for ta in (0, 1)
        for tb in (0, 1)
    ),
    ("Gemm", [f(3, 4), f(4, 5), f(5)], {"alpha": 0.5, "beta": 2.0}),
    ("Gemm", [f(3, 4), f(4, 5), f(3, 1)], {}),
    ("BatchNormalization", [f(4, _C, 5, 5), f(_C), f(_C), f(_C), positive(_C)], {"epsilon": 1e-3}),
    ("BatchNormalization", [f(4, _C), f(_C), f(_C), f(_C), positive(_C)], {}),
    ("GlobalAveragePool", [f(2, 3, 4, 5)], {}),
    ("GlobalMaxPool", [f(2, 3, 4)], {}),
    ("Resize", [f(2, 3, 4, 5), None, np.array([1, 1, 3, 2], np.float32)], _REPEAT),
    ("Resize", [f(2, 3, 4), None, np.array([1, 1, 2], np.float32)], _REPEAT),
    *(
        (name, [f(2, 3, 4)], {"axes": axes, "keepdims": keep})
        for name in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2")
        for axes, keep in (([0, 2], 1), ([-1], 0))
    ),
    ("ReduceMean", [f(2, 3, 4)], {}),
    ("ReduceMean", [f(2, 3, 4)], {"keepdims": 0}),
    ("ReduceSum", [f(2, 3, 4), i(0, 2)], {"keepdims": 0}),
    ("ReduceSum", [f(2, 3, 4), i(1)], {}),
    ("ReduceSum", [f(2, 3, 4)], {}),
    ("ReduceSum", [_INTS], {"keepdims": 0}),
    ("ReduceSum", [f(2, 3, 4), i()], {"noop_with_empty_axes": 1}),
    *((name, [_TIES], {"axis": axis, "keepdims": k}) for name in ("ArgMax", "ArgMin") for axis in (0, 1) for k in (0, 1)),
    ("ArgMax", [_TIES], {"axis": -1, "select_last_index": 1}),
    *(("TopK", [_TIES, i(k)], {"largest": most, "num_outputs": 2}) for k in (1, 4) for most in (0, 1)),
    ("TopK", [f(3, 4, 2), i(2)], {"axis": 1, "num_outputs": 2}),
    ("CumSum", [f(2, 3, 4), np.array(-2)], {}),
    ("CumSum", [_INTS, np.array(0)], {}),
    *(("CumSum", [f(2, 3), np.array(1)], {"exclusive": e, "reverse": r}) for e, r in ((1, 0), (0, 1), (1, 1))),
    ("Reshape", [f(2, 3, 4), i(0, -1)], {}),
    ("Reshape", [f(2, 3, 4), i(4, 3, 2)], {}),
    ("Reshape", [f(1), i()], {}),
    ("Reshape", [f(0, 3), i(0, 2)], {"allowzero": 1}),
    *(("Flatten", [f(2, 3, 4)], {"axis": axis}) for axis in (0, 1, 2, 3, -1)),
    ("Transpose", [f(2, 3, 4)], {}),
    ("Transpose", [f(2, 3, 4)], {"perm": [1, 0, 2]}),
    ("Squeeze", [f(1, 3, 1), i(0)], {}),
    ("Squeeze", [f(1, 3, 1), i(-1)], {}),
    ("Squeeze", [f(1, 3, 1)], {}),
    ("Unsqueeze", [f(3, 4), i(0, -1)], {}),
    ("Expand", [f(3, 1), i(2, 3, 4)], {}),
    ("Expand", [f(3, 4), i(1, 1)], {}),
    ("Tile", [f(2, 3), i(2, 1)], {}),
    ("Shape", [f(2, 3, 4)], {}),
    ("Shape", [f(2, 3, 4)], {"start": 1, "end": -1}),
    ("Size", [f(2, 3, 4)], {}),
    ("ConstantOfShape", [i(2, 3)], {}),
    ("Constant", [], {"value_float": 0.25}),
    ("Constant", [], {"value_ints": [1, -2]}),
    ("Concat", [f(2, 3), f(2, 1)], {"axis": 1}),
    ("Concat", [f(2, 3)], {"axis": -2}),
    ("Split", [f(2, 6), i(1, 2, 3)], {"axis": 1, "num_outputs": 3}),
    ("Split", [f(6, 2)], {"num_outputs": 3}),
    ("Slice", [f(4, 6), i(1, 0), i(4, 6), i(0, 1), i(2, 3)], {}),
    ("Slice", [f(4, 6), i(-1), i(-9), i(1), i(-2)], {}),
    ("Slice", [f(4, 6), i(2), i(1 << 60)], {}),
    ("Slice", [f(4, 6), i(9), i(-9), i(0), i(-1)], {}),
    ("Slice", [f(4, 6), i(-20), i(-2), i(1)], {}),
    ("Gather", [f(4, 6), i(3, -1, 0)], {}),
    ("Gather", [f(4, 6), np.array(2)], {"axis": 1}),
    ("GatherElements", [f(3, 4), np.array([[0, 3, -1], [1, 1, 2]])], {"axis": 1}),
    ("GatherElements", [f(3, 4, 2), np.array([[[2, 0]], [[-1, 1]]])], {}),
    ("Pad", [f(2, 3), i(1, 0, 2, 1), scalar(7)], {}),
    ("Pad", [f(2, 3), i(0, -1, 1, 2)], {}),
    ("Pad", [f(4, 5), i(1, 2, 1, 2)], {"mode": "reflect"}),
    ("Pad", [f(4, 5), i(1, 2, 1, 2)], {"mode": "edge"}),
]
#: Covered by the geometry tests below.
_BY_GEOMETRY = {"Conv", "ConvTranspose", "MaxPool", "AveragePool"}


def _identifier(case: Case) -> str:
    shapes = "-".join("none" if v is None else "x".join(map(str, v.shape)) or "scalar" for v in case[1])
    return f"{case[0]}-{shapes}-{','.join(f'{k}={v}' for k, v in case[2].items())}"


@pytest.mark.parametrize("case", CASES, ids=_identifier)
def test_agrees_with_onnx_runtime(case: Case) -> None:
    operator, inputs, attributes = case
    attributes = dict(attributes)
    check(operator, inputs, num_outputs=attributes.pop("num_outputs", 1), **attributes)


def test_every_operator_is_tested() -> None:
    inside = {"Scan", "QuantizeLinear", "DequantizeLinear"}  # test_reference_scan.py, test_int8_activations.py of export
    assert {case[0] for case in CASES} | _BY_GEOMETRY | inside == set(OPERATORS)


@pytest.mark.parametrize(
    ("scales", "how"), [([1, 1, 1.5], {}), ([1, 1, 2], {"nearest_mode": "ceil"}), ([1, 1, 2], {"mode": "linear"}), ([1, 2], {})]
)
def test_other_ways_to_resize_are_refused(scales: list[float], how: dict[str, str]) -> None:
    with pytest.raises(BundleError):
        OPERATORS["Resize"]([f(1, 1, 4), None, np.array(scales, np.float32)], {**_REPEAT, **how}, 1)


def test_batch_normalisation_in_training_mode() -> None:
    inputs = [f(4, 3, 5), f(3), f(3), f(3), positive(3)]
    check("BatchNormalization", inputs, num_outputs=3, training_mode=1, momentum=0.8)


def test_reduction_takes_axes_as_an_input_from_opset_18() -> None:
    check("ReduceMean", [f(2, 3, 4), i(0, -1)], opset=18, keepdims=0)


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    """Space of one or two axes and attributes of a window that fits it."""
    axes = draw(st.integers(1, 2))
    several = lambda low, high: draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes))  # noqa: E731
    attributes = {"kernel_shape": several(1, 3), "strides": several(1, 3), "pads": several(0, 2) + several(0, 2)}
    space = several(1, 7)
    return {"space": space, **attributes, "dilations": several(1, 2)}


def _out(g: dict[str, Any]) -> list[int]:
    axes = len(g["space"])
    sides = zip(g["space"], g["kernel_shape"], g["strides"], g["dilations"], g["pads"][:axes], g["pads"][axes:], strict=True)
    return [(n + front + back - d * (k - 1) - 1) // s + 1 for n, k, s, d, front, back in sides]


@settings(max_examples=60, deadline=None)
@given(geometries(), st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.booleans())
def test_conv(g: dict[str, Any], groups: int, wide_in: int, wide_out: int, with_bias: bool) -> None:
    assume(min(_out(g)) > 0)
    g = dict(g)
    x = f(2, groups * wide_in, *g.pop("space"))
    weight = f(groups * wide_out, wide_in, *g["kernel_shape"])
    bias = [f(groups * wide_out)] if with_bias else []
    check("Conv", [x, weight, *bias], group=groups, **g)


@settings(max_examples=60, deadline=None)
@given(geometries(), st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.data())
def test_conv_transpose(g: dict[str, Any], groups: int, wide_in: int, wide_out: int, data: st.DataObject) -> None:
    g = dict(g)
    space = g.pop("space")
    extra = [data.draw(st.integers(0, stride - 1)) for stride in g["strides"]]
    axes = len(space)
    parts = zip(space, g["strides"], g["dilations"], g["kernel_shape"], extra, strict=True)
    out = [s * (n - 1) + d * (k - 1) + 1 + e for n, s, d, k, e in parts]
    assume(all(size > g["pads"][a] + g["pads"][a + axes] for a, size in enumerate(out)))
    x = f(2, groups * wide_in, *space)
    weight = f(groups * wide_in, wide_out, *g["kernel_shape"])
    bias = [f(groups * wide_out)] if data.draw(st.booleans()) else []
    check("ConvTranspose", [x, weight, *bias], group=groups, output_padding=extra, **g)


@settings(max_examples=60, deadline=None)
@given(geometries(), st.booleans())
def test_pooling(g: dict[str, Any], count_include_pad: bool) -> None:
    # Windows of padding alone have no maximum.
    g = {**g, "pads": [min(pad, size - 1) for pad, size in zip(g["pads"], g["kernel_shape"] * 2, strict=True)]}
    assume(min(_out(g)) > 0)
    attributes = {name: value for name, value in g.items() if name not in ("space", "dilations")}
    x = f(2, 3, *g["space"])
    check("MaxPool", [x], dilations=g["dilations"], **attributes)
    if min(_out({**g, "dilations": [1] * len(g["space"])})) > 0:
        check("AveragePool", [x], count_include_pad=int(count_include_pad), **attributes)
