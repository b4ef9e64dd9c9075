"""The picture of `edgebll probe`: four figures of every block, along the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebll.kernel.plots.style import COLOURS, save_figure

#: Figure -> its title, and what it is multiplied by.
_PANELS = {
    "probe_accuracy": ("Linear probe, %", 100.0),
    "information": ("Information of the label, bits", 1.0),
    "effective_rank": ("Effective rank", 1.0),
    "fisher_ratio": ("Fisher ratio", 1.0),
}


def draw_probe(blocks: Sequence[str], rows: Sequence[Mapping[str, Any]], label_bits: float, path: Path) -> Path:
    """Draw the figures of all blocks; returns the picture's path.

    Args:
        blocks: their names.
        rows: of each block its figures by name.
        label_bits: the entropy of the labels, which no information exceeds.
        path: PNG file to write.

    Raises:
        MissingExtraError: matplotlib is not installed.
        StorageError: the disk refuses.
    """

    def draw(figure: Any) -> None:
        for axes, colour, (name, (title, scale)) in zip(figure.subplots(1, 4), COLOURS, _PANELS.items(), strict=False):
            axes.plot(range(len(blocks)), [scale * row[name] for row in rows], color=colour, marker="o", markersize=4)
            if name == "information":
                axes.axhline(label_bits, color="#888888", linewidth=1.0, linestyle="--")
            axes.set(title=title)
            axes.set_xticks(range(len(blocks)), blocks, rotation=45, ha="right")
            axes.set_ylim(bottom=0)

    return save_figure(path, draw, (13.0, 3.2))
