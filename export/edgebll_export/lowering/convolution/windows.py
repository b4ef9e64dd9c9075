"""What sliding windows of convolutions and pooling share. Shapes: x (..., *space), the spatial axes last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.shape import crop, pad


def each(values: Sequence[int], axes: int) -> tuple[int, ...]:
    """One number for every axis; a single one counts for all."""
    return tuple(values) * axes if len(values) == 1 else tuple(values)


@dataclass(frozen=True)
class Windows:
    """Where the windows of a pooling lie.

    Attributes:
        size: spatial sizes of the input.
        out: those of the output.
        kernel: size of a window, one number an axis.
        stride: step from one window to the next, one number an axis.
        padding: places on either side of the input, one number an axis.
        dilation: distance of a window's taps, one number an axis.
    """

    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @staticmethod
    def of(
        size: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
    ) -> Windows:
        """PyTorch's arguments: one number may count for all axes, an empty stride is the kernel."""
        taps, steps, pads, gaps = (each(values, len(size)) for values in (kernel, stride or kernel, padding, dilation))
        rows = zip(size, taps, steps, pads, gaps, strict=True)
        out = tuple(_count(n, k, s, p, d, ceil_mode) for n, k, s, p, d in rows)
        return Windows(tuple(size), out, taps, steps, pads, gaps)

    @property
    def overhang(self) -> tuple[int, ...]:
        """How far the last window reaches beyond the padding at the end; negative where elements are left over."""
        rows = zip(self.size, self.out, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((m - 1) * s + d * (k - 1) + 1 - (n + 2 * p) for n, m, k, s, p, d in rows)

    @property
    def after(self) -> tuple[int, ...]:
        """Padding at the end with which the last window ends where the padded input does; negative to crop."""
        return tuple(p + extra for p, extra in zip(self.padding, self.overhang, strict=True))

    def attributes(self) -> dict[str, Any]:
        """Attributes of MaxPool and AveragePool, without dilation; what is left over at the end needs no crop."""
        ends = [p + max(extra, 0) for p, extra in zip(self.padding, self.overhang, strict=True)]
        return {"kernel_shape": list(self.kernel), "strides": list(self.stride), "pads": [*self.padding, *ends]}


def _count(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Windows along an axis; none starts in the padding at the end."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


def planes(g: GraphBuilder, x: Value, axes: int) -> Value:
    """(1, N, *space) where x has not exactly two axes before its spatial ones."""
    if len(x.shape) == axes + 2:
        return x
    return g.reshape(x, (1, math.prod(x.shape[:-axes]), *x.shape[-axes:]))


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
    """Zeros put after every element, stride - 1 of them: (..., n * stride, ...)."""
    if math.prod(stride) == 1:
        return x
    lead = x.shape[: len(x.shape) - len(stride)]
    pairs = list(zip(x.shape[len(lead) :], stride, strict=True))
    apart = g.reshape(x, (*lead, *(part for n, _ in pairs for part in (n, 1))))
    zeros = [0] * len(lead)
    filled = pad(g, apart, [0] * len(apart.shape), [*zeros, *(part for _, s in pairs for part in (0, s - 1))])
    return g.reshape(filled, (*lead, *(n * s for n, s in pairs)))
