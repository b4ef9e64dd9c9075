"""Latency of a call: what half of the calls keep to, and what all but one in twenty do."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

#: Calls that do not count: the first ones take memory and start threads.
_WARM_UP = 3
_LEAST, _MOST = 20, 100_000


class Latency(NamedTuple):
    """Of one call, in milliseconds.

    Attributes:
        calls: how many were timed.
        p50_ms: the median.
        p95_ms: the 95th percentile.
        min_ms: the fastest.
    """

    calls: int
    p50_ms: float
    p95_ms: float
    min_ms: float


def measure(call: Callable[[], object], seconds: float) -> Latency:
    """Time calls one after another.

    Args:
        call: what is timed.
        seconds: to go on for, but for at least 20 calls.
    """
    for _ in range(_WARM_UP):
        call()
    times: list[int] = []
    end = time.perf_counter() + seconds
    collects = gc.isenabled()
    gc.disable()
    try:
        while (time.perf_counter() < end or len(times) < _LEAST) and len(times) < _MOST:
            start = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - start)
    finally:
        if collects:
            gc.enable()
    p50, p95 = (float(value) / 1e6 for value in np.percentile(times, (50, 95)))
    return Latency(len(times), p50, p95, min(times) / 1e6)
