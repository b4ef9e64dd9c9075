"""Whether blocks fit into the memory of boards, and placements that do: pure functions of what is needed and what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from edgebll.kernel.spec.plan_versions import INT8_CURE, VERSION
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll.kernel.wire import Welcome
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.memory_need import Needs

#: Up to so many boards all orders of them are tried.
_ALL_ORDERS = 4
_HALVINGS = 40
_MIB = 1 << 20
#: Of what a board was killed with: blocks that need as much would have it killed again.
_HARDLY_LESS = 0.8


@dataclass(frozen=True)
class Room:
    """What is needed, and what boards have.

    Attributes:
        needs: of all blocks.
        free: board -> bytes its blocks may take; a board that is not in it has no limit that is known.
        limited_by: board -> what says so, in words.
        pools: board -> the same for boards that share what is free.
        starved: board -> sets of blocks it was killed with, probably for want of memory: it gets nothing like it again.
        plan_versions: board -> newest version of plans that its microcontroller runs; one that is not in it runs any.
    """

    needs: Needs
    free: Mapping[str, int] = field(default_factory=dict)
    limited_by: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    starved: Mapping[str, Sequence[frozenset[str]]] = field(default_factory=dict)
    plan_versions: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def told(
        cls,
        needs: Needs,
        said: Iterable[tuple[BoardEntry, Welcome]],
        starved: Mapping[str, Sequence[frozenset[str]]] | None = None,
    ) -> Room:
        """What boards have by their entries, or else by what they said themselves."""
        boards = {entry.name: (entry, welcome) for entry, welcome in said}
        free = {
            name: _said(entry, welcome) if entry.memory_mib is None else entry.memory_mib << 20
            for name, (entry, welcome) in boards.items()
        }
        return cls(
            needs,
            {name: size for name, size in free.items() if size > 0},
            {name: _limit(entry, welcome) for name, (entry, welcome) in boards.items()},
            {
                name: welcome.memory_pool
                for name, (entry, welcome) in boards.items()
                if welcome.memory_pool and not _is_apart(entry)
            },
            starved or {},
            {
                name: _plan_version(entry, welcome)
                for name, (entry, welcome) in boards.items()
                if _is_apart(entry) and _said(entry, welcome)
            },
        )

    def holds(self, board: BoardEntry, blocks: tuple[str, ...]) -> bool:
        """Whether a board has room for these blocks, runs their plans, and was not killed with them or with hardly more."""
        if self._killed(board, blocks) or self._too_new(board, blocks):
            return False
        return self.needs.of(blocks, board.runtime) <= self.free.get(board.name, 1 << 62)

    def problem(self, placed: Mapping[str, tuple[str, ...]], boards: Sequence[BoardEntry]) -> str:
        """Why a placement does not fit, in a sentence; empty if it does."""
        entries = {board.name: board for board in boards}
        for name, blocks in placed.items():
            if not self.holds(entries[name], blocks):
                return self._too_large(entries[name], blocks)
        return self._too_many({name: self.needs.of(blocks, entries[name].runtime) for name, blocks in placed.items()})

    def _killed(self, board: BoardEntry, blocks: tuple[str, ...]) -> frozenset[str]:
        """Blocks the board was killed with that speak against these; empty if there are none."""
        need = self.needs.of(blocks, board.runtime)
        for killed in self.starved.get(board.name, ()):
            before = self.needs.of(tuple(name for name in self.needs.blocks if name in killed), board.runtime)
            if blocks and (killed <= set(blocks) or need >= _HARDLY_LESS * before):
                return killed
        return frozenset()

    def _too_new(self, board: BoardEntry, blocks: tuple[str, ...]) -> bool:
        """Whether blocks compute with integers, and the firmware of a board's microcontroller does not."""
        known = self.plan_versions.get(board.name)
        return known is not None and self.needs.plan_version(blocks) > known

    def _too_large(self, board: BoardEntry, blocks: tuple[str, ...]) -> str:
        need, what = self.needs.of(blocks, board.runtime), ", ".join(blocks)
        if killed := self._killed(board, blocks):
            return f"board {board.name} was killed with {', '.join(sorted(killed))}, probably for want of memory; {_CURE}"
        if self._too_new(board, blocks):
            firmware = f"the firmware of board {board.name}'s microcontroller runs plans of float32 alone"
            return f"{firmware}, and {what} {'computes' if len(blocks) == 1 else 'compute'} in int8; {INT8_CURE}"
        free, verb = self.free[board.name], "needs" if len(blocks) == 1 else "need"
        if _is_apart(board):
            there = f"the microcontroller of board {board.name} has {free:,} bytes for blocks"
            return f"{there}, but {what} {verb} {need:,}; {_CURE}"
        by = f" by {self.limited_by[board.name]}" if self.limited_by.get(board.name) else ""
        return (
            f"board {board.name} has {free / _MIB:.0f} MiB{by}, but {what} {verb} about {need / _MIB:.0f} MiB there; {_CURE}, "
            "or set memory_mib in its entry if you know better"
        )

    def _too_many(self, needed: Mapping[str, int]) -> str:
        """Boards that share memory need more than there is together."""
        for pool in dict.fromkeys(self.pools.values()):
            sharing = [name for name in needed if self.pools.get(name) == pool and name in self.free]
            free, need = max((self.free[name] for name in sharing), default=0), sum(needed[name] for name in sharing)
            if need > free:
                return (
                    f"the boards {', '.join(sharing)} share {free / _MIB:.0f} MiB of memory, but their blocks need about "
                    f"{need / _MIB:.0f} MiB; {_CURE}"
                )
        return ""


