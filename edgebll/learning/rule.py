"""What a learning rule is: for each block an objective, and the edges its streams run along.

A new rule is one file under edgebll/learning/rules: subclass `Rule` (a frozen dataclass of its options), return an `Objective`
for each block, and enter the class in `edgebll.learning.rules.RULES`. Trainer, export and boards need no change: they only see
the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.networks import BlockNetwork, PlacedUnit

if TYPE_CHECKING:
    from edgebll.learning.optimizers.optimizer import Optimizer
    from edgebll.learning.precision import Precision
    from edgebll.learning.step import BlockStep

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
            head: runs the auxiliary network on its current state. feedback: already renewed.
            a: the block's output (B, ...) in float32, whatever the block computes in. y: labels (B, C), one-hot.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Rule:
    """Base of all rules; a subclass's fields are its options.

    Attributes:
        label_smoothing: e of the smoothed target (1 - e) y + e / C of every cross-entropy.
        name: as in RULES. summary: one line. equation: the loss of a block but the last, with a its output and y the labels.
        one_block: whether the error crosses the whole network, which then cannot be cut.
        whole_sequences: whether objectives take sequences whole; otherwise each position is a sample to them.

    Raises:
        ConfigError: an option is out of range.
    """

    label_smoothing: float = field(default=0.0, kw_only=True)

    name: ClassVar[str]
    summary: ClassVar[str]
    equation: ClassVar[str]
    one_block: ClassVar[bool] = False
    whole_sequences: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"the label smoothing must lie in [0, 1), but is {self.label_smoothing}")

    def options(self) -> dict[str, Any]:
        """All options by name."""
        return asdict(self)

    def check(self, num_blocks: int) -> None:
        """Raise ConfigError if the rule cannot train a network of so many blocks."""
        if self.one_block and num_blocks != 1:
            raise ConfigError(f"{self.name} trains one block, not {num_blocks}; use --blocks 1 or a local rule such as bll")

    def prepare(self, block: nn.Module, place: BlockPlace) -> nn.Module:
        """The module that is trained as the block: by default the block itself, which must not be changed.

        It has the block's tensors under the same names and may have others, drawn from PyTorch's generator, which is seeded;
        in evaluation mode it computes what the block does.
        """
        return block

    def objective(self, place: BlockPlace) -> Objective:
        """The objective of one block: at the last one the cross-entropy of its own class scores."""
        if place.is_last:
            return PredictiveObjective(nn.Identity, self.label_smoothing)
        return self.local_objective(place)

    def local_objective(self, place: BlockPlace) -> Objective:
        """The objective of a block that is not the last one."""
        raise NotImplementedError

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        """The training step of block `index`; a rule that needs more than an objective returns a subclass of BlockStep."""
        from edgebll.learning.step import block_step  # which knows rules

        return block_step(self, network, index, optimizer, batch_size, precision)

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        """All streams: by default the chain alone, activations and labels from the host through all blocks.

        A rule whose blocks send each other more adds side streams: see `edgebll.kernel.spec.edge_check.EdgeSpec`.
        """
        ends = [HOST, *blocks]
        names = [("x", "y"), *[("a", "y")] * (len(blocks) - 1)]
        return tuple(EdgeSpec(s, t, n) for s, t, n in zip(ends, blocks, names, strict=False))


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
