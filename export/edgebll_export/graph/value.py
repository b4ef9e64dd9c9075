"""A tensor of a graph under construction.

A value may be `broadcast`: its stored shape has ones where the logical shape repeats them, because element-wise operators
broadcast by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Value:
    """A tensor in the graph.

    Attributes:
        name: its ONNX name.
        dtype: numpy name.
        shape: logical shape.
        stored: shape of the ONNX tensor, of the same rank, with 1 where it is broadcast.
        constant: its content where known at export.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored: tuple[int, ...]
    constant: Array | None = None

    @property
    def is_broadcast(self) -> bool:
        """Whether the stored tensor is smaller than the logical one."""
        return self.stored != self.shape

    def same(self, other: Value) -> bool:
        """Whether both are the very same tensor."""
        return self.name == other.name and self.shape == other.shape


def padded(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The shape with ones in front, up to `rank` axes."""
    return (1,) * (rank - len(shape)) + shape


def only_moves_ones(stored: tuple[int, ...], order: tuple[int, ...]) -> bool:
    """Whether a transpose in this order moves only axes that are stored once."""
    kept = [axis for axis in order if stored[axis] != 1]
    return kept == sorted(kept)


def reshape_broadcast(value: Value, target: tuple[int, ...]) -> tuple[int, ...] | None:
    """Stored shape after reshaping a broadcast value, where the reshape only adds or drops axes of size 1."""
    pairs = [(size, kept) for size, kept in zip(value.shape, value.stored, strict=True) if size != 1]
    if [size for size, _ in pairs] != [size for size in target if size != 1]:
        return None
    kept = iter(pairs)
    return tuple(1 if size == 1 else next(kept)[1] for size in target)
