"""Tensors that two blocks have in common: refused, because each block learns apart."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from edgebll.kernel.errors import ConfigError


def check_shared(blocks: Sequence[nn.Module]) -> None:
    """Refuse parameters and buffers that two blocks share: each block learns apart, on a board of its own.

    Raises:
        ConfigError: names the tensor, both blocks and the cure.
    """
    seen: dict[int, tuple[int, str]] = {}
    for index, block in enumerate(blocks):
        for name, value in [*block.named_parameters(), *block.named_buffers()]:
            other, path = seen.setdefault(id(value), (index, name))
            if other != index:
                raise ConfigError(
                    f"block {index} has {name!r} in common with block {other} ({path!r} there), but blocks learn apart; put "
                    "both layers into one block, or give each block a copy of its own (copy.deepcopy)"
                )
