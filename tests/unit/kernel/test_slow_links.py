"""Bytes on the way are progress: what a sender knows of a link that is slow, and of one that stands still."""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.proxy import Proxy

from edgebll.kernel.transport import ControlClient, ControlServer, Receiver, Sender
from edgebll.kernel.wire import LinkProbe, Message, Ping

#: More than the kernel takes of it at once.
LARGE = LinkProbe(tensors={"bytes": np.zeros(24 << 20, np.uint8)})


def await_true(what: object, limit_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def receive(receiver: Receiver) -> Message:
    message = receiver.receive(20.0)
    assert message is not None
    return message


def test_a_sender_knows_what_has_not_arrived() -> None:
    with (
        Receiver("tcp://127.0.0.1:0") as receiver,
        Proxy(int(receiver.endpoint.rsplit(":", 1)[1])) as proxy,
        Sender(f"tcp://127.0.0.1:{proxy.port}") as sender,
    ):
        assert sender.on_the_way == 0
        sender.send(Ping(1), 5.0)
        receive(receiver)
        await_true(lambda: not sender.broken and sender.acknowledged > 0 and sender.on_the_way == 0)
        proxy.hold.clear()
        sender.send(LARGE, 5.0)
        await_true(lambda: not sender.broken and sender.on_the_way > 0)
        stands = sender.acknowledged
        assert sender.on_the_way > 0, "it stands still"
        proxy.hold.set()
        receive(receiver)
        await_true(lambda: sender.on_the_way == 0)
        assert sender.acknowledged - stands > 0
        assert sender.acknowledged > LARGE.tensors["bytes"].nbytes


@pytest.mark.parametrize("patience_s", [0.5])
def test_a_link_is_not_closed_before_all_has_arrived_however_long_that_takes(patience_s: float) -> None:
    with Receiver("tcp://127.0.0.1:0") as receiver, Proxy(int(receiver.endpoint.rsplit(":", 1)[1])) as proxy:
        proxy.delay_s = 0.001
        with Sender(f"tcp://127.0.0.1:{proxy.port}") as sender:
            sender.send(LARGE, 5.0)
            began_s = time.monotonic()
            sender.drain(patience_s)
            assert time.monotonic() - began_s > patience_s, "it takes longer than nothing may move"
        assert receive(receiver).tensors["bytes"].nbytes == LARGE.tensors["bytes"].nbytes


def test_but_not_longer_than_nothing_moves_or_somebody_waits() -> None:
    with Receiver("tcp://127.0.0.1:0") as receiver, Proxy(int(receiver.endpoint.rsplit(":", 1)[1])) as proxy:
        with Sender(f"tcp://127.0.0.1:{proxy.port}") as sender:
            sender.send(Ping(1), 5.0)
            receive(receiver)
            proxy.hold.clear()
            sender.send(LARGE, 5.0)
            await_true(lambda: not sender.broken and sender.on_the_way > 0)
            began_s = time.monotonic()
            sender.drain(60.0, lambda: True)
            sender.drain(0.3)
            assert time.monotonic() - began_s < 20.0
        proxy.hold.set()


def test_a_host_knows_what_has_come_of_a_message_that_is_not_whole() -> None:
    with (
        ControlServer("tcp://127.0.0.1:0") as server,
        Proxy(int(server.endpoint.rsplit(":", 1)[1])) as proxy,
        ControlClient(f"tcp://127.0.0.1:{proxy.port}") as host,
    ):
        host.send(Ping(1))
        received = server.receive(5.0)
        assert received is not None
        proxy.delay_s = 0.002
        server.send(received[0], LARGE)
        await_true(lambda: not host.broken and host.traffic[1] > 100_000)
        first = host.traffic[1]
        assert host.receive(0.0) is None
        await_true(lambda: host.traffic[1] > first)
        proxy.delay_s = 0.0
        assert isinstance(host.receive(20.0), LinkProbe)
