"""CURVE key pairs of hosts and boards: made, written with mode 0600, read back. Secrets are never shown or logged."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.atomic_files import storage_errors, write_private
from edgebll.kernel.support.scratch_files import ScratchFile

#: Characters of a key in Z85 (32 bytes).
KEY_CHARS = 40


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair, each key as 40 characters of Z85. The public key is what peers are told."""

    public: str
    secret: str = field(repr=False)


def make_key_pair() -> KeyPair:
    """Make a fresh key pair from the operating system's randomness."""
    import zmq

    public, secret = zmq.curve_keypair()
    while public.startswith(b"-"):  # which a command line would take for an option
        public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def new_key_pair(path: Path | str) -> KeyPair:
    """Make a key pair and write it to `path` with mode 0600.

    Raises:
        ConfigError: the file exists already; a key is never overwritten.
        StorageError: the file cannot be written.
    """
    file, pair = Path(path), make_key_pair()
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with ScratchFile(file.parent, file.name, 0o600) as scratch:
            scratch.stream.write(_document(pair))
            try:
                scratch.place_new(file)
            except FileExistsError as error:
                raise ConfigError(f"{file} exists already; remove it or choose another path for the new key") from error
    return pair


def rotate_key_pair(path: Path | str) -> KeyPair:
    """Replace the key pair in a key file by a new one; the old secret is gone when this returns.

    Raises:
        ConfigError: there is no key file to replace. StorageError: it cannot be written; the old key is still there.
    """
    file = Path(path)
    load_key_pair(file)
    pair = make_key_pair()
    write_private(file, _document(pair))
    return pair


def _document(pair: KeyPair) -> bytes:
    return (json.dumps({"public": pair.public, "secret": pair.secret}, indent=2) + "\n").encode("ascii")


def load_key_pair(path: Path | str) -> KeyPair:
    """Read a key file that `new_key_pair` wrote.

    Raises:
        ConfigError: missing, readable by group or others, or not a key file.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            data = stream.read(4096)
    except OSError as error:
        raise ConfigError(f"the key {file} cannot be read ({error.strerror}); make one with `edgebll keys new`") from error
    if mode & 0o077:
        raise ConfigError(f"the key {file} has mode {mode:04o}, so others may read it; run `chmod 600 {file}`")
    try:
        document = json.loads(data)
        pair = KeyPair(check_public_key(document["public"]), check_public_key(document["secret"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # The cause is cut off: its text could hold a piece of the secret.
        reason = "is not a key file" if not isinstance(error, KeyError) else f"has no {error}"
        raise ConfigError(f"the key {file} {reason}; make one with `edgebll keys new`") from None
    _check_pair(pair, file)
    return pair


def _check_pair(pair: KeyPair, file: Path) -> None:
    import zmq

    if zmq.curve_public(pair.secret.encode("ascii")).decode("ascii") != pair.public:
        raise ConfigError(f"the key {file} holds a public key that does not belong to its secret; make a new one")


def check_public_key(key: str) -> str:
    """Return `key` if it is 40 characters of Z85.

    Raises:
        ConfigError: it is not.
    """
    from zmq.utils import z85

    problem = ConfigError("a public key must be 40 characters of Z85, as `edgebll keys new` prints it")
    if not isinstance(key, str) or len(key) != KEY_CHARS:
        raise problem
    try:
        if len(z85.decode(key.encode("ascii"))) != 32:
            raise problem
    except (ValueError, KeyError, OverflowError, struct.error) as error:  # struct: five characters beyond 32 bits
        if isinstance(error, ConfigError):
            raise
        raise problem from None
    return key


__all__ = ["KEY_CHARS", "KeyPair", "check_public_key", "load_key_pair", "make_key_pair", "new_key_pair", "rotate_key_pair"]
