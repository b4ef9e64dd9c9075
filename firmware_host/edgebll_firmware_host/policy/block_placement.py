"""Which block runs on which board: contiguous in stream order, so that activations cross as few links as can be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import is_chain
from edgebll.kernel.spec.manifest import Manifest
from edgebll.kernel.spec.side_inputs import chain_bytes
from edgebll.kernel.support.even_partition import partition
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.best_placement import best_placement
from edgebll_firmware_host.policy.known_costs import KnownCosts
from edgebll_firmware_host.policy.memory_fit import Room, place_in_room
from edgebll_firmware_host.policy.placement_objective import THROUGHPUT
from edgebll_firmware_host.policy.workload import step_bytes


@dataclass(frozen=True)
class Placement:
    """Board name -> its blocks in stream order; boards without blocks are left out."""

    blocks: Mapping[str, tuple[str, ...]]

    def board_of(self, block: str) -> str:
        """The board that hosts `block`."""
        return next(board for board, hosted in self.blocks.items() if block in hosted)


def place(blocks: Sequence[str], weights: Sequence[float], boards: Sequence[BoardEntry]) -> Placement:
    """Place blocks on boards.

    Args:
        blocks: names in stream order.
        weights: cost of each, in any one unit.
        boards: where `blocks` is set on one, it must be set so that every block has just one board; otherwise blocks are spread
            as evenly as their weights allow, several to a board if there are fewer boards, and boards beyond the number of
            blocks stay idle.

    Raises:
        ConfigError: pinned blocks that are unknown, missing or pinned twice.
    """
    if any(board.blocks for board in boards):
        return _pinned(blocks, boards)
    parts = partition(weights, min(len(boards), len(blocks)))
    named = zip(boards, parts, strict=False)
    return Placement({board.name: tuple(blocks[index] for index in part) for board, part in named})


def place_among(
    blocks: Sequence[str],
    weights: Sequence[float],
    boards: Sequence[BoardEntry],
    there: Collection[str],
    room: Room | None = None,
    costs: KnownCosts | None = None,
) -> Placement:
    """Place blocks on those of the boards that are there: as `place` does where all pinned blocks can stay, else anew.

    Boards that are not equal, and links that are known, are weighed by `best_placement`.

    Args:
        blocks: names in stream order.
        weights: cost of each, in any one unit.
        boards: all boards of the cluster, there or not; where `blocks` is set on some, these blocks are pinned.
        there: names of the boards that may be used.
        room: what memory they have: a placement that does not fit is replaced by one that does, if there is any; pinned blocks
            stay, unless their board was killed with them.
        costs: what is known of boards and links; None takes all boards as equal.

    Raises:
        ConfigError: something is not known that the objective of `costs` needs.
    """
    present = [board for board in boards if board.name in there]
    if sorted(block for board in present for block in board.blocks) != sorted(blocks):
        present = [replace(board, blocks=()) for board in present]
    placed = place(blocks, weights, present)
    pinned = any(board.blocks for board in present)
    if costs is not None and not pinned:
        model = costs.model(present)
        if not model.equal or costs.objective.name != THROUGHPUT:
            found = best_placement(model, present, room, objective=costs.objective, usual=placed.blocks)
            return placed if found is None else Placement(found.blocks)
    if room is None or not room.problem(placed.blocks, present) or (pinned and not room.starved):
        return placed
    fitting = place_in_room(blocks, weights, present, room)
    return placed if fitting is None else Placement(fitting)


def _pinned(blocks: Sequence[str], boards: Sequence[BoardEntry]) -> Placement:
    pinned = [block for board in boards for block in board.blocks]
    for block in pinned:
        if block not in blocks:
            raise ConfigError(f"a board is to host {block!r}, but the bundle has {', '.join(blocks)}")
        if pinned.count(block) > 1:
            raise ConfigError(f"{block!r} is to run on two boards; name it once")
    missing = [block for block in blocks if block not in pinned]
    if missing:
        raise ConfigError(f"no board is to host {missing[0]!r}; name every block at some board, or none at all")
    order = {block: index for index, block in enumerate(blocks)}
    return Placement({b.name: tuple(sorted(b.blocks, key=order.__getitem__)) for b in boards if b.blocks})


def step_period(manifest: Manifest, seconds: Sequence[float], placement: Placement) -> float:
    """Seconds from one training step to the next that no schedule beats, links taken as quick.

    A board computes all its blocks in every step. And where a block waits for what a later one sent `lag` steps before, it is
    at most `lag` steps ahead, while each step passes through all blocks between the two.

    Args:
        manifest: of the bundle.
        seconds: of one step of each block.
        placement: of its blocks.
    """
    order = {block.name: index for index, block in enumerate(manifest.blocks)}
    periods = [sum(seconds[order[block]] for block in blocks) for blocks in placement.blocks.values()]
    for edge in manifest.edges:
        if not is_chain(edge) and order[edge.source] >= order[edge.target]:
            periods.append(sum(seconds[order[edge.target] : order[edge.source] + 1]) / edge.lag)
    return max(periods)


def block_weights(bundle: Bundle) -> list[float]:
    """Cost of each block where nothing was measured: bytes its training step touches (activations and state)."""
    return [float(step_bytes(block)) for block in bundle.manifest.blocks]


def largest_token(bundle: Bundle) -> int:
    """Bytes of the largest message between blocks: while it travels, all boards may have nothing to do."""
    blocks = bundle.manifest.blocks
    chain = (chain_bytes(blocks[index:]) for index in range(len(blocks)))
    return max(*chain, *(sum(tensor.size_bytes for tensor in block.sent) for block in blocks))
