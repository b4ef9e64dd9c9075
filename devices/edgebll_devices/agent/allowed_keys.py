"""Who may use this board: the public keys it was given at its start, and the hosts file, which may change at any time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys.allowed_hosts import load_hosts

_log = logging.getLogger(__name__)


class AllowedKeys:
    """The allowed keys.

    Args:
        given: public keys that are always allowed.
        hosts_file: of hosts that were paired; may be missing.

    Attributes:
        keys: all of them, as of the last look.

    Raises:
        ConfigError: the file is there and cannot be used.
    """

    def __init__(self, given: Iterable[str], hosts_file: Path | None) -> None:
        self._given, self._file = tuple(given), hosts_file
        self._seen = self._stamp()
        self.keys = (*self._given, *self._paired())
        if hosts_file is not None and not self.keys:
            _log.warning("nobody is let in yet: pair a host (edgebll-board pair), or name its key with --allow")

    def changed(self) -> bool:
        """Look again; whether `keys` may be others now. While the file cannot be used, none of its hosts is let in."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self.keys = (*self._given, *self._paired())
        except ConfigError as error:
            _log.error("no paired host is let in: %s", error)
            self.keys = self._given
        else:
            _log.info("%d hosts are let in", len(self.keys))
        return True

    def _paired(self) -> tuple[str, ...]:
        return tuple(host.public_key for host in load_hosts(self._file)) if self._file is not None else ()

    def _stamp(self) -> tuple[int, ...]:
        """Another value whenever the file is another, has other content or another mode."""
        if self._file is None:
            return ()
        try:
            status = self._file.stat()
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
