"""What a board has for itself in a state folder that several share, under its name.

    DIR/identities/<key>.json   who it is
    DIR/identities/<key>.lock   locked by the agent that is it now
    DIR/runs/<key>.json         the runs it has seen, see runs.py
    DIR/hosting/<key>.json      the blocks it hosts, see last_hosting.py

The key is the name's; a second agent of the name that serves at the same time takes another one, so it is a board of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import uuid
from pathlib import Path

from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.atomic_files import storage_errors, write_json
from edgebll.kernel.support.scratch_files import lock

_log = logging.getLogger(__name__)

#: Agents of one name in one folder.
MAX_NAMESAKES = 64
_IDENTITY_CHARS = len(uuid.uuid4().hex)


class BoardFiles:
    """The place of one agent; close it when done.

    Args:
        state_dir: the folder.
        name: what the board calls itself.

    Attributes:
        key: what its files are called.
        runs: the file of the runs it has seen.
        hosting: of the blocks it hosts.

    Raises:
        StorageError: nothing can be written there, or too many agents of the name serve from there.
    """

    def __init__(self, state_dir: Path, name: str) -> None:
        self._name, self._folder = name, state_dir / "identities"
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        for number in range(1, MAX_NAMESAKES + 1):
            self.key = digest if number == 1 else f"{digest}-{number}"
            descriptor = self._lock()
            if descriptor is not None:
                break
        else:
            raise StorageError(
                f"{MAX_NAMESAKES} agents named {name} serve from {state_dir}; choose other names or another folder"
            )
        if number > 1:
            _log.warning("another agent named %s serves from %s; give each a --name of its own", name, state_dir)
        self._descriptor = descriptor
        self.runs, self.hosting = (state_dir / folder / f"{self.key}.json" for folder in ("runs", "hosting"))

    def _lock(self) -> int | None:
        """The descriptor that holds the lock; None if another agent has it."""
        path = self._folder / f"{self.key}.lock"
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if lock(descriptor):
            return descriptor
        os.close(descriptor)
        return None

    def identity(self) -> str:
        """Who the board is: made up when it first serves there, the same ever after.

        Raises:
            StorageError: it cannot be kept.
        """
        path = self._folder / f"{self.key}.json"
        try:
            kept = json.loads(path.read_bytes())["identity"]
            if isinstance(kept, str) and len(kept) == _IDENTITY_CHARS:
                return kept
        except (OSError, ValueError, KeyError, TypeError):
            pass  # the first time, or damaged
        made = uuid.uuid4().hex
        write_json(path, {"name": self._name, "identity": made})
        return made

    def close(self) -> None:
        """Let another agent have the place; its files stay."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
