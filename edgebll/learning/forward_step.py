"""The training step of a block that has nothing to train: its forward pass.

It has no auxiliary network, no loss and no metrics, and knows no learning rate. It still takes its place in the pipeline, and
what other blocks expect of it goes on: buffers that forward changes are its state, and side streams are served, for which it
keeps its feedback head where the rule chains feedback heads.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.learning.modules.user_code import in_block
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.objective import BlockPlace, Objective, Tensors
from edgebll.learning.step import BlockStep
from edgebll.learning.step_tensors import Stepped, zeros


class ForwardStep(BlockStep):
    """The step of a block without a parameter that trains; its arguments are those of BlockStep.

    Its objective is one without a loss, see `served_streams`.
    """

    def initial_state(self) -> dict[str, Tensor]:
        """A fresh copy of the buffers and the feedback head before the first step."""
        state = self._net.with_aliases({**self._net.initial, **self._feedback})
        return {name: value.clone() for name, value in state.items()}

    def __call__(self, state: Tensors, x: Tensor, y: Tensor, scalars: Tensors, received: Tensors | None = None) -> Stepped:
        """One step: the forward pass in the modes that the layers have in training.

        Args:
            state: as `initial_state` or an earlier step returned it.
            x: (B, ...).
            y: one-hot (B, C) or (B, T, C), float32; only chained feedback heads read it.
            scalars: none is read.
            received: the tensors of spec.received; may be left out where there are none.
        """
        objective = self.objective.given(received or {}, x)
        with torch.no_grad(), in_block(self.name), self.differentiation.on(self._net, state) as net:
            a = self._output(net, self.precision.taken(x), *read_by(self.spec, received or {}).values())
            buffers = net.buffers
            feedback = objective.renew_feedback({name: state[name] for name in self._feedback}, a, y)
            sent = objective.outgoing(feedback, x)
        return Stepped(self._net.with_aliases({**state, **buffers, **feedback}), a, a.new_zeros(0), sent)

    @property
    def notes(self) -> tuple[str, ...]:
        """That nothing trains, and what BlockStep notes."""
        return ("nothing in it trains: its step is its forward pass", *super().notes)

    def _signature(self, place: BlockPlace, inputs: Inputs, batch_size: int) -> BlockSpec:
        return replace(super()._signature(place, inputs, batch_size), scalars=(), metrics=())


def has_something_to_train(module: nn.Module) -> bool:
    """Whether a parameter of the module is not frozen."""
    return any(parameter.requires_grad for parameter in module.parameters())


def served_streams(objective: Objective, x: Tensor) -> Objective:
    """What is left of an objective without its loss: its side streams, or nothing.

    Args:
        objective: of the block.
        x: an input (B, ...) of the block.
    """
    received = zeros(objective.received(len(x)))
    return (
        _Streams(objective) if received or objective.given(received, x).outgoing(objective.feedback_state(), x) else Objective()
    )


class _Streams(Objective):
    """The side streams of an objective and its feedback head; no auxiliary network, no loss."""

    def __init__(self, inner: Objective) -> None:
        self._inner = inner

    def feedback_state(self) -> dict[str, Tensor]:
        """Its feedback head."""
        return self._inner.feedback_state()

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Its feedback head after this batch."""
        return self._inner.renew_feedback(feedback, a, y)

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """The target of its feedback head."""
        return self._inner.beta(feedback, y)

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        """What it receives."""
        return self._inner.received(batch_size)

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """The side streams of one step."""
        return _Streams(self._inner.given(received, x))

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """What it sends."""
        return self._inner.outgoing(feedback, x)
