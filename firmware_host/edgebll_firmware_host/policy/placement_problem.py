"""Placing a chain of blocks on unequal boards, as arrays of numbers: what each kind of board takes for each run of blocks.

Boards that are alike in all that counts (steps, memory, power, links) are of one kind and need not be told apart: a search over
subsets of boards becomes one over how many of each kind are used.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebll.kernel.spec.edge_check import HOST
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.cost_model import CostModel, LinkCost
from edgebll_firmware_host.policy.memory_fit import Room

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PlacementProblem:
    """Make it with `of`. Of K kinds of boards and n blocks; blocks i to j - 1 are a run (i, j).

    Attributes:
        model: of the cluster.
        boards: those that may be used.
        room: what memory they have; None where it is not checked.
        kinds: names of the boards of each kind, in the inventory's order.
        load: (K, n + 1, n + 1), what a board works in a step for a run; infinite where the run is empty or does not fit.
        carry: (K + 1, K, n + 1), how long the link from a kind, or the host, to another is busy with block i's token.
        delay: the same until the token has arrived.
        back: (K + 1,), from a kind to the host, a message of no size.
    """

    model: CostModel
    boards: Sequence[BoardEntry]
    room: Room | None
    kinds: tuple[tuple[str, ...], ...]
    load: Floats
    carry: Floats
    delay: Floats
    back: Floats

    @classmethod
    def of(cls, model: CostModel, boards: Sequence[BoardEntry], room: Room | None = None) -> PlacementProblem:
        """Ask the model and the room all that a search needs.

        Args:
            model: with all of the boards.
            boards: those that may be used.
            room: what memory they have; None for no check.
        """
        ends = {board.name: _last_ends(model, board, room) for board in boards}
        grouped: dict[Hashable, list[str]] = {}
        for board in boards:
            grouped.setdefault(_kind(model, board.name, ends[board.name], room), []).append(board.name)
        kinds = tuple(tuple(names) for names in grouped.values())
        load = np.stack([_loads(model, names[0], ends[names[0]]) for names in kinds])
        links = [[_link(model, sender, names) for names in kinds] for sender in (*kinds, (HOST,))]
        sizes = np.array([*model.work.chain_bytes, 0], np.float64)
        carry = np.array([[sizes / link.bytes_per_s for link in row] for row in links])
        delay = np.array([[sizes / link.bytes_per_s + link.latency_s for link in row] for row in links])
        if not model.in_seconds:
            carry, delay = np.zeros_like(carry), np.zeros_like(delay)
        back = np.array([*(model.link(names[0], HOST).latency_s for names in kinds), 0.0])
        return cls(model, boards, room, kinds, load, carry, delay, back)

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.model.work.blocks)

    @property
    def num_states(self) -> int:
        """In how many ways boards of the kinds can be left over."""
        return int(np.prod([float(len(names) + 1) for names in self.kinds]))

    def hosts(self, runs: Sequence[tuple[int, int, int]]) -> list[str]:
        """The board of each block.

        Args:
            runs: (kind, i, j) in stream order; boards of a kind are taken in the inventory's order.
        """
        taken = [iter(names) for names in self.kinds]
        return [name for kind, start, end in runs for name in [next(taken[kind])] * (end - start)]

    def problem(self, hosts: Sequence[str]) -> bool:
        """Whether boards do not have the memory for what they are to host."""
        return self.room is not None and bool(self.room.problem(blocks_of(self.model.work.blocks, hosts), self.boards))


def blocks_of(blocks: Sequence[str], hosts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Board -> its blocks, from the board of each block."""
    found: dict[str, tuple[str, ...]] = {}
    for block, host in zip(blocks, hosts, strict=False):
        found[host] = (*found.get(host, ()), block)
    return found


def _last_ends(model: CostModel, board: BoardEntry, room: Room | None) -> tuple[int, ...]:
    """For each first block, the end of the longest run that a board has room for: more blocks never need less."""
    blocks = model.work.blocks
    if room is None:
        return (len(blocks),) * len(blocks)
    ends: list[int] = []
    end = 0
    for start in range(len(blocks)):
        end = max(end, start)
        while end < len(blocks) and room.holds(board, blocks[start : end + 1]):
            end += 1
        ends.append(end)
    return tuple(ends)


def _kind(model: CostModel, name: str, ends: tuple[int, ...], room: Room | None) -> Hashable:
    named = {machine for pair in model.links for machine in pair}
    seconds = tuple(step.seconds for step in model.steps[name])
    pool = room.pools.get(name, "") if room is not None else ""
    shared = (pool, room.free.get(name)) if pool and room is not None else None
    own = name if name in named else None
    return seconds, ends, model.messages.get(name), model.power.get(name), model.access.get(name), shared, own


def _loads(model: CostModel, name: str, ends: Sequence[int]) -> Floats:
    work = model.work
    count = len(work.blocks)
    before = np.concatenate([[0.0], np.cumsum([step.seconds for step in model.steps[name]])])
    load = before[None, :] - before[:, None]
    if model.in_seconds:
        told = np.array([*(model.message_seconds(name, size) for size in work.chain_bytes), 0.0])
        load = load + told[:, None] + told[None, :]
    reach = np.array([*ends, count])
    columns = np.arange(count + 1)
    return np.where((columns[None, :] > columns[:, None]) & (columns[None, :] <= reach[:, None]), load, np.inf)


def _link(model: CostModel, senders: Sequence[str], receivers: Sequence[str]) -> LinkCost:
    """Between two boards of these kinds; within one kind, between two of its boards."""
    other = receivers[-1] if receivers[0] == senders[0] else receivers[0]
    return model.link(senders[0], other)
