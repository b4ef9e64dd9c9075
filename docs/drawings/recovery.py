"""A recovery: snapshot, failure, restore, replay, over the axis of training steps."""

from __future__ import annotations

from svg import Drawing

_LEFT, _RIGHT, _STEPS = 36, 452, 200
_FAILS, _RESTORED = 137, 100


def draw() -> str:
    """The drawing's content."""
    drawing = Drawing(
        420,
        "A recovery",
        "Incarnation 1 takes snapshots at steps 50 and 100 and fails at 137. Incarnation 2 restores the snapshot of step 100, "
        "computes 100 to 137 again, and goes on to the end. The weights are those of a run to which nothing "
        "happened, bit for bit.",
    )
    drawing.words(24, 34, "Restore and replay", look="strong", anchor="start")
    drawing.words(24, 54, "From left to right: training steps, not time.", look="small faint", anchor="start")
    _first(drawing)
    _second(drawing)
    _undisturbed(drawing)
    return drawing.text()


def _x(step: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * step / _STEPS


def _bar(drawing: Drawing, y: float, start: int, end: int, look: str) -> None:
    drawing.box(_x(start), y, _x(end) - _x(start), 30, look=look, radius=3)


def _first(drawing: Drawing) -> None:
    drawing.words(24, 92, "incarnation 1", look="strong", anchor="start")
    _bar(drawing, 104, 0, _FAILS, "teal")
    for step in (50, 100):
        drawing.box(_x(step) - 4, 98, 8, 42, look="amber", radius=2)
        drawing.words(_x(step), 92 if step == 100 else 156, "snapshot" if step == 100 else f"step {step}", look="small")
    x = _x(_FAILS)
    drawing.path(f"M{x - 8:g} 108 l16 22 m0 -22 l-16 22", look="line bad")
    drawing.words(x + 14, 117, "a board, a link or", look="small", anchor="start")
    drawing.words(x + 14, 133, "the host fails", look="small", anchor="start")


def _second(drawing: Drawing) -> None:
    x = _x(_RESTORED)
    drawing.path(f"M{x:g} 142 V192", look="line", head=True)
    drawing.words(x + 10, 164, "restore on the boards", look="small", anchor="start")
    drawing.words(x + 10, 180, "that answer", look="small", anchor="start")
    drawing.words(24, 186, "incarnation 2", look="strong", anchor="start")
    _bar(drawing, 196, _RESTORED, _FAILS, "blue")
    _bar(drawing, 196, _FAILS, _STEPS, "teal")
    drawing.words((_x(_RESTORED) + _x(_FAILS)) / 2, 216, "replay", look="small strong")
    drawing.words((_x(_FAILS) + _x(_STEPS)) / 2, 216, "goes on", look="small")
    drawing.words(24, 216, "tokens and reports of 1", look="small faint", anchor="start")
    drawing.words(24, 232, "are dropped everywhere", look="small faint", anchor="start")
    drawing.words(24, 262, "A step that is computed again gives the same bits.", look="small", anchor="start")


def _undisturbed(drawing: Drawing) -> None:
    drawing.words(24, 300, "nothing happened", look="strong", anchor="start")
    _bar(drawing, 312, 0, _STEPS, "teal")
    drawing.path(f"M{_x(_STEPS) - 6:g} 230 V306", look="line dash")
    drawing.words(240, 374, "The weights at the end have the same SHA-256.", look="strong")
    drawing.words(240, 396, "What is lost is time: the steps since the last snapshot.", look="small faint")
