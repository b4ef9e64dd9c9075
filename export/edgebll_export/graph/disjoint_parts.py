"""What is known of values that are zero but for some parts; `edgebll_export.lowering.disjoint_sums` joins them."""

from __future__ import annotations

from dataclasses import dataclass

from edgebll_export.graph.value import Value


@dataclass(frozen=True)
class DisjointParts:
    """What is not zero of a value: parts along an axis, each with its first position, in order and apart."""

    axis: int
    parts: tuple[tuple[int, Value], ...]

    def joined_with(self, other: DisjointParts) -> DisjointParts | None:
        """Both together; None where they overlap or lie along different axes."""
        if self.axis != other.axis:
            return None
        parts = sorted((*self.parts, *other.parts), key=lambda part: part[0])
        ends = [start + part.shape[self.axis] for start, part in parts]
        if any(end > start for end, (start, _) in zip(ends, parts[1:], strict=False)):
            return None
        return DisjointParts(self.axis, tuple(parts))
