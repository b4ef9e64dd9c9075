"""Where boards find each other: which of their addresses hold for whom."""

from __future__ import annotations

import socket

import pytest

from edgebll.kernel.errors import LinkError
from edgebll.kernel.transport import name_resolution as resolving
from edgebll_firmware_host.fleet import addresses
from edgebll_firmware_host.fleet.addresses import Addresses

#: What the host's names stand for.
NAMES = {
    "orin-1": ("10.0.0.1",),
    "orin-2": ("fe80::2", "fd00::2"),
    "laptop": ("127.0.1.1",),
    "localhost": ("127.0.0.1",),
    "odd": (),
}
LOCAL, REMOTE = "tcp://127.0.0.1:7101", "tcp://10.0.0.9:7101"


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(endpoint: str) -> tuple[str, ...]:
        host = endpoint.removeprefix("tcp://").rsplit(":", 1)[0].strip("[]")
        if resolving.is_address(host):
            return (host,)
        if not NAMES.get(host):
            raise LinkError("no such name")
        return NAMES[host]

    monkeypatch.setattr(addresses, "resolve", known)


@pytest.mark.parametrize(
    ("announced", "entry", "source", "expected"),
    [
        ("tcp://10.0.0.1:9", "tcp://10.0.0.1:7", REMOTE, ["tcp://10.0.0.1:9"]),
        ("tcp://0.0.0.0:9", "tcp://10.0.0.1:7", REMOTE, ["tcp://10.0.0.1:9"]),
        ("tcp://0.0.0.0:9", "tcp://orin-1:7", REMOTE, ["tcp://10.0.0.1:9", "tcp://orin-1:9"]),
        ("tcp://orin-1:9", "tcp://10.0.0.1:7", REMOTE, ["tcp://10.0.0.1:9", "tcp://orin-1:9"]),
        ("tcp://[::]:9", "tcp://orin-2:7", REMOTE, ["tcp://[fd00::2]:9", "tcp://orin-2:9"]),
        ("tcp://0.0.0.0:9", "tcp://unknown:7", REMOTE, ["tcp://unknown:9"]),
        ("tcp://0.0.0.0:9", "tcp://orin-1:7", None, ["tcp://orin-1:9"]),
        ("tcp://127.0.0.1:9", LOCAL, LOCAL, ["tcp://127.0.0.1:9"]),
        ("tcp://0.0.0.0:9", LOCAL, LOCAL, ["tcp://127.0.0.1:9"]),
        ("tcp://127.0.0.1:9", LOCAL, REMOTE, ["tcp://127.0.0.1:9"]),
        ("tcp://127.0.0.1:9", REMOTE, REMOTE, ["tcp://127.0.0.1:9"]),
    ],
)
def test_where_a_board_is_looked_for(announced: str, entry: str, source: str | None, expected: list[str]) -> None:
    assert list(Addresses().of(announced, entry, source)) == expected


@pytest.mark.parametrize("entry", [LOCAL, "tcp://laptop:7101", "tcp://localhost:7101"])
def test_the_hosts_own_board_is_at_the_hosts_address_for_others(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setattr(Addresses, "_outward", lambda self, endpoint: "10.0.0.77")
    seen = f"{entry.rpartition(':')[0]}:9"
    assert Addresses().of("tcp://0.0.0.0:9", entry, REMOTE) == ("tcp://10.0.0.77:9", seen)
    assert Addresses().of("tcp://0.0.0.0:9", entry, "tcp://laptop:7102") == (seen,), "it is on the same machine"


def test_the_address_others_see_is_that_of_the_way_to_them() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.5", 7))
        expected = probe.getsockname()[0]
    assert Addresses()._outward("tcp://127.0.0.5:7") == expected
