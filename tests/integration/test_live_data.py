"""Training while samples come: on this machine and on boards, stopped and resumed, to the bits of a training on the record."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_calls import call, sentence
from support.gated_source import OPENED

import edgebll
from edgebll.data import LiveSource
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.runs.run_folder import read_config

COUNT, CLASSES = 100, ("rest", "walk", "run")
TINY: dict[str, Any] = {"network": "mlp", "network_option": {"width": 8, "depth": 2}, "blocks": 2, "batch_size": 8, "epochs": 2}


def sensor(first: int = 0, until: int = COUNT, gate: threading.Event | None = None, closed_at: int = COUNT) -> Iterator[Any]:
    for number in range(first, until):
        if gate is not None and number >= closed_at:
            assert gate.wait(60)
        label = number % 3
        yield np.random.default_rng(number).normal(label, 1, 6).astype(np.float32), CLASSES[label]


def source(folder: Path, **options: Any) -> LiveSource:
    return LiveSource(lambda: sensor(**options), folder, count=COUNT, classes=CLASSES)


def test_a_training_takes_samples_as_they_come(tmp_path: Path) -> None:
    gate, steps = threading.Event(), []

    def told(event: Any) -> None:
        if event.kind == "step":
            steps.append(event.step)
            if event.step == 5:  # 40 training samples of the first 50; the next batch needs others
                gate.set()

    live = edgebll.train(tmp_path / "live", data=source(tmp_path / "record", gate=gate, closed_at=52), **TINY, progress=told)
    assert steps == list(range(1, 21))
    replayed = edgebll.train(tmp_path / "replayed", data=tmp_path / "record", **TINY)
    assert replayed.state_sha256 == live.state_sha256
    assert replayed.accuracy == live.accuracy
    assert read_config(live.path)["data"] == str(tmp_path / "record")


def test_a_run_that_lost_its_source_goes_on_with_what_comes_then(tmp_path: Path) -> None:
    whole = edgebll.train(tmp_path / "whole", data=source(tmp_path / "first"), **TINY)
    options = {**TINY, "checkpoint_steps": 1}
    with pytest.raises(
        DataError, match="has 60 of 100 samples, and its live source is at its end; resume with the live source"
    ):
        edgebll.train(tmp_path / "run", data=source(tmp_path / "record", until=60), **options)
    with pytest.raises(DataError, match="has 60 of 100 samples"):
        edgebll.train(tmp_path / "run", resume=True)
    resumed = edgebll.train(tmp_path / "run", data=source(tmp_path / "record", first=60), resume=True)
    assert resumed.state_sha256 == whole.state_sha256


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    pairs = [(sample, CLASSES.index(label)) for sample, label in sensor()]
    trained = edgebll.train(folder / "run", data=pairs, **TINY)
    return edgebll.export(trained, folder / "bundle", state="initial").path


def test_boards_take_samples_as_they_come(bundle: Path, tmp_path: Path) -> None:
    """While the host waits for samples it hears its boards, which would else count it as lost."""
    gate = threading.Event()

    def told(event: Any) -> None:
        if event.kind == "step" and event.step == 5:
            threading.Timer(2.5, gate.set).start()

    data = source(tmp_path / "record", gate=gate, closed_at=52)
    live = edgebll.simulate(bundle, tmp_path / "live", data=data, boards=2, deadline=2.0, patience=0, progress=told)
    alone = edgebll.simulate(bundle, tmp_path / "alone", data=tmp_path / "record", boards=0)
    assert live.state_sha256 == alone.state_sha256
    assert live.loss == alone.loss


def test_a_run_on_boards_is_resumed_with_its_source(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 60 of 100 samples"):
        edgebll.simulate(bundle, tmp_path / "run", data=source(tmp_path / "record", until=60), boards=1, snapshot_every=1)
    resumed = edgebll.simulate(resume=tmp_path / "run", data=source(tmp_path / "record", first=60))
    alone = edgebll.simulate(bundle, tmp_path / "alone", data=tmp_path / "record", boards=0)
    assert resumed.state_sha256 == alone.state_sha256


CAMERA = """
from pathlib import Path

from support.gated_source import OPENED

from edgebll.data import LiveSource


def frames():
    with Path("opened").open("a") as log:
        log.write("x")
    number = 0
    while number < 12 or OPENED.wait(60):
        yield [float(number % 3), 1.0, 2.0, 3.0, 4.0, 5.0], number % 3
        number += 1


def camera():
    return LiveSource(frames, "record", count=60, classes=("rest", "walk", "run"))
"""


@pytest.mark.slow
def test_a_source_of_code_is_read_by_trainings_and_closed(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("room.py").write_text(CAMERA)
    told = sentence(call("data", "check", "room.py:camera", code=4))
    assert "is read by trainings alone and has not recorded anything" in told
    assert not Path("opened").exists()
    with pytest.raises(ConfigError, match="the batch size must lie in"):
        edgebll.train("wrong", data="room.py:camera", **{**TINY, "batch_size": 999})

    def told_of(event: Any) -> None:
        if event.kind == "step":  # before it, the source of the training that was refused cannot have come to its end
            OPENED.set()

    first = edgebll.train("first", data="room.py:camera", **TINY, progress=told_of)
    second = edgebll.train("second", data="room.py:camera", **TINY)
    assert second.state_sha256 == first.state_sha256
    for thread in threading.enumerate():
        if thread.name == "live-source":
            thread.join(20)
            assert not thread.is_alive()
    opened = Path("opened").read_text()
    assert edgebll.evaluate("first").loss == first.loss
    assert "48 training and 12 test samples" in call("data", "check", "room.py:camera").stdout
    assert edgebll.simulate(bundle, "boards", data="room.py:camera", boards=0).summary["steps"] == 6
    assert Path("opened").read_text() == opened


def test_a_simulation_begins_a_source_of_code(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was recorded before: a run over boards is a training as `train` is."""
    monkeypatch.chdir(tmp_path)
    Path("other_room.py").write_text(CAMERA)

    def told(event: Any) -> None:
        if event.kind == "step":
            OPENED.set()

    ran = edgebll.simulate(bundle, "run", data="other_room.py:camera", boards=0, progress=told)
    assert ran.summary["steps"] == 6
    assert "48 training and 12 test samples" in call("data", "check", "record").stdout


def test_a_source_that_is_given_to_an_evaluation_is_waited_for(tmp_path: Path) -> None:
    trained = edgebll.train(tmp_path / "run", data=source(tmp_path / "record"), **TINY)
    gate = threading.Event()
    threading.Timer(0.3, gate.set).start()
    live = source(tmp_path / "other", gate=gate, closed_at=52)
    assert edgebll.evaluate(trained, data=live).loss == trained.loss


def test_a_source_in_a_file_works_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("board.py").write_text(
        "from edgebll.data import LiveSource\n\n"
        "def line(count=60):\n"
        "    pairs = (([float(n % 2), 1.0], n % 2) for n in range(count))\n"
        "    return LiveSource(pairs, 'record', count=60, classes=('off', 'on'))\n"
    )
    words = ("--network", "mlp", "--network-option", "width=8", "--blocks", "2", "--batch-size", "8", "--epochs", "1")
    told = sentence(call("train", "--data", "board.py:line", "--data-option", "count=30", *words, "--out", "run", code=4))
    assert "the record" in told
    assert "has 30 of 60 samples, and its live source is at its end" in told
    call("train", "--data", "board.py:line", *words, "--out", "whole")
    assert "48 training and 12 test samples of 2" in call("data", "check", "record").stdout
