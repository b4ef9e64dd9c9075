"""Snapshots on the disk: whole or not there, found out when damaged; a run that goes on from any of them has the same bits."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.board_runs import Silent, make_tokens
from support.damaged_files import Crash, flip, truncate
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, LinkError, StorageError
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.execution.stage import HostedBlock, Start
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN, State
from edgebll_devices.runtimes import load_block
from edgebll_firmware_host.run import snapshot_writer
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter
from edgebll_firmware_host.run_files.snapshot_store import Snapshot, newest_snapshot, write_snapshot

KINDS = (TRAIN, SNAPSHOT, TRAIN, SNAPSHOT, TRAIN, EVAL, TRAIN, SNAPSHOT, TRAIN, TRAIN, SNAPSHOT, TRAIN, END)
STEPS = [1, 2, 4, 6]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Side streams with lags of 0, 1 and 2."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=4, sides=SIDES)


def run_on(bundle: Bundle, folder: Path, snapshot: Snapshot | None = None, keep: int = 2) -> str:
    """Run all tokens, or those after a snapshot, and write snapshots on the way; returns the final states' fingerprint."""
    names = tuple(block.name for block in bundle.manifest.blocks)
    where: dict[str, Any] = {"runtime": "reference"}
    if snapshot is not None:
        where["start"] = Start(step=snapshot.step, waiting=snapshot.waiting())
        where["states"] = {name: snapshot.state(name) for name in names}
    tokens = make_tokens(bundle, KINDS, "run", snapshot.step if snapshot is not None else 0)
    final = {}
    with (
        RunFolder.create(folder, {}, overwrite=True) as opened,
        SnapshotWriter(bundle, Recorder(opened, Silent(), names, 4, 8, 4), keep) as writer,
    ):
        for message in run_sequential(bundle, "run", tokens, **where):
            if isinstance(message, State) and message.final:
                final[message.block] = message.tensors
            elif isinstance(message, State):
                writer.take(message)
    return state_sha256(final)


@pytest.fixture
def run(bundle: Bundle, tmp_path: Path) -> Path:
    """A run with four snapshots."""
    run_on(bundle, tmp_path / "run", keep=10)
    return tmp_path / "run"


def folder(run: Path, step: int) -> Path:
    return run / "snapshots" / f"step{step:09d}"


def found(run: Path, bundle: Bundle) -> tuple[int | None, list[str]]:
    """Step of the snapshot to use, and what was said of others."""
    said: list[str] = []
    snapshot = newest_snapshot(run, bundle, said.append)
    return snapshot.step if snapshot is not None else None, said


