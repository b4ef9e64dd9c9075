"""Collects what all blocks give at a SNAPSHOT, and has a thread write it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import StorageError
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll.kernel.state.block_state import Array, State
from edgebll.kernel.state.side_stream_queues import Waiting, check_waiting, nest
from edgebll.kernel.wire import State as StateMessage
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run_files.snapshot_store import RecordedProgress, write_snapshot

#: Snapshots that may wait for the disk before the run waits too.
_QUEUED = 2


class SnapshotWriter:
    """Collects the States of each SNAPSHOT and writes a snapshot once all blocks have sent theirs.

    A slow disk holds up neither the stream nor the heartbeats: a thread writes. Use it as a context manager, which waits for
    the last snapshot.

    Args:
        bundle: of the run.
        recorder: of the run; what it has recorded is part of the snapshot.
        keep: whole snapshots that stay.

    Attributes:
        written: training step of the last snapshot this object has put on the disk, -1 before the first.
    """

    def __init__(self, bundle: Bundle, recorder: Recorder, keep: int = KEPT_SNAPSHOTS) -> None:
        self._bundle, self._recorder, self._keep = bundle, recorder, keep
        self.written = -1
        self._pending: dict[int, dict[str, StateMessage]] = {}
        self._thread = ThreadPoolExecutor(1, "edgebll-snapshots")
        self._queue: deque[Future[None]] = deque()

    def forget(self) -> None:
        """Drop snapshots that are not whole: the incarnation they belong to is over."""
        self._pending.clear()

    def take(self, message: StateMessage) -> None:
        """Take a block's state.

        Raises:
            StorageError: an earlier snapshot could not be written. LinkError: tokens on side streams are missing.
        """
        self._collect(_QUEUED)
        given = self._pending.setdefault(message.sequence, {})
        given[message.block] = message
        if len(given) == len(self._bundle.manifest.blocks):
            del self._pending[message.sequence]
            states, waiting = _apart(given)
            manifest = self._bundle.manifest
            check_waiting(waiting, [edge for block in manifest.blocks for edge in manifest.side_streams(block.name)])
            progress = self._recorder.progress()  # every block's reports of the steps before have come before its state
            self._queue.append(self._thread.submit(self._write, message.step, states, waiting, progress))

    def _write(self, step: int, states: dict[str, State], waiting: Waiting[Array], progress: RecordedProgress) -> None:
        try:
            self._recorder.folder.settle()
            write_snapshot(self._recorder.folder.path, self._bundle, step, states, waiting, progress, self._keep)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError) or not self._recorder.folder.in_place:
                return  # the run's folder was removed meanwhile; the next one is written when it is made again
            raise
        self.written = step

    def _collect(self, may_wait: int) -> None:
        """Wait until at most `may_wait` snapshots are unwritten; raise what went wrong."""
        while self._queue and (len(self._queue) > may_wait or self._queue[0].done()):
            self._queue.popleft().result()

    def finish(self) -> None:
        """Wait until all whole snapshots are on the disk.

        Raises:
            StorageError: one could not be written.
        """
        self._collect(0)

    def __enter__(self) -> SnapshotWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            self._collect(0)


def _apart(given: dict[str, StateMessage]) -> tuple[dict[str, State], Waiting[Array]]:
    """States by block, and the tokens of side streams that came with them."""
    streams = {name: tensor for message in given.values() for name, tensor in message.streams.items()}
    return {block: message.block_state for block, message in given.items()}, nest(streams)
