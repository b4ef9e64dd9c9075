"""Trying a link before it is needed: name, port, keys, a message larger than any packet, round trip and rate."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebll.kernel.errors import EdgebllError, LinkTimeout
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport.address import check_security, split_tcp
from edgebll.kernel.transport.data import Sender
from edgebll.kernel.transport.name_resolution import resolve
from edgebll.kernel.wire import LinkProbe

#: A message that is larger than packets, and takes a second on a link of 2 Mbit/s.
PROBE_BYTES = 256 << 10
#: How long a link may take.
PROBE_S = 3.0
_LOOK_S = (0.0005, 0.02)
#: What has come through of a message on a link that is slow, and not of one that loses all large packets.
_SOME_BYTES = 16 << 10


@dataclass(frozen=True)
class Trial:
    """What came of an attempt: the endpoint, its address, round trip (s), rate (bytes/s), or what is wrong; 0 if not known."""

    endpoint: str
    address: str = ""
    round_trip_s: float = 0.0
    bytes_per_second: float = 0.0
    problem: str = ""


def try_link(
    endpoints: Sequence[str],
    keys: KeyPair | None,
    server_key: str | None,
    payload_bytes: int = PROBE_BYTES,
    limit_s: float = PROBE_S,
    stopped: Callable[[], bool] = lambda: False,
) -> Trial:
    """Send a LinkProbe to the first of these endpoints that can be reached, all of one receiver.

    Args:
        endpoints: tcp://host:port, tried in turn.
        keys: own key pair; None only on loopback.
        server_key: the receiver's public key; None exactly where `keys` is.
        payload_bytes: size of the probe.
        limit_s: for each endpoint.
        stopped: whether nobody waits for it any more.
    """
    found = [Trial("", problem="it has no address")]
    for endpoint in endpoints:
        found.append(_try(endpoint, keys, server_key, payload_bytes, limit_s, stopped))
        if not found[-1].problem:
            return found[-1]
    return found[1] if len(found) > 1 else found[0]


def _try(
    endpoint: str,
    keys: KeyPair | None,
    server_key: str | None,
    payload_bytes: int,
    limit_s: float,
    stopped: Callable[[], bool],
) -> Trial:
    deadline_s = time.monotonic() + limit_s
    try:
        check_security(endpoint, keys)  # before anything leaves this machine
        addresses = resolve(endpoint)
    except EdgebllError as error:
        return Trial(endpoint, problem=str(error))
    knocked = _knock(endpoint, addresses, limit_s)
    if knocked.problem:
        return knocked
    try:
        with Sender(endpoint, keys=keys, server_key=server_key) as sender:
            sender.send(LinkProbe(tensors={"bytes": np.zeros(payload_bytes, np.uint8)}), deadline_s - time.monotonic())
            rate, problem = _watch(sender, payload_bytes, deadline_s, stopped)
    except LinkTimeout as error:
        why = str(error).partition("; ")[2] or "nothing comes back"
        return Trial(endpoint, knocked.address, problem=f"the port is open, but no link is made; {why}")
    except EdgebllError as error:
        return Trial(endpoint, knocked.address, problem=str(error))
    return Trial(endpoint, knocked.address, knocked.round_trip_s, rate, problem)


def _knock(endpoint: str, addresses: Sequence[str], limit_s: float) -> Trial:
    """Open the port and close it again: how long that takes is a round trip."""
    port, problem = int(split_tcp(endpoint)[1]), ""
    for address in addresses:
        began_s = time.monotonic()
        try:
            with socket.create_connection((address, port), timeout=limit_s):
                return Trial(endpoint, address, time.monotonic() - began_s)
        except OSError as error:
            problem = problem or _why(error, address, port, limit_s)
    return Trial(endpoint, addresses[0] if addresses else "", problem=problem or "its name has no address")


def _why(error: OSError, address: str, port: int, limit_s: float) -> str:
    if error.errno == errno.ECONNREFUSED:
        return f"nothing listens there (port {port} of {address}); is the agent running, and is this its data port?"
    if isinstance(error, TimeoutError):
        return f"no answer within {limit_s:g} s; is the machine on, and does a firewall let port {port} through?"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"there is no way to {address}; are both in one network, or is a route missing?"
    if error.errno == errno.EINVAL and address.lower().startswith("fe80:"):
        return "a link-local address needs the interface it lies behind, as in [fe80::1%eth0]; better give a global one"
    return f"{error.strerror or error}"


def _watch(sender: Sender, payload_bytes: int, deadline_s: float, stopped: Callable[[], bool]) -> tuple[float, str]:
    """Wait until the other side has confirmed a message; its rate, and what is wrong with the link."""
    if sys.platform != "linux":
        return 0.0, ""  # the system does not tell
    began_s, look_s, done, rate = time.monotonic(), _LOOK_S[0], 0, 0.0
    while not stopped():
        done, now_s = sender.acknowledged, time.monotonic()
        if not rate and done >= payload_bytes * 3 // 4:  # the last of it may be confirmed late on purpose
            rate = done / max(now_s - began_s, 1e-6)
        if done >= payload_bytes:
            return rate, ""
        if sender.broken:
            return 0.0, "the connection broke while a message was on its way; check the network"
        if now_s > deadline_s:
            break
        time.sleep(look_s)
        look_s = min(2 * look_s, _LOOK_S[1])
    if done >= _SOME_BYTES:
        return done / (time.monotonic() - began_s), ""  # slow, but moving
    return 0.0, (
        f"connections are made, but a message of {payload_bytes >> 10} KiB does not come through: large packets are lost on "
        "the way (MTU); lower the MTU of the interfaces, or let routers say that packets are too big (ICMP)"
    )
