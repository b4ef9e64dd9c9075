"""Requests on their way to a microcontroller: whatever the line does, each is done once and in order, or it is told."""

from __future__ import annotations

import random
import zlib

import pytest
from support.noisy_line import Noise

from edgebll.kernel.errors import BoardError, LinkError, LinkTimeout
from edgebll.kernel.wire.serial_frames import FrameDecoder, encode_frame
from edgebll_devices.microcontroller import replies, requests
from edgebll_devices.microcontroller.exchange import Exchange, LineTiming
from edgebll_devices.microcontroller.refusals import BoardRestarted
from edgebll_devices.microcontroller.replies import Reason
from edgebll_devices.microcontroller.requests import HEADER, NAK, PROGRESS, REPLY, BoardRequest, Op

BOOT, CREDIT = 77, 600
TIMING = LineTiming(answer_s=0.2, silent_s=3.0)
PATIENT = LineTiming(answer_s=0.2, silent_s=1e3)


class Model:
    """What LINK.md asks of a board, written down once more: a memory of bytes, requests in order, each done once."""

    def __init__(self, last: int) -> None:
        self.memory, self.last, self.runs = bytearray(256), last & 0xFFFF, 0
        self.done: list[int] = []
        self._decoder = FrameDecoder(1024)
        self._damaged = 0

    def feed(self, data: bytes) -> bytes:
        answers = [self._answer(payload) for payload in self._decoder.feed(data)]
        for _ in range(self._decoder.damaged - self._damaged):
            answers.append(self._nak(0, Reason.DAMAGED))
        self._damaged = self._decoder.damaged
        return b"".join(b"\0" + encode_frame(answer) for answer in answers)

    def _nak(self, sequence: int, reason: int) -> bytes:
        body = bytes([reason]) + (self.last + 1 & 0xFFFF).to_bytes(2, "little") + BOOT.to_bytes(4, "little") + bytes(8)
        return HEADER.pack(NAK, 0, sequence) + body

    def _answer(self, payload: bytes) -> bytes:
        op, slot, sequence = HEADER.unpack_from(payload)
        again, due = (self.last - sequence) & 0xFFFF < 256, (self.last + 1) & 0xFFFF == sequence
        if not again and not due:
            return self._nak(sequence, Reason.SEQUENCE)
        body, answer = payload[HEADER.size :], b""
        if op == Op.READ:
            start, count = int.from_bytes(body[:4], "little"), int.from_bytes(body[4:6], "little")
            answer = bytes(self.memory[start : start + count])
        elif due and op == Op.WRITE:
            start = int.from_bytes(body[:4], "little")
            self.memory[start : start + len(body) - 4] = body[4:]
        elif due and op == Op.RUN:
            self.runs += 1
            self.memory[128:132] = zlib.crc32(bytes(self.memory[:128])).to_bytes(4, "little")  # what was written is used up
            self.memory[:128] = bytes(128)
        if due:
            self.last = sequence
            self.done.append(sequence)
        return HEADER.pack(op | REPLY, slot, sequence) + answer


def a_step(chance: random.Random) -> tuple[list[BoardRequest], int]:
    """Write in pieces, run, read; and the checksum that comes of what was written."""
    data = chance.randbytes(128)
    writes = [requests.write(0, start, data[start : start + 32]) for start in range(0, 128, 32)]
    return [*writes, requests.run(0, 0, 1, ()), requests.read(0, 128, 4)], zlib.crc32(data)


def carry(exchange: Exchange, board: Model, there: Noise, back: Noise) -> float:
    """Until all is answered, on a clock that stands still but where nothing comes; returns what time it is then."""
    now_s, decoder = 0.0, FrameDecoder(1024)
    while not exchange.done:
        answers = decoder.feed(back.spoil(board.feed(there.spoil(exchange.outgoing(now_s)))))
        for payload in answers:
            exchange.take(replies.parse_reply(payload), now_s)
        if not answers:
            now_s += exchange.wait_s(now_s) + 1e-3
    return now_s


@pytest.mark.parametrize("seed", range(40))
def test_each_request_is_done_once_and_in_order_on_a_line_that_spoils_everything(seed: int) -> None:
    chance, first = random.Random(seed), random.Random(seed).randrange(65536)
    board = Model(first - 1)
    there, back = Noise(seed, 0.25), Noise(1000 + seed, 0.25)
    for number in range(5):
        wanted, checksum = a_step(chance)
        exchange = Exchange(wanted, first, CREDIT, BOOT, PATIENT, 0.0)
        carry(exchange, board, there, back)
        assert exchange.replies[-1] == checksum.to_bytes(4, "little")
        assert board.runs == number + 1
        first += len(wanted)
    assert board.done == [(board.done[0] + place) & 0xFFFF for place in range(len(board.done))]
    assert sum(there.done.values()) + sum(back.done.values()) > 0


