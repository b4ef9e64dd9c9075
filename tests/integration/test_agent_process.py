"""`edgebll-board serve` as a process, with the real runtime, driven over its sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.direct_host import PATIENCE_S, AgentProcess, DirectHost, agent_process
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.keys import load_key_pair, new_key_pair
from edgebll.kernel.state.block_state import Array, state_sha256
from edgebll.kernel.transport import ControlServer
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN, Report, State, Token

RUN = "run"
KINDS = [TRAIN, TRAIN, EVAL, SNAPSHOT, TRAIN, END]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=2)


def feed(bundle: Bundle, host: DirectHost) -> None:
    step = 0
    for sequence, kind in enumerate(KINDS):
        x, y = make_batch(bundle, sequence)
        tensors = {"x": x, "y": y} if kind in (TRAIN, EVAL) else {}
        host.token(Token(RUN, "block0", kind, sequence, step, 4, {"lr": 0.1}, tensors=tensors))
        step += kind == TRAIN


def collect(hosts: list[DirectHost], num_blocks: int) -> tuple[dict[str, dict[str, Array]], list[Report]]:
    """Everything the hosts hear until each block's final state is there."""
    states: dict[str, dict[str, Array]] = {}
    reports = []
    for host in hosts:
        expected = len(KINDS) * num_blocks // len(hosts)
        for message in (host.next() for _ in range(expected)):
            if isinstance(message, Report):
                reports.append(message)
            elif isinstance(message, State) and message.final:
                states[message.block] = message.tensors
    return states, reports


def one_board(bundle: Bundle, tmp_path: Path, runtime: str = "onnxruntime") -> tuple[str, list[Report]]:
    with agent_process(tmp_path / "one") as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0", "block1"), runtime=runtime)
        feed(bundle, host)
        states, reports = collect([host], 2)
        host.stop()
        return state_sha256(states), reports


def test_two_boards_give_the_bits_of_one(bundle: Bundle, tmp_path: Path) -> None:
    alone, reports = one_board(bundle, tmp_path)
    evaluation = [report.values for report in reports if report.kind == EVAL and report.block == "block1"]
    assert [values["count"] for values in evaluation] == [4.0]
    with (
        agent_process(tmp_path / "a", name="first") as first,
        agent_process(tmp_path / "b", name="second") as second,
        DirectHost(second.endpoint, RUN) as last,
        DirectHost(first.endpoint, RUN) as host,
    ):
        last.start(bundle, ("block1",))
        host.start(bundle, ("block0",), endpoints={"block1": second.data_endpoint})
        feed(bundle, host)
        states, _ = collect([host, last], 2)
        host.stop()
        last.stop()
    assert state_sha256(states) == alone
    assert states["block0"]["steps"] == 3


def test_an_encrypted_pipeline_of_two_boards(bundle: Bundle, tmp_path: Path) -> None:
    keys = {name: new_key_pair(tmp_path / f"{name}.key") for name in ("host", "first", "second")}
    with (
        agent_process(tmp_path / "a", *_key_options(tmp_path, "first", keys["host"].public)) as first,
        agent_process(tmp_path / "b", *_key_options(tmp_path, "second", keys["host"].public)) as second,
        DirectHost(first.endpoint, RUN, keys=keys["host"], server_key=keys["first"].public) as host,
        DirectHost(second.endpoint, RUN, keys=keys["host"], server_key=keys["second"].public) as last,
    ):
        # The first board is told to connect before the second one knows its key.
        host.start(
            bundle,
            ("block0",),
            endpoints={"block1": second.data_endpoint},
            endpoint_keys={"block1": keys["second"].public},
            upstream_keys=(keys["host"].public,),
        )
        feed(bundle, host)
        last.start(bundle, ("block1",), upstream_keys=(keys["first"].public,))
        states, _ = collect([host, last], 2)
        host.stop()
        last.stop()
    assert state_sha256(states) == one_board(bundle, tmp_path)[0]


def _key_options(folder: Path, name: str, host_key: str) -> tuple[str, ...]:
    return ("--key", str(folder / f"{name}.key"), "--allow", host_key)


