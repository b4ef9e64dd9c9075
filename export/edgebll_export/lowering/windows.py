"""What sliding windows of convolutions and pooling share. Shapes: x (..., *space), the spatial axes last."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.shape import crop, pad


def pad_space(g: GraphBuilder, x: Value, before: Sequence[int], after: Sequence[int], number: float = 0.0) -> Value:
    """A number put before and after along the spatial axes; negative counts crop."""
    lead = len(x.shape) - len(before)
    cut = [(max(-b, 0), min(n, n + a)) for n, b, a in zip(x.shape[lead:], before, after, strict=True)]
    x = crop(g, x, list(range(lead, len(x.shape))), [s for s, _ in cut], [e for _, e in cut], [1] * len(cut))
    zeros = [0] * lead
    return pad(g, x, [*zeros, *(max(b, 0) for b in before)], [*zeros, *(max(a, 0) for a in after)], number)


def window(g: GraphBuilder, padded: Value, starts: Sequence[int], out: Sequence[int], stride: Sequence[int]) -> Value:
    """What one tap of a kernel sees: every stride-th element from `starts` on, (..., *out)."""
    lead = len(padded.shape) - len(starts)
    ends = [start + (n - 1) * s + 1 for start, n, s in zip(starts, out, stride, strict=True)]
    return crop(g, padded, list(range(lead, len(padded.shape))), list(starts), ends, list(stride))


def spaced(g: GraphBuilder, x: Value, stride: Sequence[int]) -> Value:
    """stride - 1 zeros put after every element, (..., n * stride, ...)."""
    if math.prod(stride) == 1:
        return x
    lead = x.shape[: len(x.shape) - len(stride)]
    pairs = list(zip(x.shape[len(lead) :], stride, strict=True))
    apart = g.reshape(x, (*lead, *(part for n, _ in pairs for part in (n, 1))))
    zeros = [0] * len(lead)
    filled = pad(g, apart, [0] * len(apart.shape), [*zeros, *(part for _, s in pairs for part in (0, s - 1))])
    return g.reshape(filled, (*lead, *(n * s for n, s in pairs)))
