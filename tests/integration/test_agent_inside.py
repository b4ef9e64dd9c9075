"""The agent in this process, with real sockets and a runtime that can be looked at: sessions from their start to their end."""

from __future__ import annotations

import threading
from pathlib import Path

from support.agent_inside import BLOCKS, LOCAL, RUN, running, train
from support.direct_host import DirectHost, serving
from support.fake_runtime import FakeLoader

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.transport import Receiver
from edgebll.kernel.wire import (
    END,
    SNAPSHOT,
    TRAIN,
    Report,
    State,
    Token,
)
from edgebll_devices.agent.agent import Agent
from edgebll_devices.agent.settings import Settings


def test_a_whole_session_and_then_another(agent: Agent, two_blocks: Bundle, loader: FakeLoader) -> None:
    for run in ("run-1", "run-2"):
        with DirectHost(agent.endpoint, run) as host:
            host.start(two_blocks, BLOCKS)
            host.token(train(two_blocks, 0, run))
            host.token(Token(run, "block0", END, 1, 1))
            messages = [host.next() for _ in range(4)]
            assert [type(m) for m in messages] == [Report, Report, State, State]
            assert [(m.block, m.final) for m in messages if isinstance(m, State)] == [("block0", True), ("block1", True)]
            host.stop()
    assert [runtime.closed for runtime in loader.loaded] == [True] * 4


def test_the_second_time_no_file_is_wanted(agent: Agent, two_blocks: Bundle) -> None:
    for run, expected in (("run-1", 6), ("run-2", 0)):
        with DirectHost(agent.endpoint, run) as host:
            host.hello()
            want = host.offer(two_blocks, BLOCKS)
            assert len(want.sha256) == expected
            host.send_files(two_blocks, want)
            host.stop()


def test_a_greeting_may_be_repeated_and_a_session_ended_before_it_did_anything(agent: Agent) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        assert host.hello().data_endpoint == agent.data_endpoint
        assert host.hello().runtimes == ("fake",)
        host.stop()
        assert host.hello().cores >= 1


def test_stray_tokens_of_an_earlier_run_do_no_harm(agent: Agent, two_blocks: Bundle) -> None:
    with DirectHost(agent.endpoint, "old") as old, DirectHost(agent.endpoint, RUN) as host:
        old.start(two_blocks, BLOCKS)
        old.stop()
        host.start(two_blocks, BLOCKS)
        old.token(train(two_blocks, 0, run="old"))
        host.token(train(two_blocks, 0))
        assert host.expect(Report).sequence == 0
        assert host.expect(Report).block == "block1"
        host.stop()


def test_the_output_goes_straight_to_the_next_board(agent: Agent, two_blocks: Bundle) -> None:
    with Receiver(LOCAL) as downstream, DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, ("block0",), endpoints={"block1": downstream.endpoint})
        for token in (train(two_blocks, 0), Token(RUN, "block0", SNAPSHOT, 1, 1), Token(RUN, "block0", END, 2, 1)):
            host.token(token)
        onward = [downstream.receive(20.0) for _ in range(3)]
        assert onward == [
            Token(RUN, "block1", TRAIN, 0, 0, 0, {"lr": 0.1}),
            Token(RUN, "block1", SNAPSHOT, 1, 1),
            Token(RUN, "block1", END, 2, 1),
        ]
        assert onward[0] is not None
        assert onward[0].tensors["x"].shape == (4, 6)
        assert [type(host.next()) for _ in range(3)] == [Report, State, State]
        host.stop()


def test_an_agent_that_is_stopped_says_so_to_its_host(tmp_path: Path, two_blocks: Bundle, loader: FakeLoader) -> None:
    agent = Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state"))
    with serving(agent) as thread, DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
        agent.stop()
        thread.join(20.0)
        agent.close()
        assert "the agent is shutting down" in host.failure().message


def test_no_thread_or_file_is_left(tmp_path: Path, two_blocks: Bundle, loader: FakeLoader) -> None:
    before = threading.active_count()
    with running(tmp_path) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
    assert threading.active_count() == before
    assert list((tmp_path / "state" / "sessions").iterdir()) == []
    assert list((tmp_path / "state" / "incoming").iterdir()) == []
