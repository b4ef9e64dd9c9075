"""One file per operator family; importing this package fills the registry."""

from edgebll_export.lowering import (
    attention,
    complex,
    indexing,
    linear,
    loss,
    order,
    rearrange,
    reduction,
    rounding,
    shape,
    sliding,
    softmax,
    trigonometry,
)
from edgebll_export.lowering import cumulative as scan
from edgebll_export.lowering.convolution import convolution
from edgebll_export.lowering.normalization import batch_norm as normalization
from edgebll_export.lowering.normalization import group_norm, layer_norm, statistics
from edgebll_export.lowering.pointwise import activation, comparison, elementwise, promotion, smooth_activation, transcendental
from edgebll_export.lowering.spatial import max_pooling, padding, pooling, upsampling

__all__ = [
    "activation",
    "attention",
    "comparison",
    "complex",
    "convolution",
    "elementwise",
    "group_norm",
    "indexing",
    "layer_norm",
    "linear",
    "loss",
    "max_pooling",
    "normalization",
    "order",
    "padding",
    "pooling",
    "promotion",
    "rearrange",
    "reduction",
    "rounding",
    "scan",
    "shape",
    "sliding",
    "smooth_activation",
    "softmax",
    "statistics",
    "transcendental",
    "trigonometry",
    "upsampling",
]
