"""spikes.png: which neurons of each block spiked when, for some samples of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.kernel.plots.spike_sheet import draw_raster
from edgebll.kernel.plots.style import save_figure

BLOCK_SPIKES = "spikes.png"
#: So many samples are drawn.
SAMPLES = 4


def draw_block_spikes(run: Path, spikes: Mapping[str, npt.NDArray[Any]], titles: Sequence[str]) -> Path:
    """Draw a raster for each block and sample: rows are blocks, columns samples; returns the picture's path.

    Args:
        run: the run folder.
        spikes: by name of the block, (N, T, ...) of at most SAMPLES samples, not 0 where there is a spike.
        titles: a word for each sample.

    Raises:
        MissingExtraError: no matplotlib. StorageError: the disk refuses.
    """

    def draw(figure: Any) -> None:
        place = 0
        for name, layer in spikes.items():
            rate = float(np.mean(layer != 0))
            for index, (sample, title) in enumerate(zip(layer, titles, strict=True)):
                place += 1
                axes = figure.add_subplot(len(spikes), len(titles), place)
                draw_raster(axes, sample)
                if not index:
                    axes.set_ylabel(f"{name}\n{rate:.1%} spike", fontsize=8)
                if place <= len(titles):
                    axes.set_title(title, fontsize=8, fontweight="normal", loc="center")

    return save_figure(run / BLOCK_SPIKES, draw, (2.4 * len(titles), 1.6 * len(spikes)))
