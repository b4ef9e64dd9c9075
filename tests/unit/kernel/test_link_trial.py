"""Trying one link: each cause by its name."""

from __future__ import annotations

import socket
import time

import pytest

from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.transport import Receiver
from edgebll.kernel.transport.link_trial import try_link
from edgebll.kernel.wire import LinkProbe


def test_a_link_that_works_has_a_round_trip_a_rate_and_the_address_that_was_used() -> None:
    board, host = make_key_pair(), make_key_pair()
    with Receiver("tcp://127.0.0.1:0", keys=board, allowed=[host.public]) as receiver:
        port = receiver.endpoint.rsplit(":", 1)[1]
        wanted = [f"tcp://no-such-name.invalid:{port}", f"tcp://localhost:{port}"]
        found = try_link(wanted, host, board.public, 100_000, 5.0)
        message = receiver.receive(5.0)
    assert (found.endpoint, found.address, found.problem) == (wanted[1], "127.0.0.1", "")
    assert 0 < found.round_trip_s < 1
    assert found.bytes_per_second > 1e5
    assert isinstance(message, LinkProbe)
    assert message.tensors["bytes"].nbytes == 100_000


def test_a_key_that_is_not_allowed_is_told_apart_from_a_closed_port() -> None:
    board, host = make_key_pair(), make_key_pair()
    with Receiver("tcp://127.0.0.1:0", keys=board, allowed=[]) as receiver:
        refused = try_link([receiver.endpoint], host, board.public, 1000, 1.5)
        endpoint = receiver.endpoint
    assert "the port is open, but no link is made" in refused.problem
    assert "key" in refused.problem
    closed = try_link([endpoint], host, board.public, 1000, 1.0)
    assert closed.problem.startswith(f"nothing listens there (port {endpoint.rsplit(':', 1)[1]} of 127.0.0.1)")


def test_what_cannot_be_an_address_is_told_of_at_once() -> None:
    keys = make_key_pair()
    for endpoint, words in (
        ("tcp://no-such-name.invalid:7", "cannot resolve the name"),
        ("tcp://[fe80::1%nope0]:7", "names the network interface 'nope0'"),
        ("tcp://[fe80::1]:7", "a link-local address needs the interface it lies behind"),
        ("foo", "must look like"),
    ):
        assert words in try_link([endpoint], keys, keys.public, 1, 1.0).problem
    assert try_link([], None, None).problem == "it has no address"
    assert "needs a key on both sides" in try_link(["tcp://10.1.2.3:7"], None, None).problem


@pytest.mark.parametrize("payload", [64 << 10, 64 << 20])
def test_bytes_that_do_not_arrive_are_not_waited_for_longer_than_the_limit(payload: int) -> None:
    """Something takes the connection, and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        found = try_link([f"tcp://127.0.0.1:{silent.getsockname()[1]}"], None, None, payload, 0.5)
    assert found.problem
    assert time.monotonic() - began_s < 5.0
