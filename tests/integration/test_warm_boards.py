"""A board in the next incarnation of its run: what it has loaded it loads no more, and computes the same bits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.direct_host import DirectHost, serving
from support.fake_runtime import FakeLoader
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.wire import END, TRAIN, Failure, Report, State, Token
from edgebll_devices.agent.agent import Agent
from edgebll_devices.agent.settings import Settings
from edgebll_devices.session import runtime_pool as warm

RUN, BOTH = "run", ("block0", "block1")
LOCAL = "tcp://127.0.0.1:0"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=2)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with serving(agent := Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state"))):
        yield agent


def train(host: DirectHost, bundle: Bundle, incarnation: int, steps: int, end: bool = False) -> dict[str, bytes]:
    """Some steps, and END if that is wanted; returns the bits of the states it gave."""
    for step in range(steps):
        x, y = make_batch(bundle, step)
        where = (host.run, "block0", TRAIN, step, step, 0, {"lr": 0.1})
        host.token(Token(*where, incarnation=incarnation, tensors={"x": x, "y": y}))
        assert [type(host.next()) for _ in BOTH] == [Report, Report]
    if not end:
        return {}
    host.token(Token(host.run, "block0", END, steps, steps, incarnation=incarnation))
    states = [host.expect(State) for _ in BOTH]
    return {f"{state.block} {name}": value.tobytes() for state in states for name, value in state.tensors.items()}


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
def test_the_next_incarnation_has_the_bits_of_a_fresh_board(
    agent: Agent, bundle: Bundle, tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its runtimes had done before: they begin again with the states the host names."""
    import edgebll_devices.runtimes as runtimes

    loaded, load = [], runtimes.load_block
    monkeypatch.setattr(runtimes, "load_block", lambda *args, **more: loaded.append(args[2]) or load(*args, **more))
    with DirectHost(agent.endpoint, RUN) as first, DirectHost(agent.endpoint, RUN) as second:
        first.begin(bundle, 1, runtime=runtime)
        train(first, bundle, 1, 3)
        second.begin(bundle, 2, runtime=runtime)
        assert loaded == ["block0", "block1"]
        again = train(second, bundle, 2, 5, end=True)
    with serving(other := Agent(Settings(LOCAL, LOCAL, "other", tmp_path / "other"))), DirectHost(other.endpoint, RUN) as host:
        host.begin(bundle, 1, runtime=runtime)
        assert len(loaded) == 4
        assert train(host, bundle, 1, 5, end=True) == again


def test_blocks_that_move_away_are_freed(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    with DirectHost(agent.endpoint, RUN) as first, DirectHost(agent.endpoint, RUN) as second:
        first.begin(bundle, 1)
        second.begin(bundle, 2, ("block1",))
        assert [(runtime.spec.name, runtime.closed) for runtime in loader.loaded] == [("block0", True), ("block1", False)]


def test_another_run_frees_what_was_kept(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    with DirectHost(agent.endpoint, RUN) as host, DirectHost(agent.endpoint, "next") as following:
        host.begin(bundle, 0)
        host.stop()
        assert [runtime.closed for runtime in loader.loaded] == [False, False]
        following.begin(bundle, 0)
        assert [runtime.closed for runtime in loader.loaded] == [True, True, False, False]


def test_what_no_incarnation_takes_up_is_freed_in_a_while(
    tmp_path: Path, bundle: Bundle, loader: FakeLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "KEEP_S", 0.05)
    with serving(agent := Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state", deadline_s=1.0))):
        with DirectHost(agent.endpoint, RUN) as host:
            host.begin(bundle, 0)
            host.stop()
        until_s = time.monotonic() + 20.0
        while not all(runtime.closed for runtime in loader.loaded):
            assert time.monotonic() < until_s, "they take memory for ever"
            time.sleep(0.01)


def test_a_runtime_that_failed_is_loaded_anew(agent: Agent, bundle: Bundle, loader: FakeLoader) -> None:
    def burst() -> None:
        raise ZeroDivisionError("burst")

    with DirectHost(agent.endpoint, RUN) as host, DirectHost(agent.endpoint, RUN) as following:
        loader.before = burst
        host.begin(bundle, 1)
        x, y = make_batch(bundle, 0)
        host.token(Token(RUN, "block0", TRAIN, 0, 0, 0, {"lr": 0.1}, incarnation=1, tensors={"x": x, "y": y}))
        assert "burst" in host.expect(Failure).message
        loader.before = None
        following.begin(bundle, 2)
        assert [runtime.closed for runtime in loader.loaded] == [True, True, False, False]
        train(following, bundle, 2, 2)
