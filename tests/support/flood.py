"""A stranger in a network: floods ports in every way that needs no key, from addresses 127.0.0.2 to .5, until it is killed.

python flood.py PORT ...      prints one line once all kinds of attack are under way, and how many connections at its end
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque

import zmq

#: A greeting of ZMTP 3.1 that asks for CURVE.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
#: Announces a frame of 1 GiB minus one byte, just below what a token may have.
ANNOUNCEMENT = b"\x02" + struct.pack(">Q", (1 << 30) - 1)
_HELD = 300
_counts = dict.fromkeys(("held", "garbage", "greeted", "announced", "wrong key"), 0)


def _connect(port: int, number: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 2.0, (f"127.0.0.{2 + number % 3}", 0))


def _repeat(kind: str, ports: list[int]) -> None:
    """Open connections of this kind one after another, keeping the last ones open."""
    held: deque[socket.socket] = deque()
    number = 0
    while True:
        number += 1
        with contextlib.suppress(OSError):
            link = _connect(random.choice(ports), number)
            held.append(link)
            if len(held) > _HELD:
                held.popleft().close()
            _counts[kind] += 1
            _say(kind, link)
        time.sleep(0.002)


def _say(kind: str, link: socket.socket) -> None:
    if kind == "garbage":
        link.sendall(random.randbytes(random.randrange(1, 3000)))
    elif kind == "greeted":
        link.sendall(GREETING)
    elif kind == "announced":
        link.sendall(GREETING + ANNOUNCEMENT)
        link.settimeout(2.0)
        for _ in range(1024):
            link.sendall(bytes(1 << 20))


def knock(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, server_key: bytes) -> zmq.Socket[bytes]:
    """A real client with a fresh key, which has said something unless it was refused before it could."""
    client = context.socket(zmq.DEALER)
    client.linger = 0
    client.curve_publickey, client.curve_secretkey = zmq.curve_keypair()
    client.curve_serverkey = server_key
    client.connect(endpoint)
    with contextlib.suppress(zmq.Again):  # whoever is refused has nowhere to send any more, and would wait for ever
        client.send(b"let me in", zmq.DONTWAIT)
    return client


def _wrong_keys(ports: list[int]) -> None:
    """Clients with a fresh key each; the server's public key is no secret, but is not known either."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server, _ = zmq.curve_keypair()
    while True:
        client = knock(context, f"tcp://127.0.0.5:0;127.0.0.1:{random.choice(ports)}", server)
        time.sleep(0.02)
        client.close()
        _counts["wrong key"] += 1


def _end(*_: object) -> None:
    print(_counts, flush=True)
    os._exit(0)


def main(ports: list[int]) -> None:
    """Attack."""
    signal.signal(signal.SIGTERM, _end)
    os.nice(10)
    for kind in ("held", "garbage", "greeted", "announced"):
        threading.Thread(target=_repeat, args=(kind, ports), daemon=True).start()
    threading.Thread(target=_wrong_keys, args=(ports,), daemon=True).start()
    while not all(_counts.values()):
        time.sleep(0.05)
    print("flooding", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
