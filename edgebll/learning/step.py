"""The training step of one block: the one definition that the trainer runs, export traces and boards execute.

    step(state, x, y, scalars, received) -> (state', a, metrics, sent)

Pure: forward pass, feedback target, local loss, gradient inside the block, optimiser update and running statistics, all from
its arguments alone. State is a flat dict of tensors; the prefix says what a tensor is:

    net.       parameters and buffers of the block's module (running statistics are buffers)
    head.      the same of the objective's auxiliary network
    feedback.  the feedback head
    momentum., moment1., moment2., accumulated., unit.  the optimiser's    scale.  the loss scale of mixed precision
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.learning.modules.differentiation import Differentiation, ModuleCall
from edgebll.learning.modules.pure_module import PureModule
from edgebll.learning.modules.seeding import seeded
from edgebll.learning.modules.user_code import in_block
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.objective import BlockPlace, Objective
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.step_tensors import ForwardPass, Stepped, named_gradients, tensor_spec, zeros

NET, HEAD = "net.", "head."
Tensors = Mapping[str, Tensor]


class BlockStep:
    """The pure training step of one block, with its initial state and its signature.

    A rule that needs more than an objective returns a subclass. It overrides `initial_state` where the state holds more, and
    some of these hooks, which `__call__` asks in this order; nothing else of this class need be known:

        _parts      the modules that make up the block
        _prepare    the state that the step computes with
        _run        the block's output
        _learn      what gradients make of the state
        _send       what other blocks get
        _exchanged  the specs of what is received and sent, asked once, when the step is made

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
        modules: all that it runs as functions of the state, whose constants lie where the state does.
        trained: names of the state tensors that gradients are taken of: the block's, then the auxiliary network's.
        aliases: further names of the block's tensors -> the first; the state has them all, as the module's state_dict does.
        task: what the network is for.
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
        self.optimizer, self.precision, self.task = optimizer, precision, place.task
        self.differentiation = Differentiation()
        with seeded(place.index), in_block(self.name):
            self._head = PureModule(objective.head(), HEAD)
            self._feedback = objective.feedback_state()
            self._net = PureModule(module, NET)
        self.modules: tuple[PureModule, ...] = (self._net, self._head)
        self.aliases, self.trained = self._net.aliases, (*self._net.trained, *self._head.trained)
        self.spec = self._signature(place, inputs, batch_size)

    def initial_state(self) -> dict[str, Tensor]:
        """A fresh copy of the state before the first step."""
        state = {**self._net.initial, **self._head.initial, **self._feedback}
        state |= self.optimizer.initial_state({name: state[name] for name in self.trained}) | self.precision.initial_state()
        return {name: value.clone() for name, value in self._net.with_aliases(state).items()}

    @property
    def constants(self) -> dict[str, Tensor]:
        """What is frozen in the block and in the auxiliary network, by names as the state's: of the graph, not of the state."""
        return {**self._net.constants, **self._head.constants}

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of how the block trains: frozen layers, layers that others stand in for."""
        return self._net.notes

    def new_head(self) -> nn.Module:
        """A copy of the auxiliary network as a module, with the values of `initial_state`."""
        return copy.deepcopy(self._head.module)

    def __call__(self, state: Tensors, x: Tensor, y: Tensor, scalars: Tensors, received: Tensors | None = None) -> Stepped:
        """One step.

        Args:
            state: as `initial_state` or an earlier step returned it.
            x: (B, ...).
            y: targets (B, ...); for classification one-hot (B, C) or (B, T, C), float32.
            scalars: those of spec.scalars, 0-d float32.
            received: the tensors of spec.received; may be left out where there are none.
        """
        came = received or {}
        with torch.no_grad():
            state = self._prepare(state, came)
        objective, taker = self.objective.given({**came, **scalars}, x), self.differentiation
        leaves = taker.leaves((self._net, self._head), self.trained, state)
        now = {**state, **leaves}
        with torch.enable_grad(), in_block(self.name), self.precision.step(x.device), contextlib.ExitStack() as opened:
            *parts, head = [opened.enter_context(taker.on(module, now)) for module in (*self._parts, self._head)]
            ran = self._run(parts, self.precision.taken(x), state, came, opened)
            output = ran.a.detach()
            feedback = objective.renew_feedback({name: state[name] for name in self._feedback}, output, y)
            loss, terms = objective.loss(self.precision.head(head), feedback, ran.seen, y)
            gradients = taker.gradients(self.precision.scaled(loss, state), [*leaves.values(), *ran.taught.values()])
        with torch.no_grad():
            named = self.precision.unscaled(named_gradients(self.name, leaves, gradients[: len(leaves)]), state)
            taught = self.precision.unscaled(named_gradients(self.name, ran.taught, gradients[len(leaves) :]), state)
            learnt = self._learn(state, named, scalars["lr"])
            metrics = torch.stack([loss.detach(), *(terms[name].detach() for name in self.objective.metrics)])
            buffers = {name: value for module in (*parts, head) for name, value in module.buffers.items()}
            new = self.precision.settle(state, {**buffers, **feedback, **learnt}, named.values())
            sent = {**objective.outgoing(feedback, x), **self._send(state, ran, taught)}
        return Stepped(self._net.with_aliases({**state, **new}), output, metrics, sent)

    @property
    def _parts(self) -> tuple[PureModule, ...]:
        """The modules that make up the block; they share its state, and are open in training while the step is computed."""
        return (self._net,)

    def _prepare(self, state: Tensors, received: Tensors) -> Tensors:
        """The state that the step computes with, all of its names; by default as it is. Outside of gradients.

        Args:
            state: as the step was given it.
            received: the tensors of spec.received.
        """
        return state

    def _run(
        self, parts: Sequence[ModuleCall], x: Tensor, state: Tensors, received: Tensors, opened: contextlib.ExitStack
    ) -> ForwardPass:
        """Run the block; by default its one part on x.

        Args:
            parts: those of `_parts`, open.
            x: (B, ...), as the precision takes it.
            state: of `_prepare`; the parts hold it already.
            received: the tensors of spec.received.
            opened: further modules that are run are to be opened in it, for gradients are taken before it closes.
        """
        return ForwardPass(self._output(parts[0], x, *read_by(self.spec, received).values()))

    def _learn(self, state: Tensors, gradients: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """The state tensors that change, with their new values; by default what the optimiser makes of them.

        Args:
            state: of `_prepare`.
            gradients: of the loss, for each name of `trained`.
            lr: learning rate, 0-d.
        """
        return self.optimizer.update({name: state[name] for name in self.trained}, gradients, state, lr)

    def _send(self, state: Tensors, ran: ForwardPass, taught: Tensors) -> dict[str, Tensor]:
        """What other blocks get besides a and what the objective sends them; by default nothing.

        Args:
            state: of `_prepare`, before what `_learn` changes.
            ran: of `_run`.
            taught: gradients of the loss, for each name of `ran.taught`.
        """
        return {}

    def _exchanged(self, x: Tensor) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Specs of what is received and of what is sent; by default what the objective exchanges.

        Args:
            x: an input (B, ...) of the block.
        """
        received = self.objective.received(len(x))
        sent = self.objective.given(zeros(received), x).outgoing(self._feedback, x)
        return received, tuple(tensor_spec(name, value) for name, value in sent.items())

    def _output(self, net: ModuleCall, x: Tensor, *others: Tensor) -> Tensor:
        """What a module makes of inputs, in float32, computed in the step's precision; refused unless it is one tensor."""
        with self.precision.autocast(x.device):
            a = net(x, *others)
        if not isinstance(a, Tensor):
            raise ConfigError(
                f"it returns a {type(a).__name__} in training mode, but must return one tensor; leave out auxiliary outputs, "
                "each block has a loss of its own"
            )
        return a.float()

    def forward(self, state: Tensors, x: Tensor, inputs: Tensors | None = None) -> Tensor:
        """Evaluation mode: x (B, ...), and side inputs by name, to a (B, ...); at the last block what the task judges."""
        with torch.no_grad(), in_block(self.name), self._net.on(state, train=False) as net, self.precision.autocast(x.device):
            a: Tensor = net(self.precision.taken(x), *read_by(self.spec, inputs or {}).values())
        return a.float()

    def feedback(self, state: Tensors, y: Tensor) -> Tensor:
        """The feedback head alone: labels y (B, C) to beta (B, features)."""
        with torch.no_grad():
            return self.objective.beta({name: state[name] for name in self._feedback}, y)

    def _signature(self, place: BlockPlace, inputs: Inputs, batch_size: int) -> BlockSpec:
        state = self.initial_state()
        labels = place.target(batch_size)
        beta = tensor_spec("beta", self.feedback(state, zeros([labels])["y"])) if self._feedback else None
        received, sent = self._exchanged(inputs.first(batch_size))
        return BlockSpec(
            name=self.name,
            input=TensorSpec("x", inputs.dtype, (batch_size, *inputs.shape)),
            labels=labels,
            output=TensorSpec("a", "float32", (batch_size, *place.output_shape)),
            state=tuple(tensor_spec(name, value) for name, value in state.items()),
            scalars=("lr",),
            metrics=("loss", *self.objective.metrics),
            forward_state=tuple(self._net.initial),
            feedback_state=tuple(self._feedback),
            beta=beta,
            output_role="logits" if place.is_last else "activation",
            received=(*received, *inputs.side_specs(batch_size)),
            sent=sent,
        )
