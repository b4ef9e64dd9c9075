"""How long the training steps of a bundle's blocks take on a board, by a short stream of which nothing is learned.

The board computes as in a run, with its own runtime and threads, and its reports say from when to when. All blocks that it has
room for lie on it at once, and the learning rate is 0.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import LinkTimeout
from edgebll.kernel.execution.step_timing import timing_batch
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.spec.last_batch import step_scalars
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.transport import Sender
from edgebll.kernel.wire import SPIKES, TRAIN, Report, Token
from edgebll_firmware_host.fleet.board_sessions import open_fleet, start_session
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.block_placement import Placement

#: Steps that warm caches and clocks up, and those that count.
WARM_UP, TIMED = 3, 20
#: So many in flight that the board never waits for the next; a step that takes longer than this is no step of a board.
_WINDOW, _LONGEST_S = 4, 600.0
#: What lies between the first and the third quartile of a normal distribution, in standard deviations.
_QUARTILES = 1.349


@dataclass
class BlockTimes:
    """Seconds of each timed step of a block, in their order.

    Attributes:
        block: its name.
        seconds: one a step.
    """

    block: str
    seconds: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """The middle one."""
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Standard deviation from step to step, relative to the median; by quartiles, which a pause does not move."""
        low, high = np.quantile(self.seconds, (0.25, 0.75))
        return float((high - low) / _QUARTILES / self.median_s) if self.median_s > 0 else 0.0


@dataclass(frozen=True)
class BoardTimes:
    """What a board took.

    Attributes:
        blocks: times of each block, in stream order.
        overhead_s: from the end of one training step to the start of the next: taking the message, and telling of it.
    """

    blocks: tuple[BlockTimes, ...]
    overhead_s: float


def time_steps(bundle: Bundle, board: BoardEntry, keys: KeyPair | None, deadline_s: float, *, timed: int = TIMED) -> BoardTimes:
    """Time all blocks of a bundle on one board that nobody else uses meanwhile.

    Args:
        bundle: whose blocks; the board gets its files as in a run, and keeps them.
        board: of the inventory.
        keys: of the host; None on loopback.
        deadline_s: silence after which the board counts as lost.
        timed: training steps that count, at least 2; default 20.

    Raises:
        LinkError: the board does not answer, or works for another host. BoardError: it failed, e.g. for want of memory.
    """
    blocks = tuple(block.name for block in bundle.manifest.blocks)
    with open_fleet([board], uuid.uuid4().hex, keys, deadline_s) as fleet:
        fleet.greet()
        start_session(fleet, bundle, Placement({board.name: blocks}), keys)
        link = fleet.links[board.name]
        key = board.public_key if keys else None
        spikes = SPIKES in link.capabilities
        with Sender(link.data_endpoint, keys=keys, server_key=key, dead_s=deadline_s, spikes=spikes) as sender:
            return _stream(fleet, sender, _token(bundle, link.run), blocks, WARM_UP + timed)


def _stream(fleet: Fleet, sender: Sender, token: Token, blocks: Sequence[str], steps: int) -> BoardTimes:
    """Feed so many steps and listen until the last block has reported the last of them."""
    times = {name: BlockTimes(name) for name in blocks}
    starts, ends = [], []  # of steps, in order
    fed = done = 0
    moved_s, wait_s = awake_s(), 0.0
    while done < steps:
        while fed < min(steps, done + _WINDOW):
            sender.send(_numbered(token, fed), _LONGEST_S)
            fed += 1
        for _, message in fleet.hear(wait_s):
            if not isinstance(message, Report):
                continue
            moved_s = awake_s()
            if message.block == blocks[0]:
                starts.append(message.start_ns)
            if message.block == blocks[-1]:
                done += 1
                ends.append(message.end_ns)
            if message.step >= WARM_UP:
                times[message.block].seconds.append((message.end_ns - message.start_ns) / 1e9)
        if awake_s() - moved_s > _LONGEST_S:
            raise LinkTimeout(f"the board answers, but took no step for {_LONGEST_S:.0f} s; look at its log")
        wait_s = fleet.watch()
    # Where the host was slow to feed, the board waited as well: what is in nearly every gap is the board's own.
    gaps = np.subtract(starts[WARM_UP + 1 :], ends[WARM_UP:-1]) / 1e9
    return BoardTimes(tuple(times.values()), max(0.0, float(np.quantile(gaps, 0.25))))


def _numbered(token: Token, step: int) -> Token:
    return Token(token.run, token.block, TRAIN, step, step, token.count, token.scalars, tensors=token.tensors)


def _token(bundle: Bundle, run: str) -> Token:
    """A batch of which nothing is learned."""
    manifest = bundle.manifest
    x, y = timing_batch(bundle)
    names = {name for block in manifest.blocks for name in block.scalars}
    scalars = step_scalars(sorted(names), 0.0, manifest.batch_size)
    return Token(run, manifest.blocks[0].name, TRAIN, 0, 0, manifest.batch_size, scalars, tensors={"x": x, "y": y})
