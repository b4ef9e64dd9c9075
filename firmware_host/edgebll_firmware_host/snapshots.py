"""Snapshots of a run: the states of all blocks at one point of the stream, written as one folder.

What is on side streams at that point (`lag` tokens on each) is not part of it.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from edgebll.files import storage_errors
from edgebll.state import State, save_tensors
from edgebll.wire import State as StateMessage

FOLDER = "snapshots"
#: Whole snapshots kept.
KEPT = 2
#: Snapshots that may wait for the disk before the run waits too.
_QUEUED = 2


class SnapshotWriter:
    """Collects the States of each SNAPSHOT and writes a snapshot once all blocks have sent theirs.

    A slow disk holds up neither the stream nor the heartbeats: a thread writes. Use it as a context manager, which waits for
    the last snapshot.

    Args:
        run: the run folder. blocks: names of all blocks.
    """

    def __init__(self, run: Path, blocks: tuple[str, ...]) -> None:
        self._folder = run / FOLDER
        self._blocks = blocks
        self._pending: dict[int, dict[str, State]] = {}
        self._thread = ThreadPoolExecutor(1, "edgebll-snapshots")
        self._written: deque[Future[None]] = deque()

    def take(self, message: StateMessage) -> None:
        """Take a block's state.

        Raises:
            StorageError: an earlier snapshot could not be written.
        """
        self._collect(_QUEUED)
        states = self._pending.setdefault(message.sequence, {})
        states[message.block] = message.tensors
        if len(states) == len(self._blocks):
            del self._pending[message.sequence]
            self._written.append(self._thread.submit(self._write, message.step, states))

    def _collect(self, may_wait: int) -> None:
        """Wait until at most `may_wait` snapshots are unwritten; raise what went wrong."""
        while self._written and (len(self._written) > may_wait or self._written[0].done()):
            self._written.popleft().result()

    def _write(self, step: int, states: Mapping[str, State]) -> None:
        target = self._folder / f"step{step:09d}"
        scratch = target.with_name(f".{target.name}.partial")
        with storage_errors(target):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
        for block, state in states.items():
            save_tensors(scratch / f"{block}.safetensors", state)
        with storage_errors(target):
            os.replace(scratch, target)
            for old in sorted(p for p in self._folder.iterdir() if p.name.startswith("step"))[:-KEPT]:
                shutil.rmtree(old)

    def __enter__(self) -> SnapshotWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            self._collect(0)
