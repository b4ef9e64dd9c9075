"""What boards send is checked before it is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError, LinkError
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.wire import EVAL, TRAIN, Pong, Report, State
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.next_actions import BoardState, RunState
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.report_inbox import ReportInbox
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter
from edgebll_firmware_host.run_files.timeline_spans import BoardSpan, chrome_trace, write_timeline

RUN = "run"
LINKS: Any = {
    name: SimpleNamespace(name=name, run=RUN, incarnation=0, where=f"board {name} at tcp://127.0.0.1:1", clock_offset_ns=offset)
    for name, offset in (("a", 0), ("b", 5_000_000_000))
}


class Told(Listener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[list[float]] = []
        self.accuracies: list[float] = []

    def stepped(self, step: int, losses: Any, samples: int) -> None:
        self.steps.append(step)
        self.losses.append(list(losses))

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        self.accuracies.append(metrics["accuracy"])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=2)


class Desk:
    """An inbox with all that belongs to it; block0 runs on board a, block1 on board b."""

    def __init__(self, bundle: Bundle, folder: RunFolder) -> None:
        self.told = Told()
        self.recorder = Recorder(folder, self.told, ("block0", "block1"), 4, steps_per_epoch=2, test_samples=6)
        boards = {"a": BoardState(0.0), "b": BoardState(0.0)}
        self.state = RunState(3, 10.0, 60.0, boards, {"block0", "block1"}, 0.0, fed=3)
        self.snapshots = SnapshotWriter(bundle, self.recorder)
        placement = Placement({"a": ("block0",), "b": ("block1",)})
        self.inbox = ReportInbox(bundle, placement, self.state, self.recorder, self.snapshots)
        self.bundle = bundle

    def report(self, board: str, sequence: int, kind: str = TRAIN, **changes: object) -> None:
        values: dict = {"loss": 1.0} if kind == TRAIN else {}
        block = "block0" if board == "a" else "block1"
        report = Report(RUN, block, kind, sequence, sequence, values, start_ns=1000, end_ns=3000)
        self.inbox.take(LINKS[board], replace(report, **changes))  # type: ignore[arg-type]

    def give(self, board: str, sequence: int, *, final: bool, **tensors: Any) -> None:
        block = "block0" if board == "a" else "block1"
        state = {**self.bundle.state(block), **tensors}
        self.inbox.take(LINKS[board], State(RUN, block, sequence, 0, final, tensors=state))


@pytest.fixture
def desk(bundle: Bundle, tmp_path: Path) -> Iterator[Desk]:
    with RunFolder.create(tmp_path / "run", {}) as folder:
        made = Desk(bundle, folder)
        with made.snapshots:
            yield made


def test_only_the_last_block_makes_progress(desk: Desk) -> None:
    desk.report("a", 0)
    desk.report("a", 1)
    assert desk.state.done == 0
    desk.report("b", 0, values={"loss": 3.0})
    assert desk.state.done == 1
    assert desk.told.steps == [1]
    assert desk.told.losses == [[1.0, 3.0]]


@pytest.mark.parametrize("sequence", [0, 2])
def test_a_missing_or_repeated_message_is_noticed(desk: Desk, sequence: int) -> None:
    desk.report("a", 0)
    with pytest.raises(LinkError, match=f"reported token {sequence} of block0, expected 1; the connection lost a message"):
        desk.report("a", sequence)


@pytest.mark.parametrize("changes", [{"block": "block1"}, {"block": "block9"}, {"run": "other"}, {"incarnation": 1}])
def test_a_board_speaks_for_its_own_blocks_only(desk: Desk, changes: dict) -> None:
    with pytest.raises(BoardError, match="which it does not host"):
        desk.report("a", 0, **changes)
    assert desk.state.done == 0


def test_final_states_are_collected_and_what_was_owed_is_paid(desk: Desk) -> None:
    desk.inbox.expect_states()
    sizes = {spec.name: spec.state_bytes for spec in desk.bundle.manifest.blocks}
    assert {name: board.owed_bytes for name, board in desk.state.boards.items()} == {"a": sizes["block0"], "b": sizes["block1"]}
    desk.give("b", 0, final=True)
    desk.give("a", 0, final=True)
    assert [board.owed_bytes for board in desk.state.boards.values()] == [0, 0]
    assert set(desk.inbox.finals) == {"block0", "block1"}
    assert not desk.state.missing_finals


def test_a_state_that_does_not_fit_is_refused(desk: Desk) -> None:
    with pytest.raises(BoardError, match=r"board a at .* sent a state that does not fit: .*'w' must be"):
        desk.give("a", 0, final=True, w=np.zeros((1, 1), np.float32))
    assert not desk.inbox.finals


def test_snapshots_are_written_when_all_blocks_gave_theirs_and_two_are_kept(desk: Desk) -> None:
    folder = desk.recorder.folder.path / "snapshots"
    for sequence in range(4):
        desk.inbox.take(LINKS["a"], State(RUN, "block0", sequence, sequence, False, tensors=desk.bundle.state("block0")))
        desk.inbox.take(LINKS["b"], State(RUN, "block1", sequence, sequence, False, tensors=desk.bundle.state("block1")))
    desk.inbox.take(LINKS["a"], State(RUN, "block0", 4, 4, False, tensors=desk.bundle.state("block0")))
    with desk.snapshots:  # waits for the disk
        pass
    assert sorted(path.name for path in folder.iterdir()) == ["step000000002", "step000000003"]
    names = ["block0.safetensors", "block1.safetensors", "snapshot.json"]
    assert sorted(path.name for path in (folder / "step000000003").iterdir()) == names


def test_an_evaluation_is_summed_over_its_batches_and_padding_does_not_count(desk: Desk) -> None:
    first = {"correct": 3.0, "loss_sum": 2.0, "count": 4.0}
    second = {"correct": 0.0, "loss_sum": 4.0, "count": 2.0}
    desk.report("a", 0, EVAL)
    desk.report("b", 0, EVAL, values=first)
    assert desk.recorder.accuracy is None
    desk.report("b", 1, EVAL, values=second)
    assert desk.recorder.accuracy == 0.5
    assert desk.recorder.loss == 1.0
    assert desk.told.accuracies == [0.5]


def test_what_is_replayed_is_recorded_once(desk: Desk) -> None:
    """Steps that were recorded before the failure, and an evaluation that it cut off or that was whole."""
    half, rest = {"correct": 1.0, "loss_sum": 2.0, "count": 4.0}, {"correct": 1.0, "loss_sum": 1.0, "count": 2.0}
    take = desk.recorder.take
    for times in range(3):
        desk.recorder.begin_incarnation()
        for step in range(2 + times):
            take("a", Report(RUN, "block0", TRAIN, step, step, {"loss": 1.0}, 0, 1), 0)
            take("b", Report(RUN, "block1", TRAIN, step, step, {"loss": 2.0}, 0, 1), 0)
        for values in (half, rest)[: times + 1]:
            take("b", Report(RUN, "block1", EVAL, 9, 2, values, 0, 1), 0)
    desk.recorder.folder.flush()
    lines = [json.loads(line) for line in (desk.recorder.folder.path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line.get("block") == "block1"] == [0, 1, 2, 3]
    assert [line["accuracy"] for line in lines if line["kind"] == "eval"] == [2 / 6]
    assert desk.told.steps == [1, 2, 3, 4]
    assert desk.recorder.news == 2 * 4 + 1


@pytest.mark.parametrize("values", [{}, {"correct": 1.0, "loss_sum": 1.0}, {"correct": 1.0, "loss_sum": 1.0, "count": 0.0}])
def test_an_evaluation_without_its_values_is_refused(desk: Desk, values: dict) -> None:
    with pytest.raises(BoardError, match="board b reports an evaluation that classification cannot count; update edgebll"):
        desk.report("b", 0, EVAL, values=values)


def test_what_is_not_about_a_block_is_ignored(desk: Desk) -> None:
    desk.inbox.take(LINKS["a"], Pong(1, 2))
    assert desk.state.done == 0


def test_the_timeline_is_on_the_hosts_clock_even_for_reports_from_before_it_was_known(desk: Desk) -> None:
    """Board b's clock is 5 s ahead, which the host learns only after its first report."""
    desk.report("a", 0)
    LINKS["b"].clock_offset_ns = 0
    desk.report("b", 0, start_ns=5_000_004_000, end_ns=5_000_006_000)
    LINKS["b"].clock_offset_ns = 5_000_000_000
    desk.report("b", 1, start_ns=5_000_006_000, end_ns=5_000_009_000)
    write_timeline(desk.recorder.folder.path, desk.recorder.account.end(1.0).spans)
    events = json.loads((desk.recorder.folder.path / "timeline.json").read_text())["traceEvents"]
    spans = [(event["name"], event["pid"], event["ts"], event["dur"]) for event in events if event["ph"] == "X"]
    assert spans == [("TRAIN 0", 1, 0.0, 2.0), ("TRAIN 0", 2, 3.0, 2.0), ("TRAIN 1", 2, 5.0, 3.0)]


def test_a_board_is_a_process_and_a_block_a_thread_of_the_trace() -> None:
    spans = [
        BoardSpan("a", "block0", TRAIN, 0, 0, 0, 1000),
        BoardSpan("a", "block1", TRAIN, 0, 0, 1000, 2000),
        BoardSpan("b", "block2", EVAL, 7, 1, 5, 6),
    ]
    events = chrome_trace(spans)
    named = {(e["name"], e["args"]["name"]): (e["pid"], e["tid"]) for e in events if e["ph"] == "M"}
    assert named[("process_name", "a")][0] != named[("process_name", "b")][0]
    assert named[("thread_name", "block0")][0] == named[("thread_name", "block1")][0] == named[("process_name", "a")][0]
    assert len({named[("thread_name", f"block{i}")][1] for i in range(3)}) == 3
    assert [e["name"] for e in events if e["ph"] == "X"] == ["TRAIN 0", "TRAIN 0", "EVAL 7"]
