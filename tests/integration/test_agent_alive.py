"""The agent in this process answers its host however long a step or a load takes, and gives up one that is silent."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
from support.agent_inside import BLOCKS, LOCAL, RUN, running, train, until
from support.direct_host import DirectHost
from support.fake_runtime import FakeLoader, Gate

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.transport import Receiver, Sender
from edgebll.kernel.wire import (
    MAX_PROGRESS_CHARS,
    TRAIN,
    Failure,
    Ping,
    Pong,
    Progress,
    Ready,
    Report,
    Stop,
    Stopped,
    Token,
)
from edgebll_devices.agent.agent import Agent


def test_a_ping_is_answered_while_a_step_computes(agent: Agent, two_blocks: Bundle, loader: FakeLoader) -> None:
    loader.before = gate = Gate()
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
        host.token(train(two_blocks, 0))
        assert gate.reached.wait(20.0)
        for sent_ns in range(5):
            host.control.send(Ping(sent_ns))
            assert host.expect(Pong, 2.0).sent_ns == sent_ns
        gate.open()
        host.expect(Report)
        host.expect(Report)
        host.stop()


def test_a_heartbeat_says_whether_there_is_anything_to_compute(agent: Agent, two_blocks: Bundle, loader: FakeLoader) -> None:
    loader.before = gate = Gate()

    def idle(host: DirectHost) -> bool:
        host.control.send(Ping(1))
        return host.wait_for(Pong).idle

    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        assert not idle(host), "it waits for the host, not for a token"
        host.send_files(two_blocks, host.offer(two_blocks, BLOCKS))
        host.assign(BLOCKS)
        host.expect(Ready)
        until(lambda: idle(host))
        host.data = Sender(agent.data_endpoint)
        host.token(train(two_blocks, 0))
        assert gate.reached.wait(20.0)
        assert not idle(host)
        gate.open()
        host.wait_for(Report)
        until(lambda: idle(host))
        host.stop()


def test_a_silent_host_loses_the_board(tmp_path: Path, two_blocks: Bundle, loader: FakeLoader) -> None:
    with (
        running(tmp_path, deadline_s=1.0) as agent,
        DirectHost(agent.endpoint, RUN) as silent,
        DirectHost(agent.endpoint, "next") as following,
    ):
        silent.start(two_blocks, BLOCKS)
        assert "heard nothing from the host" in silent.failure().message
        silent.expect(Stopped)
        following.start(two_blocks, BLOCKS)
        assert [runtime.closed for runtime in loader.loaded] == [True, True, False, False], "they wait for this run no more"


def test_a_host_that_pings_keeps_the_board(tmp_path: Path, two_blocks: Bundle, loader: FakeLoader) -> None:
    with running(tmp_path, deadline_s=1.0) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
        end = time.monotonic() + 2.2
        while time.monotonic() < end:
            host.control.send(Ping(1))
            host.expect(Pong)
        host.token(train(two_blocks, 0))
        assert host.expect(Report).block == "block0"
        host.expect(Report)
        host.stop()


def test_a_next_board_that_cannot_be_reached_is_a_failure_in_time(
    tmp_path: Path, two_blocks: Bundle, loader: FakeLoader
) -> None:
    with Receiver(LOCAL) as gone:
        endpoint = gone.endpoint
    with running(tmp_path, deadline_s=1.0) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, ("block0",), endpoints={"block1": endpoint})
        host.token(train(two_blocks, 0))
        end = time.monotonic() + 20.0
        failure = None
        while failure is None:
            assert time.monotonic() < end
            host.control.send(Ping(1))
            message = host.next()
            failure = message if isinstance(message, Failure) else None
        assert f"no connection to {endpoint}" in failure.message
        host.stop()


def test_stop_waits_for_the_step_and_pongs_meanwhile(agent: Agent, two_blocks: Bundle, loader: FakeLoader) -> None:
    loader.before = gate = Gate()
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, ("block1",))
        x, y = np.zeros((4, 6), np.float32), np.zeros((4, 3), np.float32)
        host.token(Token(RUN, "block1", TRAIN, 0, 0, 0, {"lr": 0.1}, tensors={"x": x, "y": y}))
        assert gate.reached.wait(20.0)
        host.control.send(Stop(RUN))
        host.control.send(Ping(5))
        assert host.expect(Pong).sent_ns == 5
        gate.open()
        assert isinstance(host.expect(Report), Report)  # the step in progress counts
        host.expect(Stopped)


def test_a_long_load_is_told_and_answers_pings(tmp_path: Path, two_blocks: Bundle, loader: FakeLoader) -> None:
    built = threading.Event()

    def build(load_context: LoadContext) -> None:
        load_context.say("building block0/step.onnx")
        assert built.wait(20.0)
        load_context.say("x" * 10_000)

    loader.build = build
    with running(tmp_path) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(two_blocks, host.offer(two_blocks, BLOCKS))
        host.assign(BLOCKS)
        assert host.expect(Progress).text == "building block0/step.onnx"
        host.control.send(Ping(7))
        assert host.expect(Pong).sent_ns == 7
        built.set()
        assert len(host.expect(Progress).text) == MAX_PROGRESS_CHARS


def test_a_stop_ends_a_long_load(tmp_path: Path, two_blocks: Bundle, loader: FakeLoader) -> None:
    """The board is free for the next host as soon as the build can be stopped, and reports no failure."""
    polled = threading.Event()

    def build(load_context: LoadContext) -> None:
        load_context.say("building")
        while True:
            polled.wait(0.01)
            load_context.check()

    loader.build = build
    with running(tmp_path) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(two_blocks, host.offer(two_blocks, BLOCKS))
        host.assign(BLOCKS)
        host.expect(Progress)
        host.control.send(Stop(RUN))
        assert host.expect(Stopped).run == RUN


def test_a_failure_is_told_again_with_every_pong(agent: Agent, two_blocks: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
        host.token(train(two_blocks, 3))
        first = host.failure()
        host.control.send(Ping(1))
        assert host.expect(Pong).sent_ns == 1
        assert host.expect(Failure) == first
        host.stop()
