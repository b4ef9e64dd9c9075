"""What holds for all lowerings: cases reach them, which fit every target, half precision and the reference runtime."""

import contextlib

import onnx
import onnxruntime
import pytest
from onnx import helper
from support.graphs import to_model, with_gradients
from support.lowering_cases import all_cases, case_inputs, recorded_operators
from support.slow import slow_after

from edgebll_devices.runtimes.reference.operators import OPERATORS
from edgebll_export.composites import COMPOSITES
from edgebll_export.lowering_registry import COMPLEX_LOWERINGS, LOWERINGS
from edgebll_export.targets import MAX_OPSET, make_target
from edgebll_export.tracing.trace import dtype_name

CASES = all_cases()
#: Families with operators that later opsets changed (Reduce*, Split, Pad).
_CHANGED = {f"test_lowering_{family}" for family in ("norms", "padding", "reduction", "shape", "softmax")}


@pytest.fixture(scope="module")
def lowered() -> tuple[set[str], dict[str, onnx.ModelProto]]:
    """The ATen operators that value and gradient of the cases are lowered from, and the models."""
    with recorded_operators() as seen:
        models = {name: to_model(with_gradients(case[0]), case_inputs(name, case)) for name, case in CASES.items()}
    return seen, models


@pytest.mark.slow  # half a minute of tracing, and so the next two
def test_every_registered_operator_is_reached_by_a_test(lowered: tuple[set[str], dict[str, onnx.ModelProto]]) -> None:
    """Each lowering appears in the traces of some family's cases, which compare it with float64 autograd."""
    tables = {"": LOWERINGS, "complex ": COMPLEX_LOWERINGS}
    entries = {kind + name: entry for kind, table in tables.items() for name, entry in table.items()}
    reached = {entries[name].function for name in lowered[0] if name in entries}
    assert {name for name, entry in entries.items() if entry.function not in reached} == set()


@pytest.mark.slow
def test_every_composite_is_reached_by_a_test(lowered: tuple[set[str], dict[str, onnx.ModelProto]]) -> None:
    assert set(COMPOSITES) - lowered[0] == set()


@pytest.mark.slow
def test_the_reference_runtime_has_every_operator(lowered: tuple[set[str], dict[str, onnx.ModelProto]]) -> None:
    used = {node.op_type: name for name, model in lowered[1].items() for node in model.graph.node}
    assert {operator: name for operator, name in used.items() if operator not in OPERATORS} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_fits_the_oldest_tensorrt_in_half_precision(name: str) -> None:
    inputs = [value.half() if value.is_floating_point() else value for value in case_inputs(name, CASES[name])]
    function = with_gradients(CASES[name][0])
    model = to_model(function, inputs, make_target("tensorrt-8.5"))
    kinds = [helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type).name for output in model.graph.output]
    with contextlib.suppress(NotImplementedError):  # not every kernel of PyTorch computes in half precision
        assert kinds == [dtype_name(value.dtype) for value in function(*inputs)]


@pytest.mark.parametrize("opset", slow_after(0, [MAX_OPSET, 18]))
def test_it_fits_later_opsets(opset: int) -> None:
    """Operators whose attributes became inputs, or that were changed otherwise, are made as that version has them."""
    for name, case in CASES.items():
        if name.split(":")[0] in _CHANGED:
            model = to_model(with_gradients(case[0]), case_inputs(name, case), make_target("onnx", opset))
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
