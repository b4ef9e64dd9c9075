"""Agents that share a state folder, as the README starts them: many at once, in containers, of one name."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.board_runs import run_alone, run_over
from support.direct_host import AgentProcess, DirectHost, agent_process
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.support.scratch_files import LOCK, PARTIAL
from edgebll.kernel.wire import END, SNAPSHOT, TRAIN, FilePiece, Ready
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry

AGENTS, RUNS, KILLED = 8, 10, 4
KINDS = [*[TRAIN] * 4, SNAPSHOT, *[TRAIN] * 4, SNAPSHOT, *[TRAIN] * 4, END]
PREFIX = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "eight", blocks=AGENTS)


@contextlib.contextmanager
def agents(folder: Path, names: list[str]) -> Iterator[dict[str, AgentProcess]]:
    """All at once, in one folder."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(names)) as pool:
        entered = pool.map(lambda name: stack.enter_context(agent_process(folder, name=name)), names)
        yield dict(zip(names, entered, strict=True))


def left_behind(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix == PARTIAL or (path.suffix == LOCK and path.name[0] == ".")]


def test_ten_runs_over_eight_agents_of_one_folder_one_of_which_is_killed(bundle: Bundle, tmp_path: Path) -> None:
    expected, folder = state_sha256(run_alone(bundle, KINDS)), tmp_path / "state"
    names = [f"board{number}" for number in range(AGENTS)]
    with agents(folder, names) as serving, contextlib.ExitStack() as stack:
        for number in range(RUNS):
            entries = tuple(BoardEntry(name, agent.endpoint) for name, agent in serving.items())
            cluster = Cluster(entries, HostEntry(deadline_s=5.0, patience_s=60.0))
            victim = serving["board3"].process

            def kill(step: int, number: int = number, victim: subprocess.Popen[str] = victim) -> None:
                if number == KILLED and step == 6:
                    victim.kill()

            outcome = run_over(bundle, KINDS, cluster, tmp_path / f"run{number}", kill)
            assert state_sha256(outcome.states) == expected
            assert len(outcome.recoveries) == (number == KILLED), [recovery.reason for recovery in outcome.recoveries]
            if number == KILLED:
                victim.wait(20)
                serving["board3"] = stack.enter_context(agent_process(folder, name="board3"))
        assert left_behind(folder) == []
    kept = [json.loads(path.read_text()) for path in (folder / "runs").glob("*.json")]
    assert len(kept) == len(list((folder / "identities").glob("*.json"))) == AGENTS
    assert all(len(seen["runs"]) == RUNS for seen in kept), "one of each board, with all it has seen"


def test_two_agents_of_one_name_are_two_boards(tmp_path: Path) -> None:
    """As on one machine where nobody gave a --name; and each is itself again after a restart."""
    identities = []
    for _ in range(2):
        with agents(tmp_path, ["same"]) as one, agent_process(tmp_path, name="same") as second:
            for agent in (one["same"], second):
                with DirectHost(agent.endpoint, "run") as host:
                    identities.append(host.hello().identity)
                    host.stop()
    assert identities[:2] == identities[2:]
    assert len(set(identities)) == 2
    assert "another agent named same serves from" in (tmp_path / "agent.log").read_text()


def why_no_pid_namespaces() -> str | None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "PID namespaces need root and unshare (util-linux)"
    tried = subprocess.run([*PREFIX, "true"], capture_output=True, text=True, check=False, timeout=20)
    return None if tried.returncode == 0 else f"this machine makes no PID namespaces: {tried.stderr.strip()}"


def pieces(bundle: Bundle, sha256: tuple[str, ...]) -> list[FilePiece]:
    by_digest = {entry.sha256: name for name, entry in bundle.manifest.files.items()}
    made = []
    for digest in sha256:
        data = (bundle.path / by_digest[digest]).read_bytes()
        made += [FilePiece(digest, offset, len(data), data[offset : offset + 100]) for offset in range(0, len(data), 100)]
    return made


def test_agents_in_containers_leave_each_others_files_alone_and_clear_up_after_the_dead(bundle: Bundle, tmp_path: Path) -> None:
    """Each is process 1 of its own namespace, as in a container, and knows no process of the others."""
    if reason := why_no_pid_namespaces():
        pytest.skip(reason)
    incoming, last = tmp_path / "incoming", ("block7",)
    with agent_process(tmp_path, name="first", prefix=PREFIX) as first, DirectHost(first.endpoint, "run") as host:
        host.hello()
        begun, *rest = pieces(bundle, host.offer(bundle, last).sha256)
        host.control.send(begun)
        host.hello()  # answered after the piece was taken
        assert len(list(incoming.iterdir())) == 1
        with agent_process(tmp_path, name="second", prefix=PREFIX):
            assert len(list(incoming.iterdir())) == 1, "the second agent takes what the first one receives"
            for piece in rest:
                host.control.send(piece)
            host.assign(last)
            host.expect(Ready)
        host.stop()
    with agent_process(tmp_path, name="third", prefix=PREFIX) as third, DirectHost(third.endpoint, "run") as host:
        host.hello()
        host.control.send(pieces(bundle, host.offer(bundle, ("block0",)).sha256)[0])
        host.hello()
        assert len(list(incoming.iterdir())) == 1
        third.process.kill()
        assert third.process.stdout is not None
        assert third.process.stdout.read() == "", "it ends when the agent in the namespace is dead, too"
    with agent_process(tmp_path, name="fourth", prefix=PREFIX):
        assert left_behind(tmp_path) == []
