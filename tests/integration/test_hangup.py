"""A terminal that is closed: what runs there ends in order, goes on where that was asked for, and can be resumed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.direct_host import DirectHost
from support.pipelines import SHORT, await_gone, invoke, summary
from support.terminals import BOARD, EDGEBLL, PATIENCE_S, Terminal, await_file, ended

from edgebll.kernel.bundle import open_bundle

STREAM = ("--data", "digits", "--limit", "320", "--epochs", "12")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_run_ends_in_order_and_is_resumed(dense_bundle: Path, tmp_path: Path) -> None:
    invoke("simulate", dense_bundle, *STREAM, "--boards", 0, "--out", tmp_path / "alone")
    run = tmp_path / "run"
    with Terminal() as terminal:
        options = ["--boards", 2, "--snapshot-every", 20, "--out", run]
        process = terminal.start(EDGEBLL, "simulate", dense_bundle, *STREAM, *options)
        with ended([process]):
            await_file(run / "snapshots" / "step000000020", process)
            agents = children(process.pid)
            terminal.close()
            assert process.wait(PATIENCE_S) == 129
    assert len(agents) == 2
    await_gone(agents)
    assert list((run / "boards").glob(".state-*")) == [], "what the agents had is cleaned up: it was no sudden death"
    invoke("simulate", "--resume", run)
    assert summary(run)["state_sha256"] == summary(tmp_path / "alone")["state_sha256"]


def test_training_ends_in_order_and_is_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["train", "--network", "mlp", "--epochs", 2000, "--checkpoint-steps", 20, *SHORT, "--out", run]
    with Terminal() as terminal:
        process = terminal.start(EDGEBLL, *options)
        with ended([process]):
            await_file(run / "checkpoint" / "progress.json", process)
            terminal.close()
            assert process.wait(PATIENCE_S) == 129
    assert not (run / "summary.json").exists()


def test_under_nohup_a_run_goes_on(dense_bundle: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Terminal() as terminal, (tmp_path / "nohup.out").open("w") as said:
        options = [*STREAM, "--boards", 2, "--snapshot-every", 20, "--out", run]
        process = terminal.start(EDGEBLL, "simulate", dense_bundle, *options, deaf=True, stdout=said)
        with ended([process]):
            await_file(run / "snapshots" / "step000000020", process)
            terminal.close()
            assert process.wait(PATIENCE_S) == 0
    assert (tmp_path / "nohup.out").read_text().startswith(f"{run}: accuracy")
    assert summary(run)["recoveries"] == []


@pytest.mark.parametrize("deaf", [False, True])
def test_a_board_ends_in_order_unless_it_was_told_not_to_care(dense_bundle: Path, tmp_path: Path, deaf: bool) -> None:
    with Terminal() as terminal:
        serve = ["serve", "--listen", "tcp://127.0.0.1:0", "--state", tmp_path, "--leave-seconds", "0"]
        process = terminal.start(BOARD, *serve, deaf=deaf)
        with ended([process]):
            endpoint = terminal.read_until(lambda shown: b" data " in shown).split()[3].decode()
            with DirectHost(endpoint, "run") as host:
                host.start(open_bundle(dense_bundle), ("block0", "block1"))
                terminal.close()
                if deaf:
                    host.stop()
                    process.send_signal(signal.SIGTERM)
                else:
                    assert "the agent is shutting down" in host.failure().message
                assert process.wait(PATIENCE_S) == (0 if deaf else 129)
