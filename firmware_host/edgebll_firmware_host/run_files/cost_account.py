"""What a run has cost so far, whichever processes worked on it: totals.jsonl in the run folder, to which each of them adds.

    {"kind": "process", "step", "seconds", "began_ns"}
            a host's process begins to train: after so many steps and, without a record of them, seconds; by its monotonic clock
    {"kind": "totals", "seconds", "start_seconds", "busy_ns", "bytes_streamed", "bytes_shipped", "clock_offsets",
     "bytes_streamed_unpacked", "link_bytes", "link_bytes_unpacked"}
            what this process has counted up to now; the last line of it counts
    {"kind": "recovery", "number", ...}
            a failure this process has seen, as summary.json has it; the last line of it counts
    {"kind": "spans", "spans"}
            which block worked on which token when, by the boards' clocks

A host that is killed loses the last second of it, a damaged line is passed over, and no weights depend on any of it.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import astuple
from pathlib import Path
from typing import Any

from edgebll.kernel.wire import Report
from edgebll_firmware_host.run.run_request import Outcome
from edgebll_firmware_host.run_files.cost_totals import COUNTED, COUNTED_LATER, MAX_SPANS, Counted, Totals, read_counted, total
from edgebll_firmware_host.run_files.timeline_spans import BoardSpan

TOTALS = "totals.jsonl"
#: A killed process loses at most so much.
_EVERY_S = 1.0


class Account:
    """Counts for this process, and writes it down every second.

    Args:
        run: the run folder.

    Attributes:
        run: where it is by now.
        outcome: of the run over boards so far, which is looked at whenever something is written.
    """

    def __init__(self, run: Path) -> None:
        self.outcome = Outcome()
        self.run = run
        self._mine = Counted()
        self._begun = False
        self._written_s, self._written_spans = time.monotonic(), 0
        self._earlier = list(read_counted(run / TOTALS))
        self._room = MAX_SPANS - sum(len(process.spans) for process in self._earlier)

    def go_on(self, step: int, seconds: float) -> None:
        """This process goes on after so many training steps, which took so many seconds."""
        self._mine.step, self._mine.earlier_s = step, seconds

    def begin(self) -> None:
        """Training begins, unless it has begun before."""
        if not self._begun:
            self._begun = True
            self._mine.began_ns = time.monotonic_ns()
            mine = self._mine
            self._write([{"kind": "process", "step": mine.step, "seconds": mine.earlier_s, "began_ns": mine.began_ns}])

    def count(self, board: str, report: Report, clock_offset_ns: int) -> None:
        """Take a Report; `clock_offset_ns` is the board's clock minus the host's, as known by now."""
        self.begin()
        mine = self._mine
        mine.clock_offsets[board] = clock_offset_ns
        mine.busy_ns[report.block] = mine.busy_ns.get(report.block, 0) + report.end_ns - report.start_ns
        if report.unpacked_bytes:
            mine.link_bytes[report.block] = mine.link_bytes.get(report.block, 0) + report.sent_bytes
            mine.link_bytes_unpacked[report.block] = mine.link_bytes_unpacked.get(report.block, 0) + report.unpacked_bytes
        if len(mine.spans) < self._room:
            mine.spans.append(
                BoardSpan(
                    board=board,
                    block=report.block,
                    kind=report.kind,
                    sequence=report.sequence,
                    step=report.step,
                    start_ns=report.start_ns,
                    end_ns=report.end_ns,
                )
            )
        if time.monotonic() - self._written_s >= _EVERY_S:
            self.write()

    def seconds(self) -> float:
        """How long the whole run has taken up to now."""
        self._look()
        processes = [*self._earlier, self._mine]
        return processes[0].earlier_s + sum(process.seconds for process in processes)

    def end(self, seconds: float) -> Totals:
        """The stream is over, after so many seconds of this process; what the whole run has cost."""
        self._mine.seconds, self._begun = seconds, False
        self.write()
        return total((*self._earlier, self._mine))

    def write(self) -> None:
        """Write down what was counted since the last time."""
        self._look()
        mine, self._written_s = self._mine, time.monotonic()
        lines: list[dict[str, Any]] = [{"kind": "totals", **{name: getattr(mine, name) for name in (*COUNTED, *COUNTED_LATER)}}]
        for number, recovery in enumerate(self.outcome.recoveries):
            if mine.recoveries.get(number) != (facts := recovery.facts()):
                mine.recoveries[number] = facts
                lines.append({"kind": "recovery", "number": number, **facts})
        if new := mine.spans[self._written_spans :]:
            self._written_spans += len(new)
            lines.append({"kind": "spans", "spans": [astuple(span) for span in new]})
        self._write(lines)

    def _look(self) -> None:
        mine, outcome = self._mine, self.outcome
        if self._begun:
            mine.seconds = (time.monotonic_ns() - mine.began_ns) / 1e9
        mine.start_seconds = outcome.start_seconds
        mine.bytes_streamed, mine.bytes_shipped = outcome.bytes_streamed, outcome.bytes_shipped
        mine.bytes_streamed_unpacked = outcome.bytes_streamed_unpacked

    def _write(self, lines: list[dict[str, Any]]) -> None:
        """Add lines; one that cannot be written is lost. They begin anew, whatever a killed process has left."""
        content = "".join(("\n", *(json.dumps(line) + "\n" for line in lines)))
        with contextlib.suppress(OSError), (self.run / TOTALS).open("ab") as stream:
            stream.write(content.encode())
