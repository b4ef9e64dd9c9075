"""A sentence every few seconds while something long goes on, so that nobody takes it for hung."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

#: Between two sentences.
PERIOD_S = 5.0


class Heartbeat:
    """Says what is going on for the length of a `with`: when it starts, every few seconds, and, if it succeeds, at the end.

    Args:
        what: what goes on, e.g. "building block0/step.onnx".
        say: takes the sentences; called from a thread of its own too.
        detail: a few words on how far it is, "" if unknown; called from that thread.
        clock: seconds.
        wait: waits so many seconds and returns whether it is over; by default for the end of the `with`.
    """

    def __init__(
        self,
        what: str,
        say: Callable[[str], None],
        *,
        detail: Callable[[], str] = str,
        period_s: float = PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._what, self._say, self._detail = what, say, detail
        self._period_s, self._clock = period_s, clock
        self._over = threading.Event()
        self._wait = wait or self._over.wait
        self._thread = threading.Thread(target=self._beat, name="edgebll-heartbeat", daemon=True)
        self._started = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def _beat(self) -> None:
        while not self._wait(self._period_s):
            detail = self._detail()
            self._say(f"still {self._what}: {self.elapsed_s:.0f} s so far{', ' if detail else ''}{detail}")

    def __enter__(self) -> Heartbeat:
        self._started = self._clock()
        self._say(self._what)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if error is None:
            self._say(f"{self._what}: done in {self.elapsed_s:.1f} s")
