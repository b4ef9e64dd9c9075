"""Where blocks lie in the memory of a microcontroller: plans and states from its beginning on, one arena for all at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgebll.kernel.errors import BoardError
from edgebll_devices.microcontroller.requests import PLANS, SLOTS, Span

_ALIGNMENT = 8


class MemoryNeed(NamedTuple):
    """What a block takes, in bytes: of each plan (0: it has none), of its state, and of an arena while it runs."""

    plans: tuple[int, ...]
    state: int
    arena: int


class PlacedBlock(NamedTuple):
    """A block's slot and the places of its parts."""

    slot: int
    state: Span
    arena: Span
    plans: tuple[Span, ...]


class PoolLayout:
    """The pool of one microcontroller.

    Args:
        pool_bytes: its size.
    """

    def __init__(self, pool_bytes: int) -> None:
        self._pool = pool_bytes - pool_bytes % _ALIGNMENT
        self._placed: dict[int, PlacedBlock] = {}

    def place(self, name: str, need: MemoryNeed) -> PlacedBlock:
        """Find room for a block.

        Args:
            name: of the block, for messages.
            need: what it takes.

        Raises:
            BoardError: there is none.
        """
        slot = next((number for number in range(SLOTS) if number not in self._placed), None)
        if slot is None:
            raise BoardError(f"{name} is one block too many for the microcontroller, which holds {SLOTS}; use more boards")
        lasting = [_rounded(size) for size in (*need.plans, need.state)]
        arena = _rounded(need.arena)
        top = self._pool - max([arena, *(block.arena.size_bytes for block in self._placed.values())])
        start = self._gap(sum(lasting), top)
        if start is None:
            others = f" beside {len(self._placed)} other blocks" if self._placed else ""
            raise BoardError(
                f"{name} needs {sum(lasting) + arena} bytes of the microcontroller{others}, which has {self._pool} for blocks; "
                "use a board with more memory, smaller blocks or batches"
            )
        spans = []
        for size, exact in zip(lasting, (*need.plans, need.state), strict=True):
            spans.append(Span(start, exact))
            start += size
        block = PlacedBlock(slot, spans[PLANS], Span(self._pool - arena, arena), tuple(spans[:PLANS]))
        self._placed[slot] = block
        return block

    def free(self, slot: int) -> None:
        """Take a block away; none need be there.

        Args:
            slot: where it is.
        """
        self._placed.pop(slot, None)

    def _gap(self, size: int, top: int) -> int | None:
        """Where so many bytes are free below `top`."""
        taken = sorted((start, end) for block in self._placed.values() for start, end in _ends((*block.plans, block.state)))
        start = 0
        for begins, ends in (*taken, (top, top)):
            if begins - start >= size:
                return start
            start = max(start, ends)
        return None


def pool_need(needs: Sequence[MemoryNeed]) -> int:
    """Bytes of a pool that holds these blocks: all that lasts, and the largest arena.

    Args:
        needs: of each block.
    """
    lasting = sum(_rounded(size) for need in needs for size in (*need.plans, need.state))
    return lasting + max((_rounded(need.arena) for need in needs), default=0)


def _rounded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _ends(spans: Sequence[Span]) -> list[tuple[int, int]]:
    return [(span.offset, span.offset + _rounded(span.size_bytes)) for span in spans if span.size_bytes]
