"""Which files of snapshots a board removes: those of runs that are over, and the first of all where there is no room."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from edgebll.kernel.errors import StorageError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll_devices.storage.file_cache import FileCache

RUN, NAME = "run", "block0.safetensors"
DAY_S = 24 * 3600.0


def put(cache: FileCache, size_bytes: int) -> FileEntry:
    """Receive a file of a bundle."""
    data = os.urandom(size_bytes)
    entry = FileEntry(hashlib.sha256(data).hexdigest(), len(data))
    assert cache.receive(entry).add(0, len(data), data)
    return entry


def states(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "board" / "states").iterdir())


def test_states_never_take_room_from_bundles(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "board", limit_bytes=1000)
    whole = put(cache, 800)
    _age(tmp_path / "board" / "objects" / whole.sha256, 2 * DAY_S)
    cache.keep(RUN, NAME, bytes(150))
    with pytest.raises(StorageError, match="the files kept would exceed"):
        cache.keep(RUN, "block1.safetensors", bytes(51))
    put(cache, 100)
    cache.prune()
    assert len(states(tmp_path)) == 1, "used within the hour"
    _age(states(tmp_path)[0], 7200.0)
    cache.prune()
    assert states(tmp_path) == []
    assert cache.has(whole)


def test_states_of_runs_that_are_over_go_after_a_day(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "board")
    for step, age_s in enumerate((1.1 * DAY_S, 0.5 * DAY_S, 0.0)):
        cache.keep(f"run{step}", NAME, bytes(step))
        name = hashlib.sha256(bytes(step)).hexdigest()
        _age(cache.states.path(f"run{step}", NAME, name), age_s)
    cache.prune()
    assert sorted(path.stat().st_size for path in states(tmp_path)) == [1, 2]


def _age(path: Path, seconds: float) -> None:
    used = time.time() - seconds
    os.utime(path, (used, used))
