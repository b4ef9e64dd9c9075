"""Waiting until there is something to read, or room to write, with any number of files open.

select() of the system knows descriptors below 1024 alone, and an agent with many connections has others.
"""

from __future__ import annotations

import math
import select
import sys
from typing import Protocol


class HasDescriptor(Protocol):
    """A pipe, socket or device."""

    def fileno(self) -> int:
        """Its descriptor."""


def await_readable(stream: HasDescriptor | int, timeout_s: float | None = None) -> bool:
    """Wait until reading would not block: something came, or the other end is gone; False after the time.

    Args:
        stream: what is read, or its descriptor.
        timeout_s: by default for ever.
    """
    return _await(stream, timeout_s, write=False)


def await_writable(stream: HasDescriptor | int, timeout_s: float | None = None) -> bool:
    """Wait until writing would not block; False after the time.

    Args:
        stream: what is written, or its descriptor.
        timeout_s: by default for ever.
    """
    return _await(stream, timeout_s, write=True)


def _await(stream: HasDescriptor | int, timeout_s: float | None, *, write: bool) -> bool:
    if sys.platform != "linux":  # poll() knows no terminals on some systems
        return any(select.select([] if write else [stream], [stream] if write else [], [], timeout_s))
    poll = select.poll()
    poll.register(stream, select.POLLOUT if write else select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else math.ceil(1000 * max(0.0, timeout_s))))
