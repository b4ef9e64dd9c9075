"""A drawing as SVG text: boxes, words and arrows in a few classes, whose colours follow the reader's light or dark system.

Every drawing is 480 wide, so that its words can be read on a phone, and brings its own ground, so that it can be read on any
page.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

WIDTH = 480
_STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1c2733; }
.small { font-size: 12px; } .strong { font-weight: 600; } .faint { fill: #54636f; }
.mono { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12px; }
.ground { fill: #fbfcfd; stroke: #d5dde3; } .box { fill: #ffffff; stroke: #8b9aa6; stroke-width: 1.2; }
.frame { fill: none; stroke: #8b9aa6; stroke-width: 1.2; stroke-dasharray: 5 4; }
.teal { fill: #cfeee9; stroke: #0b7a6b; stroke-width: 1.2; } .blue { fill: #d9e6fb; stroke: #2f63b8; stroke-width: 1.2; }
.amber { fill: #fdebc8; stroke: #a8690a; stroke-width: 1.2; } .rose { fill: #fbdcdf; stroke: #b3343f; stroke-width: 1.2; }
.line { fill: none; stroke: #54636f; stroke-width: 1.6; } .dash { stroke-dasharray: 5 4; } .thin { stroke-width: 1; }
.bad { stroke: #b3343f; stroke-width: 2.6; } .head { fill: #54636f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e8eef2; } .faint { fill: #a9b8c3; } .ground { fill: #171e25; stroke: #35424d; }
  .box { fill: #222c35; stroke: #7b8b97; } .frame { stroke: #7b8b97; }
  .teal { fill: #12463f; stroke: #4fc2b0; } .blue { fill: #1d3660; stroke: #7ea9ee; }
  .amber { fill: #523808; stroke: #e0aa4b; } .rose { fill: #5a1f25; stroke: #ee8a93; }
  .line { stroke: #a9b8c3; } .head { fill: #a9b8c3; } .bad { stroke: #ee8a93; }
}
"""


class Drawing:
    """Shapes in the order they are drawn.

    Args:
        height: of the drawing, in the units of its width of 480.
        title: what it shows, in a few words; screen readers say it.
        description: the same in a sentence or two, for who cannot see it.
    """

    def __init__(self, height: int, title: str, description: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d">',
            f'<title id="t">{escape(title)}</title><desc id="d">{escape(description)}</desc>',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path class="head" d="M0 0.5 L8 4 L0 7.5 z"/></marker></defs>',
        ]
        self.box(0.5, 0.5, WIDTH - 1, height - 1, look="ground", radius=10)

    def box(self, x: float, y: float, width: float, height: float, *, look: str = "box", radius: float = 6) -> None:
        """A rectangle with round corners; `look` is a class of the style sheet."""
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"'
        self._parts.append(f'<rect class="{look}" {place}/>')

    def words(self, x: float, y: float, text: str, *, look: str = "", anchor: str = "middle") -> None:
        """A line of text whose baseline is at y."""
        self._parts.append(f'<text class="{look}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>')

    def labelled(self, x: float, y: float, width: float, height: float, *lines: str, look: str = "box") -> None:
        """A box with lines of text in its middle, the first one strong."""
        self.box(x, y, width, height, look=look)
        top = y + height / 2 - (len(lines) - 1) * 8.5 + 5
        for number, line in enumerate(lines):
            self.words(x + width / 2, top + 17 * number, line, look="strong" if number == 0 else "small")

    def path(self, d: str, *, look: str = "line", head: bool = False) -> None:
        """A line along an SVG path, with an arrow's head at its end if wanted."""
        end = ' marker-end="url(#head)"' if head else ""
        self._parts.append(f'<path class="{look}" d="{d}"{end}/>')

    def arrow(self, x1: float, y1: float, x2: float, y2: float, *, look: str = "line") -> None:
        """A straight arrow."""
        self.path(f"M{x1:g} {y1:g} L{x2:g} {y2:g}", look=look, head=True)

    def text(self) -> str:
        """The file's content."""
        return "\n".join([*self._parts, "</svg>", ""])
