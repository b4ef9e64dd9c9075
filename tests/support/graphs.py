"""Lowering a function and running it on ONNX Runtime, for tests of the export."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import torch

from edgebll_export.bundles.block_models import check_model
from edgebll_export.lowering.lower_trace import lower
from edgebll_export.targets import ONNX, Target
from edgebll_export.tracing.trace import trace

Function = Callable[..., tuple[torch.Tensor, ...]]


def to_model(function: Function, inputs: list[torch.Tensor], target: Target = ONNX) -> onnx.ModelProto:
    """Lower `function` of positional tensors to a checked model with inputs i0, i1... and outputs o0, o1..."""
    names = [f"i{k}" for k in range(len(inputs))]

    def named(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {f"o{k}": value for k, value in enumerate(function(*(values[name] for name in names)))}

    model, _ = lower(trace(named, dict(zip(names, inputs, strict=True))), "test", target)
    check_model(model)
    return model


def run_model(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a model on ONNX Runtime with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run_lowered(function: Function, inputs: list[torch.Tensor], target: Target = ONNX) -> list[np.ndarray]:
    """Outputs of the lowered function."""
    model = to_model(function, inputs, target)
    wanted = {value.name for value in model.graph.input}
    fed = {f"i{k}": value.numpy() for k, value in enumerate(inputs) if f"i{k}" in wanted}
    results = run_model(model, fed)
    return [results[f"o{k}"] for k in range(len(results))]


def with_gradients(function: Callable[..., torch.Tensor]) -> Function:
    """The function's value and the gradients of a weighted sum of it and its squares by all floating-point inputs."""

    def both(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = [value.detach().requires_grad_(value.is_floating_point()) for value in inputs]
        with torch.enable_grad():
            value = function(*leaves)
            ramp = np.arange(1, value.numel() + 1).reshape(value.shape) / value.numel()
            weights = torch.tensor(ramp.tolist(), dtype=value.dtype)
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            # A quadratic sum: were the gradient coming in constant, that of a linear function would be computed at export.
            found = torch.autograd.grad((value * (1 + value) * weights).sum(), wanted, allow_unused=True)
            gradients = [gradient for gradient in found if gradient is not None]
        return (value.detach(), *gradients)

    return both


def assert_lowered_equals_float64(
    function: Callable[..., torch.Tensor], inputs: list[torch.Tensor], tolerance: float = 2e-5, target: Target = ONNX
) -> None:
    """Value and gradients of the lowered float32 function against autograd in float64, relative to the largest element."""
    both = with_gradients(function)
    expected = both(*(value.double() if value.is_floating_point() else value for value in inputs))
    for position, (actual, exact) in enumerate(zip(run_lowered(both, inputs, target), expected, strict=True)):
        scale = max(float(exact.abs().max()), 1e-6)
        error = float(np.abs(actual - exact.numpy()).max()) / scale
        assert actual.shape == tuple(exact.shape), f"output {position}"
        assert error <= tolerance, f"output {position} is {error:.2e} off"


def assert_lowered_equals_eager(function: Function, inputs: list[torch.Tensor], tolerance: float = 1e-6) -> None:
    """Every result of the lowered function has the dtype and shape of PyTorch's; floats are as close, the others equal."""
    expected = [value.detach().numpy() for value in function(*inputs)]
    for position, (actual, exact) in enumerate(zip(run_lowered(function, inputs), expected, strict=True)):
        assert (actual.dtype, actual.shape) == (exact.dtype, exact.shape), f"output {position}"
        rtol = tolerance if exact.dtype.kind == "f" else 0
        np.testing.assert_allclose(actual, exact, rtol=rtol, atol=rtol, err_msg=f"output {position}")
