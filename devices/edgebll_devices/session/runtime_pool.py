"""Loaded runtimes between two incarnations of a run: the next one on the same board loads a state instead of graphs.

What a runtime computes depends on its state and inputs alone (`BlockRuntime.load_state`), so a run goes on with the same bits
as on one that was loaded anew. Runtimes of a session that failed in another way than by its links are never kept, nor those of
a run that came to its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebll_devices.runtimes import BlockRuntime

#: Seconds a runtime is kept for the next incarnation.
KEEP_S = 60.0


@dataclass(frozen=True)
class Loaded:
    """What a runtime was loaded for: the run, its manifest's SHA-256, the block, and how it computes."""

    run: str
    manifest_sha256: str
    block: str
    runtime: str
    threads: int
    serial_port: str = ""


class RuntimePool:
    """Runtimes nobody uses at the moment. Safe between threads; each runtime is used by one at a time. Close it when done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Loaded, tuple[BlockRuntime, float]] = {}
        self._closed = False

    def put(self, loaded: Loaded, runtime: BlockRuntime) -> None:
        """Keep a runtime that works and whose state no longer matters."""
        with self._lock:
            if not self._closed and loaded not in self._kept:
                self._kept[loaded] = runtime, time.monotonic()
                return
        runtime.close()

    def take(self, loaded: Loaded) -> BlockRuntime | None:
        """A runtime loaded for exactly this, with any state; the caller owns it."""
        with self._lock:
            return self._kept.pop(loaded, (None, 0.0))[0]

    def keep_only(self, wanted: Iterable[Loaded]) -> None:
        """Free all others, before anything new takes memory."""
        chosen = set(wanted)
        self._free(lambda loaded, _: loaded not in chosen)

    def expire(self, now_s: float) -> None:
        """Free those that were not taken up again within KEEP_S of the monotonic clock."""
        if self._kept:
            self._free(lambda _, since_s: now_s - since_s > KEEP_S)

    def close(self) -> None:
        """Free all, and keep none from now on."""
        with self._lock:
            self._closed = True
        self.keep_only(())

    def _free(self, unwanted: Callable[[Loaded, float], bool]) -> None:
        with self._lock:
            going = [loaded for loaded, (_, since_s) in self._kept.items() if unwanted(loaded, since_s)]
            freed = [self._kept.pop(loaded)[0] for loaded in going]
        for runtime in freed:
            runtime.close()
