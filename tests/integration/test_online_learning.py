"""Spiking blocks that carry their state from step to step, by the command line: boards, and snapshots in mid-sample."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from support.local_agents import agents
from support.pipelines import SHORT, invoke, summary

from edgebll.cli.progress import RunProgress
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle

#: 10 batches of 16 digits, each in 4 chunks of a time step; snapshots lie in the middle of samples.
STEPS, EVERY = 40, 5


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "b"
    how = {"num_classes": 10, "input_shape": (1, 8, 8), "seed": 0, "options": {"width": 16, "depth": 2, "time_steps": 4}}
    network = make_network("spiking-mlp", num_blocks=2, **how)  # type: ignore[arg-type]
    export_bundle(network, rule=make_rule("decolle", chunk=1), optimizer=SGD(), batch_size=16, path=path)
    return path


def test_a_killed_board_in_the_middle_of_a_sample_costs_no_bit(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("simulate", bundle, "--boards", 0, *SHORT, "--epochs", 1, "--out", tmp_path / "alone")

    class Killing(RunProgress):
        killed = False

        def stepped(self, step: int, losses: object, samples: int) -> None:
            super().stepped(step, losses, samples)  # type: ignore[arg-type]
            # A snapshot that is whole, in mid-sample, and which two more follow before one at a sample's end.
            if not self.killed and any((tmp_path / "run" / "snapshots").glob("step*[02]5")):
                self.killed = True
                os.kill(agents()["board1"], signal.SIGKILL)

    monkeypatch.setattr("edgebll_firmware_host.commands.run_result.RunProgress", Killing)
    how = ("--boards", 2, *SHORT, "--epochs", 1, "--snapshot-every", EVERY)
    invoke("simulate", bundle, *how, "--out", tmp_path / "run")
    found, alone = summary(tmp_path / "run"), summary(tmp_path / "alone")
    (recovery,) = found["recoveries"]
    assert recovery["step"] % 4, "a snapshot in mid-sample"
    assert found["steps"] == alone["steps"] == STEPS
    assert found["state_sha256"] == alone["state_sha256"]


@pytest.mark.slow
def test_the_trainer_takes_the_steps_of_the_stream(tmp_path: Path) -> None:
    """Samples without time, here digits, go whole to each chunk; and what boards learn is what PyTorch learns."""
    how = ["train", *SHORT, "--batch-size", 16, "--network", "spiking-mlp", "--blocks", 2]
    how += [word for option in ("width=16", "depth=2", "time_steps=4") for word in ("--network-option", option)]
    how += ["--rule", "decolle", "--rule-option", "chunk=1", "--epochs", 1, "--schedule", "constant"]
    invoke(*how, "--out", tmp_path / "run")
    assert summary(tmp_path / "run")["steps"] == STEPS
    invoke("export", tmp_path / "run", "--state", "initial", "--out", tmp_path / "b")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert [(block["chunks"], block["static"]) for block in manifest["blocks"]] == [(4, True), (4, False)]
    assert all(block["scalars"] == ["lr", "reset"] for block in manifest["blocks"])
    invoke("simulate", tmp_path / "b", "--boards", 0, *SHORT, "--epochs", 1, "--out", tmp_path / "stream")
    assert summary(tmp_path / "stream")["accuracy"] == pytest.approx(summary(tmp_path / "run")["accuracy"], abs=0.05)
