"""Small element programs that have nothing to do with each other are one kernel: beginning one costs more than they do."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from support.planned_graphs import check_lifetimes, plan_model, run_onnxruntime, run_planned

from edgebll.kernel.microcontroller.plan_kernels import ElementKernel


def model_of(nodes: list[tuple[str, list[str], str]], count: int) -> ModelProto:
    """A graph of x (count,) and r (1, count) to a (count,) and b (1, count); s is a number."""
    made = [helper.make_node(operator, inputs, [output]) for operator, inputs, output in nodes]
    ends = {"x": [count], "r": [1, count], "a": [count], "b": [1, count]}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends.items()}
    graph = helper.make_graph(made, "g", [infos["x"], infos["r"]], [infos["a"], infos["b"]])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("nodes", "count", "kernels"),
    [
        ([("Neg", ["x"], "a"), ("Mul", ["r", "r"], "b")], 10, 1),
        ([("Neg", ["x"], "a"), ("Mul", ["r", "r"], "b")], 1000, 2),  # not worth it
        # b needs all of a first: they can be no pair, whatever their shapes.
        ([("Neg", ["x"], "a"), ("ReduceSum", ["a"], "s"), ("Mul", ["r", "s"], "b")], 10, 2),
    ],
)
def test_small_programs_become_one(nodes: list[tuple[str, list[str], str]], count: int, kernels: int) -> None:
    model = model_of(nodes, count)
    planned, layout = plan_model(model)
    check_lifetimes(planned)
    assert sum(isinstance(kernel, ElementKernel) for kernel in planned.plan.kernels) == kernels
    values = {"x": np.arange(count, dtype=np.float32) - 3, "r": np.full((1, count), 2.0, np.float32)}
    expected, found = run_onnxruntime(model, values), run_planned(planned, layout, values)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
