"""The gate: strangers are bounded in number, time and bytes, and whoever has proved its key is left alone."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import zmq
from support.flood import ANNOUNCEMENT, GREETING, knock

from edgebll.kernel.keys import KeyPair, make_key_pair
from edgebll.kernel.limits import raise_descriptor_limit
from edgebll.kernel.transport import ControlClient, ControlServer, Receiver, Sender
from edgebll.kernel.transport import connection_limits as gates
from edgebll.kernel.transport.connection_limits import BURST, MAX_PENDING, Gate
from edgebll.kernel.transport.rate_quota import Quota
from edgebll.kernel.transport.tcp_connections import connection, cut
from edgebll.kernel.transport.tcp_progress import traffic
from edgebll.kernel.wire import Ping, Pong

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the gate needs what Linux tells of connections")
LOCAL = "tcp://127.0.0.1:0"
WAIT_S = 20.0
HOST, BOARD = make_key_pair(), make_key_pair()


@pytest.fixture
def server() -> Iterator[ControlServer]:
    with ControlServer(LOCAL, keys=BOARD, allowed=[HOST.public]) as opened:
        yield opened


def gate_of(endpoint: ControlServer | Receiver) -> Gate:
    assert endpoint._gate is not None
    return endpoint._gate


def port_of(endpoint: ControlServer | Receiver) -> int:
    return int(endpoint.endpoint.rpartition(":")[2])


def stranger(endpoint: ControlServer | Receiver, address: str = "127.0.0.1") -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port_of(endpoint)), WAIT_S, (address, 0))
    link.settimeout(WAIT_S)
    return link


def client(server: ControlServer, keys: KeyPair = HOST) -> ControlClient:
    return ControlClient(server.endpoint, keys=keys, server_key=BOARD.public)


def eventually(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while not what() and time.monotonic() < deadline:
        time.sleep(0.01)
    return what()


def is_answered(server: ControlServer, asking: ControlClient, number: int) -> bool:
    asking.send(Ping(number))
    received = server.receive(WAIT_S)
    if received is None:
        return False
    server.send(received[0], Pong(number, 0))
    return asking.receive(WAIT_S) == Pong(number, 0)


def is_cut(link: socket.socket) -> bool:
    """Whether the other side hangs up, after whatever greeting it has sent."""
    try:
        while link.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_whoever_has_proved_its_key_is_let_go(server: ControlServer) -> None:
    with client(server) as allowed:
        assert is_answered(server, allowed, 1)
        assert eventually(lambda: gate_of(server).pending == 0)
        assert gate_of(server).cut == 0
    with (
        Receiver(LOCAL, keys=BOARD, allowed=[HOST.public]) as receiver,
        Sender(receiver.endpoint, keys=HOST, server_key=BOARD.public) as sender,
    ):
        sender.send(Ping(1), WAIT_S)
        assert receiver.receive(WAIT_S) == Ping(1)
        assert eventually(lambda: gate_of(receiver).pending == 0)
        assert gate_of(receiver).cut == 0


@pytest.mark.parametrize("said", [b"", b"\xff", GREETING, b"GET / HTTP/1.1\r\n\r\n"[:9]])
def test_whoever_takes_too_long_is_cut(server: ControlServer, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(gates, "HANDSHAKE_S", 0.3)
    with stranger(server) as link:
        link.sendall(said)
        assert is_cut(link)
        assert eventually(lambda: gate_of(server).pending == 0)


def test_libzmq_alone_would_end_slow_handshakes_too(server: ControlServer) -> None:
    assert server._socket.handshake_ivl == round(gates.HANDSHAKE_S * 1000)


def test_whoever_sends_much_before_its_handshake_is_cut(server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "HANDSHAKE_S", 1000.0)
    with stranger(server) as link:
        sent = 0
        with contextlib.suppress(OSError):
            link.sendall(GREETING + ANNOUNCEMENT)
            while sent < 1 << 30:
                sent += link.send(bytes(1 << 16))
                time.sleep(0.001)
        assert sent < 256 << 20
        assert eventually(lambda: gate_of(server).cut == 1)


def test_a_wrong_key_is_no_proof(server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused client never shows the bytes of one that has passed."""
    monkeypatch.setattr(gates, "HANDSHAKE_S", 1000.0)
    seen: list[int] = []

    def note(own: socket.socket) -> tuple[int, int]:
        found = traffic(own)
        seen.append(found[0])
        return found

    monkeypatch.setattr(gates, "traffic", note)
    with client(server, make_key_pair()) as wrong:
        with contextlib.suppress(Exception):
            wrong.send(Ping(1))
        assert server.receive(0.5) is None
        assert seen
        assert max(seen) <= gates._UNPROVED_ACKED


