"""Frames for byte streams (serial lines): COBS with CRC-32, without I/O.

    [COBS( payload, CRC-32 of payload u32 LE )][0x00]

The delimiter 0x00 never occurs inside a frame, so a reader finds the next frame after any damage. CRC-32 is zlib's
(polynomial 0x04C11DB7 reflected). COBS: Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from __future__ import annotations

import struct
import zlib

from cobs import cobs

from edgebll.kernel.errors import WireError

DELIMITER = b"\0"
_CRC = struct.Struct("<I")


def encode_frame(payload: bytes) -> bytes:
    """Wrap a payload; the result has at most len(payload) + (len(payload) + 4) // 254 + 6 bytes."""
    encoded: bytes = cobs.encode(payload + _CRC.pack(zlib.crc32(payload)))
    return encoded + DELIMITER


class FrameDecoder:
    """Finds frames in a byte stream: `feed` bytes as they come, get whole payloads.

    Args:
        max_payload_bytes: longest payload accepted; more than this (plus overhead) is never buffered.

    Attributes:
        damaged: frames dropped so far because of COBS, CRC or length.
    """

    def __init__(self, max_payload_bytes: int = 1 << 20) -> None:
        self._max_payload = max_payload_bytes
        self._max_encoded = max_payload_bytes + _CRC.size + (max_payload_bytes + _CRC.size) // 254 + 1
        self._buffer = bytearray()
        self._overlong = False
        self.damaged = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take some bytes and return the payloads that became complete; damaged frames are counted and skipped."""
        *complete, rest = data.split(DELIMITER)
        payloads = []
        for piece in complete:
            self._append(piece)
            payload = self._finish()
            if payload is not None:
                payloads.append(payload)
        self._append(rest)
        return payloads

    def _append(self, piece: bytes) -> None:
        if self._overlong or len(self._buffer) + len(piece) > self._max_encoded:
            self._overlong = True
            self._buffer.clear()
        else:
            self._buffer += piece

    def _finish(self) -> bytes | None:
        encoded, overlong = bytes(self._buffer), self._overlong
        self._buffer.clear()
        self._overlong = False
        if not encoded and not overlong:
            return None  # two delimiters in a row: an idle line, not damage
        try:
            if overlong:
                raise WireError("a frame exceeds the longest accepted payload")
            payload = decode_frame(encoded)
            if len(payload) > self._max_payload:  # an encoding may be shorter than the worst case the buffer is made for
                raise WireError("a frame exceeds the longest accepted payload")
        except WireError:
            self.damaged += 1
            return None
        return payload


def decode_frame(encoded: bytes) -> bytes:
    """Unwrap one frame without its delimiter.

    Raises:
        WireError: not COBS, too short, or the CRC differs.

    Examples:
        >>> from edgebll.kernel.wire.serial_frames import decode_frame, encode_frame
        >>> decode_frame(encode_frame(b"four")[:-1])  # a zero ends a frame
        b'four'
    """
    try:
        data: bytes = cobs.decode(encoded)
    except cobs.DecodeError as error:
        raise WireError(f"a frame is not COBS ({error})") from error
    if len(data) < _CRC.size:
        raise WireError(f"a frame of {len(data)} bytes is too short for its CRC")
    payload, (crc,) = data[: -_CRC.size], _CRC.unpack(data[-_CRC.size :])
    if zlib.crc32(payload) != crc:
        raise WireError("a frame's CRC-32 differs; the line is noisy or the speed is wrong")
    return payload
