"""For how long this process could do anything: time in which it was stopped is nobody's silence and uses up no patience.

A process that was stopped (SIGSTOP, a frozen container, a debugger) finds the monotonic clock ahead when it goes on, and all
it waited for long overdue. A thread that ticks knows: what lies between two ticks beyond an allowance was not lived through.
While the whole machine is asleep the monotonic clock stands still by itself (on Linux), and CLOCK_BOOTTIME tells how long.
"""

from __future__ import annotations

import threading
import time
from time import monotonic  # this very clock: nobody who puts another one into `time` for a while makes time here be lost

#: Between two ticks, and what may lie between two at most; a busy machine may hold a thread up for a while.
TICK_S, ALLOWANCE_S = 0.25, 1.0


class AwakeTime:
    """A clock that stands still while nobody ticks. Safe between threads where one of them ticks.

    Args:
        now_s: time of the start, of a monotonic clock.
        allowance_s: what may lie between two ticks at most.
    """

    def __init__(self, now_s: float, allowance_s: float = ALLOWANCE_S) -> None:
        self._allowance_s = allowance_s
        self._last = now_s, 0.0  # the last tick, and all time lost before it; one value, so that no thread sees half of it

    def tick(self, now_s: float) -> None:
        """Be alive at this time."""
        self._last = now_s, self.lost_s(now_s)

    def lost_s(self, now_s: float) -> float:
        """All time so far that nobody lived through, by now."""
        last_s, lost_s = self._last
        return lost_s + max(0.0, now_s - last_s - self._allowance_s)

    def at(self, now_s: float) -> float:
        """What this clock shows at a time of the other one: equal to it until something is lost, and never back."""
        return now_s - self.lost_s(now_s)


class _Ticker(threading.Thread):
    """Ticks for this process, for as long as it lives."""

    def __init__(self) -> None:
        super().__init__(name="edgebll-awake", daemon=True)
        self.time = AwakeTime(monotonic())
        self._never = threading.Event()
        self.start()

    def run(self) -> None:
        """Tick."""
        while not self._never.wait(TICK_S):
            self.time.tick(monotonic())


_lock = threading.Lock()
_tickers: list[_Ticker] = []


def awake_s() -> float:
    """The monotonic clock without the time in which this process was stopped."""
    return _ticker().time.at(monotonic())


def absent_s() -> float:
    """For how long this process was stopped so far, or its machine asleep."""
    return _ticker().time.lost_s(monotonic()) + _asleep_s()


def _ticker() -> _Ticker:
    if not _tickers:
        with _lock:
            if not _tickers:
                _tickers.append(_Ticker())
    return _tickers[0]


def _asleep_s() -> float:
    """For how long this machine has been asleep since it was started; 0 where the system does not tell."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) - monotonic() if boot is not None else 0.0
