"""One session with a host, as the control thread sees it: files in, blocks assigned, worker started, ended, failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.bundle import parse_manifest
from edgebll.kernel.errors import BundleError, EdgebllError, WireError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.spec.manifest import Manifest
from edgebll.kernel.wire import SPIKES, Assign, Capabilities, Failure, FilePiece, Message, Offer, OfRun, Reach, Survey, Want
from edgebll_devices.agent.assignment_check import assigned_port, check_assign, check_snapshot, check_start
from edgebll_devices.agent.link_check import survey
from edgebll_devices.session.block_loader import LoadJob
from edgebll_devices.session.board_resources import BoardResources
from edgebll_devices.session.worker import Worker
from edgebll_devices.storage.incoming_file import Incoming

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """The worker thread has let go of everything; `failure` says what went wrong, if anything."""

    failure: Failure | None


class Session:
    """A run this board takes part in.

    Args:
        run: identifier of the run.
        peer: the host's control connection.
        incarnation: which incarnation of the run this is; default 0.
        board: shared parts.
        earlier_runs: runs whose stray tokens may still come.
        post: takes (session, message) from the worker thread, the last one being Ended.

    Attributes:
        heard: `awake_s` at the host's last sign of life.
        failure: what went wrong, if anything.
    """

    def __init__(
        self,
        run: str,
        peer: bytes,
        board: BoardResources,
        earlier_runs: frozenset[str],
        post: Callable[[Session, Message | Ended], None],
        heard: float,
        incarnation: int = 0,
    ) -> None:
        self.run, self.peer, self.heard, self.incarnation = run, peer, heard, incarnation
        self.failure: Failure | None = None
        self.stopping = False
        self._board, self._earlier_runs, self._post = board, earlier_runs, post
        self._host_can: frozenset[str] = frozenset()
        self._offer: Offer | None = None
        self._manifest: Manifest | None = None
        self._wanted: dict[str, FileEntry] = {}
        self._incoming: dict[str, Incoming] = {}
        self._worker: Worker | None = None
        self._worker_done = False

    @property
    def working(self) -> bool:
        """Whether a worker thread holds blocks or the data socket."""
        return self._worker is not None and not self._worker_done

    @property
    def idle(self) -> bool:
        """Whether the worker has nothing to compute until more tokens come."""
        return self._worker is not None and (self._worker_done or self._worker.idle)

    @property
    def over(self) -> bool:
        """Whether nothing more will come of this session, so that another host may take the board."""
        return not self.working and (self._worker_done or self.failure is not None)

    def answer(self, message: Message) -> Message | None:
        """As `handle`; where that raises, the session has failed, and its Failure is the answer."""
        try:
            return self.handle(message)
        except EdgebllError as error:
            return self.fail(error)

    def handle(self, message: Message) -> Message | None:
        """Take a message of this session's host and return the answer to send, if any.

        Raises:
            EdgebllError: the message does not fit; the session has failed then.
        """
        if self.failure is not None or self.stopping:
            return None  # what was under way when the failure was sent
        if isinstance(message, OfRun) and (message.run, message.incarnation) != (self.run, self.incarnation):
            raise WireError(
                f"a {type(message).__name__} of the run {message.run!r} came in the session of {self.run!r}, or one of "
                f"incarnation {message.incarnation} in {self.incarnation}"
            )
        if isinstance(message, Offer):
            return self._take_offer(message)
        if isinstance(message, (Survey, Reach)):
            return self._check(message)
        if isinstance(message, Capabilities):
            self._host_can = frozenset(message.names)
            return Capabilities(self.run, (SPIKES,), incarnation=self.incarnation)
        if isinstance(message, FilePiece):
            self._take_piece(message)
        elif isinstance(message, Assign):
            self._start(message)
        else:
            raise WireError(f"a board does not expect a {type(message).__name__} from its host")
        return None

    def _check(self, message: Survey | Reach) -> Message | None:
        """Say how the board is, or try its links; before it has blocks."""
        if self._worker is not None:
            raise WireError(f"a {type(message).__name__} must come before the Assign")
        if isinstance(message, Survey):
            self._board.receiver.allow(message.upstream_keys)
            return survey(self.run, self.incarnation, self._board.state_dir)
        self._board.links.start(message, self._from_worker)
        return None

    def _take_offer(self, offer: Offer) -> Want:
        if self._offer is not None:
            raise WireError("a second Offer came in one session; stop and say Hello again")
        manifest = parse_manifest(offer.manifest, "the offered manifest.json")
        unknown = sorted(set(offer.files) - set(manifest.files))
        if unknown:
            raise BundleError(f"the offered file {unknown[0]!r} is not in the manifest; export the bundle again")
        check_snapshot(offer, manifest)
        files = (manifest.files[name] for name in offer.files)
        self._board.cache.adopt(self.run, offer.snapshot)
        self._wanted = self._board.cache.missing((*files, *offer.snapshot.values()))
        self._offer, self._manifest = offer, manifest
        return Want(self.run, tuple(self._wanted), incarnation=self.incarnation)

    def _take_piece(self, piece: FilePiece) -> None:
        entry = self._wanted.get(piece.sha256)
        if entry is None:
            raise WireError(f"a piece of the file {piece.sha256[:12]!r} came, which this board did not ask for")
        if piece.sha256 not in self._incoming:
            self._incoming[piece.sha256] = self._board.cache.receive(entry, self._place(piece.sha256))
        if self._incoming[piece.sha256].add(piece.offset, piece.total_bytes, piece.data):
            del self._incoming[piece.sha256], self._wanted[piece.sha256]

    def _place(self, sha256: str) -> Path | None:
        """Where a file of the snapshot belongs; None for one of the bundle."""
        offered = self._offer.snapshot if self._offer is not None else {}
        name = next((name for name, entry in offered.items() if entry.sha256 == sha256), None)
        return None if name is None else self._board.cache.states.path(self.run, name, sha256)

    def _start(self, assign: Assign) -> None:
        if self._offer is None or self._manifest is None or self._worker is not None:
            raise WireError("an Assign must come once, after the Offer")
        if self._wanted:
            raise WireError(f"an Assign came while {len(self._wanted)} files are missing; send them first")
        files = {name: self._manifest.files[name] for name in self._offer.files}
        check_assign(assign, self._manifest, files, self._board.keys)
        check_start(assign, self._offer)
        serial_port = assigned_port(assign, self._board.serial_ports)
        job = LoadJob(
            board=self._board.name,
            keys=self._board.keys,
            assign=assign,
            serial_port=serial_port,
            manifest_bytes=self._offer.manifest,
            manifest=self._manifest,
            files=files,
            snapshot=self._offer.snapshot,
            earlier_runs=self._earlier_runs,
            link_timeout_s=self._board.deadline_s,
            counts_links=SPIKES in self._host_can,
            cache=self._board.cache,
            snapshot_cache=self._board.snapshot_cache,
            runtime_pool=self._board.runtime_pool,
        )
        self._board.receiver.allow(assign.upstream_keys)
        self._worker = Worker(job, self._board.receiver, self._from_worker, self._worker_end)
        self._worker.start()

    def _from_worker(self, message: Message) -> None:
        self._post(self, message)

    def _worker_end(self, failure: Failure | None) -> None:
        self._post(self, Ended(failure))

    def fail(self, error: EdgebllError) -> Failure:
        """Note what went wrong, stop the worker, and return the message for the host."""
        message = f"board {self._board.name}: {error}"
        return self.note(Failure(self.run, error.exit_code, message, incarnation=self.incarnation))

    def note(self, failure: Failure) -> Failure:
        """Note a failure (the first one counts) and stop the worker."""
        _log.error("run %s: %s", self.run, failure.message)
        self.failure = self.failure or failure
        self.halt()
        return failure

    def halt(self) -> None:
        """Let the worker end after the computation in progress."""
        if self._worker is not None and not self._worker_done:
            self._worker.halt()

    def worker_done(self) -> None:
        """Tell the session that its worker has let go of everything."""
        if self._worker is not None:
            self._worker.finish()
        self._worker_done = True

    def close(self) -> None:
        """Forget what was under way. The worker must have ended."""
        self._board.links.stop()
        self._board.receiver.allow(())
        while self._worker is None and self._board.receiver.receive(0) is not None:
            pass  # probes of links
        for incoming in self._incoming.values():
            incoming.abort()
        self._incoming.clear()
