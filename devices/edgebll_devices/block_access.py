"""Loading a block of a bundle into a program of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.execution import runtime_table
from edgebll.kernel.spec.runtime_names import RUNTIMES
from edgebll.kernel.tasks import Task, task_of_record
from edgebll_devices.trainable_block import TrainableBlock


def load_block(
    bundle: Bundle | str | os.PathLike[str], block: str | int, *, runtime: str = "onnxruntime", threads: int = 1
) -> TrainableBlock:
    """Load a block of a bundle into this program, with the state that a run would start from.

    Neither torch nor onnx is needed, and no agent: the program calls the block itself.

    Args:
        bundle: the folder that `edgebll export` wrote, or an opened bundle.
        block: its name, "block0", or its place in the network, from 0.
        runtime: what computes it: "onnxruntime", "reference", "tensorrt", "onnxruntime-cuda", "onnxruntime-tensorrt", and of a
            bundle for microcontrollers "ordered", or "serial" for the one at the port that $EDGEBLL_SERIAL names.
        threads: of one training step.

    Returns:
        The block; use it in `with`, or close it.

    Raises:
        ConfigError: there is no such runtime, or threads < 1.
        BundleError: there is no such bundle or block, or a file of it is missing or damaged.
        MissingExtraError: the runtime is not installed. BoardError: it fails.

    Examples:
        >>> import edgebll, numpy
        >>> with edgebll.load_block("bundle", "block0") as block:
        ...     a, metrics = block.train(numpy.zeros((16, 1, 8, 8), "float32"), numpy.zeros(16, int), lr=0.05)
        ...     a.shape, sorted(metrics), block.predict(numpy.zeros((3, 1, 8, 8), "float32")).shape
        ((16, 256), ['loss', 'loss_match', 'loss_pred'], (3, 256))
    """
    if isinstance(bundle, str) and bundle in RUNTIMES and not Path(bundle).exists():
        raise ConfigError(f"load_block takes the bundle first: load_block(bundle, block, runtime={bundle!r})")
    opened = (
        bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle), verify=False)
    )  # files are compared as they are read
    name = block
    if isinstance(block, int):
        names = [spec.name for spec in opened.manifest.blocks]
        if not 0 <= block < len(names):
            raise BundleError(f"there is no block {block}; {opened.path} has {len(names)}, from 0")
        name = names[block]
    loaded = runtime_table.load_block(runtime, opened, str(name), threads=threads)
    return TrainableBlock(loaded, _task(opened), opened.manifest.num_classes)


def _task(bundle: Bundle) -> Task | None:
    """What the network is for; None for a task of a user's own, whose code a board need not have."""
    record = bundle.manifest.task
    return None if "code" in record else task_of_record(record, str(bundle.path))
