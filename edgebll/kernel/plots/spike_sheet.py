"""Spikes of some samples in one picture: where they are, added up over time, and below it a raster of when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.kernel.plots.style import COLOURS, save_figure

#: So many samples are drawn at most, in one row.
SPIKE_SAMPLES = 8
_TITLE_CHARS = 16
_DOT = 0.8


def draw_spikes(path: Path, spikes: npt.NDArray[Any], titles: Sequence[str]) -> Path:
    """Draw spikes of samples beside each other; returns the picture's path.

    Args:
        path: of the picture, a PNG.
        spikes: of at most SPIKE_SAMPLES samples: (N, T, ...), 0 where there is none. Of (N, T, 2, H, W) the first channel
            became darker, drawn blue, and the second brighter, drawn red; of other images (N, T, C, H, W) all are added up; of
            anything else there is the raster alone.
        titles: a word for each.

    Raises:
        MissingExtraError: no matplotlib. StorageError: the disk refuses.
    """
    parts = 2 if spikes.ndim == 5 else 1

    def draw(figure: Any) -> None:
        for index, (sample, title) in enumerate(zip(spikes, titles, strict=True), 1):
            axes = figure.add_subplot(parts, SPIKE_SAMPLES, index)
            axes.set_title(title[:_TITLE_CHARS], fontsize=7, fontweight="normal", loc="center")
            if parts == 2:
                _bare(axes).imshow(_added_up(sample), interpolation="nearest")
                axes = figure.add_subplot(parts, SPIKE_SAMPLES, index + SPIKE_SAMPLES)
            draw_raster(axes, sample)

    return save_figure(path, draw, (10.0, 1.35 * parts))


def _bare(axes: Any) -> Any:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    return axes


def _added_up(sample: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """An image (H, W, 3) of spikes (T, C, H, W), white where there are none."""
    counts = (sample != 0).sum(0).astype(np.float64)
    shares = counts / max(1.0, float(counts.max()))
    picture = np.ones((*counts.shape[1:], 3))
    if len(counts) != 2:
        return np.asarray(picture - (counts.sum(0) / max(1.0, float(counts.sum(0).max())))[..., None])
    darker, brighter = shares
    picture[..., 0] -= darker
    picture[..., 1] -= np.maximum(darker, brighter)
    picture[..., 2] -= brighter
    return picture


def draw_raster(axes: Any, sample: npt.NDArray[Any]) -> None:
    """A dot for each spike: time steps to the right, neurons upwards.

    Args:
        axes: of matplotlib.
        sample: (T, ...), not 0 where there is a spike.
    """
    steps = sample.reshape(len(sample), -1)
    time, neuron = np.nonzero(steps)
    _bare(axes).plot(time, neuron, linestyle="none", marker=".", markersize=_DOT, color=COLOURS[0])
    axes.set_xlim(-0.5, len(steps) - 0.5)
    axes.set_ylim(-0.5, steps.shape[1] - 0.5)
