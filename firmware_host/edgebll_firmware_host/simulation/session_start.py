"""How long an incarnation takes to begin in virtual time: greeting, files, loading; what boards have already counts."""

from __future__ import annotations

from typing import NamedTuple

from edgebll.kernel.spec.edge_check import HOST
from edgebll.kernel.spec.manifest import Manifest
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.recovery_policy import GRACE_S
from edgebll_firmware_host.simulation.block_costs import nanoseconds
from edgebll_firmware_host.simulation.virtual_cluster import VirtualCluster


class Started(NamedTuple):
    """How long it took until all blocks were ready, and the bytes of files that were sent for it."""

    took_ns: int
    shipped_bytes: int


class SessionStart:
    """Knows which block was where last.

    Args:
        manifest: of the bundle.
        costs: how long things take.
    """

    def __init__(self, manifest: Manifest, costs: VirtualCluster) -> None:
        self._manifest, self._costs = manifest, costs
        self._home: dict[str, str] = {}
        self._sizes = {
            block.name: block.state_bytes
            + sum(entry.size_bytes for path, entry in manifest.files.items() if path.startswith(f"{block.name}/"))
            for block in manifest.blocks
        }

    def lost(self, board: str) -> None:
        """A board was given up: if it comes back it has to load its blocks anew."""
        self._home = {block: home for block, home in self._home.items() if home != board}

    def begin(self, placement: Placement, *, waits: bool) -> Started:
        """Begin an incarnation.

        Args:
            placement: of the blocks.
            waits: whether a board that does not answer is waited for.
        """
        moved = {
            board: [block for block in blocks if self._home.get(block) != board] for board, blocks in placement.blocks.items()
        }
        self._home = {block: board for board, blocks in placement.blocks.items() for block in blocks}
        sizes = {board: sum(self._sizes[block] for block in blocks) for board, blocks in moved.items()}
        sent_s = sum(self._costs.between(HOST, board).wire_s(size) for board, size in sizes.items() if size)
        load_s = max(len(blocks) * self._costs.board(board).load_s for board, blocks in moved.items())
        latency_s = max(self._costs.between(HOST, board).latency_s for board in placement.blocks)
        greet_s = self._costs.host.greet_s + 2 * latency_s + (GRACE_S if waits else 0.0)
        return Started(nanoseconds(greet_s + sent_s + load_s), sum(sizes.values()))
