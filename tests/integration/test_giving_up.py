"""The disk of the host refuses while a run goes on: the run ends, and can be resumed when there is room again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.board_runs import Silent, make_tokens, run_alone, run_name
from support.chaos_boards import make_kinds
from support.direct_host import serving
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import StorageError
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.state.block_state import state_sha256
from edgebll_devices.agent.agent import Agent
from edgebll_devices.agent.settings import Settings
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import Outcome, RunRequest
from edgebll_firmware_host.run_files.snapshot_store import newest_snapshot

KINDS = make_kinds(60, 10)
LOCAL = "tcp://127.0.0.1:0"


class Filling(Silent):
    """Fills the disk, or what comes to the same, when some steps are done."""

    def __init__(self, run: Path) -> None:
        self.snapshots = run / "snapshots"

    def stepped(self, step: int, losses: object, samples: int) -> None:
        if step == 35:
            while not list(self.snapshots.glob("step*")):
                threading.Event().wait(0.005)  # the thread that writes has not come to it
            self.snapshots.rename(self.snapshots.with_name("elsewhere"))
            self.snapshots.write_text("a file where the folder was")


def go(bundle: Bundle, cluster: Cluster, opened: RunFolder, listener: Silent, *, resumed: bool) -> Outcome:
    name, blocks = run_name(opened.path), tuple(block.name for block in bundle.manifest.blocks)
    request = RunRequest(bundle, name, lambda start: make_tokens(bundle, KINDS, name, start), resumed=resumed)
    recorder = Recorder(opened, listener, blocks, bundle.manifest.batch_size, 60, 60)
    return run_on_boards(request, RunningAgents(cluster), recorder)


def test_a_disk_of_the_host_that_refuses_ends_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    bundle, run = make_tiny_bundle(tmp_path / "tiny", blocks=2), tmp_path / "run"
    with serving(agent := Agent(Settings(LOCAL, LOCAL, "a", tmp_path / "a"))):
        cluster = Cluster((BoardEntry("a", agent.endpoint),))
        with RunFolder.create(run, {}) as opened, pytest.raises(StorageError, match=r"cannot write .*snapshots"):
            go(bundle, cluster, opened, Filling(run), resumed=False)
        (run / "snapshots").unlink()
        (run / "elsewhere").rename(run / "snapshots")
        found = newest_snapshot(run, bundle, lambda text: pytest.fail(text))
        assert found is not None
        assert found.step >= 10
        with RunFolder.resume(run, found.contents.progress.metrics_bytes) as opened:
            outcome = go(bundle, cluster, opened, Silent(), resumed=True)
    assert state_sha256(outcome.states) == state_sha256(run_alone(bundle, KINDS))
