"""A batch's life in a pipeline of three boards: who works on what when, the window, a snapshot marker, a side stream."""

from __future__ import annotations

from svg import Drawing

_LEFT, _TOP, _CELL, _ROW = 104, 92, 44, 62
_ROWS = (("host", "feeds"), ("board A", "block 0"), ("board B", "block 1"), ("board C", "block 2"))
#: What the host feeds: batches by number, and a marker.
_STREAM = ("0", "1", "2", "S", "3")


def draw() -> str:
    """The drawing's content."""
    drawing = Drawing(
        430,
        "Batches in a pipeline",
        "Time runs to the right, boards are rows. Each board works on the batch that the one before it has just passed on, so "
        "all compute at once. A snapshot marker flows through in its place. A side stream "
        "brings the result of a step back, late.",
    )
    drawing.words(24, 34, "Who works on which batch", look="strong", anchor="start")
    drawing.words(24, 54, "Every board applies all tokens in the order they were fed.", look="small faint", anchor="start")
    drawing.arrow(_LEFT, 76, 462, 76)
    drawing.words(88, 80, "time", look="small faint", anchor="end")
    for row, (name, what) in enumerate(_ROWS):
        y = _TOP + row * _ROW
        drawing.words(24, y + 18, name, look="strong", anchor="start")
        drawing.words(24, y + 35, what, look="small faint", anchor="start")
        for column, token in enumerate(_STREAM):
            _token(drawing, row, row + column, token)
    _window(drawing)
    _side_stream(drawing)
    _legend(drawing)
    return drawing.text()


def _x(column: float) -> float:
    return _LEFT + column * _CELL


def _token(drawing: Drawing, row: int, column: int, token: str) -> None:
    x, y = _x(column), _TOP + row * _ROW
    marker = token == "S"
    drawing.box(x + 2, y, _CELL - 4, 40, look="amber" if marker else "blue" if row == 0 else "teal")
    drawing.words(x + _CELL / 2, y + 25, token, look="strong")
    if row < len(_ROWS) - 1 and token in ("0", "S"):
        drawing.arrow(x + _CELL / 2 + 8, y + 42, x + _CELL + 6, y + _ROW - 2)


def _window(drawing: Drawing) -> None:
    """As many tokens are between the host and the last block as keep all of them busy."""
    y = _TOP + 4 * _ROW - 12
    drawing.path(f"M{_x(0) + 2:g} {y:g} v8 H{_x(4) - 2:g} v-8", look="line thin")
    drawing.words(_x(2), y + 24, "a window of 4 in flight", look="small faint")


def _side_stream(drawing: Drawing) -> None:
    """From block 1's step of batch 0 to block 0's step of batch 2."""
    x1, y1 = _x(2) + _CELL - 6, _TOP + 2 * _ROW
    x2, y2 = _x(3) + _CELL / 2, _TOP + _ROW + 42
    drawing.path(
        f"M{x1:g} {y1:g} C{x1 + 4:g} {y1 - 12:g} {x2 - 2:g} {y2 + 14:g} {x2:g} {y2 + 1:g}", look="line dash", head=True
    )


def _legend(drawing: Drawing) -> None:
    y = 372
    drawing.box(24, y - 13, 22, 18, look="teal")
    drawing.words(54, y, "one training step: loss, gradient and update in the block", look="small", anchor="start")
    drawing.box(24, y + 10, 22, 18, look="amber")
    drawing.words(54, y + 24, "SNAPSHOT: each block sends its state, nobody stops", look="small", anchor="start")
    drawing.path(f"M24 {y + 43} H46", look="line dash", head=True)
    drawing.words(54, y + 47, "side stream with a lag of 2: batch 0's news, read at batch 2", look="small", anchor="start")
