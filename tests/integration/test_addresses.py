"""Boards on a network of their own: names only the host knows, the host's own board, and links that lose large packets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.direct_host import agent_process
from support.impaired_link import Impairment
from support.namespaces import RemoteBoard, remote_boards, why_not
from support.pipelines import SHORT, invoke, one_sentence, summary

from edgebll.kernel.keys import load_key_pair, new_key_pair

Net = tuple[list[RemoteBoard], Path, tuple[str, ...]]
HOST_ADDRESS = "10.213.77.1"
WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with remote_boards(tmp_path_factory.mktemp("network") / "boards", 2, everywhere=True) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(dense_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bits of the run without boards."""
    out = tmp_path_factory.mktemp("alone") / "run"
    invoke("simulate", dense_bundle, "--out", out, "--boards", 0, *SHORT)
    return summary(out)["state_sha256"]


def command(prefix: tuple[str, ...], *words: object, hosts: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `edgebll` where the host is, perhaps with an /etc/hosts of its own."""
    line = [*prefix, *(("unshare", "--mount", "sh", "-c", WITH_HOSTS, str(hosts)) if hosts else ())]
    line += [sys.executable, "-c", "from edgebll.cli import main; main()", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120)


def entry(name: str, endpoint: str, key: str) -> str:
    return f'[[board]]\nname = "{name}"\nendpoint = "{endpoint}"\npublic_key = "{key}"\n'


def host_table(cluster: Path) -> str:
    return cluster.read_text().partition("[[board]]")[0]


def test_names_that_only_the_host_can_resolve(network: Net, dense_bundle: Path, undisturbed: str, tmp_path: Path) -> None:
    made, cluster, prefix = network
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{b.address} {b.name}.lab\n" for b in made))
    text = host_table(cluster) + "".join(entry(b.name, f"tcp://{b.name}.lab:7101", b.public_key) for b in made)
    named = cluster.with_name("named.toml")
    named.write_text(text)
    checked = command(prefix, "devices", "--check", "--cluster", named, "--json", hosts=tmp_path / "hosts")
    assert checked.returncode == 0, checked.stderr
    links = {(row["from"], row["to"]): row["endpoint"] for row in json.loads(checked.stdout)["links"]}
    assert links == {
        ("host", "board0"): "tcp://board0.lab:7201",
        ("host", "board1"): "tcp://board1.lab:7201",
        ("board0", "board1"): f"tcp://{made[1].address}:7201",
        ("board1", "board0"): f"tcp://{made[0].address}:7201",
    }
    for index, options in enumerate(([], ["--no-preflight"])):
        out = tmp_path / f"run{index}"
        done = command(
            prefix, "run", dense_bundle, "--out", out, "--cluster", named, *SHORT, *options, hosts=tmp_path / "hosts"
        )
        assert done.returncode == 0, done.stderr
        assert summary(out)["state_sha256"] == undisturbed
    assert not (tmp_path / "run1" / "preflight.json").exists()


@pytest.mark.parametrize("data", ["0.0.0.0", "127.0.0.1"])
def test_the_hosts_own_board_beside_others(
    network: Net, dense_bundle: Path, undisturbed: str, tmp_path: Path, data: str
) -> None:
    """Entered as 127.0.0.1: the others reach it at the host's address if it listens there, and else are not left to try."""
    made, cluster, prefix = network
    key, port = new_key_pair(tmp_path / "own.key").public, 7300 + len(data)
    where = ["--listen", f"tcp://127.0.0.1:{port}", "--data-listen", f"tcp://{data}:{port + 100}"]
    where += ["--key", str(tmp_path / "own.key"), "--allow", load_key_pair(cluster.with_name("host.key")).public]
    mixed, out = cluster.with_name("mixed.toml"), tmp_path / "run"
    with agent_process(tmp_path / "own", *where, name="own", prefix=prefix) as own:
        first, second = entry("board0", made[0].endpoint, made[0].public_key), entry("own", own.endpoint, key)
        mixed.write_text(host_table(cluster) + first + second)
        done = command(prefix, "run", dense_bundle, "--out", out, "--cluster", mixed, *SHORT)
    if data == "0.0.0.0":
        assert done.returncode == 0, done.stderr
        assert summary(out)["state_sha256"] == undisturbed
        (link,) = (row for row in json.loads((out / "preflight.json").read_text())["links"] if row["to"] == "own")
        assert (link["from"], link["endpoint"]) == ("board0", f"tcp://{HOST_ADDRESS}:{port + 100}")
        return
    assert done.returncode == 7, done.stderr
    sentence = one_sentence(done.stderr)
    assert sentence.startswith(f"edgebll: board board0 cannot reach board own at tcp://127.0.0.1:{port + 100}: nothing listens")
    assert "that is an address of its own machine alone: let board own listen where others reach it" in sentence


def test_large_packets_that_are_lost_are_found_before_anything_is_loaded(
    network: Net, dense_bundle: Path, tmp_path: Path
) -> None:
    made, cluster, prefix = network
    made[1].impair(Impairment(largest=700))
    try:
        done = command(prefix, "run", dense_bundle, "--out", tmp_path / "run", "--cluster", cluster, *SHORT)
    finally:
        made[1].whole()
    assert done.returncode == 7, done.stderr
    sentence = one_sentence(done.stderr)
    assert sentence.startswith(
        f"edgebll: board board0 cannot reach board board1 at tcp://{made[1].address}:7201: connections are"
    )
    assert "256 KiB does not come through: large packets are lost on the way (MTU)" in sentence
    loaded = list((cluster.parent / "board1").rglob("*.onnx")) + list((cluster.parent / "board1" / "files").rglob("?" * 64))
    assert not (tmp_path / "run" / "snapshots").exists()
    assert not [path for path in loaded if path.stat().st_mtime > (tmp_path / "run" / "run.json").stat().st_mtime]


def test_a_board_that_is_off_or_hidden_is_named_with_the_cause(network: Net, tmp_path: Path) -> None:
    made, cluster, prefix = network
    made[1].cut()
    try:
        done = command(prefix, "devices", "--check", "--cluster", cluster, "--json")
    finally:
        made[1].whole()
    assert done.returncode == 7
    rows = {row["board"]: row for row in json.loads(done.stdout)["boards"]}
    assert "does not answer" in rows["board1"]["problem"]
    assert rows["board0"]["versions"]["onnxruntime"]
