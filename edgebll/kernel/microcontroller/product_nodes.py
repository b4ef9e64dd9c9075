"""Matrix products and convolutions: both read their operands through strides, so transposes cost nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebll.kernel.bundle.onnx_file import Node
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.expressions import SUM, Expression, load, number, rewritten
from edgebll.kernel.microcontroller.kernels import MatrixProduct, WindowSum
from edgebll.kernel.microcontroller.product_factors import factors
from edgebll.kernel.microcontroller.scaled_views import ScaledView, times_scales
from edgebll.kernel.microcontroller.translation import Translation, translates
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer, StridedView, dense_strides

#: Loops of a product, that over its terms left out.
_MOST_AXES = 5


@translates("MatMul")
def _matmul(t: Translation, node: Node) -> None:
    a, b = factors(t, node.inputs, ([-1], [-2]))
    lead = np.broadcast_shapes(a.view.shape[:-2], b.view.shape[:-2])
    a, b = (one.map(lambda view: view.expanded((*lead, *view.shape[-2:]))) for one in (a, b))
    _product(t, node, a, b, SUM)


@translates("Gemm")
def _gemm(t: Translation, node: Node) -> None:
    turn_a, turn_b = (bool(node.attributes.get(name, 0)) for name in ("transA", "transB"))
    a, b = factors(t, node.inputs[:2], ([1 - turn_a], [int(turn_b)]))
    a, b = (one.map(lambda view: view.permuted((1, 0))) if turn else one for one, turn in ((a, turn_a), (b, turn_b)))
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    result = SUM if alpha == 1.0 else Expression("mul", (number(alpha), SUM))
    if len(node.inputs) > 2 and node.inputs[2]:
        added = load(t.view(node.inputs[2]).expanded((a.view.shape[0], b.view.shape[1])))
        result = Expression("add", (result, added if beta == 1.0 else Expression("mul", (number(beta), added))))
    _product(t, node, a, b, result)


def _product(t: Translation, node: Node, first: ScaledView, second: ScaledView, result: Expression) -> None:
    """A product of matrices; `result` is what becomes of each sum."""
    a, b = first.view, _terms_in_line(second.view)
    if a.shape[-1] != b.shape[-2]:
        raise BundleError(f"a matrix of shape {list(a.shape)} does not fit one of {list(b.shape)}")
    whole = shape = (*a.shape[:-1], b.shape[-1])
    scales = [one.scale.sliced(axis, 0, 1).expanded(shape) for one, axis in ((first, -1), (second, -2)) if one.scale]
    scaled = _with_sum(result, times_scales(SUM, scales))
    if len(shape) > _MOST_AXES:  # copies, whose leading axes are one
        a, b = (t.copied(f"{node.outputs[0]} operand", one) for one in (a, b))
        a, b = (one.with_axes(*_stacked(one.shape)) for one in (a, b))
        shape = (*a.shape[:-1], b.shape[-1])
    if a.shape[-1] == 1:
        one = Expression("mul", (load(a.expanded(shape)), load(b.expanded(shape))))
        if len(scales) == 1 and shape == whole:  # the scale goes to the factor of float32, which a row may have one number of
            floats, integers = one.arguments if second.scale else one.arguments[::-1]
            one = Expression("mul", (Expression("mul", (floats, load(scales[0]))), integers))
        else:
            result = scaled
        made = t.computed(node.outputs[0], shape, _with_sum(result, one))
        t.values[node.outputs[0]] = made.with_axes(whole, dense_strides(whole))
    else:
        made = t.computed(node.outputs[0], shape, scaled, MatrixProduct(a, b))
        t.values[node.outputs[0]] = made.with_axes(whole, dense_strides(whole))


def _terms_in_line(b: StridedView) -> StridedView:
    """A constant of int8 laid out so that what is summed lies side by side: the runtime takes four such terms at once."""
    content = b.buffer.content
    if content is None or b.buffer.dtype != "int8" or b.strides[-2] == 1:
        return b
    turned = np.ascontiguousarray(np.swapaxes(content.reshape(-1)[b.addresses()], -1, -2))
    rank = len(b.shape)
    buffer = PlannedBuffer(b.buffer.name, turned.shape, BufferRole.CONSTANT, "int8", turned)
    return buffer.whole().permuted((*range(rank - 2), rank - 1, rank - 2))


def _with_sum(result: Expression, value: Expression) -> Expression:
    """A program with something in the place of the sum."""
    return (rewritten([result], lambda leaf: value if leaf is SUM else leaf) or [value])[0]


def _stacked(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of a dense array of matrices with one leading axis."""
    stack = (math.prod(shape[:-2]), *shape[-2:])
    return stack, dense_strides(stack)


def _grouped(view: StridedView, axis: int, groups: int) -> StridedView:
    """With an axis split into groups and what is in each."""
    size, stride = view.shape[axis] // groups, view.strides[axis]
    shape = (*view.shape[:axis], groups, size, *view.shape[axis + 1 :])
    return view.with_axes(shape, (*view.strides[:axis], stride * size, stride, *view.strides[axis + 1 :]))


def _planar(view: StridedView) -> StridedView:
    """With two axes of space; one more of size 1 where there is one."""
    if len(view.shape) == 5:
        return view
    return view.with_axes((*view.shape[:3], 1, *view.shape[3:]), (*view.strides[:3], 0, *view.strides[3:]))


