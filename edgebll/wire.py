"""The messages boards and hosts exchange. What they mean is here; how they become bytes is in codec.py.

Data connections carry only `Token`. Everything else travels on the control connection between the host and one board.

A session, as seen on a control connection (h: host, b: board):

    h Hello -> b Welcome            who is there, where its data socket listens
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
leaves the session of an earlier incarnation for that of a later one of the same run. See docs/reliability.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgebll.spec import FileEntry
from edgebll.state import Array

#: Version of this protocol; a peer with another one is refused.
PROTOCOL_VERSION = 5

TRAIN, EVAL, SNAPSHOT, END = "TRAIN", "EVAL", "SNAPSHOT", "END"
TOKEN_KINDS = (TRAIN, EVAL, SNAPSHOT, END)
MAX_PROGRESS_CHARS = 500
#: In a State, the name of a token's tensor on a side stream begins so, see `edgebll.side_streams.flatten`.
STREAM_PREFIX = "@"
#: The file of a snapshot that holds the tokens on side streams.
STREAMS_FILE = "streams.safetensors"


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
        run: identifier of the run. incarnation: of the run, from 1; 0 where there is only one.
    """

    run: str
    incarnation: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class Token(OfRun):
    """One entry of a stream: of the chain, applied in order of `sequence` by the block it is for, or of a side stream.

    Attributes:
        block: the block it is for.
        kind: TRAIN (tensors x, y), EVAL (tensors x, y), SNAPSHOT or END (no tensors).
        sequence: position in the chain of this incarnation, from 0, without gaps, over all kinds.
        step: training steps before this token. count: valid samples of an EVAL batch, the rest is padding.
        scalars: the step's scalar inputs, e.g. {"lr": 0.05}.
        source: "" on the chain; on a side stream the block that sent this in its training step `step`, at `sequence` of the
            chain. Such a token is of kind TRAIN, has no scalars, and carries the tensors of the stream under the source's
            names for them.
    """

    block: str
    kind: str
    sequence: int
    step: int
    count: int = 0
    scalars: dict[str, float] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if self.kind not in TOKEN_KINDS:
            raise ValueError(f"a token's kind must be one of {', '.join(TOKEN_KINDS)}, not {self.kind!r}")


@dataclass(frozen=True)
class Hello(OfRun):
    """Host's first message: the run, and the incarnation of it, that it wants to start."""

    protocol: int
    version: str


@dataclass(frozen=True)
class Welcome(Message):
    """Board's answer: its name, where its data socket listens (ZeroMQ endpoint), and what it has.

    Attributes:
        cores: usable processors. memory_bytes: physical memory. runtimes: names of usable runtimes.
        python: version of the interpreter. platform: machine, e.g. "aarch64".
        identity: the same for as long as the board keeps its state folder, whatever its address; empty where it keeps none.
    """

    name: str
    protocol: int
    version: str
    data_endpoint: str
    cores: int
    memory_bytes: int
    runtimes: tuple[str, ...]
    python: str
    platform: str
    identity: str = ""


@dataclass(frozen=True)
class Offer(OfRun):
    """The bundle's manifest.json, byte for byte, and the files (bundle paths) this board will need.

    Attributes:
        snapshot: files of the snapshot to start from, by name: BLOCK.safetensors for the state of a block, STREAMS_FILE for the
            tokens on side streams if there are any; empty where the blocks start from the bundle's states.
    """

    manifest: bytes
    files: tuple[str, ...]
    snapshot: dict[str, FileEntry] = field(default_factory=dict)


@dataclass(frozen=True)
class Want(OfRun):
    """SHA-256 digests (hex) the board does not have in its cache."""

    sha256: tuple[str, ...]


@dataclass(frozen=True)
class FilePiece(Message):
    """`data` at `offset` of the file with this SHA-256 and total size."""

    sha256: str
    offset: int
    total_bytes: int
    data: bytes


@dataclass(frozen=True)
class Assign(OfRun):
    """Host these blocks.

    Attributes:
        blocks: names of the blocks, in stream order.
        endpoints: for every block on another board that this board sends to, along the chain or a side stream: block ->
            ZeroMQ endpoint of the board that hosts it.
        endpoint_keys: such a block -> that board's public CURVE key (Z85), absent on unencrypted loopback.
        upstream_keys: public CURVE keys that may connect to this board's data socket.
        runtime: one of the board's Welcome.runtimes. threads: threads of one training step.
        step: training steps before the first token; the states of the offered snapshot are those after so many.
    """

    blocks: tuple[str, ...]
    endpoints: dict[str, str]
    endpoint_keys: dict[str, str]
    upstream_keys: tuple[str, ...]
    runtime: str
    threads: int
    step: int = 0


@dataclass(frozen=True)
class Ready(OfRun):
    """The blocks are loaded and restored; `seconds` says how long that took."""

    seconds: float


@dataclass(frozen=True)
class Progress(OfRun):
    """Loading goes on: one sentence for people, of at most MAX_PROGRESS_CHARS. Whoever waits for Ready waits on."""

    text: str


@dataclass(frozen=True)
class Ping(Message):
    """Heartbeat; sent_ns is the sender's monotonic clock."""

    sent_ns: int


@dataclass(frozen=True)
class Pong(Message):
    """Answer to a Ping: its sent_ns and the answerer's monotonic clock; `idle` if it has nothing to compute by now."""

    sent_ns: int
    answered_ns: int
    idle: bool = False


@dataclass(frozen=True)
class Report(OfRun):
    """A block has applied a token.

    Attributes:
        values: metrics of the step, or of evaluation by the last block: "correct", "loss_sum", "count".
        start_ns, end_ns: the board's monotonic clock before and after the computation.
    """

    block: str
    kind: str
    sequence: int
    step: int
    values: dict[str, float]
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class State(OfRun):
    """A block's whole state (in `tensors`) after all tokens before `sequence`; `final` at END.

    At SNAPSHOT also the last tokens of its side streams, as many as their lags: they wait for their targets there. Their names
    are those of `edgebll.side_streams.flatten` with STREAM_PREFIX before them.
    """

    block: str
    sequence: int
    step: int
    final: bool

    @property
    def block_state(self) -> dict[str, Array]:
        """The tensors without those of side streams."""
        return {name: value for name, value in self.tensors.items() if not name.startswith(STREAM_PREFIX)}


@dataclass(frozen=True)
class Failure(OfRun):
    """Something went wrong: one sentence and the exit code of its family."""

    code: int
    message: str


@dataclass(frozen=True)
class Leaving(OfRun):
    """The board is to end, e.g. for a restart of its machine; it works on for at most `seconds`, unless let go before."""

    seconds: float


@dataclass(frozen=True)
class Stop(OfRun):
    """End the session."""


@dataclass(frozen=True)
class Stopped(OfRun):
    """The session is over."""


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
}
