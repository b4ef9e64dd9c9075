"""A run whose board is killed, then its host, and that is resumed: what it leaves tells of all of it."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from support.pipelines import HostProcess, invoke, summary

EPOCHS, BATCH, TRAINING, TEST, LR = 6, 16, 1437, 360, 0.05
STEPS_PER_EPOCH = TRAINING // BATCH
#: Floats: an image of 8 x 8, and a label of 10 classes.
TOKEN_BYTES = 4 * BATCH * (64 + 10)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def test_a_resumed_run_tells_of_all_of_it(dense_bundle: Path, tmp_path: Path) -> None:
    run, before_s = tmp_path / "run", time.time()
    options = ("--epochs", str(EPOCHS), "--boards", "2", "--snapshot-every", "20", "--schedule", "cosine", "--lr", str(LR))
    with HostProcess("simulate", dense_bundle, run, *options) as host:
        host.await_epoch()
        os.kill(host.boards()[0], signal.SIGKILL)
        await_recovery(run / "totals.jsonl")
        host.process.send_signal(signal.SIGKILL)
        host.end()
    killed = [line for line in read(run / "totals.jsonl") if line["kind"] == "totals"][-1]
    resumed_s = time.time()
    invoke("simulate", "--resume", run)
    found, lines = summary(run), read(run / "totals.jsonl")
    last = [line for line in lines if line["kind"] == "totals"][-1]
    assert (found["processes"], found["counted_from_step"]) == (2, 0)
    assert found["seconds"] == killed["seconds"] + last["seconds"]
    assert found["bytes_shipped"] == killed["bytes_shipped"] + last["bytes_shipped"]
    check_bytes(found, killed, last)
    (recovery,) = found["recoveries"]
    assert recovery["board"] in ("board0", "board1")
    assert recovery["replay_seconds"] > 0
    check_timeline(run, found)
    check_metrics(run, before_s, resumed_s)


def await_recovery(path: Path) -> None:
    """Wait until a recovery has come through."""
    deadline = time.monotonic() + 60.0
    while not any(line["kind"] == "recovery" and line["replay_seconds"] is not None for line in whole_lines(path)):
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Lines of a file that is being written."""
    return [json.loads(line) for line in path.read_text().rpartition("\n")[0].splitlines() if line]


def check_bytes(found: dict[str, Any], killed: dict[str, Any], last: dict[str, Any]) -> None:
    """Every training step and every evaluation, and what was replayed of them; all are batches of the same size."""
    assert found["bytes_streamed"] == killed["bytes_streamed"] + last["bytes_streamed"]
    tokens, rest = divmod(found["bytes_streamed"], TOKEN_BYTES)
    assert rest == 0
    assert tokens >= EPOCHS * (STEPS_PER_EPOCH + math.ceil(TEST / BATCH))


def check_timeline(run: Path, found: dict[str, Any]) -> None:
    """Each block's every training step is there, and what was replayed more than once; the sum is what the blocks were busy."""
    events = json.loads((run / "timeline.json").read_text())["traceEvents"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    spans = [(names[e["pid"], e["tid"]], e) for e in events if e["ph"] == "X"]
    for block in ("block0", "block1"):
        mine = [event for name, event in spans if name == block]
        seen = Counter(event["args"]["step"] for event in mine if event["name"].startswith("TRAIN"))
        assert set(seen) == set(range(EPOCHS * STEPS_PER_EPOCH))
        busy_s = sum(event["dur"] for event in mine) / 1e6
        assert math.isclose(found["busy_fraction"][block], busy_s / found["seconds"], rel_tol=1e-6)
    assert max(event["ts"] + event["dur"] for _, event in spans) / 1e6 <= found["seconds"] + 1.0, "no downtime is in it"


def check_metrics(run: Path, before_s: float, resumed_s: float) -> None:
    """Each line says when, and each step its learning rate: that of a cosine over the whole run."""
    steps = EPOCHS * STEPS_PER_EPOCH
    lines = read(run / "metrics.jsonl")
    for line in lines:
        assert before_s <= line["time"] <= time.time()
        if line["kind"] == "train":
            assert math.isclose(line["lr"], LR * (1 + math.cos(math.pi * line["step"] / steps)) / 2, rel_tol=1e-12)
    trained = {line["step"]: line["time"] for line in lines if line["kind"] == "train"}
    assert trained[0] < resumed_s < trained[steps - 1], "those before the kill are as they were written"
