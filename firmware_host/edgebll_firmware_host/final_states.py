"""What a run has learned, put on a disk before anything else is done with it.

RUN/final/block0.safetensors ...    the final states; removed when the bundle with them is there
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgebll.kernel.errors import StorageError
from edgebll.kernel.state.block_state import State, save_tensors
from edgebll.kernel.support.atomic_files import storage_errors

FINAL_STATES = "final"


def save_final_states(run: Path, states: Mapping[str, State]) -> Path:
    """Write every block's state; returns the folder.

    Raises:
        StorageError: the run's folder cannot be written. The states are in a temporary folder then, which the error names, if
            that can be.
    """
    try:
        return _save(run / FINAL_STATES, states)
    except StorageError as error:
        with storage_errors(Path(tempfile.gettempdir())):
            place = Path(tempfile.mkdtemp(prefix=f"edgebll-{run.name}-"))
        raise StorageError(f"{error}; the final states are in {_save(place, states)}") from error


def _save(folder: Path, states: Mapping[str, State]) -> Path:
    for block, state in states.items():
        save_tensors(folder / f"{block}.safetensors", state)
    return folder


def forget_final_states(run: Path) -> None:
    """Remove them: the final bundle has them."""
    shutil.rmtree(run / FINAL_STATES, ignore_errors=True)
