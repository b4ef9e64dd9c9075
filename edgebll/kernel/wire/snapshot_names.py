"""The files of a snapshot, on the disks of hosts and boards and on their way: a block's state, and what it has sent that waits.

A block's name has no dot, so the two are told apart, and no block's file is another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgebll.kernel.state.block_state import Array, load_tensors
from edgebll.kernel.state.side_stream_queues import Waiting, nest

_STREAMS = ".streams.safetensors"


def state_file(block: str) -> str:
    """The file with a block's state."""
    return f"{block}.safetensors"


def streams_file(block: str) -> str:
    """The file with the tokens a block has sent on side streams that wait for their targets; only where there are any."""
    return f"{block}{_STREAMS}"


def load_waiting(folder: Path, names: Iterable[str]) -> Waiting[Array]:
    """The tokens on side streams in those of the named files of a folder that hold some.

    Raises:
        BundleError: a file cannot be read. LinkError: a tensor in it has a name that is none of a token's.
    """
    found = [load_tensors(folder / name) for name in names if name.endswith(_STREAMS)]
    return nest({name: tensor for tensors in found for name, tensor in tensors.items()})
