"""ONNX graphs of any shape as blocks: planned, and run by the ordered reference.

Inputs named s0, s1... are state, with next values s0.next...; x is x, further inputs are what other blocks send. The output a
is a, further ones are what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from edgebll.kernel.microcontroller import PlannedGraph, StateLayout, TensorPlace
from edgebll.kernel.microcontroller.graph_plan import plan_graph
from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_format import decode, encode
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, GemmKernel, PlanKernel
from edgebll.kernel.microcontroller.plan_parts import Operand, Region
from edgebll.kernel.microcontroller.tensor_places import state_layout
from edgebll.kernel.spec.manifest import NEXT, BlockSpec, TensorSpec

Arrays = Mapping[str, np.ndarray]


def spec_of(model: onnx.ModelProto) -> BlockSpec:
    """A block with the graph's inputs and outputs."""
    inputs = {value.name: _tensor(value) for value in model.graph.input}
    outputs = {value.name: _tensor(value) for value in model.graph.output}
    state = tuple(tensor for name, tensor in inputs.items() if name + NEXT in outputs)
    known = {"x", *(tensor.name for tensor in state)}
    return BlockSpec(
        "block0",
        inputs["x"],
        TensorSpec("y", "float32", (1,)),
        outputs["a"],
        state,
        (),
        (),
        (),
        received=tuple(tensor for name, tensor in inputs.items() if name not in known),
        sent=tuple(tensor for name, tensor in outputs.items() if name != "a" and not name.endswith(NEXT)),
    )


def _tensor(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return TensorSpec(value.name, dtype, tuple(dim.dim_value for dim in kind.shape.dim))


def plan_model(model: onnx.ModelProto) -> tuple[PlannedGraph, StateLayout]:
    """The plan of a model, which boards would take."""
    spec = spec_of(model)
    layout = state_layout(spec)
    *_, planned = plan_graph(model.SerializeToString(), "test.onnx", spec, "step", layout)
    return planned, layout


def run_planned(planned: PlannedGraph, layout: StateLayout, values: Arrays, fill: int = 0xFF) -> dict[str, np.ndarray]:
    """Every output, next states among them; what nothing wrote is NaN unless another `fill` is given."""
    plan = decode(encode(planned.plan))
    state, arena = (np.full(size, fill, np.uint8) for size in (plan.state_bytes, plan.arena_bytes))
    for region, places in ((state, layout.tensors), (arena, planned.inputs)):
        for place in places:
            _at(region, place)[...] = values[place.tensor.name]
    run_ordered(plan, state, arena)
    results = {place.tensor.name: _at(arena, place).copy() for place in planned.outputs}
    return results | {place.tensor.name + NEXT: _at(state, place).copy() for place in layout.tensors}


def _at(region: np.ndarray, place: TensorPlace) -> np.ndarray:
    return np.ndarray(place.tensor.shape, np.dtype(place.tensor.dtype), region.data, place.offset)


def run_onnxruntime(model: onnx.ModelProto, values: Arrays) -> dict[str, np.ndarray]:
    """Every output by ONNX Runtime, without its warnings about what random graphs do not use."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    wanted = {value.name for value in session.get_inputs()}
    return dict(zip(names, session.run(names, {n: v for n, v in values.items() if n in wanted}), strict=True))


def check_lifetimes(planned: PlannedGraph) -> None:
    """Nothing that is alive at one time overlaps, and kernels touch only what is alive: told by the plan's own operands."""
    rooms = [
        (storage.start, storage.end, planned.offsets[storage.buffers[0]], storage.size_bytes) for storage in planned.lifetimes
    ]
    for index, (start, end, at, size) in enumerate(rooms):
        assert 0 <= at <= at + size <= planned.plan.arena_bytes
        for other_start, other_end, other_at, other_size in rooms[:index]:
            together = start <= other_end and other_start <= end
            assert not together or at + size <= other_at or other_at + other_size <= at, "two live buffers overlap"
    for number, kernel in enumerate(planned.plan.kernels):
        for operand, extents in operands_of(kernel):
            if operand.region is Region.ARENA:
                low, high = byte_range(operand, extents)
                alive = [(at, at + size) for start, end, at, size in rooms if start <= number <= end]
                assert any(at <= low and high <= to for at, to in alive), "a kernel touches what is not alive"


def operands_of(kernel: PlanKernel) -> list[tuple[Operand, tuple[int, ...]]]:
    """All operands of a kernel with the extents they run over."""
    found = [(operand, kernel.extents) for operand in kernel.operands]
    if isinstance(kernel, GemmKernel):
        found += [(factor, (*kernel.extents, kernel.k)) for factor in (kernel.a, kernel.b)]
    if isinstance(kernel, ConvKernel):
        found.append((kernel.x, (*kernel.extents[:2], *kernel.inputs)))
        found.append((kernel.kernel, (*kernel.extents[1:3], kernel.inputs[0], *kernel.taps)))
    return found


def byte_range(operand: Operand, extents: tuple[int, ...]) -> tuple[int, int]:
    """From the first byte that an operand touches to behind the last."""
    reach = [stride * (extent - 1) for stride, extent in zip(operand.strides, extents, strict=True)]
    low, high = operand.offset + sum(min(0, r) for r in reach), operand.offset + sum(max(0, r) for r in reach)
    return low * operand.dtype.size, (high + 1) * operand.dtype.size
