"""Requests on their way to a microcontroller until each is answered: a state machine without I/O or a clock of its own.

Requests have consecutive sequence numbers, and the board does them in order, each once: it takes only the one that is due, and
answers an earlier one again without doing it again. So whatever is lost, damaged, repeated or inserted, in either direction,
sending what is unanswered once more makes up for it. As many are under way at a time as the board has room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebll.kernel.errors import LinkError, LinkTimeout, WireError
from edgebll.kernel.wire.serial_frames import encode_frame
from edgebll_devices.microcontroller.refusals import BoardRestarted, refused
from edgebll_devices.microcontroller.replies import Reason, Refusal, Reply, parse_refusal
from edgebll_devices.microcontroller.requests import NAK, PROGRESS, REPLY, BoardRequest

_BITS_A_BYTE = 10  # with start and stop
#: Longest silence before sending again, beside the first one.
_LONGEST = 4
_LINE = (Reason.DAMAGED, Reason.OVERLONG, Reason.SEQUENCE)


@dataclass(frozen=True)
class LineTiming:
    """How long to wait for a board.

    Attributes:
        baud: bits a second of the line.
        answer_s: silence after which what is unanswered is sent again; longer by the time that bytes take on the line, and
            doubled with every time, up to four times as long.
        silent_s: silence after which the board counts as gone.
    """

    baud: int = 115200
    answer_s: float = 0.25
    silent_s: float = 4.0

    def line_s(self, count: int) -> float:
        """Seconds that so many bytes take."""
        return count * _BITS_A_BYTE / self.baud


class Exchange:
    """Some requests and what is known of them.

    Args:
        requests: in the order in which they are to be done; at most one of them a RUN, after which nothing is written.
        first: sequence number of the first.
        credit_bytes: how much may be on its way.
        boot: the board's life that they are meant for.
        timing: how long to wait.
        now_s: the time, in seconds of any one clock.

    Attributes:
        replies: bodies of the replies so far, None where there is none yet.
        resent: how often requests were sent again.
    """

    def __init__(
        self, requests: Sequence[BoardRequest], first: int, credit_bytes: int, boot: int, timing: LineTiming, now_s: float
    ) -> None:
        self._requests, self._first, self._credit, self._boot = requests, first, credit_bytes, boot
        self._frames = [b"\0" + encode_frame(each.payload(first + place)) for place, each in enumerate(requests)]
        self._timing = timing
        self.replies: list[bytes | None] = [None] * len(requests)
        self.resent = 0
        self._base = self._next = 0  # the first that is unanswered, and the next to send
        self._rewound = -1  # where `_base` was when requests were last sent again
        self._probing = False  # one at a time, until there is a sign of life
        self._waits_s = timing.answer_s
        self._heard_s = self._acted_s = now_s

    @property
    def done(self) -> bool:
        """Whether all are answered."""
        return self._base == len(self._requests)

    def outgoing(self, now_s: float) -> bytes:
        """Bytes to send now, often none.

        Args:
            now_s: the time.

        Raises:
            LinkTimeout: the board was silent for too long.
        """
        if now_s - self._heard_s > self._timing.silent_s:
            raise LinkTimeout(f"the microcontroller said nothing for {now_s - self._heard_s:.1f} s")
        if now_s - self._acted_s > self._wait_s():
            self._waits_s = min(2 * self._waits_s, _LONGEST * self._timing.answer_s)
            self._probing = True
            self._rewind(now_s)
        given, room = bytearray(), 0 if self._probing else self._credit - self._under_way()
        while self._next < len(self._frames):
            frame = self._frames[self._next]
            if self.replies[self._next] is None:
                if len(frame) > room - len(given) and (given or self._under_way()):
                    break
                given += frame
            self._next += 1
        if given:
            self._acted_s = now_s
        return bytes(given)

    def go_on(self, now_s: float) -> None:
        """Begin again with what is unanswered, on a line that was opened anew.

        Args:
            now_s: the time.
        """
        self._heard_s = now_s
        self._signs_of_life(now_s)
        self._rewind(now_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until `outgoing` may have something without anything having come.

        Args:
            now_s: the time.
        """
        return max(0.0, self._acted_s + self._wait_s() - now_s)

    def take(self, reply: Reply, now_s: float) -> None:
        """Take a frame that came.

        Args:
            reply: its payload.
            now_s: the time.

        Raises:
            LinkError: the board was restarted, does not have what was set up, or somebody else uses the port.
            BoardError: it refused a request.
        """
        self._heard_s = now_s
        place = (reply.sequence - self._first) & 0xFFFF
        if reply.op == NAK:
            self._take_refusal(reply, place, now_s)
        elif place >= len(self._requests):
            return  # to an earlier exchange, come again
        elif reply.op == PROGRESS:
            self._signs_of_life(now_s)
        elif reply.op == self._requests[place].op | REPLY and self.replies[place] is None:
            self.replies[place] = reply.body
            self._signs_of_life(now_s)
            while not self.done and self.replies[self._base] is not None:
                self._base += 1
            if place > self._base:
                self._send_again(now_s)  # the answer to an earlier one was lost

    def _take_refusal(self, reply: Reply, place: int, now_s: float) -> None:
        try:
            refusal = parse_refusal(reply.body)
        except WireError:
            return
        if refusal.reason == Reason.NO_SESSION or refusal.boot != self._boot:
            raise BoardRestarted("the microcontroller was restarted: what it had learned since the last snapshot is lost")
        if refusal.reason in _LINE:
            self._check_due(refusal)
            self._signs_of_life(now_s)
            self._send_again(now_s)
        elif place < len(self._requests) and self.replies[place] is None:
            raise refused(refusal, self._requests[place])

    def _check_due(self, refusal: Refusal) -> None:
        if (refusal.due - self._first) & 0xFFFF > len(self._requests):
            raise LinkError("another program uses the microcontroller's port; end it")

    def _signs_of_life(self, now_s: float) -> None:
        self._acted_s, self._probing, self._waits_s = now_s, False, self._timing.answer_s

    def _send_again(self, now_s: float) -> None:
        """Send what is unanswered again, once for each that is the first of them: much of it may be on its way by now."""
        if self._rewound != self._base and not self.done:
            self._rewind(now_s)

    def _rewind(self, now_s: float) -> None:
        self._rewound, self._next, self._acted_s = self._base, self._base, now_s
        self.resent += 1

    def _under_way(self) -> int:
        """Bytes that were sent and not answered."""
        return sum(len(self._frames[place]) for place in range(self._base, self._next) if self.replies[place] is None)

    def _wait_s(self) -> float:
        return self._waits_s + self._timing.line_s(self._under_way())
