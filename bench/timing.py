"""Timing several ways of doing one thing against each other, on a machine that others disturb."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

from contenders import Run

#: Every turn of every contender takes about as long, in seconds: at least one call, many of a short one.
_TURN_S = 0.02
#: Pause before a turn, in seconds, in which the threads of the contender before go to sleep.
_PAUSE_S = 0.005


def medians(
    runs: Mapping[str, Run], budget_s: float, least: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median time of one call of each in seconds.

    The contenders take turns, so that a disturbance of the machine hits all of them; each turn starts with a call that does
    not count, unless that alone fills it, and gives one figure: the mean of its calls. Turns are taken until the budget is
    used, at least `least`. The clock that times them is told in seconds.
    """
    lengths = {name: _warm(run, clock) for name, run in runs.items()}
    calls = {name: max(1, round(_TURN_S / length)) for name, length in lengths.items()}
    figures: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + budget_s
    gc.disable()
    try:
        while time.perf_counter() < end or min(map(len, figures.values())) < least:
            for name, run in runs.items():
                time.sleep(_PAUSE_S)
                if calls[name] > 1:
                    run()
                figures[name].append(_mean(run, calls[name], clock))
    finally:
        gc.enable()
    return {name: statistics.median(kept) for name, kept in figures.items()}


def _warm(run: Run, clock: Callable[[], float]) -> float:
    """Time of a call once warm."""
    run()
    return min(_mean(run, 1, clock) for _ in range(2))


def _mean(run: Run, calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        run()
    return (clock() - start) / calls
