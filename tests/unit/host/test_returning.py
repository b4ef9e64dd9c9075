"""Boards that are away: how often the host looks for them, and whether the one that answers is the one it knew."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.board_runs import Silent

from edgebll.kernel.errors import LinkTimeout
from edgebll_firmware_host.fleet import scout as scouts
from edgebll_firmware_host.fleet.scout import Scout
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.look_schedule import LONGEST_S, LOOK_S
from edgebll_firmware_host.run.reconfiguration import CurrentIncarnation, Reconfiguration

BOARD = BoardEntry("a", "tcp://127.0.0.1:9")


class Clock:
    """A scout in virtual time, and when it looked for the board."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scouts, "probe", self._probe)
        self.scout, self.now_s, self._looked = Scout(None), 0.0, list[float]()

    def _probe(self, *_: object) -> None:
        self._looked.append(self.now_s)
        raise LinkTimeout("away")

    def pauses(self, seconds: float) -> list[float]:
        """Ask twice a second for so long; the times since the beginning when it looked."""
        began_s = self.now_s
        self._looked.clear()
        while self.now_s < began_s + seconds:
            assert not self.scout.found([BOARD], self.now_s)
            self.scout.close()
            self.now_s += 0.5
        return [when - began_s for when in self._looked]


def test_a_board_that_is_away_is_looked_for_every_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.scout.failed("a", 0.0)
    assert clock.pauses(7.0) == [LOOK_S, 2 * LOOK_S, 3 * LOOK_S]


def test_one_that_goes_away_again_and_again_is_looked_for_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for expected_s in (2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_S, LONGEST_S):
        clock.scout.failed("a", clock.now_s)
        assert clock.pauses(2.2 * expected_s) == [expected_s, 2 * expected_s]
    clock.scout.left("a", clock.now_s)
    assert clock.pauses(5.0) == [LOOK_S, 2 * LOOK_S], "one that ended in order may be back soon"


class Hearing(Silent):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def said(self, text: str) -> None:
        self.heard.append(text)


def test_another_device_under_a_known_name_is_noticed(tmp_path: Path) -> None:
    listener, cluster = Hearing(), Cluster((BOARD,))
    nothing: Any = SimpleNamespace(listener=listener, steps=0, written=-1)
    live = Reconfiguration(tmp_path, None, ["block0"], [1.0], nothing, nothing)
    for number, identity in enumerate(("first", "first", "second", "second"), 1):
        links = {"a": SimpleNamespace(welcome=SimpleNamespace(identity=identity))}
        fleet: Any = SimpleNamespace(links=links, boards={}, leaving=set())
        live.begin(CurrentIncarnation(number, cluster, fleet, Placement({"a": ("block0",)}), nothing, ()))
    live.close()
    assert listener.heard == ["a is another device than before, or lost its state folder: it is sent its files again"]
