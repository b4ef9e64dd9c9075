"""What a board remembers of runs: which there were lately, and on its disk the highest incarnation of each.

So a board that was restarted still refuses a host that was frozen while another one took its run over. Each board writes a
file of its own and, when it starts, reads those of all that share its state folder: who is out of date is so for each of them.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.atomic_files import read_capped, write_json
from edgebll.kernel.support.plain_dataclasses import from_plain, to_plain

_log = logging.getLogger(__name__)

#: Runs that are remembered, the newest ones.
KEPT = 32
_MAX_BYTES = 4 << 20
#: Where earlier releases kept those of all boards of a state folder.
_EARLIER = "runs.json"


@dataclass(frozen=True)
class _Seen:
    run: str
    incarnation: int


@dataclass(frozen=True)
class _File:
    runs: tuple[_Seen, ...]


class RunHistory:
    """The runs a board has seen.

    Args:
        path: the board's own file; those of others are beside it. One that cannot be used is begun anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest = _load(path)
        self._of_others = _of_others(path)
        self._lately: deque[str] = deque(maxlen=KEPT)

    def newest(self, run: str) -> int:
        """The highest incarnation of a run that was seen; 0 if none was."""
        return max(self._newest.get(run, 0), self._of_others.get(run, 0))

    def others(self, run: str) -> frozenset[str]:
        """All runs that are remembered but this one."""
        return frozenset((*self._lately, *self._newest, *self._of_others)) - {run}

    def note(self, run: str, incarnation: int) -> None:
        """A host has begun an incarnation of a run; it is on the disk on return. 0, of a host that has no run, is not kept.

        Raises:
            StorageError: the disk refuses.
        """
        self._lately.append(run)
        if incarnation <= self._newest.get(run, 0):
            return
        kept = {**{name: number for name, number in self._newest.items() if name != run}, run: incarnation}
        kept = dict(list(kept.items())[-KEPT:])
        write_json(self._path, to_plain(_File(tuple(_Seen(*item) for item in kept.items()))))
        self._newest = kept


def _of_others(path: Path) -> dict[str, int]:
    """Run -> the highest incarnation that boards with files beside this one have seen."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        others = [other for other in path.parent.glob("*.json") if other != path]
        for other in (*others, path.parent.parent / _EARLIER):
            for run, incarnation in _load(other).items():
                found[run] = max(incarnation, found.get(run, 0))
    return found


def _load(path: Path) -> dict[str, int]:
    """Run -> incarnation, the newest last."""
    try:
        found = from_plain(_File, json.loads(read_capped(path, _MAX_BYTES)), path.name)
        return {seen.run: seen.incarnation for seen in found.runs[-KEPT:]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, StorageError) as error:
        _log.warning("%s cannot be used and is begun anew: %s", path, error)
        return {}
