"""A host for chaos tests: `python -m support.chaos_host BUNDLE RUN CLUSTER KINDS PAUSE_S`, a real process without a data set.

It begins the run or goes on with it, tells every new training step on stdout, and at the end the fingerprint of the states.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import TRAIN, Token
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.inventory import load_cluster
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import RunRequest
from edgebll_firmware_host.run_files.snapshot_store import newest_snapshot
from support.board_runs import make_tokens, run_name


class Telling(Listener):
    """A listener that says what happens, a line each."""

    def stepped(self, step: int, losses: object, samples: int) -> None:
        print("step", step, flush=True)

    def said(self, text: str) -> None:
        print("said", text, flush=True)


def main(bundle_path: str, run: str, cluster: str, kinds_path: str, pause_s: str) -> None:
    """Run it."""
    faulthandler.register(signal.SIGUSR1, sys.stdout)  # where it stands, for a test that waits in vain
    bundle, folder = open_bundle(bundle_path), Path(run)
    kinds = json.loads(Path(kinds_path).read_text())
    names = tuple(block.name for block in bundle.manifest.blocks)
    steps = kinds.count(TRAIN)

    def stream(start: int) -> Iterator[Token]:
        for token in make_tokens(bundle, kinds, run_name(folder), start):
            time.sleep(float(pause_s))
            yield token

    resumed = folder.exists()
    with RunFolder.resume(folder) if resumed else RunFolder.create(folder, {"run": run_name(folder)}) as opened:
        recorder = Recorder(opened, Telling(), names, bundle.manifest.batch_size, steps, bundle.manifest.batch_size)
        snapshot = newest_snapshot(folder, bundle, recorder.listener.said) if resumed else None
        opened.rewind(snapshot.contents.progress.metrics_bytes if snapshot is not None else 0)
        if snapshot is not None:
            recorder.go_on(snapshot.contents.progress)
        # On a loaded machine a board may not greet within the short deadline: recover from that as from anything else.
        request = RunRequest(bundle, run_name(folder), stream, stall_s=20.0, resumed=True)
        outcome = run_on_boards(request, RunningAgents(load_cluster(cluster)), recorder)
        opened.sync()
    for recovery in outcome.recoveries:
        print("recovery", json.dumps(recovery.facts()), flush=True)
    print("end", state_sha256(outcome.states), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
