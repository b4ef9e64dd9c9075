"""The names of a network's parameters and modules, and which of them a pattern means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from edgebll.kernel.support.bounds import WrongValue
from edgebll.learning.networks.block_network import BlockNetwork

_NEAR = 3


@dataclass(frozen=True)
class Part:
    """A parameter or module of a network.

    Attributes:
        block: index of its block.
        path: its name in the block, "" for the block itself.
        is_parameter: whether it is a parameter.
    """

    block: int
    path: str
    is_parameter: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What people may call it; the whole name comes first."""
        whole = f"block{self.block}"
        return (f"{whole}.{self.path}", self.path) if self.path else (whole,)

    def holds(self, other: Part) -> bool:
        """Whether `other` is this part, or in this module."""
        inside = not self.is_parameter and (not self.path or other.path.startswith(f"{self.path}."))
        return self.block == other.block and (self == other or inside)


def parts_of(network: BlockNetwork) -> list[Part]:
    """All parameters and modules of a network, in order; a parameter that has several names is several parts."""
    return [part for index, block in enumerate(network.blocks) for part in _parts(index, block)]


def _parts(index: int, block: nn.Module) -> Iterator[Part]:
    for path, _ in block.named_modules(remove_duplicate=False):
        yield Part(index, path, is_parameter=False)
    for path, _ in block.named_parameters(remove_duplicate=False):
        yield Part(index, path, is_parameter=True)


def matched(network: BlockNetwork, patterns: Iterable[str], option: str) -> list[Part]:
    """The parts that patterns mean, with all that is in the modules among them.

    Args:
        network: whose parts they are.
        patterns: see `edgebll.kernel.spec.fine_tuning.FineTuning`.
        option: that gave them, for messages, e.g. "freeze".

    Raises:
        WrongValue: a pattern means no parameter; names some that are near.
    """
    parts, found = parts_of(network), set()
    for pattern in patterns:
        named = [part for part in parts if any(fnmatchcase(name, pattern) for name in part.names)]
        inside = {part for part in parts if any(one.holds(part) for one in named)}
        if not any(part.is_parameter for part in inside):
            raise WrongValue(option, _nothing(parts, pattern))
        found |= inside
    return [part for part in parts if part in found]


def _nothing(parts: list[Part], pattern: str) -> str:
    """What to say of a pattern that means no parameter."""
    holders = [part for part in parts if any(part.holds(other) for other in parts if other.is_parameter)]
    by_name = {name: part.names[0] for part in reversed(holders) for name in part.names}
    near = difflib.get_close_matches(pattern.rstrip(".*"), by_name, _NEAR, 0.5)
    shown = list(dict.fromkeys(by_name[name] for name in near)) or [part.names[0] for part in holders[:_NEAR]]
    kind = "near are" if near else "it has, for example,"
    return f"{pattern!r} means no parameter of the network; {kind} {', '.join(shown)}"
