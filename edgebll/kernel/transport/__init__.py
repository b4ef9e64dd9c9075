"""Links between host and boards over ZeroMQ: whole messages in, whole messages out, every wait bounded.

Two kinds of connection. Control (`ControlServer` on a board, `ControlClient` on the host) carries everything but
tokens. Data (`Receiver` on a board, `Sender` upstream) carries tokens only and may be stopped by back-pressure, so
liveness never runs on it. ZeroMQ's own heartbeats stay off, and no high-water mark ever drops: the host's window bounds
what is in flight.

Every endpoint has a ZeroMQ context of its own. So each server has its own list of allowed keys, closing one returns
only when its port is free again, and nothing is shared between threads but what the caller shares. An endpoint may be
handed from one thread to another, but used by one at a time only.
"""

from edgebll.kernel.transport.address import check_address, check_security, is_loopback, reachable
from edgebll.kernel.transport.control import ControlClient, ControlServer
from edgebll.kernel.transport.data import Receiver, Sender
from edgebll.kernel.transport.sockets import Pollable, Wakeup, poll

__all__ = [
    "ControlClient",
    "ControlServer",
    "Pollable",
    "Receiver",
    "Sender",
    "Wakeup",
    "check_address",
    "check_security",
    "is_loopback",
    "poll",
    "reachable",
]
