"""What ends a data connection by itself: silence of the other machine, and bytes that were changed on the way."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from support.proxy import Proxy

from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.transport import Receiver, Sender, poll
from edgebll.kernel.wire import TRAIN, Token

LOCAL = "tcp://127.0.0.1:0"
WAIT_S = 20.0
TCP_USER_TIMEOUT = 18  # of linux/tcp.h


def token(sequence: int) -> Token:
    return Token("run", "block0", TRAIN, sequence, 0, tensors={"x": np.arange(500, dtype=np.float32)})


def connection_to(port: int) -> socket.socket:
    """This process's own TCP connection to a port of this machine, once more."""
    for path in Path("/proc/self/fd").iterdir():
        if path.is_socket():
            found = socket.socket(fileno=os.dup(int(path.name)))
            with contextlib.suppress(OSError):  # one that listens
                if found.family == socket.AF_INET and found.getpeername() == ("127.0.0.1", port):
                    return found
            found.close()
    raise AssertionError("there is no connection")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this needs Linux's /proc")
@pytest.mark.parametrize("dead_s", [2.0, 10.0])
def test_the_kernel_is_to_cut_a_connection_whose_other_machine_is_silent(dead_s: float) -> None:
    """A process that only waits cannot notice it: what was sent is not confirmed, or nothing is sent and keepalives are not."""
    with Receiver(LOCAL) as receiver, Sender(receiver.endpoint, dead_s=dead_s) as sender:
        sender.send(token(0), WAIT_S)
        assert receiver.receive(WAIT_S) == token(0)
        with connection_to(int(receiver.endpoint.rpartition(":")[2])) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT) == dead_s * 1000
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            idle_s, every_s, times = (connection.getsockopt(socket.IPPROTO_TCP, option) for option in options)
            assert idle_s + times * every_s <= max(dead_s, 4.0)


def test_changed_bytes_break_an_encrypted_link_and_never_arrive() -> None:
    here, there = make_key_pair(), make_key_pair()
    with Receiver(LOCAL, keys=there, allowed=[here.public]) as receiver:
        for seed in range(5):
            with Proxy(int(receiver.endpoint.rpartition(":")[2]), seed) as proxy:
                endpoint = f"tcp://127.0.0.1:{proxy.port}"
                with Sender(endpoint, keys=here, server_key=there.public) as sender:
                    sender.send(token(0), WAIT_S)
                    assert receiver.receive(WAIT_S) == token(0)
                    proxy.change()
                    sender.send(token(1), WAIT_S)
                    until_s = time.monotonic() + WAIT_S
                    while not sender.broken:
                        assert time.monotonic() < until_s, "nobody noticed"
                        poll([sender.news], 0.1)
            assert receiver.receive(0.1) is None
            assert receiver.malformed == 0
