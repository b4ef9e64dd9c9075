"""Event files of AEDAT 3.1, as DVS128 Gesture has (iniVation's specification): a text head, and packets of events.

    #!AER-DAT3.1 ... #!END-HEADER              lines that end in carriage return and line feed
    head of a packet, 28 bytes, little-endian: int16 type and source; int32 event size, time offset, overflow, capacity,
                                               number of events and of valid ones
    polarity events (type 1), 8 bytes each:    uint32 data, int32 time in microseconds
    data:                                      bit 0 valid, 1 polarity (1 brighter), 2-16 row, 17-31 column

The time of an event is its own and 2^31 microseconds for each overflow. Packets of other types are passed over.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from edgebll.data.events.binning import Events

#: Pixels of a DVS128.
SENSOR = "128x128"
_MAGIC, _END = b"#!AER-DAT", b"#!END-HEADER\r\n"
_VERSION = b"3.1\r\n"
_MOST_HEAD = 1 << 16
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY, _EVENT_BYTES = 1, 8
#: Four years.
_MOST_OVERFLOWS = 1 << 16
_EVENT = np.dtype([("data", "<u4"), ("time", "<i4")])


def read_aedat(path: Path) -> Events:
    """The valid polarity events of a file.

    Args:
        path: of the file.

    Raises:
        ValueError: it is none of this version, is cut off, damaged, or its events are out of order.
    """
    content = path.read_bytes()
    at = _behind_head(content)
    data, times = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    while at < len(content):
        if len(content) - at < _PACKET.size:
            raise ValueError(f"it is cut off in the head of a packet at byte {at}; get it again")
        kind, _, size, _, overflow, capacity, number, _ = _PACKET.unpack_from(content, at)
        if size < _EVENT_BYTES or not 0 <= number <= capacity or not 0 <= overflow <= _MOST_OVERFLOWS:
            raise ValueError(f"the head of its packet at byte {at} makes no sense; get it again")
        begin, at = at + _PACKET.size, at + _PACKET.size + size * number
        if at > len(content):
            raise ValueError(f"it is cut off in a packet of {number} events at byte {begin}; get it again")
        if kind != _POLARITY:
            continue
        if size != _EVENT_BYTES:
            raise ValueError(f"polarity events have {_EVENT_BYTES} bytes, but those at byte {begin} have {size}; get it again")
        events = np.frombuffer(content, _EVENT, number, begin)
        events = events[events["data"] & 1 == 1]
        data.append(events["data"].astype(np.int64))
        times.append(events["time"].astype(np.int64) + (overflow << 31))
    whole = np.concatenate(data)
    return Events(np.concatenate(times), whole >> 17, whole >> 2 & 0x7FFF, whole >> 1 & 1)


def _behind_head(content: bytes) -> int:
    if not content.startswith(_MAGIC):
        raise ValueError(f"it does not begin with {_MAGIC.decode()} but with {content[:9]!r}; give AEDAT of version 3.1")
    if not content.startswith(_MAGIC + _VERSION):
        version = content[len(_MAGIC) : len(_MAGIC) + 5].split(b"\r")[0].decode("ascii", "replace")
        raise ValueError(
            f"it is AEDAT of version {version}, but only 3.1 is read; convert it, e.g. with iniVation's dv-processing"
        )
    end = content.find(_END, 0, _MOST_HEAD)
    if end < 0:
        raise ValueError(f"its head has no end ({_END.decode().strip()}); get it again")
    return end + len(_END)
