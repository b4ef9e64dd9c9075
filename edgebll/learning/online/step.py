"""The training step of a block that learns online, on whole samples or on chunks of them in time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.spec.time_chunks import RESET
from edgebll.learning.forward_step import has_something_to_train
from edgebll.learning.modules.differentiation import ModuleCall
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.objective import BlockPlace, Objective, Tensors
from edgebll.learning.online.block import OnlineBlock, carried_at_rest
from edgebll.learning.online.layers import OnlineLayer, read_layers
from edgebll.learning.online.passing import Carried, Passing
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.step import BlockStep
from edgebll.learning.step_tensors import ForwardPass, Stepped

#: The state that all neurons have, of the shape of what comes out of them.
POTENTIAL = "v"


@dataclass(frozen=True)
class TimedBlock:
    """A block of a spiking network, read for a rule that learns online.

    Attributes:
        network: of the block.
        index: of the block, from 0.
        rule: its name, for messages.
        place: where it stands.
        layers: of it.
        averaged: whether the mean over time ends it.
        steps: time steps of a chunk.
        chunks: of a sample.
        passing: how a layer's time steps are gone through.
    """

    network: BlockNetwork
    index: int
    rule: str
    place: BlockPlace
    layers: list[OnlineLayer]
    averaged: bool
    steps: int
    chunks: int
    passing: Passing

    @property
    def static(self) -> bool:
        """Whether its input has no axis of time."""
        return self.layers[0].static

    @classmethod
    def of(cls, network: BlockNetwork, index: int, rule: str, chunk: int, passing: Passing | None = None) -> TimedBlock:
        """Read a block.

        Args:
            network: whose block.
            index: of the block, from 0.
            rule: its name, for messages.
            chunk: time steps of a training step; 0 for all.
            passing: how a layer's time steps are gone through; by default with traces that neurons share.

        Raises:
            ConfigError: the rule cannot train it, or samples cannot be cut like this.
        """
        block, place, total = network.blocks[index], BlockPlace.of(network, index), network.time_steps
        if not total:
            raise ConfigError(
                f"{rule} trains spiking networks, whose samples have time; use --network spiking-mlp, or another rule"
            )
        if place.positions or place.task.per_pixel:
            raise ConfigError(f"{rule} has one target a sample, not one for each position; use another rule, e.g. bll")
        if not has_something_to_train(block):
            raise ConfigError(f"{rule} trains every block, but all of block{index} is frozen; leave something of it free")
        if chunk < 0 or (chunk and total % chunk):
            raise ConfigError(f"{rule}'s chunk must divide the {total} time steps of a sample, or be 0 for all, not {chunk}")
        layers, averaged = read_layers(block, rule)
        if averaged != place.is_last:
            raise ConfigError(f"{rule} wants the mean over time at the end of the last block, and only there")
        return cls(
            network, index, rule, place, layers, averaged, chunk or total, total // (chunk or total), passing or Passing()
        )

    @property
    def features(self) -> tuple[int, ...]:
        """Of each layer that spikes, how many neurons it has."""
        found = zip(self.layers, self._at_rest(1), strict=True)
        return tuple(carried[POTENTIAL].numel() for layer, carried in found if layer.spikes)

    def module(self, batch_size: int) -> OnlineBlock:
        """The module that is trained as the block."""
        block = self.network.blocks[self.index]
        return OnlineBlock(block, self.layers, self.steps, self.passing, self._at_rest(batch_size) if self.chunks > 1 else None)

    def _at_rest(self, batch_size: int) -> list[Carried]:
        shape = self.network.inputs_of(self.index).shape
        x = torch.zeros(batch_size, *shape[0 if self.static else 1 :])
        return carried_at_rest(self.network.blocks[self.index], self.rule, self.passing, x)


class OnlineStep(BlockStep):
    """The step of a block that learns online; its objective sees what comes out of each layer, (B, N, ...).

    State besides that of any block, where samples are taken in chunks: what its layers carry from chunk to chunk.

    Args:
        block: it.
        objective: the local loss.
        optimizer: the update.
        batch_size: samples of every batch.
        precision: only float32.

    Raises:
        ConfigError: another precision.
    """

    def __init__(
        self, block: TimedBlock, objective: Objective, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> None:
        if precision.compute is not None:
            raise ConfigError(f"{block.rule} computes in float32, not {precision.name}; leave the precision out")
        self._block = block
        module, inputs = block.module(batch_size), block.network.inputs_of(block.index)
        super().__init__(module, objective, optimizer, block.place, inputs, batch_size, precision)
        own = {f"{self._net.prefix}{name}" for name, _ in module.carried()}
        self._carried = tuple(name for name in self._net.initial if name in own)

    def __call__(self, state: Tensors, x: Tensor, y: Tensor, scalars: Tensors, received: Tensors | None = None) -> Stepped:
        """One step; arguments are those of BlockStep, and the scalar `reset` where samples are taken in chunks."""
        if self._carried:
            kept = 1.0 - scalars[RESET]
            state = {**state, **{name: state[name] * kept for name in self._carried}}
        return super().__call__(state, x, y, scalars, received)

    def _run(
        self, parts: Sequence[ModuleCall], x: Tensor, state: Tensors, received: Tensors, opened: contextlib.ExitStack
    ) -> ForwardPass:
        """All layers; the block's output is what comes out of the last, or its mean over time."""
        *judged, out = parts[0](x)
        return ForwardPass(out.mean(1) if self._block.averaged else out, judged=tuple(judged))

    def _signature(self, place: BlockPlace, inputs: Inputs, batch_size: int) -> BlockSpec:
        spec, block = super()._signature(place, inputs, batch_size), self._block
        if block.chunks == 1:
            return spec
        return replace(spec, scalars=(*spec.scalars, RESET), chunks=block.chunks, static=block.static)
