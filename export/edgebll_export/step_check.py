"""Running an exported function on ONNX Runtime beside PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from torch import Tensor

from edgebll.errors import ConfigError, VerifyError
from edgebll.state import Array
from edgebll_export.verify import errors

#: Largest relative error that rounding explains.
TOLERANCE = 1e-4


def compare(
    model: onnx.ModelProto, inputs: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str, tolerance: float
) -> dict[str, float]:
    """Run `model` and return the largest error of every output, relative to the largest element PyTorch has.

    Raises:
        VerifyError: ONNX Runtime refuses the model, or an error is above `tolerance`. ConfigError: tolerance is not above 0.
    """
    if not tolerance > 0:
        raise ConfigError(f"the tolerance must be a number above 0, not {tolerance}")
    bfloat = next((key for key, value in {**inputs, **expected}.items() if str(value.dtype) == "torch.bfloat16"), None)
    if bfloat is not None:
        raise VerifyError(
            f"{bfloat!r} of {name} is bfloat16, which ONNX Runtime has not on processors; export without the check"
        )
    actual = _run(model, {key: value.detach().numpy() for key, value in inputs.items()}, name)
    found = {key: _error(actual[key], value.numpy()) for key, value in expected.items()}
    worst = max(found, key=lambda key: found[key])
    if not found[worst] <= tolerance:
        raise VerifyError(
            f"{name}: ONNX Runtime's {worst!r} differs from PyTorch's by {found[worst]:.2g} of its largest element, more than "
            f"{tolerance:g}; if that is rounding of this example, try another one or a larger tolerance"
        )
    return found


def _run(model: onnx.ModelProto, inputs: Mapping[str, Any], name: str) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    names = [output.name for output in model.graph.output]
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise VerifyError(f"{name}: ONNX Runtime refuses the graph: {str(error).splitlines()[0]}") from error


def _error(actual: Array, expected: Array) -> float:
    if np.array_equal(actual, expected, equal_nan=expected.dtype.kind == "f"):
        return 0.0
    if actual.dtype != expected.dtype or actual.shape != expected.shape or expected.dtype.kind != "f":
        return float("inf")
    return errors(actual, expected)[1]
