"""Sums of values that are zero but for one part: joined, where the parts fill the whole.

The gradient of `q, k, v = projection.unbind(0)`, as of any slices, is the sum of one zero-padded value a slice. For three
slices that is three Pads and two Adds over the whole, where one Concat of the parts does.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.graph.disjoint_parts import DisjointParts


def note_padded(g: GraphBuilder, result: Value, x: Value, before: Sequence[int], after: Sequence[int]) -> None:
    """Remember that `result` is x with zeros before and after."""
    axes = [axis for axis, (b, a) in enumerate(zip(before, after, strict=True)) if b or a]
    if len(axes) == 1 and before[axes[0]] >= 0 and after[axes[0]] >= 0:
        g.disjoint_parts[result.name] = DisjointParts(axes[0], ((before[axes[0]], x),))


def sum_of_parts(g: GraphBuilder, x: Value, y: Value) -> Value | None:
    """x + y where both are parts and zeros that do not overlap, else None."""
    first, second = g.disjoint_parts.get(x.name), g.disjoint_parts.get(y.name)
    joined = first.joined_with(second) if first and second and x.shape == y.shape and x.dtype == y.dtype else None
    if joined is None:
        return None
    if sum(part.shape[joined.axis] for _, part in joined.parts) == x.shape[joined.axis]:
        return g.op("Concat", [part for _, part in joined.parts], x.shape, axis=joined.axis)
    result = g.elementwise("Add", [x, y])
    g.disjoint_parts[result.name] = joined
    return result
