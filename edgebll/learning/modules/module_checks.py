"""What a module must not have to be trained as a function of its tensors, and what people should be told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from edgebll.kernel.errors import ConfigError

#: Layers that compute the same in both modes.
_MODELESS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ReLU, nn.Identity, nn.Flatten)
#: Hooks that set a weight before forward -> the function that adds them, and its successor in parametrizations.
_REPLACED = {SpectralNorm: "spectral_norm", WeightNorm: "weight_norm"}


def check_made(blocks: Sequence[nn.Module]) -> None:
    """Refuse modules whose tensors are not there yet, or that stand for others.

    Args:
        blocks: of a network.

    Raises:
        ConfigError: a layer is lazy, compiled or on the device "meta"; or torch.inference_mode() is on, which has no gradients.
    """
    _check_mode()
    for index, block in enumerate(blocks):
        for path, layer in block.named_modules():
            where = f"layer {path!r} of block {index}" if path else f"block {index}"
            if isinstance(getattr(layer, "_orig_mod", None), nn.Module):
                raise ConfigError(f"{where} was compiled by torch.compile; give the module that was compiled, its _orig_mod")
            for name, tensor in (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)):
                if is_lazy(tensor):
                    kind = type(layer).__name__
                    raise ConfigError(f"{where} ({kind}) has no {name!r} yet; run one batch through the network first")
                if tensor.is_meta:
                    raise ConfigError(f"{where} has {name!r} on the device meta, without numbers; make the network on the cpu")


def check_module(module: nn.Module) -> None:
    """Refuse layers whose training is no function of tensors, and hooks that run when a gradient lies in a parameter.

    Raises:
        ConfigError: there is one; says where and what to do.
    """
    _check_mode()
    for path, layer in module.named_modules():
        _check_layer(f"layer {path!r}" if path else "the block", layer)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and getattr(parameter, "_post_accumulate_grad_hooks", None):
            raise ConfigError(
                f"the parameter {name!r} has a hook that runs once its gradient is accumulated, which no training step can; "
                "use register_hook, which is given the gradient and may return another"
            )


def _check_mode() -> None:
    if torch.is_inference_mode_enabled():
        raise ConfigError("within torch.inference_mode() nothing has a gradient; make, train and export networks outside of it")
    if torch.is_anomaly_enabled():
        raise ConfigError("torch.autograd.detect_anomaly() cannot look into steps that are traced; train and export without it")


def _check_layer(where: str, layer: nn.Module) -> None:
    if isinstance(layer, torch.jit.ScriptModule):
        raise ConfigError(
            f"{where} is a scripted module, which cannot be trained as a function of its tensors; give the Python module that "
            "was scripted"
        )
    if isinstance(layer, _BatchNorm) and layer.momentum is None and layer.track_running_stats and layer.training:
        raise ConfigError(
            f"{where} ({type(layer).__name__}) has momentum=None: its statistics are averages over all batches, for which it "
            "reads how many there were, and no graph can; give it a momentum such as 0.1"
        )
    for old, name in _REPLACED.items():
        if any(isinstance(hook, old) for hook in layer._forward_pre_hooks.values()):
            raise ConfigError(
                f"{where} has torch.nn.utils.{name}, which keeps its weight beside the parameters; take "
                f"torch.nn.utils.parametrizations.{name}, which PyTorch replaced it by"
            )


def check_copied(block: nn.Module, rule: str) -> None:
    """Refuse gradient hooks where a rule trains a copy of the block, which has none.

    Raises:
        ConfigError: there is one.
    """
    for name, parameter in block.named_parameters():
        if getattr(parameter, "_backward_hooks", None):
            raise ConfigError(f"{rule} trains a copy of the block, which loses the gradient hook of {name!r}; use another rule")


def frozen_layers(module: nn.Module) -> Iterator[str]:
    """A sentence for each topmost layer that is in evaluation mode, where that can matter."""
    named = dict(module.named_modules())
    told: list[str] = []
    for path, layer in named.items():
        whole = not any(child.training for child in layer.modules())
        if whole and not any(path.startswith(f"{above}.") or not above for above in told) and _has_modes(layer):
            told.append(path)
            where = f"layer {path!r} ({type(layer).__name__})" if path else "the whole block"
            yield f"{where} is in evaluation mode and stays so in training"


def _has_modes(layer: nn.Module) -> bool:
    return any(not isinstance(child, _MODELESS) and not list(child.children()) for child in layer.modules())
