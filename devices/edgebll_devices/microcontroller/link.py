"""The line to one microcontroller: opens its port, asks who is there, carries requests, and opens it again when it vanished."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence

from edgebll.kernel.errors import EdgebllError, LinkError, LinkTimeout, WireError
from edgebll.kernel.transport.serial_address import PortAddress
from edgebll.kernel.wire.serial_frames import FrameDecoder, encode_frame
from edgebll_devices.microcontroller import replies, requests
from edgebll_devices.microcontroller.exchange import Exchange, LineTiming
from edgebll_devices.microcontroller.ports import SerialPort, open_port, port_problem
from edgebll_devices.microcontroller.refusals import BoardRestarted
from edgebll_devices.microcontroller.replies import BoardReport, Reply
from edgebll_devices.microcontroller.requests import BoardRequest

_log = logging.getLogger(__name__)

#: Seconds between two questions who is there, and between two attempts to open a port.
_ASK_S, _OPEN_S = 0.3, 0.2
#: How long a port may be gone in the middle of a run, and how long loading waits for one.
GONE_S, AWAITED_S = 5.0, 20.0
_MAX_REPLY_BYTES = 1 << 16
_RESTARTED = "the microcontroller at {} was restarted: what it had learned since the last snapshot is lost"


def _never() -> None:
    return None


class MicrocontrollerLink:
    """A line. One thread at a time may use it; close it when done.

    Args:
        address: of its port.
        gone_s: how long the port may vanish while the microcontroller keeps what it has learned.

    Attributes:
        report: what the microcontroller said when it was asked last.
        resent: how often requests had to be sent again.
    """

    def __init__(self, address: PortAddress, gone_s: float = GONE_S) -> None:
        self.address = address
        self.report: BoardReport | None = None
        self.resent = 0
        self._gone_s = gone_s
        self._timing = LineTiming(address.baud)
        self._port: SerialPort | None = None
        self._decoder = FrameDecoder(_MAX_REPLY_BYTES)
        self._sequence = 0
        self._astray = False

    @property
    def boot(self) -> int:
        """The life of the microcontroller that this side speaks to; 0 before the first."""
        return self.report.boot if self.report is not None else 0

    def greet(self, wait_s: float = AWAITED_S, check: Callable[[], None] = _never) -> BoardReport:
        """Begin a session, with whatever life of the microcontroller there is.

        Args:
            wait_s: how long to wait for somebody to answer.
            check: called now and then; may raise to end the waiting.

        Raises:
            LinkError: nobody answers, or the port cannot be opened. WireError: the firmware is of another version.
        """
        self._sequence = random.randrange(1 << 16)
        report = self._ask(wait_s, check)
        if report.last != self._sequence & 0xFFFF:  # it took the number for one of an earlier session, which it has gone past
            self._sequence = report.last + 1
            report = self._ask(wait_s, check)
        self.report = report
        self._astray = False
        return report

    def exchange(self, wanted: Sequence[BoardRequest]) -> list[bytes]:
        """Carry requests, in order, each of which is done once.

        Args:
            wanted: as for `Exchange`.

        Returns:
            The bodies of the replies.

        Raises:
            LinkError: the line is gone for good, or the microcontroller was restarted. BoardError: it refused one.
        """
        report = self._in_step()
        first, self._sequence = self._sequence + 1, self._sequence + len(wanted)
        under_way = Exchange(wanted, first, report.credit_bytes, report.boot, self._timing, time.monotonic())
        gone_until: float | None = None
        self._astray = True  # until all is answered: of what is refused, nobody knows how much was done
        while not under_way.done:
            try:
                self._turn(under_way)
            except (OSError, LinkTimeout) as error:
                if isinstance(error, EdgebllError) and not isinstance(error, LinkTimeout):
                    raise
                gone_until = gone_until or time.monotonic() + self._gone_s
                self._again(first - 1, gone_until, error)
                under_way.go_on(time.monotonic())
        self._astray = False
        self.resent += under_way.resent
        return [reply or b"" for reply in under_way.replies]

    def _in_step(self) -> BoardReport:
        """What the microcontroller said of itself; in a new session where the last requests were not all answered."""
        before = self.report
        if before is None:
            raise LinkError(f"nobody has been greeted at {self.address}; load the block again")
        if self._astray and self.greet(self._gone_s).boot != before.boot:
            raise BoardRestarted(_RESTARTED.format(self.address))
        return before

    def _turn(self, under_way: Exchange) -> None:
        port = self._port
        if port is None:
            raise LinkTimeout("the port is closed")
        now_s = time.monotonic()
        data = under_way.outgoing(now_s)
        if data:
            port.write(data)
        for reply in self._read(port, under_way.wait_s(now_s)):
            under_way.take(reply, time.monotonic())

    def _read(self, port: SerialPort, timeout_s: float) -> list[Reply]:
        found = []
        for payload in self._decoder.feed(port.read(timeout_s)):
            try:
                found.append(replies.parse_reply(payload))
            except WireError as error:
                _log.debug("%s: %s", self.address, error)
        return found

    def _again(self, sequence: int, until_s: float, error: Exception) -> None:
        """Open the port anew; the microcontroller may go on if it has not been restarted meanwhile."""
        _log.warning("%s: %s; opening it again", self.address, error)
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise LinkError(f"the microcontroller at {self.address} is gone: {error}") from error
        self.close()
        before, self._sequence, kept = self.boot, sequence, self._sequence
        report = self._ask(left_s, _never)
        self._sequence = kept
        if report.boot != before:
            raise BoardRestarted(_RESTARTED.format(self.address))

    def _ask(self, wait_s: float, check: Callable[[], None]) -> BoardReport:
        """INFO, until it is answered."""
        until_s = time.monotonic() + wait_s
        problem: EdgebllError = LinkTimeout(
            f"no firmware of edgebll answers at {self.address}; flash it (edgebll firmware build), or give its port and speed"
        )
        while True:
            check()
            try:
                self._port = self._port or open_port(self.address)
                report = self._ask_once(self._port)
                if report is not None:
                    return report
            except OSError as error:
                if isinstance(error, EdgebllError):
                    raise
                problem = port_problem(self.address, error)
                self.close()
                if isinstance(error, PermissionError):  # waiting makes nobody a member of a group
                    raise problem from error
                time.sleep(_OPEN_S)
            if time.monotonic() >= until_s:
                self.close()
                raise problem

    def _ask_once(self, port: SerialPort) -> BoardReport | None:
        asked = requests.info(random.randrange(1, 1 << 32)).payload(self._sequence)
        port.write(b"\0" + encode_frame(asked))
        until_s = time.monotonic() + _ASK_S + 2 * self._timing.line_s(len(asked) + 256)
        while (left_s := until_s - time.monotonic()) > 0:
            for reply in self._read(port, left_s):
                if reply.op == requests.Op.INFO | requests.REPLY and reply.sequence == self._sequence & 0xFFFF:
                    return replies.parse_report(reply.body)
        return None

    def close(self) -> None:
        """Give the port back; `greet` opens it again."""
        if self._port is not None:
            self._port.close()
            self._port = None
        self._decoder = FrameDecoder(_MAX_REPLY_BYTES)
