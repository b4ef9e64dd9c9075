from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebll.cli.commands.keys import app
from edgebll.kernel.errors import ConfigError, StorageError
from edgebll.kernel.keys import load_key_pair, make_key_pair, new_key_pair


def test_a_key_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "board.key"
    pair = new_key_pair(path)
    assert load_key_pair(path) == pair
    assert path.stat().st_mode & 0o777 == 0o600
    assert pair.secret not in repr(pair)


def test_the_mode_is_strict_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        new_key_pair(tmp_path / "k")
    finally:
        os.umask(old)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    pair = new_key_pair(tmp_path / "k")
    with pytest.raises(ConfigError, match="exists already"):
        new_key_pair(tmp_path / "k")
    assert load_key_pair(tmp_path / "k") == pair


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    new_key_pair(tmp_path / "k")
    (tmp_path / "k").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_key_pair(tmp_path / "k")


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="edgebll keys new"):
        load_key_pair(tmp_path / "k")


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        new_key_pair(tmp_path / "file" / "k")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"public": "x"}',
        b'{"public": "' + b"0" * 39 + b'", "secret": "' + b"0" * 40 + b'"}',
        b'{"public": 5, "secret": null}',
        b'{"public": "' + b"#" * 40 + b'", "secret": "' + b"#" * 40 + b'"}',  # beyond 32 bits
        b'{"public": "' + b"~" * 40 + b'", "secret": "' + b"~" * 40 + b'"}',
    ],
)
def test_a_file_that_is_no_key_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"the key .* make one with"):
        load_key_pair(path)


def test_a_public_key_of_another_pair_is_noticed_and_no_secret_shown(tmp_path: Path) -> None:
    one, two = make_key_pair(), make_key_pair()
    path = tmp_path / "k"
    path.write_text(json.dumps({"public": one.public, "secret": two.secret}))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="does not belong to its secret") as caught:
        load_key_pair(path)
    assert two.secret not in str(caught.value)


def test_the_command_prints_the_public_key_only(tmp_path: Path) -> None:
    path = tmp_path / "k"
    result = CliRunner().invoke(app, ["new", str(path)])
    pair = load_key_pair(path)
    assert (result.exit_code, result.output) == (0, pair.public + "\n")
    assert CliRunner().invoke(app, ["show", str(path)]).output == pair.public + "\n"
