"""The preflight of a run: once, before its first blocks are loaded."""

from __future__ import annotations

from edgebll.kernel.support.atomic_files import write_json
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.fleet.preflight import Pair, check, needed
from edgebll_firmware_host.fleet.preflight_findings import facts, notes, problems, refuse
from edgebll_firmware_host.inventory import Cluster
from edgebll_firmware_host.policy.block_placement import Placement, largest_token
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import RunRequest

#: What was found, in the run folder.
PREFLIGHT = "preflight.json"


class RunPreflight:
    """Sees whether the boards of a run reach each other, and notes how they are.

    Args:
        request: of the run; says whether this is wanted.
        recorder: its folder takes what is found, its listener what is noted.

    Attributes:
        chosen: (sender, receiver) -> which of the receiver's addresses was found to work.
        versions: board -> package -> version.
    """

    def __init__(self, request: RunRequest, recorder: Recorder) -> None:
        self._request, self._recorder = request, recorder
        self._done = not request.preflight
        self.chosen: dict[Pair, int] = {}
        self.versions: dict[str, dict[str, str]] = {}

    def check(self, fleet: Fleet, placement: Placement, cluster: Cluster) -> None:
        """Do it, if it was not done yet.

        Args:
            fleet: greeted boards, those of the placement, without blocks.
            placement: which board will have which blocks.
            cluster: the inventory.

        Raises:
            PreflightError: a run cannot work so. LinkError, BoardError: a board vanished. StorageError: the disk refuses.
        """
        if self._done:
            return
        self._done = True
        checked = check(fleet, needed(placement, self._request.bundle.manifest.edges), cluster.keys)
        self.chosen = checked.chosen
        self.versions = {name: dict(board.versions) for name, board in checked.boards.items()}
        entries = {name: link.entry for name, link in fleet.links.items()}
        write_json(self._recorder.folder.path / PREFLIGHT, facts(checked, entries))
        for note in notes(checked, largest_token(self._request.bundle), cluster.host.deadline_s):
            self._recorder.listener.said(note)
        refuse(problems(checked, entries))
