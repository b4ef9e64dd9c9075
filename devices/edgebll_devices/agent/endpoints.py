"""What the control thread listens to: hosts, the worker, and changes of who may connect."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator

from edgebll.kernel.errors import LinkError
from edgebll.kernel.transport import ControlServer, Pollable, Receiver, Wakeup, poll
from edgebll.kernel.wire import Message
from edgebll_devices.agent.allowed_keys import AllowedKeys
from edgebll_devices.agent.settings import Settings
from edgebll_devices.session.session import Ended, Session

#: The worker posts just before it starts to compute; answering a moment later leaves it the interpreter lock until then.
_YIELD_S = 0.0002
_FAREWELL_S = 0.5


class BoardEndpoints:
    """The sockets of a board, and the box where its worker posts messages for the host. Close them when done.

    Attributes:
        receiver: the data socket, which the worker reads.
        allowed_keys: who may connect.

    Raises:
        LinkError: a port is in use. ConfigError: off loopback without keys.
    """

    def __init__(self, settings: Settings) -> None:
        self.allowed_keys = AllowedKeys(settings.allowed, settings.hosts_file if settings.keys is not None else None)
        self._server = ControlServer(settings.listen, keys=settings.keys, allowed=self.allowed_keys.keys)
        try:
            self.receiver = Receiver(settings.data_listen, keys=settings.keys)
        except BaseException:
            self._server.close()
            raise
        self._wakeup = Wakeup()
        self._outbox: deque[tuple[Session, Message | Ended]] = deque()

    @property
    def endpoint(self) -> str:
        """Where hosts connect."""
        return self._server.endpoint

    def wake(self) -> None:
        """Make `wait` return soon; safe from other threads and signal handlers."""
        self._wakeup.set()

    def post(self, session: Session, message: Message | Ended) -> None:
        """Called by the worker thread."""
        self._outbox.append((session, message))
        self._wakeup.set()

    def wait(self, limit_s: float) -> None:
        """Wait until there is something to do; see to it that those who may connect can."""
        waited_for: list[Pollable] = [self._server, self._wakeup]
        poll(waited_for, limit_s)
        if self.allowed_keys.changed():
            self._server.allow(self.allowed_keys.keys)
        if self._outbox:
            time.sleep(_YIELD_S)
        self._wakeup.clear()

    def wait_for_worker(self, limit_s: float) -> None:
        """Wait until the worker has posted something; hosts can wait."""
        poll([self._wakeup], limit_s)
        self._wakeup.clear()

    def posted(self) -> Iterator[tuple[Session, Message | Ended]]:
        """What the worker has posted."""
        while self._outbox:
            yield self._outbox.popleft()

    def received(self) -> Iterator[tuple[bytes, Message]]:
        """What hosts have sent, and who."""
        while (received := self._server.receive(0)) is not None:
            yield received

    def send(self, peer: bytes, message: Message) -> None:
        """Send to a host; never waits.

        Raises:
            LinkError: it is gone.
        """
        self._server.send(peer, message)

    def answer(self, peer: bytes, message: Message) -> None:
        """Send to a host that may be gone already."""
        with contextlib.suppress(LinkError):
            self._server.send(peer, message)

    def close(self, *, wholly: bool) -> None:
        """Close; not `wholly` where a worker that did not end still uses the data socket."""
        self._server.close(_FAREWELL_S)
        if wholly:
            self.receiver.close()
            self._wakeup.close()
