"""Pairing: whoever knows the code is let in, nobody else, and only once; a person in between is noticed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from edgebll.kernel.errors import LinkError, LinkTimeout, WireError
from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.pairing import link as pairing_link
from edgebll.kernel.pairing.code_exchange import (
    BOARD,
    HOST,
    Confirmation,
    Opening,
    Side,
    decode_opening,
    encode_line,
)
from edgebll.kernel.pairing.link import MAX_WAITING, PairingServer, call_board

LOCAL = "tcp://127.0.0.1:0"


CODE = "271828"


LIMIT_S = 20.0


def host_side(code: str = CODE) -> Side:
    return Side(HOST, code, make_key_pair().public, "laptop")


def board_side(code: str = CODE) -> Side:
    return Side(BOARD, code, make_key_pair().public, "orin", 7101)


@pytest.fixture
def server() -> Iterator[PairingServer]:
    with PairingServer(LOCAL) as opened:
        yield opened


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as opened:
        yield opened


def test_who_knows_the_code_learns_the_keys(server: PairingServer, pool: ThreadPoolExecutor) -> None:
    board, host = board_side(), host_side()
    waiting = pool.submit(server.pair, board, LIMIT_S)
    assert call_board(server.endpoint, host) == board.opening
    assert waiting.result() == host.opening


def test_a_wrong_code_tells_both_sides_and_uses_the_code_up(server: PairingServer, pool: ThreadPoolExecutor) -> None:
    waiting = pool.submit(server.pair, board_side(), LIMIT_S)
    with pytest.raises(LinkError, match="the code was wrong, or somebody is between"):
        call_board(server.endpoint, host_side("271829"))
    with pytest.raises(LinkError, match="without knowing the code, as laptop"):
        waiting.result()


def test_the_board_never_answers_a_wrong_proof(server: PairingServer, pool: ThreadPoolExecutor) -> None:
    """A false host learns from one attempt whether its one guess was right, and nothing else."""
    waiting = pool.submit(server.pair, board_side(), LIMIT_S)
    false = host_side("000000")
    with socket.create_connection(("127.0.0.1", int(server.endpoint.rpartition(":")[2])), LIMIT_S) as link:
        link.sendall(encode_line(false.opening))
        stream = link.makefile("rb")
        false.take(decode_opening(stream.readline()))
        link.sendall(encode_line(false.confirm()))
        assert stream.read() == b""
    assert isinstance(waiting.exception(LIMIT_S), LinkError)


def test_an_attempt_that_is_broken_off_uses_the_code_up(server: PairingServer, pool: ThreadPoolExecutor) -> None:
    waiting = pool.submit(server.pair, board_side(), LIMIT_S)
    with socket.create_connection(("127.0.0.1", int(server.endpoint.rpartition(":")[2])), LIMIT_S) as link:
        link.sendall(encode_line(host_side().opening))
        link.makefile("rb").readline()
    with pytest.raises(LinkError, match="shows a new code"):
        waiting.result()


def _between(server: PairingServer, change: Callable[[bytes], bytes]) -> tuple[str, threading.Thread]:
    """A relay in front of a board that changes the lines."""
    listener = socket.create_server(("127.0.0.1", 0))

    def relay() -> None:
        with listener, contextlib.suppress(OSError):
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", int(server.endpoint.rpartition(":")[2])), LIMIT_S)
            with near, far:
                streams = near.makefile("rb"), far.makefile("rb")
                for turn in range(4):
                    line = streams[turn % 2].readline()
                    (far if turn % 2 == 0 else near).sendall(change(line))
                    if not line:
                        return

    thread = threading.Thread(target=relay)
    thread.start()
    return f"tcp://127.0.0.1:{listener.getsockname()[1]}", thread


_EVIL = make_key_pair().public


@pytest.mark.parametrize(
    ("field", "value"), [("public_key", _EVIL), ("name", "evil"), ("port", 6666)], ids=["key", "name", "port"]
)
def test_whoever_changes_what_is_said_is_noticed(
    server: PairingServer, pool: ThreadPoolExecutor, field: str, value: object
) -> None:
    def change(line: bytes) -> bytes:
        document = json.loads(line or b"{}")
        if field not in document:
            return line
        return json.dumps({**document, field: value}, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    waiting = pool.submit(server.pair, board_side(), LIMIT_S)
    endpoint, thread = _between(server, change)
    with pytest.raises(LinkError):
        call_board(endpoint, host_side())
    with pytest.raises(LinkError):
        waiting.result()
    thread.join(LIMIT_S)


def test_an_honest_relay_changes_nothing(server: PairingServer, pool: ThreadPoolExecutor) -> None:
    waiting = pool.submit(server.pair, board_side(), LIMIT_S)
    endpoint, thread = _between(server, lambda line: line)
    assert call_board(endpoint, host_side()).name == "orin"
    assert waiting.result().name == "laptop"
    thread.join(LIMIT_S)


def test_in_between_with_a_guess_of_ones_own_is_noticed(server: PairingServer, pool: ThreadPoolExecutor) -> None:
    """Two exchanges, one with each side, under a guessed code: neither side is taken in."""
    with PairingServer(LOCAL) as evil:
        towards_host = pool.submit(evil.pair, board_side("111111"), LIMIT_S)
        towards_board = pool.submit(call_board, server.endpoint, host_side("111111"))
        board = pool.submit(server.pair, board_side(), LIMIT_S)
        with pytest.raises(LinkError):
            call_board(evil.endpoint, host_side())
        assert all(isinstance(each.exception(LIMIT_S), LinkError) for each in (board, towards_host, towards_board))


def test_proofs_cannot_be_sent_back(pool: ThreadPoolExecutor) -> None:
    host, board = host_side(), board_side()
    host.take(board.opening)
    board.take(host.opening)
    assert board.check(host.confirm())
    assert host.check(board.confirm())
    assert not host.check(host.confirm())
    assert not board.check(board.confirm())
    assert not host.check(Confirmation(""))
    assert not host.check(Confirmation("\u00e9" * 64))
    mirror = host_side()
    with pytest.raises(LinkError, match="own key"):
        mirror.take(mirror.opening)
    with pytest.raises(LinkError, match="pairing failed"):
        mirror.take(dataclasses.replace(mirror.opening, public_key=_EVIL))
    with pytest.raises(LinkError, match="has not opened"):
        host_side().confirm()


def test_another_session_or_another_code_gives_another_proof() -> None:
    host, board = host_side(), board_side()
    host.take(board.opening)
    board.take(host.opening)
    again = board_side()
    again.take(host.opening)
    assert not again.check(host.confirm())
    assert not host.check(again.confirm())


def test_a_code_expires(server: PairingServer) -> None:
    start = time.monotonic()
    with pytest.raises(LinkTimeout, match=r"no host came within .* shows a new code"):
        server.pair(board_side(), 0.3)
    assert time.monotonic() - start < 10.0


def test_strangers_neither_use_the_code_up_nor_keep_the_host_out(
    server: PairingServer, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing_link, "_OPENING_S", 1000.0)
    address = ("127.0.0.1", int(server.endpoint.rpartition(":")[2]))
    waiting: Future[Opening] = pool.submit(server.pair, board_side(), LIMIT_S)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address, LIMIT_S)) for _ in range(3 * MAX_WAITING)]
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 5000, b"{}\n", b"[" * 900 + b"\n", b'{"version":9}\n', b"\n"):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(address, LIMIT_S)).sendall(junk)
        assert silent[0].recv(1) == b""  # it made room
        assert call_board(server.endpoint, host_side()).name == "orin"
        assert waiting.result().name == "laptop"


def test_nobody_there_and_something_else_there_are_told_apart() -> None:
    with PairingServer(LOCAL) as gone:
        endpoint = gone.endpoint
    with pytest.raises(LinkError, match="is `edgebll-board pair` running there"):
        call_board(endpoint, host_side())
    with socket.create_server(("127.0.0.1", 0)) as other, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            with other.accept()[0] as link:
                link.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
                link.recv(10_000)

        done = pool.submit(answer)
        with pytest.raises(WireError, match="something that is not edgebll"):
            call_board(f"tcp://127.0.0.1:{other.getsockname()[1]}", host_side())
        done.result(LIMIT_S)
