"""Element programs that multiply a row by one number, as sums of a single product, which the runtime is quicker with.

With a batch of one, a weight's update is such a program, `w - (lr * g) * x`. A sum of one term is that term, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgebll.kernel.microcontroller.expressions import LOAD, SUM, Expression, parts, replaced
from edgebll.kernel.microcontroller.kernels import PlannedKernel
from edgebll.kernel.microcontroller.loops import Loops
from edgebll.kernel.microcontroller.product_loops import ProductLoops
from edgebll.kernel.microcontroller.views import BufferRole, StridedView

#: Positions below which it does not matter.
_FEW = 32
#: Dtypes of the two factors.
_FACTORS = ({"float32"}, {"float32", "int8"})


@dataclass(frozen=True)
class OuterProduct:
    """A product in an element program.

    Attributes:
        part: the product.
        a: the factor that is one number for a whole row.
        b: the other one.
        axis: of the kernel's grid, along which rows lie.
    """

    part: Expression
    a: StridedView
    b: StridedView
    axis: int

    def without(self, kernel: PlannedKernel) -> PlannedKernel:
        """The kernel with a sum in the product's place."""
        results = replaced(kernel.roots, {id(self.part): SUM})
        stores = tuple((view, result) for (view, _), result in zip(kernel.stores, results, strict=True))
        return PlannedKernel(kernel.shape, stores, None, kernel.place)

    def loops(self, shape: tuple[int, ...], operands: Sequence[tuple[int, ...]]) -> ProductLoops:
        """Its loops, rows last."""
        order = [*(axis for axis in range(len(shape)) if axis != self.axis), self.axis]
        loops = Loops(shape, (self.a.strides, self.b.strides, *operands)).in_order(order).merged()
        return ProductLoops(1, self.a, self.b, 0, 0, loops)


def outer_product(kernel: PlannedKernel) -> OuterProduct | None:
    """The product of an update with rows that lie in one piece, or the longest ones; None where there is none."""
    found = []
    updates = any(view.buffer.home is not None or view.buffer.role is BufferRole.STATE for view, _ in kernel.stores)
    for part in parts(kernel.roots) if kernel.source is None and updates else ():
        if part.operator != "mul" or any(argument.operator != LOAD for argument in part.arguments):
            continue
        for first, second in (part.arguments, part.arguments[::-1]):
            a, b = first.view, second.view
            if a is None or b is None or {a.buffer.dtype, b.buffer.dtype} not in _FACTORS:
                continue
            axes = [axis for axis, size in enumerate(kernel.shape) if size > 1 and not a.strides[axis] and b.strides[axis]]
            if axes and len(kernel.shape) > len(axes) and any(a.strides):
                found += [OuterProduct(part, a, b, axis) for axis in axes]
    store = kernel.stores[0][0]
    best = max(found, key=lambda one: (store.strides[one.axis] == 1, kernel.shape[one.axis]), default=None)
    return best if math.prod(kernel.shape) >= _FEW else None
