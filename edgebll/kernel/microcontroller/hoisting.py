"""What a kernel computes again and again for the same operands, computed before it in a small kernel of its own.

A bias correction, a mask of labels or a learning rate times a gradient is the same for a whole row of weights. A product of a
number with a product, `lr * (g * x)`, counts as `(lr * g) * x` where that saves a product for each weight; it is rounded at
another place then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgebll.kernel.microcontroller.expressions import ACCUMULATED, Expression, load, loaded, parts, replaced
from edgebll.kernel.microcontroller.kernels import PlannedKernel, Reduction, element_kernel
from edgebll.kernel.microcontroller.views import PlannedBuffer, StridedView

#: How far before a kernel the small one stands.
_BEFORE = 1 / 1024


def hoisted(kernel: PlannedKernel) -> Iterator[list[PlannedKernel]]:
    """Ways of computing a part of a kernel's programs before it: the small kernel, and what is left of the kernel.

    Args:
        kernel: as it is.
    """
    for old, new, part in _parts_of(kernel):
        views = loaded([part])
        rank = len(views[0].shape) if views else 0
        same = [axis for axis in range(rank) if all(view.strides[axis] == 0 for view in views)]
        shape = tuple(1 if axis in same else size for axis, size in enumerate(views[0].shape)) if views else ()
        if not views or shape == views[0].shape:
            continue
        result = PlannedBuffer("hoisted", shape).whole()
        before = element_kernel(result, _narrowed(part, shape), kernel.place - _BEFORE)
        kept = load(StridedView(result.buffer, 0, views[0].shape, result.strides))
        yield [before, _with(kernel, {id(old): _with_kept(new, part, kept)})]


def _parts_of(kernel: PlannedKernel) -> Iterator[tuple[Expression, Expression, Expression]]:
    """A part of the programs, what stands in its place, and the part of that which may be computed before; large ones first."""
    summand = [kernel.source.summand] if isinstance(kernel.source, Reduction) else []
    for roots in (kernel.roots, summand):
        for part in reversed([part for part in parts(roots) if part.arguments]):
            if not any(inner.operator == ACCUMULATED for inner in parts([part])):
                yield part, part, part
                if part.operator == "mul":
                    yield from _regrouped(part)


def _regrouped(product: Expression) -> Iterator[tuple[Expression, Expression, Expression]]:
    """s * (a * b) as (s * a) * b and as (s * b) * a, where s is one number for all positions."""
    for scalar, inner in (product.arguments, product.arguments[::-1]):
        if inner.operator == "mul" and not scalar.arguments and not any(any(view.strides) for view in loaded([scalar])):
            # The factor that is the same along the last axis first: rows are where a weight's elements lie side by side.
            for first, second in sorted((inner.arguments, inner.arguments[::-1]), key=_varies_along_rows):
                scaled = Expression("mul", (scalar, first))
                yield product, Expression("mul", (scaled, second)), scaled


def _varies_along_rows(factors: tuple[Expression, ...]) -> bool:
    return any(bool(view.strides) and view.strides[-1] != 0 for view in loaded(factors[:1]))


def _narrowed(part: Expression, shape: tuple[int, ...]) -> Expression:
    """A part at the positions of a smaller grid."""

    def view_of(view: StridedView) -> Expression:
        return Expression("load", view=view.with_axes(shape, view.strides))

    return replaced([part], {id(leaf): view_of(leaf.view) for leaf in parts([part]) if leaf.view is not None})[0]


def _with_kept(new: Expression, part: Expression, kept: Expression) -> Expression:
    return replaced([new], {id(part): kept})[0]


def _with(kernel: PlannedKernel, changes: dict[int, Expression]) -> PlannedKernel:
    stores = tuple((view, result) for (view, _), result in zip(kernel.stores, replaced(kernel.roots, changes), strict=True))
    source = kernel.source
    if isinstance(source, Reduction):
        source = replace(source, summand=replaced([source.summand], changes)[0])
    return replace(kernel, stores=stores, source=source)
