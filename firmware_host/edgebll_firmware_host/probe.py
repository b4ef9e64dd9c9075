"""Asking boards who they are, without running anything."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from edgebll.errors import EdgebllError
from edgebll.keys import KeyPair
from edgebll.wire import Welcome
from edgebll_firmware_host.descriptors import check_connections
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.session import open_fleet

_AT_ONCE = 32


def probe_all(cluster: Cluster) -> list[Welcome | EdgebllError]:
    """For every board of a cluster, in order: what it says of itself, or why there is no answer. Many are asked at once.

    Raises:
        ConfigError: this process may not open as many files as the connections need.
    """
    at_once = min(_AT_ONCE, len(cluster.boards))
    check_connections(at_once)

    def ask(entry: BoardEntry) -> Welcome | EdgebllError:
        try:
            return probe(entry, cluster.keys, cluster.host.deadline_s)
        except EdgebllError as error:
            return error

    with ThreadPoolExecutor(at_once, "edgebll-probe") as threads:
        return list(threads.map(ask, cluster.boards))


def probe(entry: BoardEntry, keys: KeyPair | None, deadline_s: float) -> Welcome:
    """Ask one board who it is and let it go.

    Raises:
        LinkError: it does not answer, or works for another host. ConfigError: it has not the runtime it is listed with.
    """
    with open_fleet([entry], uuid.uuid4().hex, keys, deadline_s) as fleet:
        return fleet.greet()[entry.name]
