"""Waiting for pipes and sockets: what is there at once, what is gone, how long nothing takes, and descriptors of any number."""

from __future__ import annotations

import os
import socket
import time

from support.many_descriptors import SELECT_LIMIT, many_descriptors

from edgebll.kernel.support.readiness import await_readable, await_writable


def test_descriptors_that_select_does_not_know() -> None:
    with many_descriptors():
        near, far = socket.socketpair()
        with near, far:
            assert min(near.fileno(), far.fileno()) > SELECT_LIMIT
            assert await_writable(near, 5.0)
            near.sendall(b"x")
            assert await_readable(far, 5.0)
            assert far.recv(8) == b"x"
            assert not await_readable(far, 0.0)


def test_nothing_takes_the_time_it_was_given() -> None:
    """A full pipe takes nothing, an empty one gives nothing; a time that is over already counts as none."""
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    try:
        started = time.monotonic()
        assert not await_readable(source, 0.05)
        assert not await_readable(source, -1.0)
        assert time.monotonic() - started >= 0.05
        while await_writable(sink, 0.0):
            os.write(sink, bytes(4096))
        assert await_readable(source)
    finally:
        os.close(source)
        os.close(sink)


def test_an_end_that_is_gone_is_there_to_read() -> None:
    source, sink = os.pipe()
    os.close(sink)
    try:
        assert await_readable(source, 5.0)
        assert os.read(source, 1) == b""
    finally:
        os.close(source)