def test_a_killed_host_loses_the_board_after_the_deadline(bundle: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "state", "--deadline", "2") as agent:
        script = textwrap.dedent(
            f"""
            import signal, os
            from pathlib import Path
            from edgebll.kernel.bundle import open_bundle
            from support.direct_host import DirectHost
            host = DirectHost({agent.endpoint!r}, "doomed")
            host.start(open_bundle(Path({str(bundle.path)!r})), ("block0", "block1"))
            os.kill(os.getpid(), signal.SIGKILL)
            """
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        killed = subprocess.run([sys.executable, "-c", script], timeout=PATIENCE_S, env=environment, check=False)
        assert killed.returncode == -signal.SIGKILL
        with DirectHost(agent.endpoint, "next") as following:
            _start_when_free(following, bundle)
        assert "heard nothing from the host" in (tmp_path / "state" / "agent.log").read_text()


def _start_when_free(host: DirectHost, bundle: Bundle) -> None:
    from edgebll import __version__
    from edgebll.kernel.wire import PROTOCOL_VERSION, Failure, Hello, Welcome

    for _ in range(200):
        host.control.send(Hello(host.run, PROTOCOL_VERSION, __version__))
        answer = host.next()
        if isinstance(answer, Welcome):
            host.start(bundle, ("block0", "block1"))
            return
        assert isinstance(answer, Failure)
        assert "works for another host" in answer.message
        host.control.receive(0.05)
    raise AssertionError("the board never became free")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_order(bundle: Bundle, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """At once, if it is told so; else as tests/integration/test_leaving.py has it."""
    with agent_process(tmp_path / "state", "--leave-seconds", "0") as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0", "block1"))
        assert agent.end(number) == code
        assert "the agent is shutting down" in host.failure().message
    assert "Traceback" not in (tmp_path / "state" / "agent.log").read_text()


def test_once_means_one_session(bundle: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "state", "--once") as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0", "block1"))
        host.stop()
        assert agent.process.wait(PATIENCE_S) == 0


def test_once_ends_with_the_code_of_what_went_wrong(bundle: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "state", "--once", "--deadline", "0.3") as agent:
        with DirectHost(agent.endpoint, RUN) as host:
            host.hello()
        assert agent.process.wait(PATIENCE_S) == 7


def _serve(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from edgebll_devices.commands.main import main; main()", "serve", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with ControlServer("tcp://127.0.0.1:0") as taken:
        result = _serve("--listen", taken.endpoint, "--state", str(tmp_path))
    assert (result.returncode, result.stdout) == (7, "")
    assert result.stderr == f"edgebll-board: {taken.endpoint} is in use by another program; stop it or choose another port\n"


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--listen", "tcp://0.0.0.0:0"), 2, "needs a key on both sides"),
        (("--listen", "7101"), 2, "must look like tcp://HOST:PORT"),
        (("--key", "/nonexistent/key"), 2, "make one with `edgebll keys new`"),
        (("--allow", "nonsense"), 2, "40 characters of Z85"),
        (("--deadline", "0"), 2, "--deadline must be"),
        (("--leave-seconds", "-1"), 2, "--leave-seconds must be"),
        (("--log-bytes", "1", "--log", "x"), 2, "--log-bytes must be at least"),
        (("--state", "/dev/null/x"), 9, "cannot write /dev/null/x"),
        (("--no-such-option",), 2, "No such option"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_its_code(
    tmp_path: Path, options: tuple[str, ...], code: int, sentence: str
) -> None:
    state = () if "--state" in options else ("--state", str(tmp_path))
    listen = () if "--listen" in options else ("--listen", "tcp://127.0.0.1:0")
    result = _serve(*listen, *state, *options)
    assert result.returncode == code, result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_key_file_must_be_private(tmp_path: Path) -> None:
    new_key_pair(tmp_path / "k")
    assert load_key_pair(tmp_path / "k")
    (tmp_path / "k").chmod(0o644)
    result = _serve("--listen", "tcp://127.0.0.1:0", "--state", str(tmp_path), "--key", str(tmp_path / "k"))
    assert result.returncode == 2
    assert "chmod 600" in result.stderr


def _resident_mib(agent: AgentProcess) -> float:
    for line in Path(f"/proc/{agent.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def test_an_idle_agent_is_small(tmp_path: Path) -> None:
    with agent_process(tmp_path / "state") as agent, DirectHost(agent.endpoint, RUN) as host:
        host.hello()
        host.stop()
        assert 10 < _resident_mib(agent) < 120
        maps = Path(f"/proc/{agent.process.pid}/maps").read_text()
        assert "numpy" in maps
        assert "onnxruntime" not in maps
