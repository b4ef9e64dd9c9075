"""A host that recovers again and again keeps nothing of the incarnations before."""

from __future__ import annotations

import gc
from pathlib import Path

from support.board_runs import Silent, make_tokens, run_alone, run_name
from support.chaos import make_kinds
from support.direct_host import agent_process
from support.tiny_bundle import make_tiny_bundle

from edgebll.errors import BoardError
from edgebll.runfolder import RunFolder
from edgebll.state import state_sha256
from edgebll_firmware_host.cluster_run import run_on_boards
from edgebll_firmware_host.engines import RunningAgents
from edgebll_firmware_host.fleet import Fleet
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.recorder import Recorder
from edgebll_firmware_host.run_plan import RunPlan

FAILURES, STEPS = 5, 200


class Counting(Silent):
    """Counts training steps."""

    steps = 0

    def stepped(self, step: int, losses: object, samples: int) -> None:
        self.steps = step


class Failing(RunningAgents):
    """Says, each time some steps are done, that a board has ended."""

    def __init__(self, cluster: Cluster, listener: Counting) -> None:
        super().__init__(cluster)
        self.listener, self.failures = listener, 0

    def check(self) -> None:
        if self.failures < FAILURES and self.listener.steps >= (self.failures + 1) * STEPS // (FAILURES + 1):
            self.failures += 1
            raise BoardError(f"a board ended for the {self.failures}. time")


def test_nothing_of_earlier_incarnations_stays_in_memory(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=2)
    kinds, name, listener = make_kinds(STEPS, 20), run_name(tmp_path / "run"), Counting()
    with agent_process(tmp_path / "a", name="a") as a, agent_process(tmp_path / "b", name="b") as b:
        cluster = Cluster(tuple(BoardEntry(board.name, board.endpoint) for board in (a, b)), HostEntry(window=3))
        plan = RunPlan(bundle, name, lambda start: make_tokens(bundle, kinds, name, start), stall_s=20.0)
        with RunFolder.create(tmp_path / "run", {}) as opened:
            names = tuple(block.name for block in bundle.manifest.blocks)
            recorder = Recorder(opened, listener, names, bundle.manifest.batch_size, STEPS, STEPS)
            outcome = run_on_boards(plan, Failing(cluster, listener), recorder)
    assert state_sha256(outcome.states) == state_sha256(run_alone(bundle, kinds))
    assert len(outcome.recoveries) == FAILURES
    gc.collect()
    assert not [found for found in gc.get_objects() if type(found) is Fleet]
