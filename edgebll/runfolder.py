"""The folder a run leaves behind, and what protects it.

    run.json         what was run: written first
    metrics.jsonl    one JSON object a line: {"kind": "train", "epoch", "step", "block", "loss", ...} or
                     {"kind": "eval", "epoch", "step", "accuracy", "loss"}; step and epoch say how many were done before
    snapshots/       states of all blocks at points of the stream, to go on from (edgebll_firmware_host.snapshots)
    incarnation.json the number of the run's last incarnation (docs/reliability.md)
    summary.json     the result: written last, so only a whole run has one

Work is never lost by mistake: see `edgebll.run_guard`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from edgebll.errors import BundleError, StorageError
from edgebll.files import check_parents, storage_errors, write_json
from edgebll.run_guard import CONFIG, SUMMARY, check_replaceable, clear_place, lock_folder, previous_run

METRICS, INCARNATION = "metrics.jsonl", "incarnation.json"
#: A killed process loses at most so much of its metrics.
FLUSH_S = 1.0


class RunFolder:
    """A run being written; make it with `create` or `resume` and use it as a context manager.

    Attributes:
        path: the folder. previous: where an earlier whole run is kept until this one is whole, or None.
    """

    def __init__(self, path: Path, lock: int, metrics: BinaryIO, previous: Path | None) -> None:
        self.path = path
        self.previous = previous
        self._lock = lock
        self._metrics = metrics
        self._flushed = time.monotonic()

    @classmethod
    def create(cls, path: Path | str, config: Mapping[str, Any], *, overwrite: bool = False) -> RunFolder:
        """Start a run at `path`.

        Args:
            config: goes to run.json. overwrite: replace a run that is already there (see `edgebll.run_guard`).

        Raises:
            StorageError: there is something to keep at `path`, another process writes there, or the disk refuses.
        """
        target = Path(path)
        check_replaceable(target, overwrite)
        check_parents(target)
        with storage_errors(target):
            previous = clear_place(target)
            target.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(target)
        try:
            write_json(target / CONFIG, dict(config))
            metrics = _open_metrics(target, 0)
        except BaseException:
            os.close(lock)
            raise
        return cls(target, lock, metrics, previous)

    @classmethod
    def resume(cls, path: Path | str, metrics_bytes: int | None = None) -> RunFolder:
        """Go on with the unfinished run at `path`, forgetting metrics beyond the first `metrics_bytes` bytes, if given.

        Raises:
            BundleError: there is no unfinished run. StorageError: another process writes there, or the disk refuses.
        """
        target = Path(path)
        read_config(target)
        if (target / SUMMARY).exists():
            raise BundleError(f"{target} is a whole run, there is nothing to resume; choose another folder or --overwrite")
        lock = lock_folder(target)
        try:
            metrics = _open_metrics(target, metrics_bytes)
        except BaseException:
            os.close(lock)
            raise
        previous = previous_run(target)
        return cls(target, lock, metrics, previous if previous.exists() else None)

    def rewind(self, metrics_bytes: int) -> None:
        """Forget metrics beyond the first `metrics_bytes` bytes.

        Raises:
            BundleError: there are fewer. StorageError: the disk refuses.
        """
        with storage_errors(self.path / METRICS):
            self._metrics.close()
        self._metrics = _open_metrics(self.path, metrics_bytes)

    def record(self, kind: str, **values: Any) -> None:
        """Append a line to metrics.jsonl; a number that is not finite becomes null.

        Raises:
            StorageError: the disk refuses.
        """
        try:
            line = json.dumps({"kind": kind, **values}, allow_nan=False)
        except ValueError:  # not finite: rare, so only then looked for
            line = json.dumps({"kind": kind, **_finite(values)}, allow_nan=False)
        with storage_errors(self.path / METRICS):
            self._metrics.write(line.encode() + b"\n")
            if time.monotonic() - self._flushed >= FLUSH_S:
                self._metrics.flush()
                self._flushed = time.monotonic()

    def next_incarnation(self) -> int:
        """Number of a new incarnation of the run, from 1; it is on the disk before anybody hears of it, so never used twice.

        Raises:
            StorageError: the disk refuses. BundleError: the file is damaged.
        """
        path = self.path / INCARNATION
        number = _read_json(self.path, INCARNATION, "").get("incarnation", 0) + 1 if path.exists() else 1
        write_json(path, {"incarnation": number})
        return number

    def flush(self) -> int:
        """Hand all metrics to the system; returns their size in bytes, which `resume` takes once they are on the disk."""
        with storage_errors(self.path / METRICS):
            self._metrics.flush()
            return self._metrics.tell()

    def settle(self) -> None:
        """Put what was flushed on the disk; from any thread."""
        with storage_errors(self.path / METRICS):
            os.fsync(self._metrics.fileno())

    def sync(self) -> int:
        """Put all metrics on the disk; returns their size in bytes, which `resume` takes."""
        size = self.flush()
        self.settle()
        return size

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, which makes the run whole, and remove the earlier run it replaces.

        Raises:
            StorageError: the disk refuses; the run is then not whole and the earlier one is still there.
        """
        self.sync()
        write_json(self.path / SUMMARY, _finite(summary))
        if self.previous is not None:
            shutil.rmtree(self.previous, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Close and unlock; without `finish` the run stays unfinished."""
        if self._lock < 0:
            return
        try:
            with storage_errors(self.path / METRICS):
                self._metrics.close()
        finally:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(StorageError):  # the first error is the one to report
            self.close()


def read_config(path: Path | str) -> dict[str, Any]:
    """What run.json holds, of a whole or an unfinished run.

    Raises:
        BundleError: `path` is not a run folder, or run.json is damaged.
    """
    return _read_json(Path(path), CONFIG, "is not a run folder; make one with `edgebll train`, `simulate` or `run`")


def open_run(path: Path | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and summary of a whole run.

    Raises:
        BundleError: not a run folder, damaged, or the run did not finish.
    """
    config = read_config(path)
    return config, _read_json(Path(path), SUMMARY, "holds a run that did not finish; finish it with --resume or run it again")


def _read_json(folder: Path, name: str, absent: str) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(f"{folder} {absent}") from error
    except OSError as error:
        raise BundleError(f"{folder / name} cannot be read ({error.strerror}); run it again") from error
    except ValueError as error:
        raise BundleError(f"{folder / name} is not JSON ({error}); run it again") from error
    if not isinstance(value, dict):
        raise BundleError(f"{folder / name} must hold a JSON object; run it again")
    return value


def _open_metrics(folder: Path, keep_bytes: int | None) -> BinaryIO:
    path = folder / METRICS
    with storage_errors(path):
        path.touch()
        if keep_bytes is None:
            return path.open("ab")
        if path.stat().st_size < keep_bytes:
            raise BundleError(f"{path} is shorter than its checkpoint says; the run cannot be resumed, run it again")
        os.truncate(path, keep_bytes)
        return path.open("ab")


def _finite(value: Any) -> Any:
    """Plain values with every number that is not finite replaced by None: JSON has none of those."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
