"""The agent: one process that serves one host after another.

Two threads. This one, the control thread, talks to the host and never computes, so it answers a Ping at once however
long a step takes. The worker (worker.py) computes and talks to the other boards. They meet in endpoints.py.
"""

from __future__ import annotations

import logging
import time

from edgebll.kernel.errors import BoardError, LinkError, StorageError
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.wire import Assign, Hello, Message, Ping, Pong, Stop, Stopped
from edgebll_devices.agent.board_info import BoardInfo
from edgebll_devices.agent.endpoints import BoardEndpoints
from edgebll_devices.agent.graceful_shutdown import GracefulShutdown
from edgebll_devices.agent.next_incarnation import NextIncarnation
from edgebll_devices.agent.refusals import failing, refusal
from edgebll_devices.agent.run_history import RunHistory
from edgebll_devices.agent.settings import Settings
from edgebll_devices.service.systemd_notify import ServiceManager
from edgebll_devices.session.board_resources import BoardResources
from edgebll_devices.session.session import Ended, Session
from edgebll_devices.storage.board_files import BoardFiles
from edgebll_devices.storage.file_cache import FileCache

_log = logging.getLogger(__name__)

_TURN_S, _SHUT_DOWN_S = 1.0, 5.0


class Agent:
    """A serving board; a context manager. `serve` returns once `stop` was called or, with `once`, after a session.

    Raises:
        LinkError: a port is in use. ConfigError: off loopback without keys. StorageError: the cache cannot be written.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = BoardFiles(settings.state_dir, settings.name)
        cache = FileCache(settings.state_dir, owner=self._files.key)
        self._board_info = BoardInfo(settings.name, self._files, settings.serial_ports)
        self._endpoints = BoardEndpoints(settings)
        self._board = BoardResources.of(settings, cache, self._endpoints.receiver)
        self._session: Session | None = None
        self._next = NextIncarnation()
        self._runs = RunHistory(self._files.runs)
        self._manager = ServiceManager()
        self._turn_s = min(_TURN_S, settings.deadline_s / 4, self._manager.period_s or _TURN_S)
        self._shutdown = GracefulShutdown(settings.leave_s, self._manager)
        self._idle = f"board {settings.name} waits for a host at {self.endpoint}"
        self._stop_requested = False
        self._exit_code: int | None = None

    @property
    def endpoint(self) -> str:
        """Where hosts connect."""
        return self._endpoints.endpoint

    @property
    def data_endpoint(self) -> str:
        """Where tokens arrive."""
        return self._endpoints.receiver.endpoint

    def working_for(self) -> tuple[str, int] | None:
        """The run and incarnation it has a session of, if any; from any thread."""
        session = self._session
        return (session.run, session.incarnation) if session is not None else None

    def stop(self) -> None:
        """Make `serve` return, once a host that needs the board has moved its blocks; safe from threads and signal handlers."""
        self._stop_requested = True
        self._endpoints.wake()

    def serve(self) -> int:
        """Serve until stopped; return 0, or with `once` the exit code of what ended the session."""
        self._manager.ready(self._idle)
        while self._exit_code is None:
            if self._stop_requested and self._shutdown.over(self._session, time.monotonic(), self._tell):
                break
            self._turn()
        return self._exit_code or 0

    def _turn(self) -> None:
        self._endpoints.wait(self._turn_s)
        self._manager.alive(time.monotonic())
        self._empty_outbox()
        for peer, message in self._endpoints.received():
            self._handle(peer, message)
            self._manager.alive(time.monotonic())  # files may come for a long time
        self._check_deadline()
        self._board.runtime_pool.expire(time.monotonic())

    def _empty_outbox(self) -> None:
        for session, message in self._endpoints.posted():
            if not isinstance(message, Ended):
                self._tell(session, message)
                continue
            session.worker_done()
            if message.failure is not None:
                self._tell(session, session.note(message.failure))
            if session.stopping:
                self._end(session)

    def _tell(self, session: Session, message: Message) -> None:
        """Send to the session's host. What cannot be sent is lost for good, so the session fails with it."""
        try:
            self._endpoints.send(session.peer, message)
        except LinkError as error:
            if session.stopping or self._stop_requested:  # the host has let go, or is gone: either ends the session
                _log.info("run %s: its host has hung up", session.run)
                self._wind_up(session)
            elif session.failure is None:
                session.fail(error)

    def _handle(self, peer: bytes, message: Message) -> None:
        session = self._session
        if isinstance(message, Hello):
            self._greet(peer, message)
        elif session is None or session.peer != peer:
            self._refuse(peer, message)
        else:
            session.heard = awake_s()
            self._handle_in(session, message)

    def _handle_in(self, session: Session, message: Message) -> None:
        if isinstance(message, Ping):
            self._tell(session, Pong(message.sent_ns, time.monotonic_ns(), session.idle))
            if session.failure is not None:  # again, in case the connection was broken when it happened
                self._tell(session, session.failure)
        elif isinstance(message, Stop) and (message.run, message.incarnation) == (session.run, session.incarnation):
            self._wind_up(session)
        else:
            if isinstance(message, Assign):
                self._board_info.hosting.begins(message.run, message.blocks)
            if (answer := session.answer(message)) is not None:
                self._tell(session, answer)

    def _greet(self, peer: bytes, hello: Hello) -> None:
        session = self._session
        if self._stop_requested:
            self._refuse(peer, hello)
            if session is not None and session.run == hello.run and session.incarnation < hello.incarnation:
                self._wind_up(session)  # nobody waits for it any more
            return
        same_run = session is not None and session.run == hello.run
        if hello.incarnation < self._runs.newest(hello.run):
            self._refuse(peer, hello)
        elif session is None or session.over:
            self._open(peer, hello)
        elif same_run and session.incarnation == hello.incarnation and session.peer == peer:
            self._welcome(session)  # it says so twice
        elif same_run and session.incarnation < hello.incarnation:
            self._supersede(session, peer, hello)
        else:
            self._refuse(peer, hello)

    def _welcome(self, session: Session) -> None:
        self._tell(session, self._board_info.welcome(session.run, self._settings.data_announce or self.data_endpoint))

    def _open(self, peer: bytes, hello: Hello) -> None:
        try:
            self._runs.note(hello.run, hello.incarnation)
        except StorageError as error:
            self._endpoints.answer(peer, failing(self._settings.name, hello, error))
            return
        if self._session is not None:
            self._session.close()
        earlier, now_s = self._runs.others(hello.run), awake_s()
        self._session = Session(hello.run, peer, self._board, earlier, self._endpoints.post, now_s, hello.incarnation)
        _log.info("run %s: a host says hello, incarnation %d", hello.run, hello.incarnation)
        self._manager.status(f"run {hello.run}, incarnation {hello.incarnation}")
        self._welcome(self._session)

    def _supersede(self, session: Session, peer: bytes, hello: Hello) -> None:
        """Leave a session for a later incarnation of its run: nothing that is still under way in it counts any more."""
        self._next.put(peer, hello)
        self._wind_up(session)

    def _refuse(self, peer: bytes, message: Message) -> None:
        failure = refusal(self._settings.name, message, self._session, self._runs, ends=self._stop_requested)
        self._endpoints.answer(peer, failure)

    def _wind_up(self, session: Session) -> None:
        """End the session, now or once its worker has let go."""
        session.stopping = True
        session.halt()
        if not session.working:
            self._end(session)

    def _end(self, session: Session) -> None:
        if self._session is not session:
            return  # it has ended already
        session.close()
        self._board_info.hosting.over()
        self._endpoints.answer(session.peer, Stopped(session.run, incarnation=session.incarnation))
        _log.info("run %s: incarnation %d is over", session.run, session.incarnation)
        self._session = None
        self._manager.status(self._idle)
        if (following := self._next.take()) is not None:
            self._greet(*following)
        elif self._settings.once:
            self._exit_code = session.failure.code if session.failure is not None else 0

    def _check_deadline(self) -> None:
        session = self._session
        self._next.comfort(self._endpoints)
        if session is None or session.stopping:
            return
        silent_s = awake_s() - session.heard
        if silent_s > self._settings.deadline_s:
            error = LinkError(f"heard nothing from the host for {silent_s:.1f} s and dropped the run; start it again")
            self._tell(session, session.fail(error))
            self._wind_up(session)

    def close(self) -> None:
        """End the session, if any, telling its host; free sockets and threads."""
        self._manager.stopping("ends")
        session = self._session
        if session is not None:
            self._tell(session, session.fail(BoardError("the agent is shutting down; start it and the run again")))
            self._wind_up(session)
            self._await_worker(session)
        self._board.close()
        self._endpoints.close(wholly=session is None or not session.working)
        self._manager.close()
        self._files.close()

    def _await_worker(self, session: Session) -> None:
        deadline = time.monotonic() + _SHUT_DOWN_S
        while session.working and time.monotonic() < deadline:
            self._endpoints.wait_for_worker(_TURN_S)
            self._empty_outbox()
        if session.working:
            _log.warning("the step in progress did not end within %g s; leaving it", _SHUT_DOWN_S)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
