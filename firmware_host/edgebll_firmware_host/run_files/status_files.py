"""What another terminal sees of a run and asks of it, as files of the run folder, so that whoever may write there may ask.

RUN/status.json              `Status`, every second while the run goes on
RUN/requests/<id>.json       a `Request`; the host removes it
RUN/requests/<id>.answer     what came of it, [done, sentence]; the asker removes it
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BundleError
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.plain_dataclasses import from_plain, to_plain
from edgebll_firmware_host.inventory import BoardEntry

STATUS, REQUESTS = "status.json", "requests"
DRAIN, ADD = "drain", "add"
#: Between two versions of status.json.
EVERY_S = 1.0
#: The phase of a run that goes on no more.
ENDED = "ended"
#: The state of its boards then.
LET_GO = "let go"


#: What a BoardStatus has of the entry of an inventory.
OF_ENTRY = ("endpoint", "public_key", "threads", "runtime", "cap_threads", "port")


@dataclass(frozen=True)
class BoardStatus:
    """A board: its blocks, and how long it has been silent.

    `state`: "working", "leaving", "spare", "away" or "drained"; those that the run had are "let go" when it has ended. What
    else its entry says stands there too, so that a board that is added again is what it was.
    """

    name: str
    endpoint: str
    state: str
    blocks: tuple[str, ...]
    silent_s: float | None
    public_key: str | None = None
    threads: int = 1
    runtime: str = "onnxruntime"
    cap_threads: bool = True
    port: str = ""


@dataclass(frozen=True)
class Status:
    """A run as its host sees it.

    Attributes:
        written_s: Unix time.
        phase: "running", "recovering" or "ended".
        pid: of the host.
        incarnation: see docs/explanation/reliability.md.
        step: training steps done.
        snapshot: step of the newest snapshot of this host, -1 before its first.
        recoveries: failures of this host's incarnations.
        boards: all that are known.
        machine: see `this_machine`.
        ticks_s: the machine's monotonic clock when this was written: nobody sets that one; -1 where it is not known.
    """

    written_s: float
    phase: str
    pid: int
    incarnation: int
    step: int
    snapshot: int
    recoveries: int
    boards: tuple[BoardStatus, ...]
    machine: str = ""
    ticks_s: float = -1.0


@dataclass(frozen=True)
class Request:
    """Something to be done to a running run: `action` DRAIN or ADD; `entry` says which board is added."""

    action: str
    board: str
    entry: BoardEntry | None = None


class StatusFiles:
    """The host's side.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._run, self._folder = run, run / REQUESTS
        self._published_s = float("-inf")
        with storage_errors(self._folder):
            self._folder.mkdir(exist_ok=True)
            for left in self._folder.iterdir():
                left.unlink()

    def move(self, run: Path) -> None:
        """Go on in this run folder: another one than before, or the same made again."""
        self._run, self._folder = run, run / REQUESTS
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)

    def due(self, now_s: float) -> bool:
        """Whether it is time to publish and to look for requests."""
        return now_s - self._published_s >= EVERY_S

    def publish(self, status: Status, now_s: float) -> None:
        """Write status.json; it is not worth waiting for the disk, nor ending a run for."""
        self._published_s = now_s
        temporary = self._run / f".{STATUS}.partial"
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(to_plain(status), indent=1))
            os.replace(temporary, self._run / STATUS)

    def requests(self) -> list[tuple[str, Request | str]]:
        """Requests that have come, as (id, request) or (id, what is wrong with it); each once."""
        found: list[tuple[str, Request | str]] = []
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.glob("*.json")):
                try:
                    found.append((path.stem, from_plain(Request, json.loads(path.read_bytes()), "request")))
                except (ValueError, RecursionError) as error:  # PlainError, ConfigError and JSON's are ValueErrors
                    found.append((path.stem, f"the request cannot be read: {error}"))
                path.unlink()
        return found

    def answer(self, request: str, done: bool, text: str) -> None:
        """Say what came of a request: whether it is done, and a sentence."""
        with contextlib.suppress(OSError):
            (self._folder / f"{request}.partial").write_text(json.dumps([done, text]), "utf-8")
            os.replace(self._folder / f"{request}.partial", self._folder / f"{request}.answer")

    def close(self) -> None:
        """Take no more requests."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()  # unless somebody still waits


def this_machine() -> str:
    """The machine and since when it is up: locks tell only of processes of the same one."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return platform.node()


def read_status(run: Path) -> Status:
    """What the host last said of a run.

    Raises:
        BundleError: nothing, or nothing that can be read.
    """
    try:
        status: Any = json.loads((run / STATUS).read_bytes())
        return from_plain(Status, status, STATUS)
    except OSError as error:
        raise BundleError(f"{run} has no {STATUS}: no run over boards has begun there ({error.strerror})") from error
    except ValueError as error:  # PlainError and JSON's are ValueErrors
        raise BundleError(f"{run / STATUS} cannot be read ({error})") from error
