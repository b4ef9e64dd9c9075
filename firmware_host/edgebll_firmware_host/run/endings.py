"""How an incarnation of a run ends; what follows is decided by it, see `cluster_run`."""

from __future__ import annotations

from dataclasses import dataclass

from edgebll.kernel.errors import BoardError, LinkError


@dataclass(frozen=True)
class Finished:
    """It came to the end of the stream: every final state is here."""


@dataclass(frozen=True)
class Regroup:
    """Nothing failed, but the next incarnation is to have other boards, or blocks elsewhere.

    Attributes:
        why: in words, for logs and tests.
    """

    why: str


@dataclass(frozen=True)
class Failed:
    """A board or a link failed.

    Attributes:
        error: what ended the incarnation, and the run as well where it cannot go on.
        suspect: name of the board that is to blame, None where that is not known.
        reported: whether that board said so itself.
    """

    error: LinkError | BoardError
    suspect: str | None = None
    reported: bool = False


Ending = Finished | Regroup | Failed
