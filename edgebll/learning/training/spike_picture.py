"""What the blocks of a spiking network send, drawn into its run folder: a raster of some test samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgebll.data.sample_titles import sample_titles
from edgebll.kernel.plots.block_spikes import SAMPLES, draw_block_spikes
from edgebll.kernel.spec.time_chunks import has_time
from edgebll.learning import BlockStep
from edgebll.learning.training.device_data import DeviceData


def draw_spikes_of_run(
    run: Path, steps: Sequence[BlockStep], states: Mapping[str, Mapping[str, Tensor]], data: DeviceData, time_steps: int
) -> None:
    """Draw the spikes of samples and of blocks but the last, whose output is numbers.

    Args:
        run: the run folder.
        steps: of the blocks.
        states: of each, by its name, on the device that `data` is on.
        data: the test samples.
        time_steps: T of the network's blocks.

    Raises:
        MissingExtraError: no matplotlib. StorageError: the disk refuses.
    """
    dataset = data.dataset
    rows = np.arange(min(SAMPLES, len(dataset)), dtype=np.int64)
    chosen = data.sent(rows)
    a, inputs, spikes = data.inputs(chosen), data.side_inputs(chosen), {}
    if has_time(a.shape, time_steps):
        spikes["x"] = a
    with torch.no_grad():
        for step in steps[:-1]:
            a = spikes[step.name] = step.forward(states[step.name], a, inputs)
    arrays = {name: layer.float().cpu().numpy() for name, layer in spikes.items()}
    draw_block_spikes(run, arrays, sample_titles(dataset, rows))
