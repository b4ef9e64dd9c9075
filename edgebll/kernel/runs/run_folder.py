"""The folder a run leaves behind, and what protects it.

    run.json         what was run: written first
    metrics.jsonl    one JSON object a line: {"kind": "train", "epoch", "step", "block", "loss", ...} or
                     {"kind": "eval", "epoch", "step", the task's metrics, "loss"}; step and epoch say how many were done then,
                     lr is the learning rate, and time, in runs over bundles, the Unix time in seconds;
                     {"kind": "lost", ...} stands for lines that were damaged (edgebll.kernel.runs.metrics_file)
    snapshots/       states of all blocks at points of the stream, to go on from
    (edgebll_firmware_host.run_files.snapshot_store)
    incarnation.json the number of the run's last incarnation (docs/explanation/reliability.md)
    totals.jsonl     what the run has cost, over all processes that worked on it (edgebll_firmware_host.run_files.cost_account)
    computing.json   by what each block was computed at the beginning, and which were otherwise since
    preflight.json   links, versions, disks and clocks of boards, as they were before the run
    summary.json     the result: written last, so only a whole run has one

Work is never lost by mistake: see `edgebll.kernel.runs.run_lock`. A folder that is removed in mid-run is made again:
`edgebll.kernel.runs.run_repair`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from edgebll.kernel.errors import BundleError, StorageError
from edgebll.kernel.runs.incarnation_number import INCARNATION, last_incarnation, write_incarnation
from edgebll.kernel.runs.metrics_file import METRICS, reopen_metrics
from edgebll.kernel.runs.run_lock import CONFIG, SUMMARY, check_replaceable, clear_place, lock_folder, previous_run
from edgebll.kernel.runs.run_record import finite, open_run, read_config, write_record
from edgebll.kernel.runs.run_repair import in_place, remake
from edgebll.kernel.support.atomic_files import check_parents, storage_errors

__all__ = ["INCARNATION", "METRICS", "RunFolder", "open_run", "read_config"]

FLUSH_S = 1.0  #: a killed process loses at most so much of its metrics


class RunFolder:
    """A run being written; make it with `create` or `resume` and use it as a context manager.

    Attributes:
        path: the folder.
        previous: where an earlier whole run is kept until this one is whole, or None.
        lost_bytes: of metrics.jsonl that were recorded and are not there any more, for a run that is resumed.
        tell: takes a sentence where the folder was removed and made again; logged by default.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        lock: int,
        metrics: BinaryIO,
        previous: Path | None,
        lost_bytes: int | None = None,
    ) -> None:
        self.path, self._config = path, config
        self.previous = previous
        self._resumed = lost_bytes is not None
        self.lost_bytes = lost_bytes or 0
        self._lock = lock
        self._metrics = metrics
        self._flushed = time.monotonic()
        self._incarnation = 0
        self._gone, self._cannot = list[BinaryIO](), ""  # records that were removed; why no folder was made again
        self.tell: Callable[[str], None] = logging.getLogger(__name__).warning

    @classmethod
    def create(cls, path: Path | str, config: Mapping[str, Any], *, overwrite: bool = False) -> RunFolder:
        """Start a run at `path`.

        Args:
            path: of the folder, which is made.
            config: goes to run.json.
            overwrite: replace a run that is already there (see `edgebll.kernel.runs.run_lock`).

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
            write_record(target, CONFIG, config)
            metrics, _ = reopen_metrics(target, 0)
        except BaseException:
            with contextlib.suppress(OSError):
                target.rmdir()  # what is empty is no run, and --resume would look for one there
            os.close(lock)
            raise
        return cls(target, dict(config), lock, metrics, previous)

    @classmethod
    def resume(cls, path: Path | str, metrics_bytes: int | None = None) -> RunFolder:
        """Go on with the unfinished run at `path`, forgetting metrics beyond the first `metrics_bytes` bytes, if given.

        Where there are fewer, the run goes on with those: its weights do not depend on its record.

        Raises:
            BundleError: there is no unfinished run. StorageError: another process writes there, or the disk refuses.
        """
        target = Path(path)
        config = read_config(target)
        if (target / SUMMARY).exists():
            raise BundleError(f"{target} is a whole run, there is nothing to resume; choose another folder or --overwrite")
        lock = lock_folder(target)
        try:
            metrics, lost = reopen_metrics(target, metrics_bytes)
        except BaseException:
            os.close(lock)
            raise
        previous = previous_run(target)
        return cls(target, config, lock, metrics, previous if previous.exists() else None, lost)

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
            line = json.dumps({"kind": kind, **finite(values)}, allow_nan=False)
        with storage_errors(self.path / METRICS):
            self._metrics.write(line.encode() + b"\n")
            if time.monotonic() - self._flushed >= FLUSH_S:
                self._metrics.flush()
                self._flushed = time.monotonic()
                self.attend()

    @property
    def in_place(self) -> bool:
        """Whether the folder is the one the run writes to; from any thread."""
        return in_place(self.path, self._lock, self._metrics)

    def attend(self) -> None:
        """Make the folder again if somebody has removed it; where that cannot be done, say so and go on without."""
        if self.in_place:
            return
        try:
            remade = remake(self.path, self._lock, self._metrics, self._config)
        except StorageError as error:
            if str(error) != self._cannot:
                self._cannot = str(error)
                self.tell(f"{self.path} was removed while the run goes on, and is not made again: {error}")
            return
        if remade.lock != self._lock:
            os.close(self._lock)
        if remade.metrics is not self._metrics:
            self._gone.append(self._metrics)
        self.path, self._lock, self._metrics, self._cannot = remade.path, remade.lock, remade.metrics, ""
        self.tell(remade.told)

    def next_incarnation(self) -> int:
        """Number of a new incarnation of the run, from 1; it is on the disk before anybody hears of it, so never used twice.

        Raises:
            StorageError: the disk refuses.
        """
        self.attend()
        self._incarnation = max(self._incarnation, last_incarnation(self.path, resumed=self._resumed)) + 1
        write_incarnation(self.path, self._incarnation)
        return self._incarnation

    def flush(self) -> int:
        """Hand all metrics to the system; returns their size in bytes, which `resume` takes once they are on the disk."""
        self.attend()
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
        write_record(self.path, SUMMARY, finite(summary))
        if self.previous is not None:
            shutil.rmtree(self.previous, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Close and unlock; without `finish` the run stays unfinished."""
        if self._lock < 0:
            return
        try:
            with storage_errors(self.path / METRICS):
                for metrics in (*self._gone, self._metrics):
                    metrics.close()
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
