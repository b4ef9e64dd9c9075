"""The pictures of a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from edgebll.kernel.errors import BundleError, MissingExtraError
from edgebll.kernel.plots import draw_curves, draw_timeline
from edgebll.kernel.plots.style import COLOURS
from edgebll.kernel.plots.timeline import DrawnSpan, busy_parts, read_spans

pytestmark = pytest.mark.usefixtures("pictures")


def write_metrics(folder: Path, entries: list[dict[str, Any]]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def write_trace(folder: Path, events: list[dict[str, Any]], *, bare: bool = False) -> None:
    (folder / "timeline.json").write_text(json.dumps(events if bare else {"traceEvents": events}))


def event(board: Any, block: Any, kind: str, sequence: int, start: float, duration: float) -> dict[str, Any]:
    args = {"sequence": sequence}
    return {"ph": "X", "pid": board, "tid": block, "name": f"{kind} {sequence}", "ts": start, "dur": duration, "args": args}


def pipeline_events(boards: int, batches: int) -> list[dict[str, Any]]:
    return [
        event(f"board-{b}", f"block{b}", "TRAIN" if s < batches - 2 else "EVAL", s, 1e9 + 1000 * (s + b), 900)
        for s in range(batches)
        for b in range(boards)
    ]


def has_colour(picture: Path, colour: str) -> bool:
    pixels = matplotlib.image.imread(picture)[..., :3]
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return bool((np.abs(pixels - wanted).max(-1) < 0.02).sum() > 50)


def test_curves_show_every_block_and_the_accuracy(tmp_path: Path) -> None:
    entries = [
        {"kind": "train", "step": s, "block": f"block{b}", "loss": 2.0 / (1 + s) + b} for s in range(100) for b in range(3)
    ]
    write_metrics(tmp_path, [*entries, {"kind": "eval", "step": 100, "accuracy": 0.5, "loss": 1.0}])
    picture = draw_curves(tmp_path)
    assert picture == tmp_path / "curves.png"
    assert all(has_colour(picture, colour) for colour in COLOURS[:3])
    assert not has_colour(picture, COLOURS[3])


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"kind": "train", "step": 1, "block": "block0", "loss": None}],
        [{"kind": "eval", "step": 0, "accuracy": 1.0, "loss": 0.0}],
        [{"kind": "other"}],
    ],
)
def test_curves_of_a_run_with_little_to_show(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    write_metrics(tmp_path, entries)
    assert draw_curves(tmp_path).stat().st_size > 1000


@pytest.mark.parametrize("line", ["{", '{"kind": "train"}', "[1]", '"text"'])
def test_damaged_metrics_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"kind": "eval", "step": 1, "accuracy": 0.5}\n' + line + "\n")
    with pytest.raises(BundleError, match="line 2 is not a line of metrics"):
        draw_curves(tmp_path)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        draw_curves(tmp_path)
    with pytest.raises(BundleError, match="cannot be read"):
        draw_timeline(tmp_path)


def test_timeline_shows_batches_in_colours(tmp_path: Path) -> None:
    write_trace(tmp_path, pipeline_events(4, 60))
    picture = draw_timeline(tmp_path)
    assert picture == tmp_path / "timeline.png"
    assert all(has_colour(picture, colour) for colour in COLOURS)


@pytest.mark.parametrize(("boards", "batches"), [(1, 1), (1, 3), (2, 13), (12, 40)])
def test_timeline_of_any_size(tmp_path: Path, boards: int, batches: int) -> None:
    write_trace(tmp_path, pipeline_events(boards, batches))
    assert draw_timeline(tmp_path).stat().st_size > 1000


def test_timeline_of_very_many_boards_shows_some_from_the_first_to_the_last(tmp_path: Path) -> None:
    heights = []
    for boards in (40, 300):
        write_trace(tmp_path, pipeline_events(boards, 3))
        heights.append(matplotlib.image.imread(draw_timeline(tmp_path)).shape[0])
    assert heights[0] == heights[1]


def test_timeline_of_a_run_that_recovered(tmp_path: Path) -> None:
    """Its tokens are numbered from 0 again, evaluations included: a step may have an earlier number than one long before."""
    before = (0, (*range(11), *range(35, 38)))
    after = (1e6, (*range(23, 34), *range(58, 69)))
    events = [
        event(f"board-{board}", f"block{board}", "TRAIN", sequence, begin + 1000 * (sequence + board), 900)
        for begin, sequences in (before, after)
        for sequence in sequences
        for board in range(2)
    ]
    write_trace(tmp_path, events)
    assert draw_timeline(tmp_path).stat().st_size > 1000


def test_spans_take_names_from_metadata_and_start_at_zero(tmp_path: Path) -> None:
    names = [
        {"ph": "M", "name": "process_name", "pid": 0, "args": {"name": "orin-1"}},
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": 7, "args": {"name": "block0"}},
    ]
    write_trace(tmp_path, [*names, event(0, 7, "EVAL", 17, 500.0, 20.0), event(0, 7, "TRAIN", 16, 480.0, 20.0)], bare=True)
    assert read_spans(tmp_path / "timeline.json") == [
        DrawnSpan("orin-1", "block0", "TRAIN", 16, 0.0, 20.0),
        DrawnSpan("orin-1", "block0", "EVAL", 17, 20.0, 40.0),
    ]


@pytest.mark.parametrize("text", ["{", "{}", "3", '[{"ph": "X"}]', '{"traceEvents": []}'])
def test_damaged_timelines_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "timeline.json").write_text(text)
    with pytest.raises(BundleError, match="run it again"):
        draw_timeline(tmp_path)


def test_busy_parts_count_overlaps_once() -> None:
    spans = [DrawnSpan("b", "block0", "TRAIN", 0, 0.0, 10.0), DrawnSpan("b", "block1", "TRAIN", 0, 5.0, 15.0)]
    assert busy_parts(spans, 40.0, 4) == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_without_matplotlib_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metrics(tmp_path, [])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgebll\[plot\]'"):
        draw_curves(tmp_path)
