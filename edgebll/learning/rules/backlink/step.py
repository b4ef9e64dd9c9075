"""The training step of a block with BackLink's links; `edgebll.learning.rules.backlink.rule` says what they are for."""

from __future__ import annotations

import contextlib
import copy
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import received_name
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.learning.modules.pure_module import PureCall, PureModule, seeded
from edgebll.learning.modules.user_code import in_block
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.objective import BlockPlace
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.rule import Rule, objective_of
from edgebll.learning.step import NET, BlockStep, Stepped, tensor_spec

#: What a block sends on: the activation before its last units, and their tensors in one vector; what it sends back.
ENTRY, TAIL, GRADIENT = "entry", "tail", "grad"
PENDING = "pending."
PENDING_LR = "pending.lr"
Tensors = Mapping[str, Tensor]


class Tail:
    """The last units of a block as their owner sends them and the next block computes them again.

    Args:
        network: whose units are the parts of its nn.Sequential blocks; any other block counts as one unit.
        index: the block.
        length: how many units, at most all of the block.

    Attributes:
        owner: the block's name.
        front: the units before, and the last ones, as functions of the block's state tensors.
        units: the units before, and the last ones, as functions of the block's state tensors.
        again: the last ones as the next block computes them, without running statistics, which are the owner's alone.
        names: of the state tensors that are sent: all of `again`.

    Raises:
        ConfigError: the last units have nothing to learn, or not in float32.
    """

    def __init__(self, network: BlockNetwork, index: int, length: int) -> None:
        block = network.blocks[index]
        self.owner = f"block{index}"
        # By _modules: a layer that stands twice in a block is one child.
        children = list(block._modules.items()) if isinstance(block, nn.Sequential) else []
        start = max(0, len(children) - length)
        last = nn.Sequential(OrderedDict(children[start:])) if children else block
        with seeded(index):
            self.front = PureModule(nn.Sequential(OrderedDict(children[:start])), NET)
            self.units, self.again = PureModule(last, NET), PureModule(_without_statistics(last), NET)
        _check_apart(self.owner, self.front, self.units)
        with torch.no_grad(), self.front.on(self.front.initial, train=False) as front:
            entry = front(network.inputs_of(index).first(2))
        self._entry = tensor_spec(ENTRY, entry)
        self.names = list(self.again.initial)
        self._shapes = [value.shape for value in self.again.initial.values()]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        if not self.again.trained or any(value.dtype != torch.float32 for value in self.again.initial.values()):
            raise ConfigError(f"backlink needs something to learn in float32 in the last {length} units of {self.owner}")

    def entry_spec(self, name: str, batch_size: int) -> TensorSpec:
        """What the last units begin with; where that is the network's own input, of its dtype."""
        return replace(self._entry, name=name, shape=(batch_size, *self._entry.shape[1:]))

    @property
    def size(self) -> int:
        """Elements of the vector that is sent."""
        return sum(self._sizes)

    def packed(self, tensors: Tensors) -> Tensor:
        """The tensors `names`, of which there must be one at least, as one vector; zeros for those that are missing."""
        like = next(tensors[name] for name in self.names if name in tensors)
        pairs = zip(self.names, self._shapes, strict=True)
        return torch.cat([(tensors[n] if n in tensors else like.new_zeros(shape)).flatten() for n, shape in pairs])

    def unpacked(self, vector: Tensor) -> dict[str, Tensor]:
        """The tensors of a vector, by name."""
        parts = zip(self.names, self._shapes, torch.split(vector, self._sizes), strict=True)
        return {name: part.reshape(shape) for name, shape, part in parts}


def _check_apart(owner: str, front: PureModule, units: PureModule) -> None:
    shared = {id(value) for value in front.own.values()} & {id(value) for value in units.own.values()}
    if shared:
        name = next(name for name, value in units.own.items() if id(value) in shared)
        raise ConfigError(
            f"backlink sends the last units of {owner} to the next block, but {name.removeprefix(NET)!r} there is shared with "
            "the units before; choose another length"
        )


def _without_statistics(module: nn.Module) -> nn.Module:
    """A copy whose batch norms keep no running statistics."""
    module = copy.deepcopy(module)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            child.track_running_stats = False
            child.running_mean = child.running_var = child.num_batches_tracked = None
    return module


