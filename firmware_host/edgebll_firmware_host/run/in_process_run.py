"""A run whose blocks are all in this process, one after another."""

from __future__ import annotations

import time

from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.execution.stage import Start
from edgebll.kernel.state.block_state import State as BlockState
from edgebll.kernel.wire import Report, State
from edgebll_firmware_host.engines.engine_choice import InProcess
from edgebll_firmware_host.run.job import Job
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter
from edgebll_firmware_host.run.token_feeder import TokenFeeder
from edgebll_firmware_host.run_files.snapshot_store import Snapshot


def run_in_process(job: Job, where: InProcess, recorder: Recorder, snapshot: Snapshot | None) -> dict[str, BlockState]:
    """Stream a job's tokens through all blocks in this process.

    Args:
        job: what.
        where: what computes.
        recorder: takes every Report.
        snapshot: where to go on from; None begins.

    Returns:
        block -> final state.

    Raises:
        StorageError: the disk refuses.
    """
    spec, first = job.recorded.spec, snapshot.step if snapshot is not None else 0
    feeder = TokenFeeder(job.stream(first), 0, spec.snapshot_seconds, time.monotonic())
    tokens = iter(lambda: feeder.next(time.monotonic()), None)
    messages = run_sequential(
        job.bundle,
        job.stream_spec.run,
        tokens,
        runtime=where.runtime,
        threads=where.threads,
        start=Start(step=first, waiting=snapshot.waiting()) if snapshot is not None else None,
        states={block: snapshot.state(block) for block in job.blocks} if snapshot is not None else None,
    )
    states: dict[str, BlockState] = {}
    recorder.begin_incarnation()
    with SnapshotWriter(job.bundle, recorder, spec.keep_snapshots) as snapshots:
        for message in messages:
            if isinstance(message, Report):
                recorder.take("host", message, 0)
            elif isinstance(message, State) and message.final:
                states[message.block] = message.block_state
            elif isinstance(message, State):
                snapshots.take(message)
    return states
