"""What is to run over boards, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll.kernel.state.block_state import State as BlockState
from edgebll.kernel.wire import Token
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.recovery_policy import Recovery

#: Boards answering, but nothing done for so long: a message was lost on a broken link.
STALL_S = 300.0

#: Gives the run's stream from a training step on.
TokensFrom = Callable[[int], Iterator[Token]]


@dataclass
class Outcome:
    """What a run over boards ended with.

    Attributes:
        states: block -> final state.
        placement: board -> blocks, of the last incarnation.
        start_seconds: until all blocks were loaded for the first time.
        stream_seconds: from the first token to the last final state.
        bytes_streamed: sent by the host as tokens.
        bytes_streamed_unpacked: the same, had nothing been sent as spikes.
        bytes_shipped: sent by the host as files.
        recoveries: what failed, and how long each took.
        unlike: blocks that were computed otherwise for a while than at the beginning, so that the bits are not those of an
            undisturbed run.
        versions: board -> package -> version, of boards that were asked before the run.
    """

    states: dict[str, BlockState] = field(default_factory=dict)
    placement: Placement = field(default_factory=lambda: Placement({}))
    start_seconds: float = 0.0
    stream_seconds: float = 0.0
    bytes_streamed: int = 0
    bytes_streamed_unpacked: int = 0
    bytes_shipped: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRequest:
    """What is to run.

    Attributes:
        bundle: the blocks, with the states to start from.
        run: identifier of the run.
        stream: see `edgebll.data.token_stream`.
        weights: cost of each block for the placement, e.g. measured seconds; None for an estimate.
        stall_s: time without progress, all boards answering, after which a message counts as lost.
        snapshot_seconds: between snapshots, besides those of the stream; 0 for none.
        keep_snapshots: how many stay.
        resumed: another process began this run: go on from the newest snapshot. The first session then takes the boards that
            are there, as a recovery does; otherwise it needs all it was given.
        preflight: whether boards try their links before anything is loaded.
    """

    bundle: Bundle
    run: str
    stream: TokensFrom
    weights: list[float] | None = None
    stall_s: float = STALL_S
    snapshot_seconds: float = 0.0
    keep_snapshots: int = KEPT_SNAPSHOTS
    resumed: bool = False
    preflight: bool = False

    @property
    def blocks(self) -> list[str]:
        """Names of all blocks, in order."""
        return [block.name for block in self.bundle.manifest.blocks]
