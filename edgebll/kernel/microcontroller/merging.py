"""Two kernels as one: an element program computed where it is read, or computed where what it reads is summed.

Whether the views of one kernel lie on the grid of the other is asked of their addresses (views.py). Nothing here decides
whether a merger is worth it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebll.kernel.microcontroller.expressions import Expression, rewritten
from edgebll.kernel.microcontroller.kernels import PlannedKernel, Reduction, RowGather
from edgebll.kernel.microcontroller.views import Addresses, PlannedBuffer, StridedView


def inlined(producer: PlannedKernel, reader: PlannedKernel, buffer: PlannedBuffer) -> PlannedKernel | None:
    """The reader, with the producer's program wherever it read `buffer`; None where that cannot be.

    Args:
        producer: an element program that writes all of `buffer` and nothing else.
        reader: a kernel whose programs read it.
        buffer: what is read.
    """
    ((store, result),) = producer.stores
    if producer.source is not None or not store.is_whole or any(view.buffer is buffer for view in reader.whole_views):
        return None
    made: dict[StridedView, Expression | None] = {}

    def change(leaf: Expression) -> Expression | None:
        if leaf.view is None or leaf.view.buffer is not buffer:
            return leaf
        if leaf.view not in made:
            made[leaf.view] = _at(result, leaf.view)
        return made[leaf.view]

    results = rewritten(reader.roots, change)
    if results is None:
        return None
    source = reader.source
    if isinstance(source, Reduction):
        summand = rewritten([source.summand], change)
        if summand is None:
            return None
        source = replace(source, summand=summand[0])
    stores = tuple((view, new) for (view, _), new in zip(reader.stores, results, strict=True))
    return PlannedKernel(reader.shape, stores, source, reader.place)


def _at(result: Expression, view: StridedView) -> Expression | None:
    """An element program that is computed at the places of a view of its result."""
    places = None if view.is_whole and view.shape == view.buffer.shape else view.addresses()

    def move(leaf: Expression) -> Expression | None:
        if leaf.view is None or (places is None and leaf.view.shape == view.shape):
            return leaf
        found = leaf.view.at(view.addresses())
        return None if found is None else Expression(leaf.operator, view=found)

    moved = rewritten([result], move)
    return None if moved is None else moved[0]


def absorbed(
    producer: PlannedKernel, reader: PlannedKernel, buffer: PlannedBuffer, keeps: bool, place: float
) -> PlannedKernel | None:
    """The producer, which also computes the reader's program at each of its positions; None where that cannot be.

    Args:
        producer: what writes all of `buffer`.
        reader: an element program that reads each element of `buffer` once.
        buffer: what it reads.
        keeps: whether something else needs `buffer`.
        place: of the merged kernel.
    """
    if isinstance(producer.source, RowGather) or reader.source is not None:
        return None
    stored = [view for view in producer.writes_to(buffer) if view.size == buffer.size]
    views = [view for view in reader.element_views if view.buffer is buffer]
    if len(stored) != 1 or len(views) != 1 or views[0].size != buffer.size:
        return None
    places = _reader_places(views[0], stored[0])
    if places is None:
        return None
    made = dict(producer.stores)

    def change(leaf: Expression) -> Expression | None:
        """What the producer stores is taken from it, if at its very position; everything else is read."""
        if leaf.view is None:
            return leaf
        found = leaf.view.at(places)
        if found is None or found.buffer in producer.writes:
            return None if found is None else made.get(found)
        return Expression(leaf.operator, view=found)

    results = rewritten(reader.roots, change)
    moved = [view.at(places) for view, _ in reader.stores]
    if results is None:
        return None
    stores = [(view, result) for view, result in producer.stores if keeps or view.buffer is not buffer]
    for view, result in zip(moved, results, strict=True):
        if view is None:
            return None
        stores.append((view, result))
    return PlannedKernel(producer.shape, tuple(stores), producer.source, place)


def joined(first: PlannedKernel, second: PlannedKernel) -> PlannedKernel | None:
    """Two element programs over as many positions, which need nothing of each other, as one; None where they are no such.

    Args:
        first: one of them, whose place and grid both get.
        second: the other one.
    """
    needs = set(first.reads) & set(second.writes) or set(second.reads) & set(first.writes)
    if first.source is not None or second.source is not None or needs or not _same_axes(first.shape, second.shape):
        return None
    stores = [(view.reshaped(first.shape), _in_shape(result, first.shape)) for view, result in second.stores]
    if any(view is None or result is None for view, result in stores):
        return None
    return PlannedKernel(first.shape, (*first.stores, *stores), None, first.place)  # type: ignore[arg-type]


def _same_axes(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return [size for size in first if size != 1] == [size for size in second if size != 1]


def _in_shape(result: Expression, shape: tuple[int, ...]) -> Expression | None:
    def move(leaf: Expression) -> Expression | None:
        found = None if leaf.view is None else leaf.view.reshaped(shape)
        return leaf if leaf.view is None else None if found is None else Expression(leaf.operator, view=found)

    moved = rewritten([result], move)
    return None if moved is None else moved[0]


def _reader_places(read: StridedView, written: StridedView) -> Addresses | None:
    """At each position of what writes a buffer, the position (row-major) of what reads it; None if it reads some twice."""
    inverse = np.full(read.buffer.size, -1, np.int64)
    inverse[read.addresses().reshape(-1)] = np.arange(read.size)
    return None if (inverse < 0).any() else inverse[written.addresses()]
