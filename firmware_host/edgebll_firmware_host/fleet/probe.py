"""Asking boards who they are, without running anything."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from edgebll.kernel.errors import ConfigError, EdgebllError, LinkError
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.wire import Welcome
from edgebll_firmware_host.fleet.board_link import twice
from edgebll_firmware_host.fleet.board_sessions import open_fleet
from edgebll_firmware_host.fleet.descriptor_check import check_connections
from edgebll_firmware_host.fleet.preflight import Checked, all_pairs, check
from edgebll_firmware_host.fleet.rejoin_handshake import greet_some
from edgebll_firmware_host.inventory import BoardEntry, Cluster

_AT_ONCE = 32


def probe_all(cluster: Cluster) -> list[Welcome | EdgebllError]:
    """For every board of a cluster, in order: what it says of itself, or why there is no answer. Many are asked at once.

    Raises:
        ConfigError: this process may not open as many files as the connections need.
    """
    at_once, run = min(_AT_ONCE, len(cluster.boards)), uuid.uuid4().hex
    check_connections(at_once)

    def ask(entry: BoardEntry) -> Welcome | EdgebllError:
        try:
            return probe(entry, cluster.keys, cluster.host.deadline_s, run)
        except EdgebllError as error:
            return error

    with ThreadPoolExecutor(at_once, "edgebll-probe") as threads:
        return _each_once(cluster, list(threads.map(ask, cluster.boards)))


def probe(entry: BoardEntry, keys: KeyPair | None, deadline_s: float, run: str = "") -> Welcome:
    """Ask one board who it is and let it go.

    Args:
        entry: of the inventory.
        keys: of the host; None on loopback.
        deadline_s: seconds to wait for the answer.
        run: of this look; one of its own where not given.

    Raises:
        LinkError: it does not answer, or works for another host. ConfigError: it has not the runtime it is listed with, or is
            asked by another name in the same look.
    """
    with open_fleet([entry], run or uuid.uuid4().hex, keys, deadline_s) as fleet:
        return fleet.greet()[entry.name]


def check_all(cluster: Cluster) -> tuple[list[Welcome | EdgebllError], Checked]:
    """As `probe_all`, and what came of every link between the boards that answer and from here to each.

    Raises:
        ConfigError: this process may not open as many files as the connections need. LinkError, BoardError: a board vanished
            meanwhile.
    """
    check_connections(2 * len(cluster.boards))
    with open_fleet(cluster.boards, uuid.uuid4().hex, cluster.keys, cluster.host.deadline_s, begun=True) as fleet:
        refused = greet_some(fleet, cluster.host.deadline_s)
        there = {name: link.welcome for name, link in fleet.links.items()}
        answers = _each_once(cluster, [there.get(name, refused.get(name, _NOBODY)) for name in cluster.names])
        names = [name for name, answer in zip(cluster.names, answers, strict=True) if isinstance(answer, Welcome)]
        return answers, check(fleet, all_pairs(names), cluster.keys) if names else Checked()


_NOBODY = LinkError("the board does not answer")


def _each_once(cluster: Cluster, answers: list[Welcome | EdgebllError]) -> list[Welcome | EdgebllError]:
    """The answers, without those of agents that answered to another name already."""
    seen: dict[str, str] = {}
    result: list[Welcome | EdgebllError] = []
    for entry, answer in zip(cluster.boards, answers, strict=True):
        if isinstance(answer, Welcome) and answer.identity:
            first = seen.setdefault(answer.identity, entry.name)
            if first != entry.name:
                result.append(ConfigError(twice(f"board {entry.name} at {entry.endpoint}", first)))
                continue
        result.append(answer)
    return result
