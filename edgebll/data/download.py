"""Downloading one file over HTTP so that a cut connection costs nothing and no wait is without a deadline."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edgebll.kernel.errors import ConfigError, DataError, StorageError
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.whole_numbers import whole_number
from edgebll.kernel.version import __version__

_PIECE_BYTES = 1 << 16
_RANGE_NOT_SATISFIABLE = 416
#: Told (bytes so far, total bytes or None) after every piece.
Report = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class Limits:
    """When to give up.

    Attributes:
        stall_s: without a byte.
        total_s: on one file.
        attempts: connections for one file; each goes on where the last was cut.
        max_bytes: of the file.
    """

    stall_s: float = 20.0
    total_s: float = 1800.0
    attempts: int = 4
    max_bytes: int = 1 << 30


def download(url: str, partial: Path, limits: Limits, report: Report) -> None:
    """Download `url` to the file `partial`, going on behind what is already there.

    Raises:
        ConfigError: not an http or https address. DataError: the server refuses, is not there, or gives up more often than
            `limits` allows; what came so far stays in `partial`. StorageError: the disk refuses.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"the address must start with http:// or https://, not {url!r}")
    deadline = time.monotonic() + limits.total_s
    reason = "no answer"
    for _ in range(limits.attempts):
        try:
            if _attempt(url, partial, limits, deadline, report):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == _RANGE_NOT_SATISFIABLE and partial.exists():
                return  # nothing behind what is there: complete, or wrong, which the caller's digest tells
            if error.code < 500:
                raise DataError(f"{url} answered {error.code} {error.reason}; give another address with --url") from error
            reason = f"{error.code} {error.reason}"
        except StorageError:
            raise
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
        if time.monotonic() > deadline:
            reason = f"not done after {limits.total_s:g} s"
            break
    raise DataError(
        f"{url} could not be downloaded ({reason}); try again to go on from there, or give another address with --url"
    )


def _attempt(url: str, partial: Path, limits: Limits, deadline: float, report: Report) -> bool:
    """One connection; returns whether the file is complete."""
    start = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": f"edgebll/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=limits.stall_s) as response:
        if not _continues(response, start):
            start = 0  # the server sends the file from its beginning
        length = whole_number(response.headers.get("Content-Length", ""))
        total = None if length is None else start + length
        if (total or 0) > limits.max_bytes:
            raise DataError(
                f"{url} has {total} bytes, more than the {limits.max_bytes} expected; give another address with --url"
            )
        done = _copy(response, partial, start, limits, deadline, lambda count: report(count, total))
    return done and (total is None or partial.stat().st_size == total)


def _continues(response: http.client.HTTPResponse, start: int) -> bool:
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _copy(
    response: http.client.HTTPResponse,
    partial: Path,
    start: int,
    limits: Limits,
    deadline: float,
    report: Callable[[int], None],
) -> bool:
    """Append the response to `partial` from `start`; returns False if the deadline came first."""
    with storage_errors(partial):
        stream = partial.open("r+b" if partial.exists() else "wb")
    with stream:
        with storage_errors(partial):
            stream.truncate(start)
            stream.seek(start)
        count = start
        while piece := response.read1(_PIECE_BYTES):
            count += len(piece)
            if count > limits.max_bytes:
                raise DataError(
                    f"{response.url} has more than the {limits.max_bytes} bytes expected; give another address with --url"
                )
            with storage_errors(partial):
                stream.write(piece)
            report(count)
            if time.monotonic() > deadline:
                return False
    return True
