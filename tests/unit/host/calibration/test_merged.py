"""What stays of an earlier calibration when boards are calibrated again."""

from __future__ import annotations

from dataclasses import replace

from edgebll_firmware_host.calibration.calibrate import merged
from edgebll_firmware_host.calibration.link_timing import LARGE_BYTES, SMALL_BYTES, rate
from edgebll_firmware_host.policy.calibration import BoardMeasured, Calibration, LinkMeasured, RateMeasured, StepMeasured

STEP = StepMeasured("a", "f" * 64, "block0", "onnxruntime", 1, 0.5)
RATE = RateMeasured("a", "onnxruntime", "float32", 1, 2.0, 3.0)
LINK = LinkMeasured("host", "a", 0.1, 1e6)
OLD = Calibration("then", "cold", "0", (BoardMeasured("a", "15W", 0.1, 0.2, 0.3, 4.0, 9.0),), (RATE,), (STEP,), (LINK,))


def new(board: BoardMeasured) -> Calibration:
    return Calibration("now", "warm", "1", (board,), (replace(RATE, gflops=5.0),), (replace(STEP, seconds=0.25),))


def test_what_was_measured_again_is_replaced_and_the_rest_stays() -> None:
    found = merged(OLD, new(BoardMeasured("a", "15W", message_s=0.7)))
    assert (found.date, found.conditions, found.release) == ("now", "warm", "1")
    assert (found.rate, found.step, found.link) == ((replace(RATE, gflops=5.0),), (replace(STEP, seconds=0.25),), (LINK,))
    others = new(BoardMeasured("b"))
    others = replace(others, rate=(replace(RATE, threads=2),), step=(replace(STEP, bundle="e" * 64),))
    assert [len(part) for part in (merged(OLD, others).board, merged(OLD, others).rate, merged(OLD, others).step)] == [2, 2, 2]
    assert merged(None, others) == others


def test_watts_stay_as_somebody_wrote_them_in_the_same_power_mode() -> None:
    (found,) = merged(OLD, new(BoardMeasured("a", "15W", message_s=0.7))).board
    assert found == BoardMeasured("a", "15W", 0.1, 0.7, 0.3, 4.0, 9.0)
    (other,) = merged(OLD, new(BoardMeasured("a", "25W", message_s=0.7))).board
    assert other == BoardMeasured("a", "25W", message_s=0.7)


def test_what_opening_takes_is_in_no_rate() -> None:
    opening_s, bytes_per_s = 0.02, 1e6
    assert abs(rate(opening_s + SMALL_BYTES / bytes_per_s, opening_s + LARGE_BYTES / bytes_per_s) / bytes_per_s - 1) < 1e-9
    assert rate(0.01, 0.011) == LARGE_BYTES / 0.011, "no more than noise between the two"
