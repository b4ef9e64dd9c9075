"""Boards that are added while a run goes on: what is wrong about them is refused, and nothing about them can end the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.board_runs import Silent, make_tokens, run_alone, run_name
from support.chaos_boards import make_kinds
from support.direct_host import agent_process
from support.tiny_bundle import make_tiny_bundle
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.errors import ConfigError, LinkTimeout
from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.state.block_state import state_sha256
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.fleet.board_sessions import open_fleet
from edgebll_firmware_host.fleet.rejoin_handshake import greet_those_there
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.policy.block_placement import place_among
from edgebll_firmware_host.policy.membership import Membership
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import RunRequest
from edgebll_firmware_host.run_files.status_files import REQUESTS, StatusFiles

KEY = make_key_pair().public
#: Options of `cluster add`, and what is said of them.
WRONG = [
    (["b", "--endpoint", "foo"], "board b: an endpoint must look like tcp://HOST:PORT, not 'foo'"),
    (["b", "--endpoint", ""], "board b: an endpoint must look like tcp://HOST:PORT, not ''"),
    (["b", "--endpoint", "tcp://10.1.2.3:0", "--public-key", KEY], "board b: nobody can connect to"),
    (["b", "--endpoint", "tcp://10.1.2.3:7109"], "needs a key on both sides"),
    (["b", "--endpoint", "tcp://127.0.0.1:7109", "--runtime", "nix"], "board b: the runtime must be one of onnxruntime"),
    (["b", "--endpoint", "tcp://127.0.0.1:7109", "--threads", "0"], "board b: threads must be at least 1"),
    (["b", "--endpoint", "tcp://127.0.0.1:7109", "--public-key", "x"], "board b: a public key must be 40 characters"),
    (["b\x1b[2J", "--endpoint", "tcp://127.0.0.1:7109"], r"a board's name must be 1 to 63 letters"),
]


def unusable(name: str, endpoint: str) -> BoardEntry:
    """An entry that no check has seen."""
    entry = BoardEntry(name, "tcp://127.0.0.1:9")
    object.__setattr__(entry, "endpoint", endpoint)
    return entry


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_a_wrong_board_is_refused_before_anybody_is_asked(tmp_path: Path, options: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["cluster", "add", str(tmp_path), *options])
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert result.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "b", "endpoint": "foo"},
        {"name": "b", "endpoint": "tcp://10.1.2.3:7109"},
        {"name": "b\x00", "endpoint": "tcp://127.0.0.1:7109"},
        {"name": "b", "endpoint": "tcp://127.0.0.1:7109", "runtime": "nix"},
    ],
)
def test_the_host_that_takes_the_request_refuses_it_too(tmp_path: Path, entry: dict) -> None:
    desk = StatusFiles(tmp_path)
    request = {"action": "add", "board": entry["name"], "entry": entry}
    (tmp_path / REQUESTS / "one.json").write_text(json.dumps(request))
    ((name, found),) = desk.requests()
    assert name == "one"
    assert isinstance(found, str)
    assert found.startswith("the request cannot be read: ")


def test_a_request_of_any_depth_ends_nothing(tmp_path: Path) -> None:
    desk = StatusFiles(tmp_path)
    (tmp_path / REQUESTS / "deep.json").write_text("[" * 100_000)
    ((_, found),) = desk.requests()
    assert "cannot be read" in str(found)


def test_a_board_needs_a_key_exactly_where_the_host_has_one() -> None:
    keys = make_key_pair()
    plain, paired = BoardEntry("b", "tcp://127.0.0.1:2"), BoardEntry("b", "tcp://127.0.0.1:2", KEY)
    first = BoardEntry("a", "tcp://127.0.0.1:1")
    with pytest.raises(ConfigError, match="board b has a public_key, but the host has no key"):
        Membership().add(paired, Cluster((first,)))
    with pytest.raises(ConfigError, match="board b has no public_key, but the host has a key"):
        Membership().add(plain, Cluster((first,), keys=keys))


def test_one_that_is_drained_and_added_again_gets_the_blocks_that_are_pinned_to_it() -> None:
    pinned = {"a": ("block1",), "b": ("block0",)}
    boards = tuple(BoardEntry(name, f"tcp://127.0.0.1:{7000 + ord(name)}", blocks=pinned[name]) for name in "ab")
    cluster, members = Cluster(boards), Membership()
    members.drain("b", cluster)
    assert place_among(["block0", "block1"], [1, 1], members.usable(cluster), "ab").blocks == {"a": ("block0", "block1")}
    members.add(BoardEntry("b", "tcp://127.0.0.1:7999"), cluster)
    assert place_among(["block0", "block1"], [1, 1], members.usable(cluster), "ab").blocks == pinned


def test_pins_that_are_not_whole_never_end_a_run() -> None:
    boards = [BoardEntry("a", "tcp://127.0.0.1:1", blocks=("block0",)), BoardEntry("b", "tcp://127.0.0.1:2", blocks=("x",))]
    assert place_among(["block0", "block1"], [1, 1], boards, "ab").blocks == {"a": ("block0",), "b": ("block1",)}


@pytest.mark.parametrize("endpoint", ["foo", "tcp://10.1.2.3:7109", "tcp://*:7109", "tcp://127.0.0.1:*", "tcp://a!b:7109"])
def test_one_that_cannot_be_connected_to_counts_as_not_there(endpoint: str) -> None:
    wrong = unusable("b", endpoint)
    with open_fleet([wrong], "run", None, 1.0, begun=True) as fleet, pytest.raises(LinkTimeout, match=r"^board b: "):
        greet_those_there(fleet, 0.05)
    with pytest.raises((ConfigError, ConnectionError)), open_fleet([wrong], "run", None, 1.0):
        pass


def test_it_ends_no_run_that_has_begun(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=2)
    kinds, name = make_kinds(20, 10), run_name(tmp_path / "run")
    with agent_process(tmp_path / "a", name="a") as a:
        cluster = Cluster((unusable("b", "foo"), BoardEntry("a", a.endpoint)), HostEntry(window=3))
        request = RunRequest(bundle, name, lambda start: make_tokens(bundle, kinds, name, start), stall_s=20.0, resumed=True)
        with RunFolder.create(tmp_path / "run", {}) as opened:
            names = tuple(block.name for block in bundle.manifest.blocks)
            recorder = Recorder(opened, Silent(), names, bundle.manifest.batch_size, 20, bundle.manifest.batch_size)
            outcome = run_on_boards(request, RunningAgents(cluster), recorder)
    assert outcome.placement.blocks == {"a": names}
    assert state_sha256(outcome.states) == state_sha256(run_alone(bundle, kinds))


def test_an_inventory_with_wrong_pins_is_refused_also_where_a_run_is_resumed(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=2)
    host = HostEntry(deadline_s=1.0, patience_s=0.0)
    cluster = Cluster((BoardEntry("a", "tcp://127.0.0.1:9", blocks=("block0",)),), host)
    with RunFolder.create(tmp_path / "run", {}) as opened:
        recorder = Recorder(opened, Silent(), ("block0", "block1"), bundle.manifest.batch_size, 20, 4)
        with pytest.raises(ConfigError, match="no board is to host 'block1'"):
            run_on_boards(RunRequest(bundle, "run", lambda _: iter(()), resumed=True), RunningAgents(cluster), recorder)
