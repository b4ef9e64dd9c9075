"""One file per operator family; importing this package fills the registry."""

from edgebll_export.lowering import (
    activation,
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    reduction,
    shape,
    softmax,
)

__all__ = [
    "activation",
    "convolution",
    "elementwise",
    "linear",
    "normalization",
    "pooling",
    "reduction",
    "shape",
    "softmax",
]
