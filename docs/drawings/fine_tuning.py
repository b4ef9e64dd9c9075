"""Fine-tuning measured: accuracy and state by what trains, from the table of bench/fine_tuning.py in bench/RESULTS.md."""

from __future__ import annotations

import re
from pathlib import Path

from svg import Drawing

_RESULTS = Path(__file__).parents[2] / "bench" / "RESULTS.md"
_LEFT, _WIDTH, _TOP, _ROW, _BAR = 170, 220, 84, 52, 16


def rows() -> list[tuple[str, float, float]]:
    """What trains, accuracy in percent, and state in KiB."""
    section = _RESULTS.read_text("utf-8").split("<!-- begin fine-tuning -->")[1].split("<!-- end")[0]
    cells = re.findall(r"^\| ([a-z][^|]*) \| ([\d.]+) \| [^|]* \| ([\d.]+) \|", section, re.MULTILINE)
    return [(tuning, float(accuracy), float(state)) for tuning, accuracy, state in cells]


def draw() -> str:
    """The drawing's content."""
    found = rows()
    told = "; ".join(f"{tuning}: {accuracy:.1f} %, {state:.1f} KiB" for tuning, accuracy, state in found)
    height = _TOP + _ROW * len(found) + 8
    drawing = Drawing(height, "Fine-tuning a part of a network", f"Accuracy and state by what trains. {told}.")
    drawing.words(24, 34, "Learning 5 to 9 from 100 images, knowing 0 to 4", look="strong", anchor="start")
    for x, look, text in ((24, "teal", "accuracy"), (120, "amber", "state, which snapshots carry")):
        drawing.box(x, 48, 14, 14, look=look)
        drawing.words(x + 22, 60, text, look="small", anchor="start")
    largest = max(state for *_, state in found)
    for number, (tuning, accuracy, state) in enumerate(found):
        y = _TOP + _ROW * number
        drawing.words(24, y + 22, tuning, look="small", anchor="start")
        bars = ((accuracy / 100, "teal", f"{accuracy:.1f} %"), (state / largest, "amber", f"{state:.1f} KiB"))
        for place, (part, look, text) in enumerate(bars):
            top, width = y + place * (_BAR + 4), max(2.0, round(_WIDTH * part, 1))
            drawing.box(_LEFT, top, width, _BAR, look=look, radius=3)
            drawing.words(_LEFT + width + 8, top + 13, text, look="small", anchor="start")
    return drawing.text()
