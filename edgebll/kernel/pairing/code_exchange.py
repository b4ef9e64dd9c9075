"""Telling a host and a board each other's public key by way of a short code, without I/O.

The board shows six digits, a person types them at the host. From the code both derive a secret by SPAKE2 (Abdalla and
Pointcheval, CT-RSA 2005; RFC 9382), which tells neither a listener nor the other side anything about the code, and with that
secret confirm everything that was said, the public keys above all:

    host  -> board   Opening(spake element, host's public key, host's name)
    board -> host    Opening(spake element, board's public key, board's name, port it serves on)
    host  -> board   Confirmation(HMAC over all of it, as host)
    board -> host    Confirmation(HMAC over all of it, as board)

Someone in between must guess the code: one guess of a million for each code, since the board takes one attempt at a code and
shows it for a short time only. The host confirms first, so a wrong guess of a false host is not answered.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import secrets
import socket
from dataclasses import dataclass
from typing import TypeVar

from edgebll.kernel.errors import ConfigError, LinkError, WireError
from edgebll.kernel.keys import check_public_key
from edgebll.kernel.support.optional_imports import import_extra
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain

T = TypeVar("T")
VERSION = 1
DIGITS = 6
#: A line of the exchange; the longest one made here has half as many bytes.
MAX_LINE_BYTES = 1024
HOST, BOARD = b"edgebll host", b"edgebll board"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ELEMENT_BYTES = 33


@dataclass(frozen=True)
class Opening:
    """What a side says first: who it is, and its element of the key exchange (hex). `port` is where the board serves."""

    version: int
    element: str
    public_key: str
    name: str
    port: int = 0

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(
                f"the other side pairs as version {self.version}, this edgebll as {VERSION}; install the same release"
            )
        check_public_key(self.public_key)
        check_name(self.name)
        if not re.fullmatch(f"[0-9a-f]{{{2 * _ELEMENT_BYTES}}}", self.element) or not 0 <= self.port <= 65535:
            raise ValueError("an element of 33 bytes and a port were expected")


@dataclass(frozen=True)
class Confirmation:
    """Proof (hex) that its sender knows the code and saw the same two openings."""

    proof: str


def new_code() -> str:
    """A fresh code of six digits."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"


def check_code(code: str) -> str:
    """Return the digits of a code as a person may have typed it.

    Raises:
        ConfigError: it is not six digits.
    """
    digits = re.sub(r"[ -]", "", code)
    if not re.fullmatch(rf"[0-9]{{{DIGITS}}}", digits):
        raise ConfigError(f"the code the board shows has {DIGITS} digits; start again and type them")
    return digits


def check_name(name: str) -> str:
    """Return `name` if it can name a host or board in files and logs.

    Raises:
        ConfigError: it is not 1 to 63 letters, digits, dots, dashes and underscores.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a name must be 1 to 63 letters, digits, dots, dashes and underscores, not {name[:80]!r}")
    return name


def default_name() -> str:
    """This machine's name, as far as a name may have its characters."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).strip("-._")[:63] or "unnamed"


class Side:
    """One side of one attempt; it cannot be used twice.

    Args:
        role: HOST or BOARD.
        code: six digits.
        public_key: this side's, which the other side is to trust.
        name: what this side is called.
        port: where this side listens; 0 where it does not.

    Raises:
        MissingExtraError: the package spake2 is not installed.
    """

    def __init__(self, role: bytes, code: str, public_key: str, name: str, port: int = 0) -> None:
        spake2 = import_extra("spake2", "pair", "pairing by a code")
        self._errors = (spake2.SPAKEError, ValueError, AssertionError)
        self._role = role
        kind = spake2.SPAKE2_A if role == HOST else spake2.SPAKE2_B
        self._exchange = kind(code.encode("ascii"), idA=HOST, idB=BOARD)
        self.opening = Opening(VERSION, self._exchange.start().hex(), public_key, name, port)
        self._key = b""
        self._said = b""

    def take(self, other: Opening) -> None:
        """Take the other side's opening.

        Raises:
            LinkError: its element is none, or it is our own come back.
        """
        if other.public_key == self.opening.public_key:
            raise LinkError("the other side shows this side's own key; each machine needs a key of its own")
        try:
            self._key = self._exchange.finish(bytes.fromhex(other.element))
        except self._errors as error:
            raise LinkError(f"pairing failed ({type(error).__name__}); start it again on the board") from None
        openings = (self.opening, other) if self._role == HOST else (other, self.opening)
        self._said = hashlib.sha256(b"".join(encode_line(opening) for opening in openings)).digest()

    def confirm(self) -> Confirmation:
        """What proves to the other side that this one knows the code."""
        return Confirmation(self._proof(self._role))

    def check(self, confirmation: Confirmation) -> bool:
        """Whether the other side knows the code and saw the same openings."""
        expected = self._proof(BOARD if self._role == HOST else HOST)
        return hmac.compare_digest(expected.encode("ascii"), confirmation.proof.encode("utf-8", "replace"))

    def _proof(self, role: bytes) -> str:
        if not self._key:
            raise LinkError("pairing failed: the other side has not opened; start it again on the board")
        return hmac.new(self._key, role + self._said, hashlib.sha256).hexdigest()


def encode_line(message: Opening | Confirmation) -> bytes:
    """One line of JSON; the same bytes for the same content."""
    return json.dumps(to_plain(message), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def decode_opening(line: bytes) -> Opening:
    """Read a line.

    Raises:
        WireError: too long, not JSON, or not an opening of this version.
    """
    return _decode(Opening, line)


def decode_confirmation(line: bytes) -> Confirmation:
    """Read a line.

    Raises:
        WireError: too long, not JSON, or not a confirmation.
    """
    return _decode(Confirmation, line)


def _decode(cls: type[T], line: bytes) -> T:
    if len(line) > MAX_LINE_BYTES:
        raise WireError(f"a line of {len(line)} bytes came while pairing; the cap is {MAX_LINE_BYTES}")
    with contextlib.suppress(UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        document = json.loads(line)
        try:
            return from_plain(cls, document, "the other side")
        except (PlainError, ValueError) as error:
            raise WireError(f"pairing failed: {error}") from None
    raise WireError("something that is not edgebll answers there; is `edgebll-board pair` running at that address?")
