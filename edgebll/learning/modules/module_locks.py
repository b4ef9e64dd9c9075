"""One thread at a time in a module while other tensors are in its places."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from torch import nn

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_FINDING = threading.Lock()


class ModuleLock:
    """Keeps other threads out of a module and all modules that have a layer in common with it.

    Args:
        module: whose layers are locked; those that no lock has yet get one together.
    """

    def __init__(self, module: nn.Module) -> None:
        with _FINDING:
            fresh = threading.RLock()
            found = {id(lock): lock for lock in [_LOCKS.setdefault(layer, fresh) for layer in module.modules()]}
        # All in one order, so that no two threads wait for each other.
        self._locks = [found[key] for key in sorted(found)]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While open, the module is this thread's."""
        with contextlib.ExitStack() as stack:
            for lock in self._locks:
                stack.enter_context(lock)
            yield
