"""What host and board say to each other around a stream: from a Hello to the end of a session."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.wire.message_base import LATER, Message, OfRun

MAX_PROGRESS_CHARS = 500
#: A board with this capability decodes `spike_coding`s; with a host that has it, it counts the bytes it sends (`Report`).
SPIKES = "spikes"


@dataclass(frozen=True)
class Hello(OfRun):
    """Host's first message: the run, and the incarnation of it, that it wants to start."""

    protocol: int
    version: str


@dataclass(frozen=True)
class Welcome(Message):
    """Board's answer: its name, where its data socket listens (ZeroMQ endpoint), and what it has.

    Attributes:
        cores: usable processors.
        memory_bytes: physical memory.
        runtimes: names of usable runtimes.
        python: version of the interpreter.
        platform: machine, e.g. "aarch64".
        identity: the same for as long as the board keeps its state folder, whatever its address; empty where it keeps none.
        memory_limit_bytes: all that its process may have; less than memory_bytes in a container, say.
        memory_limited_by: what says so, in words; empty where it is the machine's memory.
        memory_free_bytes: what its blocks may take.
        memory_pool: the same for boards that share what is free.
        cpus: processors whose whole time it may have at once; less than `cores` where a container gets parts of them. All of
            these are 0 or empty from a board that does not know.
        starved: blocks of this run that it hosted when it was killed, probably for want of memory.
        starved_times: how often.
        microcontrollers: port -> memory for blocks, in bytes, of those that it serves; 0 where none answers.
        microcontroller_profiles: port -> profile of firmware that is not "exact": "small", or "fast", a space and the board
            that it was built for.
        microcontroller_plans: port -> newest version of plans that it runs, where that is not 1, of float32 alone.
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
    memory_limit_bytes: int = 0
    memory_limited_by: str = ""
    memory_free_bytes: int = 0
    memory_pool: str = ""
    cpus: float = 0.0
    starved: tuple[str, ...] = ()
    starved_times: int = 0
    microcontrollers: dict[str, int] = field(default_factory=dict, metadata=LATER)
    microcontroller_profiles: dict[str, str] = field(default_factory=dict, metadata=LATER)
    microcontroller_plans: dict[str, int] = field(default_factory=dict, metadata=LATER)


@dataclass(frozen=True)
class Capabilities(OfRun):
    """What the sender can do that this protocol does not ask of everybody: the host says it, and a board answers with its own.

    A board that is older than this message answers it with a Failure of no run, see `unknown_kind`; its session goes on.

    Attributes:
        names: e.g. SPIKES. Those that the other side does not know mean nothing to it.
    """

    names: tuple[str, ...]


@dataclass(frozen=True)
class Offer(OfRun):
    """The bundle's manifest.json, byte for byte, and the files (bundle paths) this board will need.

    Attributes:
        snapshot: files of the snapshot to start from, by name (`snapshot_files`): the states of the board's blocks, and what
            waits on side streams from and to them; empty where the blocks start from the bundle's states.
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
        endpoints: for every block on another board that this board sends to, along the chain or a side stream: block -> ZeroMQ
            endpoint of the board that hosts it.
        endpoint_keys: such a block -> that board's public CURVE key (Z85), absent on unencrypted loopback.
        upstream_keys: public CURVE keys that may connect to this board's data socket.
        runtime: one of the board's Welcome.runtimes.
        threads: threads of one training step.
        step: training steps before the first token; the states of the offered snapshot are those after so many.
        port: of the microcontroller, one of Welcome.microcontrollers, for the runtime "serial"; empty for the first.
        spikes: those of `endpoints` whose boards decode `spike_coding`s.
    """

    blocks: tuple[str, ...]
    endpoints: dict[str, str]
    endpoint_keys: dict[str, str]
    upstream_keys: tuple[str, ...]
    runtime: str
    threads: int
    step: int = 0
    port: str = field(default="", metadata=LATER)
    spikes: tuple[str, ...] = field(default=(), metadata=LATER)


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
