"""Matrix products and convolutions: both read their operands through strides, so transposes cost nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebll.kernel.bundle.onnx_file import Node
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.expressions import SUM, Expression, load, number, rewritten
from edgebll.kernel.microcontroller.kernels import MatrixProduct, WindowSum
from edgebll.kernel.microcontroller.translation import Translation, translates
from edgebll.kernel.microcontroller.views import StridedView, dense_strides

#: Loops of a product, that over its terms left out.
_MOST_AXES = 5


@translates("MatMul")
def _matmul(t: Translation, node: Node) -> None:
    a, b = (t.floats(name) for name in node.inputs)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    _product(t, node, a.expanded((*lead, *a.shape[-2:])), b.expanded((*lead, *b.shape[-2:])), SUM)


@translates("Gemm")
def _gemm(t: Translation, node: Node) -> None:
    a, b = (t.floats(name) for name in node.inputs[:2])
    a = a.permuted((1, 0)) if node.attributes.get("transA", 0) else a
    b = b.permuted((1, 0)) if node.attributes.get("transB", 0) else b
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    result = SUM if alpha == 1.0 else Expression("mul", (number(alpha), SUM))
    if len(node.inputs) > 2 and node.inputs[2]:
        added = load(t.view(node.inputs[2]).expanded((a.shape[0], b.shape[1])))
        result = Expression("add", (result, added if beta == 1.0 else Expression("mul", (number(beta), added))))
    _product(t, node, a, b, result)


def _product(t: Translation, node: Node, a: StridedView, b: StridedView, result: Expression) -> None:
    if a.shape[-1] != b.shape[-2]:
        raise BundleError(f"a matrix of shape {list(a.shape)} does not fit one of {list(b.shape)}")
    whole = shape = (*a.shape[:-1], b.shape[-1])
    if len(shape) > _MOST_AXES:  # copies, whose leading axes are one
        a, b = (t.copied(f"{node.outputs[0]} operand", one) for one in (a, b))
        a, b = (one.with_axes(*_stacked(one.shape)) for one in (a, b))
        shape = (*a.shape[:-1], b.shape[-1])
    if a.shape[-1] == 1:
        one = Expression("mul", (load(a.expanded(shape)), load(b.expanded(shape))))
        (result,) = rewritten([result], lambda leaf: one if leaf is SUM else leaf) or [one]
        made = t.computed(node.outputs[0], shape, result)
        t.values[node.outputs[0]] = made.with_axes(whole, dense_strides(whole))
    else:
        made = t.computed(node.outputs[0], shape, result, MatrixProduct(a, b))
        t.values[node.outputs[0]] = made.with_axes(whole, dense_strides(whole))


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

    def finish(self, t: Translation, node: Node, source: WindowSum, space: Sequence[int], bias: str | None = None) -> None:
        """Emit the kernel for a result of `space` positions."""
        batch, groups = source.x.shape[:2]
        each = source.weight.shape[1]
        result, grid = SUM, (batch, groups, each, *space)
        if bias is not None:
            added = _grouped(t.view(bias), 0, groups)
            everywhere = added.with_axes((*added.shape, 1, 1), (*added.strides, 0, 0)).expanded(grid)
            result = Expression("add", (SUM, load(everywhere)))
        made = t.computed(node.outputs[0], grid, result, source)
        reshaped = made.reshaped((batch, groups * each, *tuple(space)[2 - self.axes :]))
        assert reshaped is not None  # noqa: S101  (a whole buffer has every shape)
        t.values[node.outputs[0]] = reshaped


@translates("Conv")
def _conv(t: Translation, node: Node) -> None:
    x, weight = (t.floats(name) for name in node.inputs[:2])
    g = _Geometry(node, x, weight)
    if x.shape[1] != weight.shape[1] * g.groups:
        raise BundleError(f"a kernel of shape {list(weight.shape)} does not fit {list(x.shape)}")
    data, taps = _planar(_grouped(x, 1, g.groups)), _planar(_grouped(weight, 0, g.groups))
    spans = zip(data.shape[3:], g.front, g.back, taps.shape[3:], g.dilation, g.stride, strict=True)
    space = [(size + front + back - (k - 1) * d - 1) // s + 1 for size, front, back, k, d, s in spans]
    source = WindowSum(data, taps, _two(g.stride), _two(g.dilation), (1, 1), _two(g.front))
    g.finish(t, node, source, space, node.inputs[2] if len(node.inputs) > 2 and node.inputs[2] else None)


@translates("ConvTranspose")
def _conv_transpose(t: Translation, node: Node) -> None:
    """A convolution of the input with gaps, with the taps in reverse: their strides run backwards."""
    x, weight = (t.floats(name) for name in node.inputs[:2])
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
