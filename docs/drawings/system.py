"""The whole system: train, export, bundle, and boards with their host."""

from __future__ import annotations

from svg import Drawing

_RUNS_ON = (("on a Jetson", "TensorRT"), ("on a Raspberry Pi", "ONNX Runtime"), ("on this PC", "ONNX Runtime"))


def draw() -> str:
    """The drawing's content."""
    drawing = Drawing(
        600,
        "From a network to boards that train",
        "A network is trained in blocks on a PC, exported as a bundle of ONNX graphs, and trained further over boards: the "
        "host feeds the first board, boards pass activations on, metrics and snapshots come back to the host.",
    )
    _on_a_pc(drawing)
    _bundle(drawing)
    _boards(drawing)
    return drawing.text()


def _on_a_pc(drawing: Drawing) -> None:
    drawing.words(24, 34, "PyTorch, on a PC", look="strong", anchor="start")
    for index in range(3):
        x = 24 + index * 150
        drawing.labelled(x, 50, 132, 58, f"block {index}", "loss of its own", look="teal")
        if index:
            drawing.arrow(x - 18, 79, x - 3, 79)
    drawing.arrow(240, 112, 240, 164)
    drawing.words(250, 132, "edgebll train, edgebll export", look="mono", anchor="start")
    drawing.words(250, 150, "step traced, lowered, compared", look="small faint", anchor="start")


def _bundle(drawing: Drawing) -> None:
    drawing.box(24, 168, 432, 118, look="box")
    drawing.words(40, 192, "Bundle: a folder", look="strong", anchor="start")
    drawing.words(40, 213, "manifest.json", look="mono", anchor="start")
    drawing.words(160, 213, "blocks, streams, SHA-256 of all files", look="small faint", anchor="start")
    drawing.words(40, 233, "step.onnx", look="mono", anchor="start")
    drawing.words(160, 233, "weights and batch in, new weights out", look="small faint", anchor="start")
    drawing.words(40, 253, "forward.onnx", look="mono", anchor="start")
    drawing.words(160, 253, "for evaluation, with the same weights", look="small faint", anchor="start")
    drawing.words(40, 273, "state, golden", look="mono", anchor="start")
    drawing.words(160, 273, "where to start, how to check a board", look="small faint", anchor="start")
    drawing.arrow(240, 290, 240, 334)
    drawing.words(250, 316, "edgebll run, edgebll simulate", look="mono", anchor="start")


def _boards(drawing: Drawing) -> None:
    drawing.labelled(24, 338, 432, 54, "Host", "places blocks, feeds, watches, recovers, collects", look="blue")
    drawing.arrow(62, 396, 62, 462)
    drawing.words(70, 434, "x, y", look="small", anchor="start")
    for index, (board, runtime) in enumerate(_RUNS_ON):
        x = 24 + index * 150
        drawing.labelled(x, 466, 132, 76, f"block {index}", board, runtime, look="teal")
        drawing.path(f"M{x + 108} 462 L{x + 108} 397", look="line dash", head=True)
        if index:
            drawing.arrow(x - 18, 504, x - 3, 504)
            drawing.words(x - 10, 560, "a, y", look="small")
    drawing.words(140, 434, "metrics,", look="small faint", anchor="start")
    drawing.words(140, 450, "snapshots", look="small faint", anchor="start")
    drawing.words(240, 584, "No board has PyTorch. No error travels back through the network.", look="small faint")
