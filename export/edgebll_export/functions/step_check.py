"""Running an exported function on ONNX Runtime beside PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import onnx
import onnxruntime
import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError, VerifyError
from edgebll.kernel.spec.manifest import NEXT
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import TOLERANCE, Difference, compare_all
from edgebll_export.bundles.rounding_bounds import growing_reaches
from edgebll_export.functions.step_call import Call
from edgebll_export.tracing.trace import Trace, fake_value
from edgebll_export.tracing.user_code import running


@dataclass(frozen=True)
class Comparison:
    """How far ONNX Runtime's outputs are from PyTorch's.

    Attributes:
        tolerance: what errors may be.
        errors: relative, of each output, as in `edgebll.kernel.state.numerical_comparison`.
        by_rounding: how many elements of an output are beyond the tolerance, but no further off than rounding may move it;
        outputs without such are left out.
    """

    tolerance: float = 0.0
    errors: Mapping[str, float] = field(default_factory=dict)
    by_rounding: Mapping[str, int] = field(default_factory=dict)


def compare(
    model: onnx.ModelProto, traced: Trace, call: Call, results: Mapping[str, Tensor], tolerance: float | None
) -> Comparison:
    """Run `model` on the example of `call`, for which PyTorch gave `results`; the tolerance is by default the precision's.

    Raises:
        VerifyError: ONNX Runtime refuses the model, or an output differs. ConfigError: the tolerance is not above 0.
    """
    precision = "mixed" if _has_float16(traced) else "float32"
    limit = TOLERANCE[precision] if tolerance is None else tolerance
    if not limit > 0:
        raise ConfigError(f"the tolerance must be a number above 0, not {limit}")
    _refuse_bfloat16(model, call, results)
    session = _session(model, call.name)
    actual, expected = _run(session, call.tensors, call.name), {name: value.numpy() for name, value in results.items()}
    before = {n: call.tensors[n.removesuffix(NEXT)].detach().numpy() for n in expected if n.removesuffix(NEXT) in call.tensors}

    def run(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        with running(call.name):
            return call(tensors)

    found = compare_all(actual, expected, limit, before, growing_reaches(run, call.tensors, expected))
    wrong = {name: difference for name, difference in found.items() if difference.failed}
    if wrong:
        name, worst = max(wrong.items(), key=lambda pair: pair[1].max_rel_error)
        amount = _amount(worst, expected[name], limit)
        raise VerifyError(f"{call.name}: ONNX Runtime's {name!r} differs from PyTorch's {amount}")
    counts = {name: difference.elements_beyond for name, difference in found.items() if difference.by_rounding}
    return Comparison(limit, {name: difference.max_rel_error for name, difference in found.items()}, counts)


def _amount(difference: Difference, expected: Array, tolerance: float) -> str:
    """How much the sides differ, in words."""
    advice = "and rounding does not explain it; try another example"
    if expected.dtype.kind != "f":
        return f"in {difference.elements_beyond} of {expected.size} elements, {advice}"
    return f"by {difference.max_rel_error:.2g} of what it computes, more than {tolerance:g}, {advice} or a larger tolerance"


def _has_float16(traced: Trace) -> bool:
    return any(getattr(fake_value(node), "dtype", None) == torch.float16 for node in traced.module.graph.nodes)


def _refuse_bfloat16(model: onnx.ModelProto, call: Call, results: Mapping[str, Tensor]) -> None:
    tensors = {**{value.name: call.tensors[value.name] for value in model.graph.input}, **results}
    for name, value in tensors.items():
        if value.dtype == torch.bfloat16:
            raise VerifyError(
                f"{name!r} of {call.name} is bfloat16, which ONNX Runtime has not on processors; export without the check"
            )


def _session(model: onnx.ModelProto, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with _refusals(name):
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, tensors: Mapping[str, Tensor], name: str) -> dict[str, Array]:
    """Outputs by name, for those of the tensors that are inputs."""
    names = [output.name for output in session.get_outputs()]
    inputs = {value.name: tensors[value.name].detach().numpy() for value in session.get_inputs()}
    with _refusals(name):
        return dict(zip(names, session.run(names, inputs), strict=True))


@contextlib.contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise VerifyError(f"{name}: ONNX Runtime refuses the graph: {str(error).splitlines()[0]}") from error
