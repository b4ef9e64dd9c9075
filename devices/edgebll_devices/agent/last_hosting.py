"""Which blocks an agent hosted when it was killed for want of memory: noted while it hosts them, looked at at its next start.

The system kills a process that takes more memory than there is, or than its control group may have, without a word to it. But
it counts whom it kills: where that count has grown since the note, and the note is still there, the agent was probably one.
"""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.errors import StorageError
from edgebll.kernel.limits import kills_for_memory
from edgebll.kernel.support.atomic_files import write_json
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain

_log = logging.getLogger(__name__)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Starved:
    """A run's blocks that the agent was killed with, probably for want of memory, and how often so far."""

    run: str = ""
    blocks: tuple[str, ...] = ()
    times: int = 0


@dataclass(frozen=True)
class _Note:
    """What is on the disk: what it hosts now, if anything, with the system's count of kills; and what it was killed with."""

    run: str
    blocks: tuple[str, ...]
    kills: int
    boot: str
    starved: Starved


class LastHosting:
    """The note of one agent. A disk that refuses costs it, and nothing else.

    Args:
        path: its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starved, self._hosts = self._look(), False

    def starved(self, run: str) -> Starved:
        """What the agent was killed with in this run; empty if in none."""
        return self._starved if self._starved.run == run else Starved()

    def begins(self, run: str, blocks: tuple[str, ...]) -> None:
        """It is about to load blocks."""
        self._hosts = True
        self._write(run, blocks)

    def over(self) -> None:
        """It hosts nothing any more, and lives."""
        if self._hosts:
            self._hosts = False
            self._write("", ())

    def _write(self, run: str, blocks: tuple[str, ...]) -> None:
        try:
            write_json(self._path, to_plain(_Note(run, blocks, kills_for_memory() or 0, _boot(), self._starved)))
        except StorageError as error:
            _log.warning("cannot note which blocks are hosted (%s)", error)

    def _look(self) -> Starved:
        with contextlib.suppress(OSError, ValueError, PlainError):  # the first time, or damaged
            note = from_plain(_Note, json.loads(self._path.read_bytes()), self._path.name)
            before = note.starved
            if not note.blocks or note.boot != _boot() or (kills_for_memory() or 0) <= note.kills:
                return before
            found = Starved(note.run, note.blocks, before.times + 1 if before.run == note.run else 1)
            _log.warning("run %s: killed with %s, probably because it was out of memory", note.run, ", ".join(note.blocks))
            return found
        return Starved()


def _boot() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
