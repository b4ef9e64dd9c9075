from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import numpy as np
import pytest
import zmq

from edgebll.kernel.errors import ConfigError, LinkError, LinkTimeout, WireError
from edgebll.kernel.keys import KeyPair, make_key_pair
from edgebll.kernel.transport import (
    ControlClient,
    ControlServer,
    Receiver,
    Sender,
    Wakeup,
    poll,
)
from edgebll.kernel.transport.sockets import Pollable
from edgebll.kernel.wire import TRAIN, Failure, Ping, Pong, Token

LOCAL = "tcp://127.0.0.1:0"


WAIT_S = 5.0


#: How long to watch for something that must not happen.
QUIET_S = 0.4


def token(sequence: int = 0, size: int = 5) -> Token:
    return Token("run", "block0", TRAIN, sequence, 0, tensors={"x": np.arange(size, dtype=np.float32)})


@pytest.fixture(scope="module")
def host_keys() -> KeyPair:
    return make_key_pair()


@pytest.fixture(scope="module")
def board_keys() -> KeyPair:
    return make_key_pair()


@pytest.fixture
def raw_dealer() -> Iterator[zmq.Socket[bytes]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    yield socket
    socket.close()
    context.term()


def test_data_arrives_in_order_and_unchanged() -> None:
    with Receiver(LOCAL) as receiver, Sender(receiver.endpoint) as sender:
        for sequence in range(50):
            sender.send(token(sequence, size=1 + sequence * 997), WAIT_S)
        for sequence in range(50):
            message = receiver.receive(WAIT_S)
            assert isinstance(message, Token)
            assert message.sequence == sequence
            x = message.tensors["x"]
            assert x.flags.aligned
            np.testing.assert_array_equal(x, np.arange(1 + sequence * 997, dtype=np.float32))
        assert receiver.receive(0) is None


def test_control_answers_the_peer_that_asked() -> None:
    with ControlServer(LOCAL) as server, ControlClient(server.endpoint) as one, ControlClient(server.endpoint) as two:
        one.send(Ping(1))
        two.send(Ping(2))
        for _ in range(2):
            received = server.receive(WAIT_S)
            assert received is not None
            peer, message = received
            assert isinstance(message, Ping)
            server.send(peer, Pong(message.sent_ns, 0))
        assert one.receive(WAIT_S) == Pong(1, 0)
        assert two.receive(WAIT_S) == Pong(2, 0)


@pytest.mark.parametrize("make", [Receiver, ControlServer])
def test_a_port_in_use_is_one_sentence_and_free_again_after_close(make: type) -> None:
    with make(LOCAL) as first, pytest.raises(LinkError, match="is in use by another program; stop it or choose"):
        make(first.endpoint)
    with make(first.endpoint) as second:
        assert second.endpoint == first.endpoint


def test_an_address_of_another_machine_is_refused(board_keys: KeyPair) -> None:
    with pytest.raises(LinkError, match="is not an address of this machine"):
        Receiver("tcp://192.0.2.1:0", keys=board_keys)


def test_curve_lets_the_allowed_key_in(host_keys: KeyPair, board_keys: KeyPair) -> None:
    with (
        ControlServer(LOCAL, keys=board_keys, allowed=[host_keys.public]) as server,
        ControlClient(server.endpoint, keys=host_keys, server_key=board_keys.public) as client,
    ):
        client.send(Ping(7))
        received = server.receive(WAIT_S)
        assert received is not None
        server.send(received[0], Pong(7, 8))
        assert client.receive(WAIT_S) == Pong(7, 8)


def test_curve_keeps_an_unknown_key_out_until_it_is_allowed(
    host_keys: KeyPair, board_keys: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Receiver(LOCAL, keys=board_keys) as receiver,
        Sender(receiver.endpoint, keys=host_keys, server_key=board_keys.public) as sender,
    ):
        with pytest.raises(LinkTimeout, match=r"refused the key|key allowed there"):
            sender.send(token(), QUIET_S)
        assert f"whose key is not allowed: {host_keys.public}" in caplog.text
        assert host_keys.secret not in caplog.text
        receiver.allow([host_keys.public])
        sender.send(token(), WAIT_S)
        assert receiver.receive(WAIT_S) == token()


def test_curve_refuses_a_wrong_server_key_and_a_plain_client(host_keys: KeyPair, board_keys: KeyPair) -> None:
    with (
        ControlServer(LOCAL, keys=board_keys, allowed=[host_keys.public]) as server,
        ControlClient(server.endpoint, keys=host_keys, server_key=host_keys.public) as wrong,
        ControlClient(server.endpoint) as plain,
    ):
        wrong.send(Ping(1))
        plain.send(Ping(2))
        assert server.receive(QUIET_S) is None
        assert "refused the key, or only one side has keys" in wrong.diagnosis()
        assert "refused the key, or only one side has keys" in plain.diagnosis()


def test_half_a_key_set_is_refused(host_keys: KeyPair) -> None:
    with pytest.raises(ConfigError, match="both an own key and the board's public key"):
        Sender("tcp://127.0.0.1:9", keys=host_keys)
    with pytest.raises(ConfigError, match="40 characters of Z85"):
        Sender("tcp://127.0.0.1:9", keys=host_keys, server_key="short")
    with pytest.raises(ConfigError, match="has none of its own"):
        Receiver(LOCAL, allowed=[host_keys.public])


def test_sending_to_nobody_ends_at_the_deadline() -> None:
    with Receiver(LOCAL) as receiver:
        endpoint = receiver.endpoint
    with Sender(endpoint) as sender:
        start = time.monotonic()
        with pytest.raises(LinkTimeout, match="is a board serving at that address"):
            sender.send(token(), 0.2)
        assert time.monotonic() - start < 10.0


def test_a_sender_finds_a_receiver_that_starts_later() -> None:
    with Receiver(LOCAL) as receiver:
        endpoint = receiver.endpoint
    with Sender(endpoint) as sender, Receiver(endpoint) as later:
        sender.send(token(), WAIT_S)
        assert later.receive(WAIT_S) == token()


def test_answering_a_peer_that_left_is_a_link_error() -> None:
    with ControlServer(LOCAL) as server, pytest.raises(LinkError, match="its peer is gone"):
        server.send(b"nobody", Pong(1, 2))


def test_malformed_messages_do_not_stop_a_server(raw_dealer: zmq.Socket[bytes], caplog: pytest.LogCaptureFixture) -> None:
    with ControlServer(LOCAL) as server, ControlClient(server.endpoint) as client:
        raw_dealer.connect(server.endpoint)
        for junk in ([b""], [b"\xff" * 30], [b"\x93\x01\x02\x03", b"tail"]):
            raw_dealer.send_multipart(junk)
        assert server.receive(QUIET_S) is None
        assert server.malformed == 3
        assert caplog.text.count("dropped a message") == 3
        assert raw_dealer.poll(round(WAIT_S * 1000))  # the peer is told
        client.send(Ping(1))
        received = server.receive(WAIT_S)
        assert received is not None
        assert received[1] == Ping(1)


def test_malformed_data_is_dropped_and_counted() -> None:
    with Receiver(LOCAL) as receiver, Sender(receiver.endpoint) as sender:
        sender._socket.send_multipart([b"not msgpack"])
        sender.send(token(), WAIT_S)
        with_level = logging.getLogger("edgebll.kernel.transport.endpoint_roles")
        assert with_level.isEnabledFor(logging.WARNING)
        assert receiver.receive(WAIT_S) == token()
        assert receiver.malformed == 1


def test_a_client_says_what_a_strange_board_sent(raw_dealer: zmq.Socket[bytes]) -> None:
    port = raw_dealer.bind_to_random_port("tcp://127.0.0.1")
    with ControlClient(f"tcp://127.0.0.1:{port}") as client:
        raw_dealer.send_multipart([b"hello there"])
        with pytest.raises(WireError, match="message header"):
            client.receive(WAIT_S)


def test_one_thread_waits_for_several() -> None:
    wakeup = Wakeup()
    with Receiver(LOCAL) as one, Receiver(LOCAL) as two, Sender(two.endpoint) as sender:
        every: list[Pollable] = [one, two, wakeup]
        assert poll(every, 0) == []
        sender.send(token(), WAIT_S)
        assert poll(every, WAIT_S) == [two]
        wakeup.set()
        wakeup.set()
        left: list[Pollable] = [one, wakeup]
        assert poll(left, WAIT_S) == [wakeup]
        wakeup.clear()
        assert poll(left, 0) == []
    wakeup.close()


def test_a_failure_reaches_the_client_of_another_protocol_version(raw_dealer: zmq.Socket[bytes]) -> None:
    import msgpack

    from edgebll.kernel.wire.codec import decode

    with ControlServer(LOCAL) as server:
        raw_dealer.connect(server.endpoint)
        raw_dealer.send(msgpack.packb([99, 9, {"sent_ns": 1}, []]))
        assert server.receive(QUIET_S) is None
        assert raw_dealer.poll(round(WAIT_S * 1000))
        answer = decode(raw_dealer.recv_multipart())
        assert isinstance(answer, Failure)
        assert "protocol 99" in answer.message
