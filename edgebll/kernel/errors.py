"""Every error edgebll raises on purpose: one root, one exit code a family.

A message is one sentence that says what was expected, what came and what to do. The command line prints it on stderr and
exits with the family's code; nothing else of edgebll reaches the user as a traceback.
"""

from __future__ import annotations


class EdgebllError(Exception):
    """Root of all errors raised on purpose. Exit code 1."""

    exit_code = 1


class ConfigError(EdgebllError, ValueError):
    """An option, a configuration file or an argument is wrong. Exit code 2, as for any usage error."""

    exit_code = 2


class BundleError(EdgebllError, ValueError):
    """A bundle or run folder is missing, corrupt, of another version or does not fit. Exit code 3."""

    exit_code = 3


class DataError(EdgebllError, ValueError):
    """A data set is missing, truncated or of the wrong shape. Exit code 4."""

    exit_code = 4


class ExportError(EdgebllError, ValueError):
    """A network cannot be turned into graphs; names the operator and its place. Exit code 5."""

    exit_code = 5


class VerifyError(EdgebllError, ArithmeticError):
    """A graph differs from what it must equal by more than the tolerance. Exit code 6."""

    exit_code = 6


class LinkError(EdgebllError, ConnectionError):
    """A link to a board or host cannot be made or broke. Exit code 7."""

    exit_code = 7


class LinkTimeout(LinkError, TimeoutError):  # noqa: N818  (named like the builtin it also is)
    """A peer did not answer before the deadline. Exit code 7."""


class WireError(LinkError, ValueError):
    """Bytes from a peer are not a message of this protocol. Exit code 7."""


class BoardError(EdgebllError, RuntimeError):
    """A board failed or vanished during a run; `board` is its name where whoever raises this knows it. Exit code 8."""

    exit_code = 8

    def __init__(self, message: str, board: str | None = None) -> None:
        super().__init__(message)
        self.board = board


class StorageError(EdgebllError, OSError):
    """A file cannot be written: disk full, no permission. Exit code 9."""

    exit_code = 9


class MissingExtraError(EdgebllError, ImportError):
    """An optional dependency is not installed; names the extra to install. Exit code 10."""

    exit_code = 10


#: The exit codes a user may meet, as the documentation lists them.
EXIT_CODES = {
    0: "success",
    1: "an edgebll error of no other family",
    2: "wrong option, configuration or argument",
    3: "bundle or run folder missing, corrupt or of another version",
    4: "data set missing, truncated or of the wrong shape",
    5: "a network that cannot be exported",
    6: "verification found a difference above the tolerance",
    7: "a link could not be made, broke or carried wrong bytes",
    8: "a board failed or vanished during a run",
    9: "a file could not be written",
    10: "an optional dependency is not installed",
    129: "the terminal was closed (SIGHUP)",
    130: "interrupted from the keyboard",
    141: "whoever read the output went away before its end",
    143: "told to end (SIGTERM)",
}
