"""Padding by mirrored or repeated borders; circular padding is traced as writes into slices.

The gradient adds the border back to where it came from: along each padded axis a product with a matrix of zeros and ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import spread
from edgebll_export.lowering_registry import lowering

_FAMILY = "padding"


def _sides(rank: int, pads: Sequence[int]) -> list[tuple[int, int, int]]:
    """(axis, before, after) of every padded axis; PyTorch starts with the last."""
    pairs = [(rank - 1 - place, pads[2 * place], pads[2 * place + 1]) for place in range(len(pads) // 2)]
    return [pair for pair in pairs if pair[1] or pair[2]]


def _forward(g: GraphBuilder, x: Value, pads: Sequence[int], mode: str) -> Value:
    before, after = [0] * len(x.shape), [0] * len(x.shape)
    for axis, front, back in _sides(len(x.shape), pads):
        before[axis], after[axis] = front, back
    shape = [size + b + a for size, b, a in zip(x.shape, before, after, strict=True)]
    return g.op("Pad", [x, g.constant(np.array([*before, *after], np.int64))], shape, mode=mode)


def _backward(g: GraphBuilder, grad: Value, x: Value, pads: Sequence[int], mode: str) -> Value:
    for axis, front, back in _sides(len(x.shape), pads):
        source = np.pad(np.arange(x.shape[axis]), (front, back), mode=mode)  # type: ignore[call-overload]
        grad = spread(g, grad, axis, source, x.shape[axis])
    return grad


def _register(aten: str, onnx_mode: str) -> None:
    names = [f"aten.{aten}_pad{axes}d" for axes in (1, 2, 3)]

    @lowering(*(f"{name}.default" for name in names), family=_FAMILY)
    def forward(g: GraphBuilder, x: Value, pads: Sequence[int]) -> Value:
        return _forward(g, x, pads, onnx_mode)

    @lowering(*(f"{name}_backward.default" for name in names), family=_FAMILY)
    def backward(g: GraphBuilder, grad: Value, x: Value, pads: Sequence[int]) -> Value:
        return _backward(g, grad, x, pads, onnx_mode)

    forward.__doc__ = f"ONNX Pad with mode {onnx_mode!r}."
    backward.__doc__ = f"Gradient of padding with mode {onnx_mode!r}."


_register("reflection", "reflect")
_register("replication", "edge")
