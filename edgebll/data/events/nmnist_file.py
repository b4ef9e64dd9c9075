"""Event files of N-MNIST and N-Caltech101 (Orchard et al. 2015): five bytes an event, nothing else.

    bits 39-32 column, 31-24 row, 23 polarity (1 brighter), 22-0 time in microseconds; the first byte has bits 39-32

An event of row 240 is none: it says that the clock of the recording has gone round, and all times from it on are 8192 us later.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebll.data.events.binning import Events

#: Pixels of the sensor of N-MNIST.
SENSOR = "34x34"
_EVENT_BYTES = 5
_OVERFLOW_ROW, _OVERFLOW_US = 240, 8192


def read_nmnist(path: Path) -> Events:
    """The events of a file.

    Args:
        path: of the file.

    Raises:
        ValueError: it is cut off, or its events are out of order.
    """
    content = path.read_bytes()
    if len(content) % _EVENT_BYTES:
        raise ValueError(f"it has {len(content)} bytes, not a whole number of events of {_EVENT_BYTES}; get it again")
    columns = np.frombuffer(content, np.uint8).reshape(-1, _EVENT_BYTES).astype(np.int64).T
    x, y, high, middle, low = columns
    overflow = y == _OVERFLOW_ROW
    t = ((high & 0x7F) << 16 | middle << 8 | low) + np.cumsum(overflow) * _OVERFLOW_US
    kept = ~overflow
    return Events(t[kept], x[kept], y[kept], high[kept] >> 7)
