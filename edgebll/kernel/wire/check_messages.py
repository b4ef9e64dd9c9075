"""What host and boards say to each other before a run, to find out whether it can work: see
edgebll_firmware_host.fleet.preflight.

A board that is older than these messages answers them with a Failure of no run, see `unknown_kind`; its session goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgebll.kernel.wire.message_base import Message, OfRun
from edgebll.kernel.wire.session_messages import Failure

#: What a host may ask of a board at once: boards to reach, addresses to try for each, bytes to send, seconds to take.
MAX_NEIGHBOURS, MAX_ADDRESSES, MAX_PROBE_BYTES, MAX_PROBE_S = 256, 4, 1 << 20, 10.0
_UNKNOWN = "is unknown; is the peer a newer edgebll?"


@dataclass(frozen=True)
class Survey(OfRun):
    """Host to board: say how you are; those with these public keys may send you LinkProbes."""

    upstream_keys: tuple[str, ...]


@dataclass(frozen=True)
class Surveyed(OfRun):
    """How a board is.

    Attributes:
        unix_s: its wall clock.
        disk_bytes: left where it keeps files.
        load: processes that wanted to run in the last minute.
        versions: package -> version.
    """

    unix_s: float
    disk_bytes: int
    load: float
    versions: dict[str, str]


@dataclass(frozen=True)
class Neighbour:
    """A board to reach: its name, where it may be reached (to be tried in this order), its public key if encrypted."""

    board: str
    endpoints: tuple[str, ...]
    public_key: str | None = None


@dataclass(frozen=True)
class Reach(OfRun):
    """Host to board: send each of these a LinkProbe of so many bytes, and say what came of it; at most `limit_s` each."""

    neighbours: tuple[Neighbour, ...]
    payload_bytes: int
    limit_s: float

    def __post_init__(self) -> None:
        many = any(len(neighbour.endpoints) > MAX_ADDRESSES for neighbour in self.neighbours)
        if many or len(self.neighbours) > MAX_NEIGHBOURS:
            raise ValueError(f"a board is asked to reach {MAX_NEIGHBOURS} boards at most, at {MAX_ADDRESSES} addresses each")
        if not (0 < self.payload_bytes <= MAX_PROBE_BYTES and 0 < self.limit_s <= MAX_PROBE_S):
            raise ValueError(f"a link is tried with {MAX_PROBE_BYTES} bytes for {MAX_PROBE_S:g} s at most")


@dataclass(frozen=True)
class Reached(OfRun):
    """What came of an attempt to reach a board.

    Attributes:
        board: which.
        endpoint: the address that was reached, or could not be.
        address: which number it stands for there.
        round_trip_s: quickest round trip over the link, 0 where not known.
        bytes_per_second: rate the link carried the probe at, 0 where not known.
        problem: why it was not reached; empty if it was.
    """

    board: str
    endpoint: str
    address: str = ""
    round_trip_s: float = 0.0
    bytes_per_second: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class LinkProbe(Message):
    """On a data connection: nothing but bytes, to be dropped."""


def unknown_kind(failure: Failure) -> bool:
    """Whether a peer that is older says with this that it knows no such message; nothing else has failed."""
    return not failure.run and failure.message.endswith(_UNKNOWN)
