"""When each block worked on which token, and that as a Chrome trace: timeline.json, which opens in Perfetto."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.kernel.support.atomic_files import write_json
from edgebll.kernel.wire import TRAIN

TIMELINE = "timeline.json"


@dataclass(frozen=True)
class BoardSpan:
    """A block applied a token on a board; nanoseconds of the board's monotonic clock, or since the run's start."""

    board: str
    block: str
    kind: str
    sequence: int
    step: int
    start_ns: int
    end_ns: int


def write_timeline(run: Path, spans: Sequence[BoardSpan]) -> None:
    """Write timeline.json of spans on one clock, if there are any: one process a board, one thread a block.

    Raises:
        StorageError: the disk refuses.
    """
    if spans:
        write_json(run / TIMELINE, {"traceEvents": chrome_trace(spans), "displayTimeUnit": "ms"})


def chrome_trace(spans: Sequence[BoardSpan]) -> list[dict[str, Any]]:
    """Chrome trace events of spans; times in microseconds from the first."""
    boards = {name: index + 1 for index, name in enumerate(dict.fromkeys(span.board for span in spans))}
    blocks = {name: index + 1 for index, name in enumerate(dict.fromkeys(span.block for span in spans))}
    pairs = dict.fromkeys((span.board, span.block) for span in spans)
    events = [_named("process_name", boards[board], 0, board) for board in boards]
    events += [_named("thread_name", boards[board], blocks[block], block) for board, block in pairs]
    first = min(span.start_ns for span in spans)
    for span in spans:
        events.append(
            {
                "name": f"{span.kind} {span.step if span.kind == TRAIN else span.sequence}",
                "ph": "X",
                "ts": (span.start_ns - first) / 1000,
                "dur": (span.end_ns - span.start_ns) / 1000,
                "pid": boards[span.board],
                "tid": blocks[span.block],
                "args": {"sequence": span.sequence, "step": span.step},
            }
        )
    return events


def _named(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    arguments: Mapping[str, str] = {"name": name}
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": arguments}
