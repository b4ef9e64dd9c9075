"""Quantised products as plans: sums of integers, judged by exact convolutions and products of the same integers in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from support.planned_graphs import plan_model, run_planned
from support.same_bits import assert_same_bits
from torch.nn import functional

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller import PlannedGraph
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, ElementKernel, GemmKernel, factors_of
from edgebll.kernel.microcontroller.plan_parts import PlanDtype, Region

_RNG = np.random.default_rng(11)
X_SCALE, ZERO = np.float32(0.031), np.int8(0)


class Graph:
    """Nodes from x to a, with constants."""

    def __init__(self, shape: tuple[int, ...], **constants: np.ndarray) -> None:
        self.shape, self.nodes = shape, list[onnx.NodeProto]()
        self.constants: dict[str, np.ndarray] = {"xs": np.array(X_SCALE), "zero": np.array(ZERO), **constants}

    def add(self, operator: str, inputs: str, output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs.split(), [output], **attributes))

    def quantised(self, name: str, scale: str) -> None:
        """NAME through int8 as NAME_."""
        self.add("QuantizeLinear", f"{name} {scale} zero", f"{name}_q")
        self.add("DequantizeLinear", f"{name}_q {scale} zero", f"{name}_")

    def model(self, *result: int) -> onnx.ModelProto:
        infos = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", self.shape), ("a", result))
        ]
        held = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "g", infos[:1], infos[1:], held)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights(shape: tuple[int, ...], axis: int) -> dict[str, np.ndarray]:
    """int8 weights, a scale for each place of an axis, their zero points and a bias."""
    count = shape[axis]
    return {
        "w": _RNG.integers(-127, 128, shape, np.int8),
        "ws": _RNG.uniform(0.001, 0.01, count).astype(np.float32),
        "wz": np.zeros(count, np.int8),
        "bias": _RNG.standard_normal(count).astype(np.float32),
    }


def run(model: onnx.ModelProto, x: np.ndarray) -> tuple[PlannedGraph, np.ndarray]:
    planned, layout = plan_model(model)
    assert_same_bits(planned.plan, 3)
    return planned, run_planned(planned, layout, {"x": x})["a"]


def to_int8(x: np.ndarray, scale: np.float32) -> np.ndarray:
    return np.clip(np.rint(x * (np.float32(1.0) / scale)), -128, 127)


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * float(np.abs(wanted).max()))


@pytest.mark.parametrize(
    ("groups", "attributes"),
    [(1, {"pads": [1, 0, 2, 1], "strides": [2, 1]}), (2, {"dilations": [2, 1]}), (4, {"pads": [1, 1, 1, 1]})],
)
def test_a_convolution_sums_integers(groups: int, attributes: dict[str, Any]) -> None:
    x, held = _RNG.standard_normal((2, 4, 7, 6)).astype(np.float32) * 3, weights((8, 4 // groups, 3, 3), 0)
    graph = Graph(x.shape, **held)
    graph.quantised("x", "xs")
    graph.add("DequantizeLinear", "w ws wz", "w_", axis=0)
    graph.add("Conv", "x_ w_ bias", "a", group=groups, kernel_shape=[3, 3], **attributes)
    pads = attributes.get("pads", [0, 0, 0, 0])
    padded = np.pad(to_int8(x, X_SCALE), ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    sums = functional.conv2d(
        torch.from_numpy(padded.astype(np.float64)),
        torch.from_numpy(held["w"].astype(np.float64)),
        stride=attributes.get("strides", [1, 1]),
        dilation=attributes.get("dilations", [1, 1]),
        groups=groups,
    ).numpy()
    wanted = sums * float(X_SCALE) * held["ws"][:, None, None].astype(np.float64) + held["bias"][:, None, None]
    planned, found = run(graph.model(*wanted.shape), x)
    close(found, wanted)
    (product,) = [kernel for kernel in planned.plan.kernels if isinstance(kernel, ConvKernel)]
    assert [factor.dtype for factor in factors_of(product)] == [PlanDtype.INT8] * 2
    assert product.kernel.region is Region.CONSTANTS
    assert len(planned.plan.constants) < held["w"].size + 4 * 8 * 3 + 16, "weights are bytes"


def test_two_matrix_products_hand_on_int8_alone() -> None:
    """Whatever lies between them, here a bias and a ReLU, is computed behind the first sum and stored as int8."""
    x, held = _RNG.standard_normal((5, 12)).astype(np.float32), weights((12, 9), 1)
    second = {f"{name}2": value for name, value in weights((6, 9), 0).items()}
    graph = Graph(x.shape, hs=np.array(0.05, np.float32), **held, **second)
    graph.quantised("x", "xs")
    graph.add("DequantizeLinear", "w ws wz", "w_", axis=1)
    graph.add("MatMul", "x_ w_", "p")
    graph.add("Add", "p bias", "b")
    graph.add("Relu", "b", "h")
    graph.quantised("h", "hs")
    graph.add("DequantizeLinear", "w2 ws2 wz2", "w2_", axis=0)
    graph.add("Gemm", "h_ w2_ bias2", "a", transB=1)
    hidden = to_int8(x, X_SCALE) @ held["w"].astype(np.float64)
    hidden = np.maximum(hidden * (X_SCALE * held["ws"]) + held["bias"], 0).astype(np.float32)
    wanted = (to_int8(hidden, np.float32(0.05)) @ second["w2"].T.astype(np.float64)) * 0.05 * second["ws2"] + second["bias2"]
    planned, found = run(graph.model(5, 6), x)
    close(found, wanted)
    first, middle, last = planned.plan.kernels
    assert isinstance(first, ElementKernel)
    assert isinstance(middle, GemmKernel)
    assert isinstance(last, GemmKernel)
    assert [operand.dtype for operand in middle.operands if operand.region is Region.ARENA] == [PlanDtype.INT8]
    assert planned.plan.arena_bytes <= 4 * 60 + 60 + 48 + 8, "x in float32, x and the hidden numbers in int8"


def test_what_is_no_product_reads_floats_again() -> None:
    x = _RNG.standard_normal((3, 4)).astype(np.float32) * 9
    graph = Graph(x.shape)
    graph.quantised("x", "xs")
    graph.add("Add", "x_ x", "a")
    close(run(graph.model(3, 4), x)[1], to_int8(x, X_SCALE) * X_SCALE + x)


def test_a_product_of_one_term_and_one_with_a_scale_for_each_term() -> None:
    """Scales along what is summed cannot wait for the sum: such a product is one of floats."""
    x, held = _RNG.standard_normal((3, 5)).astype(np.float32), weights((5, 4), 0)
    graph = Graph(x.shape, **held)
    graph.quantised("x", "xs")
    graph.add("DequantizeLinear", "w ws wz", "w_", axis=0)
    graph.add("MatMul", "x_ w_", "a")
    close(run(graph.model(3, 4), x)[1], (to_int8(x, X_SCALE) * X_SCALE) @ (held["w"] * held["ws"][:, None].astype(np.float64)))
    x, held = x[:, :1].copy(), weights((1, 4), 1)
    graph = Graph(x.shape, **held)
    graph.quantised("x", "xs")
    graph.add("DequantizeLinear", "w ws wz", "w_", axis=1)
    graph.add("MatMul", "x_ w_", "a")
    close(run(graph.model(3, 4), x)[1], (to_int8(x, X_SCALE) * X_SCALE) @ (held["w"] * held["ws"].astype(np.float64)))


@pytest.mark.parametrize(
    ("constants", "problem"),
    [
        ({"zero": np.array(3, np.int8)}, "its zero point is not 0; quantise symmetrically"),
        ({"zero": np.array(0, np.uint8)}, "its zero point is not int8"),
        ({"xs": np.ones(7, np.float32)}, r"scales of shape \[7\] do not go along axis 1 of \[3, 4\]"),
    ],
)
def test_other_ways_of_quantising_are_refused(constants: dict[str, np.ndarray], problem: str) -> None:
    graph = Graph((3, 4), **constants)
    graph.quantised("x", "xs")
    graph.add("Relu", "x_", "a")
    with pytest.raises(BundleError, match=problem):
        plan_model(graph.model(3, 4))


def test_a_factor_beside_floats_stays_an_integer() -> None:
    """What no scale goes with is not rounded: the weights alone are bytes, and their scale follows the sum."""
    x, held = _RNG.standard_normal((5, 12)).astype(np.float32), weights((12, 9), 1)
    graph = Graph(x.shape, **held)
    graph.add("DequantizeLinear", "w ws wz", "w_", axis=1)
    graph.add("MatMul", "x w_", "a")
    planned, found = run(graph.model(5, 9), x)
    close(found, x.astype(np.float64) @ (held["w"].astype(np.float64) * held["ws"].astype(np.float64)))
    (product,) = planned.plan.kernels
    assert sorted(factor.dtype for factor in factors_of(product)) == [PlanDtype.FLOAT32, PlanDtype.INT8]
    assert len(planned.plan.constants) <= held["w"].size + 4 * 9
