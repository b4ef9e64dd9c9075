"""Side streams over real boards: the same bits on any boards and with any window, and clear ends where a token is wrong."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.board_runs import run_alone, run_over
from support.direct_host import AgentProcess, DirectHost, agent_process
from support.pipelines import SHORT, invoke, summary, write_cluster
from support.tiny_bundle import SIDES, make_tiny_bundle
from support.toy_rule import Toy

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import LinkError
from edgebll.kernel.keys import new_key_pair
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.transport import Receiver
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN, Failure, Ping, Pong, Token
from edgebll.learning import SGD
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry

NAMES = "abcd"
KINDS = ((TRAIN,) * 5 + (EVAL, TRAIN, SNAPSHOT)) * 3 + (TRAIN, END)
_RUNS = itertools.count()


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AgentProcess]]:
    """Four boards."""
    with (
        agent_process(tmp_path_factory.mktemp("a"), name="a") as a,
        agent_process(tmp_path_factory.mktemp("b"), name="b") as b,
        agent_process(tmp_path_factory.mktemp("c"), name="c") as c,
        agent_process(tmp_path_factory.mktemp("d"), name="d") as d,
    ):
        yield {"a": a, "b": b, "c": c, "d": d}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Four blocks made by hand, with streams forward over one block and backward with lags of 1 and 2."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=4, sides=SIDES)


@pytest.fixture(scope="module")
def alone(bundle: Bundle) -> str:
    """Fingerprint of what a sequential run ends with."""
    return state_sha256(run_alone(bundle, KINDS))


def over(agents: dict[str, AgentProcess], pinned: list[tuple[str, ...]], window: int) -> Cluster:
    boards = tuple(BoardEntry(n, agents[n].endpoint, blocks=blocks) for n, blocks in zip(NAMES, pinned, strict=False))
    return Cluster(boards, HostEntry(window=window))


@pytest.mark.parametrize("window", [1, 3, 8])
@pytest.mark.parametrize("boards", [1, 2, 3, 4])
def test_any_boards_and_any_window_give_the_bits_of_a_sequential_run(
    agents: dict[str, AgentProcess], bundle: Bundle, alone: str, tmp_path: Path, boards: int, window: int
) -> None:
    outcome = run_over(bundle, KINDS, over(agents, [()] * boards, window), tmp_path / f"run{next(_RUNS)}")
    assert state_sha256(outcome.states) == alone
    assert len(outcome.placement.blocks) == boards


def test_blocks_that_lie_crosswise_on_boards_do_too(
    agents: dict[str, AgentProcess], bundle: Bundle, alone: str, tmp_path: Path
) -> None:
    cluster = over(agents, [("block1", "block3"), ("block0", "block2")], 8)
    assert state_sha256(run_over(bundle, KINDS, cluster, tmp_path / f"run{next(_RUNS)}").states) == alone


def test_encrypted_boards_do_too(bundle: Bundle, alone: str, tmp_path: Path) -> None:
    keys = {name: new_key_pair(tmp_path / f"{name}.key") for name in ("host", "a", "b")}
    options = {n: ("--key", str(tmp_path / f"{n}.key"), "--allow", keys["host"].public) for n in ("a", "b")}
    with (
        agent_process(tmp_path / "a", *options["a"], name="a") as a,
        agent_process(tmp_path / "b", *options["b"], name="b") as b,
    ):
        boards = tuple(BoardEntry(agent.name, agent.endpoint, keys[agent.name].public) for agent in (a, b))
        cluster = Cluster(boards, HostEntry(window=3), keys["host"])
        assert state_sha256(run_over(bundle, KINDS, cluster, tmp_path / "run").states) == alone
    for name in ("a", "b"):
        assert "too late" not in (tmp_path / name / "agent.log").read_text(), "a side token came after the end"


def test_the_streams_matter(bundle: Bundle, alone: str, tmp_path: Path) -> None:
    later = [EdgeSpec(edge.source, edge.target, edge.tensors, edge.lag + 1) for edge in SIDES]
    assert state_sha256(run_alone(make_tiny_bundle(tmp_path / "later", blocks=4, sides=later), KINDS)) != alone


def test_a_rule_with_side_streams_runs_from_its_bundle_alone(agents: dict[str, AgentProcess], tmp_path: Path) -> None:
    """Neither the command nor the boards know the rule: it is in no list."""
    network = make_network("mlp", num_blocks=4, num_classes=10, input_shape=(1, 8, 8), seed=0)
    export_bundle(network, rule=Toy(), optimizer=SGD(), batch_size=16, path=tmp_path / "bundle")
    invoke("simulate", tmp_path / "bundle", "--boards", 0, "--out", tmp_path / "alone", *SHORT)
    for boards, window in ((2, 8), (4, 3)):
        endpoints = {name: agents[name].endpoint for name in NAMES[:boards]}
        cluster = write_cluster(tmp_path / "cluster.toml", endpoints, f"window = {window}")
        run = tmp_path / f"run{next(_RUNS)}"
        invoke("run", tmp_path / "bundle", "--cluster", cluster, "--out", run, *SHORT)
        assert summary(run)["state_sha256"] == summary(tmp_path / "alone")["state_sha256"]
        assert len(summary(run)["placement"]) == boards


def test_plan_tells_the_streams_both_ways(bundle: Bundle) -> None:
    links = json.loads(invoke("plan", bundle.path, "--boards", 2, "--json"))["links"]
    found = {(row["from"], row["to"], row["block"], *row["tensors"]): row["bytes_per_step"] for row in links}
    assert found == {
        ("host", "board0", "block0", "x", "y"): 4 * (4 * 6 + 4 * 3),
        ("board0", "board1", "block2", "a", "y"): 4 * (4 * 6 + 4 * 3),
        ("board0", "board1", "block2", "told", "seen"): 4 * (6 + 4 * 6),
        ("board1", "board0", "block1", "told"): 4 * 6,
        ("board1", "board0", "block0", "told"): 4 * 6,
    }
    assert "told, seen" in invoke("plan", bundle.path, "--boards", 2)


def side(run: str, step: int, **changes: Any) -> Token:
    tensors = {"told": np.zeros(6, np.float32), "seen": np.zeros((4, 6), np.float32), **changes.pop("tensors", {})}
    return Token(run, "block2", TRAIN, step, step, source=changes.pop("source", "block0"), tensors=tensors)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tensors": {"told": np.zeros(7, np.float32)}}, "block2 expected block0.told as float32[6] and got float32[7]"),
        ({"source": "block1"}, "training step 1 of block1; expected was only block0"),
        ({"step": 0}, "training step 0 of block0; expected was training step 1"),
    ],
)
def test_a_wrong_side_token_ends_the_run_in_one_sentence(
    agents: dict[str, AgentProcess], bundle: Bundle, wrong: dict[str, Any], words: str
) -> None:
    """A board that hosts the last two blocks; this test stands for the boards of the first two."""
    run = f"direct{next(_RUNS)}"
    elsewhere = {"block0": "tcp://127.0.0.1:9", "block1": "tcp://127.0.0.1:9"}
    with DirectHost(agents["a"].endpoint, run) as host:
        host.start(bundle, ("block2", "block3"), endpoints=elsewhere)
        x, y = np.ones((4, 6), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
        host.token(side(run, 0))
        host.token(side(run, **{"step": 1, **wrong}))
        host.token(Token(run, "block2", TRAIN, 0, 0, 0, {"lr": 0.1}, tensors={"x": x, "y": y}))
        failure = host.failure()
        assert words in failure.message
        assert "\n" not in failure.message
        assert failure.code == LinkError.exit_code
        host.stop()


def test_a_board_is_told_where_every_target_is(agents: dict[str, AgentProcess], bundle: Bundle) -> None:
    with DirectHost(agents["a"].endpoint, f"direct{next(_RUNS)}") as host:
        host.hello()
        host.send_files(bundle, host.offer(bundle, ("block3",)))
        host.assign(("block3",))
        message = host.next()
        assert isinstance(message, Failure)
        assert "does not say where block0 is, which block3 sends to" in message.message
        host.stop()


def test_a_step_waits_for_its_side_token_and_the_board_answers_meanwhile(
    agents: dict[str, AgentProcess], bundle: Bundle
) -> None:
    """A board that hosts the last two blocks; what they send back comes to one link, in order."""
    run = f"direct{next(_RUNS)}"
    with Receiver("tcp://127.0.0.1:0") as before, DirectHost(agents["a"].endpoint, run) as host:
        host.start(bundle, ("block2", "block3"), endpoints=dict.fromkeys(("block0", "block1"), before.endpoint))
        x, y = np.ones((4, 6), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
        host.token(Token(run, "block2", TRAIN, 0, 0, 0, {"lr": 0.1}, tensors={"x": x, "y": y}))
        host.token(Token(run, "block2", END, 1, 1))
        host.control.send(Ping(1))
        assert host.expect(Pong).sent_ns == 1
        host.token(side(run, 0))
        said = [host.next() for _ in range(4)]
        assert sorted(type(message).__name__ for message in said) == ["Report", "Report", "State", "State"]
        back = [before.receive(20.0) for _ in range(2)]
        assert back == [Token(run, f"block{to}", TRAIN, 0, 0, source=f"block{to + offset}") for to, offset in ((1, 1), (0, 3))]
        assert all(token is not None and token.tensors.keys() == {"told"} for token in back)
        host.stop()
