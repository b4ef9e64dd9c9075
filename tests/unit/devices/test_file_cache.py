from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from edgebll.kernel.errors import StorageError, WireError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.support.user_folders import default_state_dir
from edgebll_devices.storage.file_cache import FileCache

DATA = bytes(range(256)) * 5


def entry_of(data: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def put(cache: FileCache, data: bytes, piece_bytes: int = 100) -> FileEntry:
    entry = entry_of(data)
    incoming = cache.receive(entry)
    offsets = range(0, max(len(data), 1), piece_bytes)
    whole = [incoming.add(offset, len(data), data[offset : offset + piece_bytes]) for offset in offsets]
    assert whole == [False] * (len(whole) - 1) + [True]
    return entry


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "state")


@pytest.mark.parametrize("data", [DATA, b"", b"x"])
def test_a_file_arrives_in_pieces_and_stays(tmp_path: Path, data: bytes) -> None:
    entry = put(FileCache(tmp_path), data)
    again = FileCache(tmp_path)
    assert again.has(entry)
    assert again.missing([entry, entry_of(b"other"), entry_of(b"other")]) == {entry_of(b"other").sha256: entry_of(b"other")}
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("offset", "total", "size"), [(50, len(DATA), 10), (0, len(DATA) + 1, 10), (0, len(DATA), len(DATA) + 1), (-1, 5, 1)]
)
def test_a_piece_that_does_not_follow_is_refused(cache: FileCache, offset: int, total: int, size: int) -> None:
    incoming = cache.receive(entry_of(DATA))
    with pytest.raises(WireError, match="should go on at byte 0"):
        incoming.add(offset, total, bytes(size))
    incoming.abort()
    assert not cache.has(entry_of(DATA))


def test_wrong_content_never_becomes_a_file(cache: FileCache, tmp_path: Path) -> None:
    incoming = cache.receive(entry_of(DATA))
    with pytest.raises(WireError, match="another SHA-256"):
        incoming.add(0, len(DATA), DATA[::-1])
    incoming.abort()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_file_damaged_on_disk_is_wanted_again(cache: FileCache, tmp_path: Path) -> None:
    entry = put(cache, DATA)
    path = tmp_path / "state" / "objects" / entry.sha256
    path.write_bytes(DATA[:-1] + b"!")
    assert list(cache.missing([entry])) == [entry.sha256]
    assert not path.exists()


def test_a_bundle_folder_exists_for_the_length_of_a_with(cache: FileCache) -> None:
    entry = put(cache, DATA)
    with cache.materialised(b"{}", {"block0/step.onnx": entry, "block1/step.onnx": entry}) as folder:
        assert (folder / "manifest.json").read_bytes() == b"{}"
        assert (folder / "block1/step.onnx").read_bytes() == DATA
    assert not folder.exists()
    assert cache.has(entry)


def test_what_agents_of_earlier_releases_left_goes_after_a_day(tmp_path: Path) -> None:
    FileCache(tmp_path)
    for folder, name in (("sessions", "1.x"), ("sessions", "2.y")):
        (tmp_path / folder / name).mkdir()
    for name in ("1.x", "2.y"):
        (tmp_path / "incoming" / name).write_text("half")
    for path in tmp_path.rglob("1.x"):
        os.utime(path, (time.time() - 1.1 * 24 * 3600,) * 2)
    FileCache(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.?")) == ["incoming/2.y", "sessions/2.y"]


def test_states_of_another_board_are_found_and_stay_when_that_one_removes_its_own(tmp_path: Path) -> None:
    left, right = FileCache(tmp_path, owner="left"), FileCache(tmp_path, owner="right")
    name, entry = "block0.safetensors", entry_of(DATA)
    left.keep("run", name, DATA)
    right.adopt("run", {name: entry, "block1.safetensors": entry_of(b"other")})
    assert right.has(entry)
    assert left.states.size_bytes() == len(DATA), "a link takes no room"
    left.keep("run", name, b"the next")
    assert left.states.trim("run", name, 1) == 1
    with right.materialised(b"{}", {f"snapshot/{name}": entry}) as folder:
        assert (folder / "snapshot" / name).read_bytes() == DATA
    assert right.states.trim("run", name, 1) == 0


def test_a_folder_that_is_removed_is_made_anew(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "state")
    for use in (lambda: put(cache, DATA), lambda: cache.keep("run", "block0.safetensors", DATA)):
        shutil.rmtree(tmp_path / "state")
        use()
        assert cache.has(entry_of(DATA))


def test_prune_removes_the_oldest_files_above_the_limit(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, limit_bytes=250)
    entries = [put(cache, bytes([value]) * 100) for value in range(4)]
    for age, entry in zip((4e5, 3e5, 2e5, 0), entries, strict=True):
        path = tmp_path / "objects" / entry.sha256
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    cache.prune()
    assert [cache.has(entry) for entry in entries] == [False, False, True, True]


def test_prune_keeps_what_was_used_just_now(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, limit_bytes=0)
    entry = put(cache, DATA)
    cache.prune()
    assert cache.has(entry)


def test_two_agents_may_fill_one_cache(tmp_path: Path) -> None:
    data = os.urandom(200_000)
    errors = []

    def fill() -> None:
        try:
            put(FileCache(tmp_path), data, piece_bytes=997)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert errors == []
    assert FileCache(tmp_path).has(entry_of(data))


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        FileCache(tmp_path / "file" / "state")


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state_dir() == tmp_path / "edgebll"
    for ignored in (None, "", "state", "./state", "~/state"):  # the specification takes absolute paths only
        monkeypatch.setenv("XDG_STATE_HOME", ignored) if ignored is not None else monkeypatch.delenv("XDG_STATE_HOME")
        assert default_state_dir() == Path.home() / ".local/state/edgebll"
