"""The rooms of the code and which may import which: arrows run down."""

from __future__ import annotations

from svg import Drawing


def draw() -> str:
    """The drawing's content."""
    drawing = Drawing(
        470,
        "Rooms, and who may import whom",
        "Export stands on learning. Learning, devices and the host stand on data and the kernel. Devices and host do not "
        "know each other. The command line is a table that loads commands when they are asked for.",
    )
    drawing.words(24, 34, "Imports run down, never up or sideways", look="strong", anchor="start")
    drawing.labelled(24, 54, 134, 68, "export", "torch meets ONNX", "only here", look="amber")
    drawing.labelled(24, 158, 134, 68, "learning", "rules, training", "torch", look="amber")
    drawing.labelled(174, 158, 134, 68, "devices", "what runs", "on a board", look="teal")
    drawing.labelled(324, 158, 132, 68, "firmware_host", "the host of", "a cluster", look="teal")
    drawing.labelled(24, 262, 432, 46, "data", "data sets, augmentation: numpy", look="teal")
    drawing.labelled(24, 344, 432, 46, "kernel", "bundles, messages, links, running blocks", look="teal")
    drawing.arrow(91, 126, 91, 154)
    for x in (91, 241, 390):
        drawing.arrow(x, 230, x, 258)
    drawing.arrow(240, 312, 240, 340)
    drawing.box(174, 54, 282, 68, look="frame")
    drawing.words(315, 78, "cli: a table of commands", look="strong")
    drawing.words(315, 96, "a command lives with what it", look="small")
    drawing.words(315, 112, "commands, loaded when asked for", look="small")
    drawing.box(24, 408, 16, 16, look="teal")
    drawing.words(48, 421, "never imports torch or onnx", look="small", anchor="start")
    drawing.words(48, 446, "devices and host meet in the wire format alone", look="small faint", anchor="start")
    return drawing.text()
