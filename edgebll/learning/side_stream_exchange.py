"""The side streams between the blocks of one process: what the trainer, golden vectors and verification run steps through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from edgebll.kernel.spec.edge_check import EdgeSpec, check_edges, is_chain
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.state.side_stream_queues import Inlet
from edgebll.learning.step_tensors import zeros

#: Target -> source -> tokens that wait for it, oldest first.
Waiting = Mapping[str, Mapping[str, Sequence[Mapping[str, Tensor]]]]


class SideStreams:
    """Every block's inlet. Each training step of a block takes what it receives, and puts what it sent to all targets.

    Args:
        blocks: of the whole network, in order.
        edges: all streams.
        start: training steps already done.
        waiting: what `waiting` returned after them, on the blocks' device.
        place: puts a tensor where those of the blocks are.

    Raises:
        BundleError: the edges cannot run, see `edgebll.kernel.spec.edge_check.check_edges`.
    """

    def __init__(
        self,
        blocks: Sequence[BlockSpec],
        edges: Sequence[EdgeSpec],
        start: int = 0,
        waiting: Waiting | None = None,
        place: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        check_edges(edges, blocks)
        self._edges = [edge for edge in edges if not is_chain(edge)]
        self._done = {block.name: start for block in blocks}
        self._inlets: dict[str, Inlet[Tensor]] = {}

        def first(spec: TensorSpec) -> Tensor:
            return place(zeros([spec])[spec.name])

        for block in blocks:
            into = [edge for edge in self._edges if edge.target == block.name]
            given = None if waiting is None else waiting.get(block.name, {})
            self._inlets[block.name] = Inlet(into, block.received, first, start, given)

    def take(self, block: str) -> dict[str, Tensor]:
        """What the block's next training step receives."""
        return self._inlets[block].take()

    def put(self, block: str, sent: Mapping[str, Tensor]) -> None:
        """Hand what the block's training step sent to those it is for."""
        for edge in self._edges:
            if edge.source == block:
                self._inlets[edge.target].put(block, self._done[block], {name: sent[name] for name in edge.tensors})
        self._done[block] += 1

    def waiting(self) -> Waiting:
        """Tokens that wait for blocks, between steps of the whole network; only of blocks that side streams run to."""
        waiting = {block: inlet.waiting() for block, inlet in self._inlets.items()}
        return {block: tokens for block, tokens in waiting.items() if tokens}
