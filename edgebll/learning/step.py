"""The training step of one block: the one definition that the trainer runs, export traces and boards execute.

    step(state, x, y, scalars, received) -> (state', a, metrics, sent)

Pure: forward pass, feedback target, local loss, gradient inside the block, optimiser update and running statistics, all from
its arguments alone. State is a flat dict of tensors; the prefix says what a tensor is:

    net.       parameters and buffers of the block's module (running statistics are buffers)
    head.      the same of the objective's auxiliary network
    feedback.  the feedback head
    momentum., moment1., moment2.  the optimiser's    scale.     the loss scale of mixed precision
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.learning.modules.differentiation import Differentiation, ModuleCall
from edgebll.learning.modules.pure_module import PureModule, seeded
from edgebll.learning.modules.user_code import in_block
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.objective import BlockPlace, Objective
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision

NET, HEAD = "net.", "head."
_DTYPES = {
    torch.float32: "float32",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.bool: "bool",
    torch.uint8: "uint8",
}


class Stepped(NamedTuple):
    """What one training step gives.

    Attributes:
        state: the new state.
        a: the block's output, before the update and detached.
        metrics: vector, as in the signature.
        sent: what goes to other blocks besides a, by the sender's name.
    """

    state: dict[str, Tensor]
    a: Tensor
    metrics: Tensor
    sent: dict[str, Tensor]


class BlockStep:
    """The pure training step of one block, with its initial state and its signature.

    Args:
        module: the block; its current weights are the initial state. It is never changed.
        objective: the local loss.
        optimizer: the update.
        place: where the block stands.
        inputs: what it takes.
        batch_size: samples of every batch.
        precision: number formats of the module's forward and backward pass.

    Attributes:
        spec: the signature.
        name: "block" and its index.
        differentiation: how modules run and gradients are taken; `verify` puts the modules' own autograd in its place.

    Raises:
        ConfigError: the module cannot be trained as a function of its tensors, see PureModule.
    """

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        optimizer: Optimizer,
        place: BlockPlace,
        inputs: Inputs,
        batch_size: int,
        precision: Precision,
    ) -> None:
        self.name = f"block{place.index}"
        self.module = module
        self.objective = objective
        self.optimizer = optimizer
        self.precision = precision
        self.differentiation = Differentiation()
        with seeded(place.index), in_block(self.name):
            self._head = PureModule(objective.head(), HEAD)
            self._feedback = objective.feedback_state()
            self._net = PureModule(module, NET)
        self._trained = (*self._net.trained, *self._head.trained)
        self.spec = self._signature(place, inputs, batch_size)

    def initial_state(self) -> dict[str, Tensor]:
        """A fresh copy of the state before the first step."""
        state = {**self._net.initial, **self._head.initial, **self._feedback}
        state.update(self.optimizer.initial_moments({name: state[name] for name in self._trained}))
        state.update(self.precision.initial_state())
        return {name: value.clone() for name, value in state.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of how the block trains: frozen layers, layers that others stand in for."""
        return self._net.notes

    def new_head(self) -> nn.Module:
        """A copy of the auxiliary network as a module, with the values of `initial_state`."""
        return copy.deepcopy(self._head.module)

    def __call__(
        self,
        state: Mapping[str, Tensor],
        x: Tensor,
        y: Tensor,
        scalars: Mapping[str, Tensor],
        received: Mapping[str, Tensor] | None = None,
    ) -> Stepped:
        """One step.

        Args:
            state: as `initial_state` or an earlier step returned it.
            x: (B, ...).
            y: one-hot (B, C) or (B, T, C), float32.
            scalars: {"lr": 0-d float32}.
            received: the tensors of spec.received; may be left out where there are none.
        """
        objective = self.objective.given(received or {}, x)
        taker = self.differentiation
        leaves = taker.leaves((self._net, self._head), self._trained, state)
        now = {**state, **leaves}
        with torch.enable_grad(), in_block(self.name), taker.on(self._net, now) as net, taker.on(self._head, now) as head:
            a = self._output(net, x)
            output = a.detach()
            feedback = objective.renew_feedback({name: state[name] for name in self._feedback}, output, y)
            loss, terms = objective.loss(head, feedback, a, y)
            gradients = taker.gradients(self.precision.scaled(loss, state), list(leaves.values()))
        with torch.no_grad():
            raw = {name: self._used(name, g) for name, g in zip(leaves, gradients, strict=True)}
            named = self.precision.unscaled(raw, state)
            updated = self.optimizer.update({name: state[name] for name in leaves}, named, state, scalars["lr"])
            metrics = torch.stack([loss.detach(), *(terms[name].detach() for name in self.objective.metrics)])
            kept = {**net.buffers, **head.buffers, **feedback}
            new = self.precision.settle(state, {**kept, **updated}, named.values())
            sent = objective.outgoing(feedback, x)
        return Stepped({**state, **new}, output, metrics, sent)

    def _output(self, net: ModuleCall, x: Tensor) -> Tensor:
        """The block's output in float32."""
        with self.precision.autocast(x.device):
            a = net(x)
        if not isinstance(a, Tensor):
            raise ConfigError(
                f"it returns a {type(a).__name__} in training mode, but must return one tensor; leave out auxiliary outputs, "
                "each block has a loss of its own"
            )
        return a.float()

    def forward(self, state: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Evaluation mode: x (B, ...) to a (B, ...); class scores at the last block."""
        with torch.no_grad(), in_block(self.name), self._net.on(state, train=False) as net, self.precision.autocast(x.device):
            a: Tensor = net(x)
        return a.float()

    def feedback(self, state: Mapping[str, Tensor], y: Tensor) -> Tensor:
        """The feedback head alone: labels y (B, C) to beta (B, features)."""
        with torch.no_grad():
            return self.objective.beta({name: state[name] for name in self._feedback}, y)

    def _signature(self, place: BlockPlace, inputs: Inputs, batch_size: int) -> BlockSpec:
        state = self.initial_state()
        y = torch.zeros(batch_size, *place.label_shape)
        beta = TensorSpec("beta", "float32", tuple(self.feedback(state, y).shape)) if self._feedback else None
        received = self.objective.received(batch_size)
        x = inputs.first(batch_size)
        sent = self.objective.given(zeros(received), x).outgoing(self._feedback, x)
        return BlockSpec(
            name=self.name,
            input=TensorSpec("x", inputs.dtype, (batch_size, *inputs.shape)),
            labels=TensorSpec("y", "float32", (batch_size, *place.label_shape)),
            output=TensorSpec("a", "float32", (batch_size, *place.output_shape)),
            state=tuple(tensor_spec(name, value) for name, value in state.items()),
            scalars=("lr",),
            metrics=("loss", *self.objective.metrics),
            forward_state=tuple(self._net.initial),
            feedback_state=tuple(self._feedback),
            beta=beta,
            output_role="logits" if place.is_last else "activation",
            received=received,
            sent=tuple(tensor_spec(name, value) for name, value in sent.items()),
        )

    def _used(self, name: str, gradient: Tensor | None) -> Tensor:
        if gradient is None:
            raise ConfigError(f"{self.name}: the loss does not depend on the parameter {name!r}; remove or freeze it")
        return gradient


def zeros(specs: Iterable[TensorSpec]) -> dict[str, Tensor]:
    """A tensor of zeros for each spec, by name."""
    return {spec.name: torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in specs}


def tensor_spec(name: str, value: Tensor) -> TensorSpec:
    """Spec of a torch tensor.

    Raises:
        ConfigError: a dtype that bundles do not have.
    """
    if value.dtype not in _DTYPES:
        raise ConfigError(f"tensor {name!r} has dtype {value.dtype}; blocks may hold {', '.join(_DTYPES.values())}")
    return TensorSpec(name, _DTYPES[value.dtype], tuple(value.shape))
