"""What waits for a block on its side streams: a FIFO for each, which starts with as many tokens of zeros as its lag.

Trainer, sequential run and boards all read side streams through this one class, so all of them take the same token at the
same step, whatever the timing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from edgebll.kernel.errors import LinkError
from edgebll.kernel.spec.edge_check import EdgeSpec, received_name
from edgebll.kernel.spec.manifest import TensorSpec

Tensor = TypeVar("Tensor")
#: Target -> source -> tokens on that side stream, oldest first; a token is tensors by the source's names.
Waiting = Mapping[str, Mapping[str, Sequence[Mapping[str, Tensor]]]]


class Inlet(Generic[Tensor]):
    """The side streams into one block.

    Args:
        edges: side streams whose target is the block.
        received: its `BlockSpec.received`.
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


class Outlet(Generic[Tensor]):
    """The last tokens of each side stream out of one block, as many as its lag.

    When the block has done a number of steps and the whole network is to be saved as it is after them, these are the tokens
    that wait for their targets, wherever those are by now: so sources keep them, and no target has to wait for them.

    Args:
        edges: side streams whose source is the block.
        sent: its `BlockSpec.sent`.
        zeros: makes the tensor of an initial token.
        waiting: tokens on all streams at the start; by default zeros.
    """

    def __init__(
        self,
        edges: Iterable[EdgeSpec],
        sent: Sequence[TensorSpec],
        zeros: Callable[[TensorSpec], Tensor],
        waiting: Waiting[Tensor] | None = None,
    ) -> None:
        specs = {tensor.name: tensor for tensor in sent}
        self.edges = tuple(edges)
        self._last: dict[tuple[str, str], deque[Mapping[str, Tensor]]] = {}
        for edge in self.edges:
            initial = {name: zeros(specs[name]) for name in edge.tensors}
            given = [initial] * edge.lag if waiting is None else waiting.get(edge.target, {}).get(edge.source, ())
            self._last[edge.target, edge.source] = deque(given, maxlen=edge.lag)

    def send(self, sent: Mapping[str, Tensor]) -> list[tuple[EdgeSpec, dict[str, Tensor]]]:
        """What a training step sent, by edge; remembered so long as it may wait for its target."""
        tokens = [(edge, {name: sent[name] for name in edge.tensors}) for edge in self.edges]
        for edge, token in tokens:
            self._last[edge.target, edge.source].append(token)
        return tokens

    def waiting(self) -> Waiting[Tensor]:
        """The tokens that wait for their targets once all blocks have done as many steps as this one."""
        found: dict[str, dict[str, list[Mapping[str, Tensor]]]] = {}
        for (target, source), tokens in self._last.items():
            if tokens:
                found.setdefault(target, {})[source] = list(tokens)
        return found


def flatten(waiting: Waiting[Tensor]) -> dict[str, Tensor]:
    """Tensors of tokens by "target/source/number/tensor"."""
    return {
        f"{target}/{source}/{number}/{name}": value
        for target, sources in waiting.items()
        for source, tokens in sources.items()
        for number, token in enumerate(tokens)
        for name, value in token.items()
    }


def by_source(waiting: Waiting[Tensor]) -> dict[str, Waiting[Tensor]]:
    """The same tokens apart by the block that has sent them."""
    found: dict[str, dict[str, dict[str, Sequence[Mapping[str, Tensor]]]]] = {}
    for target, sources in waiting.items():
        for source, tokens in sources.items():
            found.setdefault(source, {}).setdefault(target, {})[source] = tokens
    return dict(found)


def nest(tensors: Mapping[str, Tensor]) -> Waiting[Tensor]:
    """Undo `flatten`.

    Raises:
        LinkError: a name is not one that `flatten` gives.
    """
    found: dict[str, dict[str, dict[int, dict[str, Tensor]]]] = {}
    for path, value in tensors.items():
        target, source, number, name = (*path.split("/", 3), "", "", "")[:4]
        if not (name and number.isdecimal() and len(number) < 10):
            raise LinkError(f"{path[:80]!r} is not the name of a token's tensor; start the run again")
        found.setdefault(target, {}).setdefault(source, {}).setdefault(int(number), {})[name] = value
    return {
        target: {source: [token for _, token in sorted(tokens.items())] for source, tokens in sources.items()}
        for target, sources in found.items()
    }


def check_waiting(waiting: Waiting[Tensor], edges: Iterable[EdgeSpec]) -> None:
    """Raise LinkError unless each of these side streams has as many tokens as its lag, with the tensors it carries."""
    for edge in edges:
        tokens = waiting.get(edge.target, {}).get(edge.source, ())
        if len(tokens) != edge.lag or any(token.keys() != set(edge.tensors) for token in tokens):
            raise LinkError(
                f"{len(tokens)} tokens wait on the side stream from {edge.source} to {edge.target}, expected were {edge.lag} "
                f"with {', '.join(edge.tensors)}; start the run again"
            )
