"""The agent's log as a file for programs: one JSON object a line, in a few files of bounded size.

    {"time": "2026-01-31T12:00:00.123Z", "level": "INFO", "message": "...", "run": "...", "incarnation": 2}

`run` and `incarnation` say for which host the board worked then, and are left out where it worked for none; `trace` is there
where an exception is logged. Lines are ASCII. What cannot be written is lost, and the agent goes on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.kernel.support.atomic_files import storage_errors

#: Old files kept beside the one that is written, as FILE.1 to FILE.3.
KEPT = 3
#: Smallest size at which files may be changed: a line always fits.
LEAST_BYTES = 100_000
_MAX_MESSAGE, _MAX_TRACE = 2000, 5000

#: The run and the incarnation the board works for, or None.
Where = Callable[[], "tuple[str, int] | None"]


def _nowhere() -> None:
    return None


class JsonLog(RotatingFileHandler):
    """Writes records to a file, which is renamed before it grows beyond `max_bytes`; close it when done.

    Attributes:
        where: says for whom the board works.

    Raises:
        ConfigError: fewer bytes than LEAST_BYTES. StorageError: the file cannot be made.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        if max_bytes < LEAST_BYTES:
            raise ConfigError(f"--log-bytes must be at least {LEAST_BYTES}, not {max_bytes}")
        self.where: Where = _nowhere
        self._failed = False
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._whole_bytes = _cut_torn_line(path)
            super().__init__(path, maxBytes=max_bytes, backupCount=KEPT, encoding="ascii")

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object on one line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, str | int] = {
            "time": f"{stamp}.{int(record.created % 1 * 1000):03d}Z",
            "level": record.levelname,
            "message": record.getMessage()[:_MAX_MESSAGE],
        }
        if (where := self.where()) is not None:
            line["run"], line["incarnation"] = where[0][:_MAX_MESSAGE], where[1]
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["trace"] = logging.Formatter().formatException(record.exc_info)[-_MAX_TRACE:]
        return json.dumps(line)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, whole or not at all."""
        super().emit(record)
        with contextlib.suppress(OSError):
            self._whole_bytes = self.stream.tell() if self.stream is not None else self._whole_bytes

    def doRollover(self) -> None:  # noqa: N802  (logging's name)
        """Begin a new file."""
        super().doRollover()
        self._whole_bytes = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Say it once on stderr, and let the next line begin where the last whole one ended."""
        if not self._failed:
            self._failed = True
            print(f"edgebll-board: cannot write {self.baseFilename} ({sys.exc_info()[1]}); goes on without", file=sys.stderr)
        stream: TextIO | None = self.stream
        self.stream = None  # it is opened again for the next record
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
        with contextlib.suppress(OSError):
            if os.path.getsize(self.baseFilename) > self._whole_bytes:
                os.truncate(self.baseFilename, self._whole_bytes)


@contextlib.contextmanager
def json_log(path: Path | None, max_bytes: int) -> Iterator[JsonLog | None]:
    """Log there too, if anywhere; what ends the process is the last line.

    Raises:
        ConfigError, StorageError: as JsonLog.
    """
    if path is None:
        yield None
        return
    log, root = JsonLog(path, max_bytes), logging.getLogger()
    root.addHandler(log)
    try:
        yield log
    except Exception as error:
        trace = None if isinstance(error, EdgebllError) else sys.exc_info()
        log.handle(logging.LogRecord(__name__, logging.CRITICAL, __file__, 0, "%s", (error,), trace))
        raise
    finally:
        root.removeHandler(log)
        log.close()


def _cut_torn_line(path: Path) -> int:
    """Remove what a loss of power left of a last line; returns the size of the rest."""
    if not path.is_file():
        return 0
    size = path.stat().st_size
    start = max(0, size - LEAST_BYTES)
    with path.open("rb+") as stream:
        stream.seek(start)
        size = start + stream.read().rfind(b"\n") + 1
        stream.truncate(size)
    return size
