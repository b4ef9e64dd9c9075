"""The training step of a block that borrows the next block's first layer and lends its own; see `..man.rule`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgebll.kernel.spec.edge_check import received_name
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.objective import BlockPlace
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.rules.man.first_layer import FirstLayer, Tensors, check_trains
from edgebll.learning.rules.man.momentum_network import AVERAGE
from edgebll.learning.step import HEAD, NET, BlockStep
from edgebll.learning.step_tensors import ForwardPass

if TYPE_CHECKING:
    from edgebll.learning.rules.man.rule import MAN

#: What a block sends back.
LENT = "lent"
#: The row of its first layer's parameters that a block lends next, 0-d float.
ROW = "lent.row"


class MANStep(BlockStep):
    """A block with MAN's auxiliary network, linked to the blocks before and after.

    State besides that of a greedy block: HEAD + AVERAGE + name, the moving average of the next block's first layer, and ROW,
    where a block precedes.

    Args:
        rule: its options.
        network: all blocks.
        index: which of them this is, from 0.
        optimizer: the update.
        batch_size: samples of every batch.
        precision: number formats of the block's forward and backward pass.

    Raises:
        ConfigError: a block is frozen, or has no first layer, see `FirstLayer`.
    """

    def __init__(
        self, rule: MAN, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> None:
        place = BlockPlace.of(network, index)
        check_trains(network.blocks[index], f"block{index}")
        self._period, self._momentum = rule.period, rule.momentum**rule.period
        self._own = FirstLayer(network, index, rule.period) if index else None
        self._next = None if place.is_last else FirstLayer(network, index + 1, rule.period)
        objective = rule.objective(place) if self._next is None else rule.borrowing(place, self._next)
        super().__init__(network.blocks[index], objective, optimizer, place, network.inputs_of(index), batch_size, precision)

    def initial_state(self) -> dict[str, Tensor]:
        """A fresh copy of the state before the first step."""
        state = super().initial_state()
        return state if self._own is None else {**state, ROW: torch.zeros(())}

    def _prepare(self, state: Tensors, received: Tensors) -> Tensors:
        """The state with the moving average renewed by what came."""
        if self._next is None:
            return state
        prefix, message = HEAD + AVERAGE, received[received_name(self._next.owner, LENT)]
        average = {name: state[prefix + name] for name in self._next.names}
        renewed = self._next.averaged(average, message, self._momentum)
        return {**state, **{prefix + name: value for name, value in renewed.items()}}

    def _learn(self, state: Tensors, gradients: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """What the optimiser makes of the state, and the row that is lent next."""
        new = super()._learn(state, gradients, lr)
        if self._own is None:
            return new
        following = state[ROW] + 1.0
        return {**new, ROW: torch.where(following < self._period, following, torch.zeros_like(following))}

    def _send(self, state: Tensors, ran: ForwardPass, taught: Tensors) -> dict[str, Tensor]:
        """To the block before, a row of the first layer's parameters as the step found them."""
        if self._own is None:
            return {}
        return {LENT: self._own.message({name: state[NET + name] for name in self._own.names}, state[ROW])}

    def _exchanged(self, x: Tensor) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Specs of the messages."""
        came = [] if self._next is None else [(received_name(self._next.owner, LENT), self._next)]
        sent = [] if self._own is None else [(LENT, self._own)]
        received, lent = (
            tuple(TensorSpec(name, "float32", (layer.message_size,)) for name, layer in side) for side in (came, sent)
        )
        return received, lent
