"""What is frozen in a training run: kept beside its states, once, because no step changes it.

RUN/constants/block0.safetensors ...    by the names that state tensors have; only blocks with something frozen
RUN/constants/constants.json            the SHA-256 over all of them, written last
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from edgebll.kernel.errors import BundleError
from edgebll.kernel.state.block_state import load_tensors
from edgebll.kernel.support.atomic_files import write_json
from edgebll.learning import BlockStep
from edgebll.learning.training.checkpoint import States, digest, save_states

CONSTANTS = "constants"
_SEAL = "constants.json"


def save_constants(run: Path, steps: Sequence[BlockStep]) -> None:
    """Write the constants of a run; nothing where there are none.

    Args:
        run: its folder.
        steps: of all blocks.

    Raises:
        StorageError: the disk refuses.
    """
    found = {step.name: step.constants for step in steps if step.constants}
    if found:
        save_states(run / CONSTANTS, found)
        write_json(run / CONSTANTS / _SEAL, {"sha256": digest(found)})


def load_constants(run: Path) -> States:
    """The constants of a run that has some, by block.

    Args:
        run: its folder.

    Raises:
        BundleError: they are not whole.
    """
    folder = run / CONSTANTS
    arrays = {path.stem: load_tensors(path) for path in sorted(folder.glob("*.safetensors"))}
    states = {name: {n: torch.from_numpy(value.copy()) for n, value in tensors.items()} for name, tensors in arrays.items()}
    try:
        expected = json.loads((folder / _SEAL).read_bytes())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder}, where the run keeps what is frozen, is not whole ({error!r}); train again") from error
    if digest(states) != expected:
        raise BundleError(f"{folder} is damaged: its tensors have another SHA-256 than {_SEAL} says; train again")
    return states
