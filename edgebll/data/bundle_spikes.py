"""What the blocks of a bundle of a spiking network send, drawn into a run folder, through its forward graphs alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

from edgebll.data.batches import eval_batches
from edgebll.data.dataset import Dataset
from edgebll.data.sample_titles import sample_titles
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.plots.block_spikes import SAMPLES, draw_block_spikes
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.spec.time_chunks import TIME_STEPS, has_time
from edgebll.kernel.state.block_state import Array

_RUNTIME = "onnxruntime"


def draw_spikes_of_bundle(run: Path, bundle: Bundle, dataset: Dataset) -> Path | None:
    """Draw the spikes of samples and of blocks but the last, whose output is numbers.

    Args:
        run: the run folder.
        bundle: with the states that are to be seen.
        dataset: the test samples, as the bundle takes them.

    Returns:
        The picture's path; None where there is nothing to draw: no axis of time, a single block, no samples at hand.

    Raises:
        MissingExtraError: no matplotlib, or no ONNX Runtime. StorageError: the disk refuses.
    """
    manifest = bundle.manifest
    time_steps = manifest.recipe.get(TIME_STEPS)
    if not isinstance(time_steps, int) or len(manifest.blocks) < 2 or dataset.arriving or not len(dataset):
        return None
    indices, count = next(eval_batches(len(dataset), manifest.batch_size))
    shown = min(SAMPLES, count)
    a: Array = dataset.inputs(indices)
    inputs, spikes = dataset.side_inputs(indices), {"x": a[:shown]} if has_time(a.shape, time_steps) else {}
    for spec in manifest.blocks[:-1]:
        with contextlib.closing(load_block(_RUNTIME, bundle, spec.name, threads=1)) as block:
            a = block.evaluate(a, read_by(spec, inputs) or None)
        spikes[spec.name] = a[:shown]
    return draw_block_spikes(run, spikes, sample_titles(dataset, indices[:shown]))
