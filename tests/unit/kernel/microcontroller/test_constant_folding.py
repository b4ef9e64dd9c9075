"""Chains of constant scales and shifts in forward passes with frozen weights: one of each, the same numbers within rounding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from support.planned_graphs import run_planned, spec_of

from edgebll.kernel.bundle import INT8_GRAPH
from edgebll.kernel.microcontroller import PlannedGraph, StateLayout
from edgebll.kernel.microcontroller.graph_plan import plan_graph

_RNG = np.random.default_rng(5)
GRID, NOTHING = (2, 3, 4), StateLayout((), 0)
CHANNELS = {name: _RNG.uniform(0.5, 2.0, (3, 1)).astype(np.float32) for name in ("c1", "c2", "c3")}
NUMBERS = {"plus": np.array(0.75, np.float32), "minus": np.array(-1.5, np.float32), "one": np.array(1.0, np.float32)}
X = _RNG.standard_normal(GRID).astype(np.float32)


def planned(nodes: Sequence[tuple[str, str, str]]) -> PlannedGraph:
    """A forward pass of nodes: operator, inputs, output."""
    held = [numpy_helper.from_array(value, name) for name, value in {**CHANNELS, **NUMBERS}.items()]
    x, a = (helper.make_tensor_value_info(name, TensorProto.FLOAT, GRID) for name in "xa")
    made = [helper.make_node(operator, inputs.split(), [output]) for operator, inputs, output in nodes]
    graph = helper.make_graph(made, "g", [x], [a], held)
    model: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return plan_graph(model.SerializeToString(), "test.onnx", spec_of(model), INT8_GRAPH, NOTHING)[-1]


def truth(nodes: Sequence[tuple[str, str, str]]) -> np.ndarray:
    found = {name: value.astype(np.float64) for name, value in {**CHANNELS, **NUMBERS, "x": X}.items()}
    functions = {"Mul": np.multiply, "Add": np.add, "Sub": np.subtract, "Relu": lambda v: np.maximum(v, 0)}
    for operator, inputs, output in nodes:
        found[output] = functions[operator](*(found[name] for name in inputs.split()))
    return found["a"]


NORM = [("Sub", "x c1", "s"), ("Mul", "s c2", "m"), ("Add", "m c3", "n")]
CASES = {
    "batch norm": ([*NORM, ("Relu", "n", "a")], ["MULADD", "RELU"]),
    "a scale above 0 goes through a ReLU": ([*NORM, ("Relu", "n", "r"), ("Mul", "plus r", "a")], ["MULADD", "RELU"]),
    "a scale below 0 does not": ([*NORM, ("Relu", "n", "r"), ("Mul", "r minus", "a")], ["MULADD", "RELU", "MUL"]),
    "nor does a shift": ([*NORM, ("Relu", "n", "r"), ("Add", "r minus", "a")], ["MULADD", "RELU", "ADD"]),
    "what is taken from a constant": ([("Mul", "x plus", "s"), ("Sub", "c1 s", "a")], ["MULADD"]),
    "scales alone": ([("Mul", "x plus", "s"), ("Mul", "minus s", "a")], ["MUL"]),
    "nothing at all": ([("Sub", "x plus", "s"), ("Add", "s plus", "t"), ("Relu", "t", "a")], ["RELU"]),
    "what is used twice": (
        [*NORM, ("Relu", "n", "r"), ("Mul", "r plus", "p"), ("Sub", "p r", "a")],
        ["MULADD", "RELU", "MUL", "SUB"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_scale_and_one_shift_are_left(name: str) -> None:
    nodes, codes = CASES[name]
    graph = planned(nodes)
    (kernel,) = graph.plan.kernels
    folded = [{"MULSUB": "SUB"}.get(step.code.name, step.code.name) for step in kernel.program]
    assert folded == codes or (name == "what is used twice" and folded in (["MULADD", "RELU", "SUB"], codes))
    found = run_planned(graph, NOTHING, {"x": X})["a"]
    np.testing.assert_allclose(found, truth(nodes), rtol=2e-6, atol=2e-6)