def test_a_run_that_goes_on_from_any_snapshot_has_the_bits_of_the_whole_run(bundle: Bundle, tmp_path: Path) -> None:
    whole = run_on(bundle, tmp_path / "run", keep=10)
    shutil.copytree(tmp_path / "run", tmp_path / "whole")
    for step in reversed(STEPS):
        snapshot = newest_snapshot(tmp_path / "run", bundle, lambda _: None)
        assert snapshot is not None
        assert snapshot.step == step
        assert run_on(bundle, tmp_path / f"from{step}", snapshot, keep=10) == whole
        later = sorted(path.relative_to(tmp_path / f"from{step}") for path in (tmp_path / f"from{step}").rglob("*.safetensors"))
        assert len(later) == 6 * len([s for s in STEPS if s > step])
        for file in later:  # the snapshots it takes on the way are those of the whole run, the one a step later included
            assert (tmp_path / f"from{step}" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
        shutil.rmtree(folder(tmp_path / "run", step))
    assert found(tmp_path / "run", bundle) == (None, [])


def test_the_tokens_matter(bundle: Bundle, run: Path, tmp_path: Path) -> None:
    snapshot = newest_snapshot(run, bundle, lambda _: None)
    assert snapshot is not None
    waiting = snapshot.waiting()
    assert {(target, source): len(tokens) for target, s in waiting.items() for source, tokens in s.items()} == {
        ("block1", "block2"): 1,
        ("block0", "block3"): 2,
    }
    with (
        load_block("reference", bundle, "block0") as runtime,
        pytest.raises(LinkError, match="0 tokens wait on the side stream"),
    ):
        HostedBlock("run", runtime, bundle.manifest, Start(step=6, waiting={}))


@pytest.mark.parametrize("name", ["block0.safetensors", "block3.safetensors", "block2.streams.safetensors", "snapshot.json"])
@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink])
def test_a_damaged_snapshot_is_passed_over(bundle: Bundle, run: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(folder(run, 6) / name)
    step, said = found(run, bundle)
    assert step == 4
    assert len(said) == 1
    assert "step000000006 is damaged and passed over" in said[0]
    damage(folder(run, 4) / name)
    assert found(run, bundle)[0] == 2


def test_a_snapshot_of_another_bundle_is_refused(run: Path, tmp_path: Path) -> None:
    other = make_tiny_bundle(tmp_path / "other", blocks=4, sides=SIDES, seed=1)
    with pytest.raises(BundleError, match="was taken with another bundle"):
        newest_snapshot(run, other, lambda _: None)


@pytest.mark.parametrize(("keep", "steps"), [(1, [6]), (2, [4, 6]), (3, [2, 4, 6]), (9, STEPS)])
def test_only_the_newest_are_kept(bundle: Bundle, tmp_path: Path, keep: int, steps: list[int]) -> None:
    run_on(bundle, tmp_path / "run", keep=keep)
    found = sorted(path.name for path in (tmp_path / "run" / "snapshots").iterdir())
    assert found == [f"step{step:09d}" for step in steps]


def test_a_crash_at_any_point_of_writing_leaves_a_whole_snapshot(
    bundle: Bundle, run: Path, crashing: Callable[[int], None]
) -> None:
    snapshot = newest_snapshot(run, bundle, lambda _: None)
    assert snapshot is not None
    states = {block.name: snapshot.state(block.name) for block in bundle.manifest.blocks}
    crashes = 0
    for count in range(1, 20):
        shutil.rmtree(folder(run, 7), ignore_errors=True)
        crashing(count)
        try:
            write_snapshot(run, bundle, 7, states, snapshot.waiting(), snapshot.contents.progress, keep=10)
        except Crash:
            crashes += 1
            crashing(-1)
            assert found(run, bundle) in ((6, []), (7, [])), "there, or not: never half"
            continue
        crashing(-1)
        assert found(run, bundle) == (7, [])
        break
    assert crashes >= 8  # six files, two folders, one rename


def test_nothing_has_its_name_before_it_is_on_the_disk(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a loss of power needs, in this order: the metrics it counts on, the files, their folder, the name, its folder."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def note_rename(source: Path, target: Path) -> None:
        done.append(f"{Path(source).name} becomes {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    run_on(bundle, tmp_path / "run")
    end = done.index(".step000000001.partial becomes step000000001")
    streams = ["block2.streams.safetensors", "block3.streams.safetensors"]
    files = [*(f"block{index}.safetensors" for index in range(4)), *streams, "snapshot.json"]
    partial = ".step000000001.partial"
    assert done[end - 9 : end + 2] == ["metrics.jsonl", *files, partial, f"{partial} becomes step000000001", "snapshots"]


def test_a_slow_disk_does_not_hold_the_run_up(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(block.name for block in bundle.manifest.blocks)
    tokens = make_tokens(bundle, KINDS, "run")
    given = [m for m in run_sequential(bundle, "run", tokens, runtime="reference") if isinstance(m, State) and not m.final]
    go, write = threading.Event(), write_snapshot
    monkeypatch.setattr(snapshot_writer, "write_snapshot", lambda *given: go.wait(20.0) and write(*given))
    with RunFolder.create(tmp_path / "run", {}) as opened:
        with SnapshotWriter(bundle, Recorder(opened, Silent(), names, 4, 8, 4)) as writer:
            for message in given[: 3 * len(names)]:
                writer.take(message)
            assert writer.written == -1, "three were taken and none could be written"
            go.set()
            for message in given[3 * len(names) :]:
                writer.take(message)
        assert writer.written == STEPS[-1]


def test_a_full_disk_leaves_those_before(bundle: Bundle, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = newest_snapshot(run, bundle, lambda _: None)
    assert snapshot is not None
    states = {block.name: snapshot.state(block.name) for block in bundle.manifest.blocks}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_snapshot(run, bundle, 7, states, snapshot.waiting(), snapshot.contents.progress)
    assert found(run, bundle) == (6, [])


def test_damaged_ones_of_later_steps_are_never_kept_in_place_of_new_ones(bundle: Bundle, run: Path) -> None:
    snapshot = newest_snapshot(run, bundle, lambda _: None)
    assert snapshot is not None
    states = {block.name: snapshot.state(block.name) for block in bundle.manifest.blocks}
    waiting, progress = snapshot.waiting(), snapshot.contents.progress
    for step in STEPS:
        truncate(folder(run, step) / "block0.safetensors")
    assert found(run, bundle)[0] is None
    assert found(run, bundle) == (None, []), "they are set aside, and told of once"
    for step in (1, 2, 3):
        write_snapshot(run, bundle, step, states, waiting, progress)
        assert found(run, bundle) == (step, [])
    assert sorted(path.name for path in (run / "snapshots").iterdir() if path.name.startswith("step")) == [
        folder(run, step).name for step in (2, 3)
    ]


def test_what_was_just_written_stays_whatever_lies_there(bundle: Bundle, run: Path) -> None:
    snapshot = newest_snapshot(run, bundle, lambda _: None)
    assert snapshot is not None
    states = {block.name: snapshot.state(block.name) for block in bundle.manifest.blocks}
    for stray in (9999, 99999, 999999):
        folder(run, stray).mkdir()
    write_snapshot(run, bundle, 7, states, snapshot.waiting(), snapshot.contents.progress)
    assert found(run, bundle)[0] == 7


def test_a_snapshot_says_how_far_the_record_was(run: Path) -> None:
    contents = json.loads((folder(run, 4) / "snapshot.json").read_text())["contents"]
    assert contents["step"] == 4
    assert contents["progress"]["metrics_bytes"] == 0  # this test records nothing
