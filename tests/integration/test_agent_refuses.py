"""The agent in this process refuses what it cannot do in one sentence, with a runtime that can be broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.agent_inside import BLOCKS, LOCAL, RUN, train, until
from support.direct_host import DirectHost
from support.fake_runtime import FakeLoader

from edgebll.kernel.bundle import MANIFEST, Bundle
from edgebll.kernel.errors import BundleError, LinkError
from edgebll.kernel.wire import (
    Assign,
    Failure,
    FilePiece,
    Hello,
    Offer,
    Ping,
    Ready,
    Report,
)
from edgebll_devices.agent.agent import Agent


def _manifest(bundle: Bundle) -> bytes:
    return (bundle.path / MANIFEST).read_bytes()


def test_a_second_host_is_told_who_has_the_board(agent: Agent, two_blocks: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host, DirectHost(agent.endpoint, "other") as other:
        host.start(two_blocks, BLOCKS)
        other.control.send(Hello("other", 1, "x"))
        failure = other.failure()
        assert (failure.run, failure.code) == ("other", LinkError.exit_code)
        assert "board tester works for another host, in the run 'run-1'" in failure.message
        host.token(train(two_blocks, 0))  # and the first one goes on
        host.expect(Report)
        host.stop()
        other.hello()


def test_a_host_the_board_does_not_know_is_told_so(agent: Agent) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.control.send(Ping(1))
        assert "has no session with this host" in host.failure().message


@pytest.mark.parametrize(
    ("sequence", "sentence"), [(1, "expected token 0 and got token 1"), (0, "expected token 1 and got token 0")]
)
def test_a_gap_or_duplicate_ends_the_run(agent: Agent, two_blocks: Bundle, sequence: int, sentence: str) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
        host.token(train(two_blocks, sequence))
        host.token(train(two_blocks, sequence))
        failure = host.failure()
        assert failure.code == 7
        assert sentence in failure.message
        assert failure.message.startswith("board tester: block0")
        host.stop()


def test_a_token_of_an_unknown_run_is_a_failure(agent: Agent, two_blocks: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
        host.token(train(two_blocks, 0, run="elsewhere"))
        assert "a token of the run 'elsewhere' came into the run 'run-1'" in host.failure().message


def test_data_that_is_no_token_is_a_failure(agent: Agent, two_blocks: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.start(two_blocks, BLOCKS)
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
    agent: Agent, two_blocks: Bundle, loader: FakeLoader, error: Exception, code: int, sentence: str
) -> None:
    loader.error = error
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(two_blocks, host.offer(two_blocks, BLOCKS))
        host.assign(BLOCKS)
        failure = host.expect(Failure)
        assert (failure.run, failure.code, failure.message) == (RUN, code, sentence)
        host.stop()


def test_an_exception_in_a_step_reaches_the_host_and_frees_the_board(
    agent: Agent, two_blocks: Bundle, loader: FakeLoader
) -> None:
    def burst() -> None:
        raise ZeroDivisionError("burst")

    loader.before = burst
    with DirectHost(agent.endpoint, RUN) as host, DirectHost(agent.endpoint, "next") as following:
        host.start(two_blocks, BLOCKS)
        host.token(train(two_blocks, 0))
        assert host.failure().message == "board tester: ZeroDivisionError: burst"
        until(lambda: all(runtime.closed for runtime in loader.loaded))
        loader.before = None
        following.start(two_blocks, BLOCKS)  # although the first host has not said Stop


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
    agent: Agent, two_blocks: Bundle, wrong: Callable[[Bundle], Offer], sentence: str
) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.control.send(wrong(two_blocks))
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
def test_a_wrong_assignment_is_refused_in_one_sentence(agent: Agent, two_blocks: Bundle, assign: Assign, sentence: str) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(two_blocks, host.offer(two_blocks, BLOCKS))
        host.control.send(assign)
        assert sentence in host.failure().message
        host.stop()


def test_an_assignment_before_the_files_is_refused(agent: Agent, two_blocks: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.offer(two_blocks, BLOCKS)
        host.assign(BLOCKS)
        assert "while 6 files are missing" in host.failure().message


def test_a_block_whose_files_were_not_offered_is_refused(agent: Agent, two_blocks: Bundle) -> None:
    with DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.send_files(two_blocks, host.offer(two_blocks, ("block0",)))
        host.assign(BLOCKS)
        assert "the block block1 needs block1/forward.onnx, which was not offered" in host.failure().message
