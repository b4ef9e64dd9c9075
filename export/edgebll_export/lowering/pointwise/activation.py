"""The ReLU family and the other activations, with their gradients."""

from __future__ import annotations

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import binary, sub
from edgebll_export.lowering.pointwise.promotion import as_float, category, lift, to_copy
from edgebll_export.lowering_registry import lowering

_FAMILY = "activation"
#: Slope so steep that HardSigmoid is the unit step for every normal number: 3e38 * 1.18e-38 > 1, 6e4 * 6.1e-5 > 1.
_STEEP = {"float32": 3.0e38, "float16": 6.0e4}


def step_mask(g: GraphBuilder, x: Value, threshold: float = 0.0) -> Value:
    """1.0 where x > threshold, else 0.0, as floats.

    HardSigmoid(x) = max(0, min(1, 3e38 x)) in one vectorised pass; Greater with Where or Cast took 2 to 3 times as long on
    ONNX Runtime. Between 0 and the smallest normal float it is a ramp, which no gradient notices. TensorRT fuses the comparison
    with its neighbours.
    """
    if not g.target.fast_masks or x.dtype not in _STEEP:
        return to_copy(g, g.elementwise("Greater", [x, lift(g, threshold, x)], dtype="bool"), x.dtype)
    shifted = sub(g, x, threshold)
    return g.elementwise("HardSigmoid", [shifted], alpha=_STEEP[x.dtype], beta=0.0)


@lowering("aten.relu.default", family=_FAMILY)
def relu(g: GraphBuilder, x: Value) -> Value:
    """max(x, 0); integers occur in gradients of cumulative products."""
    return binary(g, "Max", x, 0) if category(x.dtype) == 1 else g.elementwise("Relu", [x])


@lowering("aten.threshold_backward.default", family=_FAMILY)
def threshold_backward(g: GraphBuilder, grad: Value, x: Value, threshold: float) -> Value:
    """Gradient of relu: grad where x > threshold."""
    return binary(g, "Mul", grad, step_mask(g, x, threshold))


@lowering("aten.leaky_relu.default", family=_FAMILY)
def leaky_relu(g: GraphBuilder, x: Value, slope: float = 0.01) -> Value:
    """X where x > 0, else slope * x."""
    return g.elementwise("LeakyRelu", [x], alpha=float(slope))


@lowering("aten.leaky_relu_backward.default", family=_FAMILY)
def leaky_relu_backward(g: GraphBuilder, grad: Value, x: Value, slope: float, _is_result: bool) -> Value:
    """Gradient of leaky_relu: grad * (slope + (1 - slope) * [x > 0])."""
    factor = binary(g, "Add", binary(g, "Mul", step_mask(g, x), 1.0 - slope), float(slope))
    return binary(g, "Mul", grad, factor)


@lowering("aten.hardtanh_backward.default", family=_FAMILY)
def hardtanh_backward(g: GraphBuilder, grad: Value, x: Value, minimum: float, maximum: float) -> Value:
    """Gradient of hardtanh and relu6: grad where minimum < x < maximum."""
    below = step_mask(g, g.elementwise("Neg", [x]), -maximum)
    return binary(g, "Mul", binary(g, "Mul", grad, step_mask(g, x, minimum)), below)


def _negative(g: GraphBuilder, x: Value) -> Value:
    return g.elementwise("Min", [x, lift(g, 0.0, x)])


@lowering("aten.elu.default", family=_FAMILY)
def elu(g: GraphBuilder, x: Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Value:
    """Scale * (x where x > 0, else alpha * (exp(input_scale * x) - 1))."""
    if input_scale == 1:
        result = g.elementwise("Elu", [x], alpha=float(alpha))
    else:
        curved = g.elementwise("Elu", [binary(g, "Mul", _negative(g, x), input_scale)], alpha=float(alpha))
        result = binary(g, "Add", relu(g, x), curved)
    return binary(g, "Mul", result, scale) if scale != 1 else result


@lowering("aten.elu_backward.default", family=_FAMILY)
def elu_backward(
    g: GraphBuilder, grad: Value, alpha: float, scale: float, input_scale: float, is_result: bool, x: Value
) -> Value:
    """Gradient of elu, from its input or its result."""
    mask = step_mask(g, x)
    if is_result:
        slope = binary(g, "Mul", binary(g, "Add", x, alpha * scale), input_scale)
    else:
        bounded = g.elementwise("Min", [binary(g, "Mul", x, input_scale), lift(g, 0.0, x)])
        slope = binary(g, "Mul", g.elementwise("Exp", [bounded]), alpha * scale * input_scale)
    blend = binary(g, "Add", binary(g, "Mul", mask, scale), binary(g, "Mul", binary(g, "Sub", 1.0, mask), slope))
    return binary(g, "Mul", grad, blend)


@lowering("aten.hardshrink_backward.default", "aten.softshrink_backward.default", family=_FAMILY)
def shrink_backward(g: GraphBuilder, grad: Value, x: Value, width: float) -> Value:
    """Gradient of hardshrink and softshrink: grad where |x| > width."""
    return binary(g, "Mul", grad, step_mask(g, g.elementwise("Abs", [x]), width))


@lowering("aten.celu.default", family=_FAMILY)
def celu(g: GraphBuilder, x: Value, alpha: float = 1.0) -> Value:
    """X where x > 0, else alpha * (exp(x / alpha) - 1)."""
    return elu(g, x, alpha, 1.0, 1.0 / alpha)


@lowering("aten._prelu_kernel.default", family=_FAMILY)
def prelu(g: GraphBuilder, x: Value, slope: Value) -> Value:
    """max(x, 0) + slope * min(x, 0), with a slope that broadcasts to x."""
    return binary(g, "Add", relu(g, x), binary(g, "Mul", slope, _negative(g, x)))


@lowering("aten._prelu_kernel_backward.default", family=_FAMILY)
def prelu_backward(g: GraphBuilder, grad: Value, x: Value, slope: Value) -> tuple[Value, Value]:
    """Gradients of prelu: of x, and of the slope before it is summed to the slope's shape."""
    mask = step_mask(g, x)
    factor = binary(g, "Add", binary(g, "Mul", mask, binary(g, "Sub", 1.0, slope)), slope)
    return binary(g, "Mul", grad, factor), binary(g, "Mul", grad, _negative(g, x))


@lowering("aten.sigmoid.default", family=_FAMILY)
def sigmoid(g: GraphBuilder, x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return g.elementwise("Sigmoid", [as_float(g, x)])


@lowering("aten.sigmoid_backward.default", family=_FAMILY)
def sigmoid_backward(g: GraphBuilder, grad: Value, y: Value) -> Value:
    """Grad * y * (1 - y)."""
    return binary(g, "Mul", grad, binary(g, "Mul", y, binary(g, "Sub", 1.0, y)))


@lowering("aten.tanh.default", family=_FAMILY)
def tanh(g: GraphBuilder, x: Value) -> Value:
    """tanh(x)."""
    return g.elementwise("Tanh", [as_float(g, x)])


@lowering("aten.tanh_backward.default", family=_FAMILY)
def tanh_backward(g: GraphBuilder, grad: Value, y: Value) -> Value:
    """Grad * (1 - y^2)."""
    return binary(g, "Mul", grad, binary(g, "Sub", 1.0, binary(g, "Mul", y, y)))
