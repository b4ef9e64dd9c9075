"""Links between machines of a cluster, as an inventory tells of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import HOST
from edgebll.kernel.support.link_quantities import bytes_per_second, seconds


@dataclass(frozen=True)
class LinkEntry:
    """A link between two machines, both ways alike.

    Attributes:
        between: names of two boards, or of a board and "host"; "*" for one of them is any other machine.
        bandwidth: e.g. "5Mbit" or "100MB", by the second; empty where it is no limit.
        latency: of a message, one way, e.g. "20ms"; empty for none.

    Raises:
        ConfigError: it has not two ends, or a bandwidth or latency that is none.

    Examples:
        >>> from edgebll_firmware_host.link_entry import LinkEntry
        >>> LinkEntry(("one", "two"), bandwidth="5Mbit", latency="20ms").latency_s
        0.02
    """

    between: tuple[str, ...]
    bandwidth: str = ""
    latency: str = ""

    def __post_init__(self) -> None:
        if len(self.between) != 2 or self.between[0] == self.between[1]:
            raise ConfigError(f'a [[link]] is between two machines, as in between = ["a", "b"], not {list(self.between)}')
        if self.between[0] == ANY:
            raise ConfigError(f'the first end of a [[link]] must be a machine, not "{ANY}"')
        try:
            _ = self.bytes_per_s, self.latency_s
        except ConfigError as error:
            raise ConfigError(f"the link between {' and '.join(self.between)}: {error}") from error

    @property
    def bytes_per_s(self) -> float:
        """How much it carries."""
        return bytes_per_second("bandwidth", self.bandwidth) if self.bandwidth else float("inf")

    @property
    def latency_s(self) -> float:
        """How long a message of no size takes."""
        return seconds("latency", self.latency) if self.latency else 0.0


#: The other end of a link that is all links of a machine.
ANY = "*"


def check_links(links: Iterable[LinkEntry], boards: Collection[str]) -> None:
    """Refuse links that cannot be meant.

    Args:
        links: of an inventory.
        boards: names of its boards.

    Raises:
        ConfigError: a link is told of twice, or one of its ends is no board.
    """
    seen: set[frozenset[str]] = set()
    for link in links:
        for end in link.between:
            if end not in boards and end not in (HOST, ANY):
                raise ConfigError(
                    f"a [[link]] is between {' and '.join(link.between)}, but there is no board {end!r}; "
                    f"there are {', '.join(sorted(boards))}"
                )
        if frozenset(link.between) in seen:
            raise ConfigError(f"the link between {' and '.join(link.between)} is told of twice; leave one [[link]] out")
        seen.add(frozenset(link.between))
