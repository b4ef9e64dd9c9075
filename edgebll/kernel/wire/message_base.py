"""What all messages have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgebll.kernel.state.block_state import Array

#: Metadata of a field that came later: it is not sent where it is empty, so that earlier releases understand the rest.
LATER = {"later": True}


@dataclass(frozen=True)
class Message:
    """Base of all messages.

    Attributes:
        tensors: name -> array; travels as raw little-endian bytes behind the header, without a copy where possible.
    """

    tensors: dict[str, Array] = field(default_factory=dict, kw_only=True, repr=False, compare=False)


@dataclass(frozen=True)
class OfRun(Message):
    """Base of all messages that are about a run.

    Attributes:
        run: identifier of the run.
        incarnation: of the run, from 1; 0 where there is only one.
    """

    run: str
    incarnation: int = field(default=0, kw_only=True)
