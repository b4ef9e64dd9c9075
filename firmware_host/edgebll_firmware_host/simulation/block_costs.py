"""What each block of a placement costs each kind of token, in whole nanoseconds: sums and maxima of these are exact.

So the two ways to compute a stream (`chain_stream` and `event_stream`) give the same timeline bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgebll.kernel.spec.edge_check import HOST, EdgeSpec, is_chain, received_name
from edgebll.kernel.spec.manifest import BlockSpec, Manifest
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll.kernel.spec.time_chunks import step_input
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.simulation.virtual_cluster import VirtualBoard, VirtualCluster, VirtualLink

Times = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
#: Bytes of a message without its tensors.
HEADER_BYTES = 200
#: Nanoseconds of what never happens.
NEVER = 1 << 61


def nanoseconds(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * 1e9)


@dataclass(frozen=True)
class BlockCosts:
    """All costs of one placement; arrays have an entry a block, in stream order, int64 nanoseconds.

    Attributes:
        manifest: of the bundle.
        boards: name of each block's board.
        cluster: boards and links.
    """

    manifest: Manifest
    boards: tuple[str, ...]
    cluster: VirtualCluster

    @classmethod
    def of(cls, manifest: Manifest, placement: Placement, cluster: VirtualCluster) -> BlockCosts:
        """The costs of a placement."""
        home = {block: board for board, blocks in placement.blocks.items() for block in blocks}
        return cls(manifest, tuple(home[block.name] for block in manifest.blocks), cluster)

    def _each(self, cost: Callable[[VirtualBoard, BlockSpec], float]) -> Times:
        pairs = zip(self.boards, self.manifest.blocks, strict=True)
        return np.array([nanoseconds(cost(self.cluster.board(board), block)) for board, block in pairs], np.int64)

    @cached_property
    def compute(self) -> dict[str, Times]:
        """Of the board's processor, by kind of token, before any spread."""
        copied = self._each(lambda board, block: block.state_bytes * (board.copy_s + board.byte_s))
        return {
            TRAIN: self._each(lambda board, block: board.train_s[block.name]),
            EVAL: self._each(lambda board, block: board.eval_s[block.name]),
            SNAPSHOT: copied,
            END: copied,
        }

    @cached_property
    def spread(self) -> Numbers:
        """Standard deviation of the logarithm of a step's time."""
        return np.array([self.cluster.board(board).spread for board in self.boards])

    @cached_property
    def crosses(self) -> npt.NDArray[np.bool_]:
        """Whether the token for a block comes from another machine."""
        before = (HOST, *self.boards[:-1])
        return np.array([here != there for here, there in zip(before, self.boards, strict=True)])

    @cached_property
    def token_bytes(self) -> dict[str, tuple[int, ...]]:
        """Bytes of the chain's token for each block, by kind."""
        sizes: dict[str, list[int]] = {TRAIN: [], EVAL: []}
        carried: dict[str, int] = {}
        for block in reversed(self.manifest.blocks):
            carried |= {tensor.name: tensor.size_bytes for tensor in side_inputs(block)}
            rest = HEADER_BYTES + block.labels.size_bytes + sum(carried.values())
            sizes[TRAIN].append(rest + step_input(block).size_bytes)
            sizes[EVAL].append(rest + block.input.size_bytes)
        bare = (HEADER_BYTES,) * len(self.boards)
        return {SNAPSHOT: bare, END: bare, **{kind: tuple(reversed(each)) for kind, each in sizes.items()}}

    @cached_property
    def receive(self) -> dict[str, Times]:
        """Of the processor that takes the token for a block from a link; 0 where it comes from the same board."""
        return {kind: self._handled(kind, 0) for kind in (TRAIN, EVAL, SNAPSHOT, END)}

    @cached_property
    def send(self) -> dict[str, Times]:
        """Of the processor that puts what follows a block on a link; 0 where it stays on the board, and for the last block."""
        return {kind: self._handled(kind, 1) for kind in (TRAIN, EVAL, SNAPSHOT, END)}

    def _handled(self, kind: str, shift: int) -> Times:
        sizes, result = self.token_bytes[kind], np.zeros(len(self.boards), np.int64)
        for index in range(shift, len(self.boards)):
            board = self.cluster.board(self.boards[index - shift])
            if self.crosses[index]:
                result[index - shift] = nanoseconds(board.message_s + sizes[index] * board.byte_s)
        return result

    @cached_property
    def report(self) -> Times:
        """Of the processor, for the message to the host after each token."""
        return self._each(lambda board, _block: board.report_s)

    @cached_property
    def links(self) -> tuple[VirtualLink, ...]:
        """The link that the token for each block comes on, and, last, the one on which the host hears the last block."""
        ends = zip((HOST, *self.boards), (*self.boards, HOST), strict=True)
        return tuple(self.cluster.between(*pair) for pair in ends)

    @cached_property
    def wire(self) -> dict[str, Times]:
        """How long the token for each block keeps its link busy; 0 on the same board."""
        return {kind: self._wire(kind) for kind in (TRAIN, EVAL, SNAPSHOT, END)}

    def _wire(self, kind: str) -> Times:
        sizes = self.token_bytes[kind]
        triples = zip(self.links, sizes, self.crosses, strict=False)
        return np.array([nanoseconds(link.wire_s(size)) if far else 0 for link, size, far in triples], np.int64)

    @cached_property
    def latency(self) -> Times:
        """Of the link to each block, and of the last one's to the host."""
        crosses = [*self.crosses, True]
        pairs = zip(self.links, crosses, strict=True)
        return np.array([nanoseconds(link.latency_s) if far else 0 for link, far in pairs], np.int64)

    def host_link(self, index: int) -> VirtualLink:
        """On which the host hears of a block, by its index."""
        return self.cluster.between(self.boards[index], HOST)

    @cached_property
    def state_wire(self) -> tuple[int, ...]:
        """How long each block's state keeps its board's way out busy."""
        return tuple(nanoseconds(self.host_link(i).wire_s(b.state_bytes)) for i, b in enumerate(self.manifest.blocks))

    @cached_property
    def state_latency(self) -> tuple[int, ...]:
        """Of each block's link to the host."""
        return tuple(nanoseconds(self.host_link(index).latency_s) for index in range(len(self.boards)))

    @cached_property
    def sides(self) -> tuple[EdgeSpec, ...]:
        """The side streams."""
        return tuple(edge for edge in self.manifest.edges if not is_chain(edge))

    def side_bytes(self, edge: EdgeSpec) -> int:
        """Bytes of a side stream's token."""
        names = {received_name(edge.source, name) for name in edge.tensors}
        return HEADER_BYTES + sum(t.size_bytes for t in self.manifest.block(edge.target).received if t.name in names)

    def ends(self, edge: EdgeSpec) -> tuple[str, str]:
        """The boards between which a side stream runs."""
        names = [block.name for block in self.manifest.blocks]
        return self.boards[names.index(edge.source)], self.boards[names.index(edge.target)]

    @property
    def straight(self) -> bool:
        """Whether the order in which boards compute is fixed: neighbouring blocks on each board, and no side streams."""
        starts = [board for board, before in zip(self.boards, (None, *self.boards[:-1]), strict=True) if board != before]
        return not self.sides and len(set(starts)) == len(starts)
