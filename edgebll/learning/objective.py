"""What a block's local loss is: its place in the network, its auxiliary network, its feedback head."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.networks import BlockNetwork, PlacedUnit

if TYPE_CHECKING:
    pass


Tensors = Mapping[str, Tensor]


#: A network on its current state: its inputs to what its forward returns.
Head = Callable[..., Any]


@dataclass(frozen=True)
class BlockPlace:
    """Where an objective stands: block `index` of `num_blocks`, its sample output shape and the number of classes C.

    Attributes:
        num_units: units of the network up to the block's end; 0 if the network does not know its units.
        later_units: those after it, in order.
        positions: T where each of T positions of a sequence has a label; 0 where a sample has one.
        shapes: of one sample of the network's input and of the output of each of its blocks.
    """

    index: int
    num_blocks: int
    output_shape: tuple[int, ...]
    num_classes: int
    num_units: int = 0
    later_units: tuple[PlacedUnit, ...] = ()
    positions: int = 0
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def is_last(self) -> bool:
        """Whether this is the block that ends in class scores."""
        return self.index == self.num_blocks - 1

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one sample's labels: (C,) or (T, C)."""
        return (self.positions, self.num_classes) if self.positions else (self.num_classes,)

    @classmethod
    def of(cls, network: BlockNetwork, index: int) -> BlockPlace:
        """The place of block `index` of a network."""
        units = network.placed_units
        later = tuple(unit for own in units[index + 1 :] for unit in own)
        num_units = sum(map(len, units[: index + 1]))
        positions = network.shapes[-1][0] if len(network.shapes[-1]) > 1 else 0
        shape = network.shapes[index + 1]
        shapes = tuple(network.shapes)
        return cls(index, len(network.blocks), shape, network.num_classes, num_units, later, positions, shapes)


class Objective:
    """A block's local loss. Every hook has a working default but `loss`.

    Attributes:
        metrics: names of what `loss` reports besides the total.
    """

    metrics: tuple[str, ...] = ()

    def head(self) -> nn.Module:
        """The auxiliary network behind the block, by default none (the identity).

        Its parameters are trained by the block's own optimiser and its buffers kept, all under the name "head."; the forward
        graph never holds it. Initial values may be drawn from PyTorch's generator, which is seeded in both of these hooks.
        """
        return nn.Identity()

    def feedback_state(self) -> dict[str, Tensor]:
        """Tensors of the feedback head; not reached by gradients, renewed by `renew_feedback`."""
        return {}

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Feedback tensors after this batch, from the (detached) block output a (B, ...) and labels y (B, C)."""
        return dict(feedback)

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """Target (B, F) that the feedback head makes of labels y (B, C); only if there is feedback state."""
        raise NotImplementedError

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        """What a training step gets from other blocks, each tensor named by `edgebll.kernel.spec.edge_check.received_name`."""
        return ()

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """The objective of one step, which knows what it received and the block's input x (B, ...).

        In each step renew_feedback, outgoing and loss are asked of this one.
        """
        return self

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """What the step sends other blocks besides a, from the renewed feedback tensors and the block's input x (B, ...)."""
        return {}

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss (0-d) and the terms named in `metrics`.

        Args:
            head: runs the auxiliary network on its current state.
            feedback: already renewed.
            a: the block's output (B, ...) in float32, whatever the block computes in.
            y: labels (B, C), one-hot.
        """
        raise NotImplementedError


def cross_entropy(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy -sum_c y'_c log softmax(logits)_c with y' = (1 - e) y + e / C; logits and y are (..., C)."""
    target = (1.0 - label_smoothing) * y + label_smoothing / y.shape[-1] if label_smoothing else y
    return -(target * F.log_softmax(logits, dim=-1)).sum() / math.prod(y.shape[:-1])


@dataclass(frozen=True)
class PredictiveObjective(Objective):
    """L = CE(head(a), y) with the auxiliary network that `make_head` builds."""

    make_head: Callable[[], nn.Module]
    label_smoothing: float = 0.0

    def head(self) -> nn.Module:
        """A new auxiliary network."""
        return self.make_head()

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the head's class scores."""
        return cross_entropy(head(a), y, self.label_smoothing), {}
