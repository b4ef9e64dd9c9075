"""A board and the incarnations of a run: a later one takes over at once, and nothing of an earlier one counts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.direct_host import DirectHost, agent_process, serving
from support.fake_runtime import FakeLoader, Gate
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll import __version__
from edgebll.kernel.bundle import MANIFEST, Bundle
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.transport import Receiver, Sender
from edgebll.kernel.wire import (
    PROTOCOL_VERSION,
    TRAIN,
    Assign,
    Failure,
    Hello,
    Leaving,
    Offer,
    Ping,
    Pong,
    Progress,
    Ready,
    Report,
    Stop,
    Stopped,
    Token,
    Want,
    Welcome,
)
from edgebll_devices.agent.agent import Agent
from edgebll_devices.agent.settings import Settings

RUN = "run"
LOCAL = "tcp://127.0.0.1:0"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=2)


@pytest.fixture
def agent(tmp_path: Path, loader: FakeLoader) -> Iterator[Agent]:
    agent = Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state"))
    with serving(agent):
        yield agent


def hello(host: DirectHost, incarnation: int) -> None:
    host.control.send(Hello(RUN, PROTOCOL_VERSION, __version__, incarnation=incarnation))


def train(bundle: Bundle, sequence: int, incarnation: int) -> Token:
    x, y = make_batch(bundle, sequence)
    where = (RUN, "block0", TRAIN, sequence, sequence, 0, {"lr": 0.1})
    return Token(*where, incarnation=incarnation, tensors={"x": x, "y": np.ascontiguousarray(y)})


@contextlib.contextmanager
def hosts(agent: Agent, number: int) -> Iterator[list[DirectHost]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(DirectHost(agent.endpoint, RUN)) for _ in range(number)]


def test_a_later_incarnation_takes_over_and_tokens_of_others_are_dropped(agent: Agent, bundle: Bundle) -> None:
    with hosts(agent, 2) as (old, new):
        old.begin(bundle, 1)
        old.token(train(bundle, 0, 1))
        assert old.expect(Report).incarnation == 1
        new.begin(bundle, 2)
        for incarnation in (1, 3, 1):
            old.token(train(bundle, 0, incarnation))
        new.token(train(bundle, 0, 2))
        reports = [new.expect(Report) for _ in range(2)]
        assert [(report.sequence, report.incarnation) for report in reports] == [(0, 2), (0, 2)]
        new.control.send(Ping(1))
        assert isinstance(new.next(), Pong), "and no failure"


def test_it_takes_over_although_the_board_computes_and_the_board_says_that_it_lives(
    agent: Agent, bundle: Bundle, loader: FakeLoader
) -> None:
    loader.before = gate = Gate()
    with hosts(agent, 2) as (old, new):
        old.begin(bundle, 1)
        old.token(train(bundle, 0, 1))
        assert gate.reached.wait(20.0)
        hello(new, 2)
        assert "ends the step in progress" in new.expect(Progress).text
        gate.open()
        loader.before = None
        new.wait_for(Welcome)
        assert old.wait_for(Stopped).incarnation == 1


@pytest.mark.parametrize(
    ("incarnation", "words"),
    [(1, "has seen incarnation 2 of the run 'run', and this host speaks for incarnation 1"), (2, "works for another host")],
)
def test_an_earlier_incarnation_and_another_host_of_the_same_are_refused(
    agent: Agent, bundle: Bundle, incarnation: int, words: str
) -> None:
    with hosts(agent, 2) as (now, late):
        now.begin(bundle, 2)
        hello(late, incarnation)
        assert words in late.expect(Failure).message
        late.control.send(Stop(RUN, incarnation=incarnation))
        now.token(train(bundle, 0, 2))
        now.expect(Report)


def test_a_message_of_another_incarnation_in_a_session_is_refused(agent: Agent, bundle: Bundle) -> None:
    with hosts(agent, 1) as (host,):
        hello(host, 4)
        host.expect(Welcome)
        host.control.send(Stop(RUN, incarnation=3))
        host.control.send(Offer(RUN, (bundle.path / MANIFEST).read_bytes(), (), incarnation=3))
        assert "or one of incarnation 3 in 4" in host.expect(Failure).message


@pytest.mark.parametrize(
    "snapshot",
    [
        {"../block0.safetensors": FileEntry("0" * 64, 8)},
        {"block9.safetensors": FileEntry("0" * 64, 8)},
        {"/block0.safetensors": FileEntry("0" * 64, 8)},
    ],
)
def test_a_snapshot_that_names_other_files_is_refused(agent: Agent, bundle: Bundle, snapshot: dict) -> None:
    with hosts(agent, 1) as (host,):
        hello(host, 1)
        host.expect(Welcome)
        host.control.send(Offer(RUN, (bundle.path / MANIFEST).read_bytes(), (), snapshot, incarnation=1))
        assert "is not one of a snapshot of this bundle" in host.expect(Failure).message


def test_a_cut_link_to_another_board_is_noticed_at_once(agent: Agent, bundle: Bundle) -> None:
    """What was on it may be lost; the board is idle and would otherwise wait for ever."""
    with Receiver(LOCAL) as downstream, hosts(agent, 1) as (host,):
        hello(host, 1)
        host.expect(Welcome)
        host.send_files(bundle, host_offer(host, bundle))
        where = {"block1": downstream.endpoint}
        host.control.send(Assign(RUN, ("block0",), where, {}, (), "fake", 1, incarnation=1))
        host.expect(Ready)
        with Sender(agent.data_endpoint) as sender:
            sender.send(train(bundle, 0, 1), 20.0)
            assert host.expect(Report).sequence == 0
            assert downstream.receive(20.0) is not None
            downstream.close()
            started = time.monotonic()
            failure = host.wait_for(Failure)
        assert time.monotonic() - started < 9.0, "sooner than the deadline"
        assert "the connection to block1 at" in failure.message
        assert failure.code == 7


def host_offer(host: DirectHost, bundle: Bundle) -> Want:
    files = tuple(name for name in bundle.manifest.files if name.startswith("block0/"))
    host.control.send(Offer(RUN, (bundle.path / MANIFEST).read_bytes(), files, incarnation=1))
    answer = host.next()
    assert isinstance(answer, Want)
    return answer


def test_a_board_that_was_killed_still_refuses_an_earlier_incarnation(tmp_path: Path) -> None:
    """As of a host that was frozen while another one took its run over, and that says hello again later."""
    for round_ in range(2):
        with agent_process(tmp_path / "state") as process, DirectHost(process.endpoint, RUN) as host:
            if round_:
                hello(host, 2)
                failure = host.expect(Failure)
                assert "board test has seen incarnation 3 of the run 'run'" in failure.message
                assert "another host has taken the run over" in failure.message
                assert (failure.run, failure.code, failure.incarnation) == (RUN, 7, 2)
            hello(host, 3)
            host.expect(Welcome)
            process.process.kill()


def test_a_board_whose_disk_refuses_says_so_to_the_host(tmp_path: Path) -> None:
    with agent_process(tmp_path / "state") as process, DirectHost(process.endpoint, RUN) as host:
        (tmp_path / "state" / "runs").write_text("")
        hello(host, 1)
        failure = host.expect(Failure)
        assert "cannot write" in failure.message
        assert failure.code == 9
        assert process.end() == 0


def test_a_board_is_the_same_after_a_restart(tmp_path: Path, loader: FakeLoader) -> None:
    def who(folder: Path, name: str) -> str:
        with serving(agent := Agent(Settings(LOCAL, LOCAL, name, folder))), DirectHost(agent.endpoint, RUN) as host:
            hello(host, 1)
            return host.expect(Welcome).identity

    first = who(tmp_path / "state", "orin")
    assert who(tmp_path / "state", "orin") == first
    assert len({first, who(tmp_path / "state", "other"), who(tmp_path / "elsewhere", "orin")}) == 3
    for path in (tmp_path / "state" / "identities").iterdir():
        path.write_text("{")
    assert who(tmp_path / "state", "orin") != first, "a damaged one is made anew, and the board serves"


def test_a_host_that_hangs_up_on_a_board_that_is_to_end_is_no_failure(
    tmp_path: Path, loader: FakeLoader, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state", leave_s=20.0))
    with serving(agent) as thread:
        with DirectHost(agent.endpoint, RUN) as host:
            hello(host, 1)
            host.expect(Welcome)
            agent.stop()
            host.expect(Leaving)
        thread.join(10.0)
        assert not thread.is_alive(), "it waits for a host that is gone"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
