"""The heartbeat of long work, with a clock and waits of its own."""

from __future__ import annotations

import pytest

from edgebll_devices.runtimes.tensorrt.callbacks import BuildProgress, Messages
from edgebll_devices.runtimes.tensorrt.progress_heartbeat import Heartbeat


class Clock:
    """Time passes only in waits; the work is over after `beats` of them."""

    def __init__(self, beats: int) -> None:
        self.now, self._beats = 100.0, beats

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        if not self._beats:
            return True
        self._beats -= 1
        self.now += seconds
        return False


def test_it_tells_at_the_start_every_few_seconds_and_at_the_end() -> None:
    clock, said = Clock(3), list[str]()
    details = iter(["", "Timing 1 of 3", "Timing 2 of 3"])
    with Heartbeat("building a", said.append, detail=lambda: next(details), period_s=5.0, clock=clock, wait=clock.wait) as beat:
        beat._thread.join()
    assert said == [
        "building a",
        "still building a: 5 s so far",
        "still building a: 10 s so far, Timing 1 of 3",
        "still building a: 15 s so far, Timing 2 of 3",
        "building a: done in 15.0 s",
    ]


def test_work_that_fails_is_not_called_done() -> None:
    clock, said = Clock(0), list[str]()
    with pytest.raises(ValueError, match="no"), Heartbeat("building", said.append, clock=clock, wait=clock.wait):
        raise ValueError("no")
    assert said == ["building"]


def test_the_thread_ends_with_the_work() -> None:
    with Heartbeat("building", lambda text: None, period_s=1000.0) as beat:
        assert beat._thread.is_alive()
    assert not beat._thread.is_alive()


def test_progress_names_the_outermost_phase() -> None:
    progress = BuildProgress()
    assert progress.words() == ""
    progress.start("Building Engine", 4)
    progress.start("Timing", 10)
    progress.step("Timing", 0)
    progress.step("Building Engine", 1)
    assert progress.words() == "Building Engine 2 of 4"
    progress.finish("Building Engine")
    assert progress.words() == "Timing 1 of 10"
    progress.finish("Timing")
    progress.finish("Timing")
    progress.start("Optimising", 1)
    assert progress.words() == "Optimising"


def test_messages_are_kept_once_each() -> None:
    messages = Messages()
    for severity, text in [("WARNING", "a\n  b"), ("INFO", "no"), ("WARNING", "a b"), ("ERROR", "c"), ("INTERNAL_ERROR", "d")]:
        messages.take(severity, text)
    assert (messages.warnings, messages.errors) == (["a b"], ["c", "d"])
    messages.clear()
    assert (messages.warnings, messages.errors) == ([], [])
