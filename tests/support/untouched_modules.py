"""What a user's module is made of, to be compared before and after: nothing of edgebll takes part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

#: Attributes that a registry of their own has.
_REGISTRIES = ("_parameters", "_buffers", "_modules")


def fingerprint(module: nn.Module) -> dict[str, Any]:
    """Content and kind of every tensor, attributes, modes and hooks of a module and its layers."""
    found: dict[str, Any] = {"layers": [path for path, _ in module.named_modules(remove_duplicate=False)]}
    for path, layer in module.named_modules(remove_duplicate=False):
        found[f"{path}: kind"] = type(layer)
        for registry in _REGISTRIES[:2]:
            found[f"{path}: {registry}"] = {key: _tensor(value) for key, value in getattr(layer, registry).items()}
        for name, value in vars(layer).items():
            if name not in _REGISTRIES:
                found[f"{path}: {name}"] = _plain(value)
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The entries that differ."""
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]


def _tensor(value: Tensor | None) -> Any:
    if value is None:
        return None
    content = hash(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    gradient = None if not isinstance(value, nn.Parameter) or value.grad is None else value.grad.tolist()
    return id(value), type(value), value.requires_grad, tuple(value.shape), value.dtype, content, gradient


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value if isinstance(value, (bool, int, float, str, type(None))) else id(value)