def test_one_address_cannot_take_all_places(server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PER_SECOND", 0.0)
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(stranger(server, "127.0.0.2")) for _ in range(BURST + 20)]
        assert all(is_cut(link) for link in links[BURST:])
        assert eventually(lambda: gate_of(server).pending <= BURST)
        assert is_answered(server, stack.enter_context(client(server)), 1)


def test_all_addresses_together_cannot_take_all_places(server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "HANDSHAKE_S", 1000.0)
    with contextlib.ExitStack() as stack:
        stands = stack.enter_context(client(server))
        assert is_answered(server, stands, 1)
        links = [stack.enter_context(stranger(server, f"127.0.1.{1 + index % 200}")) for index in range(MAX_PENDING + 20)]
        assert eventually(lambda: gate_of(server).cut >= 20)
        assert all(is_cut(link) for link in links[:20])
        assert eventually(lambda: gate_of(server).pending <= MAX_PENDING)
        assert is_answered(server, stack.enter_context(client(server)), 2)  # a new one is let in
        assert is_answered(server, stands, 3)  # and the old one is still there


@pytest.mark.slow
def test_what_is_said_of_strangers_stays_short(server: ControlServer, caplog: pytest.LogCaptureFixture) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with caplog.at_level(logging.INFO), contextlib.ExitStack() as stack:
        links = [stack.enter_context(stranger(server, "127.0.0.3")) for _ in range(BURST + 40)]
        assert is_cut(links[-1])
        for _ in range(40):
            wrong = knock(context, server.endpoint, BOARD.public.encode())
            server.receive(0.02)
            wrong.close()
    context.term()
    assert gate_of(server).cut > 0
    assert 2 <= len(caplog.records) < 40
    assert "left too many handshakes unfinished" in caplog.text
    assert "whose key is not allowed" in caplog.text


def test_descriptors_of_others_are_never_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ours = socket.create_connection(("127.0.0.1", port))
        theirs = listener.accept()[0]
        read, write = os.pipe()
        with ours, theirs:
            for number in (ours.fileno(), listener.fileno(), read, 1_000_000):  # goes out, listens, is none, does not exist
                assert not cut(number, port)
            theirs.setblocking(False)
            with connection(theirs.fileno(), port) as found:
                assert found is not None
                assert found.getpeername() == ours.getsockname()
            assert not os.get_blocking(theirs.fileno())
            assert cut(theirs.fileno(), port)
            assert ours.recv(1) == b""
        os.close(read)
        os.close(write)


def test_a_quota_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    quota = Quota(3, 2.0)
    assert [quota.take() for _ in range(4)] == [True, True, True, False]
    now[0] += 0.5
    assert [quota.take(), quota.take()] == [True, False]
    quota.give_back()
    assert quota.take()
    now[0] += 1000
    assert [quota.take() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8::5:6", "2001:db8::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_ipv6_peer_is_its_network(address: str, network: str) -> None:
    assert gates._network(address) == network


def test_the_limit_of_descriptors_is_raised_and_never_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert raise_descriptor_limit() == (8192 if before[1] == resource.RLIM_INFINITY else min(8192, before[1]))
        assert raise_descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