def test_a_sound_line_takes_no_time_and_sends_nothing_twice() -> None:
    wanted, _ = a_step(random.Random(0))
    exchange = Exchange(wanted, 5, CREDIT, BOOT, TIMING, 0.0)
    assert carry(exchange, Model(4), Noise(0, 0.0), Noise(0, 0.0)) == 0.0
    assert exchange.resent == 0


def test_no_more_is_under_way_than_the_board_has_room_for() -> None:
    frame = len(b"\0" + encode_frame(requests.write(0, 0, bytes(100)).payload(1)))
    exchange = Exchange([requests.write(0, 0, bytes(100))] * 9, 1, 3 * frame, BOOT, TIMING, 0.0)
    sent = exchange.outgoing(0.0)
    assert len(sent) == 3 * frame
    assert exchange.outgoing(0.0) == b""
    exchange.take(replies.Reply(Op.WRITE | REPLY, 0, 1, b""), 0.0)
    assert len(exchange.outgoing(0.0)) == frame


def test_a_frame_larger_than_all_credit_goes_alone() -> None:
    exchange = Exchange([requests.write(0, 0, bytes(100))] * 2, 1, 10, BOOT, TIMING, 0.0)
    assert 100 < len(exchange.outgoing(0.0)) < 200


def test_silence_ends_the_waiting_and_progress_prolongs_it() -> None:
    exchange = Exchange([requests.run(0, 0, 1, ())], 9, CREDIT, BOOT, TIMING, 0.0)
    first = exchange.outgoing(0.0)
    assert exchange.outgoing(0.1) == b""
    for now_s in (1.0, 2.9, 5.0):  # a long step says that it goes on
        exchange.take(replies.Reply(PROGRESS, 0, 9, bytes(4)), now_s)
        assert exchange.outgoing(now_s) == b""
    assert exchange.outgoing(5.5) == first
    with pytest.raises(LinkTimeout, match="said nothing for 3"):
        exchange.outgoing(8.1)


def test_requests_wait_longer_on_a_slow_line() -> None:
    fast, slow = (
        Exchange([requests.write(0, 0, bytes(100))], 1, CREDIT, BOOT, LineTiming(baud), 0.0) for baud in (10**6, 1200)
    )
    assert len(fast.outgoing(0.0)) == len(slow.outgoing(0.0)) > 100
    assert fast.wait_s(0.0) < 0.26
    assert 1.0 < slow.wait_s(0.0) < 1.3  # 112 bytes of ten bits at 1200 a second


def refusal(reason: int, *, due: int = 1, boot: int = BOOT, detail: int = 0, where: int = 0) -> replies.Reply:
    body = bytes([reason]) + due.to_bytes(2, "little") + boot.to_bytes(4, "little")
    return replies.Reply(NAK, 0, 1, body + detail.to_bytes(4, "little") + where.to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (refusal(Reason.NO_SESSION, boot=0), BoardRestarted, "was restarted"),
        (refusal(Reason.DAMAGED, boot=BOOT + 1), BoardRestarted, "was restarted"),
        (refusal(Reason.SEQUENCE, due=900), LinkError, "another program uses"),
        (refusal(Reason.NOT_SET_UP), LinkError, "does not have the block any more"),
        (refusal(Reason.RUN_NUMBER, detail=7), LinkError, "another number of runs"),
        (refusal(Reason.INPUTS), LinkError, "other inputs"),
        (refusal(Reason.PLAN, detail=10, where=(1 << 24) + 64), BoardError, r"plan of forward \(error 10 at byte 64\)"),
        (refusal(Reason.RANGE), BoardError, "no such memory"),
        (refusal(Reason.UNKNOWN), BoardError, "flash the firmware of this release"),
        (refusal(99), BoardError, "a reason 99"),
    ],
)
def test_a_refusal_says_what_to_do(given: replies.Reply, kind: type[Exception], said: str) -> None:
    exchange = Exchange([requests.run(0, 0, 1, ())], 1, CREDIT, BOOT, TIMING, 0.0)
    exchange.outgoing(0.0)
    with pytest.raises(kind, match=said) as caught:
        exchange.take(given, 0.0)
    assert type(caught.value) is kind


def test_what_answers_an_earlier_exchange_is_passed_over() -> None:
    exchange = Exchange([requests.read(0, 0, 4)], 100, CREDIT, BOOT, TIMING, 0.0)
    exchange.outgoing(0.0)
    exchange.take(replies.Reply(Op.READ | REPLY, 0, 99, b"old!"), 0.0)
    exchange.take(replies.Reply(Op.WRITE | REPLY, 0, 100, b""), 0.0)
    assert not exchange.done
    exchange.take(replies.Reply(Op.READ | REPLY, 0, 100, b"new!"), 0.0)
    assert exchange.replies == [b"new!"]
