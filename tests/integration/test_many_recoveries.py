"""A host that recovers again and again keeps nothing of the incarnations before."""

from __future__ import annotations

import gc
from pathlib import Path

from support.board_runs import Silent, make_tokens, run_alone, run_name
from support.chaos_boards import make_kinds
from support.direct_host import agent_process
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.errors import BoardError
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.state.block_state import state_sha256
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import RunRequest

FAILURES, STEPS = 5, 200


class Failing(RunningAgents, Silent):
    """A board is said to have ended when some steps are done, and once more before the next incarnation is ready."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.failures, self._again = 0, False

    def stepped(self, step: int, losses: object, samples: int) -> None:
        if step >= (self.failures + 1) * STEPS // (FAILURES + 1) and self.failures < FAILURES:
            self.failures, self._again = self.failures + 1, True
            raise BoardError(f"a board ended for the {self.failures}. time")

    def check(self) -> None:
        if self._again:
            self._again = False
            raise BoardError("another board ended")


def test_failures_while_it_recovers_are_recovered_from_and_nothing_of_them_stays_in_memory(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=2)
    kinds, name = make_kinds(STEPS, 20), run_name(tmp_path / "run")
    with agent_process(tmp_path / "a", name="a") as a, agent_process(tmp_path / "b", name="b") as b:
        cluster = Cluster(tuple(BoardEntry(board.name, board.endpoint) for board in (a, b)), HostEntry(window=3))
        request = RunRequest(bundle, name, lambda start: make_tokens(bundle, kinds, name, start), stall_s=20.0)
        with RunFolder.create(tmp_path / "run", {}) as opened:
            names = tuple(block.name for block in bundle.manifest.blocks)
            recorder = Recorder(opened, engine := Failing(cluster), names, bundle.manifest.batch_size, STEPS, STEPS)
            outcome = run_on_boards(request, engine, recorder)
    assert state_sha256(outcome.states) == state_sha256(run_alone(bundle, kinds))
    assert [recovery.restore_s is None for recovery in outcome.recoveries] == [True, False] * FAILURES
    assert [recovery.facts()["step"] is None for recovery in outcome.recoveries] == [True, False] * FAILURES
    gc.collect()
    assert not [found for found in gc.get_objects() if type(found) is Fleet]
