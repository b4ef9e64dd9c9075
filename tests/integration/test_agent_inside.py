"""The agent in this process, with real sockets and a runtime that can be held, broken and looked at."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.direct_host import DirectHost, serving
from support.fake_runtime import FakeLoader, Gate
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.bundle import MANIFEST, Bundle
from edgebll.errors import BundleError, LinkError
from edgebll.transport import Receiver, Sender
from edgebll.wire import (
    END,
    MAX_PROGRESS_CHARS,
    SNAPSHOT,
    TRAIN,
    Assign,
    Failure,
    FilePiece,
    Hello,
    Offer,
    Ping,
    Pong,
    Progress,
    Ready,
    Report,
    State,
    Stop,
    Stopped,
    Token,
)
from edgebll_devices.agent import Agent
from edgebll_devices.runtimes.site import Site
from edgebll_devices.settings import Settings

RUN = "run-1"
BLOCKS = ("block0", "block1")
LOCAL = "tcp://127.0.0.1:0"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=2)


@contextlib.contextmanager
def running(tmp_path: Path, deadline_s: float = 10.0, once: bool = False) -> Iterator[Agent]:
    agent = Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state", once=once, deadline_s=deadline_s))
    with serving(agent):
        yield agent


@pytest.fixture
def agent(tmp_path: Path, loader: FakeLoader) -> Iterator[Agent]:
    with running(tmp_path) as agent:
        yield agent


def train(bundle: Bundle, sequence: int, run: str = RUN, block: str = "block0") -> Token:
    x, y = make_batch(bundle, sequence)
    return Token(run, block, TRAIN, sequence, sequence, 0, {"lr": 0.1}, tensors={"x": x, "y": y})


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_a_whole_session_and_then_another(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    for run in ("run-1", "run-2"):
        with DirectHost(agent.endpoint, run) as host:
            host.start(bundle, BLOCKS)
            host.token(train(bundle, 0, run))
            host.token(Token(run, "block0", END, 1, 1))
            messages = [host.next() for _ in range(4)]
            assert [type(m) for m in messages] == [Report, Report, State, State]
            assert [(m.block, m.final) for m in messages if isinstance(m, State)] == [("block0", True), ("block1", True)]
            host.stop()
    assert [runtime.closed for runtime in loader.loaded] == [True] * 4


def test_the_second_time_no_file_is_wanted(agent: Agent, bundle: Bundle) -> None:
    for run, expected in (("run-1", 6), ("run-2", 0)):
        with DirectHost(agent.endpoint, run) as host:
            host.hello()
            want = host.offer(bundle, BLOCKS)
            assert len(want.sha256) == expected
            host.send_files(bundle, want)
            host.stop()


def test_a_ping_is_answered_while_a_step_computes(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    loader.before = gate = Gate()
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
        host.token(train(bundle, 0))
        assert gate.reached.wait(20.0)
        for sent_ns in range(5):
            host.control.send(Ping(sent_ns))
            assert host.expect(Pong, 2.0).sent_ns == sent_ns
        gate.open()
        host.expect(Report)
        host.expect(Report)
        host.stop()


def test_a_heartbeat_says_whether_there_is_anything_to_compute(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    loader.before = gate = Gate()

    def idle(host: DirectHost) -> bool:
        host.control.send(Ping(1))
        return host.wait_for(Pong).idle

    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        assert not idle(host), "it waits for the host, not for a token"
        host.send_files(bundle, host.offer(bundle, BLOCKS))
        host.assign(BLOCKS)
        host.expect(Ready)
        until(lambda: idle(host))
        host.data = Sender(agent.data_endpoint)
        host.token(train(bundle, 0))
        assert gate.reached.wait(20.0)
        assert not idle(host)
        gate.open()
        host.wait_for(Report)
        until(lambda: idle(host))
        host.stop()


def test_a_second_host_is_told_who_has_the_board(agent: Agent, bundle: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host, DirectHost(agent.endpoint, "other") as other:
        host.start(bundle, BLOCKS)
        other.control.send(Hello("other", 1, "x"))
        failure = other.failure()
        assert (failure.run, failure.code) == ("other", LinkError.exit_code)
        assert "board tester works for another host, in the run 'run-1'" in failure.message
        host.token(train(bundle, 0))  # and the first one goes on
        host.expect(Report)
        host.stop()
        other.hello()


def test_a_host_the_board_does_not_know_is_told_so(agent: Agent) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.control.send(Ping(1))
        assert "has no session with this host" in host.failure().message


def test_a_greeting_may_be_repeated_and_a_session_ended_before_it_did_anything(agent: Agent) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        assert host.hello().data_endpoint == agent.data_endpoint
        assert host.hello().runtimes == ("fake",)
        host.stop()
        assert host.hello().cores >= 1


@pytest.mark.parametrize(
    ("sequence", "sentence"), [(1, "expected token 0 and got token 1"), (0, "expected token 1 and got token 0")]
)
def test_a_gap_or_duplicate_ends_the_run(agent: Agent, bundle: Bundle, sequence: int, sentence: str) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
        host.token(train(bundle, sequence))
        host.token(train(bundle, sequence))
        failure = host.failure()
        assert failure.code == 7
        assert sentence in failure.message
        assert failure.message.startswith("board tester: block0")
        host.stop()


def test_a_token_of_an_unknown_run_is_a_failure(agent: Agent, bundle: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
        host.token(train(bundle, 0, run="elsewhere"))
        assert "a token of the run 'elsewhere' came into the run 'run-1'" in host.failure().message


def test_stray_tokens_of_an_earlier_run_do_no_harm(agent: Agent, bundle: Bundle) -> None:
    with DirectHost(agent.endpoint, "old") as old, DirectHost(agent.endpoint, RUN) as host:
        old.start(bundle, BLOCKS)
        old.stop()
        host.start(bundle, BLOCKS)
        old.token(train(bundle, 0, run="old"))
        host.token(train(bundle, 0))
        assert host.expect(Report).sequence == 0
        assert host.expect(Report).block == "block1"
        host.stop()


def test_data_that_is_no_token_is_a_failure(agent: Agent, bundle: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
        assert host.data is not None
        host.data.send(Ping(1), 5.0)
        assert "a Ping came on the data connection" in host.failure().message


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (BundleError("the graph is odd; export again"), 3, "board tester: the graph is odd; export again"),
        (MemoryError("no\n more"), 1, "board tester: MemoryError: no more"),
    ],
)
def test_what_goes_wrong_while_loading_reaches_the_host(
    agent: Agent, bundle: Bundle, loader: FakeLoader, error: Exception, code: int, sentence: str
) -> None:
    loader.error = error
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(bundle, host.offer(bundle, BLOCKS))
        host.assign(BLOCKS)
        failure = host.expect(Failure)
        assert (failure.run, failure.code, failure.message) == (RUN, code, sentence)
        host.stop()


def test_an_exception_in_a_step_reaches_the_host_and_frees_the_board(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    def burst() -> None:
        raise ZeroDivisionError("burst")

    loader.before = burst
    with DirectHost(agent.endpoint, RUN) as host, DirectHost(agent.endpoint, "next") as following:
        host.start(bundle, BLOCKS)
        host.token(train(bundle, 0))
        assert host.failure().message == "board tester: ZeroDivisionError: burst"
        until(lambda: all(runtime.closed for runtime in loader.loaded))
        loader.before = None
        following.start(bundle, BLOCKS)  # although the first host has not said Stop


def test_a_failure_is_told_again_with_every_pong(agent: Agent, bundle: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
        host.token(train(bundle, 3))
        first = host.failure()
        host.control.send(Ping(1))
        assert host.expect(Pong).sent_ns == 1
        assert host.expect(Failure) == first
        host.stop()


def test_a_silent_host_loses_the_board(tmp_path: Path, bundle: Bundle, loader: FakeLoader) -> None:
    with (
        running(tmp_path, deadline_s=0.3) as agent,
        DirectHost(agent.endpoint, RUN) as silent,
        DirectHost(agent.endpoint, "next") as following,
    ):
        silent.start(bundle, BLOCKS)
        assert "heard nothing from the host" in silent.failure().message
        silent.expect(Stopped)
        following.start(bundle, BLOCKS)
        assert [runtime.closed for runtime in loader.loaded] == [True, True, False, False], "they wait for this run no more"


def test_a_host_that_pings_keeps_the_board(tmp_path: Path, bundle: Bundle, loader: FakeLoader) -> None:
    with running(tmp_path, deadline_s=0.5) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            host.control.send(Ping(1))
            host.expect(Pong)
        host.token(train(bundle, 0))
        assert host.expect(Report).block == "block0"
        host.expect(Report)
        host.stop()


def test_stop_waits_for_the_step_and_pongs_meanwhile(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    loader.before = gate = Gate()
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block1",))
        x, y = np.zeros((4, 6), np.float32), np.zeros((4, 3), np.float32)
        host.token(Token(RUN, "block1", TRAIN, 0, 0, 0, {"lr": 0.1}, tensors={"x": x, "y": y}))
        assert gate.reached.wait(20.0)
        host.control.send(Stop(RUN))
        host.control.send(Ping(5))
        assert host.expect(Pong).sent_ns == 5
        gate.open()
        assert isinstance(host.expect(Report), Report)  # the step in progress counts
        host.expect(Stopped)


def test_the_output_goes_straight_to_the_next_board(agent: Agent, bundle: Bundle) -> None:
    with Receiver(LOCAL) as downstream, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0",), endpoints={"block1": downstream.endpoint})
        for token in (train(bundle, 0), Token(RUN, "block0", SNAPSHOT, 1, 1), Token(RUN, "block0", END, 2, 1)):
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


def test_a_next_board_that_cannot_be_reached_is_a_failure_in_time(tmp_path: Path, bundle: Bundle, loader: FakeLoader) -> None:
    with Receiver(LOCAL) as gone:
        endpoint = gone.endpoint
    with running(tmp_path, deadline_s=1.0) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0",), endpoints={"block1": endpoint})
        host.token(train(bundle, 0))
        end = time.monotonic() + 20.0
        failure = None
        while failure is None:
            assert time.monotonic() < end
            host.control.send(Ping(1))
            message = host.next()
            failure = message if isinstance(message, Failure) else None
        assert f"no connection to {endpoint}" in failure.message
        host.stop()


def _manifest(bundle: Bundle) -> bytes:
    return (bundle.path / MANIFEST).read_bytes()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda b: Offer(RUN, b"{", ()), "the offered manifest.json is not JSON"),
        (lambda b: Offer(RUN, _manifest(b), ("block0/else.onnx",)), "'block0/else.onnx' is not in the manifest"),
        (lambda b: Offer("other", _manifest(b), ()), "a Offer of the run 'other' came in the session of 'run-1'"),
        (lambda b: Assign(RUN, BLOCKS, {}, {}, (), "fake", 1), "an Assign must come once, after the Offer"),
        (lambda b: FilePiece("ab" * 32, 0, 1, b"x"), "which this board did not ask for"),
        (lambda b: Ready(RUN, 0.0), "a board does not expect a Ready from its host"),
    ],
)
def test_a_wrong_message_is_refused_in_one_sentence(
    agent: Agent, bundle: Bundle, wrong: Callable[[Bundle], Offer], sentence: str
) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.control.send(wrong(bundle))
        failure = host.failure()
        assert sentence in failure.message
        assert failure.run == RUN
        host.stop()
        host.hello()


@pytest.mark.parametrize(
    ("assign", "sentence"),
    [
        (Assign(RUN, ("block7",), {}, {}, (), "fake", 1), "there is no block 'block7'"),
        (Assign(RUN, (), {}, {}, (), "fake", 1), "must name different blocks"),
        (Assign(RUN, ("block0",), {}, {}, (), "fake", 1), "does not say where block1 is"),
        (Assign(RUN, BLOCKS, {}, {}, (), "fake", 0), "at least 1 thread"),
        (Assign(RUN, ("block0",), {"block1": "tcp://10.0.0.1:5"}, {}, (), "fake", 1), "needs a key on both sides"),
        (Assign(RUN, ("block0",), {"block1": LOCAL}, {"block1": "x" * 40}, (), "fake", 1), "this board has none"),
    ],
)
def test_a_wrong_assignment_is_refused_in_one_sentence(agent: Agent, bundle: Bundle, assign: Assign, sentence: str) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(bundle, host.offer(bundle, BLOCKS))
        host.control.send(assign)
        assert sentence in host.failure().message
        host.stop()


def test_an_assignment_before_the_files_is_refused(agent: Agent, bundle: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.offer(bundle, BLOCKS)
        host.assign(BLOCKS)
        assert "while 6 files are missing" in host.failure().message


def test_a_block_whose_files_were_not_offered_is_refused(agent: Agent, bundle: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(bundle, host.offer(bundle, ("block0",)))
        host.assign(BLOCKS)
        assert "the block block1 needs block1/forward.onnx, which was not offered" in host.failure().message


def test_an_agent_that_is_stopped_says_so_to_its_host(tmp_path: Path, bundle: Bundle, loader: FakeLoader) -> None:
    agent = Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state"))
    with serving(agent) as thread, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
        agent.stop()
        thread.join(20.0)
        agent.close()
        assert "the agent is shutting down" in host.failure().message


def test_no_thread_or_file_is_left(tmp_path: Path, bundle: Bundle, loader: FakeLoader) -> None:
    before = threading.active_count()
    with running(tmp_path) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, BLOCKS)
    assert threading.active_count() == before
    assert list((tmp_path / "state" / "sessions").iterdir()) == []
    assert list((tmp_path / "state" / "incoming").iterdir()) == []


def test_a_long_load_is_told_and_answers_pings(tmp_path: Path, bundle: Bundle, loader: FakeLoader) -> None:
    built = threading.Event()

    def build(site: Site) -> None:
        site.say("building block0/step.onnx")
        assert built.wait(20.0)
        site.say("x" * 10_000)

    loader.build = build
    with running(tmp_path) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(bundle, host.offer(bundle, BLOCKS))
        host.assign(BLOCKS)
        assert host.expect(Progress).text == "building block0/step.onnx"
        host.control.send(Ping(7))
        assert host.expect(Pong).sent_ns == 7
        built.set()
        assert len(host.expect(Progress).text) == MAX_PROGRESS_CHARS


def test_a_stop_ends_a_long_load(tmp_path: Path, bundle: Bundle, loader: FakeLoader) -> None:
    """The board is free for the next host as soon as the build can be stopped, and reports no failure."""
    polled = threading.Event()

    def build(site: Site) -> None:
        site.say("building")
        while True:
            polled.wait(0.01)
            site.check()

    loader.build = build
    with running(tmp_path) as agent, DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(bundle, host.offer(bundle, BLOCKS))
        host.assign(BLOCKS)
        host.expect(Progress)
        host.control.send(Stop(RUN))
        assert host.expect(Stopped).run == RUN
