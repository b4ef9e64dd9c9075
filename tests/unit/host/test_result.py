"""What a whole run leaves: a picture that cannot be drawn loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.board_runs import Silent
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.runs.run_folder import RunFolder, open_run
from edgebll_firmware_host.run import run_result as result
from edgebll_firmware_host.run.metrics_recorder import Recorder


def test_a_picture_that_fails_is_a_note_and_the_run_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw_timeline(run: Path) -> Path:
        raise ValueError("min() arg is an empty sequence")

    monkeypatch.setattr(result, "draw_timeline", draw_timeline)
    monkeypatch.setattr(result, "draw_curves", lambda run: run)
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=1)
    with RunFolder.create(tmp_path / "run", {}) as folder:
        recorder = Recorder(folder, Silent(), ("block0",), 4, 5, 4)
        _, notes = result.finish_run((bundle,), recorder, {"block0": bundle.state("block0")}, 1.0, {})
    assert notes == ["draw_timeline failed, so a picture is missing (ValueError: min() arg is an empty sequence)"]
    assert open_run(tmp_path / "run")[1]["status"] == "complete"
