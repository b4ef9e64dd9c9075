"""What the processes that worked on a run have written down of its cost, and the sum of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgebll_firmware_host.run_files.timeline_spans import BoardSpan

#: Spans kept for the timeline; a longer run keeps its first ones.
MAX_SPANS = 50_000


@dataclass
class Totals:
    """What a run has cost.

    Attributes:
        from_step: training steps done before this begins; 0 unless the record of the rest is lost.
        processes: that worked on it.
        seconds: the stream took, without those between processes.
        start_seconds: until all blocks were ready at first.
        busy_ns: computing time by block.
        bytes_streamed: sent by the host as tokens.
        bytes_streamed_unpacked: the same, had nothing been sent as spikes.
        link_bytes: block -> bytes of tensors it sent to other boards.
        link_bytes_unpacked: the same, had nothing been sent as spikes.
        bytes_shipped: sent by the host as files.
        recoveries: failures and what they cost, as summary.json has them.
        spans: the first ones, since the run's start.
    """

    from_step: int = 0
    processes: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0
    busy_ns: dict[str, int] = field(default_factory=dict)
    bytes_streamed: int = 0
    bytes_streamed_unpacked: int = 0
    link_bytes: dict[str, int] = field(default_factory=dict)
    link_bytes_unpacked: dict[str, int] = field(default_factory=dict)
    bytes_shipped: int = 0
    recoveries: list[dict[str, Any]] = field(default_factory=list)
    spans: list[BoardSpan] = field(default_factory=list)

    def add(self, other: Counted) -> None:
        """Add what another process has counted, later than all that is in here."""
        if not self.processes:
            self.from_step, self.seconds = other.step, other.earlier_s
            self.start_seconds = other.start_seconds
        moved_ns = round(self.seconds * 1e9) - other.began_ns
        for span in other.spans[: MAX_SPANS - len(self.spans)]:
            by_ns = moved_ns - other.clock_offsets.get(span.board, 0)
            self.spans.append(replace(span, start_ns=span.start_ns + by_ns, end_ns=span.end_ns + by_ns))
        self.processes += 1
        self.seconds += other.seconds
        for name in ("busy_ns", "link_bytes", "link_bytes_unpacked"):
            _add_up(getattr(self, name), getattr(other, name))
        self.bytes_streamed += other.bytes_streamed
        self.bytes_streamed_unpacked += other.bytes_streamed_unpacked
        self.bytes_shipped += other.bytes_shipped
        self.recoveries += [other.recoveries[number] for number in sorted(other.recoveries)]

    def facts(self, blocks: Sequence[str]) -> dict[str, Any]:
        """For the summary of a run of these blocks."""
        seconds = self.seconds
        return {
            "counted_from_step": self.from_step,
            "processes": self.processes,
            "seconds": seconds,
            "busy_fraction": {name: self.busy_ns.get(name, 0) / 1e9 / seconds if seconds > 0 else 0.0 for name in blocks},
            **{name: getattr(self, name) for name in ("start_seconds", "bytes_streamed", "bytes_streamed_unpacked")},
            **{name: getattr(self, name) for name in ("link_bytes", "link_bytes_unpacked", "bytes_shipped", "recoveries")},
        }


@dataclass
class Counted:
    """What one process has counted.

    Attributes:
        step: training steps done before it.
        earlier_s: seconds those steps took, as the snapshot it goes on from tells.
        began_ns: by its monotonic clock.
        seconds: the stream took in this process.
        start_seconds: until all blocks were ready at first.
        busy_ns: computing time by block.
        bytes_streamed: sent by the host as tokens.
        bytes_streamed_unpacked: the same, had nothing been sent as spikes.
        link_bytes: block -> bytes of tensors it sent to other boards.
        link_bytes_unpacked: the same, had nothing been sent as spikes.
        bytes_shipped: sent by the host as files.
        clock_offsets: board -> its monotonic clock minus the host's in ns, as known last.
        recoveries: number -> what summary.json has of it.
        spans: by the boards' clocks.
    """

    step: int = 0
    earlier_s: float = 0.0
    began_ns: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0
    busy_ns: dict[str, int] = field(default_factory=dict)
    bytes_streamed: int = 0
    bytes_streamed_unpacked: int = 0
    link_bytes: dict[str, int] = field(default_factory=dict)
    link_bytes_unpacked: dict[str, int] = field(default_factory=dict)
    bytes_shipped: int = 0
    clock_offsets: dict[str, int] = field(default_factory=dict)
    recoveries: dict[int, dict[str, Any]] = field(default_factory=dict)
    spans: list[BoardSpan] = field(default_factory=list)

    def read(self, line: dict[str, Any]) -> None:
        """Take a line that this process has written; it may be any JSON."""
        kind = line["kind"]
        if kind == "totals":
            for name in (*COUNTED, *(name for name in COUNTED_LATER if name in line)):
                setattr(self, name, type(getattr(self, name))(line[name]))
        elif kind == "recovery":
            self.recoveries[int(line["number"])] = {name: line[name] for name in line if name not in ("kind", "number")}
        elif kind == "spans":
            self.spans += [_span(*one) for one in line["spans"]]


#: What stands in a line of kind "totals".
COUNTED = ("seconds", "start_seconds", "busy_ns", "bytes_streamed", "bytes_shipped", "clock_offsets")
#: And what earlier releases did not count.
COUNTED_LATER = ("bytes_streamed_unpacked", "link_bytes", "link_bytes_unpacked")


def _add_up(counts: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def _span(board: Any, block: Any, kind: Any, *numbers: Any) -> BoardSpan:
    sequence, step, start_ns, end_ns = map(int, numbers)
    return BoardSpan(str(board), str(block), str(kind), sequence, step, start_ns, end_ns)


def total(processes: Iterable[Counted]) -> Totals:
    """The sum over processes that worked on a run, the first one first."""
    result = Totals()
    for process in processes:
        result.add(process)
    return result


def read_counted(path: Path) -> Iterator[Counted]:
    """What processes have written into totals.jsonl; what is damaged is passed over."""
    process = None
    for line in _lines(path):
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            if line["kind"] == "process":
                if process is not None:
                    yield process
                process = Counted(int(line["step"]), float(line["seconds"]), int(line["began_ns"]))
            elif process is not None:
                process.read(line)
    if process is not None:
        yield process


def _lines(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as stream:
            for line in stream:
                with contextlib.suppress(ValueError, RecursionError):
                    yield json.loads(line)
    except OSError:
        return