class BackLinkStep(BlockStep):
    """A greedy block linked to the blocks before and after.

    State besides that of a greedy block, where a block follows: PENDING + name, the gradient of each parameter of the step
    before, and PENDING_LR, its learning rate; -1 before the first step.

    Args:
        rule: makes the objective.
        network: the block.
        index: the block.
        length: options of the rule.
        alpha: options of the rule.

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

    def initial_state(self) -> dict[str, Tensor]:
        """A fresh copy of the state before the first step."""
        state = super().initial_state()
        if self._own is None:
            return state
        pending = {PENDING + name: torch.zeros_like(state[name]) for name in self._trained}
        return {**state, **pending, PENDING_LR: torch.tensor(-1.0)}

    def __call__(
        self,
        state: Tensors,
        x: Tensor,
        y: Tensor,
        scalars: Tensors,
        received: Tensors | None = None,
    ) -> Stepped:
        """One step: the update of the step before, then this one's gradients; see BlockStep."""
        came = received or {}
        with torch.no_grad():
            now = self._updated(state, came)
        taker = self.differentiation
        own = taker.leaves((self._net, self._head), self._trained, now)
        copied = self._copied(came)
        taught = {name: value for name, value in copied.items() if value.requires_grad}
        with torch.enable_grad(), in_block(self.name), contextlib.ExitStack() as stack:
            head = stack.enter_context(taker.on(self._head, {**now, **own}))
            parts = [stack.enter_context(taker.on(part, {**now, **own})) for part in self._parts]
            again = None if self._previous is None else stack.enter_context(self._previous.again.on(copied, train=True))
            with self.precision.autocast(x.device):
                entry = self._linked(x, again, came)
                for part in parts[:-1]:
                    entry = part(entry)
            a = self._output(parts[-1], entry)
            loss, terms = self.objective.loss(head, {}, a, y)
            gradients = taker.gradients(loss, [*own.values(), *taught.values()])
        with torch.no_grad():
            named = {name: self._used(name, g) for name, g in zip(own, gradients, strict=False)}
            back = {name: self._used(name, g) for name, g in zip(taught, gradients[len(own) :], strict=True)}
            buffers = {name: value for call in (*parts, head) for name, value in call.buffers.items()}
            new = {**now, **buffers, **self._learnt(now, named, scalars["lr"])}
            metrics = torch.stack([loss.detach(), *(terms[name].detach() for name in self.objective.metrics)])
            return Stepped(new, a.detach(), metrics, self._sent(now, entry, back))

    def _updated(self, state: Tensors, came: Tensors) -> dict[str, Tensor]:
        """The state after the update of the step before, if one is pending."""
        if self._own is None:
            return dict(state)
        gradients = {name: state[PENDING + name] for name in self._trained}
        after = self._own.unpacked(came[received_name(self._after, GRADIENT)])
        for name in self._own.again.trained:
            gradients[name] = self._alpha * gradients[name] + (1.0 - self._alpha) * after[name]
        new = self.optimizer.update({name: state[name] for name in self._trained}, gradients, state, state[PENDING_LR])
        is_pending = state[PENDING_LR] >= 0
        return {**state, **{name: torch.where(is_pending, value, state[name]) for name, value in new.items()}}

    def _learnt(self, now: Tensors, gradients: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """Gradients that wait for the next step; at the last block, which waits for none, what they make of the state."""
        if self._own is None:
            return self.optimizer.update({name: now[name] for name in self._trained}, gradients, now, lr)
        return {**{PENDING + name: value for name, value in gradients.items()}, PENDING_LR: lr.clone()}

    def _copied(self, came: Tensors) -> dict[str, Tensor]:
        """Tensors of the previous block's last units, those it trains as leaves."""
        if self._previous is None:
            return {}
        tensors = self._previous.unpacked(came[received_name(self._previous.owner, TAIL)].detach())
        trained = self._previous.again.trained
        return {name: value.requires_grad_() if name in trained else value for name, value in tensors.items()}

    def _linked(self, x: Tensor, units: PureCall | None, came: Tensors) -> Tensor:
        """x, with the gradient of the previous block's last units behind it."""
        if self._previous is None or units is None:
            return x
        again = units(came[received_name(self._previous.owner, ENTRY)]).float()
        linked: Tensor = x + (again - again.detach())
        return linked

    @property
    def _parts(self) -> tuple[PureModule, ...]:
        """The block in one piece, or what comes before its last units and these."""
        return (self._net,) if self._own is None else (self._own.front, self._own.units)

    def _sent(self, now: Tensors, entry: Tensor, gradients: Tensors) -> dict[str, Tensor]:
        sent = {}
        if self._own is not None:
            sent = {ENTRY: entry.float().detach() if entry.is_floating_point() else entry, TAIL: self._own.packed(now)}
        if self._previous is not None:
            sent[GRADIENT] = self._previous.packed(gradients)
        return sent

    def _signature(self, place: BlockPlace, inputs: Inputs, batch_size: int) -> BlockSpec:
        received, sent = [], []
        if self._own is not None:
            sent += [self._own.entry_spec(ENTRY, batch_size), _spec(TAIL, self._own.size)]
            received.append(_spec(received_name(self._after, GRADIENT), self._own.size))
        if self._previous is not None:
            sent.append(_spec(GRADIENT, self._previous.size))
            names = [received_name(self._previous.owner, name) for name in (ENTRY, TAIL)]
            received += [self._previous.entry_spec(names[0], batch_size), _spec(names[1], self._previous.size)]
        return replace(super()._signature(place, inputs, batch_size), received=tuple(received), sent=tuple(sent))


def _spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, "float32", shape)
