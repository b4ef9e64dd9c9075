"""An agent as a service: what it tells the service manager, as a process, and with a step and a loop that can be held."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from support.direct_host import DirectHost, agent_process, serving
from support.fake_runtime import FakeLoader, Gate
from support.service_manager import FakeManager, fake_manager
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.wire import TRAIN, Token
from edgebll_devices.agent.agent import Agent
from edgebll_devices.agent.settings import Settings

LOCAL = "tcp://127.0.0.1:0"
WATCHDOG_S = 0.4


def watched(fake: FakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", fake.address)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1e6)))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)


def told_thrice(fake: FakeManager) -> None:
    for _ in range(3):
        fake.wait("WATCHDOG", "1", 3 * WATCHDOG_S)


def test_a_service_says_when_it_can_be_used_and_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_manager(tmp_path) as fake:
        watched(fake, monkeypatch)
        with agent_process(tmp_path / "state", name="orin") as agent:
            fake.wait("READY", "1")
            assert fake.told[-1][1]["STATUS"] == f"board orin waits for a host at {agent.endpoint}"
            with DirectHost(agent.endpoint, "first\nMAINPID=1") as host:
                host.hello()
                fake.wait("STATUS", "run first?MAINPID=1, incarnation 0")
                host.stop()
            fake.wait("STATUS", "waits for a host")
            assert agent.end() == 0
        fake.wait("STOPPING", "1")
    assert {key for _, told in fake.told for key in told} == {"READY", "STATUS", "WATCHDOG", "STOPPING"}


def test_a_long_step_is_no_hang_but_a_loop_that_hangs_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: FakeLoader
) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundle", blocks=2)
    loader.before, hung = Gate(), threading.Event()
    with fake_manager(tmp_path) as fake:
        watched(fake, monkeypatch)
        agent = Agent(Settings(LOCAL, LOCAL, "tester", tmp_path / "state"))
        with serving(agent), DirectHost(agent.endpoint, "run") as host:
            host.start(bundle, ("block0", "block1"))
            x, y = make_batch(bundle, 0)
            host.token(Token("run", "block0", TRAIN, 0, 0, 0, {"lr": 0.1}, tensors={"x": x, "y": y}))
            assert loader.before.reached.wait(20.0)
            times = [fake.wait("WATCHDOG", "1") for _ in range(5)]
            assert times[-1] - times[0] > WATCHDOG_S, "one of them would have been too few"
            monkeypatch.setattr(agent._endpoints.allowed_keys, "changed", lambda: hung.wait(20.0) and False)
            with pytest.raises(AssertionError, match="no WATCHDOG"):
                told_thrice(fake)  # although some may have been told before the loop hung
            hung.set()
            fake.wait("WATCHDOG", "1")
            loader.before.open()


def test_its_log_for_programs_names_the_run(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "board.jsonl"
    with agent_process(tmp_path / "state", "--log", str(log)) as agent:
        with DirectHost(agent.endpoint, "first") as host:
            host.hello()
            host.stop()
        assert agent.end() == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["message"] for line in lines if line.get("run") == "first"] == [
        "run first: a host says hello, incarnation 0",
        "run first: incarnation 0 is over",
    ]
    assert "run first: incarnation 0 is over" in (tmp_path / "state" / "agent.log").read_text(), "stderr says so too"


def test_a_full_disk_for_the_log_ends_nothing(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundle", blocks=1)
    with agent_process(tmp_path / "state", "--log", "/dev/full") as agent, DirectHost(agent.endpoint, "run") as host:
        host.start(bundle, ("block0",))
        host.stop()
        assert agent.end() == 0
    said = (tmp_path / "state" / "agent.log").read_text()
    assert said.count("cannot write /dev/full") == 1, said
