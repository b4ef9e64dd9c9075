"""What waits for a block on its side streams: a FIFO for each, which starts with as many tokens of zeros as its lag.

Trainer, sequential run and boards all read side streams through this one class, so all of them take the same token at the
same step, whatever the timing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from edgebll.edges import EdgeSpec, received_name
from edgebll.errors import LinkError
from edgebll.spec import TensorSpec

Tensor = TypeVar("Tensor")


class Inlet(Generic[Tensor]):
    """The side streams into one block.

    Args:
        edges: side streams whose target is the block. received: its `BlockSpec.received`.
        zeros: makes the tensor of an initial token.
        start: training step the run starts from; tokens of earlier steps are given as `waiting`.
        waiting: source -> tokens already on the stream, oldest first, as `waiting()` returned them; by default zeros.
    """

    def __init__(
        self,
        edges: Iterable[EdgeSpec],
        received: Sequence[TensorSpec],
        zeros: Callable[[TensorSpec], Tensor],
        start: int = 0,
        waiting: Mapping[str, Sequence[Mapping[str, Tensor]]] | None = None,
    ) -> None:
        specs = {tensor.name: tensor for tensor in received}
        self._edges = {edge.source: edge for edge in edges}
        self._next = dict.fromkeys(self._edges, start)
        self._queues: dict[str, deque[Mapping[str, Tensor]]] = {}
        for source, edge in self._edges.items():
            initial = {name: zeros(specs[received_name(source, name)]) for name in edge.tensors}
            given = None if waiting is None else waiting.get(source)
            self._queues[source] = deque([initial] * edge.lag if given is None else given)

    def put(self, source: str, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Queue what a source sent in a training step, under the source's own names.

        Raises:
            LinkError: there is no such stream, or a step is missing or comes twice.
        """
        if source not in self._edges or step != self._next[source]:
            expected = (
                f"training step {self._next[source]}"
                if source in self._edges
                else f"only {', '.join(self._edges) or 'nothing'}"
            )
            raise LinkError(
                f"a side stream brought training step {step} of {source}; expected was {expected}; start the run again"
            )
        self._next[source] += 1
        self._queues[source].append(tensors)

    @property
    def ready(self) -> bool:
        """Whether every side stream has a token for the block's next training step."""
        return all(self._queues.values())

    def caught_up(self, step: int) -> bool:
        """Whether all tokens of the training steps before `step` have come."""
        return all(expected >= step for expected in self._next.values())

    def take(self) -> dict[str, Tensor]:
        """What the block's next training step receives, by received name; only when `ready`."""
        return {
            received_name(source, name): tensor
            for source, queue in self._queues.items()
            for name, tensor in queue.popleft().items()
        }

    def waiting(self) -> dict[str, list[Mapping[str, Tensor]]]:
        """Tokens on the streams, oldest first, for a checkpoint: between steps of the whole network as many as the lag."""
        return {source: list(queue) for source, queue in self._queues.items()}
