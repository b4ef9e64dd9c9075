"""Who may use a board, and keys that change: the file of hosts, rotation, revocation, and the commands for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebll.cli.commands.keys import app
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import load_key_pair, make_key_pair, new_key_pair, rotate_key_pair
from edgebll.kernel.keys.allowed_hosts import MAX_HOSTS, allow_host, load_hosts, revoke_host

_EVIL = make_key_pair().public


def test_hosts_come_and_go(tmp_path: Path) -> None:
    path, one, two = tmp_path / "deep" / "hosts.json", make_key_pair().public, make_key_pair().public
    assert load_hosts(path) == ()
    allow_host(path, "a", one)
    allow_host(path, "b", two)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [host.name for host in load_hosts(path)] == ["a", "b"]
    allow_host(path, "a", two)  # a new key for a, and b's old one
    assert [(host.name, host.public_key) for host in load_hosts(path)] == [("a", two)]
    with pytest.raises(ConfigError, match="has no host 'b'; it has a"):
        revoke_host(path, "b")
    assert revoke_host(path, two).name == "a"
    assert load_hosts(path) == ()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b'{"hosts": [{"name": "a"}]}', b"x" * (1 << 17)])
def test_a_hosts_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hosts.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_hosts(path)
    assert "\n" not in str(caught.value)


def test_a_hosts_file_others_may_write_or_with_too_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    allow_host(path, "a", _EVIL)
    for mode in (0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600"):
            load_hosts(path)
    many = [{"name": f"h{index}", "public_key": _EVIL} for index in range(MAX_HOSTS + 1)]
    path.write_text(json.dumps({"hosts": many}))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="at most"):
        load_hosts(path)


def test_rotation_replaces_the_key_and_its_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "host.key"
    old = new_key_pair(path)
    result = CliRunner().invoke(app, ["rotate", str(path)])
    new = load_key_pair(path)
    assert result.exit_code == 0
    assert result.stdout == f"{new.public}\n"
    assert new.public != old.public
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["host.key"]
    assert not any(secret in result.output for secret in (old.secret, new.secret))
    with pytest.raises(ConfigError, match="cannot be read"):
        rotate_key_pair(tmp_path / "other.key")


def test_the_commands_of_a_board(tmp_path: Path) -> None:
    hosts, key = ["--hosts", str(tmp_path / "hosts.json")], make_key_pair().public
    run = CliRunner().invoke
    assert run(app, ["allow", key, "--name", "laptop", *hosts]).exit_code == 0
    assert run(app, ["hosts", *hosts]).stdout == f"{key}  laptop\n"
    assert json.loads(run(app, ["hosts", "--json", *hosts]).stdout) == [{"name": "laptop", "public_key": key}]
    assert run(app, ["revoke", "laptop", *hosts]).exit_code == 0
    assert run(app, ["hosts", *hosts]).stdout == ""
    assert run(app, ["revoke", "laptop", *hosts]).exit_code == ConfigError.exit_code


def test_public_keys_are_no_options() -> None:
    assert not any(make_key_pair().public.startswith("-") for _ in range(500))
