"""Two boards and a host that were paired by code, as processes off loopback: who is let in, who is not, what is told."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.direct_host import PATIENCE_S, AgentProcess, DirectHost, agent_process
from support.pipelines import SHORT, invoke, summary
from typer.testing import CliRunner

from edgebll.cli.commands.keys import app
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import LinkError, LinkTimeout
from edgebll.kernel.keys import KeyPair, load_key_pair, make_key_pair, new_key_pair
from edgebll.kernel.keys.allowed_hosts import revoke_host
from edgebll.kernel.transport import ControlClient, Sender
from edgebll.kernel.wire import END, Ping, Pong, Token
from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle

BOARDS = ("left", "right")
EVERYWHERE = ("--listen", "tcp://0.0.0.0:0", "-v")
QUIET_S = 0.5


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    path = tmp_path_factory.mktemp("bundles") / "mlp"
    export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=16, path=path)
    return open_bundle(path)


def pair(state: Path, name: str, host_key: Path, output: Path) -> dict[str, str]:
    """Pair as two people would: a command on the board, its code typed at the host."""
    line = [
        sys.executable,
        "-c",
        "from edgebll_devices.commands.main import main; main()",
        "pair",
        "--listen",
        "tcp://127.0.0.1:0",
    ]
    with (output / f"{name}.err").open("w") as errors:
        board = subprocess.Popen(
            [*line, "--state", str(state), "--name", name], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert board.stdout is not None
        endpoint, code = board.stdout.readline().split()[-1], board.stdout.readline()
        typed = "".join(re.findall(r"\d", code.partition("(")[0]))
        result = CliRunner().invoke(app, ["pair", endpoint, "--key", str(host_key), "--name", "laptop"], input=f"{typed}\n")
        assert result.exit_code == 0, result.output
        assert board.wait(PATIENCE_S) == 0
        (output / f"{name}.out").write_text(code + board.stdout.read() + result.output)
    finally:
        if board.poll() is None:
            board.kill()
        board.wait(PATIENCE_S)
        if board.stdout is not None:
            board.stdout.close()
    entry = dict(re.findall(r'(\w+) = "(.*)"', result.stdout))
    assert entry["name"] == name
    assert entry["endpoint"] == "tcp://127.0.0.1:7101"
    return entry


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with host.key, a state folder for each board, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("paired")
    (folder / "said").mkdir()
    new_key_pair(folder / "host.key")
    for name in BOARDS:
        pair(folder / name, name, folder / "host.key", folder / "said")
    return folder


@contextlib.contextmanager
def boards(paired: Path) -> Iterator[dict[str, AgentProcess]]:
    """Both boards serving on all interfaces, with the keys that pairing left in their state folders."""
    with contextlib.ExitStack() as stack:
        logs = {name: ("--log", str(paired / name / "board.jsonl")) for name in BOARDS}
        found = {
            name: stack.enter_context(agent_process(paired / name, *EVERYWHERE, *logs[name], name=name)) for name in BOARDS
        }
        for board in found.values():
            board.endpoint = board.endpoint.replace("0.0.0.0", "127.0.0.1")
            board.data_endpoint = board.data_endpoint.replace("0.0.0.0", "127.0.0.1")
        yield found


def write_cluster(paired: Path, found: dict[str, AgentProcess]) -> Path:
    text = '[host]\nkey = "host.key"\n'
    for name, board in found.items():
        public = load_key_pair(paired / name / "board.key").public
        text += f'[[board]]\nname = "{name}"\nendpoint = "{board.endpoint}"\npublic_key = "{public}"\n'
    path = paired / "cluster.toml"
    path.write_text(text)
    return path


def test_a_paired_cluster_runs_and_no_secret_is_told(paired: Path, bundle: Bundle, tmp_path: Path) -> None:
    run, alone = tmp_path / "run", tmp_path / "alone"
    with boards(paired) as found:
        cluster = write_cluster(paired, found)
        invoke("run", bundle.path, "--cluster", cluster, *SHORT, "--epochs", "2", "--snapshot-every", "5", "--out", run)
        said = invoke("devices", "--cluster", cluster, "--json")
    invoke("simulate", bundle.path, *SHORT, "--epochs", "2", "--boards", "0", "--out", alone)
    assert summary(run)["state_sha256"] == summary(alone)["state_sha256"]
    known = {board["name"]: board["public_key"] for board in json.loads((run / "status.json").read_text())["boards"]}
    assert known == {name: load_key_pair(paired / name / "board.key").public for name in BOARDS}, "to add one again"
    secrets = [load_key_pair(paired / name).secret for name in ("host.key", "left/board.key", "right/board.key")]
    keys = {paired / "host.key", *(paired / name / "board.key" for name in BOARDS)}
    told = [path for folder in (run, paired) for path in folder.rglob("*") if path.is_file() and path not in keys]
    assert {path.name for path in told} >= {
        "agent.log",
        "board.jsonl",
        "summary.json",
        "timeline.json",
        "cluster.toml",
        "hosts.json",
        "left.out",
    }
    for path in told:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in secrets), path
        assert not any(json.dumps(secret)[1:-1].encode() in content for secret in secrets), path
    assert not any(secret in said for secret in secrets)


def _is_let_in(endpoint: str, keys: KeyPair, server_key: str) -> bool:
    with ControlClient(endpoint, keys=keys, server_key=server_key) as client, contextlib.suppress(LinkError):
        client.send(Ping(1))
        return client.receive(QUIET_S) is not None
    return False


def test_only_the_host_and_the_neighbour_are_let_in(paired: Path, bundle: Bundle) -> None:
    """During a run: the host on both control sockets, on each data socket the one that sends there, and nobody else."""
    host = load_key_pair(paired / "host.key")
    keys = {name: load_key_pair(paired / name / "board.key") for name in BOARDS}
    with (
        boards(paired) as found,
        DirectHost(found["left"].endpoint, "r", keys=host, server_key=keys["left"].public) as left,
        DirectHost(found["right"].endpoint, "r", keys=host, server_key=keys["right"].public) as right,
    ):
        left.start(
            bundle,
            ("block0",),
            endpoints={"block1": found["right"].data_endpoint},
            endpoint_keys={"block1": keys["right"].public},
            upstream_keys=(host.public,),
        )
        right.start(bundle, ("block1",), upstream_keys=(keys["left"].public,))
        for name, wrong in (("left", keys["right"]), ("right", keys["left"]), ("left", make_key_pair())):
            assert not _is_let_in(found[name].endpoint, wrong, keys[name].public)
        for name, wrong in (("left", keys["right"]), ("right", host), ("left", make_key_pair())):
            sender = Sender(found[name].data_endpoint, keys=wrong, server_key=keys[name].public)
            with sender, pytest.raises(LinkTimeout, match=r"refused the key|key allowed there"):
                sender.send(Token("r", "block0", END, 0, 0), QUIET_S)
        left.token(Token("r", "block0", END, 0, 0))
        left.next()
        right.next()
        for direct in (left, right):
            direct.stop()


def test_a_revoked_host_is_heard_no_more_and_a_new_one_at_once(paired: Path, tmp_path: Path) -> None:
    state = tmp_path / "board"
    board, host, other = (new_key_pair(tmp_path / f"{name}.key") for name in ("board", "host", "other"))
    hosts = ["--hosts", str(state / "hosts.json")]
    CliRunner().invoke(app, ["allow", host.public, "--name", "laptop", *hosts])
    with (
        agent_process(state, "--key", str(tmp_path / "board.key")) as agent,
        DirectHost(agent.endpoint, "r", keys=host, server_key=board.public) as direct,
    ):
        direct.hello()
        assert revoke_host(state / "hosts.json", "laptop").public_key == host.public
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:  # it looks at the file about once a second
            try:
                direct.control.send(Ping(1))
            except LinkError:
                break
            if not isinstance(direct.control.receive(QUIET_S), Pong):
                break
        assert not _is_let_in(agent.endpoint, host, board.public)
        assert not _is_let_in(agent.endpoint, other, board.public)
        CliRunner().invoke(app, ["allow", other.public, "--name", "other", *hosts])
        while not _is_let_in(agent.endpoint, other, board.public):
            assert time.monotonic() < deadline
        (state / "hosts.json").chmod(0o666)  # anybody might have added one: nobody is let in
        while _is_let_in(agent.endpoint, other, board.public):
            assert time.monotonic() < deadline


@pytest.mark.parametrize("listen", ["tcp://0.0.0.0:0", "tcp://*:0"])
def test_nothing_serves_off_loopback_without_keys(tmp_path: Path, listen: str) -> None:
    line = [sys.executable, "-c", "from edgebll_devices.commands.main import main; main()", "serve", "--listen", listen]
    result = subprocess.run([*line, "--state", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "needs a key on both sides" in result.stderr
    cluster = tmp_path / "cluster.toml"
    cluster.write_text('[[board]]\nname = "a"\nendpoint = "tcp://192.0.2.1:7101"\n')
    invoke("devices", "--cluster", cluster, code=2)
