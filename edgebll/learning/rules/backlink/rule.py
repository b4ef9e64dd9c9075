"""BackLink: the error of the next block reaches a few units back over the boundary.

Guo, Fouda, Eltawil and Salama, "BackLink: supervised local training with backward links" (2022). Every block minimises the
cross-entropy of a classifier of its own, as in greedy learning (GLL). The next block's error passes the boundary too, into the
last l units of the block before, and no further. Those units learn from both (eqs. 4-7):

    g = alpha g_local + (1 - alpha) g_next        of each parameter of a block's last l units
    g = g_local                                   of all others, and of the classifier

The paper's eq. 7, read to the letter, would mix anew at every unit; its text (two unfolded branches that share parameters)
means one mix of two gradients, which is what is done here.

How it runs on boards: a block sends the next one the activation at the entry of its last l units, and their parameters; the
next block computes these units again and differentiates its own loss through itself and them, and sends the gradient back. The
gradient of step t comes when the block has ended step t. So a block keeps the gradients of step t in its state ("pending.") and
applies them, mixed, at the start of step t + 1, at the learning rate of step t. Trajectories are those of a single process; but
the last step's update is applied by the next step, so evaluations, and the state after a run, are without it.

With lag 0 (the paper's), step t + 1 of a block waits for the next block's step t. With lag 1 nobody waits: g_next is the
gradient of the step before, zero at first.

Parameters travel instead of the paper's gradients, which are as many: so both copies are equal by construction, and optimiser,
clipping and running statistics are the owner's business alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.rules.backlink.step import GRADIENT, TAIL, BackLinkStep
from edgebll.learning.rules.backlink.tail import ENTRY
from edgebll.learning.rules.greedy import Greedy
from edgebll.learning.step import BlockStep


@dataclass(frozen=True)
class BackLink(Greedy):
    """Options of BackLink, besides the classifier's, which are those of greedy learning.

    Attributes:
        length: l, units that the next block's error reaches into; at most all of a block. 0 is greedy learning.
        alpha: share of a block's own gradient in these units.
        lag: 0 or 1, see the module.

    Examples:
        >>> from edgebll.learning import BackLink
        >>> [edge.tensors for edge in BackLink(length=2).edges(["block0", "block1"]) if edge.target == "block0"]
        [('x', 'y'), ('grad',)]
    """

    length: int = 1
    alpha: float = 0.5
    lag: int = 0

    name: ClassVar[str] = "backlink"
    summary: ClassVar[str] = "BackLink: the next block's error reaches into a block's last units."
    equation: ClassVar[str] = "L = CE(head(a), y); last units: alpha dL + (1 - alpha) dL of the next block"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 0 or not 0 <= self.alpha <= 1 or self.lag not in (0, 1):
            raise ConfigError("backlink's length must be at least 0, alpha in [0, 1] and lag 0 or 1")

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        """A step with links to the blocks before and after; without links that of greedy learning."""
        if not self.length or len(network.blocks) == 1:
            return super().make_step(network, index, optimizer, batch_size, precision)
        if network.inputs.side:
            raise ConfigError(
                "backlink lets a block run the last units of the one before, for networks that read x alone, but this one "
                f"reads {', '.join(network.inputs.side)} too; use another rule, e.g. bll, greedy or dgl"
            )
        return BackLinkStep(self, network, index, optimizer, batch_size, precision, length=self.length, alpha=self.alpha)

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        """The chain; beside it last units forward, and their gradients backward."""
        sides = []
        for block, following in itertools.pairwise(blocks) if self.length else ():
            sides += [EdgeSpec(block, following, (ENTRY, TAIL)), EdgeSpec(following, block, (GRADIENT,), 1 + self.lag)]
        return (*super().edges(blocks), *sides)
