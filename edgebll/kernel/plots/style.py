"""What all pictures share: colours, style and how they are written. Needs matplotlib (extra "plot")."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebll.kernel.support.atomic_files import write_atomic
from edgebll.kernel.support.optional_imports import import_extra
from edgebll.kernel.support.user_folders import find_home, xdg_base

#: Colours of blocks, dark enough on white and different to colour-blind eyes (after Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#332288")
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "axes.labelcolor": "#333333",
    "legend.frameon": False,
}
_DPI = 160


def save_figure(path: Path, draw: Callable[[Any], None], size_inches: tuple[float, float]) -> Path:
    """Let `draw` fill a matplotlib figure and write it as PNG, atomically; no display is needed and no global state touched."""
    if find_home() is None:  # else matplotlib says so at length
        os.environ.setdefault("MPLCONFIGDIR", str(xdg_base("XDG_CACHE_HOME", ".cache") / "matplotlib"))
    matplotlib = import_extra("matplotlib", "plot", "drawing pictures of a run")
    backend = import_extra("matplotlib.backends.backend_agg", "plot", "drawing pictures of a run")
    figures = import_extra("matplotlib.figure", "plot", "drawing pictures of a run")
    with matplotlib.rc_context(STYLE):
        figure = figures.Figure(figsize=size_inches, layout="constrained", facecolor="white")
        backend.FigureCanvasAgg(figure)
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=_DPI)
    write_atomic(path, stream.getvalue())
    return path
