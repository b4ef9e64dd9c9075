"""Convolutions over one to three axes, transposed ones, and their gradients; `convolution_choice` says which form is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution import columns, dense, depthwise, direct, single, unfolded, winograd
from edgebll_export.lowering.convolution import form_choice as choice
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.convolution.windows import each, pad_space
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import crop
from edgebll_export.lowering_registry import lowering

_FAMILY = "convolution"
#: The forms that `convolution_choice` names: of the output besides "direct", and of the input's and the weight's gradient.
FORWARDS = {
    "dense": dense.forward,
    "unfolded": unfolded.forward,
    "winograd": winograd.forward,
}
INPUT_GRADIENTS = {
    "direct": direct.input_gradient,
    "transposed": direct.input_gradient_transposed,
    "dense": dense.input_gradient,
    "winograd": winograd.input_gradient,
}
WEIGHT_GRADIENTS = {
    "taps": direct.weight_gradient,
    "columns": columns.weight_gradient_by_columns,
    "samples": columns.weight_gradient_by_samples,
    "products": depthwise.weight_gradient_by_products,
    "bands": depthwise.weight_gradient_by_bands,
    "planes": depthwise.weight_gradient_by_planes,
    "dense": dense.weight_gradient,
    "unfolded": unfolded.weight_gradient,
    "winograd": winograd.weight_gradient,
    "single": single.weight_gradient,
}


def _setting(g: GraphBuilder, x: Value) -> choice.FormSetting:
    """Half precision takes no matrix forms: transforms and sums of them would lose as many digits again."""
    return choice.FormSetting(g.target.matrix_forms and x.dtype == "float32", g.target.threads or 1, g.trains)


def _gradient_forms(g: GraphBuilder, x: Value, geometry: ConvolutionGeometry) -> tuple[str, str]:
    """The rule was measured on ONNX Runtime; TensorRT chooses among kernels itself and has the most for Conv and MatMul."""
    if g.target.compact:
        return "transposed", "single"
    if g.target.is_tensorrt:
        return _tensorrt_input_gradient(geometry, x.dtype), "taps"
    setting = _setting(g, x)
    return choice.input_gradient_form(geometry, setting), choice.weight_gradient_form(geometry, setting)


def input_gradient(g: GraphBuilder, grad: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the input (B, C, ...) in the form that suits target and shape."""
    by_input, _ = _gradient_forms(g, grad, geometry)
    return INPUT_GRADIENTS[by_input](g, grad, weight, geometry)


def _tensorrt_input_gradient(geometry: ConvolutionGeometry, dtype: str) -> str:
    """Conv where zeros need not be put in between, or where ConvTranspose has no kernel.

    There is none for "Strided & Dilated Deconv", and none for some channel counts in bfloat16.
    """
    strided, dilated = set(geometry.stride) != {1}, set(geometry.dilation) != {1}
    uneven = len(geometry.size) == 3 and any(geometry.left_over)  # TensorRT 8 pads three axes evenly only
    return "transposed" if strided and not dilated and not uneven and dtype != "bfloat16" else "direct"


@dataclass(frozen=True)
class _Options:
    """ATen's arguments behind the tensors; lists may hold one number for all axes."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    transposed: bool
    output_padding: Sequence[int]
    groups: int

    def geometry(self, x: Value, weight: Value) -> ConvolutionGeometry:
        """Sizes of the convolution, or of the one whose adjoint a transposed one is."""
        if not self.transposed:
            return ConvolutionGeometry.of(x, weight, self.stride, self.padding, self.dilation, self.groups)
        return ConvolutionGeometry.of_transposed(
            x, weight, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )


def _lengthened(g: GraphBuilder, x: Value, options: _Options) -> tuple[Value, _Options]:
    """A transposed convolution whose output padding is less than its stride.

    More, which only dilation allows, is one zero at the end of x for each stride.
    """
    axes = len(x.shape) - 2
    pairs = list(zip(each(options.output_padding, axes), each(options.stride, axes), strict=True))
    rest = [extra % step for extra, step in pairs]
    return pad_space(g, x, [0] * axes, [extra // step for extra, step in pairs]), replace(options, output_padding=rest)


@lowering("aten.convolution.default", family=_FAMILY)
def convolution(g: GraphBuilder, x: Value, weight: Value, bias: Value | None, *options: Any) -> Value:
    """X (B, C, ...) with weight (O, C / groups, ...), or (C, O / groups, ...) where transposed, to (B, O, ...)."""
    x, weight, choices = g.dense(x), g.dense(weight), _Options(*options)
    if not choices.transposed:
        return _forward(g, x, weight, bias, choices.geometry(x, weight))
    x, choices = _lengthened(g, x, choices)
    geometry = choices.geometry(x, weight)
    return _with_bias(g, input_gradient(g, x, weight, geometry), bias)


def _forward(g: GraphBuilder, x: Value, weight: Value, bias: Value | None, geometry: ConvolutionGeometry) -> Value:
    form = choice.forward_form(geometry, _setting(g, x))
    if form == "direct":
        return direct.forward(g, x, weight, bias, geometry)
    return _with_bias(g, FORWARDS[form](g, x, weight, geometry), bias)


def _with_bias(g: GraphBuilder, y: Value, bias: Value | None) -> Value:
    return y if bias is None else binary(g, "Add", y, g.reshape(bias, (1, bias.shape[0], *[1] * (len(y.shape) - 2))))


@lowering("aten.convolution_backward.default", family=_FAMILY)
def convolution_backward(
    g: GraphBuilder, grad: Value, x: Value, weight: Value, _bias_sizes: Sequence[int] | None, *rest: Any
) -> tuple[Value | None, Value | None, Value | None]:
    """Gradients of input, weight and bias."""
    grad, x, weight = g.dense(grad), g.dense(x), g.dense(weight)
    options, mask = _Options(*rest[:-1]), rest[-1]
    backward = _transposed_backward if options.transposed else _backward
    db = reduce(g, "ReduceSum", grad, [0, *range(2, len(x.shape))], False) if mask[2] else None
    return *backward(g, grad, x, weight, options, mask), db


def _backward(
    g: GraphBuilder, grad: Value, x: Value, weight: Value, options: _Options, mask: Sequence[bool]
) -> tuple[Value | None, Value | None]:
    geometry = options.geometry(x, weight)
    _, by_weight = _gradient_forms(g, x, geometry)
    dx = input_gradient(g, grad, weight, geometry) if mask[0] else None
    return dx, WEIGHT_GRADIENTS[by_weight](g, grad, x, geometry) if mask[1] else None


def _transposed_backward(
    g: GraphBuilder, grad: Value, x: Value, weight: Value, options: _Options, mask: Sequence[bool]
) -> tuple[Value | None, Value | None]:
    """The convolution itself is the adjoint's adjoint; in the weight gradient x and the output change places."""
    longer, options = _lengthened(g, x, options)
    geometry = options.geometry(longer, weight)
    _, by_weight = _gradient_forms(g, x, geometry)
    dw = WEIGHT_GRADIENTS[by_weight](g, longer, grad, geometry) if mask[1] else None
    if not mask[0]:
        return None, dw
    shape, axes = x.shape, len(x.shape)
    return crop(g, _forward(g, grad, weight, None, geometry), range(axes), [0] * axes, shape, [1] * axes), dw
