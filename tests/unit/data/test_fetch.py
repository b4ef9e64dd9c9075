"""Fetching a data set from a server that may be slow, wrong, gone or cut off."""

from __future__ import annotations

import gzip
import hashlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.file_server import FileServer, file_server
from support.idx_files import write_fashion_mnist

from edgebll.data import fashion_mnist, find_dataset
from edgebll.data.download import Limits
from edgebll.data.fetch import fetch
from edgebll.kernel.errors import ConfigError, DataError, StorageError

NAME = "fashion-mnist"
IMAGES = "train-images-idx3-ubyte.gz"
QUICK = Limits(stall_s=5.0, total_s=20.0, attempts=3)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server with a small data set, whose digests are the pinned ones for the time of the test."""
    write_fashion_mnist(tmp_path / "source")
    contents = {path.name: path.read_bytes() for path in (tmp_path / "source").iterdir()}
    for split, pair in fashion_mnist.FILES.items():
        plain = [gzip.decompress(contents[f"{file.name}.gz"]) for file in pair]
        pinned = [replace(f, sha256=hashlib.sha256(p).hexdigest(), size_bytes=len(p)) for f, p in zip(pair, plain, strict=True)]
        monkeypatch.setitem(fashion_mnist.FILES, split, (pinned[0], pinned[1]))
    with file_server() as state:
        state.files = contents
        yield state


def test_files_are_fetched_once(tmp_path: Path, server: FileServer) -> None:
    told: list[tuple[str, int, int | None]] = []
    folder = fetch(NAME, tmp_path / "to", url=server.url, limits=QUICK, report=lambda *args: told.append(args))
    assert find_dataset(NAME, folder) == tmp_path / "to"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == server.files
    assert (IMAGES, len(server.files[IMAGES]), len(server.files[IMAGES])) in told
    assert len(server.requests) == 4
    fetch(NAME, tmp_path / "to", url=server.url, limits=QUICK)
    assert len(server.requests) == 4


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "many"])
def test_a_length_that_is_no_number_is_none(tmp_path: Path, server: FileServer, length: str) -> None:
    """The file is then what comes until the server hangs up."""
    server.length = length
    folder = fetch(NAME, tmp_path / "to", url=server.url, limits=QUICK)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == server.files


def test_the_default_folder_is_where_data_sets_are_looked_for(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBLL_DATA", str(tmp_path / "env"))
    assert fetch(NAME, url=server.url, limits=QUICK) == tmp_path / "env" / NAME
    assert find_dataset(NAME) == tmp_path / "env" / NAME


def test_a_cut_download_goes_on_where_it_was_cut(tmp_path: Path, server: FileServer) -> None:
    server.cut_after = [1000, 500]
    fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert [r for p, r in server.requests if p == IMAGES] == [None, "bytes=1000-", "bytes=1500-"]
    assert (tmp_path / IMAGES).read_bytes() == server.files[IMAGES]


def test_a_download_cut_too_often_goes_on_the_next_time(tmp_path: Path, server: FileServer) -> None:
    server.cut_after = [1000, 500, 100]
    with pytest.raises(DataError, match="the connection was cut"):
        fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert (tmp_path / f"{IMAGES}.partial").stat().st_size == 1600
    fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert (IMAGES, "bytes=1600-") in server.requests
    assert not list(tmp_path.glob("*.partial"))


def test_a_server_without_ranges_sends_the_file_again(tmp_path: Path, server: FileServer) -> None:
    server.ranges = False
    server.cut_after = [1000]
    fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert (tmp_path / IMAGES).read_bytes() == server.files[IMAGES]


def test_a_whole_partial_file_is_not_fetched_again(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / f"{IMAGES}.partial").write_bytes(server.files[IMAGES])
    fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert (tmp_path / IMAGES).read_bytes() == server.files[IMAGES]
    assert [r for p, r in server.requests if p == IMAGES] == [f"bytes={len(server.files[IMAGES])}-"]


def test_a_wrong_partial_file_is_thrown_away(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / f"{IMAGES}.partial").write_bytes(b"something else")
    fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert (tmp_path / IMAGES).read_bytes() == server.files[IMAGES]


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", IMAGES])
def test_a_damaged_file_is_replaced(tmp_path: Path, server: FileServer, name: str) -> None:
    (tmp_path / name).write_bytes(b"damaged")
    fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert sorted(path.name for path in tmp_path.glob("train-images*")) == [IMAGES]


@pytest.mark.parametrize(
    "content", [b"<html>not what you wanted</html>", gzip.compress(b"another file"), b""], ids=["page", "other", "empty"]
)
def test_a_wrong_file_is_refused(tmp_path: Path, server: FileServer, content: bytes) -> None:
    server.files[IMAGES] = content
    with pytest.raises(DataError, match="not the expected file"):
        fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert not list(tmp_path.glob("*-ubyte*"))


def test_an_endless_file_is_refused(tmp_path: Path, server: FileServer) -> None:
    server.files[IMAGES] = bytes(200_000)
    with pytest.raises(DataError, match="more than the 100000"):
        fetch(NAME, tmp_path, url=server.url, limits=replace(QUICK, max_bytes=100_000))


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, 3)])
def test_a_refusal_is_told(tmp_path: Path, server: FileServer, status: int, attempts: int) -> None:
    server.status = status
    with pytest.raises(DataError, match=str(status)):
        fetch(NAME, tmp_path, url=server.url, limits=QUICK)
    assert len(server.requests) == attempts


def test_no_server_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    with pytest.raises(DataError, match=r"could not be downloaded .*refused"):
        fetch(NAME, tmp_path, url=url, limits=QUICK)


def test_a_silent_server_is_given_up(tmp_path: Path, server: FileServer) -> None:
    server.stalls = True
    started = time.monotonic()
    with pytest.raises(DataError, match="timed out"):
        fetch(NAME, tmp_path, url=server.url, limits=replace(QUICK, stall_s=0.1, attempts=2))
    assert time.monotonic() - started < 9, "sooner than the server ends"


def test_a_slow_server_is_given_up_in_the_end(tmp_path: Path, server: FileServer) -> None:
    with pytest.raises(DataError, match="not done after 0 s"):
        fetch(NAME, tmp_path, url=server.url, limits=replace(QUICK, total_s=0.0))


def test_wrong_names_and_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to download for 'digits'"):
        fetch("digits", tmp_path)
    with pytest.raises(ConfigError, match="must start with http"):
        fetch(NAME, tmp_path, url="file:///etc")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        fetch(NAME, tmp_path / "file" / "below", url=server.url)
