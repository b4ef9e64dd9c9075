"""Ctrl-C, SIGTERM as systemd, a scheduler or `kill` sends it, and SIGHUP of a closed terminal: all end a command in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_caught: list[KeyboardInterrupt] = []


class Terminated(KeyboardInterrupt):
    """The process was told to end: whoever knows what to do on Ctrl-C does it."""


class HungUp(Terminated):
    """The terminal was closed, or its connection lost."""


#: What is raised on which signal.
_RAISED: dict[int, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    signal.SIGHUP: HungUp,
}


def catch_signals() -> None:
    """From now on raise KeyboardInterrupt in the main thread on SIGINT, Terminated on SIGTERM and HungUp on SIGHUP.

    Those that are ignored stay so: `nohup` keeps a command from noticing that its terminal is closed.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _RAISED:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _raise)


def caught() -> KeyboardInterrupt | None:
    """What was raised last, if anything: C code makes other errors of it, such as an ImportError."""
    return _caught[-1] if _caught else None


def _raise(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
    elif number == signal.SIGHUP:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the system sends one, and the shell another
    _caught.append(_RAISED[number]())
    raise _caught[-1]
