"""Whether every block is computed as it was when its run began: only then has the run the bits of an undisturbed one.

Runtimes, numbers of threads and kinds of processors take sums in different orders. Which of them computes a block is up to the
board it is on, so a block that moves to an unlike board, for whatever reason, has other bits from there on. That is said when
it happens, and in the summary; `computing.json` in the run folder has it for hosts that resume the run.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.spec.firmware_profiles import FAST
from edgebll.kernel.spec.runtime_names import IN_ORDER, SERIAL
from edgebll.kernel.support.atomic_files import write_json
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain
from edgebll.kernel.wire.session_messages import Welcome
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.inventory import BoardEntry

COMPUTING = "computing.json"


@dataclass(frozen=True)
class Numerics:
    """What decides in which order sums are taken.

    Attributes:
        platform: machine, e.g. "aarch64"; "" where it is not known. Of a microcontroller with fast firmware, its kind: all
            others compute in the order of the plan.
        engine: the board whose own build of the graphs computes, where a runtime builds some by timing them: two builds may
            round differently (docs/how-to/train-on-tensorrt.md).
        asked: threads that were asked for, of which the board could use `threads`; 0 where that is not recorded.
    """

    runtime: str
    threads: int
    platform: str = ""
    engine: str = ""
    asked: int = field(default=0, compare=False)

    @classmethod
    def of(cls, link: BoardLink) -> Numerics:
        """How a greeted board computes."""
        entry = link.entry
        fast = _fast_board(entry, link.welcome)
        if fast:
            return cls(entry.runtime, 1, f"{fast} with fast firmware", "", 1)
        if entry.runtime in IN_ORDER:  # the plan says in which order, wherever it runs
            return cls(IN_ORDER[0], 1, "", "", 1)
        engine = entry.name if "tensorrt" in entry.runtime else ""
        return cls(entry.runtime, link.threads, link.welcome.platform, engine, entry.threads)

    def __str__(self) -> str:
        where = f" on {self.platform}" if self.platform else ""
        where += f" with the engine of {self.engine}" if self.engine else ""
        return f"{self.runtime}{where} with {self.threads} thread{'s' * (self.threads != 1)}"


def _fast_board(entry: BoardEntry, welcome: Welcome) -> str:
    """What the microcontroller of a board is, where its firmware takes sums in an order of its own; else ""."""
    profiles = welcome.microcontroller_profiles if entry.runtime == SERIAL else {}
    profile = profiles.get(entry.port, "") if entry.port else next(iter(profiles.values()), "")
    name, _, board = profile.partition(" ")
    return board if name == FAST else ""


@dataclass(frozen=True)
class _Recorded:
    """What computing.json holds: how blocks were computed at the run's beginning, and those that were otherwise since."""

    blocks: dict[str, Numerics] = field(default_factory=dict)
    unlike: tuple[str, ...] = ()


class NumericsGuard:
    """Keeps how the blocks of a run are computed.

    Args:
        run: the run folder.

    Attributes:
        run: where it is by now.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._recorded = _Recorded()
        with contextlib.suppress(OSError, ValueError, PlainError):  # damaged: then it begins anew
            self._recorded = from_plain(_Recorded, json.loads((run / COMPUTING).read_bytes()), COMPUTING)

    @property
    def unlike(self) -> list[str]:
        """Blocks that were computed otherwise for a while than when the run began."""
        return list(self._recorded.unlike)

    @property
    def began(self) -> dict[str, Numerics]:
        """Block -> how it was computed when the run began; empty before it has."""
        return dict(self._recorded.blocks)

    def note(self, found: Mapping[str, Numerics], step: int) -> list[str]:
        """Take how all blocks are computed from a training step on; returns a sentence for each that was alike until now.

        Raises:
            StorageError: the disk refuses.
        """
        earlier = self._recorded if step else _Recorded()  # from the first step on nothing was computed otherwise
        known = earlier.blocks or dict(found)
        changed = [block for block in found if known.get(block, found[block]) != found[block]]
        new = [block for block in changed if block not in earlier.unlike]
        recorded = _Recorded(known, (*earlier.unlike, *new))
        if recorded != self._recorded:
            self._recorded = recorded
            write_json(self.run / COMPUTING, to_plain(recorded))
        return [
            f"{block} is computed by {found[block]} now, and by {known[block]} when the run began: "
            "the bits need not be those of an undisturbed run"
            for block in new
        ]


def warning(boards: Iterable[BoardEntry]) -> str | None:
    """A sentence where boards of an inventory differ in what it says of them, None where they do not."""
    ways = {str(Numerics(board.runtime, board.threads)): board.name for board in boards}
    if len(ways) < 2:
        return None
    told = "; ".join(f"{name}: {way}" for way, name in ways.items())
    return f"boards compute in different ways ({told}): blocks that move from one to another change the bits of the run"
