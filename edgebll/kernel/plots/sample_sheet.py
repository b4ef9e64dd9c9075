"""Some samples of a data set in one picture, each with its class: images as they are, all else as maps or lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.kernel.plots.style import COLOURS, save_figure

#: So many samples are drawn at most, in rows of eight.
SHEET_SAMPLES, _COLUMNS = 32, 8
_TITLE_CHARS = 16


def draw_sheet(path: Path, samples: npt.NDArray[Any], titles: Sequence[str]) -> Path:
    """Draw samples beside each other; returns the picture's path.

    Args:
        path: of the picture, a PNG.
        samples: at most SHEET_SAMPLES: images (N, 1 or 3, H, W), uint8 or float; maps (N, H, W); lines (N, channels, time) or
            (N, values).
        titles: a word for each.

    Raises:
        MissingExtraError: no matplotlib. StorageError: the disk refuses.
    """
    rows = -(-len(samples) // _COLUMNS)
    low, high = float(samples.min()), float(samples.max())  # one scale for all lines, so that they can be compared

    def draw(figure: Any) -> None:
        for index, (sample, title) in enumerate(zip(samples, titles, strict=True)):
            axes = figure.add_subplot(rows, _COLUMNS, index + 1)
            _draw_one(axes, sample)
            if axes.lines:
                axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) or 1.0)
            axes.set_title(title[:_TITLE_CHARS], fontsize=7, fontweight="normal", loc="center")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)

    return save_figure(path, draw, (10.0, 1.35 * rows))


def _draw_one(axes: Any, sample: npt.NDArray[Any]) -> None:
    if sample.ndim == 3 and sample.shape[0] in (1, 3):
        low, high = (0, 255) if sample.dtype == np.uint8 else (float(sample.min()), float(sample.max()))
        shown = (sample.astype(np.float64) - low) / max(high - low, 1e-12)
        if sample.shape[0] == 3:
            axes.imshow(shown.transpose(1, 2, 0), interpolation="nearest")
        else:
            aspect = "equal" if sample.dtype == np.uint8 else "auto"
            axes.imshow(shown[0], cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
        return
    for number, line in enumerate(np.atleast_2d(sample.reshape(-1, sample.shape[-1]))[: len(COLOURS)]):
        axes.plot(line, color=COLOURS[number], linewidth=0.8)
