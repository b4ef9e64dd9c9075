"""How long each buffer of an order of kernels is needed, which take each other's place, and what that needs at the least."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgebll.kernel.microcontroller.kernels import PlannedKernel
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer


@dataclass
class Storage:
    """Room in the arena for one buffer, or for several that take each other's place element by element.

    Attributes:
        buffers: what lies there, one after another.
        start: number of the kernel that writes it first; -1 for inputs.
        end: number of the last kernel that reads it; that of all kernels for outputs.
    """

    buffers: list[PlannedBuffer]
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """Bytes it takes."""
        return max(buffer.size_bytes for buffer in self.buffers)

    @property
    def alignment(self) -> int:
        """Bytes of its largest element."""
        return max(np.dtype(buffer.dtype).itemsize for buffer in self.buffers)


@dataclass
class _Spans:
    """First write and last read of each buffer."""

    start: dict[PlannedBuffer, int] = field(default_factory=dict)
    end: dict[PlannedBuffer, int] = field(default_factory=dict)


def storages(
    order: Sequence[PlannedKernel], inputs: Sequence[PlannedBuffer], outputs: Collection[PlannedBuffer]
) -> list[Storage]:
    """What needs room in the arena, and when.

    Args:
        order: kernels as they run.
        inputs: what is written before; all of it lies in the arena at once.
        outputs: what is read afterwards.
    """
    spans = _spans(order, inputs, outputs)
    held: dict[PlannedBuffer, Storage] = {}
    for buffer, start in spans.start.items():
        held[buffer] = Storage([buffer], start, spans.end[buffer])
    for index, kernel in enumerate(order):
        _take_places(index, kernel, spans, held)
    return list({id(storage): storage for storage in held.values()}.values())


def _spans(order: Sequence[PlannedKernel], inputs: Sequence[PlannedBuffer], outputs: Collection[PlannedBuffer]) -> _Spans:
    spans = _Spans(dict.fromkeys(inputs, -1), dict.fromkeys(inputs, -1))
    for index, kernel in enumerate(order):
        for buffer in kernel.reads:
            if buffer.in_arena:
                spans.end[buffer] = index
        for buffer in kernel.writes:
            if buffer.in_arena:
                spans.start.setdefault(buffer, index)
                spans.end[buffer] = index
    for buffer in outputs:
        if buffer.in_arena:
            spans.end[buffer] = len(order)
    return spans


def _take_places(index: int, kernel: PlannedKernel, spans: _Spans, held: dict[PlannedBuffer, Storage]) -> None:
    """Results of a kernel that may lie where what it reads for the last time lies."""
    free = [buffer for buffer in kernel.reads if buffer.in_arena and spans.end[buffer] == index and spans.start[buffer] < index]
    for buffer in kernel.writes:
        if buffer.role is not BufferRole.TEMPORARY or not buffer.in_arena or spans.start[buffer] != index:
            continue
        written = kernel.writes_to(buffer)
        for old in free:
            if (old.size, old.dtype) == (buffer.size, buffer.dtype) and kernel.reads_only_in_place(old, written):
                storage = held[old]
                storage.buffers.append(buffer)
                storage.end = spans.end[buffer]
                held[buffer] = storage
                free.remove(old)
                break


def peak_bytes(found: Sequence[Storage], count: int) -> int:
    """Bytes of all storages that are needed at once, at the most: no arena for this order can be smaller.

    Args:
        found: of `storages`.
        count: of kernels.
    """
    change = [0] * (count + 3)
    for storage in found:
        change[storage.start + 1] += storage.size_bytes
        change[storage.end + 2] -= storage.size_bytes
    most = now = 0
    for step in change:
        now += step
        most = max(most, now)
    return most
