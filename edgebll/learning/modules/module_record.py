"""What a module is before its forward runs, to be compared and put back: attributes, registries, modes.

Forward may leave things in a module: a membrane potential, a cache, a counter. A training step is a function of its arguments
alone, so whatever a call left must not reach the next one, nor the user, whose module it is.
"""

from __future__ import annotations

import contextlib
import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CONTAINERS = (dict, list, set, deque)


@dataclass(frozen=True)
class Change:
    """An attribute that is not what it was.

    Attributes:
        path: of the layer, "" for the module itself.
        kind: the layer's class.
        name: of the attribute.
        value: what it is now.
    """

    path: str
    kind: str
    name: str
    value: Any

    @property
    def layer(self) -> str:
        """The layer for messages, e.g. "layer '0.lif' (Leaky)"."""
        return f"layer {self.path!r} ({self.kind})" if self.path else f"the block ({self.kind})"


class ModuleRecord:
    """Attributes of a module and all its layers as they are now; tensors registered in it are left to whoever put them there.

    Args:
        module: it. Attributes count by identity, containers among them by what they hold, plain tensors by their content.
    """

    def __init__(self, module: nn.Module) -> None:
        self._layers = [_LayerRecord(path, layer) for path, layer in module.named_modules()]

    def changes(self) -> list[Change]:
        """The attributes that differ now; buffers do not count, they are state."""
        return [change for layer in self._layers for change in layer.changes()]

    def restore(self) -> None:
        """Make everything as it was."""
        for layer in self._layers:
            layer.restore()


class _LayerRecord:
    def __init__(self, path: str, layer: nn.Module) -> None:
        self.path = path
        self.layer = layer
        self.attributes = dict(layer.__dict__)
        self.contents = {name: copy.copy(value) for name, value in self.attributes.items() if type(value) in _COPIED}
        self.tensors = {n: (v._version, v.detach().clone()) for n, v in self.attributes.items() if _is_plain(v)}

    def changes(self) -> Iterator[Change]:
        now = self.layer.__dict__
        for name, value in self.layer._buffers.items():
            if self.contents["_buffers"].get(name) is None and value is not None:
                yield Change(self.path, type(self.layer).__name__, name, value)
        for name in [*self.attributes, *(name for name in now if name not in self.attributes)]:
            if name in ("_buffers", "training"):
                continue
            value, before = now.get(name), self.attributes.get(name)
            if (
                value is not before
                or (name in self.contents and not _same(value, self.contents[name]))
                or (name in self.tensors and value._version != self.tensors[name][0])  # type: ignore[union-attr]
            ):
                yield Change(self.path, type(self.layer).__name__, name, value)

    def restore(self) -> None:
        now = self.layer.__dict__
        if now.keys() != self.attributes.keys() or any(now[name] is not value for name, value in self.attributes.items()):
            now.clear()
            now.update(self.attributes)
        for name, content in self.contents.items():
            value = self.attributes[name]
            if not _same(value, content):
                _refill(value, content)
        for name, (version, content) in self.tensors.items():
            if self.attributes[name]._version != version:
                with torch.no_grad():
                    self.attributes[name].copy_(content)


_COPIED = frozenset((*_CONTAINERS, type(nn.Module()._modules), type(nn.Module()._forward_hooks)))


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, nn.Parameter)


def _same(value: Any, content: Any) -> bool:
    if len(value) != len(content):
        return False
    if isinstance(value, dict):
        return list(value) == list(content) and all(value[key] is content[key] for key in content)
    return isinstance(value, set) or all(a is b for a, b in zip(value, content, strict=True))


def _refill(value: Any, content: Any) -> None:
    value.clear()
    if isinstance(value, dict | set):
        value.update(content)
    else:
        value.extend(content)


@contextlib.contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """While open, the module may run in any mode; afterwards its attributes, modes and tensors are as before.

    Parameters count: an embedding with max_norm writes into its own.
    """
    record = ModuleRecord(module)
    tensors = [(tensor, tensor.detach().clone()) for tensor in (*module.parameters(), *module.buffers())]
    try:
        yield
    finally:
        record.restore()
        with torch.no_grad():
            for tensor, content in tensors:
                if not torch.equal(tensor, content):
                    tensor.copy_(content)
