"""Synaptic operations and sparsity of blocks, counted while a network computes: the metrics of NeuroBench, by block.

As defined by Yik et al., "The NeuroBench framework for benchmarking neuromorphic computing algorithms and systems", Nature
Communications 16, 1545 (2025), and counted by the package neurobench:

    footprint             bytes of parameters and buffers
    connection sparsity   part of the weights of connections that are zero
    activation sparsity   part of what activations and neurons give, over all time steps and samples, that is zero
    dense                 products of connections, zeros included: an input with a weight. Biases are none, nor is padding
    effective MACs, ACs   products of which neither factor is zero; accumulates where a layer's inputs are only -1, 0 and 1, for
                          then there is nothing to multiply, otherwise multiply-accumulates

Connections are linear layers and convolutions. Operations are of a sample, all its time steps together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgebll.learning.networks.spiking.neuron import SpikingNeuron
from edgebll.learning.networks.spiking.over_time import Recurrent

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CONNECTIONS = (nn.Linear, *_CONVOLUTIONS)
#: What gives activations; functions that a module calls by themselves are not seen.
ACTIVATIONS = (
    *(SpikingNeuron, Recurrent, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish),
)


@dataclass
class BlockOperations:
    """What a block takes; operations are counted over all samples.

    Attributes:
        footprint_bytes: of parameters and buffers.
        weights: of connections.
        zero_weights: of them.
        activations: numbers that activations gave.
        silent: of them, zeros.
        dense: products, zeros included.
        macs: effective multiply-accumulates.
        acs: effective accumulates.
        not_counted: classes of layers whose weights multiply something in another way.
    """

    footprint_bytes: int = 0
    weights: int = 0
    zero_weights: int = 0
    activations: int = 0
    silent: int = 0
    dense: int = 0
    macs: int = 0
    acs: int = 0
    not_counted: set[str] = field(default_factory=set)

    def add(self, other: BlockOperations) -> None:
        """Count another block with this one."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) | value if isinstance(value, set) else getattr(self, name) + value)

    @property
    def connection_sparsity(self) -> float | None:
        """Part of the weights that is zero; None without connections."""
        return self.zero_weights / self.weights if self.weights else None

    @property
    def activation_sparsity(self) -> float | None:
        """Part of the activations that is zero; None where none was seen."""
        return self.silent / self.activations if self.activations else None


@contextmanager
def counted(blocks: Sequence[nn.Module]) -> Iterator[list[BlockOperations]]:
    """Count what blocks do as long as the context lasts.

    Args:
        blocks: in evaluation mode.

    Yields:
        What was counted up to now, of each block.
    """
    found = [_at_rest(block) for block in blocks]
    with ExitStack() as stack:
        for block, counts in zip(blocks, found, strict=True):
            for module in block.modules():
                if isinstance(module, CONNECTIONS):
                    stack.callback(module.register_forward_pre_hook(_products(counts)).remove)
                elif isinstance(module, ACTIVATIONS):
                    stack.callback(module.register_forward_hook(_activations(counts)).remove)
        yield found


def _at_rest(block: nn.Module) -> BlockOperations:
    counts = BlockOperations()
    counts.footprint_bytes = sum(each.numel() * each.element_size() for each in (*block.parameters(), *block.buffers()))
    for module in block.modules():
        if isinstance(module, CONNECTIONS):
            counts.weights += module.weight.numel()
            counts.zero_weights += int((module.weight == 0).sum())
        elif any(each.ndim > 1 for each in module.parameters(recurse=False)):
            counts.not_counted.add(type(module).__name__)
    return counts


def _products(counts: BlockOperations) -> Any:
    def count(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach()
        dense, effective = (_of_linear if isinstance(module, nn.Linear) else _of_convolution)(module, x)
        counts.dense += dense
        if bool(((x == 0) | (x.abs() == 1)).all()):
            counts.acs += effective
        else:
            counts.macs += effective

    return count


def _of_linear(layer: Any, x: Tensor) -> tuple[int, int]:
    """Products of a linear layer for x (..., F): all, and those without a zero."""
    rows = x.reshape(-1, layer.in_features)
    effective = (rows != 0).sum(0) @ (layer.weight != 0).sum(0)
    return rows.shape[0] * layer.weight.numel(), int(effective)


def _of_convolution(layer: Any, x: Tensor) -> tuple[int, int]:
    """The same of a convolution for x (B, C, ...): its taps that meet the input."""
    weight = layer.weight.detach()
    there: Tensor = layer._conv_forward(torch.ones_like(x[:1]), torch.ones_like(weight), None)
    effective: Tensor = layer._conv_forward((x != 0).to(x.dtype), (weight != 0).to(x.dtype), None)
    return len(x) * int(there.double().sum()), int(effective.double().sum())


def _activations(counts: BlockOperations) -> Any:
    def count(_: nn.Module, __: tuple[Tensor, ...], given: Tensor) -> None:
        counts.activations += given.numel()
        counts.silent += int((given == 0).sum())

    return count
