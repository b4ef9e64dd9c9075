"""Which of a module's tensors no training step changes: constants of its graph, that are no part of the state.

Frozen weights, and what a frozen layer of PyTorch's own keeps beside them: the running statistics of a batch norm in evaluation
mode. A buffer of anybody else's layer stays state, for its forward may write into it whatever its mode is.
"""

from __future__ import annotations

from torch import Tensor, nn


def constant_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that are not trained and the buffers that stay as they are, by the first name of each.

    Args:
        module: whose layers are in the modes that they train in.
    """
    moving = {id(buffer) for layer in module.modules() if not _keeps_buffers(layer) for buffer in layer.buffers(recurse=False)}
    parameters = {name: value for name, value in module.named_parameters() if not value.requires_grad}
    return parameters | {name: value for name, value in module.named_buffers() if id(value) not in moving}


def _keeps_buffers(layer: nn.Module) -> bool:
    """Whether a layer is PyTorch's own, in evaluation mode, and has nothing to train."""
    trains = layer.training or any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
    return type(layer).__module__.startswith("torch.nn.modules.") and not trains
