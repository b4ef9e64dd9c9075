"""What flows through blocks, and what comes of it: tokens, reports and states."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgebll.kernel.state.block_state import Array
from edgebll.kernel.wire.message_base import LATER, OfRun
from edgebll.kernel.wire.snapshot_names import state_file, streams_file

TRAIN, EVAL, SNAPSHOT, END = "TRAIN", "EVAL", "SNAPSHOT", "END"
TOKEN_KINDS = (TRAIN, EVAL, SNAPSHOT, END)
#: In a State, the name of a token's tensor on a side stream begins so, see `edgebll.kernel.state.side_stream_queues.flatten`.
STREAM_PREFIX = "@"
#: A scalar of an EVAL token, not 0 where the host wants to have what the last block gives; and the tensor that it comes as.
OUTPUT = "output"


@dataclass(frozen=True)
class Token(OfRun):
    """One entry of a stream: of the chain, applied in order of `sequence` by the block it is for, or of a side stream.

    Attributes:
        block: the block it is for.
        kind: TRAIN (tensors x, y), EVAL (tensors x, y), SNAPSHOT or END (no tensors).
        sequence: position in the chain of this incarnation, from 0, without gaps, over all kinds.
        step: training steps before this token.
        count: valid samples of an EVAL batch, the rest is padding.
        scalars: the step's scalar inputs, e.g. {"lr": 0.05}; of an EVAL token, OUTPUT asks the last block for what it gives.
        source: "" on the chain; on a side stream the block that sent this in its training step `step`, at `sequence` of the
            chain. Such a token is of kind TRAIN, has no scalars, and carries the tensors of the stream under the source's names
            for them.
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
class Report(OfRun):
    """A block has applied a token.

    Attributes:
        values: metrics of the step, or the task's sums of an evaluated batch by the last block: for classification "correct",
            "loss_sum", "count". Empty where the token asked for OUTPUT: that is in `tensors`, of the first `count` samples.
        start_ns: the board's monotonic clock before the computation.
        end_ns: the same clock after it.
        sent_bytes: tensors that the block has sent to other boards for this token, as they travelled; counted for hosts that
            know SPIKES.
        unpacked_bytes: the same tensors as they are.
    """

    block: str
    kind: str
    sequence: int
    step: int
    values: dict[str, float]
    start_ns: int
    end_ns: int
    sent_bytes: int = field(default=0, metadata=LATER)
    unpacked_bytes: int = field(default=0, metadata=LATER)


@dataclass(frozen=True)
class State(OfRun):
    """A block's whole state (in `tensors`) after all tokens before `sequence`; `final` at END.

    At SNAPSHOT also the last tokens of its side streams, as many as their lags: they wait for their targets there. Their names
    are those of `edgebll.kernel.state.side_stream_queues.flatten` with STREAM_PREFIX before them.
    """

    block: str
    sequence: int
    step: int
    final: bool

    @property
    def block_state(self) -> dict[str, Array]:
        """The tensors without those of side streams."""
        return {name: value for name, value in self.tensors.items() if not name.startswith(STREAM_PREFIX)}

    @property
    def streams(self) -> dict[str, Array]:
        """The tensors of side streams, by the names of `flatten`."""
        beside = (name for name in self.tensors if name.startswith(STREAM_PREFIX))
        return {name[len(STREAM_PREFIX) :]: self.tensors[name] for name in beside}

    @property
    def files(self) -> dict[str, dict[str, Array]]:
        """Tensors by the file of a snapshot that holds them."""
        files = {state_file(self.block): self.block_state}
        return files | {streams_file(self.block): self.streams} if self.streams else files
