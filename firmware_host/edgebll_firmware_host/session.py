"""The start of a session with all boards: greet, send files, assign blocks, wait until they are loaded."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgebll.bundle import Bundle
from edgebll.keys import KeyPair
from edgebll.wire import Assign, Ready
from edgebll_firmware_host.board_link import BoardLink
from edgebll_firmware_host.fleet import Fleet
from edgebll_firmware_host.placement import Placement
from edgebll_firmware_host.shipping import ship

#: Boards may take so long to load their blocks, as long as they answer heartbeats; longer if they tell of progress.
LOAD_S = 600.0


@dataclass
class Neighbours:
    """Where a board's outputs go and who may send to it: block -> endpoint, block -> public key, public keys."""

    next_endpoint: dict[str, str] = field(default_factory=dict)
    next_key: dict[str, str] = field(default_factory=dict)
    upstream_keys: list[str] = field(default_factory=list)


def start_session(fleet: Fleet, bundle: Bundle, placement: Placement, keys: KeyPair | None) -> int:
    """Make every board of the fleet ready for tokens; returns the bytes of files sent.

    Raises:
        LinkError: a board cannot be reached or does not follow the protocol. BoardError: it failed or fell silent.
    """
    fleet.greet()
    shipped = ship(fleet, bundle, placement.blocks)
    around = neighbours(placement, [block.name for block in bundle.manifest.blocks], fleet.links, keys)
    for name, link in fleet.links.items():
        link.send(_assign(link, placement.blocks[name], around[name]))
    fleet.gather(Ready, LOAD_S, "loaded its blocks")
    return shipped


def _assign(link: BoardLink, blocks: tuple[str, ...], around: Neighbours) -> Assign:
    upstream = tuple(dict.fromkeys(around.upstream_keys))
    entry = link.entry
    return Assign(link.run, blocks, around.next_endpoint, around.next_key, upstream, entry.runtime, entry.threads)


def neighbours(
    placement: Placement, blocks: Sequence[str], links: Mapping[str, BoardLink], keys: KeyPair | None
) -> dict[str, Neighbours]:
    """For each board: where each block's output goes if the next block is elsewhere, and who may send to this board."""
    result = {name: Neighbours() for name in placement.blocks}
    if keys is not None:
        result[placement.board_of(blocks[0])].upstream_keys.append(keys.public)
    for block, following in itertools.pairwise(blocks):
        here, there = placement.board_of(block), placement.board_of(following)
        if here == there:
            continue
        result[here].next_endpoint[block] = links[there].data_endpoint
        their_key, our_key = links[there].entry.public_key, links[here].entry.public_key
        if keys is not None and their_key is not None and our_key is not None:
            result[here].next_key[block] = their_key
            result[there].upstream_keys.append(our_key)
    return result
