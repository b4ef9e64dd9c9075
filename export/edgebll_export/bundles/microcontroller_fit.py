"""Whether the blocks of a bundle can run on a microcontroller, before the bundle is anywhere."""

from __future__ import annotations

from pathlib import Path

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import BundleError, ExportError
from edgebll.kernel.microcontroller.block_memory import MicrocontrollerLimits, block_memories


def check_fit(folder: Path, limits: MicrocontrollerLimits) -> None:
    """Plan every block.

    Args:
        folder: a bundle that is whole, in a folder of no name yet.
        limits: what each block must fit into.

    Raises:
        ExportError: a block cannot be planned or does not fit; names it, what takes most, and what to do.
    """
    bundle = open_bundle(folder, verify=False)
    try:
        problem = limits.problem(block_memories(bundle))
    except BundleError as error:
        raise ExportError(str(error).replace(f"{folder}/", "")) from error
    if problem is not None:
        smaller = f"a smaller batch than {bundle.manifest.batch_size}, " if bundle.manifest.batch_size > 1 else ""
        raise ExportError(f"{problem}; take {smaller}more blocks, a narrower network or an optimiser with fewer moments")
