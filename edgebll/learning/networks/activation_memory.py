"""How much memory training each unit of a network takes a sample: what autograd keeps from the forward pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Batch normalisation in training needs two samples.
_SAMPLES = 2


def activation_bytes(units: Sequence[nn.Module], input_shape: tuple[int, ...]) -> list[float]:
    """Bytes that PyTorch keeps for the backward pass, for each unit.

    What two units share, the output of one and the input of the next, counts for the later one. Weights do not count: at the
    batch sizes of training the maps of convolutional networks are many times larger. The units are not changed.

    Args:
        units: applied one after another.
        input_shape: of one sample.

    Returns:
        Bytes a sample in float32.
    """
    found = []
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        x = torch.randn(_SAMPLES, *input_shape)
        for unit in units:
            own = copy.deepcopy(unit).train()
            kept, x = _kept(own, x)
            found.append(kept / _SAMPLES)
    return found


def _kept(unit: nn.Module, x: Tensor) -> tuple[int, Tensor]:
    """Bytes kept by a unit on this input, and its output."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*unit.parameters(), *unit.buffers())}
    kept: dict[int, tuple[int, Tensor]] = {}  # the tensor, too: so that its place is not given to another one meanwhile

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = unit(x.detach().requires_grad_(x.is_floating_point()))
    return sum(size for size, _ in kept.values()), output.detach()
