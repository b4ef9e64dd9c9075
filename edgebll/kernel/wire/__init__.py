"""The messages boards and hosts exchange. What they mean is here; how they become bytes is in codec.py.

Data connections carry only `Token`, and `LinkProbe` before a run. Everything else travels on the control connection between
the host and one board.

A session, as seen on a control connection (h: host, b: board):

    h Hello -> b Welcome            who is there, where its data socket listens
    h Survey -> b Surveyed          disk, clock, load and versions (check.py; only if the host wants to know)
    h Reach -> b Reached ...        whether the board reaches its neighbours, one answer each
    h Capabilities -> b Capabilities    what each can do beside this protocol
    h Offer -> b Want               which files (by SHA-256) the board does not have yet
    h FilePiece ...                 those files
    h Assign -> b Ready             host these blocks, send what they give to blocks elsewhere there
    b Progress                      every few seconds while loading takes long
    h Ping <-> b Pong               liveness and clock offset, all the time, both ways
    b Report                        one a block and token: metrics and when it ran
    b State                         on SNAPSHOT and END, one a block
    b Failure                       what went wrong, in one sentence
    b Leaving                       every second, by a board that is to end: move its blocks, then let it go
    h Stop -> b Stopped             the session is over; the board waits for the next host

A run is a row of incarnations, numbered from 1: each is one session with all boards, from a Hello to its end or to the first
failure. Every message about a run says which incarnation it belongs to, and nobody acts on one of another incarnation. A board
leaves the session of an earlier incarnation for that of a later one of the same run. See docs/explanation/reliability.md.
"""

from __future__ import annotations

from edgebll.kernel.wire.check_messages import LinkProbe, Neighbour, Reach, Reached, Survey, Surveyed, unknown_kind
from edgebll.kernel.wire.message_base import Message, OfRun
from edgebll.kernel.wire.session_messages import (
    MAX_PROGRESS_CHARS,
    SPIKES,
    Assign,
    Capabilities,
    Failure,
    FilePiece,
    Hello,
    Leaving,
    Offer,
    Ping,
    Pong,
    Progress,
    Ready,
    Stop,
    Stopped,
    Want,
    Welcome,
)
from edgebll.kernel.wire.snapshot_names import load_waiting, state_file, streams_file
from edgebll.kernel.wire.stream_messages import (
    END,
    EVAL,
    OUTPUT,
    SNAPSHOT,
    STREAM_PREFIX,
    TOKEN_KINDS,
    TRAIN,
    Report,
    State,
    Token,
)

#: Version of this protocol; a peer with another one is refused.
PROTOCOL_VERSION = 6
#: Wire number of each message class. Numbers are never reused.
MESSAGE_TYPES: dict[int, type[Message]] = {
    1: Token,
    2: Hello,
    3: Welcome,
    4: Offer,
    5: Want,
    6: FilePiece,
    7: Assign,
    8: Ready,
    9: Ping,
    10: Pong,
    11: Report,
    12: State,
    13: Failure,
    14: Stop,
    15: Stopped,
    16: Progress,
    17: Leaving,
    18: Survey,
    19: Surveyed,
    20: Reach,
    21: Reached,
    22: LinkProbe,
    23: Capabilities,
}

__all__ = [
    "END",
    "EVAL",
    "MAX_PROGRESS_CHARS",
    "MESSAGE_TYPES",
    "OUTPUT",
    "PROTOCOL_VERSION",
    "SNAPSHOT",
    "SPIKES",
    "STREAM_PREFIX",
    "TOKEN_KINDS",
    "TRAIN",
    "Assign",
    "Capabilities",
    "Failure",
    "FilePiece",
    "Hello",
    "Leaving",
    "LinkProbe",
    "Message",
    "Neighbour",
    "OfRun",
    "Offer",
    "Ping",
    "Pong",
    "Progress",
    "Reach",
    "Reached",
    "Ready",
    "Report",
    "State",
    "Stop",
    "Stopped",
    "Survey",
    "Surveyed",
    "Token",
    "Want",
    "Welcome",
    "load_waiting",
    "state_file",
    "streams_file",
    "unknown_kind",
]
