"""The standard streams of a command, on which no work depends: what cannot be written there is lost, and the work goes on.

Progress goes to stderr: a reader that went away, a full disk or a closed descriptor cost lines, never the run. Results go to
stdout: whether they were delivered is looked at by `check_delivered`, when the work is done.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from edgebll.errors import StorageError

#: As the shell shows a program that SIGPIPE ended.
READER_GONE = 141
_STDOUT, _STDERR = 1, 2


class _Descriptor(io.RawIOBase):
    """A descriptor to which writing never fails; `lost` is the first error that cost something, or None."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.lost: OSError | None = None
        self._descriptor = descriptor

    def write(self, data: Any) -> int:
        """Write all of it, or as much as is possible; returns the size of all of it in bytes."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                left = left[self._write_some(left) :]
        except OSError as error:
            self.lost = self.lost or error
        return size

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # whoever shares the descriptor made it so: wait, as for any other
            select.select((), (self._descriptor,), ())
            return 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The descriptor; it stays open when this object is closed."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)


_results: _Descriptor | None = None


def guard_streams() -> None:
    """Make stdout and stderr streams that never raise OSError, from now on and until this process ends.

    Descriptors that are closed become those of /dev/null: what is opened next would else get their numbers, and with them
    whatever a library prints. Streams that are not of a descriptor stay as they are.
    """
    global _results
    _open_closed_descriptors()
    sys.stdout, _results = _guarded(sys.stdout, _STDOUT)
    sys.stderr, _ = _guarded(sys.stderr, _STDERR)


def _open_closed_descriptors() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _guarded(stream: TextIO | None, number: int) -> tuple[TextIO, _Descriptor | None]:
    if stream is None:  # the interpreter found it closed
        raw = _Descriptor(number)
        return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True), raw
    try:
        raw = _Descriptor(stream.fileno())
    except OSError:
        return stream, None
    unbuffered = bool(getattr(stream, "write_through", False))
    buffer: Any = raw if unbuffered else io.BufferedWriter(raw)
    lines = bool(getattr(stream, "line_buffering", False))
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=lines, write_through=unbuffered), raw


def check_delivered() -> None:
    """See whether all that was printed on stdout was written.

    Raises:
        StorageError: it was not. SystemExit: its reader has gone away, which needs no words.
    """
    if _results is None:
        return
    sys.stdout.flush()
    if _results.lost is None:
        return
    if _results.lost.errno == errno.EPIPE:
        sys.exit(READER_GONE)
    raise StorageError(f"cannot write the output to stdout: {_results.lost.strerror}; send it elsewhere")


def forgive_lost_output() -> None:
    """What was printed on stdout up to now is no result that must be delivered."""
    if _results is not None:
        _results.lost = None


def say(text: str) -> None:
    """Tell the user something that is not the result."""
    print(printable(text), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Text that came from a board or a file, without what would move a terminal's cursor, colours or title."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
