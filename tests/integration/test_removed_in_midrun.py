"""What a run needs is removed or replaced while it goes on: the bundle, the run folder, both. Nobody's work is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.direct_host import agent_process
from support.pipelines import HostProcess, invoke, summary, write_cluster
from support.slow import slow_after

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.state.block_state import load_tensors, state_sha256
from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle

EPOCHS = 12
STREAM = ["--limit", "160", "--epochs", str(EPOCHS), "--snapshot-every", "10"]


@pytest.fixture
def bundle(dense_bundle: Path, tmp_path: Path) -> Path:
    """One that may be spoilt."""
    return shutil.copytree(dense_bundle, tmp_path / "bundle")


@pytest.fixture(scope="module")
def expected(dense_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bits of a run to which nothing happened."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    invoke("simulate", dense_bundle, "--boards", 0, "--data", "digits", *STREAM, "--out", run)
    return summary(run)["state_sha256"]


def export_over(bundle: Path) -> None:
    """Other weights, as a user has who goes on with the network meanwhile."""
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=7)
    export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=16, path=bundle)


def all_threads_stopped(pid: int) -> bool:
    """A signal stops threads one after another: one may still be in a system call."""
    states = [path.read_text().rpartition(") ")[2][0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}


@contextmanager
def stopped(host: HostProcess) -> Iterator[None]:
    """The host does not end before what is done to it, nor does any of its threads go on writing meanwhile."""
    host.process.send_signal(signal.SIGSTOP)
    while not all_threads_stopped(host.process.pid):
        os.sched_yield()
    yield
    host.process.send_signal(signal.SIGCONT)


def write_over(bundle: Path) -> None:
    """In place, as `cp` does it."""
    for path in bundle.rglob("*.*"):
        path.write_bytes(b"something else")


def lose_the_boards(host: HostProcess) -> None:
    """With all they have: the next ones are sent everything."""
    for folder in (host.run / "boards").glob(".state-*"):
        shutil.rmtree(folder, ignore_errors=True)
    for pid in host.boards():
        os.kill(pid, signal.SIGKILL)


@contextmanager
def running(kind: str, bundle: Path, tmp_path: Path) -> Iterator[HostProcess]:
    """After its first epoch: over agents of its own, one after another in its own process, or over boards."""
    run = tmp_path / "runs" / "run"
    if kind == "run":
        with agent_process(tmp_path / "left", name="left") as left, agent_process(tmp_path / "right", name="right") as right:
            cluster = write_cluster(tmp_path / "c.toml", {"left": left.endpoint, "right": right.endpoint})
            with HostProcess("run", bundle, run, "--cluster", str(cluster), *STREAM) as host:
                host.await_epoch()
                yield host
        return
    with HostProcess("simulate", bundle, run, "--boards", kind, *STREAM) as host:
        host.await_epoch()
        yield host


def check_whole(run: Path, expected: str) -> None:
    """All the run was to leave is there, and right."""
    assert summary(run)["state_sha256"] == expected
    final = open_bundle(run / "bundle")
    assert state_sha256({block.name: final.state(block.name) for block in final.manifest.blocks}) == expected
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    trained = sorted((line["step"], line["block"]) for line in lines if line["kind"] == "train")
    assert trained == [(step, block) for step in range(10 * EPOCHS) for block in ("block0", "block1")]
    assert not (run / "started_from").exists()
    assert not (run / "final").exists()


@pytest.mark.parametrize(
    ("kind", "spoil", "hurt"),
    slow_after(1, [("2", export_over, lose_the_boards), ("0", write_over, None), ("run", shutil.rmtree, None)]),
)
def test_a_bundle_that_is_gone_or_another_is_needed_no_more(
    bundle: Path,
    tmp_path: Path,
    expected: str,
    kind: str,
    spoil: Callable[[Path], None],
    hurt: Callable[[HostProcess], None] | None,
) -> None:
    with running(kind, bundle, tmp_path) as host:
        with stopped(host):
            spoil(bundle)
            if hurt is not None:
                hurt(host)
        code, errors = host.end()
    assert code == 0, errors
    check_whole(host.run, expected)
    assert summary(host.run)["bundle"] == str(bundle)
    # Boards that are lost together may be noticed one after the other.
    assert bool(summary(host.run).get("recoveries")) == (hurt is not None)


def test_a_run_is_resumed_without_its_bundle(bundle: Path, tmp_path: Path, expected: str) -> None:
    with running("0", bundle, tmp_path) as host:
        host.process.kill()
        host.end()
    shutil.rmtree(bundle)
    invoke("simulate", "--resume", host.run)
    check_whole(host.run, expected)


@pytest.mark.parametrize("kind", slow_after(1, ["2", "0", "run"]))
def test_a_run_folder_that_is_removed_is_made_again(bundle: Path, tmp_path: Path, expected: str, kind: str) -> None:
    with running(kind, bundle, tmp_path) as host:
        with stopped(host):
            shutil.rmtree(host.run, ignore_errors=True)
            if kind == "2":
                lose_the_boards(host)
        code, errors = host.end()
    assert code == 0, errors
    assert "Traceback" not in errors
    assert f"{host.run} was removed, or a part of it, while the run goes on: it is made again" in errors
    check_whole(host.run, expected)
    assert json.loads((host.run / "run.json").read_text())["bundle"] == str(bundle)


def test_with_bundle_and_run_folder_gone_the_final_states_are_there(bundle: Path, tmp_path: Path, expected: str) -> None:
    with running("0", bundle, tmp_path) as host:
        with stopped(host):
            shutil.rmtree(bundle)
            shutil.rmtree(host.run)
        code, errors = host.end()
    assert code == 3
    assert "Traceback" not in errors
    assert errors.strip().endswith(f"; the final states are in {host.run}/final")
    states = {path.stem: load_tensors(path) for path in (host.run / "final").iterdir()}
    assert state_sha256(states) == expected


def test_where_nothing_can_be_written_any_more_the_final_states_are_elsewhere(
    bundle: Path, tmp_path: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with running("0", bundle, tmp_path) as host:
        with stopped(host):
            shutil.rmtree(host.run.parent)
            host.run.parent.write_text("as when a mount is gone")
        code, errors = host.end()
    assert code == 9, errors
    assert f"{host.run} was removed while the run goes on, and is not made again: cannot write {host.run}" in errors
    assert "Traceback" not in errors
    (place,) = (tmp_path / "temporary").glob("edgebll-run-*")
    assert errors.strip().endswith(f"; the final states are in {place}")
    assert state_sha256({path.stem: load_tensors(path) for path in place.iterdir()}) == expected
