"""How an agent knows at its start that it was killed for want of memory: by the system's count of such kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebll.kernel.errors import StorageError
from edgebll.kernel.limits import kills_for_memory
from edgebll_devices.agent import last_hosting
from edgebll_devices.agent.last_hosting import LastHosting, Starved


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The system's count, to be changed."""
    count = [7]
    monkeypatch.setattr(last_hosting, "kills_for_memory", lambda: count[0])
    return count


def test_killed_while_it_hosted(tmp_path: Path, kills: list[int]) -> None:
    LastHosting(tmp_path / "a.json").begins("run", ("block0", "block1"))
    kills[0] += 1
    again = LastHosting(tmp_path / "a.json")
    assert again.starved("run") == Starved("run", ("block0", "block1"), 1)
    assert again.starved("other") == Starved()
    again.begins("run", ("block0",))
    assert LastHosting(tmp_path / "a.json").starved("run").times == 1, "ended otherwise this time"
    again.begins("run", ("block0",))
    kills[0] += 1
    assert LastHosting(tmp_path / "a.json").starved("run") == Starved("run", ("block0",), 2)


@pytest.mark.parametrize("more", [0, 1])
def test_one_that_let_go_was_not(more: int, tmp_path: Path, kills: list[int]) -> None:
    hosting = LastHosting(tmp_path / "a.json")
    hosting.begins("run", ("block0",))
    hosting.over()
    kills[0] += more
    assert LastHosting(tmp_path / "a.json").starved("run") == Starved()


def test_one_whose_machine_was_restarted_is_not_known(
    tmp_path: Path, kills: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    LastHosting(tmp_path / "a.json").begins("run", ("block0",))
    kills[0] += 1
    monkeypatch.setattr(last_hosting, "_boot", lambda: "another")
    assert LastHosting(tmp_path / "a.json").starved("run") == Starved()


def test_a_damaged_note_and_a_disk_that_refuses_cost_the_note_alone(
    tmp_path: Path, kills: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text('{"run": 3}')
    hosting = LastHosting(tmp_path / "a.json")
    assert hosting.starved("run") == Starved()

    def refuse(path: Path, value: object) -> None:
        raise StorageError("no room")

    monkeypatch.setattr(last_hosting, "write_json", refuse)
    hosting.begins("run", ("block0",))
    hosting.over()


def test_the_system_counts_whom_it_kills(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    assert kills_for_memory(tmp_path) is None
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 5\noom_kill 12\noom_kill_other 3\n")
    assert kills_for_memory(tmp_path) == 12
