"""Whether this host may open as many connections as its boards need, asked before the first: libzmq aborts for want of one."""

from __future__ import annotations

from edgebll.kernel.limits import check_descriptors

#: A connection to a board has a ZeroMQ context of its own: 9 descriptors, and the pipe from an agent that was started here.
PER_BOARD = 10
#: Files of the run, the data connection, and the look for a board that is away.
BESIDE = 40


def check_connections(boards: int) -> None:
    """Raise this process's limit of open files as far as connections to so many boards need it.

    Raises:
        ConfigError: it may not be raised so far.
    """
    check_descriptors(BESIDE + PER_BOARD * boards, f"{boards} boards" if boards != 1 else "1 board")
