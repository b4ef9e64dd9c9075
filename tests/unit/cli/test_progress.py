"""Progress away from a terminal: plain lines with every block's loss."""

from __future__ import annotations

import time

import pytest

from edgebll.cli import progress as module
from edgebll.cli.progress import RunProgress


def test_lines_name_every_block(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "LINE_S", 0.0)
    with RunProgress("training") as progress:
        progress.started(["block0", "block1"], 5, 20)
        progress.stepped(6, [2.0, 1.0], 32)
        progress.stepped(7, [2.0, 1.0], 32)
        progress.evaluated(1, 7, {"accuracy": 0.5, "loss": 1.25})
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "edgebll: going on from step 5 of 20"
    assert lines[1] == "training: step 6 of 20, loss block0 2.000 block1 1.000"  # one step has no rate
    assert lines[2].endswith(" samples/s")
    assert lines[3] == "epoch 1: accuracy 50.00 %, loss 1.2500 (step 7 of 20)"


def test_a_loss_that_is_missing_once_spoils_none_that_follows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where boards' first reports overtake each other, a block's loss is not known yet."""
    monkeypatch.setattr(module, "LINE_S", 0.0)
    with RunProgress("training") as progress:
        progress.started(["block0", "block1"], 0, 20)
        progress.stepped(1, [float("nan"), 1.0], 32)
        progress.stepped(2, [3.0, float("nan")], 32)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("loss block0 - block1 1.000")
    assert "loss block0 3.000 block1 1.000, " in second


def test_lines_are_seconds_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress("training") as progress:
        progress.started(["block0"], 0, 1000)
        for step in range(1000):
            progress.stepped(step + 1, [1.0], 32)
    assert len(capsys.readouterr().err.splitlines()) <= 1


def test_throughput_counts_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = RunProgress("training")
    progress.started(["block0"], 0, 1000)
    for step in range(100):
        now[0] += 0.1 if step < 50 else 0.2
        progress.stepped(step + 1, [1.0], 10)
    assert progress._rate() == ("50 samples/s",)


def test_the_time_of_a_recovery_is_none_of_the_steps_after_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = RunProgress("pipeline")
    progress.started(["block0"], 0, 1000)
    for step in range(1, 20):
        now[0] += 0.1
        progress.stepped(step, [1.0], 10)
    now[0] += 60
    progress.said("goes on from step 5")
    now[0] += 10  # steps that were done before are repeated, and not shown
    progress.stepped(20, [1.0], 10)
    for step in range(21, 80):
        now[0] += 0.1
        progress.stepped(step, [1.0], 10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["goes on from step 5", "pipeline: step 20 of 1000, loss block0 1.000"]
    assert lines[2].endswith(", 100 samples/s")
