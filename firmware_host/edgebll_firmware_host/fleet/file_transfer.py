"""Bundle files on their way to boards, in pieces, only so far ahead of what each board has confirmed.

So a slow link holds little, a board that stops taking pieces is noticed, and slow boards do not hold up quick ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgebll.kernel.bundle import CONSTANTS, Bundle
from edgebll.kernel.errors import BundleError, LinkError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.wire import FilePiece, Offer, Want, state_file, streams_file
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.run_files.snapshot_store import Snapshot

#: Files travel in pieces of this size, so that a board hears of its host now and then over a slow link, too.
PIECE_BYTES = 128 << 10
#: Pieces sent and not confirmed.
AHEAD = 32
#: A board may take so long to look through its cache, as long as it answers heartbeats.
_LOOK_S = 120.0


def ship(fleet: Fleet, bundle: Bundle, hosted: Mapping[str, tuple[str, ...]], snapshot: Snapshot | None = None) -> int:
    """Send every board the files of its blocks that it does not have.

    Args:
        fleet: greeted boards.
        bundle: whose files they are.
        hosted: board -> its blocks.
        snapshot: what to start from, unless from the bundle's states.

    Returns:
        Bytes of the files sent.

    Raises:
        BundleError: a file cannot be read. LinkError: a board wants something else. And what `Fleet.hear` raises.
    """
    offers: dict[str, dict[str, Path]] = {}
    for board, link in fleet.links.items():
        names, entries = _needed(bundle, hosted[board]), _restored(bundle, snapshot, hosted[board])
        link.send(Offer(link.run, bundle.manifest_bytes, names, entries, incarnation=link.incarnation))
        offers[board] = {bundle.manifest.files[name].sha256: bundle.path / name for name in names}
        if snapshot is not None:
            offers[board] |= {entry.sha256: snapshot.path / name for name, entry in entries.items()}
    wants = fleet.gather(Want, _LOOK_S, "said which files it needs")
    shipments = [Shipment(link, offers[board], wants[board]) for board, link in fleet.links.items()]
    under_way = shipments
    while under_way := [shipment for shipment in under_way if not shipment.advance()]:
        fleet.hear(fleet.watch())
    return sum(shipment.sent_bytes for shipment in shipments)


def _needed(bundle: Bundle, blocks: tuple[str, ...]) -> tuple[str, ...]:
    beside = ("/golden.safetensors", f"/{CONSTANTS}")  # boards have what is frozen in the graphs
    return tuple(name for name in bundle.manifest.files if name.split("/")[0] in blocks and not name.endswith(beside))


def _restored(bundle: Bundle, snapshot: Snapshot | None, blocks: tuple[str, ...]) -> dict[str, FileEntry]:
    """The files of a snapshot that a board with these blocks needs: what waits it needs as a source and as a target."""
    if snapshot is None:
        return {}
    sources = {edge.source for block in blocks for edge in bundle.manifest.side_streams(block)}
    names = {*map(state_file, blocks), *map(streams_file, sources.union(blocks))}
    return {name: entry for name, entry in snapshot.contents.files.items() if name in names}


class Shipment:
    """The files one board wants.

    Args:
        link: the board.
        offered: SHA-256 -> file.
        want: the board's answer.

    Attributes:
        sent_bytes: of the files, so far.

    Raises:
        LinkError: the board wants a file that was not offered.
    """

    def __init__(self, link: BoardLink, offered: Mapping[str, Path], want: Want) -> None:
        for digest in want.sha256:
            if digest not in offered:
                raise LinkError(f"{link.where} asks for a file that was not offered; install the same release there")
        self._link = link
        self._pieces = _pieces([(offered[digest], digest) for digest in want.sha256])
        self._unconfirmed: deque[int] = deque()
        self._all_sent = False
        self.sent_bytes = 0

    def advance(self) -> bool:
        """Send as many pieces as may be under way; whether all were sent and confirmed."""
        while self._unconfirmed and self._unconfirmed[0] <= self._link.acknowledged_ns:
            self._unconfirmed.popleft()
        while not self._all_sent and len(self._unconfirmed) < AHEAD:
            piece = next(self._pieces, None)
            if piece is None:
                self._all_sent = True
                break
            self._link.send(piece)
            self._unconfirmed.append(self._link.ping())  # answered once the piece has been handled
            self.sent_bytes += len(piece.data)
        return self._all_sent and not self._unconfirmed


def _pieces(files: list[tuple[Path, str]]) -> Iterator[FilePiece]:
    for path, digest in files:
        try:
            total = path.stat().st_size
            with path.open("rb") as stream:
                for offset in range(0, max(1, total), PIECE_BYTES):
                    yield FilePiece(digest, offset, total, stream.read(PIECE_BYTES))
        except OSError as error:
            raise BundleError(f"{path} cannot be read ({error.strerror}); export the bundle again") from error
