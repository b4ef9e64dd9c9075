"""How incidents are typed, and what chance makes of boards."""

from __future__ import annotations

import math

import pytest

from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.simulation.block_costs import NEVER
from edgebll_firmware_host.simulation.incidents import Fates, Incidents, Outage, duration_s, moments, outage

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("2.5min", 150.0), ("4h", 14400.0), ("20ms", 0.02), ("1d", 86400.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s("fail", text) == seconds


def test_outages_as_they_are_typed() -> None:
    assert outage("board3@120s") == Outage("board3", 120 * S)
    assert outage("board3@2min+30s") == Outage("board3", 120 * S, 150 * S)
    assert outage("kill:board3@1s") == Outage("board3", S, NEVER, silent=False)


@pytest.mark.parametrize("text", ["board3", "board3@", "@3s", "board3@120", "board3@-1s", "board3@1s+", "kill:", ""])
def test_what_is_no_outage_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^fail must (be BOARD@TIME|have times)"):
        outage(text)


def test_moments_name_a_board_once_and_no_duration() -> None:
    assert moments("join", ["a@1s", "b@2s"]) == {"a": S, "b": 2 * S}
    with pytest.raises(ConfigError, match="names a twice"):
        moments("join", ["a@1s", "a@2s"])
    with pytest.raises(ConfigError, match="without a duration"):
        moments("join", ["a@1s+2s"])


def test_scheduled_outages_are_found_by_time() -> None:
    fates = Fates(Incidents((outage("a@9s"), outage("a@2s+3s"))), ["a", "b"], 0)
    assert [fates.outage_at("a", at * S) is not None for at in (1, 2, 4, 5, 8, 9, 99)] == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert fates.next_outage("a", 0) == Outage("a", 2 * S, 5 * S)
    assert fates.next_outage("a", 2 * S) == Outage("a", 9 * S)
    assert fates.next_outage("a", 9 * S) is None
    assert fates.next_outage("b", 0) is None


@pytest.mark.parametrize("shape", [1.0, 0.7, 3.0])
def test_lives_have_the_mean_and_the_median_of_a_weibull_distribution(shape: float) -> None:
    names = [f"board{number}" for number in range(1500)]
    fates = Fates(Incidents(mean_life_s=100.0, life_shape=shape), names, 7)
    lives = sorted(one.from_ns / S for name in names if (one := fates.next_outage(name, 0)))
    assert sum(lives) / len(lives) == pytest.approx(100.0, rel=0.1)
    scale = 100.0 / math.gamma(1 + 1 / shape)
    assert lives[750] == pytest.approx(scale * math.log(2) ** (1 / shape), rel=0.12)


def test_boards_that_are_repaired_fail_again() -> None:
    fates, at, seen = Fates(Incidents(mean_life_s=100.0, repair_s=10.0), ["a"], 1), 0, 0
    while (one := fates.next_outage("a", at)) is not None and one.from_ns < 10_000 * S:
        assert one.back_ns - one.from_ns == 10 * S
        at, seen = one.from_ns, seen + 1
    assert 60 < seen < 125
