"""Layers that a module keeps where PyTorch does not look for its parameters: in plain lists, tuples, sets and dicts.

`parameters()` has none of theirs, so no optimiser trains them, no state_dict holds them, and `eval()` does not reach them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from torch import nn

from edgebll.kernel.errors import ConfigError

#: What PyTorch keeps of its own in a module's attributes.
_REGISTERED = ("_parameters", "_buffers", "_modules")
#: What takes the place of a dict, and of any other container, for layers and for parameters.
_DICTS, _LISTS = ("nn.ModuleDict", "nn.ParameterDict"), ("nn.ModuleList", "nn.ParameterList")


def check_hidden(block: str, module: nn.Module) -> None:
    """Refuse parameters that would have to train, but are in plain containers.

    Those that are frozen there, such as a teacher's, and those that are registered elsewhere as well do no harm.

    Args:
        block: its name.
        module: it.

    Raises:
        ConfigError: there is one; says where and what to do.
    """
    known = {id(parameter) for parameter in module.parameters()}
    for path, layer in module.named_modules():
        for name, value in vars(layer).items():
            if name in _REGISTERED:
                continue
            for held in _held(value, set()):
                own = held.parameters() if isinstance(held, nn.Module) else [held]
                if any(parameter.requires_grad and id(parameter) not in known for parameter in own):
                    raise ConfigError(_sentence(f"{block}.{path}" if path else block, name, value, held))


def _held(value: Any, seen: set[int]) -> Iterator[nn.Module | nn.Parameter]:
    """Layers and parameters in a container, and in containers inside of it."""
    if not isinstance(value, list | tuple | set | frozenset | deque | dict) or id(value) in seen:
        return
    seen.add(id(value))
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, nn.Module | nn.Parameter):
            yield item
        else:
            yield from _held(item, seen)


def _sentence(where: str, name: str, value: Any, held: nn.Module | nn.Parameter) -> str:
    modules, parameters = _DICTS if isinstance(value, dict) else _LISTS
    is_layer = isinstance(held, nn.Module)
    what, cure = (f"a {type(held).__name__}", modules) if is_layer else ("a parameter", parameters)
    return (
        f"{where} keeps {what} in its attribute {name!r}, a plain {type(value).__name__}, where PyTorch does not look for what "
        f"trains; make that an {cure}, or freeze what is in it with requires_grad_(False)"
    )
