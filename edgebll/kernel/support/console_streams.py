"""The standard streams of a command, on which no work depends: what cannot be written there is lost, and the work goes on.

Progress goes to stderr: a reader that went away, a full disk or a closed descriptor cost lines, never the run. Results go to
stdout: whether they were delivered is looked at by `check_delivered`, when the work is done. A reader who does not read for a
while (a terminal stopped by Ctrl-S, a pipe that is full) holds nothing up either: see `edgebll.kernel.support.output_thread`.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import errno
import io
import os
import sys
from typing import Any, TextIO

from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.output_thread import OutputThread

#: As the shell shows a program that SIGPIPE ended.
READER_GONE = 141
#: Of what was said on stderr and nobody has read, the newest so many bytes are kept for when somebody does.
KEPT_BYTES = 1 << 16
#: When all is done: how long a reader may take nothing of the results, and of what was said last.
RESULT_S, LAST_WORDS_S = 600.0, 3.0
_STDOUT, _STDERR = 1, 2
#: No line is longer, so what is dropped is dropped in whole lines.
_BUFFER_BYTES = 1 << 16
#: What encoding letters that a terminal does not have must not do.
_RAISING = ("strict", "surrogateescape")


class _Descriptor(io.RawIOBase):
    """A descriptor to which writing never fails and never waits for a reader.

    Args:
        descriptor: its number.
        keep_bytes: see `OutputThread`.

    Attributes:
        thread: writes.
    """

    def __init__(self, descriptor: int, keep_bytes: int | None = None) -> None:
        super().__init__()
        self.thread = OutputThread(descriptor, keep_bytes)
        self._descriptor = descriptor

    def write(self, data: Any) -> int:
        """Have all of it written, as far as that is possible; returns the size of all of it in bytes."""
        content = bytes(memoryview(data).cast("B"))
        self.thread.write(content)
        return len(content)

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The descriptor; it stays open when this object is closed."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)


class _Ascii(io.TextIOWrapper):
    """Text in ASCII; other letters are escaped. Has no `buffer`, through which click would write UTF-8 all the same."""

    @property
    def buffer(self) -> Any:
        """None there is."""
        raise AttributeError("buffer")


_threads: dict[int, OutputThread] = {}
_is_result = True


def guard_streams() -> None:
    """Make stdout and stderr streams that never raise and never wait for a reader, until this process ends.

    Descriptors that are closed become those of /dev/null: what is opened next would else get their numbers, and with them
    whatever a library prints. Streams that are not of a descriptor stay as they are.
    """
    _open_closed_descriptors()
    sys.stdout = _guarded(sys.stdout, _STDOUT, None)
    sys.stderr = _guarded(sys.stderr, _STDERR, KEPT_BYTES)
    atexit.register(_end)


def _open_closed_descriptors() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _guarded(stream: TextIO | None, number: int, keep_bytes: int | None) -> TextIO:
    try:
        raw = _Descriptor(stream.fileno() if stream is not None else number, keep_bytes)
    except OSError:
        return stream  # type: ignore[return-value]  # it is not None
    _threads[number] = raw.thread
    if stream is None:  # the interpreter found it closed
        return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)
    unbuffered = bool(getattr(stream, "write_through", False))
    buffer: Any = raw if unbuffered else io.BufferedWriter(raw, _BUFFER_BYTES)
    lines = bool(getattr(stream, "line_buffering", False))
    errors = "backslashreplace" if stream.errors in _RAISING else stream.errors
    kind = _Ascii if codecs.lookup(stream.encoding).name == "ascii" else io.TextIOWrapper
    return kind(buffer, stream.encoding, errors, line_buffering=lines, write_through=unbuffered)


def check_delivered() -> None:
    """See whether all that was printed on stdout was written; wait for a reader who is slow.

    Raises:
        StorageError: it was not. SystemExit: its reader has gone away, which needs no words.
    """
    if (thread := _threads.get(_STDOUT)) is None or not _is_result:
        return
    sys.stdout.flush()
    if not thread.settle(RESULT_S):
        raise StorageError(f"cannot write the output to stdout: nobody has read it for {RESULT_S:g} s; send it elsewhere")
    if thread.lost is None:
        return
    if thread.lost.errno == errno.EPIPE:
        sys.exit(READER_GONE)
    raise StorageError(f"cannot write the output to stdout: {thread.lost.strerror}; send it elsewhere")


def settle_output() -> None:
    """Wait as `check_delivered` does, whatever becomes of it: the command has failed, and that is what is told."""
    if (thread := _threads.get(_STDOUT)) is not None and _is_result:
        sys.stdout.flush()
        thread.settle(RESULT_S)


def forgive_lost_output() -> None:
    """What is printed on stdout is no result that must be delivered."""
    global _is_result
    _is_result = False


def _end() -> None:
    """What nobody has read by now is waited for a little while only."""
    with contextlib.suppress(KeyboardInterrupt):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        for thread in _threads.values():
            thread.end(LAST_WORDS_S)


def say(text: str) -> None:
    """Tell the user something that is not the result."""
    print(printable(text), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Text that came from a board or a file, without what would move a terminal's cursor, colours or title."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
