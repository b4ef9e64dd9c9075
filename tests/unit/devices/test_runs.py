"""What a board remembers of runs, in memory and on its disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebll.kernel.errors import StorageError
from edgebll_devices.agent.run_history import KEPT, RunHistory

FILE = "runs/board.json"


def test_the_highest_incarnation_of_a_run_outlives_a_restart(tmp_path: Path) -> None:
    runs = RunHistory(tmp_path / FILE)
    assert runs.newest("a") == 0
    for incarnation in (1, 5, 3):
        runs.note("a", incarnation)
    runs.note("b", 2)
    again = RunHistory(tmp_path / FILE)
    assert [again.newest(run) for run in "abc"] == [5, 2, 0]
    assert again.others("a") == {"b"}, "stray tokens of it are known after a restart too"


def test_hosts_that_only_ask_who_is_there_are_not_kept_and_push_nobody_out(tmp_path: Path) -> None:
    runs = RunHistory(tmp_path / FILE)
    runs.note("a", 1)
    for number in range(2 * KEPT):
        runs.note(f"probe{number}", 0)
    assert runs.others("") >= {"a", f"probe{2 * KEPT - 1}"}
    assert len(runs.others("")) == KEPT + 1
    assert json.loads((tmp_path / FILE).read_text()) == {"runs": [{"run": "a", "incarnation": 1}]}


def test_the_newest_runs_are_kept(tmp_path: Path) -> None:
    runs = RunHistory(tmp_path / FILE)
    for number in range(KEPT):
        runs.note(f"run{number}", 1)
    runs.note("run0", 2)  # it is the newest now
    runs.note("more", 1)
    for known in (runs, RunHistory(tmp_path / FILE)):
        assert [known.newest(run) for run in ("run0", "run1", "run2", "more")] == [2, 0, 1, 1]
    assert len(json.loads((tmp_path / FILE).read_text())["runs"]) == KEPT


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"runs": [{"run": 1, "incarnation": 2}]}',
        b'{"runs": [{"run": "a", "incarnation": "2"}]}',
        b"[" * 100_000,
        b" " * (5 << 20),
    ],
)
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(content)
    runs = RunHistory(tmp_path / FILE)
    assert "board.json cannot be used and is begun anew" in caplog.text
    assert runs.newest("a") == 0
    runs.note("a", 2)
    assert RunHistory(tmp_path / FILE).newest("a") == 2


def test_what_the_disk_refuses_is_not_taken_for_kept(tmp_path: Path) -> None:
    runs = RunHistory(tmp_path / FILE)
    runs.note("a", 1)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(StorageError):
        runs.note("a", 2)
    assert runs.newest("a") == 1


def test_what_others_of_the_folder_have_seen_counts_and_nobody_writes_anothers_file(tmp_path: Path) -> None:
    left, right = (tmp_path / "runs" / f"{name}.json" for name in ("left", "right"))
    one, other = RunHistory(left), RunHistory(right)
    one.note("a", 5)
    other.note("a", 3)
    other.note("b", 1)
    (tmp_path / "runs.json").write_text('{"runs": [{"run": "old", "incarnation": 4}]}')  # of an earlier release
    for path in (left, right, tmp_path / "runs" / "new.json"):
        assert [RunHistory(path).newest(run) for run in ("a", "b", "old", "c")] == [5, 1, 4, 0]
    assert json.loads(right.read_text())["runs"] == [{"run": "a", "incarnation": 3}, {"run": "b", "incarnation": 1}]
    assert not (tmp_path / "runs" / "new.json").exists()
