"""Boards keep states of snapshots: the very files of the host, the newest ones only, and never at the cost of anything else."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.board_runs import make_tokens
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.errors import StorageError
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.state.block_state import Array, pack_tensors
from edgebll.kernel.wire import SNAPSHOT, TRAIN, State
from edgebll.kernel.wire.codec import decode, encode
from edgebll_devices.storage.file_cache import FileCache
from edgebll_devices.storage.snapshot_cache import SnapshotCache
from edgebll_devices.storage.write_budget import WriteBudget
from edgebll_firmware_host.run.snapshot_writer import _apart
from edgebll_firmware_host.run_files.snapshot_store import CONTENTS, RecordedProgress, write_snapshot

RUN, NAME = "run", "block0.safetensors"
NO_LIMIT = WriteBudget(0.0, 0.0)


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "board")


@pytest.fixture
def keeper(cache: FileCache) -> Iterator[SnapshotCache]:
    keeper = SnapshotCache(cache, 2, NO_LIMIT)
    yield keeper
    keeper.close()


def state(step: int, block: str = "block0", run: str = RUN) -> State:
    return State(run, block, step, step, False, tensors={"w": np.full((3, 5), step, np.float32), "@a/b/0/c": np.ones(2)})


def entry(step: int) -> FileEntry:
    content = pack_tensors(state(step).block_state)
    return FileEntry(hashlib.sha256(content).hexdigest(), len(content))


def keep(keeper: SnapshotCache, *messages: State) -> None:
    for message in messages:
        keeper.keep(message)
        assert keeper.settle(20.0)


def kept(cache: FileCache, steps: range) -> list[int]:
    return [step for step in steps if cache.has(entry(step))]


def states(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "board" / "states").iterdir())


def test_what_a_board_keeps_is_byte_for_byte_what_the_host_writes(
    cache: FileCache, keeper: SnapshotCache, tmp_path: Path
) -> None:
    """With side streams, whose tokens travel with the state; the host has its tensors from the wire."""
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=4, sides=SIDES)
    tokens = make_tokens(bundle, [TRAIN] * 5 + [SNAPSHOT], RUN)
    given = {m.block: m for m in run_sequential(bundle, RUN, tokens) if isinstance(m, State)}
    keep(keeper, *given.values())
    decoded = {block: decode(encode(message)) for block, message in given.items()}
    received = {block: message for block, message in decoded.items() if isinstance(message, State)}
    assert received.keys() == given.keys()
    assert any(name.startswith("@") for message in received.values() for name in message.tensors)
    write_snapshot(tmp_path, bundle, 5, *_apart(received), RecordedProgress())
    folder = tmp_path / "snapshots" / "step000000005"
    files = json.loads((folder / CONTENTS).read_text())["contents"]["files"]
    assert len(files) == 6, "block2 and block3 have sent what waits"
    for name, found in files.items():
        assert cache.has(FileEntry(**found)), name
        assert cache.states.path(RUN, name, found["sha256"]).read_bytes() == (folder / name).read_bytes()
    assert len(states(tmp_path)) == len(files)


def test_equal_tensors_make_equal_files_in_whatever_order_and_memory() -> None:
    rows: Array = np.arange(12, dtype=np.float32).reshape(3, 4)
    counter: Array = np.asarray(7, np.int64)
    there: dict[str, Array] = {"step": counter, "b": rows[:, ::2], "a": np.asfortranarray(rows)}
    here: dict[str, Array] = {"a": rows, "b": rows[:, ::2].copy(), "step": counter.copy()}
    assert pack_tensors(there) == pack_tensors(here)


def test_only_the_newest_are_kept_and_other_runs_and_blocks_left_alone(cache: FileCache, keeper: SnapshotCache) -> None:
    keep(keeper, state(1, run="other"), state(2, block="block1"))
    keep(keeper, *(state(step) for step in range(3, 8)))
    assert kept(cache, range(1, 8)) == [1, 2, 6, 7]


def test_one_that_a_recovery_went_back_to_counts_as_new(cache: FileCache, keeper: SnapshotCache) -> None:
    """And what is computed again gives the same file, which is not written again."""
    keep(keeper, state(1), state(2))
    assert cache.has(entry(1))
    keep(keeper, state(3))
    assert kept(cache, range(4)) == [1, 3]
    path = cache.states.path(RUN, NAME, entry(1).sha256)
    before = path.stat().st_ino
    keep(keeper, state(1), state(4))
    assert path.stat().st_ino == before
    assert kept(cache, range(5)) == [1, 4]


def test_a_damaged_one_is_wanted_again_and_goes_where_it_was(cache: FileCache, keeper: SnapshotCache) -> None:
    keep(keeper, state(1))
    path = cache.states.path(RUN, NAME, entry(1).sha256)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert list(cache.missing([entry(1)])) == [entry(1).sha256]
    assert cache.receive(entry(1), path).add(0, len(content), content)
    assert cache.has(entry(1))
    with cache.materialised(b"{}", {f"snapshot/{NAME}": entry(1)}) as folder:
        assert (folder / "snapshot" / NAME).read_bytes() == content


def test_what_was_sent_is_trimmed_too_even_where_nothing_is_kept(cache: FileCache) -> None:
    keeper = SnapshotCache(cache, 0, NO_LIMIT)
    keep(keeper, state(9))
    for step in range(3):
        content = pack_tensors(state(step).block_state)
        cache.receive(entry(step), cache.states.path(RUN, NAME, entry(step).sha256)).add(0, len(content), content)
        keeper.tidy(RUN, [NAME])
    assert kept(cache, range(10)) == [2]


def test_no_more_is_written_than_the_disk_is_to_bear(cache: FileCache, caplog: pytest.LogCaptureFixture) -> None:
    size = entry(1).size_bytes
    keeper = SnapshotCache(cache, 2, WriteBudget(per_day=1.0, saved=1.5 * size))
    for step in range(3):
        keep(keeper, state(step))
    keeper.close()
    assert kept(cache, range(3)) == [0]
    assert caplog.text.count("enough was written for now") == 1


class Gated:
    """`FileCache.keep` that waits to be let through."""

    def __init__(self, cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[float] = []
        self.reached, self.go = threading.Event(), threading.Event()
        self._keep = cache.keep
        monkeypatch.setattr(cache, "keep", self)

    def __call__(self, run: str, name: str, content: bytes) -> None:
        self.reached.set()
        assert self.go.wait(20.0)
        self._keep(run, name, content)


def test_a_newer_state_replaces_one_that_waits(
    cache: FileCache, keeper: SnapshotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gated(cache, monkeypatch)
    keeper.keep(state(1))
    assert gate.reached.wait(20.0)
    for step in (2, 3, 4):
        keeper.keep(state(step))  # returns although nothing can be written
    gate.go.set()
    assert keeper.settle(20.0)
    assert kept(cache, range(6)) == [1, 4]


def test_a_late_write_of_an_ended_session_removes_nothing_that_the_next_may_load(
    cache: FileCache, keeper: SnapshotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(keeper, state(1), state(2))
    gate = Gated(cache, monkeypatch)
    keeper.keep(state(3))
    assert gate.reached.wait(20.0)
    keeper.keep(state(4))
    keeper.forget()
    assert cache.has(entry(1)), "the next session wants to start from here"
    gate.go.set()
    assert keeper.settle(20.0)
    assert kept(cache, range(6)) == [1, 2, 3], "the one that waited is dropped"
    keep(keeper, state(5))
    assert kept(cache, range(6)) == [3, 5]


def test_a_disk_that_refuses_is_mentioned_once_and_does_no_harm(
    cache: FileCache, keeper: SnapshotCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "board" / "states"
    folder.rmdir()
    folder.write_text("a file where the folder was")
    with caplog.at_level(logging.WARNING):
        keep(keeper, *(state(step) for step in range(4)))
    assert [record.message for record in caplog.records if "are not kept here" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == 1
    assert "run run: " in caplog.records[0].message
    assert "cannot write" in caplog.records[0].message
    assert list((tmp_path / "board" / "incoming").iterdir()) == []
    keeper.tidy(RUN, [NAME])
    cache.prune()
    assert not cache.has(entry(1))
    folder.unlink()
    folder.mkdir()
    keep(keeper, state(9))
    assert kept(cache, range(10)) == [9], "it is tried again every time"


def test_a_disk_that_fills_up_is_left_some_room_and_earlier_states_make_way(
    cache: FileCache, keeper: SnapshotCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep(keeper, state(1), state(2))
    spare = 64 << 20  # and so much for each of three files that goes: what waits on side streams is the same each time

    def usage(path: Path) -> object:
        return type("Usage", (), {"free": spare + 1000 * (3 - len(states(tmp_path)))})

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(StorageError, match="less than 64 MiB would be left free"):
        cache.keep(RUN, NAME, b"much")
    keep(keeper, state(3))
    assert kept(cache, range(4)) == [2, 3]
