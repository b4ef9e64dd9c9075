"""MAN and MAN++: a block sees a little of the next one, whose first layer it borrows at a low rate.

Su et al., "Momentum auxiliary network for supervised local learning" (ECCV 2024, arXiv 2407.05623), and "MAN++: scaling
momentum auxiliary network for supervised local learning in vision tasks" (TPAMI 2026, arXiv 2507.16279). Let f be the first
layer of the next block, e.g. a residual block, and theta' its parameters there. Behind its output a, a block but the last has
two layers like it, one that is trained (theta) and one whose parameters E are a moving average of theta', and DGL's classifier:

    MAN      L = CE(mlp(f(a; theta) + f(a; E)), y)                                         scaling=no
    MAN++    L = CE(mlp(s f(a; theta) + (2 - s) f(a; E)), y),     s trained, 1 at first
    E_t = m E_{t-1} + (1 - m) theta'_{t-lag},                     E = theta = theta' at first; no gradient goes into E

No gradient crosses a boundary, but parameters go back. All of them with every step would be more than the activations in deep
layers, so each step carries one of `period` equal parts of them, in turn, and an element of E is renewed every `period` steps:

    E = m^period E + (1 - m^period) theta'

which forgets as fast: with m = .995 half of it in 138 steps. A message has ceil(P / period) + 1 numbers of four bytes, for P
parameters of f. It comes `lag` steps late. With lag=1 and period=1 this is what the authors' program computes, in which E is
renewed by theta' of the same step after it was used; but then a block waits for the next one's step on the batch before, and
neighbours take turns. With lag=2 all work at the same time.

With match > 0, L_match of the rule bll with its default options is added, for which only labels travel:

    L + match / 8 mean_n |pool(a)_n - W y_n|^2,     W the moving average of class means, which no gradient changes

so borrowed layers and feedback can be told apart or joined; convolutions=0, hidden_layers=0, reduction=1 and cells=3 make the
classifier bll's. This is ours, not the papers'.

What differs from the authors' program: it draws theta and E anew at the start, here they are copies of the next block's; its
classifier is 128 wide and pools globally, here it is that of the rule dgl; it makes the stem a block of its own. As there, both
copies of f have running statistics of their own, and none travel. The form with InfoPro's losses is not built.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.tasks import Task
from edgebll.learning.folded import folded_shape
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.objective import BlockPlace, Objective, PredictiveObjective
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.rule import objective_of
from edgebll.learning.rules.bll.rule import BLL
from edgebll.learning.rules.dgl import DGL
from edgebll.learning.rules.man.first_layer import FirstLayer
from edgebll.learning.rules.man.matched_objective import MatchedObjective
from edgebll.learning.rules.man.momentum_network import MomentumAuxiliaryNetwork
from edgebll.learning.rules.man.step import LENT, MANStep
from edgebll.learning.step import BlockStep

#: Most steps of each option: numbers of rows travel as float32, and tokens wait in memory and in snapshots.
_MAX_PERIOD, _MAX_LAG = 1 << 20, 64


@dataclass(frozen=True)
class MAN(DGL):
    """Options of MAN++, besides the classifier's, which are those of DGL; with scaling=no of MAN.

    Attributes:
        momentum: m, the share of the moving average that stays in a step (.995 in the papers).
        period: training steps in which each parameter of the next block's first layer travels once (1 in the papers).
        lag: training steps by which they come late; with 1 neighbours take turns, with 2 all boards work at the same time.
        scaling: whether s is learnt, as in MAN++; otherwise it is 1, as in MAN.
        match: weight of BLL's L_match beside the classifier's loss; 0 is without, as in the papers.

    Examples:
        >>> from edgebll.learning import MAN
        >>> rule = MAN(period=8)
        >>> [(edge.source, edge.target, edge.lag) for edge in rule.edges(["block0", "block1"]) if edge.lag]
        [('block1', 'block0', 2)]
    """

    momentum: float = 0.995
    period: int = 16
    lag: int = 2
    scaling: bool = True
    match: float = 0.0

    name: ClassVar[str] = "man"
    summary: ClassVar[str] = (
        "MAN++: DGL behind a layer like the next block's first one, whose parameters come back at a low rate."
    )
    equation: ClassVar[str] = (
        "L = CE(mlp(s f(a; theta) + (2 - s) f(a; E)), y); E: moving average of the next block's first layer"
    )
    whole_sequences: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"man's momentum must be at least 0 and less than 1, not {self.momentum}")
        if not self.match >= 0:
            raise ConfigError(f"man's match must not be negative, but is {self.match}")
        for name, most in (("period", _MAX_PERIOD), ("lag", _MAX_LAG)):
            if not 1 <= getattr(self, name) <= most:
                raise ConfigError(f"man's {name} must be 1 to {most} steps, not {getattr(self, name)}")

    def check_task(self, task: Task) -> None:
        """Not of pixels: its classifier is built on whole maps."""
        if task.per_pixel:
            raise ConfigError(f"man does not serve {task.name}: its classifier pools whole maps; use bll, greedy or dgl")

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        """A step that borrows and lends; of a network in one block, one without."""
        if len(network.blocks) == 1:
            return super().make_step(network, index, optimizer, batch_size, precision)
        return MANStep(self, network, index, optimizer, batch_size, precision)

    def borrowing(self, place: BlockPlace, layer: FirstLayer) -> Objective:
        """The objective of a block that is not the last one.

        Args:
            place: of the block.
            layer: the first one of the next block.

        Raises:
            ConfigError: positions have labels, and the layer has nothing for each.
        """
        shape = layer.output_shape
        if place.positions and (len(shape) < 2 or shape[0] != place.positions):
            raise ConfigError(
                f"man needs features for each of {place.positions} positions, because each has a label, but the first layer of "
                f"{layer.owner} gives the shape {shape}; cut the network elsewhere, or use bll, greedy or dgl"
            )
        inside = folded_shape(shape[1:] if place.positions else shape)

        def head() -> nn.Module:
            classifier = self.auxiliary(inside, place.num_classes)
            return MomentumAuxiliaryNetwork(layer.layer, classifier, scaling=self.scaling, positions=place.positions)

        predictive = PredictiveObjective(head, self.label_smoothing, place)
        return (
            MatchedObjective(predictive, objective_of(BLL(match=self.match, predict=0.0), place)) if self.match else predictive
        )

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        """The chain; beside it each block's first layer, a part at a time, to the block before."""
        back = [EdgeSpec(following, block, (LENT,), self.lag) for block, following in itertools.pairwise(blocks)]
        return (*super().edges(blocks), *back)
