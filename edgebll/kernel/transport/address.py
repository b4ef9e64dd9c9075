"""Endpoints such as "tcp://127.0.0.1:7101": what they mean and what may listen there."""

from __future__ import annotations

import ipaddress
import re

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import KeyPair

_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:.]+(?:%[A-Za-z0-9._-]{1,64})?\]|[^:/\[\]\s]+):([0-9]{1,5}|\*)")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")


def split_tcp(endpoint: str) -> tuple[str, str]:
    """Return host (IPv6 without brackets) and port ("*" for any) of a TCP endpoint.

    Raises:
        ConfigError: it is not tcp://HOST:PORT.

    Examples:
        >>> from edgebll.kernel.transport.address import split_tcp
        >>> split_tcp("tcp://[::1]:7101")
        ('::1', '7101')
    """
    match = _TCP.fullmatch(endpoint)
    if match is None or (match[2] != "*" and int(match[2]) > 65535):
        raise ConfigError(f"an endpoint must look like tcp://HOST:PORT, not {endpoint!r}")
    return match[1].strip("[]"), match[2]


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine can reach the endpoint; a host name other than localhost counts as not.

    Raises:
        ConfigError: it is not tcp://HOST:PORT.

    Examples:
        >>> from edgebll.kernel.transport.address import is_loopback
        >>> is_loopback("tcp://127.0.0.1:7101"), is_loopback("tcp://192.168.1.7:7101")
        (True, False)
    """
    host = split_tcp(endpoint)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(endpoint: str) -> None:
    """Refuse an endpoint that nobody can connect to, such as one of any port or all interfaces.

    Raises:
        ConfigError: it is none, or not tcp://HOST:PORT.
    """
    host, port = split_tcp(endpoint)
    if port == "*" or int(port) == 0 or not _is_one_host(host):
        raise ConfigError(f"nobody can connect to {endpoint!r}; give tcp://HOST:PORT with the board's own address and port")


def _is_one_host(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None


def check_security(endpoint: str, keys: KeyPair | None) -> None:
    """Refuse an endpoint other machines can reach unless there are keys.

    Raises:
        ConfigError: off loopback without keys, or not an endpoint.
    """
    if not is_loopback(endpoint) and keys is None:
        raise ConfigError(
            f"{endpoint} can be reached from other machines, which needs a key on both sides; "
            "make one with `edgebll keys new`, or use tcp://127.0.0.1"
        )


def reachable(endpoint: str, via: str) -> str:
    """The address at which a peer finds `endpoint`, given an endpoint `via` of the same machine that it does reach.

    A board that listens on all interfaces says "tcp://0.0.0.0:7201"; seen from a host that reached it at "tcp://orin:7101"
    that is "tcp://orin:7201".
    """
    host, port = split_tcp(endpoint)
    if host not in ("0.0.0.0", "*", "::"):
        return endpoint
    other = split_tcp(via)[0]
    return f"tcp://{f'[{other}]' if ':' in other else other}:{port}"
