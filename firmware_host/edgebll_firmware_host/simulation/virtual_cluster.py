"""Boards, links and a host as a run in virtual time knows them: how long things take, and what they draw meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support import bounds

#: Bytes of a TCP segment's payload on Ethernet and Wi-Fi.
SEGMENT_BYTES = 1448
#: Least time after which TCP sends the last segment of a message again (RFC 6298 says 1 s, Linux takes 0.2 s).
TAIL_S = 0.2


@dataclass(frozen=True)
class VirtualLink:
    """One direction between two machines: messages one after another, in order.

    Attributes:
        latency_s: seconds from the last byte sent to the message being there.
        bytes_per_s: of the slower of the two ends; None for one that takes no time.
        jitter_s: standard deviation of the latency, of which a half normal distribution is added; seconds, default 0.
        loss: chance of a segment being lost, 0 to less than 0.5, default 0.

    Raises:
        WrongValue: a number is out of its bounds.
    """

    latency_s: float = 0.0
    bytes_per_s: float | None = None
    jitter_s: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("a link's latency", self.latency_s), ("a link's jitter", self.jitter_s)):
            bounds.Bounds("seconds", 0.0, 3600.0).check(name, value)
        bounds.Bounds("", 0.0, 0.5).check("a link's loss", self.loss)
        if self.bytes_per_s is not None:
            bounds.Bounds("bytes a second", 0.0, above=True, far=1e15).check("a link's bandwidth", self.bytes_per_s)

    @property
    def rate(self) -> float:
        """Bytes a second that TCP gets: where segments are lost at most 1.22 segments / (round trip * sqrt(loss)).

        M. Mathis, J. Semke, J. Mahdavi, T. Ott: The macroscopic behavior of the TCP congestion avoidance algorithm, 1997.
        """
        bare = float("inf") if self.bytes_per_s is None else self.bytes_per_s
        round_trip_s = 2 * self.latency_s
        if not self.loss or not round_trip_s:
            return bare
        return min(bare, 1.22 * SEGMENT_BYTES / (round_trip_s * math.sqrt(self.loss)))

    def wire_s(self, count: int) -> float:
        """Seconds for which a message of so many bytes keeps the link busy."""
        return count / self.rate


@dataclass(frozen=True)
class VirtualBoard:
    """A board that is only described.

    Attributes:
        name: of the board.
        train_s: block -> seconds of its training step there.
        eval_s: block -> seconds of its forward pass there.
        spread: standard deviation of the logarithm of these times from one step to the next, default 0.
        message_s: seconds of its processor for each message that comes from a link or goes out on one, default 0.
        byte_s: seconds of its processor for each byte of them, default 0.
        report_s: seconds for which a block's message to the host holds up the next step, default 0: another thread sends it.
        copy_s: seconds for each byte of state that a snapshot copies, default 0.
        load_s: seconds to load one block that was not there before, default 0.
        idle_w: what it draws when it has nothing to do, watts, default 0.
        busy_w: what it draws while it computes, watts, default 0.
    """

    name: str
    train_s: Mapping[str, float]
    eval_s: Mapping[str, float]
    spread: float = 0.0
    message_s: float = 0.0
    byte_s: float = 0.0
    report_s: float = 0.0
    copy_s: float = 0.0
    load_s: float = 0.0
    idle_w: float = 0.0
    busy_w: float = 0.0

    def __post_init__(self) -> None:
        times = {**self.train_s, **{f"{name} (evaluated)": value for name, value in self.eval_s.items()}}
        for name, value in times.items():
            bounds.Bounds("seconds", 0.0, 1e6).check(f"{self.name}: the time of {name}", value)
        bounds.Bounds("", 0.0, 3.0).check(f"{self.name}: the spread of step times", self.spread)


@dataclass(frozen=True)
class VirtualHost:
    """The host of a run in virtual time.

    Attributes:
        token_s: seconds of its processor to make and send a token, default 0.
        report_s: seconds of its processor for what one block says of a token, default 0.
        disk_bytes_per_s: at which snapshots are written; None for at once.
        greet_s: seconds to open a session with all boards that answer, default 0.
    """

    token_s: float = 0.0
    report_s: float = 0.0
    disk_bytes_per_s: float | None = None
    greet_s: float = 0.0


@dataclass(frozen=True)
class VirtualCluster:
    """Boards, the host, and the links between them.

    Attributes:
        boards: by name.
        host: of the run.
        link: between any two machines, where `link_of` is None.
        link_of: gives the link from one machine to another, by the boards' names; the host is "host".
    """

    boards: Mapping[str, VirtualBoard]
    host: VirtualHost = field(default_factory=VirtualHost)
    link: VirtualLink = field(default_factory=VirtualLink)
    link_of: Callable[[str, str], VirtualLink] | None = None

    def between(self, source: str, target: str) -> VirtualLink:
        """The link from one machine to another."""
        return self.link if self.link_of is None else self.link_of(source, target)

    def board(self, name: str) -> VirtualBoard:
        """The board of this name.

        Raises:
            ConfigError: there is none.
        """
        if name not in self.boards:
            shown = ", ".join(list(self.boards)[:8])
            raise ConfigError(f"there is no board {name!r}; the cluster has {shown}{' ...' if len(self.boards) > 8 else ''}")
        return self.boards[name]
