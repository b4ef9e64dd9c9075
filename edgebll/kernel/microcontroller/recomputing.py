"""Computing an activation again for its late readers, so that nothing has to keep it in between: time for memory.

What is computed again are element programs alone, as the normalised and rectified output of a convolution: their operands, the
convolution's output and its statistics, are kept for the gradient anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgebll.kernel.microcontroller.expressions import Expression, rewritten
from edgebll.kernel.microcontroller.kernels import MatrixProduct, PlannedKernel, Reduction, RowGather, Source, WindowSum
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer, StridedView

#: How far before its first reader something is computed again.
_BEFORE = 1 / 512


def recomputed(
    order: Sequence[PlannedKernel], maker: PlannedKernel
) -> Iterator[tuple[list[PlannedKernel], list[PlannedKernel]]]:
    """Ways of computing a kernel's result once more: the late readers, and the second kernel with readers of what that makes.

    Args:
        order: all kernels as they run.
        maker: one of them.
    """
    if maker.source is not None or len(maker.stores) != 1:
        return
    ((store, result),) = maker.stores
    buffer = store.buffer
    if buffer.role is not BufferRole.TEMPORARY or buffer.home is not None or store.size != buffer.size:
        return
    readers = [(number, kernel) for number, kernel in enumerate(order) if buffer in kernel.reads]
    for split in range(1, len(readers)):
        if readers[split][0] - readers[split - 1][0] < 2:
            continue
        late = [kernel for _, kernel in readers[split:]]
        for dtype in dict.fromkeys((buffer.dtype, "float32")):  # integers as floats may take the place of what they are made of
            again = PlannedBuffer(f"{buffer.name} again", buffer.shape, dtype=dtype)
            second = PlannedKernel(maker.shape, ((replace(store, buffer=again), result),), None, late[0].place - _BEFORE)
            yield late, [second, *(reading(kernel, buffer, again) for kernel in late)]


def reading(kernel: PlannedKernel, old: PlannedBuffer, new: PlannedBuffer) -> PlannedKernel:
    """A kernel that reads another buffer.

    Args:
        kernel: as it is.
        old: what it reads.
        new: what it is to read, of the same shape.
    """

    def moved(view: StridedView) -> StridedView:
        return replace(view, buffer=new) if view.buffer is old else view

    def change(leaf: Expression) -> Expression:
        return leaf if leaf.view is None or leaf.view.buffer is not old else Expression(leaf.operator, view=moved(leaf.view))

    results = rewritten(kernel.roots, change) or []
    stores = tuple((view, result) for (view, _), result in zip(kernel.stores, results, strict=True))
    source: Source | None = kernel.source
    if isinstance(source, Reduction):
        source = replace(source, summand=(rewritten([source.summand], change) or [source.summand])[0])
    elif isinstance(source, MatrixProduct):
        source = MatrixProduct(moved(source.a), moved(source.b))
    elif isinstance(source, WindowSum):
        source = replace(source, x=moved(source.x), weight=moved(source.weight))
    elif isinstance(source, RowGather):
        source = RowGather(moved(source.table), moved(source.positions))
    return PlannedKernel(kernel.shape, stores, source, kernel.place)
