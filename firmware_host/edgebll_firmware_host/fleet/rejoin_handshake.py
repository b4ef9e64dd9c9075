"""How a recovery begins: a session with the boards that answer, and nobody waits long for the others."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgebll.kernel.errors import BoardError, ConfigError, EdgebllError, LinkError, LinkTimeout
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.wire import Progress
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.policy.next_actions import SendPing, watch

_LOOK_S = 0.1


def greet_those_there(fleet: Fleet, grace_s: float) -> dict[str, EdgebllError]:
    """Open a session with the boards that answer, and let go of the others.

    Args:
        fleet: whose boards are asked.
        grace_s: how long to wait for the others once a board has answered; for the first one the fleet's deadline.

    Returns:
        The boards that cannot take part, and why.

    Raises:
        LinkTimeout: no board answers.
    """
    started = awake_s()
    refused = greet_some(fleet, grace_s)
    if not fleet.links:
        time.sleep(max(0.0, grace_s - (awake_s() - started)))  # refusals come at once; do not ask again at once
        raise LinkTimeout("; ".join(map(str, refused.values())))
    return refused


def greet_some(fleet: Fleet, grace_s: float) -> dict[str, EdgebllError]:
    """As `greet_those_there`, also where no board answers."""
    started = awake_s()
    for link in fleet.links.values():
        link.say_hello()
    refused = dict(fleet.absent)
    busy: set[str] = set()  # they live, but end the step in progress first
    while left := [name for name, board in fleet.boards.items() if not board.greeted and name not in refused]:
        patient = not any(board.greeted for board in fleet.boards.values()) or any(name in busy for name in left)
        if awake_s() - started >= (fleet.deadline_s if patient else grace_s):
            break
        _hear_welcomes(fleet, refused, busy, min(grace_s, _LOOK_S))
        _ping_greeted(fleet)
    for name in [name for name, board in fleet.boards.items() if not board.greeted]:
        link = fleet.links[name]
        refused.setdefault(name, LinkTimeout(f"{link.where} does not answer{link.control.diagnosis()}"))
        fleet.drop(name)
    return refused


def greet_at_start(fleet: Fleet, say: Callable[[str], None]) -> set[str]:
    """Open a session with every board, before the first step of a run.

    Returns:
        Boards that did not answer, where some did and no board has blocks pinned to it: others can take their blocks.

    Raises:
        LinkTimeout: one does not answer, and is needed. LinkError: one speaks another protocol or works for another host.
    """
    try:
        fleet.greet()
    except LinkTimeout as error:
        missing = {name for name, board in fleet.boards.items() if not board.greeted}
        pinned = any(link.entry.blocks for link in fleet.links.values())
        if pinned or not missing or missing == fleet.links.keys():
            raise
        say(f"{error} - begins without {', '.join(sorted(missing))}, to be used when there")
        return missing
    return set()


def _hear_welcomes(fleet: Fleet, refused: dict[str, EdgebllError], busy: set[str], timeout_s: float) -> None:
    for link in fleet.ready(timeout_s):
        try:
            while (message := link.receive()) is not None:
                if isinstance(message, Progress):
                    busy.add(link.name)
                fleet.note(link, message)
        except (LinkError, BoardError, ConfigError) as error:
            refused[link.name] = error
            fleet.boards[link.name].greeted = False


def _ping_greeted(fleet: Fleet) -> None:
    """Those that wait for the others are alive all the while, and are to know that the host is."""
    greeted = {name: board for name, board in fleet.boards.items() if board.greeted}
    for action in watch(greeted, fleet.deadline_s, awake_s()).actions:
        if isinstance(action, SendPing):
            fleet.perform(action)
