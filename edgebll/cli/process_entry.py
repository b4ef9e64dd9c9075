"""How the commands `edgebll` and `edgebll-board` begin and end, whatever happens in between: in order, and in one sentence.

This is there before anything else is imported, so it imports next to nothing itself.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import NoReturn

from edgebll.cli.signals import HungUp, Terminated, catch_signals, caught
from edgebll.kernel.errors import EdgebllError, StorageError
from edgebll.kernel.support.console_streams import check_delivered, guard_streams, say, settle_output

HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143
_SIGNALLED = {HungUp: ("its terminal was closed", HUNG_UP), Terminated: ("told to end", TERMINATED)}
#: What the machine, not edgebll, is to blame for, whatever file it is about.
_OF_THE_MACHINE = frozenset(
    (
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE),
    )
)


def enter(command: str, load: Callable[[], Callable[[], object]]) -> None:
    """Run a command; only when signals are caught and the streams are safe, `load` imports it."""
    catch_signals()
    guard_streams()
    with ending_in_order(command), _delivering():
        load()()


@contextlib.contextmanager
def ending_in_order(command: str) -> Iterator[None]:
    """Turn errors and signals into one sentence on stderr and SystemExit with the exit code that belongs to them."""
    try:
        yield
    except KeyboardInterrupt as error:
        _end_at_once(command, error)
    except ImportError as error:
        if (signal := caught()) is not None:
            _end_at_once(command, signal)
        if not isinstance(error, EdgebllError):
            raise
        _end(command, error)
    except EdgebllError as error:
        _end(command, error)
    except OSError as error:
        if error.filename is None or error.errno not in _OF_THE_MACHINE:
            raise
        reason = f"cannot use {error.filename}: {error.strerror}; choose another place or see to the disk"
        _end(command, StorageError(reason))


def _end(command: str, error: EdgebllError) -> NoReturn:
    say(f"{command}: {error}")
    raise SystemExit(error.exit_code) from error


def _end_at_once(command: str, error: KeyboardInterrupt) -> NoReturn:
    why, code = next((words for kind, words in _SIGNALLED.items() if isinstance(error, kind)), ("interrupted", INTERRUPTED))
    say(f"{command}: {why}")
    raise SystemExit(code) from error


@contextlib.contextmanager
def _delivering() -> Iterator[None]:
    """Where all went well, see whether the results arrived."""
    try:
        yield
    except SystemExit as end:
        if not end.code:
            check_delivered()
        elif end.code not in (INTERRUPTED, TERMINATED, HUNG_UP):
            settle_output()
        raise
    check_delivered()
