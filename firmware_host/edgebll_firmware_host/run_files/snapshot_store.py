"""Snapshots on the host's disk: all it takes to go on from one point of the stream, as one folder that appears whole.

    RUN/snapshots/step000000100/block0.safetensors ...   the states after 100 training steps
    RUN/snapshots/step000000100/block0.streams.safetensors   what it has sent on side streams and waits there, by `flatten`
    RUN/snapshots/step000000100/snapshot.json            `Contents`, and the SHA-256 of that

Files are synced, then the folder that holds them, then it is renamed, then the folder of all snapshots is synced. So after a
crash or a loss of power a snapshot is whole or not there; one that was damaged later is found out by its hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.errors import BundleError, LinkError
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS, SNAPSHOTS
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.state.block_state import Array, State, load_tensors, pack_tensors
from edgebll.kernel.state.side_stream_queues import Waiting, by_source, check_waiting, flatten
from edgebll.kernel.support.atomic_files import sha256_file, storage_errors, sync_folder, write_synced
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain
from edgebll.kernel.wire import load_waiting, state_file, streams_file

CONTENTS = "snapshot.json"
_FORMAT = 2


@dataclass(frozen=True)
class RecordedProgress:
    """How far the record of a run was when all blocks had given their states.

    Attributes:
        metrics_bytes: size of metrics.jsonl.
        recorded: block -> training steps in it.
        evaluated: step of the last evaluation in it, None before the first.
        accuracy: of that evaluation, in [0, 1]; None where there was none.
        loss: mean loss of that evaluation; None where there was none.
        seconds: since the run's start.
        metrics: all figures of that evaluation; empty in snapshots of releases that knew accuracy alone.
    """

    metrics_bytes: int = 0
    recorded: dict[str, int] = field(default_factory=dict)
    evaluated: int | None = None
    accuracy: float | None = None
    loss: float | None = None
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All of that evaluation by name; empty before the first."""
        if self.metrics or self.accuracy is None or self.loss is None:
            return dict(self.metrics)
        return {"accuracy": self.accuracy, "loss": self.loss}


@dataclass(frozen=True)
class Contents:
    """What snapshot.json holds: the training step, the bundle it belongs to, and the other files."""

    format: int
    step: int
    manifest_sha256: str
    progress: RecordedProgress
    files: dict[str, FileEntry]


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was found whole. Attributes: path: its folder. contents: its snapshot.json."""

    path: Path
    contents: Contents

    @property
    def step(self) -> int:
        """Training steps before it."""
        return self.contents.step

    def state(self, block: str) -> dict[str, Array]:
        """A block's state."""
        return load_tensors(self.path / state_file(block))

    def waiting(self) -> Waiting[Array]:
        """The tokens on side streams."""
        return load_waiting(self.path, self.contents.files)


def write_snapshot(
    run: Path,
    bundle: Bundle,
    step: int,
    states: Mapping[str, State],
    waiting: Waiting[Array],
    progress: RecordedProgress,
    keep: int = KEPT_SNAPSHOTS,
) -> None:
    """Add a snapshot to a run folder, and remove those beyond the newest `keep`.

    Raises:
        StorageError: the disk refuses; the snapshots before are untouched.
    """
    folder = run / SNAPSHOTS
    target = folder / f"step{step:09d}"
    scratch = folder / f".{target.name}.partial"
    with storage_errors(target):
        shutil.rmtree(scratch, ignore_errors=True)
        folder.mkdir(exist_ok=True)  # not the run's own: where that was removed, another run may begin
        scratch.mkdir()
    tensors = {state_file(block): state for block, state in states.items()}
    tensors |= {streams_file(source): flatten(sent) for source, sent in by_source(waiting).items()}
    files = {name: _write(scratch / name, value) for name, value in tensors.items()}
    contents = Contents(_FORMAT, step, bundle.manifest_sha256, progress, files)
    document = to_plain(contents)
    write_synced(scratch / CONTENTS, json.dumps({"sha256": _digest(document), "contents": document}, indent=1).encode())
    sync_folder(scratch)
    with storage_errors(target):
        _swap(scratch, target)
    sync_folder(folder)
    with storage_errors(folder):
        for old in [path for path in _found(run) if path.name <= target.name][keep:]:
            shutil.rmtree(old)


def _write(path: Path, tensors: State) -> FileEntry:
    write_synced(path, pack_tensors(tensors))
    with storage_errors(path):
        return FileEntry(sha256_file(path), path.stat().st_size)


def _swap(scratch: Path, target: Path) -> None:
    """Rename; a snapshot of the same step, e.g. a damaged one, makes way."""
    earlier = target.with_name(f".{target.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if target.exists():
        os.replace(target, earlier)
    os.replace(scratch, target)
    shutil.rmtree(earlier, ignore_errors=True)


def _found(run: Path) -> list[Path]:
    """Folders of snapshots, the newest first."""
    folder = run / SNAPSHOTS
    return sorted((p for p in folder.iterdir() if p.name.startswith("step")), reverse=True) if folder.is_dir() else []


def has_snapshot(run: Path) -> bool:
    """Whether a run has a snapshot to go on from, damaged or not."""
    return bool(_found(run))


def newest_snapshot(run: Path, bundle: Bundle, tell: Callable[[str], None]) -> Snapshot | None:
    """The newest whole snapshot of a run with this bundle, or None if there is none.

    Args:
        run: the run folder.
        bundle: whose blocks they must fit.
        tell: takes a sentence about each one that is passed over because it is damaged. It is set aside under another name, so
            that it is not among the newest any more.

    Raises:
        BundleError: a whole snapshot belongs to another bundle.
    """
    for path in _found(run):
        try:
            snapshot = Snapshot(path, _read(path))
            _check_files(snapshot, bundle)
        except (BundleError, LinkError, OSError) as error:
            tell(f"the snapshot {path.name} is damaged and passed over: {error}")
            _set_aside(path)
            continue
        if snapshot.contents.manifest_sha256 != bundle.manifest_sha256:
            raise BundleError(f"{path} was taken with another bundle than {bundle.path}; give back the one the run began with")
        return snapshot
    return None


def _set_aside(path: Path) -> None:
    aside = path.with_name(f"damaged-{path.name}")
    with contextlib.suppress(OSError):  # then it is passed over again the next time
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(path, aside)


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Contents:
    try:
        document = json.loads((path / CONTENTS).read_bytes())
        if document["sha256"] != _digest(document["contents"]):
            raise BundleError(f"{CONTENTS} is not what was written")
        contents = from_plain(Contents, document["contents"], CONTENTS)
    except PlainError as error:
        raise BundleError(str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{CONTENTS} cannot be read ({error})") from error
    if contents.format != _FORMAT:
        raise BundleError(f"{CONTENTS} has format {contents.format}, this edgebll reads {_FORMAT}")
    return contents


def _check_files(snapshot: Snapshot, bundle: Bundle) -> None:
    for name, entry in snapshot.contents.files.items():
        file = snapshot.path / Path(name).name
        if file.stat().st_size != entry.size_bytes or sha256_file(file) != entry.sha256:
            raise BundleError(f"{name} is not the file {CONTENTS} promises")
    if snapshot.contents.manifest_sha256 != bundle.manifest_sha256:
        return  # of another bundle: said by the caller
    for block in bundle.manifest.blocks:
        check_state(block, snapshot.state(block.name), block.name)
    sides = [edge for block in bundle.manifest.blocks for edge in bundle.manifest.side_streams(block.name)]
    check_waiting(snapshot.waiting(), sides)
