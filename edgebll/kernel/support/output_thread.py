"""A thread that writes to a descriptor, so that a reader who does not read holds nobody up.

A terminal is stopped by Ctrl-S, an ssh connection stalls, the other end of a pipe is busy: `write` then blocks, for as long as
that lasts. Here it blocks a thread that does nothing else.
"""

from __future__ import annotations

import os
import threading
from collections import deque

from edgebll.kernel.support.readiness import await_writable

#: How long whoever writes waits until it is written, so that streams keep their order; not at all while a reader is behind.
_WAIT_S = 0.1
#: Bytes that a pipe takes at once or not at all (POSIX), and after which it is seen that the reader reads.
_PIECE_BYTES = 512
_CLEAR_LINE = b"\r\x1b[K"


class OutputThread:
    """Writes to one descriptor, in order.

    Args:
        descriptor: where to.
        keep_bytes: of what waits for the reader the newest so many bytes are kept; the reader is told how many lines are not
            there. None keeps all.

    Attributes:
        lost: the first error that cost something, or None.
    """

    def __init__(self, descriptor: int, keep_bytes: int | None = None) -> None:
        self.lost: OSError | None = None
        self._descriptor, self._keep_bytes = descriptor, keep_bytes
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = self._dropped_lines = self._pieces = 0
        self._writing = self._behind = self._ended = False
        self._at_line_start = True
        self._thread: threading.Thread | None = None

    def write(self, data: bytes) -> None:
        """Have it written; never fails, and takes a moment at most."""
        if self._ended or not self._started():
            if not self._behind:
                self._put(data)
            return
        with self._changed:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._drop()
            self._changed.notify_all()
            if not self._behind:
                self._behind = not self._changed.wait_for(self._is_idle, _WAIT_S)

    def settle(self, patience_s: float) -> bool:
        """Wait until all is written, but no longer than `patience_s` seconds in which nothing is read; whether it is."""
        with self._changed:
            while not self._is_idle():
                if not self._has_moved_on(self._pieces, patience_s):
                    return False
        return True

    def _has_moved_on(self, pieces: int, patience_s: float) -> bool:
        return self._changed.wait_for(lambda: self._is_idle() or self._pieces != pieces, patience_s)

    def end(self, patience_s: float) -> None:
        """The process is about to end, and threads with it: settle, and write without the thread from now on."""
        self._behind = not self.settle(patience_s)
        self._ended = True

    def _started(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="edgebll-output", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads for this user, or the interpreter ends
                return False
            self._thread = thread
        return True

    def _is_idle(self) -> bool:
        return not self._waiting and not self._writing

    def _drop(self) -> None:
        while self._keep_bytes is not None and self._waiting_bytes > self._keep_bytes and len(self._waiting) > 1:
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self._dropped_lines += data.count(b"\n")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                if not self._waiting:
                    self._behind = False
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._waiting)
                data, self._writing = self._next(), True
            self._put(data)

    def _next(self) -> bytes:
        """What is to be written next, after a word on what was dropped before it."""
        lines, self._dropped_lines = self._dropped_lines, 0
        data = self._waiting.popleft()
        self._waiting_bytes -= len(data)
        if not lines:
            return data
        start = b"" if self._at_line_start else _CLEAR_LINE if os.isatty(self._descriptor) else b"\n"
        said = "1 line was" if lines == 1 else f"{lines} lines were"
        return start + f"[{said} dropped here: nobody read them]\n".encode() + data

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._put_some(left[:_PIECE_BYTES]) :]
                with self._changed:
                    self._pieces += 1
                    self._changed.notify_all()
        except OSError as error:
            self.lost = self.lost or error
        self._at_line_start = data.endswith(b"\n")

    def _put_some(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # whoever shares the descriptor made it so: wait, as for any other
            await_writable(self._descriptor)
            return 0
