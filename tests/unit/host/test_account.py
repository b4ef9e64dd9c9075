"""What a run has cost, over the processes that worked on it, of which all but the last were killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.board_runs import Silent

from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.wire import EVAL, TRAIN, Report
from edgebll_firmware_host.policy.recovery_policy import Recovery
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import Outcome
from edgebll_firmware_host.run_files.cost_account import TOTALS, Account
from edgebll_firmware_host.run_files.cost_totals import MAX_SPANS

RUN = "run"
#: What the monotonic clock of a process shows when it begins, and how many seconds it counts; the machine was started between.
CLOCKS = ((10**12, 40.0), (5 * 10**9, 20.0), (7 * 10**9, 5.0))
AHEAD_NS = 3 * 10**9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The host's monotonic clock."""
    now = {"ns": 0}
    monkeypatch.setattr("edgebll_firmware_host.run_files.cost_account.time.monotonic_ns", lambda: now["ns"])
    return now


def work(run: Path, clock: dict[str, int], number: int) -> Account:
    """What the number-th process counts before it is killed: one training step, a second after it began, and a failure."""
    began_ns, seconds = CLOCKS[number]
    account = Account(run)
    account.outcome = Outcome(start_seconds=1.0 + number, bytes_streamed=100 * (number + 1), bytes_shipped=number)
    account.go_on(20 * number, 0.0)
    clock["ns"] = began_ns
    account.begin()
    start_ns = began_ns + 10**9 + AHEAD_NS
    place, times = (RUN, "block0", TRAIN, 7, 20 * number), (start_ns, start_ns + 10**8)
    account.count("board", Report(*place, {}, *times, sent_bytes=5 + number, unpacked_bytes=90), AHEAD_NS)
    account.outcome.recoveries.append(Recovery(f"failure {number}", "board", 0.0))
    clock["ns"] = began_ns + round(seconds * 1e9)
    account.write()
    return account


def test_the_sum_is_over_all_processes(tmp_path: Path, clock: dict[str, int]) -> None:
    for number in range(2):
        work(tmp_path, clock, number)
    total = work(tmp_path, clock, 2).end(5.0)
    assert (total.processes, total.from_step) == (3, 0)
    assert total.seconds == 40.0 + 20.0 + 5.0
    assert total.start_seconds == 1.0, "until the run began for the first time"
    assert total.busy_ns == {"block0": 3 * 10**8}
    assert (total.bytes_streamed, total.bytes_shipped) == (100 + 200 + 300, 0 + 1 + 2)
    assert (total.link_bytes, total.link_bytes_unpacked) == ({"block0": 5 + 6 + 7}, {"block0": 3 * 90})
    assert [recovery["reason"] for recovery in total.recoveries] == ["failure 0", "failure 1", "failure 2"]
    assert [span.start_ns / 1e9 for span in total.spans] == [1.0, 41.0, 61.0], "on one clock, without what lay between"
    facts = total.facts(("block0", "block1"))
    assert facts["busy_fraction"] == {"block0": pytest.approx(0.3 / 65), "block1": 0.0}
    assert facts["seconds"] == 65.0


def test_what_is_counted_goes_to_the_disk_and_nothing_twice(tmp_path: Path, clock: dict[str, int]) -> None:
    account = work(tmp_path, clock, 0)
    account.write()
    account.outcome.recoveries[0].restored(5, 2.0, 9)
    account.write()
    lines = [json.loads(line) for line in (tmp_path / TOTALS).read_text().splitlines() if line]
    kinds = [line["kind"] for line in lines]
    assert kinds == ["process", "totals", "recovery", "spans", "totals", "totals", "recovery"]
    assert [line["step"] for line in lines if line["kind"] == "recovery"] == [None, 5]
    assert Account(tmp_path).end(0.0).recoveries[0]["restore_seconds"] == 2.0


def test_what_is_damaged_is_passed_over(tmp_path: Path, clock: dict[str, int]) -> None:
    """A line that a killed process left unfinished, and whatever else may stand there."""
    work(tmp_path, clock, 0)
    with (tmp_path / TOTALS).open("ab") as stream:
        stream.write(b'\n[]\n{"kind": "spans", "spans": [1]}\n{"kind": "recovery", "number": "x"}\n\xff\n' + b"[" * 100_000)
        stream.write(b'\n{"kind": "totals", "seconds": 1, "busy_ns": 3}\n{"kind": "totals", "seconds": 99')
    total = work(tmp_path, clock, 1).end(20.0)
    assert (total.processes, total.bytes_streamed, len(total.recoveries), len(total.spans)) == (2, 300, 2, 2)


def test_where_it_was_lost_the_sum_says_from_where_on_it_counts(tmp_path: Path, clock: dict[str, int]) -> None:
    account = Account(tmp_path)
    account.go_on(20, 33.0)
    account.begin()
    assert account.seconds() == 33.0
    account.write()
    later = Account(tmp_path)
    later.go_on(40, 66.0)
    later.begin()
    total = later.end(2.0)
    assert (total.from_step, total.seconds, total.processes) == (20, 35.0, 2)


def test_a_snapshot_is_taken_of_what_was_written_down(tmp_path: Path) -> None:
    """So what the next process does not do again is counted."""
    with RunFolder.create(tmp_path / "run", {}) as folder:
        recorder = Recorder(folder, Silent(), ("block0",), 4, 5, 4)
        recorder.take("board", Report(RUN, "block0", TRAIN, 0, 0, {}, 0, 5), 0)
        recorder.progress()
    assert Account(tmp_path / "run").end(0.0).busy_ns == {"block0": 5}


def test_a_run_that_was_never_counted_has_no_cost(tmp_path: Path) -> None:
    total = Account(tmp_path).end(0.0)
    assert (total.seconds, total.spans, total.facts(("block0",))["busy_fraction"]) == (0.0, [], {"block0": 0.0})


def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    account = Account(tmp_path / "gone")
    account.count("board", Report(RUN, "block0", EVAL, 0, 0, {}, 0, 5), 0)
    account.write()
    assert account.end(1.0).busy_ns == {"block0": 5}


def test_the_first_spans_are_kept_whichever_process_saw_them(tmp_path: Path) -> None:
    for number in range(2):
        account = Account(tmp_path)
        for sequence in range(MAX_SPANS * 3 // 4):
            account.count(f"board{number}", Report(RUN, "block0", EVAL, sequence, 0, {}, 0, 1), 0)
        account.write()
    spans = Account(tmp_path).end(0.0).spans
    assert len(spans) == MAX_SPANS
    assert sum(span.board == "board0" for span in spans) == MAX_SPANS * 3 // 4
