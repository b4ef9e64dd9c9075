"""Boards with less memory than their blocks need, in real control groups: refused, placed around, and killed by the system."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.board_runs import run_alone, run_over
from support.chaos_boards import make_kinds
from support.control_groups import ControlGroup, control_group, why_not
from support.direct_host import agent_process
from support.pipelines import write_cluster
from support.tiny_bundle import make_tiny_bundle
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError, ConfigError
from edgebll.kernel.state.block_state import state_sha256
from edgebll_firmware_host.engines import local_processes as engines
from edgebll_firmware_host.engines.local_processes import LocalProcesses
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry

WHY_NOT = why_not("memory")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
KINDS = make_kinds(12, 4)
LIMIT = 140 << 20


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A first block with a state of 32 MiB, and a small one."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "large", blocks=2, features=2896)


@pytest.fixture(scope="module")
def alone(bundle: Bundle) -> str:
    return state_sha256(run_alone(bundle, KINDS))


@pytest.fixture
def group() -> Iterator[ControlGroup]:
    with control_group("memory") as group:
        group.limit_memory(LIMIT)
        yield group


def within(group: ControlGroup) -> tuple[str, ...]:
    """Of a command: put it into the group."""
    return ("/bin/sh", "-c", f'echo $$ > {group.folder}/cgroup.procs; exec "$@"', "sh")


def test_blocks_that_do_not_fit_are_refused_by_name(bundle: Bundle, group: ControlGroup, tmp_path: Path) -> None:
    refused = r"board a has \d+ MiB by the control group .*, but block0, block1 need about \d+ MiB"
    with agent_process(tmp_path / "a", prefix=within(group)) as small:
        with pytest.raises(ConfigError, match=refused):
            run_over(bundle, KINDS, Cluster((BoardEntry("a", small.endpoint),)), tmp_path / "run")
        inventory = write_cluster(tmp_path / "c.toml", {"a": small.endpoint})
        said = CliRunner().invoke(app, ["plan", str(bundle.path), "--cluster", str(inventory), "--json"])
        assert said.exit_code == 2
        assert re.search(refused, said.stderr)
        (row,) = json.loads(said.stdout)["placement"]
        assert row["memory_free_bytes"] < LIMIT < row["memory_bytes"]
        assert small.process.poll() is None


@pytest.mark.parametrize("spare", [False, True])
def test_a_board_with_room_gets_them(spare: bool, bundle: Bundle, alone: str, group: ControlGroup, tmp_path: Path) -> None:
    """The other board that the run needs anyway, or a spare one behind two small ones."""
    with agent_process(tmp_path / "a", prefix=within(group)) as a, agent_process(tmp_path / "b") as b:
        boards = [BoardEntry("a", a.endpoint), BoardEntry("b", b.endpoint)]
        if not spare:
            outcome = run_over(bundle, KINDS, Cluster(tuple(boards)), tmp_path / "run")
            assert outcome.placement.blocks == {"b": ("block0",), "a": ("block1",)}
        else:
            with agent_process(tmp_path / "c", prefix=within(group)) as c:
                boards.insert(1, BoardEntry("c", c.endpoint))
                outcome = run_over(bundle, KINDS, Cluster(tuple(boards)), tmp_path / "run")
                assert outcome.placement.board_of("block0") == "b"
    assert outcome.recoveries == []
    assert state_sha256(outcome.states) == alone


def test_a_board_that_was_killed_is_not_said_to_have_vanished(bundle: Bundle, group: ControlGroup, tmp_path: Path) -> None:
    """Somebody knew better than the estimate, and was wrong."""
    with agent_process(tmp_path / "a", prefix=within(group)) as small:
        cluster = Cluster((BoardEntry("a", small.endpoint, memory_mib=0),), HostEntry(patience_s=0.0))
        broke = r"vanished: the connection broke, probably because it was out of memory \(block0, block1 need about \d+ MiB"
        with pytest.raises(BoardError, match=broke):
            run_over(bundle, KINDS, cluster, tmp_path / "run")
        assert small.process.wait(10) == -signal.SIGKILL


class Service:
    """Starts an agent again and again when it was killed, as systemd does."""

    def __init__(self, folder: Path, group: ControlGroup) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self._folder, self._group = folder, group
        self._over, self._thread = threading.Event(), threading.Thread(target=self._serve)
        self._agent: subprocess.Popen[bytes] | None = None
        self.killed = 0

    def _serve(self) -> None:
        while not self._over.is_set():
            line = [
                *within(self._group),
                sys.executable,
                "-c",
                "from edgebll_devices.commands.main import main; main()",
                "serve",
            ]
            line += ["--listen", self.endpoint, "--name", "a", "--state", str(self._folder), "--leave-seconds", "0"]
            with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as self._agent:
                self.killed += self._agent.wait() == -signal.SIGKILL

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._agent is not None:
            self._agent.terminate()
        self._thread.join(20)


def host(bundle: Bundle, boards: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Begin the run, or go on with it; what a says of its memory is not believed."""
    cluster = write_cluster(folder / "c.toml", boards, "patience_s = 60.0")
    cluster.write_text(cluster.read_text().replace('name = "a"\n', 'name = "a"\nmemory_mib = 0\n'))
    (folder / "kinds.json").write_text(json.dumps(KINDS))
    arguments = map(str, (bundle.path, folder / "run", cluster, folder / "kinds.json", 0.0))
    command, tests = [sys.executable, "-m", "support.chaos_host", *arguments], Path(__file__).parents[1]
    return subprocess.run(command, capture_output=True, text=True, cwd=tests, timeout=100, check=False)


def test_the_same_is_tried_three_times_where_there_is_no_other_board_and_never_again_where_there_is(
    bundle: Bundle, alone: str, group: ControlGroup, tmp_path: Path
) -> None:
    with Service(tmp_path / "a", group) as small, agent_process(tmp_path / "b", name="b") as large:
        given_up = host(bundle, {"a": small.endpoint}, tmp_path)
        assert given_up.returncode == 1
        assert "was killed with block0, block1, probably because it was out of memory" in given_up.stdout
        assert "for the 3rd time without progress; give it more memory or fewer blocks" in given_up.stderr
        done = host(bundle, {"a": small.endpoint, "b": large.endpoint}, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"end {alone}" in done.stdout
        assert small.killed == 3, "it gets block1 alone"


def test_an_agent_of_this_machine_is_asked_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LocalProcesses(1, tmp_path / "logs")
    with engine:
        (agent,) = engine.process_ids().values()
        monkeypatch.setattr(engines, "kills_for_memory", lambda: 1 << 40)
        os.kill(agent, signal.SIGKILL)
        os.waitid(os.P_PID, agent, os.WEXITED | os.WNOWAIT)
        with pytest.raises(BoardError, match="was killed by SIGKILL, probably because it was out of memory"):
            engine.check()
