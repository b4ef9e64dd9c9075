"""Tensors on a line to a microcontroller: pieces that fit its frames, and spikes in few bytes where its firmware knows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.wire.spike_coding import pack
from edgebll_devices.microcontroller import requests
from edgebll_devices.microcontroller.replies import BoardReport, parse_spikes
from edgebll_devices.microcontroller.requests import BoardRequest, Span

#: Float32 elements of the smallest tensor that is looked at for spikes: here every byte takes 87 us at the usual speed.
LEAST_ELEMENTS = 32
_LONGEST_PAUSE = 63
_FLOAT_BYTES = 4

Exchange = Callable[[Sequence[BoardRequest]], list[bytes]]
Place = tuple[TensorSpec, Span]


class SpikeGuess:
    """Whether a tensor is worth asking for as spikes: yes, until it was none, and then anew after 1, 3, 7 ... 63 times."""

    def __init__(self) -> None:
        self._pause = self._left = 0

    def ask(self) -> bool:
        """Whether to ask this time."""
        if self._left:
            self._left -= 1
            return False
        return True

    def learn(self, *, spikes: bool) -> None:
        """Take what it was when it was asked for.

        Args:
            spikes: whether it held nothing else.
        """
        self._pause = 0 if spikes else min(2 * self._pause + 1, _LONGEST_PAUSE)
        self._left = self._pause


class LineTensors:
    """What carries tensors over one line; call `greeted` before all else.

    Attributes:
        sent_bytes: of tensors of runs, as they travelled, in either direction.
        unpacked_bytes: of the same tensors as they are.
    """

    def __init__(self) -> None:
        self._frame_bytes, self._spikes = 0, False
        self._guesses: dict[str, SpikeGuess] = {}
        self.sent_bytes = self.unpacked_bytes = 0

    def greeted(self, report: BoardReport) -> None:
        """Take what the board says of itself."""
        self._frame_bytes, self._spikes = report.frame_bytes, report.spikes

    def writes(self, offset: int, data: bytes) -> list[BoardRequest]:
        """Put bytes there as they are.

        Args:
            offset: in the pool.
            data: any number.
        """
        size = self._frame_bytes - requests.WRITE_OVERHEAD
        return [requests.write(0, offset + start, data[start : start + size]) for start in range(0, len(data), size)]

    def reads(self, span: Span) -> list[BoardRequest]:
        """Get the bytes of a piece of the pool."""
        size, end = self._frame_bytes - requests.READ_OVERHEAD, span.offset + span.size_bytes
        return [requests.read(0, start, min(size, end - start)) for start in range(span.offset, end, size)]

    def tensor_writes(self, tensor: TensorSpec, offset: int, data: bytes) -> list[BoardRequest]:
        """Put a tensor there, in few bytes if it is spikes, and count it.

        Args:
            tensor: what it is.
            offset: in the pool.
            data: its bytes.
        """
        packed = self._spike_writes(offset, data) if self._looks_at(tensor) else None
        self.unpacked_bytes += len(data)
        if packed is None:
            self.sent_bytes += len(data)
            return self.writes(offset, data)
        overhead = requests.SPIKES_WRITE_OVERHEAD - requests.HEADER.size
        self.sent_bytes += sum(len(request.body) - overhead for request in packed)
        return packed

    def _looks_at(self, tensor: TensorSpec) -> bool:
        return self._spikes and tensor.dtype == "float32" and tensor.size_bytes >= _FLOAT_BYTES * LEAST_ELEMENTS

    def _spike_pieces(self, span: Span, overhead: int) -> list[Span]:
        """Pieces of which each fits a frame whatever it holds."""
        size, end = _FLOAT_BYTES * min(8 * (self._frame_bytes - overhead), requests.MAX_SPIKES), span.offset + span.size_bytes
        return [Span(start, min(size, end - start)) for start in range(span.offset, end, size)]

    def _spike_writes(self, offset: int, data: bytes) -> list[BoardRequest] | None:
        """The requests, or None where there is anything but spikes."""
        found = []
        for start, size in self._spike_pieces(Span(0, len(data)), requests.SPIKES_WRITE_OVERHEAD):
            packed = pack(memoryview(data)[start : start + size], least=1)
            if packed is None:
                return None
            found.append(requests.write_spikes(0, offset + start, size // _FLOAT_BYTES, *packed))
        return found

    def exchange(self, carry: Exchange, wanted: Sequence[BoardRequest], outputs: Sequence[Place]) -> list[bytes]:
        """Carry requests, and then get tensors, which are counted: those that may be spikes first as such.

        Args:
            carry: what carries requests; no run of another block may come between two calls.
            wanted: the requests, which are done once.
            outputs: what the tensors are, and where they lie after that.

        Returns:
            The bytes of each tensor.
        """
        packed = {place for place, (tensor, _) in enumerate(outputs) if self._looks_at(tensor) and self._guess(tensor).ask()}
        asked = [self._spike_reads(span) if place in packed else self.reads(span) for place, (_, span) in enumerate(outputs)]
        replies = _split(carry([*wanted, *_joined(asked)])[len(wanted) :], asked)
        found = [
            self._spikes_of(output, each) if place in packed else b"".join(each)
            for place, (output, each) in enumerate(zip(outputs, replies, strict=True))
        ]
        missing = [place for place, data in enumerate(found) if data is None]
        plain = [self.reads(outputs[place][1]) for place in missing]
        again = _split(carry(_joined(plain)), plain) if plain else []
        for place, each in zip(missing, again, strict=True):
            found[place] = b"".join(each)
        self.unpacked_bytes += sum(span.size_bytes for _, span in outputs)
        self.sent_bytes += sum(
            span.size_bytes for place, (_, span) in enumerate(outputs) if place not in packed or place in missing
        )
        return [data for data in found if data is not None]

    def _guess(self, tensor: TensorSpec) -> SpikeGuess:
        return self._guesses.setdefault(tensor.name, SpikeGuess())

    def _spike_reads(self, span: Span) -> list[BoardRequest]:
        pieces = self._spike_pieces(span, requests.SPIKES_READ_OVERHEAD)
        return [requests.read_spikes(0, piece.offset, piece.size_bytes // _FLOAT_BYTES) for piece in pieces]

    def _spikes_of(self, output: Place, replies: Sequence[bytes]) -> bytes | None:
        """The bytes of a tensor that was asked for as spikes; None where it is none."""
        tensor, span = output
        pieces = self._spike_pieces(span, requests.SPIKES_READ_OVERHEAD)
        found = [parse_spikes(reply, piece.size_bytes // _FLOAT_BYTES) for reply, piece in zip(replies, pieces, strict=True)]
        numbers = [each.astype("<f4", copy=False).tobytes() for each in found if each is not None]
        spikes = len(numbers) == len(pieces)
        self._guess(tensor).learn(spikes=spikes)
        self.sent_bytes += sum(len(reply) - 1 for reply in replies) if spikes else 0
        return b"".join(numbers) if spikes else None


def _joined(asked: Sequence[Sequence[BoardRequest]]) -> list[BoardRequest]:
    return [request for each in asked for request in each]


def _split(replies: Sequence[bytes], asked: Sequence[Sequence[BoardRequest]]) -> list[Sequence[bytes]]:
    """Replies to each of several lists of requests."""
    found, start = [], 0
    for each in asked:
        found.append(replies[start : start + len(each)])
        start += len(each)
    return found
