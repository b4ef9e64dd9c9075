"""Before a run: boards try their links, some are off, some are listed twice, some are older; and who may ask for it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.direct_host import AgentProcess, DirectHost, agent_process
from support.fake_board import FakeBoard
from support.pipelines import SHORT, invoke, summary, write_cluster
from typer.testing import CliRunner, Result

from edgebll.cli.app import app
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import LinkError, WireError
from edgebll.kernel.keys import make_key_pair, new_key_pair
from edgebll.kernel.transport import ControlClient, Receiver
from edgebll.kernel.wire import Failure, LinkProbe, Message, Neighbour, Reach, Reached, Survey, Surveyed
from edgebll.kernel.wire.check_messages import MAX_ADDRESSES, MAX_NEIGHBOURS, MAX_PROBE_BYTES, MAX_PROBE_S
from edgebll.kernel.wire.codec import encode

FAST = "deadline_s = 1.0\npatience_s = 20.0"


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[AgentProcess]]:
    folder = tmp_path_factory.mktemp("agents")
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(agent_process(folder / name, name=name)) for name in "ab"]


def ask(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_every_link_is_tried_and_what_boards_are_is_recorded(
    agents: list[AgentProcess], dense_bundle: Path, tmp_path: Path
) -> None:
    cluster = write_cluster(tmp_path / "cluster.toml", {agent.name: agent.endpoint for agent in agents})
    found = json.loads(invoke("devices", "--check", "--cluster", cluster, "--json"))
    assert [(row["from"], row["to"]) for row in found["links"]] == [("host", "a"), ("host", "b"), ("a", "b"), ("b", "a")]
    assert all(row["round_trip_seconds"] > 0 and row["bytes_per_second"] > 1e5 for row in found["links"])
    assert all(row["versions"]["numpy"] == np.__version__ and row["disk_bytes"] > 0 for row in found["boards"])
    assert all(abs(row["clock_skew_seconds"]) < 2 for row in found["boards"])
    assert found["problems"] == []
    shown = invoke("devices", "--check", "--cluster", cluster)
    assert f"onnxruntime {found['boards'][0]['versions']['onnxruntime']}" in shown
    assert "round trip, ms" in shown

    began_s = time.monotonic()
    invoke("run", dense_bundle, "--out", tmp_path / "run", "--cluster", cluster, *SHORT)
    record = json.loads((tmp_path / "run" / "preflight.json").read_text())
    assert [(row["from"], row["to"]) for row in record["links"]] == [("host", "a"), ("a", "b")]
    assert summary(tmp_path / "run")["versions"]["b"] == found["boards"][1]["versions"]
    assert time.monotonic() - began_s < 60


def test_a_data_port_that_is_closed_is_named_before_anything_is_loaded(
    agents: list[AgentProcess], dense_bundle: Path, tmp_path: Path
) -> None:
    away = f"tcp://127.0.0.1:{free_port()}"
    with agent_process(tmp_path / "c", "--data-announce", away, name="c") as c:
        cluster = write_cluster(tmp_path / "cluster.toml", {"a": agents[0].endpoint, "c": c.endpoint})
        result = ask("run", dense_bundle, "--out", tmp_path / "run", "--cluster", cluster, *SHORT)
        assert result.exit_code == 7
        assert f"edgebll: board a cannot reach board c at {away}: nothing listens there" in result.stderr
        checked = ask("devices", "--check", "--cluster", cluster)
        assert checked.exit_code == 7
        lines = checked.stderr.splitlines()
        assert [line.partition(" cannot reach board c at ")[0] for line in lines] == ["edgebll: this host", "edgebll: board a"]
    assert not list((tmp_path / "c").rglob("*.onnx"))


def test_a_run_begins_without_a_board_that_is_off_and_says_so(
    agents: list[AgentProcess], dense_bundle: Path, tmp_path: Path
) -> None:
    off = f"tcp://127.0.0.1:{free_port()}"
    boards = {"off": off, "a": agents[0].endpoint, "b": agents[1].endpoint}
    cluster = write_cluster(tmp_path / "cluster.toml", boards, FAST)
    result = ask("run", dense_bundle, "--out", tmp_path / "run", "--cluster", cluster, *SHORT)
    assert result.exit_code == 0, result.stderr
    assert "board off at" in result.stderr
    assert "begins without off, to be used when there" in result.stderr
    assert summary(tmp_path / "run")["placement"] == {"a": ["block0"], "b": ["block1"]}, "the spare takes its place"
    invoke("simulate", dense_bundle, "--out", tmp_path / "alone", "--boards", 0, *SHORT)
    assert summary(tmp_path / "run")["state_sha256"] == summary(tmp_path / "alone")["state_sha256"]

    pinned = cluster.read_text().replace(f'"{off}"\n', f'"{off}"\nblocks = ["block0"]\n')
    cluster.write_text(pinned.replace(f'"{agents[0].endpoint}"\n', f'"{agents[0].endpoint}"\nblocks = ["block1"]\n'))
    result = ask("run", dense_bundle, "--out", tmp_path / "pinned", "--cluster", cluster, *SHORT)
    assert result.exit_code == 7, "its blocks belong there"
    assert "board off at" in result.stderr


def test_an_agent_under_two_names_is_told_of(agents: list[AgentProcess], dense_bundle: Path, tmp_path: Path) -> None:
    other = agents[0].endpoint.replace("127.0.0.1", "localhost")
    cluster = write_cluster(tmp_path / "cluster.toml", {"a": agents[0].endpoint, "again": other, "b": agents[1].endpoint})
    result = ask("run", dense_bundle, "--out", tmp_path / "run", "--cluster", cluster, *SHORT)
    assert result.exit_code == 2, result.output
    assert "is the same agent as " in result.stderr
    assert "list each agent once" in result.stderr
    for options in ([], ["--check"]):
        result = ask("devices", "--cluster", cluster, *options)
        assert result.exit_code == 2, result.output
        (line,) = result.stderr.splitlines()
        assert "is the same agent as" in line


def test_an_older_board_is_used_unchecked(agents: list[AgentProcess], tmp_path: Path) -> None:
    """It knows no Survey, and says so as boards always did."""

    def older(message: Message) -> list[Message] | None:
        words = "message number 18 is unknown; is the peer a newer edgebll?"
        return [Failure("", WireError.exit_code, words)] if isinstance(message, Survey) else None

    with FakeBoard(older) as old:
        cluster = write_cluster(tmp_path / "cluster.toml", {"a": agents[0].endpoint, "old": old.endpoint})
        result = ask("devices", "--check", "--cluster", cluster)
    assert result.exit_code == 0, result.output
    assert "note: board old has an older edgebll, which cannot try its links; they are used unchecked" in result.stderr
    assert not any(isinstance(message, Reach) for _, message in old.heard)


def test_a_board_says_so_of_messages_it_does_not_know(agents: list[AgentProcess]) -> None:
    """What `test_an_older_board_is_used_unchecked` relies on; and its session goes on."""
    import msgpack

    with DirectHost(agents[0].endpoint, "run") as host:
        host.hello()
        header = msgpack.unpackb(bytes(encode(Survey("run", ()))[0]))
        header[1] = 9999
        host.control._socket.send_multipart([msgpack.packb(header)])
        failure = host.expect(Failure)
        assert (failure.run, failure.message) == ("", "message number 9999 is unknown; is the peer a newer edgebll?")
        host.control.send(Survey("run", ()))
        host.expect(Surveyed)
        host.stop()


def reach(endpoint: str, run: str = "run", key: str | None = None) -> Reach:
    return Reach(run, (Neighbour("x", (endpoint,), key),), 1 << 16, 2.0)


def test_nobody_but_its_host_may_ask_a_board_to_connect(tmp_path: Path) -> None:
    """Neither who has no key, nor a host that is let in but has no session, nor for another run."""
    keys = {name: new_key_pair(tmp_path / f"{name}.key") for name in ("board", "host", "second")}
    allow = [word for name in ("host", "second") for word in ("--allow", keys[name].public)]
    stranger, board_key = make_key_pair(), keys["board"].public
    with (
        Receiver("tcp://127.0.0.1:0", keys=stranger, allowed=[board_key]) as target,
        agent_process(tmp_path / "board", "--key", str(tmp_path / "board.key"), *allow) as agent,
    ):
        there = reach(target.endpoint, key=stranger.public)
        with ControlClient(agent.endpoint, keys=stranger, server_key=board_key) as outsider, contextlib.suppress(LinkError):
            outsider.send(there)
            assert outsider.receive(0.5) is None
        with (
            DirectHost(agent.endpoint, "run", keys=keys["host"], server_key=board_key) as host,
            DirectHost(agent.endpoint, "other", keys=keys["second"], server_key=board_key) as second,
        ):
            second.control.send(there)
            assert "has no session with this host" in second.expect(Failure).message
            host.hello()
            second.control.send(there)
            assert "works for another host" in second.expect(Failure).message
            assert target.receive(0.3) is None
            host.control.send(there)
            assert host.expect(Reached).problem == ""
            assert isinstance(target.receive(5.0), LinkProbe)
            host.control.send(reach(target.endpoint, "another", stranger.public))
            assert "came in the session of" in host.expect(Failure).message
            assert target.receive(0.3) is None


def test_what_a_host_may_ask_is_bounded(agents: list[AgentProcess], side_bundle: Bundle) -> None:
    many, wide = tuple(Neighbour("x", ()) for _ in range(MAX_NEIGHBOURS + 1)), (Neighbour("x", ("",) * (MAX_ADDRESSES + 1)),)
    for neighbours, size, limit_s in (
        (many, 1, 1.0),
        (wide, 1, 1.0),
        ((), MAX_PROBE_BYTES + 1, 1.0),
        ((), 1, MAX_PROBE_S + 0.1),
        ((), 0, 1.0),
        ((), 1, float("nan")),
    ):
        with pytest.raises(ValueError, match="at most"):
            Reach("run", neighbours, size, limit_s)
    with DirectHost(agents[1].endpoint, "run") as host, socket.create_server(("127.0.0.1", 0)) as silent:
        host.hello()
        slow = reach(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        host.control.send(slow)
        host.control.send(slow)
        assert "still tries links for an earlier request" in host.expect(Failure).message
        host.stop()
    with DirectHost(agents[1].endpoint, "next") as host:  # that session is over, and what it tried is given up
        host.hello()
        host.control.send(reach("tcp://10.1.2.3:7", "next"))
        assert "needs a key on both sides" in host.expect(Reached).problem, "nothing leaves loopback without keys"
        host.stop()


def test_it_may_not_be_asked_again_and_again(agents: list[AgentProcess]) -> None:
    nowhere = reach(f"tcp://127.0.0.1:{free_port()}", "often")
    with DirectHost(agents[0].endpoint, "often") as host:
        host.hello()
        for _ in range(50):
            host.control.send(nowhere)
            answer = host.next()
            if isinstance(answer, Failure):
                break
            assert isinstance(answer, Reached)
            assert "nothing listens there" in answer.problem
        assert isinstance(answer, Failure)
        assert "asked to try its links too often" in answer.message or "still tries" in answer.message
        host.stop()
