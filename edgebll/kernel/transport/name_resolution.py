"""What the names in endpoints stand for on this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from functools import lru_cache

from edgebll.kernel.errors import LinkError
from edgebll.kernel.transport.address import split_tcp


def resolve(endpoint: str) -> tuple[str, ...]:
    """The addresses an endpoint's host has as this machine knows it, IPv4 before IPv6, each once; may wait for a name server.

    Raises:
        LinkError: this machine knows no such name, or has no such network interface.
    """
    host, port = split_tcp(endpoint)
    check_interface(endpoint)
    try:
        found = socket.getaddrinfo(host, None if port == "*" else int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LinkError(f"{this_host()} cannot resolve the name {host!r} ({reason.lower()})") from error
    by_family = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in by_family))


def check_interface(endpoint: str) -> None:
    """Refuse an address such as [fe80::1%eth0] whose network interface this machine does not have.

    Raises:
        LinkError: it does not.
    """
    zone = split_tcp(endpoint)[0].partition("%")[2]
    if zone and not _has_interface(zone):
        raise LinkError(f"{endpoint} names the network interface {zone!r}, which {this_host()} does not have")


def _has_interface(zone: str) -> bool:
    if zone.isdecimal():
        return True
    with contextlib.suppress(OSError):
        return bool(socket.if_nametoindex(zone))
    return False


def this_host() -> str:
    """This machine in messages."""
    return socket.gethostname()


def needs_ipv6(endpoint: str) -> bool:
    """Whether ZeroMQ has to be told that an endpoint is IPv6: an address in brackets, or a name without any IPv4 address."""
    host = split_tcp(endpoint)[0]
    if ":" in host:
        return True
    if host == "*" or is_address(host):
        return False
    with contextlib.suppress(LinkError):
        return _only_ipv6(endpoint)
    return False


@lru_cache(maxsize=1024)
def _only_ipv6(endpoint: str) -> bool:
    """Asked once where there is an answer: name servers may be slow, and recoveries are not to wait for them."""
    return all(":" in address for address in resolve(endpoint))


def is_address(host: str) -> bool:
    """Whether this is an address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def numeric(endpoint: str, address: str) -> str:
    """The endpoint with this address in place of its host."""
    return f"tcp://{f'[{address}]' if ':' in address else address}:{split_tcp(endpoint)[1]}"
