"""Whether the blocks of a bundle can run on a microcontroller, and what they compute again there, before it is anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ExportError
from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.block_memory import BlockMemory, MicrocontrollerLimits
from edgebll.kernel.microcontroller.tensor_places import state_bits
from edgebll.kernel.spec.manifest import Manifest
from edgebll.kernel.spec.recompute import NONE
from edgebll.kernel.spec.short_state import SHORT_BITS


def fitted(folder: Path, limits: MicrocontrollerLimits) -> dict[str, int]:
    """Plan every block, and choose what it computes again.

    Args:
        folder: a bundle that is whole, in a folder of no name yet.
        limits: what each block must fit into, and how.

    Returns:
        What the manifest is to record: block -> number of activations, for blocks that compute fewer again than they could.

    Raises:
        ExportError: a block cannot be planned or does not fit; names it, what takes most, and what to do.
    """
    bundle = open_bundle(folder, verify=False)
    try:
        chosen = [_chosen(bundle, block.name, limits) for block in bundle.manifest.blocks]
    except BundleError as error:
        raise ExportError(str(error).replace(f"{folder}/", "")) from error
    problem = limits.problem(chosen)
    if problem is not None:
        smaller = f"a smaller batch than {bundle.manifest.batch_size}, " if bundle.manifest.batch_size > 1 else ""
        again = "--recompute auto, " if limits.problem(map(_smallest, chosen)) != problem else ""
        fewer = _fewer_bits(bundle.manifest, next(one for one in chosen if limits.problem([one])))
        raise ExportError(
            f"{problem}; take {again}{fewer}{smaller}more blocks, a narrower network or an optimiser with fewer moments"
        )
    return {one.block: one.level for one in chosen if limits.recompute == NONE or one.level + 1 < len(one.levels)}


def _fewer_bits(manifest: Manifest, too_large: BlockMemory) -> str:
    """The option by which the state of a block gets smaller, where that is most of what it takes."""
    bits = state_bits(manifest)
    if bits == min(SHORT_BITS) or too_large.state_bytes <= max(too_large.arena_bytes, too_large.plan_bytes):
        return ""
    return f"--state-bits {max(one for one in SHORT_BITS if one < bits)}, "


def _chosen(bundle: Bundle, block: str, limits: MicrocontrollerLimits) -> BlockMemory:
    """What a block takes with as much computed again as was asked for; where nothing fits, with all."""
    all_again = BlockMemory.of(plan_block(bundle, block))
    level = limits.level_for(all_again)
    if level == all_again.level:
        return all_again
    manifest = replace(bundle.manifest, recompute={block: level})
    return BlockMemory.of(plan_block(replace(bundle, manifest=manifest), block))


def _smallest(one: BlockMemory) -> BlockMemory:
    """What the block would take with all computed again that saves memory."""
    return replace(one, pool_bytes=one.levels[-1].pool_bytes)
