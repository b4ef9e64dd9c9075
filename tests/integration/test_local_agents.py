"""Agents that `edgebll simulate` starts: those that end are started anew, and take what the environment says they keep."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support.local_agents import agents
from support.pipelines import invoke, summary

from edgebll.cli.progress import RunProgress
from edgebll.kernel.wire import Welcome
from edgebll_firmware_host.engines.local_processes import LocalProcesses
from edgebll_firmware_host.fleet.probe import probe_all

OPTIONS = ("--data", "digits", "--limit", "160", "--epochs", "3")


def test_an_agent_that_is_killed_is_started_anew(dense_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"EDGEBLL_KEEP_SNAPSHOTS": "0", "EDGEBLL_KEEP_GIB_PER_DAY": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    invoke("simulate", dense_bundle, "--boards", 0, *OPTIONS, "--out", tmp_path / "alone")
    seen: dict[int, dict[str, int]] = {}
    kept: set[str] = set()

    class Killing(RunProgress):
        def stepped(self, step: int, losses: object, samples: int) -> None:
            super().stepped(step, losses, samples)  # type: ignore[arg-type]
            seen[step] = agents() if step in (12, 30) else {}
            if step == 12:
                kept.update(Path(f"/proc/{seen[step]['board1']}/environ").read_bytes().decode().split("\0"))
                os.kill(seen[step]["board1"], signal.SIGKILL)

    monkeypatch.setattr("edgebll_firmware_host.commands.run_result.RunProgress", Killing)
    invoke("simulate", dense_bundle, "--boards", 2, *OPTIONS, "--snapshot-every", 5, "--out", tmp_path / "run")
    found = summary(tmp_path / "run")
    assert found["state_sha256"] == summary(tmp_path / "alone")["state_sha256"]
    (recovery,) = found["recoveries"]
    assert "board1" in recovery["reason"]
    assert recovery["board"] == "board1"
    assert recovery["step"] in (10, 15, 20), "what is in flight beyond step 12 is no more than the window of 8"
    assert recovery["restore_seconds"] > 0
    assert recovery["replay_seconds"] > 0
    assert seen[30]["board0"] == seen[12]["board0"], "nobody else is restarted"
    assert seen[30]["board1"] != seen[12]["board1"]
    assert found["placement"] == {"board0": ["block0"], "board1": ["block1"]}
    assert {f"{name}={value}" for name, value in told.items()} <= kept
    assert recovery["shipped_bytes"] > 0, "so it had to be sent its state"


def test_one_that_is_only_frozen_is_started_anew_when_it_was_given_up(tmp_path: Path) -> None:
    with (engine := LocalProcesses(1, tmp_path / "logs")) as cluster:
        frozen = agents()["board0"]
        os.kill(frozen, signal.SIGSTOP)
        engine.check()
        mended = engine.mend({"board0"})
        assert mended.boards[0].name == cluster.boards[0].name
        assert agents()["board0"] != frozen
        (answer,) = probe_all(mended)
        assert isinstance(answer, Welcome)
    assert agents() == {}
