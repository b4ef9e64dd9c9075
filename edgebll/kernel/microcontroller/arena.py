"""Offsets in the arena: what is alive at the same time never overlaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgebll.kernel.microcontroller.lifetimes import Storage
from edgebll.kernel.microcontroller.views import PlannedBuffer

#: An arena's size is a multiple of it, so that what lies behind may hold 8-byte integers.
ALIGNMENT = 8
#: Every buffer begins at a multiple of it, and of its elements' size.
_SMALLEST = 4


def arena_offsets(found: Sequence[Storage]) -> tuple[dict[PlannedBuffer, int], int]:
    """Byte offset of every buffer, and bytes of the arena.

    Args:
        found: what needs room, and when. Several sequences of placing are tried, and the smallest result is taken.
    """
    best: tuple[list[int], int] | None = None
    for key in _SEQUENCES:
        sequence = sorted(range(len(found)), key=lambda index: key(found[index]))
        placed = _first_fit(found, sequence)
        if best is None or placed[1] < best[1]:
            best = placed
    offsets, size = best or ([], 0)
    return {buffer: offset for storage, offset in zip(found, offsets, strict=True) for buffer in storage.buffers}, size


_SEQUENCES: tuple[Callable[[Storage], Any], ...] = (
    lambda storage: (-storage.size_bytes, storage.start),
    lambda storage: (-storage.size_bytes * (storage.end - storage.start + 1), storage.start),
    lambda storage: (storage.start, -storage.size_bytes),
    lambda storage: (-storage.end, -storage.size_bytes),
    lambda storage: (storage.start - storage.end, -storage.size_bytes),
)


def _first_fit(found: Sequence[Storage], sequence: Sequence[int]) -> tuple[list[int], int]:
    offsets = [0] * len(found)
    done: list[int] = []
    most = 0
    for index in sequence:
        storage = found[index]
        beside = sorted(
            (offsets[other], offsets[other] + found[other].size_bytes)
            for other in done
            if found[other].start <= storage.end and storage.start <= found[other].end
        )
        offset, unit = 0, max(_SMALLEST, storage.alignment)
        for start, end in beside:
            if offset + storage.size_bytes <= start:
                break
            offset = max(offset, -(-end // unit) * unit)
        offsets[index] = offset
        most = max(most, offset + storage.size_bytes)
        done.append(index)
    return offsets, -(-most // ALIGNMENT) * ALIGNMENT
