"""What each link of a cluster does, one way: its latency, and how much it carries, by messages of two sizes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from edgebll.kernel.spec.edge_check import HOST
from edgebll.kernel.wire import Reached
from edgebll_firmware_host.fleet.board_sessions import open_fleet
from edgebll_firmware_host.fleet.preflight import THIS_HOST, Pair, all_pairs, check
from edgebll_firmware_host.fleet.preflight_findings import problems, refuse
from edgebll_firmware_host.inventory import Cluster
from edgebll_firmware_host.policy.calibration import LinkMeasured

#: What opening a connection takes is in the time of both messages, so that it is not in their difference.
SMALL_BYTES, LARGE_BYTES = 64 << 10, 1 << 20
_LIMIT_S, _TRIALS = 10.0, 3


def time_links(cluster: Cluster) -> list[LinkMeasured]:
    """Try every link between boards, and from this host to each, while nobody else uses them.

    Args:
        cluster: the inventory; its boards must be free.

    Raises:
        LinkError: a board does not answer. PreflightError: it does not reach another one, or has no room on its disk.
    """
    small: dict[Pair, float] = {}
    large: dict[Pair, float] = {}
    latency_s: dict[Pair, float] = {}
    for _ in range(_TRIALS):
        for size, times in ((SMALL_BYTES, small), (LARGE_BYTES, large)):
            for pair, reached in _try_all(cluster, size).items():
                latency_s[pair] = min(latency_s.get(pair, float("inf")), reached.round_trip_s / 2)
                if reached.bytes_per_second > 0:
                    times[pair] = min(times.get(pair, float("inf")), size / reached.bytes_per_second)
    rates = {pair: rate(small[pair], large[pair]) for pair in small.keys() & large.keys()}
    return [
        LinkMeasured(source if source != THIS_HOST else HOST, target, latency_s[source, target], rates[source, target])
        for source, target in all_pairs(cluster.names)
        if (source, target) in rates
    ]


def rate(small_s: float, large_s: float) -> float:
    """Bytes a second from the times of the two messages; where noise hides their difference, from the large one alone.

    Args:
        small_s: seconds of SMALL_BYTES, with what opening takes.
        large_s: seconds of LARGE_BYTES, with the same.
    """
    if large_s > 1.5 * small_s:
        return (LARGE_BYTES - SMALL_BYTES) / (large_s - small_s)
    return LARGE_BYTES / large_s


def _try_all(cluster: Cluster, size: int) -> Mapping[Pair, Reached]:
    with open_fleet(cluster.boards, uuid.uuid4().hex, cluster.keys, cluster.host.deadline_s) as fleet:
        fleet.greet()
        checked = check(fleet, all_pairs(cluster.names), cluster.keys, size, _LIMIT_S)
    refuse(problems(checked, {entry.name: entry for entry in cluster.boards}))
    return checked.reached
