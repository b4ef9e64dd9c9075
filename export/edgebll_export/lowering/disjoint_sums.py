"""Sums of values that are zero but for one part: joined, where the parts fill the whole.

The gradient of `q, k, v = projection.unbind(0)`, as of any slices, is the sum of one zero-padded value a slice. For three
slices that is three Pads and two Adds over the whole, where one Concat of the parts does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from edgebll_export.graph.builder import GraphBuilder, Value


@dataclass(frozen=True)
class _Parts:
    """What is not zero of a value: parts along an axis, each with its first position, in order and apart."""

    axis: int
    parts: tuple[tuple[int, Value], ...]

    def joined_with(self, other: _Parts) -> _Parts | None:
        """Both together; None where they overlap or lie along different axes."""
        if self.axis != other.axis:
            return None
        parts = sorted((*self.parts, *other.parts), key=lambda part: part[0])
        ends = [start + part.shape[self.axis] for start, part in parts]
        if any(end > start for end, (start, _) in zip(ends, parts[1:], strict=False)):
            return None
        return _Parts(self.axis, tuple(parts))


_KNOWN: WeakKeyDictionary[GraphBuilder, dict[str, _Parts]] = WeakKeyDictionary()


def note_padded(g: GraphBuilder, result: Value, x: Value, before: Sequence[int], after: Sequence[int]) -> None:
    """Remember that `result` is x with zeros before and after."""
    axes = [axis for axis, (b, a) in enumerate(zip(before, after, strict=True)) if b or a]
    if len(axes) == 1 and before[axes[0]] >= 0 and after[axes[0]] >= 0:
        _KNOWN.setdefault(g, {})[result.name] = _Parts(axes[0], ((before[axes[0]], x),))


def sum_of_parts(g: GraphBuilder, x: Value, y: Value) -> Value | None:
    """x + y where both are parts and zeros that do not overlap, else None."""
    known = _KNOWN.get(g, {})
    first, second = known.get(x.name), known.get(y.name)
    joined = first.joined_with(second) if first and second and x.shape == y.shape and x.dtype == y.dtype else None
    if joined is None:
        return None
    if sum(part.shape[joined.axis] for _, part in joined.parts) == x.shape[joined.axis]:
        return g.op("Concat", [part for _, part in joined.parts], x.shape, axis=joined.axis)
    result = g.elementwise("Add", [x, y])
    known[result.name] = joined
    return result
