"""Addresses: what loopback is, what needs keys, what is refused."""

import pytest

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import KeyPair, make_key_pair
from edgebll.kernel.transport import (
    ControlClient,
    ControlServer,
    Receiver,
    Sender,
    check_security,
    is_loopback,
    reachable,
)


@pytest.fixture(scope="module")
def board_keys() -> KeyPair:
    return make_key_pair()


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:7101", True),
        ("tcp://127.9.8.7:0", True),
        ("tcp://localhost:*", True),
        ("tcp://[::1]:7101", True),
        ("tcp://0.0.0.0:7101", False),
        ("tcp://*:7101", False),
        ("tcp://192.168.1.5:7101", False),
        ("tcp://orin:7101", False),
        ("tcp://127.0.0.1.example.org:7101", False),
    ],
)
def test_loopback_is_recognised(endpoint: str, expected: bool) -> None:
    assert is_loopback(endpoint) is expected


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:7101", "tcp://127.0.0.1", "tcp://h:99999", "ipc://x", "tcp://a b:1"])
def test_a_malformed_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="must look like tcp://HOST:PORT"):
        is_loopback(endpoint)


@pytest.mark.parametrize("make", [Receiver, ControlServer, Sender, ControlClient])
def test_nothing_leaves_loopback_without_keys(make: type) -> None:
    with pytest.raises(ConfigError, match="needs a key on both sides"):
        make("tcp://0.0.0.0:0")


def test_keys_open_other_interfaces(board_keys: KeyPair) -> None:
    check_security("tcp://0.0.0.0:0", board_keys)
    with Receiver("tcp://0.0.0.0:0", keys=board_keys) as receiver:
        assert reachable(receiver.endpoint, "tcp://orin:7101") == receiver.endpoint.replace("0.0.0.0", "orin")


def test_reachable_leaves_a_definite_address_alone() -> None:
    assert reachable("tcp://10.0.0.1:5", "tcp://orin:7101") == "tcp://10.0.0.1:5"
    assert reachable("tcp://[::]:5", "tcp://[fe80::1]:7101") == "tcp://[fe80::1]:5"
