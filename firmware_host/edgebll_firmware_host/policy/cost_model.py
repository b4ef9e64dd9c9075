"""What steps, messages and power cost on the boards of a cluster: facts for placement, `edgebll plan` and virtual time alike.

A model is made by `policy.step_costs.make_cost_model` from a workload, the inventory and, where there is one, a calibration. It
holds numbers only; nothing here measures or guesses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.policy.workload import Workload

#: Where what is known of a board's steps is from: measured there for this bundle, measured there for other shapes, its profile,
#: timed on the host's machine, or nothing but what else there is.
CALIBRATED, RATED, PROFILED, TIMED, ASSUMED = "calibration", "calibrated rates", "profile", "this machine", "assumed"
#: Of these a prediction is an estimate.
ESTIMATES = (PROFILED, TIMED, ASSUMED)


class StepTime(NamedTuple):
    """Expected seconds of a step, and their standard deviation from step to step relative to that."""

    seconds: float
    spread: float = 0.0


@dataclass(frozen=True)
class LinkCost:
    """A link, one way.

    Attributes:
        latency_s: of a message of no size.
        bytes_per_s: how much it carries; infinite where that is no limit.
        jitter_s: standard deviation of the latency.
        loss: share of packets that are lost and sent again.
    """

    latency_s: float = 0.0
    bytes_per_s: float = math.inf
    jitter_s: float = 0.0
    loss: float = 0.0

    @classmethod
    def through(cls, links: Sequence[LinkCost]) -> LinkCost:
        """One after another: delays add up, and the slowest says how much is carried."""
        return cls(
            sum(link.latency_s for link in links),
            min(link.bytes_per_s for link in links),
            math.hypot(*(link.jitter_s for link in links)),
            1 - math.prod(1 - link.loss for link in links),
        )

    def busy_seconds(self, size_bytes: float) -> float:
        """How long a message keeps the link busy: the next one can follow then."""
        return size_bytes / self.bytes_per_s

    def seconds(self, size_bytes: float) -> float:
        """Until all of a message has arrived."""
        return self.latency_s + self.busy_seconds(size_bytes)


@dataclass(frozen=True)
class MessageCost:
    """Processor time of a board for one message, sent or received: seconds for each, and for each byte of it."""

    seconds: float = 0.0
    seconds_per_byte: float = 0.0

    def of(self, size_bytes: float) -> float:
        """Seconds for a message of this size."""
        return self.seconds + self.seconds_per_byte * size_bytes


@dataclass(frozen=True)
class BoardPower:
    """What a board draws, in watts: idle, and how much more while it computes; and whether both were measured on it."""

    idle_w: float
    dynamic_w: float
    measured: bool = False


#: A link of which nothing is known, and one within a board.
QUICK = LinkCost()


@dataclass(frozen=True)
class CostModel:
    """Costs on the boards of one cluster, for one bundle.

    Attributes:
        work: what the bundle asks.
        steps: board -> time of a step of each block, in stream order.
        in_seconds: whether they are seconds; else only their ratios mean something, and links cannot be weighed against them.
        basis: board -> where that is from, e.g. PROFILED.
        links: (sender, receiver) -> the link, where one is known; "host" is the host.
        access: machine -> the link that everything it sends and receives passes through.
        any_link: between machines of which neither tells.
        messages: board -> processor time of messages; none where it is not known.
        memory_bytes: board -> what its inventory entry or profile says it has for blocks; boards may know better, see `Room`.
        power: board -> what it draws, where that is known.
    """

    work: Workload
    steps: Mapping[str, tuple[StepTime, ...]]
    in_seconds: bool
    basis: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[tuple[str, str], LinkCost] = field(default_factory=dict)
    access: Mapping[str, LinkCost] = field(default_factory=dict)
    any_link: LinkCost = QUICK
    messages: Mapping[str, MessageCost] = field(default_factory=dict)
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    power: Mapping[str, BoardPower] = field(default_factory=dict)

    @property
    def boards(self) -> tuple[str, ...]:
        """Names of the boards, in the inventory's order."""
        return tuple(self.steps)

    @property
    def equal(self) -> bool:
        """Whether no board differs from another one, and no link is known: then nothing but the blocks' weights counts."""
        first = next(iter(self.steps.values()), ())
        told = self.links or self.access or self.messages or self.any_link != QUICK
        return not told and all(steps == first for steps in self.steps.values())

    def step(self, board: str, block: str) -> StepTime:
        """Time of a training step of a block on a board."""
        return self.steps[board][self.work.blocks.index(block)]

    def link(self, sender: str, receiver: str) -> LinkCost:
        """The link from one machine to another; within one it is quick."""
        if sender == receiver:
            return QUICK
        found = self.links.get((sender, receiver))
        if found is not None:
            return found
        ends = [self.access[end] for end in (sender, receiver) if end in self.access]
        return LinkCost.through(ends) if ends else self.any_link

    def carry_seconds(self, sender: str, receiver: str, size_bytes: float) -> float:
        """Until a message of this size has arrived; processor time on both sides, `message_seconds`, is not in it."""
        return self.link(sender, receiver).seconds(size_bytes)

    def message_seconds(self, board: str, size_bytes: float) -> float:
        """Processor time that a board takes to send, or to receive, a message of this size."""
        found = self.messages.get(board)
        return found.of(size_bytes) if found is not None else 0.0

    def require_seconds(self) -> None:
        """Refuse a prediction where nothing says how long a step takes.

        Raises:
            ConfigError: there are only ratios.
        """
        if not self.in_seconds:
            raise ConfigError(
                "nothing says how long a training step takes; time it here (--measure), give boards a profile in the "
                "inventory, or calibrate them"
            )
