"""The asker's side of a run's desk: whether a host works on the run, and asking it for something."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.errors import BundleError, ConfigError, LinkTimeout
from edgebll.kernel.runs.run_lock import is_locked
from edgebll.kernel.support.atomic_files import write_json
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll_firmware_host.run_files.status_files import ENDED, EVERY_S, REQUESTS, Request, Status, read_status, this_machine

#: What a host is: it works, has written nothing for STALE_S, or works on the run no more: it was killed, or has ended in order.
WORKING, SILENT, GONE = "working", "silent", "gone"
STALE_S = 10.0
#: A host of another machine, whose clocks tell nothing here, is watched so long for something new.
_WATCH_S = 2.5 * EVERY_S
#: How often to look for an answer, and whether there is still a host; when to say that this takes long.
_LOOK_S, _CHECK_S, _LONG_S = 0.05, 0.5, 2.0


@dataclass(frozen=True)
class RunView:
    """A run as another process sees it.

    Attributes:
        status: what the host said last.
        host: WORKING, SILENT, GONE or ENDED.
        age_s: seconds since it said so.
    """

    status: Status
    host: str
    age_s: float

    @property
    def since(self) -> str:
        """For how long the host has said nothing, and since when by the clock of whoever asks."""
        return f"for {self.age_s:.0f} s, since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(time.time() - self.age_s))}"


def view_run(run: Path) -> RunView:
    """See what the host of a run is.

    Raises:
        BundleError: there is no status.json, or none that can be read.
    """
    locked = is_locked(run)  # first: a host that ends meanwhile has said so by the time its status is read
    status, age_s = _newest(run)
    if status.phase == ENDED:
        return RunView(status, ENDED, age_s)
    if locked is False and status.machine == this_machine():
        return RunView(status, GONE, age_s)
    return RunView(status, SILENT if age_s > STALE_S else WORKING, age_s)


def _newest(run: Path) -> tuple[Status, float]:
    """The status, and how old it is in seconds.

    On the host's own machine its monotonic clock tells, which is one for all processes; a wall clock may be set at any time,
    and another machine's may be hours off. So where a wall clock would call a host of another machine silent, something new is
    waited for.
    """
    status = read_status(run)
    ticks_s = time.monotonic() - status.ticks_s
    if status.machine == this_machine() and status.ticks_s >= 0 and ticks_s >= 0:
        return status, ticks_s
    age_s = time.time() - status.written_s
    if status.phase == ENDED or 0 <= age_s <= STALE_S:
        return status, max(0.0, age_s)
    began_s = time.monotonic()
    while (watched_s := time.monotonic() - began_s) < _WATCH_S:
        newer = read_status(run)
        if newer.written_s != status.written_s:
            return newer, 0.0
        time.sleep(_LOOK_S)
    return status, max(age_s, STALE_S + watched_s)


def _check_goes_on(run: Path) -> None:
    seen = view_run(run)
    if seen.host == ENDED:
        raise BundleError(f"the run {run} is over, so there is nothing to change; if it is not whole, --resume goes on with it")
    if seen.host == GONE:
        raise LinkTimeout(f"no host works on {run} any more (it was process {seen.status.pid}); go on with --resume {run}")
    if seen.host == SILENT:
        raise LinkTimeout(
            f"the host of {run} (process {seen.status.pid}) has been silent {seen.since}; if it is frozen, let it go on, "
            f"or kill it and go on with --resume {run}"
        )


def request_change(run: Path, request: Request, limit_s: float, tell: Callable[[str], None] = lambda _: None) -> str:
    """Ask the host of a run for something; returns its answer.

    Args:
        run: the run folder.
        request: what is asked for.
        limit_s: how long to wait for it.
        tell: takes a sentence for the user where that takes long.

    Raises:
        ConfigError: the host refuses. LinkTimeout: no host answers. BundleError: there is no run, or it is over. StorageError:
            the request cannot be written.
    """
    _check_goes_on(run)
    name, folder = uuid.uuid4().hex, run / REQUESTS
    asked = folder / f"{name}.json"
    write_json(asked, to_plain(request))
    try:
        done, text = _await(run, folder / f"{name}.answer", limit_s, tell)
    finally:
        asked.unlink(missing_ok=True)
    if not done:
        raise ConfigError(text)
    return text


def _await(run: Path, answer: Path, limit_s: float, tell: Callable[[str], None]) -> tuple[bool, str]:
    began_s = checked_s = time.monotonic()
    told = False
    while (now_s := time.monotonic()) < began_s + limit_s:
        with contextlib.suppress(FileNotFoundError):
            done, text = json.loads(answer.read_text("utf-8"))
            answer.unlink()
            return bool(done), str(text)
        if now_s >= checked_s + _CHECK_S:
            checked_s = now_s
            _check_goes_on(run)
        if not told and now_s >= began_s + _LONG_S:
            told = True
            tell(f"the host of {run} was last heard of {view_run(run).age_s:.0f} s ago; waiting for it, {limit_s:g} s at most")
        time.sleep(_LOOK_S)
    raise LinkTimeout(f"the host of {run} has not answered within {limit_s:g} s; look at `edgebll cluster status {run}`")
