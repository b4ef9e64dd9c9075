"""Weights are updated where their gradients are summed, unless somebody still needs the old ones, or all of a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from support.planned_graphs import plan_model, run_onnxruntime, run_planned

from edgebll.kernel.microcontroller import PlannedGraph
from edgebll.kernel.microcontroller.plan_kernels import ElementKernel, GemmKernel
from edgebll.kernel.microcontroller.plan_parts import Code, Region

_ROWS, _COLUMNS = 24, 16
_SHAPES = {"s0": (_ROWS, _COLUMNS), "s1": (_ROWS, _COLUMNS)}


def _node(operator: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def step(nodes: list[NodeProto], batch: int, outputs: tuple[str, ...] = ("s0.next",)) -> ModelProto:
    """x (batch, columns) and g (batch, rows) for a weight s0 with a momentum s1, lr and what else the nodes make."""
    read = {name for node in nodes for name in node.input}
    shapes: dict[str, tuple[int, ...]] = {name: shape for name, shape in _SHAPES.items() if name in read}
    shapes |= {"x": (batch, _COLUMNS), "g": (batch, _ROWS), "lr": ()}
    made = {"a": (batch, _COLUMNS), **{name: _SHAPES[name.removesuffix(".next")] for name in outputs}}
    inputs, results = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in some.items()]
        for some in (shapes, made)
    )
    constant = numpy_helper.from_array(np.array(0.9, np.float32), "mu")
    graph = helper.make_graph(nodes, "step", inputs, results, [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def planned_and_right(model: ModelProto) -> PlannedGraph:
    """The plan, after its results were compared with ONNX Runtime's over two steps."""
    planned, layout = plan_model(model)
    draw = np.random.default_rng(3)
    values = {
        value.name: draw.standard_normal([dim.dim_value for dim in value.type.tensor_type.shape.dim]).astype(np.float32)
        for value in model.graph.input
    }
    for _ in range(2):
        expected, results = run_onnxruntime(model, values), run_planned(planned, layout, values)
        for name, value in expected.items():
            np.testing.assert_allclose(results[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
        values |= {name.removesuffix(".next"): value for name, value in results.items() if name.endswith(".next")}
    return planned


_BACK = _node("MatMul", "g s0", "a")
_GRADIENT = _node("Gemm", "g x", "dw", transA=1, transB=0)
_PLAIN = [_GRADIENT, _node("Mul", "lr dw", "change"), _node("Sub", "s0 change", "s0.next"), _BACK]
_MOMENTUM = [
    _GRADIENT,
    _node("Mul", "mu s1", "kept"),
    _node("Add", "kept dw", "s1.next"),
    _node("Mul", "lr s1.next", "change"),
    _node("Sub", "s0 change", "s0.next"),
    _node("Relu", "x", "a"),
]


def _updates(planned: PlannedGraph) -> list[GemmKernel]:
    """Products that write into the state."""
    return [
        kernel
        for kernel in planned.plan.kernels
        if isinstance(kernel, GemmKernel) and any(operand.region is Region.STATE for operand in kernel.operands)
    ]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_update_is_behind_the_sum_and_after_the_last_reader(batch: int) -> None:
    """The graph updates before it reads the old weight; the plan does not."""
    planned = planned_and_right(step(_PLAIN, batch))
    (update,) = _updates(planned)
    assert planned.plan.kernels[-1] is update
    assert [one.code for one in update.program] == ([Code.SUB] if batch == 1 else [Code.MULSUB])
    inputs_and_outputs = 4 * (batch * (2 * _COLUMNS + _ROWS) + 1 + _ROWS)
    assert planned.plan.arena_bytes <= inputs_and_outputs + 8, "a gradient would take 1536 bytes"


def test_for_one_sample_the_learning_rate_is_multiplied_into_a_row_or_a_column() -> None:
    planned = planned_and_right(step(_PLAIN, 1))
    (update,) = _updates(planned)
    (small,) = [kernel for kernel in planned.plan.kernels if isinstance(kernel, ElementKernel)]
    assert update.k == 1
    assert small.extents in ((_ROWS,), (_COLUMNS,))
    assert update.operands[0].strides[-1] == 1, "weights are gone through as they lie"


def test_momentum_and_weight_are_written_in_one_pass() -> None:
    planned = planned_and_right(step(_MOMENTUM, 3, ("s0.next", "s1.next")))
    (update,) = _updates(planned)
    assert [one.code for one in update.program] == [Code.MULADD, Code.MULSUB]
    assert update.program[0].d in update.program[0].sources, "the momentum lies where it was"


def test_who_needs_the_new_weight_gets_it_after_who_needs_the_old_one() -> None:
    nodes = [*_PLAIN[:-1], _node("MatMul", "g s0", "old"), _node("MatMul", "g s0.next", "new"), _node("Sub", "new old", "a")]
    planned = planned_and_right(step(nodes, 2))
    assert len(_updates(planned)) == 1


def test_a_norm_of_all_of_a_gradient_keeps_it() -> None:
    """Clipping needs the whole gradient before the first weight moves."""
    nodes = [
        _GRADIENT,
        _node("Mul", "dw dw", "squares"),
        _node("ReduceSum", "squares", "total", keepdims=0),
        _node("Sqrt", "total", "norm"),
        _node("Div", "dw norm", "clipped"),
        _node("Sub", "s0 clipped", "s0.next"),
        _BACK,
    ]
    planned = planned_and_right(step(nodes, 2))
    assert planned.plan.arena_bytes >= 4 * _ROWS * _COLUMNS
    assert _updates(planned) == []


def test_states_that_change_places_are_copied_by_way_of_the_arena() -> None:
    nodes = [_node("Identity", "s1", "s0.next"), _node("Identity", "s0", "s1.next"), _BACK]
    planned = planned_and_right(step(nodes, 1, ("s0.next", "s1.next")))
    assert planned.plan.arena_bytes >= 4 * _ROWS * _COLUMNS
