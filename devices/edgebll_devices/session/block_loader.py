"""Brings the blocks of a session up: runtimes from the incarnation before where there are some, and the state to start from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import LinkError
from edgebll.kernel.execution.load_context import LoadContext, LoadHalted
from edgebll.kernel.execution.stage import HostedBlock, Start
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.spec.manifest import Manifest
from edgebll.kernel.state.block_state import Array, load_tensors
from edgebll.kernel.state.side_stream_queues import Waiting
from edgebll.kernel.wire import Assign, load_waiting, state_file
from edgebll_devices.session.runtime_pool import Loaded, RuntimePool
from edgebll_devices.storage.file_cache import FileCache
from edgebll_devices.storage.snapshot_cache import SnapshotCache

if TYPE_CHECKING:
    from edgebll_devices.runtimes import BlockRuntime

#: Where the snapshot lies in the bundle's folder while blocks are loaded.
_SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class LoadJob:
    """What a worker needs to know.

    Attributes:
        board: the board's name, for messages.
        keys: its key pair, for links to other boards.
        assign: the host's order.
        serial_port: of the microcontroller that is to host the blocks; empty where none is.
        manifest_bytes: the bundle's manifest.json as the host sent it.
        manifest: the same, parsed.
        files: bundle path -> entry, all in the cache.
        snapshot: name -> entry of the snapshot to start from, or empty.
        earlier_runs: runs this board has seen before; their stray tokens are dropped.
        link_timeout_s: how long to wait for a connection to another board.
        counts_links: whether the host understands Reports that tell what was sent to other boards.
        cache: where the files are.
        snapshot_cache: takes the states of snapshots.
        runtime_pool: runtimes of the incarnation before.
    """

    board: str
    keys: KeyPair | None
    assign: Assign
    serial_port: str
    manifest_bytes: bytes
    manifest: Manifest
    files: Mapping[str, FileEntry]
    snapshot: Mapping[str, FileEntry]
    earlier_runs: frozenset[str]
    link_timeout_s: float
    counts_links: bool
    cache: FileCache
    snapshot_cache: SnapshotCache
    runtime_pool: RuntimePool


class BlockLoader:
    """Loads the blocks of a job, and keeps their runtimes for the next one.

    Args:
        job: of the session.
        load_context: whom to tell of work that takes long, and who may stop it.
    """

    def __init__(self, job: LoadJob, load_context: LoadContext) -> None:
        self._job, self._load_context = job, load_context
        self._manifest_sha256 = hashlib.sha256(job.manifest_bytes).hexdigest()

    def load(self) -> list[HostedBlock]:
        """All blocks of the job, in the order of the stream, with the state to start from.

        Raises:
            EdgebllError: as `load_block` and `BlockRuntime.load_state`. StorageError: a file cannot be used.
        """
        job, blocks = self._job, list[HostedBlock]()
        job.runtime_pool.keep_only(self._loaded(name) for name in job.assign.blocks)
        snapshot = {f"{_SNAPSHOT}/{name}": entry for name, entry in job.snapshot.items()}
        with job.cache.materialised(job.manifest_bytes, {**job.files, **snapshot}) as folder:
            bundle = open_bundle(folder, verify=False)  # the cache has verified every file
            start = Start(job.assign.incarnation, job.assign.step, self._waiting(folder))
            try:
                for spec in job.manifest.blocks:
                    if spec.name in job.assign.blocks:
                        blocks.append(self._load_block(bundle, spec.name, start))
            except BaseException as error:
                for block in blocks:
                    self.let_go(block, sound=isinstance(error, (LinkError, LoadHalted)))
                raise
        job.snapshot_cache.tidy(job.assign.run, job.snapshot)
        job.cache.prune()
        return blocks

    def let_go(self, block: HostedBlock, *, sound: bool) -> None:
        """Free a block, or keep its runtime if that is sound and the run may go on in another incarnation."""
        runtime = block.release()
        if sound and not block.ended:
            self._job.runtime_pool.put(self._loaded(block.name), runtime)
        else:
            runtime.close()

    def _loaded(self, block: str) -> Loaded:
        assign = self._job.assign
        return Loaded(assign.run, self._manifest_sha256, block, assign.runtime, assign.threads, self._job.serial_port)

    def _waiting(self, folder: Path) -> Waiting[Array] | None:
        """Tokens on side streams in the snapshot to start from; None without a snapshot."""
        if not self._job.snapshot:
            return None
        return load_waiting(folder / _SNAPSHOT, self._job.snapshot)

    def _load_block(self, bundle: Bundle, name: str, start: Start) -> HostedBlock:
        from edgebll_devices.runtimes import load_block

        assign = self._job.assign
        kept = self._job.runtime_pool.take(self._loaded(name))
        runtime: BlockRuntime = kept or load_block(
            assign.runtime, bundle, name, threads=assign.threads, load_context=self._load_context
        )
        try:
            if self._job.snapshot:
                runtime.load_state(load_tensors(bundle.path / _SNAPSHOT / state_file(name)))
            elif kept is not None:
                kept.load_state(bundle.state(name))
            return HostedBlock(assign.run, runtime, self._job.manifest, start)
        except BaseException:
            runtime.close()
            raise
