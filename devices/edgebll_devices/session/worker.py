"""The thread that computes: loads the blocks of a session, then applies tokens until the end or until told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from edgebll.kernel.errors import EdgebllError, LinkError, LinkTimeout, WireError
from edgebll.kernel.execution.board_dataflow import BoardDataflow
from edgebll.kernel.execution.load_context import LoadContext, LoadHalted
from edgebll.kernel.execution.stage import HostedBlock
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.transport import Pollable, Receiver, Sender, Wakeup, poll
from edgebll.kernel.wire import MAX_PROGRESS_CHARS, Failure, LinkProbe, Message, Progress, Ready, Report, State, Token
from edgebll_devices.session.block_loader import BlockLoader, LoadJob

_log = logging.getLogger(__name__)

_IDLE_S = 1.0
_SEND_SLICE_S = 0.25
#: What a Failure says of an exception that is not ours has at most this many characters.
_MAX_CHARS = 500


class Worker(threading.Thread):
    """Runs one job. `done` is called last, always, with a Failure for the host if anything went wrong.

    Args:
        job: what to do.
        receiver: where tokens come in; used by this thread until `done`.
        post: takes messages for the host.
        done: called when the thread has let go of everything, so that whoever hears of a failure finds the board free.

    """

    def __init__(
        self,
        job: LoadJob,
        receiver: Receiver,
        post: Callable[[Message], None],
        done: Callable[[Failure | None], None],
    ) -> None:
        super().__init__(name=f"edgebll-worker-{job.assign.run}", daemon=True)
        self._job, self._receiver = job, receiver
        self._post, self._done = post, done
        self._halt, self._wakeup = threading.Event(), Wakeup()
        self._senders: dict[str, Sender] = {}
        self._news: list[Pollable] = []  # of all links
        self._dataflow: BoardDataflow[HostedBlock] | None = None  # once its blocks are loaded
        self._counted = 0, 0  # what was sent on all links up to the last Report
        self._strays = 0
        self._waits = False

    @property
    def idle(self) -> bool:
        """Whether it waits for tokens and has none on their way to other boards; from any thread."""
        return self._waits and not any(sender.on_the_way for sender in (*self._senders.values(),))

    def halt(self) -> None:
        """Ask the thread to end after the computation in progress."""
        self._halt.set()
        self._wakeup.set()

    def finish(self) -> None:
        """Free the rest; the owner calls it after `done`."""
        self.join()
        self._wakeup.close()

    def run(self) -> None:
        """Load, serve, clean up."""
        failure = None
        try:
            self._serve()
        except LoadHalted as error:
            _log.info("run %s: %s", self._job.assign.run, error)
        except EdgebllError as error:
            failure = self._failure(error.exit_code, str(error))
        except Exception as error:
            _log.exception("the worker failed")
            failure = self._failure(1, f"{type(error).__name__}: {' '.join(str(error).split())[:_MAX_CHARS]}")
        finally:
            self._job.snapshot_cache.forget()
            try:
                self._close_links(orderly=failure is None and not self._halt.is_set())
            finally:
                self._done(failure)  # whatever happens: a board that never hears of it would be busy for good

    def _failure(self, code: int, message: str) -> Failure:
        assign = self._job.assign
        return Failure(assign.run, code, f"board {self._job.board}: {message}", incarnation=assign.incarnation)

    def _serve(self) -> None:
        start = time.monotonic()
        self._connect_all()
        job = self._job
        context = LoadContext(self._say, self._halt.is_set, state_dir=job.cache.root, serial_port=job.serial_port)
        loader = BlockLoader(job, context)
        dataflow, sound = BoardDataflow(loader.load(), self._send, self._report), False
        self._dataflow = dataflow
        self._counted = self._traffic()  # runtimes of an incarnation before have carried something
        try:
            assign = self._job.assign
            self._post(Ready(assign.run, time.monotonic() - start, incarnation=assign.incarnation))
            while not self._halt.is_set() and not dataflow.ended:
                if not dataflow.advance():
                    self._take_token(dataflow)
            sound = True
        except LinkError:
            sound = True  # the blocks have nothing to do with it
            raise
        finally:
            dataflow.close(lambda block: loader.let_go(block, sound=sound))

    def _take_token(self, dataflow: BoardDataflow[HostedBlock]) -> None:
        message = self._receiver.receive(0)
        if message is None:
            dataflow.flush()
            self._check_links()
            waited_for: list[Pollable] = [self._receiver, self._wakeup, *self._news]
            self._waits = True
            poll(waited_for, _IDLE_S)
            self._waits = False
        elif isinstance(message, LinkProbe):
            pass  # of the time before the blocks were loaded
        elif not isinstance(message, Token):
            raise WireError(f"a {type(message).__name__} came on the data connection, which carries tokens only")
        elif (message.run, message.incarnation) == (self._job.assign.run, self._job.assign.incarnation):
            dataflow.admit(message)
        elif message.run == self._job.assign.run or message.run in self._job.earlier_runs:
            self._strays += 1  # of another incarnation, or of a host that is gone
        else:
            raise WireError(f"a token of the run {message.run!r} came into the run {self._job.assign.run!r}")

    def _report(self, message: Message) -> None:
        """Take what the blocks have for the host; a state at a snapshot is kept here as well."""
        self._post(self._with_traffic(message) if isinstance(message, Report) and self._job.counts_links else message)
        if isinstance(message, State) and not message.final:
            self._job.snapshot_cache.keep(message)

    def _with_traffic(self, report: Report) -> Report:
        """A Report with what was sent since the one before: a block's tokens go out right before its Report."""
        before, self._counted = self._counted, self._traffic()
        sent, unpacked = (now - then for now, then in zip(self._counted, before, strict=True))
        return replace(report, sent_bytes=sent, unpacked_bytes=unpacked)

    def _traffic(self) -> tuple[int, int]:
        """Bytes of tensors on all links and lines so far, and what they are unpacked."""
        sent, unpacked = self._dataflow.line_bytes if self._dataflow is not None else (0, 0)
        links = dict.fromkeys(self._senders.values())
        return sent + sum(link.sent_bytes for link in links), unpacked + sum(link.unpacked_bytes for link in links)

    def _say(self, text: str) -> None:
        """Tell whoever looks, here and at the host, what takes so long; called from other threads too."""
        _log.info("%s", text)
        assign = self._job.assign
        self._post(Progress(assign.run, text[:MAX_PROGRESS_CHARS], incarnation=assign.incarnation))

    def _connect_all(self) -> None:
        assign, manifest = self._job.assign, self._job.manifest
        for target in (target for block in assign.blocks for target in manifest.targets(block)):
            if target not in assign.blocks and target not in self._senders:
                self._connect(target)

    def _connect(self, target: str) -> None:
        """Make the link to the board that hosts `target`: one for all blocks there, which keeps their tokens in order."""
        endpoint = self._job.assign.endpoints[target]
        server_key = self._job.assign.endpoint_keys.get(target)
        shared = next((s for s in self._senders.values() if s.endpoint == endpoint), None)
        keys = self._job.keys if server_key is not None else None
        if shared is None:
            timeout_s, spikes = self._job.link_timeout_s, target in self._job.assign.spikes
            shared = Sender(endpoint, keys=keys, server_key=server_key, dead_s=timeout_s, spikes=spikes)
            self._news.append(shared.news)
        self._senders[target] = shared

    def _check_links(self) -> None:
        """Raise LinkError if a link to another board was cut: what was on it may be lost, and nothing sends it again."""
        for target, sender in self._senders.items():
            if sender.broken:
                raise LinkError(f"the connection to {target} at {sender.endpoint} broke; check the network between the boards")

    def _send(self, token: Token) -> None:
        """Send in short waits, so that a halt is noticed while another board cannot be reached."""
        deadline = awake_s() + self._job.link_timeout_s
        while not self._halt.is_set():
            try:
                return self._senders[token.block].send(token, _SEND_SLICE_S)
            except LinkTimeout:
                if awake_s() >= deadline:
                    raise
        return None

    def _close_links(self, *, orderly: bool) -> None:
        for sender in dict.fromkeys(self._senders.values()):  # several blocks may be on one board
            if orderly:
                sender.drain(self._job.link_timeout_s, self._halt.is_set)
            sender.close(self._job.link_timeout_s if orderly else 0.0)
        while self._receiver.receive(0) is not None:
            self._strays += 1
        if self._strays:
            _log.warning("run %s: dropped %d tokens that came too late or of other runs", self._job.assign.run, self._strays)
