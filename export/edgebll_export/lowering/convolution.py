"""Convolutions of one and two spatial axes and their gradients; `convolution_choice` says which form computes what."""

from __future__ import annotations

from collections.abc import Sequence

from edgebll.errors import ExportError
from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering import convolution_choice as choice
from edgebll_export.lowering import convolution_columns as columns
from edgebll_export.lowering import convolution_depthwise as depthwise
from edgebll_export.lowering import convolution_direct as direct
from edgebll_export.lowering import convolution_winograd as winograd
from edgebll_export.lowering.convolution_geometry import Geometry
from edgebll_export.lowering.elementwise import binary
from edgebll_export.lowering.reduction import reduce
from edgebll_export.registry import lowering

_FAMILY = "convolution"
#: The forms that `convolution_choice` names, of the input's and the weight's gradient.
INPUT_GRADIENTS = {
    "direct": direct.input_gradient,
    "transposed": direct.input_gradient_transposed,
    "winograd": winograd.input_gradient,
}
WEIGHT_GRADIENTS = {
    "taps": direct.weight_gradient,
    "columns": columns.weight_gradient_by_columns,
    "samples": columns.weight_gradient_by_samples,
    "products": depthwise.weight_gradient_by_products,
    "planes": depthwise.weight_gradient_by_planes,
    "winograd": winograd.weight_gradient,
}


def _refuse(x: Value, transposed: bool) -> None:
    if transposed:
        raise ExportError("a transposed convolution has no lowering yet; use an upsampling and a convolution")
    if len(x.shape) not in (3, 4):
        raise ExportError(f"a convolution over {len(x.shape) - 2} axes has no lowering yet; 1 and 2 have")


def _may_use_winograd(g: GraphBuilder, x: Value) -> bool:
    """Half precision is out: the transforms would lose as many digits again."""
    return g.target.winograd and x.dtype == "float32"


def _gradient_forms(g: GraphBuilder, x: Value, geometry: Geometry) -> tuple[str, str]:
    """The rule was measured on ONNX Runtime; TensorRT chooses among kernels itself and has the most for Conv and MatMul."""
    if g.target.is_tensorrt:
        return "direct", "taps"
    quick = _may_use_winograd(g, x)
    return choice.input_gradient_form(geometry, quick), choice.weight_gradient_form(geometry, quick)


@lowering("aten.convolution.default", family=_FAMILY)
def convolution(
    g: GraphBuilder,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
) -> Value:
    """X (B, C, ...) with weight (O, C / groups, ...) to (B, O, ...)."""
    _refuse(x, transposed)
    x, weight = g.dense(x), g.dense(weight)
    geometry = Geometry.of(x, weight, stride, padding, dilation, groups)
    if choice.forward_form(geometry, _may_use_winograd(g, x)) == "direct":
        return direct.forward(g, x, weight, bias, geometry)
    y = winograd.forward(g, x, weight, geometry)
    return y if bias is None else binary(g, "Add", y, g.reshape(bias, (1, bias.shape[0], 1, 1)))


@lowering("aten.convolution_backward.default", family=_FAMILY)
def convolution_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    weight: Value,
    _bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
    mask: Sequence[bool],
) -> tuple[Value | None, Value | None, Value | None]:
    """Gradients of input, weight and bias."""
    _refuse(x, transposed)
    grad, x, weight = g.dense(grad), g.dense(x), g.dense(weight)
    geometry = Geometry.of(x, weight, stride, padding, dilation, groups)
    by_input, by_weight = _gradient_forms(g, x, geometry)
    dx = INPUT_GRADIENTS[by_input](g, grad, weight, geometry) if mask[0] else None
    dw = WEIGHT_GRADIENTS[by_weight](g, grad, x, geometry) if mask[1] else None
    db = reduce(g, "ReduceSum", grad, [0, *range(2, len(x.shape))], False) if mask[2] else None
    return dx, dw, db
