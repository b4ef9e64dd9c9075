"""Modules that remember: what forward leaves in attributes must not matter to the next call.

A membrane potential, a cache that is read again, a count of calls: a plain training loop would carry them from step to step,
and a function of the block's state cannot. What is only written, such as the attention map of the last call, does no harm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning.modules.module_record import Change, ModuleRecord

_LEFT: ContextVar[bool] = ContextVar("left", default=False)


@contextlib.contextmanager
def leaving_memory() -> Iterator[None]:
    """While open, modules keep in their attributes what their calls leave there, as in a plain training loop."""
    token = _LEFT.set(True)
    try:
        yield
    finally:
        _LEFT.reset(token)


def is_memory_left() -> bool:
    """Whether `leaving_memory` is open in this thread."""
    return _LEFT.get()


def check_memory(record: ModuleRecord, again: Callable[[], Any]) -> None:
    """Refuse a module whose result depends on attributes that its calls change.

    Args:
        record: of the module before its call.
        again: calls it on other inputs, each time on the same ones and on the same buffers: what it returns after the first
            call must be what it returns before any.

    Raises:
        ConfigError: it is not, or a number goes on changing; also a parameter or layer that forward makes.
    """
    changes = record.changes()
    if not changes:
        return
    _check_registered(changes)
    first = {(change.path, change.name): change for change in changes}
    after = again()
    second = {(change.path, change.name): change for change in record.changes()}
    record.restore()
    same = _equal(after, again())
    for key, change in {**first, **second}.items():
        if not same or _counts(first.get(key), second.get(key)):
            raise ConfigError(kept_attributes(change.layer, [change.name]))


def kept_attributes(layer: str, names: Sequence[str]) -> str:
    """The sentence that refuses attributes which the next call reads.

    Args:
        layer: that has them, as messages call it.
        names: of the attributes.
    """
    kind = "the attribute" if len(names) == 1 else "one of the attributes"
    return (
        f"{layer} keeps {kind} {', '.join(map(repr, names))} from one call of forward to the next, which no training step can; "
        "make it a buffer (self.register_buffer in __init__), which is part of the block's state"
    )


def _check_registered(changes: Sequence[Change]) -> None:
    for change in changes:
        if change.name in ("_parameters", "_modules"):
            what = "a parameter" if change.name == "_parameters" else "a layer"
            raise ConfigError(
                f"{change.layer} gets {what} in forward; make it in __init__, so that it is part of the block's state"
            )


def _counts(first: Change | None, second: Change | None) -> bool:
    """Whether a number, or a truth value, is another after the second call than after the first; None: as before any call."""
    changed = second or first
    if changed is None or not isinstance(changed.value, (int, float)):
        return False
    return first is None or second is None or first.value != second.value


def _equal(first: Any, second: Any) -> bool:
    pairs = zip(pytree.tree_leaves(first), pytree.tree_leaves(second), strict=False)
    tensors = [(a, b) for a, b in pairs if isinstance(a, Tensor) and isinstance(b, Tensor)]
    return all(a.shape == b.shape and torch.equal(a.isnan(), b.isnan()) and _same_numbers(a, b) for a, b in tensors)


def _same_numbers(first: Tensor, second: Tensor) -> bool:
    if not first.is_floating_point():
        return torch.equal(first, second)
    return torch.equal(first.nan_to_num(), second.nan_to_num())
