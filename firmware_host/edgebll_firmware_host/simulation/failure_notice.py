"""When the host notices that a board is gone: by the code that watches real ones."""

from __future__ import annotations

from edgebll_firmware_host.policy.next_actions import BoardState, DeclareLost, SendPing, watch
from edgebll_firmware_host.simulation.block_costs import nanoseconds
from edgebll_firmware_host.simulation.incidents import Outage

#: How often the host looks at its connections, see `edgebll_firmware_host.fleet.fleet`.
_CHECK_S = 0.1


def noticed_ns(outage: Outage, since_ns: int, deadline_s: float) -> int:
    """When an outage is noticed: by silence, or by connections that break, as they do when the board is back without them.

    Args:
        outage: of a board that has blocks.
        since_ns: when the host began to listen; a board that works says something after every step.
        deadline_s: silence after which a board counts as lost.
    """
    back_ns = outage.back_ns + nanoseconds(_CHECK_S)
    gone_s = max(outage.from_ns, since_ns) / 1e9
    if not outage.silent:
        return min(back_ns, nanoseconds(gone_s + _CHECK_S))
    boards, now_s = {outage.board: BoardState(last_heard_s=gone_s, last_ping_s=gone_s)}, gone_s
    while True:
        decided = watch(boards, deadline_s, now_s)
        for action in decided.actions:
            if isinstance(action, DeclareLost):
                return min(back_ns, nanoseconds(now_s))
            if isinstance(action, SendPing):
                boards[outage.board].last_ping_s = now_s
        now_s += max(decided.wait_s, 1e-3)
