"""The sizes of a convolution, shared by all its lowerings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebll_export.graph.builder import Value
from edgebll_export.lowering.convolution.windows import each


@dataclass(frozen=True)
class ConvolutionGeometry:
    """Sizes of a convolution over any number of spatial axes.

    A transposed convolution is the adjoint of a convolution, and is described by the sizes of that one.

    Attributes:
        batch: samples.
        in_channels: channels of the input.
        out_channels: channels of the output.
        groups: parts that the channels of input and output are divided into.
        size: spatial sizes of the input.
        out: those of the output.
        kernel: size of the kernel, one number an axis.
        stride: step from one window to the next, one number an axis.
        padding: zeros on either side of the input, one number an axis.
        dilation: distance of the kernel's taps, one number an axis.
    """

    batch: int
    in_channels: int
    out_channels: int
    groups: int
    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @staticmethod
    def of(
        x: Value, weight: Value, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int
    ) -> ConvolutionGeometry:
        """Sizes for x (B, C, ...) and weight (O, C / groups, ...); one stride, padding or dilation counts for all axes."""
        axes = len(x.shape) - 2
        kernel = weight.shape[2:]
        steps, pads, gaps = (each(values, axes) for values in (stride, padding, dilation))
        rows = zip(x.shape[2:], kernel, steps, pads, gaps, strict=True)
        out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rows)
        return ConvolutionGeometry(
            x.shape[0], x.shape[1], weight.shape[0], groups, x.shape[2:], out, kernel, steps, pads, gaps
        )  # fmt: skip

    @staticmethod
    def of_transposed(
        x: Value,
        weight: Value,
        stride: Sequence[int],
        padding: Sequence[int],
        output_padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> ConvolutionGeometry:
        """Sizes of the convolution whose adjoint takes x (B, C, ...) and weight (C, O / groups, ...) to (B, O, ...)."""
        axes = len(x.shape) - 2
        kernel = weight.shape[2:]
        steps, pads, extras, gaps = (each(values, axes) for values in (stride, padding, output_padding, dilation))
        rows = zip(x.shape[2:], kernel, steps, pads, extras, gaps, strict=True)
        size = tuple((n - 1) * s - 2 * p + e + d * (k - 1) + 1 for n, k, s, p, e, d in rows)
        return ConvolutionGeometry(
            x.shape[0], weight.shape[1] * groups, x.shape[1], groups, size, x.shape[2:], kernel, steps, pads, gaps
        )  # fmt: skip

    @property
    def reach(self) -> tuple[int, ...]:
        """Distance from the first to the last tap along each axis."""
        return tuple(d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True))

    @property
    def left_over(self) -> tuple[int, ...]:
        """Elements at the end of each padded axis that no window sees."""
        rows = zip(self.size, self.out, self.stride, self.padding, self.reach, strict=True)
        return tuple(n + 2 * p - ((m - 1) * s + r + 1) for n, m, s, p, r in rows)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """(B, C, ...)."""
        return (self.batch, self.in_channels, *self.size)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """(B, O, ...)."""
        return (self.batch, self.out_channels, *self.out)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(O, C / groups, ...)."""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @property
    def positions(self) -> int:
        """Output positions of all samples."""
        return self.batch * math.prod(self.out)

    def attributes(self) -> dict[str, Any]:
        """Attributes of Conv and ConvTranspose."""
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.stride),
            "pads": [*self.padding, *self.padding],
            "dilations": list(self.dilation),
            "group": self.groups,
        }
