"""The training step of a block with BackLink's links; `edgebll.learning.rules.backlink.rule` says what they are for."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import received_name
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.modules.differentiation import ModuleCall
from edgebll.learning.modules.pure_module import PureCall, PureModule
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.objective import BlockPlace
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.rule import Rule, objective_of
from edgebll.learning.rules.backlink.tail import ENTRY, Tail, Tensors
from edgebll.learning.step import BlockStep
from edgebll.learning.step_tensors import ForwardPass

#: What a block sends on besides ENTRY: the tensors of its last units in one vector; what it sends back.
TAIL, GRADIENT = "tail", "grad"
PENDING = "pending."
PENDING_LR = "pending.lr"


class BackLinkStep(BlockStep):
    """A greedy block linked to the blocks before and after.

    State besides that of a greedy block, where a block follows: PENDING + name, the gradient of each parameter of the step
    before, and PENDING_LR, its learning rate; -1 before the first step.

    Args:
        rule: makes the objective.
        network: all blocks.
        index: which of them this is, from 0.
        length: how many of a block's last units the next block's error reaches.
        alpha: share of the block's own gradient in these units, in [0, 1].

    Raises:
        ConfigError: the precision has a loss scale, or a block does not suit, see `Tail`.
    """

    def __init__(
        self,
        rule: Rule,
        network: BlockNetwork,
        index: int,
        optimizer: Optimizer,
        batch_size: int,
        precision: Precision,
        *,
        length: int,
        alpha: float,
    ) -> None:
        if precision.scales_loss:
            raise ConfigError(f"backlink cannot skip steps as the precision {precision.name} does; use float32 or bfloat16")
        place = BlockPlace.of(network, index)
        self._alpha = alpha
        self._own = None if place.is_last else Tail(network, index, length)
        self._previous = Tail(network, index - 1, length) if index else None
        self._after = f"block{index + 1}"
        objective = objective_of(rule, place)
        super().__init__(network.blocks[index], objective, optimizer, place, network.inputs_of(index), batch_size, precision)
        tails = [tail for tail in (self._own, self._previous) if tail is not None]
        self.modules += tuple(module for tail in tails for module in (tail.front, tail.units, tail.again))

    def initial_state(self) -> dict[str, Tensor]:
        """A fresh copy of the state before the first step."""
        state = super().initial_state()
        if self._own is None:
            return state
        pending = {PENDING + name: torch.zeros_like(state[name]) for name in self.trained}
        return {**state, **pending, PENDING_LR: torch.tensor(-1.0)}

    @property
    def _parts(self) -> tuple[PureModule, ...]:
        """The block in one piece, or what comes before its last units and these."""
        return super()._parts if self._own is None else (self._own.front, self._own.units)

    def _prepare(self, state: Tensors, received: Tensors) -> Tensors:
        """The state after the update of the step before, if one is pending."""
        if self._own is None:
            return state
        gradients = {name: state[PENDING + name] for name in self.trained}
        after = self._own.unpacked(received[received_name(self._after, GRADIENT)])
        for name in self._own.again.trained:
            gradients[name] = self._alpha * gradients[name] + (1.0 - self._alpha) * after[name]
        new = super()._learn(state, gradients, state[PENDING_LR])
        is_pending = state[PENDING_LR] >= 0
        return {**state, **{name: torch.where(is_pending, value, state[name]) for name, value in new.items()}}

    def _run(
        self, parts: Sequence[ModuleCall], x: Tensor, state: Tensors, received: Tensors, opened: contextlib.ExitStack
    ) -> ForwardPass:
        """The block, linked to the last units of the one before; what its own last units begin with is kept."""
        copied = self._copied(received)
        again = None if self._previous is None else opened.enter_context(self._previous.again.on(copied, train=True))
        with self.precision.autocast(x.device):
            entry = self._linked(x, again, received)
            for part in parts[:-1]:
                entry = part(entry)
        a = self._output(parts[-1], entry)
        return ForwardPass(a, {name: value for name, value in copied.items() if value.requires_grad}, {ENTRY: entry})

    def _learn(self, state: Tensors, gradients: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """Gradients that wait for the next step; at the last block, which waits for none, what they make of the state."""
        if self._own is None:
            return super()._learn(state, gradients, lr)
        return {**{PENDING + name: value for name, value in gradients.items()}, PENDING_LR: lr.clone()}

    def _send(self, state: Tensors, ran: ForwardPass, taught: Tensors) -> dict[str, Tensor]:
        """The last units and what they begin with; to the block before, the gradients of its last units."""
        sent = {}
        if self._own is not None:
            entry = ran.kept[ENTRY]
            sent = {ENTRY: entry.float().detach() if entry.is_floating_point() else entry, TAIL: self._own.packed(state)}
        if self._previous is not None:
            sent[GRADIENT] = self._previous.packed(taught)
        return sent

    def _exchanged(self, x: Tensor) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Specs of what `_run` and `_prepare` read, and of what `_send` sends."""
        received, sent = [], []
        if self._own is not None:
            sent += [self._own.entry_spec(ENTRY, len(x)), _spec(TAIL, self._own.size)]
            received.append(_spec(received_name(self._after, GRADIENT), self._own.size))
        if self._previous is not None:
            sent.append(_spec(GRADIENT, self._previous.size))
            names = [received_name(self._previous.owner, name) for name in (ENTRY, TAIL)]
            received += [self._previous.entry_spec(names[0], len(x)), _spec(names[1], self._previous.size)]
        return tuple(received), tuple(sent)

    def _copied(self, received: Tensors) -> dict[str, Tensor]:
        """Tensors of the previous block's last units, those it trains as leaves."""
        if self._previous is None:
            return {}
        tensors = self._previous.unpacked(received[received_name(self._previous.owner, TAIL)].detach())
        trained = self._previous.again.trained
        return {name: value.requires_grad_() if name in trained else value for name, value in tensors.items()}

    def _linked(self, x: Tensor, units: PureCall | None, received: Tensors) -> Tensor:
        """x, with the gradient of the previous block's last units behind it."""
        if self._previous is None or units is None:
            return x
        again = units(received[received_name(self._previous.owner, ENTRY)]).float()
        linked: Tensor = x + (again - again.detach())
        return linked


def _spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, "float32", shape)
