"""The folder a run leaves behind, and what protects it.

    run.json         what was run: written first
    metrics.jsonl    one JSON object a line: {"kind": "train", "epoch", "step", "block", "loss", ...} or
                     {"kind": "eval", "epoch", "step", "accuracy", "loss"}; step and epoch say how many were done before,
                     lr is the learning rate, and time, in runs over bundles, the Unix time in seconds;
                     {"kind": "lost", ...} stands for lines that were damaged (edgebll.metrics_file)
    snapshots/       states of all blocks at points of the stream, to go on from (edgebll_firmware_host.snapshots)
    incarnation.json the number of the run's last incarnation (docs/reliability.md)
    totals.jsonl     what the run has cost, over all processes that worked on it (edgebll_firmware_host.account)
    computing.json   by what each block was computed at the beginning, and which were otherwise since
    preflight.json   links, versions, disks and clocks of boards, as they were before the run
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
from edgebll.metrics_file import METRICS, reopen_metrics
from edgebll.run_guard import CONFIG, SUMMARY, check_replaceable, clear_place, lock_folder, previous_run

INCARNATION = "incarnation.json"
#: A killed process loses at most so much of its metrics.
FLUSH_S = 1.0
#: A number beyond is none that was ever counted to.
_MAX_INCARNATION = 1 << 53


class RunFolder:
    """A run being written; make it with `create` or `resume` and use it as a context manager.

    Attributes:
        path: the folder. previous: where an earlier whole run is kept until this one is whole, or None.
        lost_bytes: of metrics.jsonl that were recorded and are not there any more, for a run that is resumed.
    """

    def __init__(self, path: Path, lock: int, metrics: BinaryIO, previous: Path | None, lost_bytes: int | None = None) -> None:
        self.path = path
        self.previous = previous
        self._resumed = lost_bytes is not None
        self.lost_bytes = lost_bytes or 0
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
            metrics, _ = reopen_metrics(target, 0)
        except BaseException:
            os.close(lock)
            raise
        return cls(target, lock, metrics, previous)

    @classmethod
    def resume(cls, path: Path | str, metrics_bytes: int | None = None) -> RunFolder:
        """Go on with the unfinished run at `path`, forgetting metrics beyond the first `metrics_bytes` bytes, if given.

        Where there are fewer, the run goes on with those: its weights do not depend on its record.

        Raises:
            BundleError: there is no unfinished run. StorageError: another process writes there, or the disk refuses.
        """
        target = Path(path)
        read_config(target)
        if (target / SUMMARY).exists():
            raise BundleError(f"{target} is a whole run, there is nothing to resume; choose another folder or --overwrite")
        lock = lock_folder(target)
        try:
            metrics, lost = reopen_metrics(target, metrics_bytes)
        except BaseException:
            os.close(lock)
            raise
        previous = previous_run(target)
        return cls(target, lock, metrics, previous if previous.exists() else None, lost)

    def rewind(self, metrics_bytes: int) -> None:
        """Forget metrics beyond the first `metrics_bytes` bytes; `lost_bytes` says how many of those are gone.

        Raises:
            StorageError: the disk refuses.
        """
        with storage_errors(self.path / METRICS):
            self._metrics.close()
        self._metrics, self.lost_bytes = reopen_metrics(self.path, metrics_bytes)

    @property
    def damage(self) -> str | None:
        """What is gone of the record of a run that is resumed, in a sentence; None if nothing is."""
        if not self.lost_bytes:
            return None
        gone = f"{self.lost_bytes} bytes of {self.path / METRICS} are gone"
        return f"{gone}: the run goes on without them, since its weights do not depend on what was recorded"

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
            StorageError: the disk refuses.
        """
        path, number = self.path / INCARNATION, self._last_incarnation() + 1
        write_json(path, {"incarnation": number})
        return number

    def _last_incarnation(self) -> int:
        """The number on the disk, 0 in a new run. Where it was lost, one that is surely higher: boards refuse lower ones."""
        try:
            last = _read_json(self.path, INCARNATION, "has no incarnation").get("incarnation")
        except BundleError:
            last = None
        if isinstance(last, int) and 0 < last <= _MAX_INCARNATION:
            return last
        return int(time.time()) if self._resumed else 0

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


def _finite(value: Any) -> Any:
    """Plain values with every number that is not finite replaced by None: JSON has none of those."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