def _is_apart(entry: BoardEntry) -> bool:
    """Whether blocks lie in another memory than that of the machine the agent runs on."""
    return entry.runtime == SERIAL


def _said(entry: BoardEntry, welcome: Welcome) -> int:
    """What a board says its blocks may take; of a microcontroller it serves, what that has. 0 where it does not say."""
    if not _is_apart(entry):
        return welcome.memory_free_bytes
    sizes = welcome.microcontrollers
    return sizes.get(entry.port, 0) if entry.port else next(iter(sizes.values()), 0)


def _plan_version(entry: BoardEntry, welcome: Welcome) -> int:
    """Newest plans that the microcontroller of a board runs; one of which nothing is said runs those of float32."""
    versions = welcome.microcontroller_plans
    port = entry.port or next(iter(welcome.microcontrollers), "")
    return versions.get(port, VERSION)


def _limit(entry: BoardEntry, welcome: Welcome) -> str:
    return "its microcontroller" if _is_apart(entry) else welcome.memory_limited_by


_CURE = "give it more memory, use more boards or smaller batches"


def place_in_room(
    blocks: Sequence[str], weights: Sequence[float], boards: Sequence[BoardEntry], room: Room
) -> dict[str, tuple[str, ...]] | None:
    """Board -> its blocks, contiguous, so that all fit and the busiest board has as little to do as the tried orders allow.

    Args:
        blocks: names in stream order.
        weights: cost of each, in any one unit.
        boards: those that are there; pins do not count.
        room: what is needed and there.

    Returns:
        None where no order that was tried fits: all of up to four boards, else the given one, and those by what is free.
    """
    orders: list[Sequence[BoardEntry]] = [boards]
    if len(boards) <= _ALL_ORDERS:
        orders = [list(order) for order in permutations(boards)]
    else:
        by_free = sorted(boards, key=lambda board: room.free.get(board.name, 1 << 62))
        orders += [by_free, by_free[::-1]]
    found = [best for order in orders if (best := _best(blocks, weights, order, room)) is not None]
    return min(found, key=lambda each: each[0])[1] if found else None


def _best(
    blocks: Sequence[str], weights: Sequence[float], order: Sequence[BoardEntry], room: Room
) -> tuple[float, dict[str, tuple[str, ...]]] | None:
    """The least load of the busiest board for boards in this order, and the placement."""
    low, high = max(weights), sum(weights)
    placed = _fill(blocks, weights, order, room, high)
    if placed is None:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = _fill(blocks, weights, order, room, middle)
        if tried is None:
            low = middle
        else:
            high, placed = middle, tried
    return high, placed


def _fill(
    blocks: Sequence[str], weights: Sequence[float], order: Sequence[BoardEntry], room: Room, most: float
) -> dict[str, tuple[str, ...]] | None:
    """Give each board as many of the next blocks as it holds and `most` weight allows; None if some are left.

    To take fewer would leave more to the boards behind it, so no other cut fits where this one does not.
    """
    placed: dict[str, tuple[str, ...]] = {}
    start = 0
    for board in order:
        end, load = start, 0.0
        while end < len(blocks) and load + weights[end] <= most and room.holds(board, tuple(blocks[start : end + 1])):
            load, end = load + weights[end], end + 1
        if end > start:
            placed[board.name] = tuple(blocks[start:end])
        start = end
    return placed if start == len(blocks) else None
