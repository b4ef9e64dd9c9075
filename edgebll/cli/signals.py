"""Ctrl-C, and SIGTERM as systemd, a scheduler or `kill` sends it: the command ends in order after both."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_caught: list[KeyboardInterrupt] = []


class Terminated(KeyboardInterrupt):
    """The process was told to end: whoever knows what to do on Ctrl-C does it."""


def catch_signals() -> None:
    """From now on raise KeyboardInterrupt in the main thread on SIGINT and Terminated on SIGTERM, unless they are ignored."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) == usual:
            signal.signal(number, _raise)


def caught() -> KeyboardInterrupt | None:
    """What was raised last, if anything: C code makes other errors of it, such as an ImportError."""
    return _caught[-1] if _caught else None


def _raise(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
    _caught.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
    raise _caught[-1]
