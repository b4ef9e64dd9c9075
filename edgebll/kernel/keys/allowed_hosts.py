"""Which hosts may use a board, by name and public key, in a file only its owner may change.

    {"hosts": [{"name": "laptop", "public_key": "..."}]}

Public keys are no secret, but who can add one can use the board; so the file is written with mode 0600, and one that others may
write is refused. A serving board looks at the file about once a second.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import check_public_key
from edgebll.kernel.pairing.code_exchange import check_name
from edgebll.kernel.support.atomic_files import read_capped, storage_errors, write_private
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain
from edgebll.kernel.support.scratch_files import folder_lock

FILE = "hosts.json"
MAX_HOSTS = 256
_MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class AllowedHost:
    """A host's name and public key (Z85)."""

    name: str
    public_key: str

    def __post_init__(self) -> None:
        check_name(self.name)
        check_public_key(self.public_key)


@dataclass(frozen=True)
class _File:
    hosts: tuple[AllowedHost, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if len(self.hosts) > MAX_HOSTS:
            raise ConfigError(f"a board allows at most {MAX_HOSTS} hosts, not {len(self.hosts)}")


def load_hosts(path: Path) -> tuple[AllowedHost, ...]:
    """The hosts of a file; none where there is no file.

    Raises:
        ConfigError: others may write it, it cannot be read, or it is no such file.
    """
    try:
        mode = path.stat().st_mode
        content = read_capped(path, _MAX_BYTES)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"the hosts in {path} cannot be read ({error.strerror}); check who owns it") from error
    except ValueError as error:
        raise ConfigError(f"{error}; remove it and pair again") from error
    if mode & 0o022:
        raise ConfigError(f"{path} has mode {mode & 0o777:04o}, so others may let hosts in; run `chmod 600 {path}`")
    try:
        return from_plain(_File, json.loads(content), str(path)).hosts
    except (PlainError, ConfigError) as error:
        raise ConfigError(f"{error}; remove the file and pair again") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}); remove it and pair again") from error


def allow_host(path: Path, name: str, public_key: str) -> None:
    """Add a host; one of the same name or key is replaced.

    Raises:
        ConfigError: a malformed name or key, or what `load_hosts` raises. StorageError: the file cannot be written.
    """
    new = AllowedHost(name, public_key)
    with _changing(path):
        kept = [host for host in load_hosts(path) if host.name != name and host.public_key != public_key]
        _write(path, (*kept, new))


def revoke_host(path: Path, who: str) -> AllowedHost:
    """Remove a host, by its name or public key, and return it.

    Raises:
        ConfigError: there is none, or what `load_hosts` raises. StorageError: the file cannot be written.
    """
    with _changing(path):
        hosts = load_hosts(path)
        found = next((host for host in hosts if who in (host.name, host.public_key)), None)
        if found is None:
            known = ", ".join(host.name for host in hosts) or "none"
            raise ConfigError(f"{path} has no host {who[:80]!r}; it has {known}")
        _write(path, tuple(host for host in hosts if host != found))
    return found


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Keep others from changing the file between reading and writing it."""
    with contextlib.ExitStack() as stack:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(folder_lock(path.parent))
        yield


def _write(path: Path, hosts: tuple[AllowedHost, ...]) -> None:
    write_private(path, (json.dumps(to_plain(_File(hosts)), indent=2) + "\n").encode())
