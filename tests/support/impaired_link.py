"""A network cable made of two TAP devices and a thread between them, which does to frames what bad networks do.

It needs no kernel module for that (netem is missing from many kernels), and its chances are seeded.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import random
import selectors
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
#: Longest Ethernet frame with an MTU of 1500.
_FRAME = 1600
#: How much waits before a slow link, by the time it takes.
_QUEUE_S = 0.3
#: Byte from which frames are changed: behind the Ethernet header, so that they still arrive.
_HEADER = 14


@dataclass(frozen=True)
class Impairment:
    """What happens to each frame, in either direction; chances from 0 to 1, times in seconds.

    Attributes:
        delay_s, jitter_s: how long it takes: delay_s and up to jitter_s more, so that frames overtake each other.
        loss, repeat, change: chance that it is lost, comes twice, comes with a byte changed.
        largest: longer frames are lost, of which nobody is told. rate: bytes a second, each way; 0 for no limit.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    repeat: float = 0.0
    change: float = 0.0
    largest: int = _FRAME
    rate: float = 0.0


class ImpairedLink:
    """Two new network devices joined by a cable, while in use as a context manager.

    Args:
        near, far: names of the devices; they may be moved to other namespaces afterwards. seed: of the chances.

    Attributes:
        impairment: what happens now; may be replaced at any time. passed, spoilt: frames so far that came through, and to which
            something happened on the way.

    Raises:
        OSError: this machine makes no TAP devices.
    """

    def __init__(self, near: str, far: str, seed: int = 0) -> None:
        self.impairment = Impairment()
        self.passed = self.spoilt = 0
        self._chance = random.Random(seed)
        self._ends = [_tap(near), _tap(far)]
        self._stop, self._stopped = os.pipe()
        self._waiting: list[tuple[float, int, int, bytes]] = []  # when, number, where to, frame
        self._number = itertools.count()
        self._free_s = dict.fromkeys(self._ends, 0.0)  # when what was sent to an end has left
        self._thread = threading.Thread(target=self._carry, name="cable", daemon=True)

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector:
            for end, other in (self._ends, self._ends[::-1]):
                selector.register(end, selectors.EVENT_READ, other)
            selector.register(self._stop, selectors.EVENT_READ, None)
            while True:
                left_s = self._waiting[0][0] - time.monotonic() if self._waiting else None
                for key, _ in selector.select(left_s):
                    if key.data is None:
                        return
                    with contextlib.suppress(OSError):  # the device is down
                        self._take(os.read(key.fd, _FRAME), key.data)
                self._deliver()

    def _take(self, frame: bytes, to: int) -> None:
        how, chance = self.impairment, self._chance.random
        if chance() < how.loss or len(frame) > how.largest or not self._room(to, how):
            self.spoilt += 1
            return
        changed = chance() < how.change and len(frame) > _HEADER
        copies = 2 if chance() < how.repeat else 1
        self.spoilt += changed or copies > 1 or how.jitter_s > 0
        if changed:
            position = self._chance.randrange(_HEADER, len(frame))
            frame = frame[:position] + bytes([frame[position] ^ 1 << self._chance.randrange(8)]) + frame[position + 1 :]
        for _ in range(copies):
            at_s = self._leaves_s(frame, to, how) + how.delay_s + how.jitter_s * chance()
            heapq.heappush(self._waiting, (at_s, next(self._number), to, frame))

    def _room(self, to: int, how: Impairment) -> bool:
        """Whether the queue before a slow link takes another frame."""
        return not how.rate or self._free_s[to] - time.monotonic() < _QUEUE_S

    def _leaves_s(self, frame: bytes, to: int, how: Impairment) -> float:
        """When the last byte of a frame has gone over the link."""
        now_s = time.monotonic()
        if how.rate:
            self._free_s[to] = max(self._free_s[to], now_s) + len(frame) / how.rate
        return max(self._free_s[to], now_s)

    def _deliver(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(self._waiting)
            with contextlib.suppress(OSError):
                os.write(to, frame)
                self.passed += 1

    def __enter__(self) -> ImpairedLink:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopped)
        self._thread.join(5.0)
        for descriptor in (*self._ends, self._stop):
            os.close(descriptor)


def _tap(name: str) -> int:
    descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
