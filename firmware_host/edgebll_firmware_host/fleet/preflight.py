"""Before anything is loaded: how every board is, and whether each reaches the boards it will send to.

The boards try their own links, with the addresses, keys and transport that tokens will use. What came of it is judged in
findings.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from edgebll.kernel.keys import KeyPair
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.transport.link_trial import PROBE_BYTES, PROBE_S, try_link
from edgebll.kernel.wire import Neighbour, Reach, Reached, Survey, Surveyed
from edgebll.kernel.wire.check_messages import MAX_NEIGHBOURS
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.policy.block_placement import Placement

#: Stands for the host as a sender; no board has such a name.
THIS_HOST = ""
#: (who sends, who receives): names of boards.
Pair = tuple[str, str]
#: How long boards may take to say how they are, and to try a link beyond what the trial itself takes.
_SURVEY_S, _EXTRA_S = 5.0, 2.0
#: Links a board tries at once; the host too.
_AT_ONCE = 8


@dataclass
class Checked:
    """What is known of boards and links.

    Attributes:
        boards: how each is.
        skew_s: its wall clock minus the host's.
        reached: what came of each pair.
        older: boards that cannot be asked.
        chosen: of each pair that was reached, which of its addresses it was.
        silent: boards that were asked and said nothing.
    """

    boards: dict[str, Surveyed] = field(default_factory=dict)
    skew_s: dict[str, float] = field(default_factory=dict)
    reached: dict[Pair, Reached] = field(default_factory=dict)
    older: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    chosen: dict[Pair, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Trial:
    """How each link is tried: the host's keys, if encrypted, the size of the message, and how long it may take."""

    keys: KeyPair | None
    payload_bytes: int
    limit_s: float


def needed(placement: Placement, edges: Sequence[EdgeSpec]) -> list[Pair]:
    """Who will send to whom."""
    pairs = []
    for edge in edges:
        source, target = THIS_HOST if edge.source == HOST else placement.board_of(edge.source), placement.board_of(edge.target)
        if source != target:
            pairs.append((source, target))
    return list(dict.fromkeys(pairs))


def all_pairs(boards: Sequence[str]) -> list[Pair]:
    """Whoever may ever send to whom: blocks may move to any board."""
    return [(source, target) for source in (THIS_HOST, *boards) for target in boards if source != target]


def check(
    fleet: Fleet,
    pairs: Sequence[Pair],
    keys: KeyPair | None,
    payload_bytes: int = PROBE_BYTES,
    limit_s: float = PROBE_S,
) -> Checked:
    """Ask all boards of a fleet how they are, and let them and this host try these links.

    Args:
        fleet: greeted boards without blocks.
        pairs: who sends to whom.
        keys: the host's, if encrypted.
        payload_bytes: size of the message a link is tried with; default 256 KiB.
        limit_s: seconds for each address; default 3.

    Raises:
        LinkError, BoardError: as `Fleet.hear` does.
    """
    checked, tried = Checked(), _Trial(keys, payload_bytes, limit_s)
    _survey(fleet, pairs, keys, checked)
    known = [pair for pair in pairs if not {*pair} & (checked.older | checked.silent)]
    with ThreadPoolExecutor(_AT_ONCE, "edgebll-preflight") as threads:
        own = {target: threads.submit(_try_own, fleet, target, tried) for source, target in known if source == THIS_HOST}
        _reach(fleet, known, tried, checked, own)
    return checked


def _survey(fleet: Fleet, pairs: Sequence[Pair], keys: KeyPair | None, checked: Checked) -> None:
    for name, link in fleet.links.items():
        sources = [source for source, target in pairs if target == name]
        named = (
            (keys.public if source == THIS_HOST else fleet.links[source].entry.public_key for source in sources) if keys else ()
        )
        upstream = tuple(dict.fromkeys(key for key in named if key is not None))
        link.send(Survey(link.run, upstream, incarnation=link.incarnation))
    asked_s, asked_unix_s = awake_s(), time.time()
    for name, message in _hear(fleet, asked_s + _SURVEY_S):
        if isinstance(message, Surveyed):
            checked.boards[name] = message
            checked.skew_s[name] = message.unix_s - (asked_unix_s + (awake_s() - asked_s) / 2)
        if not fleet.links.keys() - checked.boards.keys() - fleet.older:
            break
    checked.older = fleet.older & fleet.links.keys()
    checked.silent = fleet.links.keys() - checked.boards.keys() - checked.older


def _hear(fleet: Fleet, until_s: float) -> Iterator[tuple[str, object]]:
    """What boards say, and ("", None) after each round, until a time."""
    wait_s = 0.0
    while awake_s() < until_s:
        for link, message in fleet.hear(min(wait_s, 0.02)):
            yield link.name, message
        yield "", None
        wait_s = fleet.watch()


def _reach(fleet: Fleet, pairs: Sequence[Pair], tried: _Trial, checked: Checked, own: Mapping[str, Future[Reached]]) -> None:
    waiting = {pair for pair in pairs if pair[0] != THIS_HOST}
    for source in dict.fromkeys(source for source, _ in pairs if source != THIS_HOST):
        link = fleet.links[source]
        targets = [target for where, target in pairs if where == source][:MAX_NEIGHBOURS]
        around = tuple(_neighbour(fleet, source, target, tried.keys) for target in targets)
        link.send(Reach(link.run, around, tried.payload_bytes, tried.limit_s, incarnation=link.incarnation))
    most = max((sum(source == one for source, _ in pairs) for one, _ in pairs), default=0)
    rounds = 2 * -(-most // _AT_ONCE)  # two addresses at most
    for name, message in _hear(fleet, awake_s() + rounds * (tried.limit_s + _EXTRA_S)):
        if isinstance(message, Reached) and (name, message.board) in waiting:
            waiting.discard((name, message.board))
            checked.reached[name, message.board] = message
            candidates = fleet.candidates(name, message.board)
            if not message.problem and message.endpoint in candidates:
                checked.chosen[name, message.board] = candidates.index(message.endpoint)
        if not waiting and all(future.done() for future in own.values()):
            break
    for source, target in waiting:
        checked.reached[source, target] = Reached("", target, fleet.candidates(source, target)[0], problem="it did not say")
    checked.reached |= {(THIS_HOST, target): future.result() for target, future in own.items()}


def _neighbour(fleet: Fleet, source: str, target: str, keys: KeyPair | None) -> Neighbour:
    key = fleet.links[target].entry.public_key if keys is not None else None
    return Neighbour(target, fleet.candidates(source, target), key)


def _try_own(fleet: Fleet, target: str, tried: _Trial) -> Reached:
    link, keys = fleet.links[target], tried.keys
    server_key = link.entry.public_key if keys is not None else None
    trial = try_link((link.data_endpoint,), keys, server_key, tried.payload_bytes, tried.limit_s)
    return Reached("", target, trial.endpoint, trial.address, trial.round_trip_s, trial.bytes_per_second, trial.problem)