def _along_space(node: Node, name: str, axes: int, default: int) -> tuple[int, ...]:
    """An attribute with a number for each axis of space, for two."""
    numbers = tuple(node.attributes.get(name, ())) or (default,) * axes
    if len(numbers) != axes:
        raise BundleError(f"{name} has {len(numbers)} numbers for {axes} axes of space")
    return (default,) * (2 - axes) + numbers


class _Geometry:
    """Attributes of a convolution, for two axes of space."""

    def __init__(self, node: Node, x: StridedView, weight: StridedView) -> None:
        axes = len(x.shape) - 2
        if axes not in (1, 2) or len(weight.shape) != len(x.shape) or node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
            raise BundleError("convolutions have one or two axes of space and their padding in numbers")
        pads = tuple(node.attributes.get("pads", ())) or (0,) * (2 * axes)
        self.axes, self.groups = axes, int(node.attributes.get("group", 1))
        self.stride = _along_space(node, "strides", axes, 1)
        self.dilation = _along_space(node, "dilations", axes, 1)
        self.extra = _along_space(node, "output_padding", axes, 0)
        self.front = (0,) * (2 - axes) + pads[:axes]
        self.back = (0,) * (2 - axes) + pads[axes:]
        if x.shape[1] % self.groups or weight.shape[0] % self.groups:
            raise BundleError(f"{x.shape[1]} channels and {weight.shape[0]} kernels in {self.groups} groups")

    def finish(
        self, t: Translation, node: Node, source: WindowSum, space: Sequence[int], scales: Sequence[StridedView] = ()
    ) -> None:
        """Emit the kernel for a result of `space` positions; a scale has an axis for images and one for channels."""
        batch, groups = source.x.shape[:2]
        each = source.weight.shape[1]
        grid = (batch, groups, each, *space)
        result = times_scales(SUM, [_everywhere(_grouped(scale, 1, groups), grid) for scale in scales])
        if node.operator == "Conv" and len(node.inputs) > 2 and node.inputs[2]:
            result = Expression("add", (result, load(_everywhere(_grouped(t.view(node.inputs[2]), 0, groups), grid))))
        made = t.computed(node.outputs[0], grid, result, source)
        reshaped = made.reshaped((batch, groups * each, *tuple(space)[2 - self.axes :]))
        assert reshaped is not None  # noqa: S101  (a whole buffer has every shape)
        t.values[node.outputs[0]] = reshaped


def _everywhere(view: StridedView, grid: tuple[int, ...]) -> StridedView:
    """Numbers for channels, and for images, at every position."""
    return view.with_axes((*view.shape, 1, 1), (*view.strides, 0, 0)).expanded(grid)


@translates("Conv")
def _conv(t: Translation, node: Node) -> None:
    first, second = factors(t, node.inputs[:2], (range(1, 4), range(1, 4)))
    x, weight = first.view, second.view
    g = _Geometry(node, x, weight)
    if x.shape[1] != weight.shape[1] * g.groups:
        raise BundleError(f"a kernel of shape {list(weight.shape)} does not fit {list(x.shape)}")
    data, taps = _planar(_grouped(x, 1, g.groups)), _planar(_grouped(weight, 0, g.groups))
    spans = zip(data.shape[3:], g.front, g.back, taps.shape[3:], g.dilation, g.stride, strict=True)
    space = [(size + front + back - (k - 1) * d - 1) // s + 1 for size, front, back, k, d, s in spans]
    source = WindowSum(data, taps, _two(g.stride), _two(g.dilation), (1, 1), _two(g.front))
    ways = ((one.scale, along) for one, along in ((first, (1, 0)), (second, (0, 1))) if one.scale is not None)
    grid = (x.shape[0], weight.shape[0])
    scales = [scale.with_axes(grid, (scale.strides[0] * along[0], scale.strides[0] * along[1])) for scale, along in ways]
    g.finish(t, node, source, space, scales)


@translates("ConvTranspose")
def _conv_transpose(t: Translation, node: Node) -> None:
    """A convolution of the input with gaps, with the taps in reverse: their strides run backwards."""
    first, second = factors(t, node.inputs[:2], ([1], [0]))
    x, weight = (t.floats(name) if one.scale else one.view for name, one in zip(node.inputs, (first, second), strict=False))
    g = _Geometry(node, x, weight)
    if x.shape[1] != weight.shape[0]:
        raise BundleError(f"a kernel of shape {list(weight.shape)} does not fit {list(x.shape)}")
    data, taps = _planar(_grouped(x, 1, g.groups)), _planar(_grouped(weight, 0, g.groups)).permuted((0, 2, 1, 3, 4))
    high, wide = taps.shape[3:]
    last = (high - 1) * taps.strides[3] + (wide - 1) * taps.strides[4]
    taps = taps.with_axes(taps.shape, (*taps.strides[:3], -taps.strides[3], -taps.strides[4]), last)
    reach = [(k - 1) * d for k, d in zip((high, wide), g.dilation, strict=True)]
    spans = zip(data.shape[3:], g.stride, reach, g.extra, g.front, g.back, strict=True)
    space = [(size - 1) * s + r + 1 + e - front - back for size, s, r, e, front, back in spans]
    padding = [r - front for r, front in zip(reach, g.front, strict=True)]
    g.finish(t, node, WindowSum(data, taps, (1, 1), _two(g.dilation), _two(g.stride), _two(padding)), space)


def _two(numbers: Sequence[int]) -> tuple[int, int]:
    return int(numbers[0]), int(numbers[1])
