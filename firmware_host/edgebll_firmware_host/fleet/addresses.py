"""Where one board finds another one, as the host sees it: names that only the host can resolve, and boards of its own machine.

A board says where its data socket listens. Where it listens on all interfaces, the host knows it by its own entry, and that may
be a name the other boards cannot resolve, or the loopback address of the host's machine, which is another machine there.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket

from edgebll.kernel.errors import LinkError
from edgebll.kernel.transport import is_loopback, reachable
from edgebll.kernel.transport.address import split_tcp
from edgebll.kernel.transport.name_resolution import is_address, numeric, resolve


class Addresses:
    """Where boards are, for each other; remembers what names stand for, so make it anew with each incarnation."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, announced: str, entry: str, source: str | None) -> tuple[str, ...]:
        """The addresses at which a board may be found, to be tried in this order.

        Args:
            announced: what the board says of its data socket.
            entry: where the host reaches its control socket.
            source: where the host reaches the board that looks for it; None for the host itself.
        """
        seen = reachable(announced, entry)
        if source is None:
            return (seen,)
        if self._is_local(seen):
            outward = self._outward(source) if seen != announced and not self._is_local(source) else None
            return (seen,) if outward is None else (numeric(seen, outward), seen)
        if is_address(split_tcp(seen)[0]):
            return (seen,)
        usable = [address for address in self._resolve(seen) if not _only_here(address)]
        return (numeric(seen, usable[0]), seen) if usable else (seen,)

    def _is_local(self, endpoint: str) -> bool:
        """Whether an endpoint is one of the host's machine alone, by its address or by its name, such as 127.0.1.1."""
        if is_address(split_tcp(endpoint)[0]):
            return is_loopback(endpoint)
        found = self._resolve(endpoint)
        return bool(found) and all(ipaddress.ip_address(address).is_loopback for address in found)

    def _resolve(self, endpoint: str) -> tuple[str, ...]:
        if endpoint not in self._known:
            self._known[endpoint] = ()
            with contextlib.suppress(LinkError):
                self._known[endpoint] = resolve(endpoint)
        return self._known[endpoint]

    def _outward(self, endpoint: str) -> str | None:
        """The address of this machine that others see who are where this endpoint is."""
        port = int(split_tcp(endpoint)[1])
        for address in self._resolve(endpoint):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, port))  # sends nothing
                return str(probe.getsockname()[0])
        return None


def _only_here(address: str) -> bool:
    """Whether an address means another machine elsewhere: loopback, and what lies behind an interface of this one."""
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_link_local
