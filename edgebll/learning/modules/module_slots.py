"""Where a module keeps its tensors: every place that forward reads a parameter or buffer from.

One tensor may have several places: a layer reached by two paths, tied weights, the list of weights that a recurrent layer
keeps. Its name is the first that `named_parameters` or `named_buffers` gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn


class Slot(NamedTuple):
    """A place: `holder[key]` is the tensor called `name`."""

    holder: Any
    key: Any
    name: str


def tensor_slots(module: nn.Module) -> list[Slot]:
    """All places of all parameters and buffers of a module, each layer once."""
    names = {id(value): name for name, value in [*module.named_buffers(), *module.named_parameters()]}
    return [Slot(holder, key, names[id(value)]) for holder, key, value in _held(module) if id(value) in names]


def other_names(module: nn.Module) -> dict[str, str]:
    """The further names of tensors that have several, as `state_dict` lists them -> the first."""
    first: dict[int, str] = {}
    found: dict[str, str] = {}
    for named in (module.named_parameters, module.named_buffers):
        for name, value in named(remove_duplicate=False):
            if first.setdefault(id(value), name) != name:
                found[name] = first[id(value)]
    return found


def _held(module: nn.Module) -> Iterator[tuple[Any, Any, Tensor]]:
    for layer in module.modules():
        for registry in (layer._parameters, layer._buffers):
            yield from ((registry, key, value) for key, value in registry.items() if value is not None)
        for value in vars(layer).values():
            if isinstance(value, list):
                yield from ((value, index, item) for index, item in enumerate(value) if isinstance(item, Tensor))


class Substitution:
    """Other tensors in the slots of a module, for a while.

    Args:
        slots: which.
        tensors: by name; slots of other names are left alone.
    """

    def __init__(self, slots: list[Slot], tensors: Mapping[str, Tensor]) -> None:
        self._slots = [slot for slot in slots if slot.name in tensors]
        self._own = [slot.holder[slot.key] for slot in self._slots]
        for slot in self._slots:
            slot.holder[slot.key] = tensors[slot.name]

    def current(self) -> dict[str, Tensor]:
        """What is in the slots now, by name: forward may have put new tensors there."""
        return {slot.name: slot.holder[slot.key] for slot in reversed(self._slots)}

    def undo(self) -> None:
        """Put the module's own tensors back."""
        for slot, own in zip(self._slots, self._own, strict=True):
            slot.holder[slot.key] = own
