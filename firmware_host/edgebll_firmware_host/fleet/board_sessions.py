"""A session with all boards of a run: connect; send files, assign blocks, wait until they are loaded; end it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ConfigError, EdgebllError, LinkError
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec
from edgebll.kernel.wire import SPIKES, Assign, Capabilities, Ready, Stop, Stopped
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.fleet.file_transfer import ship
from edgebll_firmware_host.fleet.fleet import Fleet, nobody
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.run_files.snapshot_store import Snapshot

#: Boards may take so long to load their blocks, as long as they answer heartbeats; longer if they tell of progress.
LOAD_S = 600.0
#: How long a session may take to end, after success and after an error.
_STOP_S, _ABORT_S = 5.0, 1.0


@contextlib.contextmanager
def open_fleet(
    entries: Sequence[BoardEntry],
    run: str,
    keys: KeyPair | None,
    deadline_s: float,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = nobody,
    incarnation: int = 0,
    *,
    begun: bool = False,
) -> Iterator[Fleet]:
    """Connect to boards; at the end, whatever the reason, all sessions are ended and connections closed.

    Boards that the fleet has dropped or left by then are not waited for.

    Args:
        entries: the boards.
        run: identifier of the run.
        incarnation: which incarnation of it; default 0.
        keys: the host's, if encrypted.
        deadline_s: silence after which a board counts as lost.
        check: raises BoardError if a board's process is known to have ended.
        tell: takes a sentence for the user.
        begun: whether the run goes on without boards that cannot be connected to because of their entries; they are the fleet's
            `absent` then.

    Raises:
        ConfigError, LinkError: a board cannot be connected to because of its entry.
    """
    with contextlib.ExitStack() as stack:
        links: list[BoardLink] = []
        absent: dict[str, EdgebllError] = {}
        for entry in entries:
            try:
                links.append(BoardLink(entry, run, keys, incarnation))
            except (ConfigError, LinkError) as error:
                if not begun:
                    raise
                absent[entry.name] = LinkError(f"board {entry.name}: {error}")
                continue
            stack.callback(links[-1].close)
        fleet = Fleet(links, deadline_s, check, tell, absent)
        limit_s = _ABORT_S
        try:
            yield fleet
            limit_s = _STOP_S
        finally:
            _stop(fleet, limit_s)


def _stop(fleet: Fleet, limit_s: float) -> None:
    """End all sessions: tell every board, then wait for those that are alive, at most `limit_s`."""
    deadline = time.monotonic() + limit_s
    waiting = {}
    for name, link in fleet.links.items():
        with contextlib.suppress(EdgebllError):
            link.send(Stop(link.run, incarnation=link.incarnation))
            if fleet.boards[name].greeted:
                waiting[name] = link
    while waiting and (left_s := deadline - time.monotonic()) > 0:
        for name in [link.name for link in fleet.ready(left_s) if _has_stopped(link)]:
            waiting.pop(name, None)


def _has_stopped(link: BoardLink) -> bool:
    """Take what a board has said; whether it is out of the session, or talks nonsense."""
    try:
        while (message := link.receive()) is not None:
            if isinstance(message, Stopped):
                return True
    except LinkError:
        return True
    return False


@dataclass
class Neighbours:
    """Whom a board sends to and who may send to it.

    Attributes:
        endpoints: target block -> endpoint.
        endpoint_keys: target block -> public key.
        upstream_keys: public keys.
        spikes: target blocks, where both boards know spikes.
    """

    endpoints: dict[str, str] = field(default_factory=dict)
    endpoint_keys: dict[str, str] = field(default_factory=dict)
    upstream_keys: list[str] = field(default_factory=list)
    spikes: list[str] = field(default_factory=list)


def start_session(
    fleet: Fleet,
    bundle: Bundle,
    placement: Placement,
    keys: KeyPair | None,
    snapshot: Snapshot | None = None,
    chosen: Mapping[tuple[str, str], int] | None = None,
) -> int:
    """Make every board of the fleet ready for tokens; returns the bytes of files sent.

    Args:
        fleet: greeted boards, those of the placement.
        bundle: whose blocks they get.
        placement: which board has which blocks.
        keys: of the host; None on loopback.
        snapshot: what to start from, unless from the bundle's states.
        chosen: (sender, receiver) -> which of the receiver's addresses is used, as a preflight found; otherwise the first.

    Raises:
        LinkError: a board cannot be reached or does not follow the protocol. BoardError: it failed or fell silent.
    """
    for link in fleet.links.values():  # answered before the Want that follows, if at all
        link.send(Capabilities(link.run, (SPIKES,), incarnation=link.incarnation))
    shipped = ship(fleet, bundle, placement.blocks, snapshot)

    def where(source: str, target: str) -> str:
        candidates = fleet.candidates(source, target)
        return candidates[min((chosen or {}).get((source, target), 0), len(candidates) - 1)]

    around = neighbours(placement, bundle.manifest.edges, fleet.links, keys, where)
    for name, link in fleet.links.items():
        link.send(_assign(link, placement.blocks[name], around[name], snapshot.step if snapshot is not None else 0))
    fleet.gather(Ready, LOAD_S, "loaded its blocks")
    return shipped


def _assign(link: BoardLink, blocks: tuple[str, ...], around: Neighbours, step: int) -> Assign:
    return Assign(
        link.run,
        blocks=blocks,
        endpoints=around.endpoints,
        endpoint_keys=around.endpoint_keys,
        upstream_keys=tuple(dict.fromkeys(around.upstream_keys)),
        runtime=link.entry.runtime,
        threads=link.threads,
        step=step,
        port=link.entry.port,
        spikes=tuple(dict.fromkeys(around.spikes)),
        incarnation=link.incarnation,
    )


def neighbours(
    placement: Placement,
    edges: Iterable[EdgeSpec],
    links: Mapping[str, BoardLink],
    keys: KeyPair | None,
    where: Callable[[str, str], str],
) -> dict[str, Neighbours]:
    """For each board: where the blocks elsewhere are that its blocks send to, and who may send to this board.

    Args:
        placement: which board has which blocks.
        edges: all streams.
        links: to the boards, by name.
        keys: of the host; None on loopback.
        where: gives for a sender and a receiver the address to use.
    """
    result = {name: Neighbours() for name in placement.blocks}
    for edge in edges:
        there = placement.board_of(edge.target)
        if edge.source == HOST:
            result[there].upstream_keys += [keys.public] if keys is not None else []
            continue
        here = placement.board_of(edge.source)
        if here == there:
            continue
        result[here].endpoints[edge.target] = where(here, there)
        if SPIKES in links[here].capabilities & links[there].capabilities:
            result[here].spikes.append(edge.target)
        their_key, our_key = links[there].entry.public_key, links[here].entry.public_key
        if keys is not None and their_key is not None and our_key is not None:
            result[here].endpoint_keys[edge.target] = their_key
            result[there].upstream_keys.append(our_key)
    return result
