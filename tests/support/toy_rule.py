"""A rule whose blocks tell each other numbers forward without lag and backward with lags of 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from edgebll.kernel.spec.edge_check import EdgeSpec, received_name
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.objective import BlockPlace, Head, Objective, Tensors, cross_entropy
from edgebll.learning.rule import Rule

#: (source - target, lag) of the side streams.
STREAMS = ((-1, 0), (1, 1), (2, 2))


class Gossip(Objective):
    """Each sample's outputs are drawn to the mean of what other blocks tell of it."""

    def __init__(self, place: BlockPlace, told: Tensors | None = None) -> None:
        self.place = place
        self.told = told or {}

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        sources = [self.place.index + offset for offset, _ in STREAMS]
        known = [f"block{source}" for source in sources if 0 <= source < self.place.num_blocks]
        return tuple(TensorSpec(received_name(source, "note"), "float32", (batch_size,)) for source in known)

    def given(self, received: Tensors, x: Tensor) -> Objective:
        return Gossip(self.place, received)

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        return {"note": x.flatten(1).mean(1)}

    def head(self) -> nn.Module:
        return nn.Identity() if self.place.is_last else nn.Linear(self.place.output_shape[0], self.place.num_classes)

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss = cross_entropy(head(a), y)
        for number, note in enumerate(self.told.values()):
            loss = loss + (1 + number) * (a.mean(1) - note).square().mean()
        return loss, {}


@dataclass(frozen=True)
class Toy(Rule):
    """For networks whose blocks give vectors."""

    name: ClassVar[str] = "toy"
    summary: ClassVar[str] = "Blocks that tell each other numbers."
    equation: ClassVar[str] = "L = CE(head(a), y) + mean|mean(a) - note|^2"

    def objective(self, place: BlockPlace) -> Objective:
        return Gossip(place)

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        sides = [
            EdgeSpec(blocks[target + offset], blocks[target], ("note",), lag)
            for target in range(len(blocks))
            for offset, lag in STREAMS
            if 0 <= target + offset < len(blocks)
        ]
        return (*super().edges(blocks), *sides)
