"""timeline.png: which board worked on which batch when, from a run's Chrome trace timeline.json.

Two parts: how busy every board was over the whole run, and a close look at a dozen batches passing through the boards.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BundleError
from edgebll.kernel.plots.style import COLOURS, save_figure

TIMELINE, TIMELINE_PICTURE = "timeline.json", "timeline.png"
#: Boards that are drawn; of more, so many from the first to the last.
_BOARDS = 40
#: Batches in the close look, and slices of the overview.
_BATCHES = 12
_SLICES = 160
#: Width of a digit of a bar's label, as part of the axis.
_DIGIT_PART = 0.008
_OTHER = "#B8B8B8"


@dataclass(frozen=True)
class DrawnSpan:
    """A block applied a token on a board; start and end in microseconds from the first span."""

    board: str
    block: str
    kind: str
    sequence: int
    start_us: float
    end_us: float


def draw_timeline(run_path: Path | str) -> Path:
    """Draw timeline.png in a run folder; returns its path.

    Raises:
        BundleError: timeline.json is missing or damaged. MissingExtraError: no matplotlib. StorageError: the disk refuses.
    """
    folder = Path(run_path)
    spans = read_spans(folder / TIMELINE)
    boards = sorted({span.board for span in spans}, key=_first_block(spans))
    if len(boards) > _BOARDS:
        boards = [boards[round(row * (len(boards) - 1) / (_BOARDS - 1))] for row in range(_BOARDS)]
        shown = set(boards)
        spans = [span for span in spans if span.board in shown]

    def draw(figure: Any) -> None:
        upper, lower = figure.subplots(2, 1, height_ratios=(0.28 * len(boards) + 0.4, 0.55 * len(boards) + 0.6))
        _draw_overview(upper, spans, boards)
        _draw_close_look(lower, spans, boards)

    return save_figure(folder / TIMELINE_PICTURE, draw, (11.0, 2.2 + 0.75 * len(boards)))


def read_spans(path: Path) -> list[DrawnSpan]:
    """The complete events ("ph": "X") of a Chrome trace, by start time.

    Raises:
        BundleError: the file is missing, damaged or without events.
    """
    try:
        document = json.loads(path.read_bytes())
        events = document["traceEvents"] if isinstance(document, dict) else document
        names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
        threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
        spans = [_span(e, names, threads) for e in events if e["ph"] == "X"]
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); run it again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is not a Chrome trace of a run ({error!r}); run it again") from error
    if not spans:
        raise BundleError(f"{path} has no events, so there is no timeline to draw; run it again")
    first = min(span.start_us for span in spans)
    moved = (DrawnSpan(s.board, s.block, s.kind, s.sequence, s.start_us - first, s.end_us - first) for s in spans)
    return sorted(moved, key=lambda span: span.start_us)


def _span(event: dict[str, Any], names: dict[Any, str], threads: dict[Any, str]) -> DrawnSpan:
    board = names.get(event["pid"], str(event["pid"]))
    block = threads.get((event["pid"], event["tid"]), str(event["tid"]))
    start = float(event["ts"])
    kind = str(event["name"]).partition(" ")[0]
    return DrawnSpan(board, block, kind, int(event["args"]["sequence"]), start, start + float(event["dur"]))


def _first_block(spans: Sequence[DrawnSpan]) -> Any:
    """Sort key of boards: the order in which batches reach them, told by the block names."""
    first: dict[str, tuple[int, str]] = {}
    for span in spans:
        key = (len(span.block), span.block)
        first[span.board] = min(first.get(span.board, key), key)
    return lambda board: (first[board], board)


def busy_parts(spans: Sequence[DrawnSpan], end_us: float, slices: int) -> list[float]:
    """Part of each of `slices` equal slices of [0, end_us] that spans (of one board) cover, 0 to 1."""
    width = end_us / slices
    covered = [0.0] * slices
    reached = 0.0
    for span in sorted(spans, key=lambda s: s.start_us):
        start, end = max(span.start_us, reached), span.end_us
        reached = max(reached, end)
        for index in range(int(start / width), min(slices, int(end / width) + 1)):
            covered[index] += max(0.0, min(end, (index + 1) * width) - max(start, index * width))
    return [min(1.0, value / width) for value in covered]


def _draw_overview(axes: Any, spans: Sequence[DrawnSpan], boards: Sequence[str]) -> None:
    end = max(span.end_us for span in spans) or 1.0
    rows = [busy_parts([s for s in spans if s.board == board], end, _SLICES) for board in boards]
    seconds = end / 1e6
    extent = (0.0, seconds, len(boards) - 0.5, -0.5)
    axes.imshow(rows, aspect="auto", cmap="Blues", vmin=0, vmax=1.15, extent=extent, interpolation="nearest")
    for row, parts in enumerate(rows):
        text = f"{100 * sum(parts) / len(parts):.0f} % busy"
        axes.text(1.006, row, text, transform=axes.get_yaxis_transform(), va="center", color="#333333")
    axes.set(title="How busy every board was", xlabel="time, s")
    _board_rows(axes, boards)
    axes.grid(visible=False)


def _draw_close_look(axes: Any, spans: Sequence[DrawnSpan], boards: Sequence[str]) -> None:
    start, end = _window(spans)
    unit, divisor = ("s", 1e6) if end - start > 5e6 else ("ms", 1e3)
    shown = [span for span in spans if span.end_us > start and span.start_us < end]
    for span in shown:
        left, right = max(span.start_us, start), min(span.end_us, end)
        train = span.kind == "TRAIN"
        colour = COLOURS[span.sequence % len(COLOURS)] if train else _OTHER
        row = boards.index(span.board)
        axes.barh(
            row, (right - left) / divisor, left=left / divisor, height=0.7, color=colour, edgecolor="white", linewidth=0.6
        )
        text = str(span.sequence) if train else span.kind.lower()
        if right - left > _DIGIT_PART * max(2, len(text)) * (end - start):
            middle = (left + right) / 2 / divisor
            axes.text(middle, row, text, ha="center", va="center", color="white", fontsize=8, clip_on=True)
    axes.set_xlim(start / divisor, end / divisor)
    axes.set_ylim(len(boards) - 0.5, -0.5)
    first, last = min(s.sequence for s in shown), max(s.sequence for s in shown)
    axes.set(title=f"A close look at batches {first} to {last}: one colour follows one batch", xlabel=f"time, {unit}")
    _board_rows(axes, boards)


def _board_rows(axes: Any, boards: Sequence[str]) -> None:
    axes.set_yticks(range(len(boards)), boards)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _window(spans: Sequence[DrawnSpan]) -> tuple[float, float]:
    """A stretch near the middle of the run, when the pipeline is full, in which _BATCHES training batches enter in a row."""
    entrance = min((len(span.block), span.block) for span in spans)[1]
    entries = sorted((s.start_us, s.sequence) for s in spans if s.kind == "TRAIN" and s.block == entrance)
    if len(entries) <= _BATCHES:
        return 0.0, max(span.end_us for span in spans) or 1.0
    starts = range(len(entries) - _BATCHES)
    middle = len(starts) / 2

    def unevenness(index: int) -> tuple[int, float]:
        # An evaluation leaves a gap in the sequence of training batches, and a recovery begins it again; a stretch without
        # either shows the pipeline better.
        return abs(entries[index + _BATCHES][1] - entries[index][1] - _BATCHES), abs(index - middle)

    first = min(starts, key=unevenness)
    return entries[first][0], entries[first + _BATCHES][0]
