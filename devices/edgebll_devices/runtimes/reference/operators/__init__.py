"""ONNX operators in numpy, one file a family. Importing this package fills the table OPERATORS."""

from __future__ import annotations

from edgebll_devices.runtimes.reference.operators import (
    activation,
    arithmetic,
    control,
    convolution,
    linear,
    logic,
    normalization,
    pooling,
    quantization,
    reduction,
    selection,
    shape,
)
from edgebll_devices.runtimes.reference.operators.registry import OPERATORS, Operator, operator

__all__ = [
    "OPERATORS",
    "Operator",
    "activation",
    "arithmetic",
    "control",
    "convolution",
    "linear",
    "logic",
    "normalization",
    "operator",
    "pooling",
    "quantization",
    "reduction",
    "selection",
    "shape",
]
