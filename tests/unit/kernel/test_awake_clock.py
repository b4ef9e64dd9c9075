"""The clock that stands still while a process is stopped: as a function of ticks, and with a process that is really stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.kernel.errors import BoardError
from edgebll.kernel.support.awake_clock import TICK_S, AwakeTime, absent_s, awake_s
from edgebll_firmware_host.policy.recovery_policy import Patience

gaps = st.lists(st.floats(0, 100, allow_nan=False), max_size=30)


def test_it_is_the_other_clock_until_nobody_ticks() -> None:
    clock = AwakeTime(100.0, 1.0)
    for now in (100.5, 101.5, 102.0):
        assert (clock.at(now), clock.lost_s(now)) == (now, 0.0)
        clock.tick(now)
    assert clock.at(103.0) == 103.0
    assert clock.at(162.0) == clock.at(110.0) == 103.0, "stopped, and nobody has ticked yet"
    clock.tick(162.0)
    assert (clock.at(162.0), clock.lost_s(162.0)) == (103.0, 59.0)
    assert clock.at(162.5) == 103.5


@given(gaps, st.floats(0.1, 10))
def test_it_never_goes_back_and_counts_each_gap_up_to_the_allowance(gaps: list[float], allowance: float) -> None:
    clock, now, shown, lived = AwakeTime(7.0, allowance), 7.0, 7.0, 7.0
    for gap in gaps:
        for part in (0.25, 0.5, 1.0):
            assert clock.at(now + part * gap) >= shown - 1e-9
            shown = clock.at(now + part * gap)
        now, lived = now + gap, lived + min(gap, allowance)
        before = clock.at(now)
        clock.tick(now)
        assert abs(clock.at(now) - before) < 1e-9, "a tick itself changes nothing"
        assert abs(clock.at(now) - lived) < 1e-6


@given(gaps, st.integers(0, 29), st.floats(30, 3600))
def test_patience_does_not_feel_a_stop(gaps: list[float], where: int, stop_s: float) -> None:
    """Whether a run recovers is the same with and without a stop, but for what the allowance lets through."""

    def bears(stopped_s: float) -> list[bool]:
        clock, now = AwakeTime(0.0, 1.0), 0.0
        patience, decided = Patience(25.0, clock.at(0.0)), []
        for index, gap in enumerate(gaps):
            for _ in range(round(gap)):  # it ticks each second
                now += 1.0
                clock.tick(now)
            now += stopped_s if index == where else 0.0
            decided.append(patience.left_s(clock.at(now)) > 0 and patience.bears(BoardError("gone"), clock.at(now)))
        return decided

    assert bears(stop_s) == bears(1.0), "a stop of any length is one of a second"


def test_this_process_is_awake() -> None:
    absent, now = absent_s(), time.monotonic()
    shown = awake_s()
    assert now - 60 < shown <= time.monotonic()
    assert absent_s() >= absent - 0.1


def test_another_clock_in_its_place_loses_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of other parts set clocks; the thread that ticks must not see them."""
    lost, steps = absent_s(), threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 1e6)
        steps.wait(3 * TICK_S)  # it ticks meanwhile
    assert absent_s() - lost < 10.0


def test_a_process_that_was_really_stopped_knows_for_how_long() -> None:
    code = "import time\nfrom edgebll.kernel.support.awake_clock import *\n"
    code += "a = awake_s(), absent_s(), time.monotonic(); print('go', flush=True)\n"
    code += "input(); print(awake_s() - a[0], absent_s() - a[1], time.monotonic() - a[2])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "go\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        time.sleep(3.0)  # how long it is stopped
        process.stdin.write("\n")
        process.stdin.flush()
        process.send_signal(signal.SIGCONT)
        awake, absent, passed = (float(word) for word in process.stdout.read().split())
    assert passed >= 3.0
    assert abs(awake + absent - passed) < 0.5
    assert absent >= 1.9
